#ifndef ORRERY_SCRIPT_MACHINE_H
#define ORRERY_SCRIPT_MACHINE_H

/* The machine in Lua: the methods of machine.def. The friendlier layer (boot, command, expect) is Lua:
 * scenarios/lib/prelude.lua. There a machine is a table whose field MACHINE_FIELD holds this one. */

#include "observe/profile.h"
#include "observe/trace_text.h"
#include "script/script.h"

#include <lua.h>

#define SERIAL_TEXT_MAX (64u << 20) /* of one port; printing more ends the run */

struct serial_text {
    char *bytes;
    size_t size, capacity;
    size_t matched; /* wait_text looks behind this */
    bool full;
};

struct lua_probe {
    bool used;
    int id;       /* of sim_probe_add */
    int function; /* reference in the registry */
    struct lua_machine *owner;
};

#define LUA_PROBES_MAX 2048u

struct lua_machine {
    struct sim *sim;
    struct symbols *symbols;
    struct trace_text trace;
    char *kernel, *initrd;        /* the files it was made with; the second may be NULL */
    struct profile *profile;      /* that the scenario has asked for, or NULL */
    struct profile *full_profile; /* that the command line has asked for: from the beginning */
    struct recorder *recorder;    /* the same */
    bool (*stop_wanted)(void);    /* or NULL */
    lua_State *lua;
    struct serial_text text[SIM_SERIAL_PORTS + 1];
    struct lua_probe probes[LUA_PROBES_MAX];
    const char *awaited; /* wait_text in progress, or NULL */
    size_t awaited_size;
    unsigned awaited_port;
    bool found;
    bool running;      /* inside sim_run: a probe's function cannot run the machine again */
    bool probe_failed; /* an error in a probe's function is on the Lua stack of the run */
    enum sim_stop last_stop;
    bool in_vain; /* something was waited for when the machine stopped for good */
    bool crashed; /* the kernel adapter saw a panic, on vCPU crash_cpu */
    unsigned crash_cpu;
    size_t crash_text;        /* where the console stood then */
    bool echo;                /* port 0 also goes to standard output */
    struct lua_machine *next; /* all machines of a scenario, newest first */
};

#define MACHINE_FIELD "handle"

/* Pushes the table of methods, and the function that creates machines: of a table of options it returns the machine's handle
 * and its sym. defaults must outlive the state. */
void machine_open(lua_State *lua, const struct script_defaults *defaults, struct lua_machine **machines);

/* Begins a profile at the machine's position. NULL: a file that the machine was made with is gone. */
struct profile *machine_begin_profile(const struct lua_machine *m, bool tables, struct error *e);

/* Writes "the kernel panicked: " and the first line that its console printed from then on. */
void machine_describe_panic(const struct lua_machine *m, char *text, size_t size);

/* Frees a list of machines. */
void machine_free_all(struct lua_machine *machines);

#endif
