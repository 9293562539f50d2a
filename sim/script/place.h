#ifndef ORRERY_SCRIPT_PLACE_H
#define ORRERY_SCRIPT_PLACE_H

/* Typed guest memory in Lua: m.sym.frame_manager.zones[0].free. Indices count from 0, as in C. Integers come as Lua
 * integers; structs, arrays and pointers as places, which read memory when they are indexed. */

#include "machine/sim.h"
#include "observe/symbols.h"

#include <lua.h>

/* Registers the metatables. */
void place_open(lua_State *lua);

/* Pushes m.sym for a machine; machine and symbols must outlive the state. symbols may be NULL: every access errs. */
void place_push_symbols(lua_State *lua, struct sim *machine, struct symbols *symbols);

#endif
