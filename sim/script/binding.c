/* Methods that scenarios call: argument checks from the rows' signatures, and messages about misuse. */

#include "script/binding.h"

#include "base/check.h"
#include "script/failure.h"
#include "script/position.h"

#include <lauxlib.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define NAME_BYTES       48u
#define VALUE_BYTES      48u
#define VALUE_TEXT_BYTES 64u
#define ARGUMENTS_MAX    4u
#define FIRST_ARGUMENT   2 /* behind the object */

/* A word for the type of an argument. */
struct kind {
    const char *word, *wanted;
    bool (*fits)(lua_State *lua, int index);
    bool whole; /* 5.0 becomes 5 */
};

static bool is_number(lua_State *lua, int index)
{
    return lua_type(lua, index) == LUA_TNUMBER;
}

static bool is_integer(lua_State *lua, int index)
{
    int whole;
    lua_tointegerx(lua, index, &whole);
    return is_number(lua, index) && whole;
}

static bool is_natural(lua_State *lua, int index)
{
    return is_integer(lua, index) && lua_tointeger(lua, index) >= 0;
}

static bool is_string(lua_State *lua, int index)
{
    return lua_type(lua, index) == LUA_TSTRING;
}

static bool is_boolean(lua_State *lua, int index)
{
    return lua_isboolean(lua, index);
}

static bool is_function(lua_State *lua, int index)
{
    return lua_isfunction(lua, index);
}

static bool is_table(lua_State *lua, int index)
{
    return lua_istable(lua, index);
}

static const struct kind kinds[] = {
    {"integer", "a whole number", is_integer, true},
    {"natural", "a whole number, 0 or more", is_natural, true},
    {"number", "a number", is_number, false},
    {"string", "a text", is_string, false},
    {"boolean", "true or false", is_boolean, false},
    {"function", "a function", is_function, false},
    {"fun", "a function", is_function, false},
    {"table", "a table", is_table, false},
};

static const struct kind *find_kind(const char *word, size_t size)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strlen(kinds[i].word) == size && memcmp(kinds[i].word, word, size) == 0) {
            return &kinds[i];
        }
    }
    CHECK(false, "no type of argument is called '%.*s'", (int)size, word);
    return NULL;
}

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

static int refuse(lua_State *lua, int index, const char *what, const char *wanted)
{
    char value[VALUE_TEXT_BYTES];
    describe_value(lua, index, value, sizeof value);
    return position_error(lua, "%s must be %s, not %s", what, wanted, value);
}

static void make_whole(lua_State *lua, int index, const struct kind *kind)
{
    if (kind->whole && !lua_isinteger(lua, index)) {
        lua_pushinteger(lua, lua_tointeger(lua, index));
        lua_replace(lua, index);
    }
}

void binding_need(lua_State *lua, int index, const char *word, const char *what)
{
    size_t size = strcspn(word, "?");
    const struct kind *kind = find_kind(word, size);
    CHECK(!word[size] || !word[size + 1], "no type of argument is called '%s'", word);
    if (lua_isnoneornil(lua, index) && word[size] == '?') {
        return;
    }
    if (!kind->fits(lua, index)) {
        refuse(lua, index, what, kind->wanted);
    }
    make_whole(lua, index, kind);
}

/* ---- signatures ---- */

struct argument {
    const char *name;
    int name_size;
    bool optional;
    const struct kind *kind;
};

/* A row whose signature has been read: the upvalue of its function. */
struct method {
    const struct binding *row;
    const struct binding_class *class;
    unsigned argument_count;
    struct argument arguments[ARGUMENTS_MAX];
};

/* Reads "name?: type" at c. Returns where the next one begins, or the ')' behind the last. */
static const char *read_argument(const struct binding *row, const char *c, struct argument *a)
{
    a->name = c;
    a->name_size = (int)strcspn(c, "?:,)");
    c += a->name_size;
    a->optional = *c == '?';
    c += a->optional;
    CHECK(a->name_size > 0 && strncmp(c, ": ", 2) == 0, "%s%s: no type", row->name, row->signature);
    size_t size = strcspn(c + 2, "(,) ");
    a->kind = find_kind(c + 2, size);
    c += 2 + size;
    if (*c == '(') { /* fun(...), without brackets inside */
        c += strcspn(c, ")");
        c += *c == ')';
    }
    CHECK(*c == ')' || strncmp(c, ", ", 2) == 0, "%s%s: ends in a type", row->name, row->signature);
    return *c == ')' ? c : c + 2;
}

static void read_signature(struct method *m)
{
    const struct binding *row = m->row;
    CHECK(row->signature[0] == '(', "%s%s: no '('", row->name, row->signature);
    for (const char *c = row->signature + 1; *c != ')'; m->argument_count++) {
        CHECK(m->argument_count < ARGUMENTS_MAX, "%s takes more than %u", row->name, ARGUMENTS_MAX);
        c = read_argument(row, c, &m->arguments[m->argument_count]);
    }
}

/* ---- methods ---- */

static const struct method *current(lua_State *lua)
{
    return lua_touserdata(lua, lua_upvalueindex(1));
}

/* Writes "METHOD: ARGUMENT" of the argument at index. */
static void name_argument(lua_State *lua, int index, char *text, size_t size)
{
    const struct method *m = current(lua);
    CHECK(index >= FIRST_ARGUMENT && (unsigned)(index - FIRST_ARGUMENT) < m->argument_count,
          "%s has no argument at %d", m->row->name, index);
    const struct argument *a = &m->arguments[index - FIRST_ARGUMENT];
    snprintf(text, size, "%s: %.*s", m->row->name, a->name_size, a->name);
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
    return position_error(lua, "%s: %s", current(lua)->row->name, text);
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

/* The function of every row. */
static int call_checked(lua_State *lua)
{
    const struct method *m = current(lua);
    const char *name = m->row->name;
    if (!m->class->is_object(lua, 1)) {
        return position_error(lua, "%s: call it with a colon: %s:%s(...)", name, m->class->variable, name);
    }
    for (unsigned i = 0; i < m->argument_count; i++) {
        const struct argument *a = &m->arguments[i];
        int index = FIRST_ARGUMENT + (int)i;
        if (a->optional && lua_isnoneornil(lua, index)) {
            continue;
        }
        if (!a->kind->fits(lua, index)) {
            return binding_misuse(lua, index, "%s", a->kind->wanted);
        }
        make_whole(lua, index, a->kind);
    }
    return m->row->function(lua);
}

void binding_register(lua_State *lua, const struct binding_class *class, const struct binding *rows)
{
    for (const struct binding *row = rows; row->name; row++) {
        struct method *m = lua_newuserdatauv(lua, sizeof *m, 0);
        *m = (struct method){.row = row, .class = class};
        read_signature(m);
        lua_pushcclosure(lua, call_checked, 1);
        lua_setfield(lua, -2, row->name);
    }
}
