/* Running a scenario: sandbox, prelude, arguments, the file, what came of it. */

#include "script/script.h"

#include "base/check.h"
#include "script/failure.h"
#include "script/machine.h"
#include "script/native.h"
#include "script/sandbox.h"

#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

static const unsigned char prelude[] = {
#include "prelude.inc"
};

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
    lua_setglobal(lua, "orrery");
}

/* The prelude's arguments: the functions of native.c, the methods of a machine, what creates one. */
static void open_prelude(struct sandbox *s, const struct script_options *o, struct script_result *r,
                         struct tally *tally)
{
    struct error e;
    bool loaded = sandbox_load(s, "@" SANDBOX_PRELUDE, (const char *)prelude, sizeof prelude, &e);
    CHECK(loaded, "%s", e.text);
    native_push_functions(s->lua, tally);
    failure_open(s->lua);
    machine_open(s->lua, &o->defaults, &r->machines);
    loaded = lua_pcall(s->lua, 3, 0, 0) == LUA_OK;
    CHECK(loaded, "%s", lua_tostring(s->lua, -1));
}

static int handle_error(lua_State *lua)
{
    lua_settop(lua, 1);
    failure_convert(lua);
    return 1;
}

/* What the end of the scenario left, on the stack: the result, the tally, the error value. Protected: a message needs memory,
 * and there may be none. */
static int take_error(lua_State *lua)
{
    struct script_result *r = lua_touserdata(lua, 1);
    struct tally *tally = lua_touserdata(lua, 2);
    lua_settop(lua, 3);
    failure_convert(lua);
    struct failure f = failure_get(lua);
    if (f.expectation) {
        tally->started++;
        native_report_failure(lua, tally, 0, "(outside a test)");
    } else {
        error_set(&r->error, "%s%s: %s", sandbox_of(lua)->prefix, f.position, f.text);
    }
    return 0;
}

static void run_file(struct sandbox *s, struct script_result *r, struct tally *tally)
{
    lua_State *lua = s->lua;
    lua_pushcfunction(lua, handle_error);
    lua_insert(lua, 1);
    int status = lua_pcall(lua, 0, 0, 1);
    r->limit = sandbox_is_exhausted(s) || status == LUA_ERRMEM;
    if (status == LUA_OK) {
        return;
    }
    lua_replace(lua, 1);
    lua_settop(lua, 1);
    lua_pushcfunction(lua, take_error);
    lua_insert(lua, 1);
    lua_pushlightuserdata(lua, r);
    lua_insert(lua, 2);
    lua_pushlightuserdata(lua, tally);
    lua_insert(lua, 3);
    if (lua_pcall(lua, 3, 0, 0) != LUA_OK) {
        error_set(&r->error, "%s%s: the scenario used up its memory", s->prefix, s->file);
    }
}

/* A test that began and never came to its end was left in a coroutine. */
static void count_tests(struct script_result *r, const struct tally *tally)
{
    unsigned lost = tally->started - tally->passed - tally->failed;
    r->passed = tally->passed;
    r->failed = tally->failed;
    if (lost > 0 && !r->error.text[0]) {
        printf("  FAIL  %u test%s never ended: left in a coroutine that nobody resumed\n", lost,
               lost == 1 ? "" : "s");
        r->failed += lost;
    }
}

bool script_run(const struct script_options *o, struct script_result *r, struct error *e)
{
    struct sandbox s;
    struct tally tally = {0};
    char chunk[sizeof s.file + 1];
    *r = (struct script_result){0};
    if (!sandbox_init(&s, o->path, o->defaults.config.seed, e)) {
        return false;
    }
    s.home = o->home;
    s.text = o->text;
    s.text_size = o->size;
    s.budget_instructions = o->instructions ? o->instructions : s.budget_instructions;
    open_orrery(s.lua, o);
    open_prelude(&s, o, r, &tally);
    snprintf(chunk, sizeof chunk, "@%s", s.file);
    bool ok = sandbox_load(&s, chunk, o->text, o->size, e);
    if (ok) {
        run_file(&s, r, &tally);
        count_tests(r, &tally);
    } else {
        struct error why = *e;
        error_set(e, "%s%s", s.prefix, why.text);
    }
    sandbox_deinit(&s);
    return ok;
}

void script_result_deinit(struct script_result *r)
{
    machine_free_all(r->machines);
    r->machines = NULL;
}

/* ---- the verdict ---- */

/* Of a machine by itself: what no scenario may pass over. */
static enum exit_status status_of(const struct lua_machine *m, bool failed)
{
    if (m->last_stop == SIM_STOP_NOT_MODELLED) {
        return EXIT_NOT_MODELLED;
    }
    bool crashed = m->crashed || m->last_stop == SIM_STOP_TRIPLE_FAULT || (failed && m->in_vain);
    return crashed ? EXIT_GUEST_CRASH : EXIT_PASSED;
}

static bool is_failed(const struct script_result *r)
{
    return r->failed > 0 || r->error.text[0] != 0;
}

enum exit_status script_verdict(const struct script_result *r)
{
    enum exit_status worst = EXIT_PASSED;
    for (const struct lua_machine *m = r->machines; m; m = m->next) {
        enum exit_status status = status_of(m, is_failed(r));
        worst = status > worst ? status : worst;
    }
    if (worst != EXIT_PASSED) {
        return worst;
    }
    return r->limit ? EXIT_LIMIT : r->error.text[0] ? EXIT_USAGE : r->failed ? EXIT_EXPECTATION : EXIT_PASSED;
}

unsigned script_machine_count(const struct script_result *r)
{
    unsigned count = 0;
    for (const struct lua_machine *m = r->machines; m; m = m->next) {
        count++;
    }
    return count;
}

struct script_machine script_machine_get(const struct script_result *r, unsigned n)
{
    const struct lua_machine *m = r->machines;
    for (unsigned i = script_machine_count(r) - 1; i > n; i--) {
        m = m->next;
    }
    const char *text = sim_stop_text(m->sim);
    bool panic = m->crashed && !text[0];
    struct script_machine out = {
        .sim = m->sim,
        .symbols = m->symbols,
        .profile = m->full_profile,
        .recorder = m->recorder,
        .status = status_of(m, is_failed(r)),
        .cpu = panic ? m->crash_cpu : sim_stop_cpu(m->sim),
    };
    if (panic) {
        machine_describe_panic(m, out.cause, sizeof out.cause);
    } else {
        snprintf(out.cause, sizeof out.cause, "%s", text[0] ? text : sim_stop_name(m->last_stop));
    }
    return out;
}
