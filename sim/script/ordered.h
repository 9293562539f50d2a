#ifndef ORRERY_SCRIPT_ORDERED_H
#define ORRERY_SCRIPT_ORDERED_H

/* pairs and next in a defined order: numbers ascending, then strings in byte order; another key type is an error. */

#include <lua.h>

int ordered_pairs(lua_State *lua);
int ordered_next(lua_State *lua);

/* ipairs, its upvalue: the function of a step. */
int ordered_ipairs(lua_State *lua);
int ordered_ipairs_step(lua_State *lua);

#endif
