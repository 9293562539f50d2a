/*
 * String functions whose work is not bounded by the number of Lua instructions. Source: Lua 5.4 Reference Manual, "String
 * Manipulation". Searching goes through script/pattern.h; the others charge first and call the stock function. (What a
 * function returns is charged where strings are made: the sandbox's allocator.)
 * Deviations: string.format takes what tostring would show for any argument, and refuses %p; string.rep refuses at once
 * what cannot fit the memory limit.
 */

#include "script/string_library.h"

#include "script/pattern.h"

#include <lauxlib.h>
#include <lualib.h>
#include <string.h>

/* ---- find and match ---- */

/* A position argument: counted from 0, negative ones from the end; below the start is the start. */
static size_t check_position(lua_State *lua, int index, lua_Integer otherwise, size_t size)
{
    lua_Integer at = luaL_optinteger(lua, index, otherwise);
    if (at > 0) {
        return (size_t)at - 1;
    }
    return at == 0 || at < -(lua_Integer)size ? 0 : (size_t)((lua_Integer)size + at);
}

static bool has_specials(const char *text, size_t size)
{
    static const char specials[] = "^$*+?.([%-";
    for (size_t i = 0; i < size; i++) {
        if (text[i] && strchr(specials, text[i])) {
            return true;
        }
    }
    return false;
}

/* The first occurrence of text in [s, end), or NULL. */
static const char *find_plain(lua_State *lua, const char *s, const char *end, const char *text, size_t size)
{
    struct sandbox *sandbox = sandbox_of(lua);
    if (size == 0) {
        return s;
    }
    while ((size_t)(end - s) >= size) {
        const char *at = memchr(s, text[0], (size_t)(end - s) - size + 1);
        sandbox_spend(sandbox, lua, (uint64_t)((at ? at : end) - s) / SANDBOX_BYTES_PER_STEP);
        if (!at) {
            return NULL;
        }
        sandbox_spend(sandbox, lua, 1 + size / SANDBOX_BYTES_PER_STEP);
        if (memcmp(at, text, size) == 0) {
            return at;
        }
        s = at + 1;
    }
    return NULL;
}

static int push_found(lua_State *lua, size_t first, size_t size)
{
    lua_pushinteger(lua, (lua_Integer)first + 1);
    lua_pushinteger(lua, (lua_Integer)(first + size));
    return 2;
}

static int find_or_match(lua_State *lua, bool find)
{
    size_t size, text_size;
    const char *subject = luaL_checklstring(lua, 1, &size), *text = luaL_checklstring(lua, 2, &text_size);
    size_t start = check_position(lua, 3, 1, size);
    struct pattern p;
    if (start > size) {
        lua_pushnil(lua);
        return 1;
    }
    sandbox_charge(lua, text_size / SANDBOX_BYTES_PER_STEP);
    if (find && (lua_toboolean(lua, 4) || !has_specials(text, text_size))) {
        const char *at = find_plain(lua, subject + start, subject + size, text, text_size);
        if (at) {
            return push_found(lua, (size_t)(at - subject), text_size);
        }
        lua_pushnil(lua);
        return 1;
    }
    bool anchored = *text == '^';
    pattern_init(&p, lua, subject, size, text, text_size);
    for (const char *s = subject + start; s <= subject + size; s++) {
        const char *e = pattern_match(&p, s, text + anchored);
        if (e && find) {
            return push_found(lua, (size_t)(s - subject), (size_t)(e - s)) +
                   pattern_push_captures(&p, NULL, NULL);
        }
        if (e) {
            return pattern_push_captures(&p, s, e);
        }
        if (anchored) {
            break;
        }
    }
    lua_pushnil(lua);
    return 1;
}

static int string_find(lua_State *lua)
{
    return find_or_match(lua, true);
}

static int string_match(lua_State *lua)
{
    return find_or_match(lua, false);
}

/* ---- gmatch ---- */

/* Upvalues: subject, pattern, where to look next, end of the last match (-1: none); counted from 0. */
static int gmatch_step(lua_State *lua)
{
    size_t size, text_size;
    struct pattern p;
    const char *subject = lua_tolstring(lua, lua_upvalueindex(1), &size);
    const char *text = lua_tolstring(lua, lua_upvalueindex(2), &text_size);
    lua_Integer last = lua_tointeger(lua, lua_upvalueindex(4));
    pattern_init(&p, lua, subject, size, text, text_size);
    for (lua_Integer at = lua_tointeger(lua, lua_upvalueindex(3)); at <= (lua_Integer)size; at++) {
        const char *e = pattern_match(&p, subject + at, text);
        if (e && e - subject != last) {
            lua_pushinteger(lua, e - subject);
            lua_copy(lua, -1, lua_upvalueindex(3));
            lua_replace(lua, lua_upvalueindex(4));
            return pattern_push_captures(&p, subject + at, e);
        }
    }
    return 0;
}

