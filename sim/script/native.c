/* The prelude's functions in C. What they print is no part of Lua's memory: a path's length must not move a table. */

#include "script/native.h"

#include "machine/sim.h"
#include "script/binding.h"
#include "script/failure.h"
#include "script/position.h"
#include "script/sandbox.h"

#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

static struct tally *tally_of(lua_State *lua)
{
    return lua_touserdata(lua, lua_upvalueindex(1));
}

/* need(value, kind, what): the value, when it is of the kind */
static int native_need(lua_State *lua)
{
    lua_settop(lua, 3);
    binding_need(lua, 1, luaL_checkstring(lua, 2), luaL_checkstring(lua, 3));
    lua_settop(lua, 1);
    return 1;
}

/* misuse(text): an error at the scenario's line */
static int native_misuse(lua_State *lua)
{
    return position_error(lua, "%s", luaL_checkstring(lua, 1));
}

/* fail(text): an expectation that failed at the scenario's line */
static int native_fail(lua_State *lua)
{
    return failure_raise(lua, luaL_checkstring(lua, 1));
}

/* failure(value): any error value as a failure; a message handler */
static int native_failure(lua_State *lua)
{
    lua_settop(lua, 1);
    failure_convert(lua);
    return 1;
}

/* expression(): what stands in the brackets of expect(...) on the scenario's line, or nil */
static int native_expression(lua_State *lua)
{
    return position_push_expression(lua) ? 1 : 0;
}

/* now(): the clock of the machine that ran last, or nil */
static int native_now(lua_State *lua)
{
    const struct sandbox *s = sandbox_of(lua);
    if (!s->ran) {
        return 0;
    }
    lua_pushinteger(lua, (lua_Integer)sim_cycles(s->ran));
    return 1;
}

/* metatable(value): the real one, or nil */
static int native_metatable(lua_State *lua)
{
    lua_settop(lua, 1);
    return lua_getmetatable(lua, 1);
}

static int native_is_counter(lua_State *lua)
{
    lua_pushboolean(lua, sim_counter_find(luaL_checkstring(lua, 1)) >= 0);
    return 1;
}

static int native_started(lua_State *lua)
{
    tally_of(lua)->started++;
    return 0;
}

static int native_passed(lua_State *lua)
{
    tally_of(lua)->passed++;
    return 0;
}

void native_report_failure(lua_State *lua, struct tally *t, int indent, const char *name)
{
    struct failure f = failure_get(lua);
    char title[FAILURE_TEXT_BYTES];
    failure_one_line(name, strlen(name), title, sizeof title);
    printf("%*s  FAIL  %-40s ", indent, "", title);
    position_print(stdout, lua, f.position);
    printf("\n%*s        %s\n", indent, "", f.text);
    t->failed++;
}

/* failed(indent, name, failure) */
static int native_failed(lua_State *lua)
{
    lua_settop(lua, 3);
    failure_convert(lua);
    native_report_failure(lua, tally_of(lua), (int)lua_tointeger(lua, 1), luaL_checkstring(lua, 2));
    return 0;
}

void native_push_functions(lua_State *lua, struct tally *t)
{
    static const luaL_Reg functions[] = {
        {"need", native_need},
        {"misuse", native_misuse},
        {"fail", native_fail},
        {"failure", native_failure},
        {"expression", native_expression},
        {"now", native_now},
        {"is_counter", native_is_counter},
        {"metatable", native_metatable},
        {"started", native_started},
        {"passed", native_passed},
        {"failed", native_failed},
        {NULL, NULL},
    };
    lua_newtable(lua);
    lua_pushlightuserdata(lua, t);
    luaL_setfuncs(lua, functions, 1);
}
