/* Methods that scenarios call: argument checks from the rows' signatures, and messages about misuse. */

#include "script/binding.h"

#include "base/check.h"
#include "script/failure.h"
#include "script/position.h"

#include <lauxlib.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define NAME_BYTES       48u
#define VALUE_BYTES      48u
#define VALUE_TEXT_BYTES 64u

struct kind {
    const char *word, *wanted;
};

static const struct kind kinds[] = {
    {"integer", "a whole number"}, {"natural", "a whole number, 0 or more"},
    {"number", "a number"},        {"string", "a text"},
    {"function", "a function"},    {"table", "a table"},
    {"boolean", "true or false"},  {"any", "given"},
};

/* What a message says that was given instead. */
static void describe_value(lua_State *lua, int index, char *text, size_t size)
{
    char line[VALUE_BYTES];
    size_t length;
    switch (lua_type(lua, index)) {
    case LUA_TNUMBER:
        if (lua_isinteger(lua, index)) {
            snprintf(text, size, "%lld", (long long)lua_tointeger(lua, index));
        } else {
            snprintf(text, size, "%.14g", lua_tonumber(lua, index));
        }
        return;
    case LUA_TSTRING: {
        const char *value = lua_tolstring(lua, index, &length);
        failure_one_line(value, length, line, sizeof line);
        snprintf(text, size, "the text \"%s\"", line);
        return;
    }
    case LUA_TBOOLEAN:
        snprintf(text, size, "%s", lua_toboolean(lua, index) ? "true" : "false");
        return;
    case LUA_TNIL:
    case LUA_TNONE:
        snprintf(text, size, "nil");
        return;
    default:
        snprintf(text, size, "a %s", luaL_typename(lua, index));
    }
}

static bool fits(lua_State *lua, int index, const char *word)
{
    int whole;
    switch (word[0]) {
    case 'i':
        lua_tointegerx(lua, index, &whole);
        return lua_type(lua, index) == LUA_TNUMBER && whole;
    case 'n':
        if (word[1] == 'a') {
            return fits(lua, index, "integer") && lua_tointeger(lua, index) >= 0;
        }
        return lua_type(lua, index) == LUA_TNUMBER;
    case 's':
        return lua_type(lua, index) == LUA_TSTRING;
    case 'f':
        return lua_isfunction(lua, index);
    case 'b':
        return lua_isboolean(lua, index);
    case 't':
        return lua_istable(lua, index);
    default:
        return !lua_isnoneornil(lua, index);
    }
}

static const char *wanted_of(const char *word)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strncmp(kinds[i].word, word, 3) == 0) {
            return kinds[i].wanted;
        }
    }
    CHECK(false, "no kind of argument '%s'", word);
    return NULL;
}

static int refuse(lua_State *lua, int index, const char *what, const char *wanted)
{
    char value[VALUE_TEXT_BYTES];
    describe_value(lua, index, value, sizeof value);
    return position_error(lua, "%s must be %s, not %s", what, wanted, value);
}

static void make_whole(lua_State *lua, int index)
{
    if (lua_type(lua, index) == LUA_TNUMBER && !lua_isinteger(lua, index)) {
        lua_pushinteger(lua, lua_tointeger(lua, index));
        lua_replace(lua, index);
    }
}

void binding_need(lua_State *lua, int index, const char *kind, const char *what)
{
    if (lua_isnoneornil(lua, index) && strchr(kind, '?')) {
        return;
    }
    if (!fits(lua, index, kind)) {
        refuse(lua, index, what, wanted_of(kind));
    }
    if (kind[0] == 'i' || strncmp(kind, "na", 2) == 0) {
        make_whole(lua, index);
    }
}

/* ---- signatures ---- */

struct parameter {
    const char *name;
    size_t name_size;
    bool optional;
    const char *type;
};

/* The parameter at *at of a signature, which moves on; false at the end. */
static bool next_parameter(const char **at, struct parameter *p)
{
    const char *c = *at;
    if (*c == ')') {
        return false;
    }
    p->name = c;
    p->name_size = strcspn(c, "?:");
    p->optional = c[p->name_size] == '?';
    p->type = c + p->name_size + (p->optional ? 3 : 2);
    unsigned depth = 0;
    for (c = p->type; depth > 0 || (*c != ',' && *c != ')'); c++) {
        depth += *c == '(';
        depth -= *c == ')';
    }
    *at = *c == ',' ? c + 2 : c;
    return true;
}

static const struct binding *current(lua_State *lua)
{
    return lua_touserdata(lua, lua_upvalueindex(1));
}

/* Writes "METHOD: ARGUMENT" of the argument at index. */
static void name_argument(lua_State *lua, int index, char *text, size_t size)
{
    const struct binding *b = current(lua);
    const char *at = b->signature + 1;
    struct parameter p = {"argument", 8, false, ""};
    for (int i = 2; i <= index && next_parameter(&at, &p); i++) {
    }
    snprintf(text, size, "%s: %.*s", b->name, (int)p.name_size, p.name);
}

int binding_misuse(lua_State *lua, int index, const char *wanted, ...)
{
    char what[2 * NAME_BYTES], value[VALUE_TEXT_BYTES];
    va_list arguments;
    name_argument(lua, index, what, sizeof what);
    describe_value(lua, index, value, sizeof value);
    va_start(arguments, wanted);
    const char *text = lua_pushvfstring(lua, wanted, arguments);
    va_end(arguments);
    return position_error(lua, "%s must be %s, not %s", what, text, value);
}

int binding_error(lua_State *lua, const char *text)
{
    return position_error(lua, "%s: %s", current(lua)->name, text);
}

lua_Integer binding_natural(lua_State *lua, int index, lua_Integer max)
{
    lua_Integer v = lua_tointeger(lua, index);
    if (v < 0 || v > max) {
        if (max == LUA_MAXINTEGER) {
            binding_misuse(lua, index, "0 or more");
        }
        binding_misuse(lua, index, "0 to %I", (LUAI_UACINT)max);
    }
    return v;
}

/* The function of every row: its upvalues are the row and the class. */
static int call_checked(lua_State *lua)
{
    const struct binding *b = current(lua);
    const struct binding_class *class = lua_touserdata(lua, lua_upvalueindex(2));
    if (!class->is_object(lua, 1)) {
        return position_error(lua, "%s: call it with a colon: %s:%s(...)", b->name, class->variable, b->name);
    }
    const char *at = b->signature + 1;
    struct parameter p;
    for (int index = 2; next_parameter(&at, &p); index++) {
        if (p.optional && lua_isnoneornil(lua, index)) {
            continue;
        }
        if (!fits(lua, index, p.type)) {
            return binding_misuse(lua, index, "%s", wanted_of(p.type));
        }
        make_whole(lua, index);
    }
    return b->function(lua);
}

void binding_register(lua_State *lua, const struct binding_class *class, const struct binding *rows)
{
    for (const struct binding *b = rows; b->name; b++) {
        lua_pushlightuserdata(lua, (void *)(uintptr_t)b);
        lua_pushlightuserdata(lua, (void *)(uintptr_t) class);
        lua_pushcclosure(lua, call_checked, 2);
        lua_setfield(lua, -2, b->name);
    }
}