static int string_gmatch(lua_State *lua)
{
    size_t size;
    luaL_checklstring(lua, 1, &size);
    luaL_checkstring(lua, 2);
    size_t start = check_position(lua, 3, 1, size);
    lua_settop(lua, 2);
    lua_pushinteger(lua, (lua_Integer)(start > size ? size + 1 : start));
    lua_pushinteger(lua, -1);
    lua_pushcclosure(lua, gmatch_step, 4);
    return 1;
}

/* ---- gsub ---- */

#define REPLACEMENT 3

/* The replacement text, with %0 to %9 and %%. */
static void add_text(luaL_Buffer *b, struct pattern *p, const char *s, const char *e)
{
    size_t size;
    const char *text = lua_tolstring(p->lua, REPLACEMENT, &size), *end = text + size;
    sandbox_charge(p->lua, size / SANDBOX_BYTES_PER_STEP);
    for (;;) {
        const char *escape = memchr(text, '%', (size_t)(end - text));
        luaL_addlstring(b, text, (size_t)((escape ? escape : end) - text));
        if (!escape) {
            return;
        }
        sandbox_charge(p->lua, 1);
        text = escape + 2;
        if (escape[1] == '%') {
            luaL_addchar(b, '%');
        } else if (escape[1] == '0') {
            luaL_addlstring(b, s, (size_t)(e - s));
        } else if (escape[1] >= '1' && escape[1] <= '9') {
            pattern_push_capture(p, (unsigned)(escape[1] - '1'), s, e);
            luaL_tolstring(p->lua, -1, NULL);
            lua_remove(p->lua, -2);
            luaL_addvalue(b);
        } else {
            luaL_error(p->lua, "invalid use of '%c' in replacement string", '%');
        }
    }
}

/* Adds what takes the place of the match [s, e); false: the match itself stays. */
static bool add_replacement(luaL_Buffer *b, struct pattern *p, const char *s, const char *e)
{
    int type = lua_type(p->lua, REPLACEMENT);
    if (type == LUA_TFUNCTION) {
        lua_pushvalue(p->lua, REPLACEMENT);
        lua_call(p->lua, pattern_push_captures(p, s, e), 1);
    } else if (type == LUA_TTABLE) {
        pattern_push_capture(p, 0, s, e);
        lua_gettable(p->lua, REPLACEMENT);
    } else {
        add_text(b, p, s, e);
        return true;
    }
    if (!lua_toboolean(p->lua, -1)) {
        lua_pop(p->lua, 1);
        luaL_addlstring(b, s, (size_t)(e - s));
        return false;
    }
    if (!lua_isstring(p->lua, -1)) {
        luaL_error(p->lua, "invalid replacement value (a %s)", luaL_typename(p->lua, -1));
    }
    luaL_addvalue(b);
    return true;
}

static int string_gsub(lua_State *lua)
{
    size_t size, text_size;
    const char *s = luaL_checklstring(lua, 1, &size), *text = luaL_checklstring(lua, 2, &text_size);
    const char *end = s + size, *last = NULL;
    int type = lua_type(lua, REPLACEMENT);
    lua_Integer most = luaL_optinteger(lua, 4, (lua_Integer)size + 1), count = 0;
    luaL_argexpected(
        lua, type == LUA_TNUMBER || type == LUA_TSTRING || type == LUA_TTABLE || type == LUA_TFUNCTION,
        REPLACEMENT, "string/function/table");
    bool anchored = *text == '^', changed = false;
    struct pattern p;
    luaL_Buffer b;
    pattern_init(&p, lua, s, size, text, text_size);
    luaL_buffinit(lua, &b);
    while (count < most) {
        const char *e = pattern_match(&p, s, text + anchored);
        if (e && e != last) {
            count++;
            changed |= add_replacement(&b, &p, s, e);
            s = last = e;
        } else if (s < end) {
            luaL_addchar(&b, *s);
            s++;
        } else {
            break;
        }
        if (anchored) {
            break;
        }
    }
    luaL_addlstring(&b, s, (size_t)(end - s));
    luaL_pushresult(&b);
    if (!changed) {
        lua_pushvalue(lua, 1);
    }
    lua_pushinteger(lua, count);
    return 2;
}

/* ---- functions that charge and go on to the stock one, their upvalue ---- */

/* In the frame of the caller, so that messages name the right function and line. */
static int call_stock(lua_State *lua)
{
    return lua_tocfunction(lua, lua_upvalueindex(1))(lua);
}

