/*
 * Table functions, charged for each element before they touch it. Source: Lua 5.4 Reference Manual, "Table Manipulation".
 * Deviations: table.sort is a stable merge sort (script/sort.h) and takes tables only, as does table.concat.
 */

#include "script/table_library.h"

#include "script/sandbox.h"
#include "script/sort.h"

#include <lauxlib.h>
#include <lualib.h>

static int table_concat(lua_State *lua)
{
    size_t size;
    luaL_checktype(lua, 1, LUA_TTABLE);
    lua_Integer length = luaL_len(lua, 1);
    const char *between = luaL_optlstring(lua, 2, "", &size);
    lua_Integer first = luaL_optinteger(lua, 3, 1), last = luaL_optinteger(lua, 4, length);
    luaL_Buffer b;
    luaL_buffinit(lua, &b);
    for (lua_Integer i = first; i <= last; i++) {
        sandbox_charge(lua, 1);
        lua_geti(lua, 1, i);
        if (!lua_isstring(lua, -1)) {
            return luaL_error(lua, "invalid value (%s) at index %I in table for 'concat'",
                              luaL_typename(lua, -1), (LUAI_UACINT)i);
        }
        luaL_addvalue(&b);
        if (i == last) {
            break; /* the last may be the largest integer there is */
        }
        luaL_addlstring(&b, between, size);
    }
    luaL_pushresult(&b);
    return 1;
}

/* Elements of [first, last]. */
static uint64_t elements(lua_Integer first, lua_Integer last)
{
    return first <= last ? (uint64_t)last - (uint64_t)first + 1 : 0;
}

/* In the frame of the caller, so that messages name the right function and line. Its upvalue: the stock function. */
static int call_stock(lua_State *lua)
{
    return lua_tocfunction(lua, lua_upvalueindex(1))(lua);
}

/* insert(t, position, value), remove(t, position): what is behind the position moves. */
static int table_shift(lua_State *lua)
{
    if (lua_istable(lua, 1) && lua_isinteger(lua, 2) && lua_gettop(lua) <= 3) {
        lua_Integer length = luaL_len(lua, 1), position = lua_tointeger(lua, 2);
        sandbox_charge(lua, position >= 1 ? elements(position, length) : 0);
    }
    return call_stock(lua);
}

/* move(t, first, last, ...) */
static int table_move(lua_State *lua)
{
    sandbox_charge(lua, elements(luaL_checkinteger(lua, 2), luaL_checkinteger(lua, 3)));
    return call_stock(lua);
}

/* unpack(t, first, last): what does not fit the stack is refused by the stock function, before it does anything. */
static int table_unpack(lua_State *lua)
{
    lua_Integer first = luaL_optinteger(lua, 2, 1);
    lua_Integer last = luaL_opt(lua, luaL_checkinteger, 3, luaL_len(lua, 1));
    uint64_t count = elements(first, last);
    lua_settop(lua, 1);
    lua_pushinteger(lua, first);
    lua_pushinteger(lua, last);
    sandbox_charge(lua, count < LUAI_MAXSTACK ? count : 1);
    return call_stock(lua);
}

/* In the table on top: the stock function becomes the upvalue of f. */
static void wrap(lua_State *lua, const char *name, lua_CFunction f)
{
    lua_getfield(lua, -1, name);
    lua_pushcclosure(lua, f, 1);
    lua_setfield(lua, -2, name);
}

void table_library_open(lua_State *lua)
{
    static const luaL_Reg own[] = {{"concat", table_concat}, {"sort", sort_table}, {NULL, NULL}};
    lua_getglobal(lua, LUA_TABLIBNAME);
    luaL_setfuncs(lua, own, 0);
    wrap(lua, "insert", table_shift);
    wrap(lua, "remove", table_shift);
    wrap(lua, "move", table_move);
    wrap(lua, "unpack", table_unpack);
    lua_pop(lua, 1);
}
