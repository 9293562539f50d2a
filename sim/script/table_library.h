#ifndef ORRERY_SCRIPT_TABLE_LIBRARY_H
#define ORRERY_SCRIPT_TABLE_LIBRARY_H

/* The sandbox's table functions, charged an instruction for each element. */

#include <lua.h>

/* Replaces functions in the table library, which is global. */
void table_library_open(lua_State *lua);

#endif