static void charge_text(lua_State *lua, int index)
{
    size_t size;
    if (lua_type(lua, index) == LUA_TSTRING && lua_tolstring(lua, index, &size)) {
        sandbox_charge(lua, size / SANDBOX_BYTES_PER_STEP);
    }
}

/* format: arguments that are not numbers or strings become text first; %p is refused. */
static int string_format(lua_State *lua)
{
    const char *format = luaL_checkstring(lua, 1);
    charge_text(lua, 1);
    for (const char *p = strchr(format, '%'); p; p = strchr(p, '%')) {
        p++;
        p += strspn(p, "-+ #0123456789.");
        if (*p == 'p') {
            return luaL_error(lua, "string.format: %%p would show an address");
        }
        p += *p != 0;
    }
    for (int i = lua_gettop(lua); i >= 2; i--) {
        int type = lua_type(lua, i);
        if (type != LUA_TNUMBER && type != LUA_TSTRING) {
            sandbox_push_text(lua, i);
            lua_replace(lua, i);
        }
        charge_text(lua, i);
    }
    return call_stock(lua);
}

static int string_rep(lua_State *lua)
{
    size_t size, between;
    luaL_checklstring(lua, 1, &size);
    lua_Integer count = luaL_checkinteger(lua, 2);
    luaL_optlstring(lua, 3, "", &between);
    if (count > 0 && size + between == 0) {
        lua_pushstring(lua, "");
        return 1;
    }
    if (count > 0 && (uint64_t)count > SANDBOX_MEMORY_BYTES / (size + between)) {
        return luaL_error(lua, "resulting string too large");
    }
    sandbox_charge(lua, count > 0 ? (uint64_t)count : 0);
    return call_stock(lua);
}

/* pack, packsize, unpack, tonumber: a format or a number is read from its start to its end. */
static int read_first(lua_State *lua)
{
    charge_text(lua, 1);
    return call_stock(lua);
}

/* byte(s, i, j), utf8.codepoint(s, i, j), utf8.len(s, i, j). The second upvalue: 0 when j is i unless it is given, -1 when
 * it is the end. */
static int read_range(lua_State *lua)
{
    size_t size;
    lua_Integer last = lua_tointeger(lua, lua_upvalueindex(2));
    luaL_checklstring(lua, 1, &size);
    size_t from = check_position(lua, 2, 1, size);
    size_t to = lua_isnoneornil(lua, 3) && last == 0 ? from : check_position(lua, 3, -1, size);
    to = to < size ? to : size;
    sandbox_charge(lua, from <= to ? to - from + 1 : 0);
    return call_stock(lua);
}

/* utf8.offset(s, n, i) passes over continuation bytes, of which there may be any number in a row. */
static int utf8_offset(lua_State *lua)
{
    size_t size;
    luaL_checklstring(lua, 1, &size);
    sandbox_charge(lua, 1 + size / SANDBOX_BYTES_PER_STEP);
    return call_stock(lua);
}

/* utf8.codes: its function of a step becomes an object of its own. */
static int utf8_codes(lua_State *lua)
{
    int count = call_stock(lua);
    sandbox_push_function(lua, lua_tocfunction(lua, -count));
    lua_replace(lua, -count - 1);
    return count;
}

/* ---- opening ---- */

/* In the table on top: the stock function becomes the first upvalue of f, a number the second. */
static void wrap(lua_State *lua, const char *name, lua_CFunction f, lua_Integer number)
{
    lua_getfield(lua, -1, name);
    lua_pushinteger(lua, number);
    lua_pushcclosure(lua, f, 2);
    lua_setfield(lua, -2, name);
}

void string_library_open(lua_State *lua)
{
    static const luaL_Reg own[] = {{"find", string_find},
                                   {"match", string_match},
                                   {"gmatch", string_gmatch},
                                   {"gsub", string_gsub},
                                   {NULL, NULL}};
    lua_getglobal(lua, LUA_STRLIBNAME);
    luaL_setfuncs(lua, own, 0);
    lua_pushnil(lua);
    lua_setfield(lua, -2, "dump");
    wrap(lua, "format", string_format, 0);
    wrap(lua, "rep", string_rep, 0);
    wrap(lua, "pack", read_first, 0);
    wrap(lua, "packsize", read_first, 0);
    wrap(lua, "unpack", read_first, 0);
    wrap(lua, "byte", read_range, 0);
    lua_pop(lua, 1);
    lua_getglobal(lua, LUA_UTF8LIBNAME);
    wrap(lua, "len", read_range, -1);
    wrap(lua, "codepoint", read_range, 0);
    wrap(lua, "offset", utf8_offset, 0);
    wrap(lua, "codes", utf8_codes, 0);
    lua_pop(lua, 1);
    lua_pushglobaltable(lua);
    wrap(lua, "tonumber", read_first, 0);
    lua_pop(lua, 1);
}
