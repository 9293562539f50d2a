#ifndef ORRERY_SCRIPT_MACHINE_H
#define ORRERY_SCRIPT_MACHINE_H

/* The machine in Lua: orrery.new_machine and the methods of binding.def. The friendlier layer (boot, command, expect)
 * is Lua: scenarios/lib/prelude.lua. */

#include "machine/sim.h"
#include "observe/symbols.h"
#include "observe/trace_text.h"

#include <lua.h>

#define SERIAL_TEXT_MAX (64u << 20) /* of one port; printing more ends the run */

struct serial_text {
    char *bytes;
    size_t size, capacity;
    size_t matched; /* wait_text looks behind this */
};

struct lua_probe {
    bool used;
    int id;       /* of sim_probe_add */
    int function; /* reference in the registry */
    struct lua_machine *owner;
};

#define LUA_PROBES_MAX 256u

struct lua_machine {
    struct sim *sim;
    struct symbols *symbols;
    struct trace_text trace;
    lua_State *lua;
    struct serial_text text[SIM_SERIAL_PORTS + 1];
    struct lua_probe probes[LUA_PROBES_MAX];
    const char *awaited; /* wait_text in progress */
    size_t awaited_size;
    unsigned awaited_port;
    bool found;
    bool running;      /* inside sim_run: a probe's function cannot run the machine again */
    bool probe_failed; /* an error in a probe's function is on the Lua stack of the run */
    enum sim_stop last_stop;
    bool crashed; /* the kernel adapter saw a panic, on vCPU crash_cpu */
    unsigned crash_cpu;
    bool echo;                /* port 0 also goes to standard output */
    struct lua_machine *next; /* all machines of a scenario, newest first */
};

/* What the front end decides: defaults from the command line. */
struct script_defaults {
    struct sim_config config; /* what the command line gave (sim_config_given) wins */
    bool echo;
    uint32_t trace; /* trace points told on standard error (sim_on_trace) */
};

/* Registers machine and its metatable; defaults must outlive the state. */
void machine_open(lua_State *lua, struct script_defaults *defaults, struct lua_machine **machines);

/* Frees a list of machines. */
void machine_free_all(struct lua_machine *machines);

#endif
