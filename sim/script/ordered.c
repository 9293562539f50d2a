/* Ordered traversal of Lua tables. A __pairs metamethod is honoured as in stock Lua. */

#include "script/ordered.h"

#include "script/position.h"
#include "script/sandbox.h"
#include "script/sort.h"

#include <lauxlib.h>
#include <stdbool.h>
#include <string.h>

/* True when the key at index a goes before the key at index b. */
static bool key_before(lua_State *lua, int a, int b)
{
    bool number_a = lua_type(lua, a) == LUA_TNUMBER, number_b = lua_type(lua, b) == LUA_TNUMBER;
    if (number_a != number_b) {
        return number_a;
    }
    if (number_a) {
        return lua_compare(lua, a, b, LUA_OPLT);
    }
    size_t size_a, size_b;
    const char *text_a = lua_tolstring(lua, a, &size_a), *text_b = lua_tolstring(lua, b, &size_b);
    int order = memcmp(text_a, text_b, size_a < size_b ? size_a : size_b);
    return order ? order < 0 : size_a < size_b;
}

static void check_key(lua_State *lua, int index)
{
    int type = lua_type(lua, index);
    if (type != LUA_TNUMBER && type != LUA_TSTRING) {
        position_error(lua, "pairs: a key of type %s has no defined order; use numbers or strings",
                       lua_typename(lua, type));
    }
}

static int compare_keys(lua_State *lua)
{
    lua_pushboolean(lua, key_before(lua, 1, 2));
    return 1;
}

/* Pushes a sequence of the keys of the table at index 1, in order. */
static void push_sorted_keys(lua_State *lua)
{
    lua_Integer count = 0;
    lua_newtable(lua);
    int keys = lua_gettop(lua);
    lua_pushnil(lua);
    while (lua_next(lua, 1)) {
        lua_pop(lua, 1);
        sandbox_charge(lua, 1);
        check_key(lua, -1);
        lua_pushvalue(lua, -1);
        lua_rawseti(lua, keys, ++count);
    }
    lua_pushcfunction(lua, sort_table);
    lua_pushvalue(lua, keys);
    lua_pushcfunction(lua, compare_keys);
    lua_call(lua, 2, 0);
}

/* Upvalues: keys, position. A key whose value became nil during the traversal is passed over. */
static int step(lua_State *lua)
{
    for (;;) {
        lua_Integer position = lua_tointeger(lua, lua_upvalueindex(2)) + 1;
        lua_pushinteger(lua, position);
        lua_replace(lua, lua_upvalueindex(2));
        if (lua_rawgeti(lua, lua_upvalueindex(1), position) == LUA_TNIL) {
            return 1;
        }
        lua_pushvalue(lua, -1);
        if (lua_rawget(lua, 1) != LUA_TNIL) {
            return 2;
        }
        lua_settop(lua, 1);
    }
}

int ordered_pairs(lua_State *lua)
{
    luaL_checkany(lua, 1);
    if (luaL_getmetafield(lua, 1, "__pairs") != LUA_TNIL) {
        lua_pushvalue(lua, 1);
        lua_call(lua, 1, 3);
        return 3;
    }
    luaL_checktype(lua, 1, LUA_TTABLE);
    lua_settop(lua, 1);
    push_sorted_keys(lua);
    lua_pushinteger(lua, 0);
    lua_pushcclosure(lua, step, 2);
    lua_pushvalue(lua, 1);
    lua_pushnil(lua);
    return 3;
}

/* next(t, key): the smallest key after key. Linear in the table's size. */
int ordered_next(lua_State *lua)
{
    luaL_checktype(lua, 1, LUA_TTABLE);
    lua_settop(lua, 2);
    if (!lua_isnil(lua, 2)) {
        check_key(lua, 2);
    }
    lua_pushnil(lua); /* 3: the best so far */
    lua_pushnil(lua);
    while (lua_next(lua, 1)) {
        lua_pop(lua, 1);
        sandbox_charge(lua, 1);
        check_key(lua, -1);
        bool after = lua_isnil(lua, 2) || key_before(lua, 2, lua_gettop(lua));
        if (after && (lua_isnil(lua, 3) || key_before(lua, lua_gettop(lua), 3))) {
            lua_pushvalue(lua, -1);
            lua_replace(lua, 3);
        }
    }
    lua_settop(lua, 3);
    if (lua_isnil(lua, 3)) {
        return 1;
    }
    lua_pushvalue(lua, 3);
    lua_rawget(lua, 1);
    return 2;
}

int ordered_ipairs_step(lua_State *lua)
{
    lua_Integer i = (lua_Integer)((lua_Unsigned)luaL_checkinteger(lua, 2) + 1);
    lua_pushinteger(lua, i);
    return lua_geti(lua, 1, i) == LUA_TNIL ? 1 : 2;
}

int ordered_ipairs(lua_State *lua)
{
    luaL_checkany(lua, 1);
    lua_pushvalue(lua, lua_upvalueindex(1));
    lua_pushvalue(lua, 1);
    lua_pushinteger(lua, 0);
    return 3;
}
