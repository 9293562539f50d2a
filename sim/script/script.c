/* Running a scenario: sandbox, prelude, arguments, the file, the count of passed and failed tests. */

#include "script/script.h"

#include "script/sandbox.h"

#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

static const unsigned char prelude[] = {
#include "prelude.inc"
};

/* orrery.where(level): "file:line" of the scenario's own frame nearest to the error. */
static int lua_where(lua_State *lua)
{
    lua_Debug ar;
    for (int level = (int)luaL_optinteger(lua, 1, 1); lua_getstack(lua, level, &ar); level++) {
        lua_getinfo(lua, "Sl", &ar);
        if (ar.currentline > 0 && strcmp(ar.short_src, "prelude") != 0) {
            lua_pushfstring(lua, "%s/%s:%d", sandbox_of(lua)->directory, ar.short_src, ar.currentline);
            return 1;
        }
    }
    lua_pushstring(lua, "?");
    return 1;
}

/* orrery.args from --set: numbers become numbers. */
static void push_args(lua_State *lua, const struct script_options *o)
{
    lua_newtable(lua);
    for (unsigned i = 0; i < o->set_count; i++) {
        const char *equals = strchr(o->sets[i], '=');
        lua_pushlstring(lua, o->sets[i], (size_t)(equals - o->sets[i]));
        if (lua_stringtonumber(lua, equals + 1) == 0) {
            lua_pushstring(lua, equals + 1);
        }
        lua_rawset(lua, -3);
    }
    if (sim_config_given(&o->defaults.config, PARAMETER_CPUS)) {
        lua_pushinteger(lua, (lua_Integer)o->defaults.config.cpus);
        lua_setfield(lua, -2, "cpus");
    }
    lua_pushinteger(lua, (lua_Integer)o->defaults.config.seed);
    lua_setfield(lua, -2, "seed");
}

static void open_orrery(lua_State *lua, const struct script_options *o)
{
    lua_newtable(lua);
    push_args(lua, o);
    lua_setfield(lua, -2, "args");
    sandbox_push_function(lua, lua_where);
    lua_setfield(lua, -2, "where");
    lua_setglobal(lua, "orrery");
}

/* Turns an error value into text with a traceback's first line of the scenario. */
static int on_error(lua_State *lua)
{
    if (lua_istable(lua, 1) && lua_getfield(lua, 1, "expectation") == LUA_TSTRING) {
        return 1;
    }
    sandbox_push_text(lua, 1);
    return 1;
}

static bool call(lua_State *lua, const char **message)
{
    lua_pushcfunction(lua, on_error);
    lua_insert(lua, -2);
    if (lua_pcall(lua, 0, 0, -2) != LUA_OK) {
        *message = lua_tostring(lua, -1);
        return false;
    }
    lua_pop(lua, 1);
    return true;
}

#define RESULTS_KEY "orrery.results"

/* Keeps the prelude's table of results out of the scenario's reach. */
static void keep_results(lua_State *lua)
{
    lua_getglobal(lua, "orrery");
    lua_getfield(lua, -1, "results");
    lua_setfield(lua, LUA_REGISTRYINDEX, RESULTS_KEY);
    lua_pop(lua, 1);
}

/* A number of the results, without metamethods: nothing can go wrong here, whatever the scenario did to the table. */
static unsigned result_field(lua_State *lua, const char *name)
{
    unsigned v = 0;
    if (lua_getfield(lua, LUA_REGISTRYINDEX, RESULTS_KEY) == LUA_TTABLE) {
        lua_pushstring(lua, name);
        lua_rawget(lua, -2);
        v = (unsigned)lua_tointeger(lua, -1);
        lua_pop(lua, 1);
    }
    lua_pop(lua, 1);
    return v;
}

static bool run(struct sandbox *s, const struct script_options *o, struct script_result *r, struct error *e)
{
    const char *message = "";
    struct script_defaults defaults = o->defaults;
    open_orrery(s->lua, o);
    machine_open(s->lua, &defaults, &r->machines);
    if (!sandbox_load(s, "prelude", (const char *)prelude, sizeof prelude, e) || !call(s->lua, &message)) {
        return error_set(e, "prelude: %s", message);
    }
    keep_results(s->lua);
    if (!sandbox_load(s, o->path, o->text, o->size, e)) {
        return false;
    }
    if (!call(s->lua, &message)) {
        printf("ERROR %s\n", message ? message : "(no message)");
        r->error = true;
    }
    r->passed = result_field(s->lua, "passed");
    r->failed = result_field(s->lua, "failed");
    return true;
}

bool script_run(const struct script_options *o, struct script_result *r, struct error *e)
{
    struct sandbox s;
    *r = (struct script_result){0};
    if (!sandbox_init(&s, o->path, o->defaults.config.seed, e)) {
        return false;
    }
    s.budget_instructions = o->instructions ? o->instructions : s.budget_instructions;
    bool ok = run(&s, o, r, e);
    sandbox_deinit(&s);
    return ok;
}

void script_result_deinit(struct script_result *r)
{
    machine_free_all(r->machines);
    r->machines = NULL;
}
