/* Failures: from any error value to one line and a position. */

#include "script/failure.h"

#include "base/check.h"
#include "script/position.h"
#include "script/sandbox.h"

#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

#define FAILURE_TYPE "orrery.failure"

void failure_one_line(const char *text, size_t text_size, char *out, size_t size)
{
    static const char more[] = "...";
    CHECK(size >= FAILURE_LINE_MIN, "a line of %zu bytes", size);
    size_t at = 0, room = size - FAILURE_LINE_MIN;
    for (size_t i = 0; i < text_size; i++) {
        unsigned char c = (unsigned char)text[i];
        if (at >= room && text_size - i > 3) {
            while (at > 0 && ((unsigned char)text[i] & 0xc0) == 0x80) { /* not within a character of UTF-8 */
                i--;
                at--;
            }
            memcpy(out + at, more, sizeof more);
            return;
        }
        if (c == '\n') {
            at += (size_t)snprintf(out + at, size - at, "\\n");
        } else if (c < 32 || c == 127) {
            out[at++] = '?';
        } else {
            out[at++] = (char)c;
        }
    }
    out[at] = 0;
}

static void push_failure(lua_State *lua, const char *position, const char *text, bool expectation)
{
    lua_createtable(lua, 0, 3);
    lua_pushstring(lua, position);
    lua_setfield(lua, -2, "position");
    lua_pushstring(lua, text);
    lua_setfield(lua, -2, "text");
    lua_pushboolean(lua, expectation);
    lua_setfield(lua, -2, "expectation");
    luaL_setmetatable(lua, FAILURE_TYPE);
}

int failure_raise(lua_State *lua, const char *text)
{
    char position[POSITION_BYTES], line[FAILURE_TEXT_BYTES];
    failure_one_line(text, strlen(text), line, sizeof line);
    position_find(lua, 0, position, sizeof position);
    push_failure(lua, position, line, true);
    return lua_error(lua);
}

static bool is_failure(lua_State *lua, int index)
{
    if (!lua_istable(lua, index) || !lua_getmetatable(lua, index)) {
        return false;
    }
    luaL_getmetatable(lua, FAILURE_TYPE);
    bool same = lua_rawequal(lua, -1, -2);
    lua_pop(lua, 2);
    return same;
}

static const char *raw_text(lua_State *lua, const char *name)
{
    lua_pushstring(lua, name);
    lua_rawget(lua, -2);
    const char *text = lua_type(lua, -1) == LUA_TSTRING ? lua_tostring(lua, -1) : "?";
    lua_pop(lua, 1); /* the failure keeps it alive */
    return text;
}

struct failure failure_get(lua_State *lua)
{
    struct failure f = {.text = raw_text(lua, "text"), .position = raw_text(lua, "position")};
    lua_pushstring(lua, "expectation");
    lua_rawget(lua, -2);
    f.expectation = lua_toboolean(lua, -1);
    lua_pop(lua, 1);
    return f;
}

static int text_of_value(lua_State *lua)
{
    sandbox_push_text(lua, 1);
    return 1;
}

/* Pushes the text of the error value on top: its own, or what kind of value it is. Calls no more of the scenario than
 * __tostring. */
static void push_error_text(lua_State *lua)
{
    int value = lua_gettop(lua);
    bool plain = lua_isstring(lua, value);
    bool has_text = plain || luaL_getmetafield(lua, value, "__tostring") != LUA_TNIL;
    lua_settop(lua, value);
    if (has_text) {
        lua_pushcfunction(lua, text_of_value);
        lua_pushvalue(lua, value);
        if (lua_pcall(lua, 1, 1, 0) == LUA_OK && lua_type(lua, -1) == LUA_TSTRING) {
            return;
        }
        lua_settop(lua, value);
    }
    lua_pushfstring(lua, "error with a value that is no text (%s)", luaL_typename(lua, value));
}

/* The innermost position that the text begins with is where it happened; coroutine.wrap puts its own before it. The
 * prelude's own lines are no places in a scenario. */
void failure_convert(lua_State *lua)
{
    char position[POSITION_BYTES], inner[POSITION_BYTES], line[FAILURE_TEXT_BYTES];
    if (is_failure(lua, -1)) {
        return;
    }
    position_find(lua, 0, position, sizeof position);
    push_error_text(lua);
    size_t size;
    const char *text = lua_tolstring(lua, -1, &size), *rest = text, *next;
    while ((next = position_split(lua, rest, inner, sizeof inner))) {
        rest = next;
        if (strncmp(inner, SANDBOX_PRELUDE ":", strlen(SANDBOX_PRELUDE ":")) != 0 && inner[0] != '.') {
            strcpy(position, inner); /* a name that Lua cut begins with dots */
        }
    }
    if (strcmp(rest, "not enough memory") == 0) { /* Lua's own, and it has no position */
        snprintf(position, sizeof position, "%s", sandbox_of(lua)->refused_at);
        snprintf(line, sizeof line, "the scenario used up its %u MiB of memory",
                 (unsigned)(SANDBOX_MEMORY_BYTES >> 20));
    } else {
        failure_one_line(rest, size - (size_t)(rest - text), line, sizeof line);
    }
    push_failure(lua, position, line, false);
    lua_replace(lua, -3);
    lua_pop(lua, 1);
}

static int failure_tostring(lua_State *lua)
{
    lua_settop(lua, 1);
    luaL_checktype(lua, 1, LUA_TTABLE);
    struct failure f = failure_get(lua);
    lua_pushfstring(lua, "%s: %s", f.position, f.text);
    return 1;
}

void failure_open(lua_State *lua)
{
    luaL_newmetatable(lua, FAILURE_TYPE);
    sandbox_push_function(lua, failure_tostring);
    lua_setfield(lua, -2, "__tostring");
    lua_pushboolean(lua, 0);
    lua_setfield(lua, -2, "__metatable");
    lua_pop(lua, 1);
}
