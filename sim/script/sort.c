/* Bottom-up merge sort of a Lua sequence: the same comparisons in the same order on every run. */

#include "script/sort.h"

#include "script/sandbox.h"

#include <lauxlib.h>
#include <limits.h>
#include <stdbool.h>

/* Stack slots. */
#define TABLE  1
#define BEFORE 2
#define FROM   3 /* scratch tables, swapped after each round */
#define TO     4

/* Is the value at -1 before the value at -2? Both stay. */
static bool goes_before(lua_State *lua)
{
    if (lua_isnil(lua, BEFORE)) {
        return lua_compare(lua, -1, -2, LUA_OPLT);
    }
    lua_pushvalue(lua, BEFORE);
    lua_pushvalue(lua, -2);
    lua_pushvalue(lua, -4);
    lua_call(lua, 2, 1);
    bool result = lua_toboolean(lua, -1);
    lua_pop(lua, 1);
    return result;
}

/* Merges FROM[low, middle) and FROM[middle, high) into TO[low, high). */
static void merge(lua_State *lua, lua_Integer low, lua_Integer middle, lua_Integer high)
{
    lua_Integer left = low, right = middle;
    sandbox_charge(lua, (uint64_t)(high - low));
    for (lua_Integer to = low; to < high; to++) {
        bool take_right = left >= middle;
        if (!take_right && right < high) {
            lua_rawgeti(lua, FROM, left);
            lua_rawgeti(lua, FROM, right);
            take_right = goes_before(lua); /* equal ones keep their order */
            lua_pop(lua, 2);
        }
        lua_rawgeti(lua, FROM, take_right ? right++ : left++);
        lua_rawseti(lua, TO, to);
    }
}

static lua_Integer smaller(lua_Integer a, lua_Integer b)
{
    return a < b ? a : b;
}

int sort_table(lua_State *lua)
{
    luaL_checktype(lua, 1, LUA_TTABLE);
    lua_Integer count = luaL_len(lua, 1);
    luaL_argcheck(lua, count < INT_MAX / 2, 1, "array too big");
    if (!lua_isnoneornil(lua, 2)) {
        luaL_checktype(lua, 2, LUA_TFUNCTION);
    }
    lua_settop(lua, 2);
    lua_createtable(lua, (int)count, 0);
    lua_createtable(lua, (int)count, 0);
    sandbox_charge(lua, (uint64_t)count);
    for (lua_Integer i = 1; i <= count; i++) {
        lua_geti(lua, TABLE, i);
        lua_rawseti(lua, FROM, i);
    }
    for (lua_Integer width = 1; width < count; width *= 2) {
        for (lua_Integer low = 1; low <= count; low += 2 * width) {
            merge(lua, low, smaller(low + width, count + 1), smaller(low + 2 * width, count + 1));
        }
        lua_insert(lua, FROM); /* TO becomes FROM */
    }
    for (lua_Integer i = 1; i <= count; i++) {
        lua_rawgeti(lua, FROM, i);
        lua_seti(lua, TABLE, i);
    }
    return 0;
}
