#ifndef ORRERY_SCRIPT_CREATE_H
#define ORRERY_SCRIPT_CREATE_H

/* Creating a machine: from a table of options to a loaded machine. */

#include "script/machine.h"

#define MACHINE_TYPE "orrery.machine"

/* lua_CFunction; upvalues: struct script_defaults *, struct lua_machine ** (light). Returns the machine and its sym. */
int machine_create(lua_State *lua);

/* A sim_output_fn of a lua_machine. */
void machine_output(void *machine, unsigned port, uint8_t byte, uint64_t now_cycles);

#endif
