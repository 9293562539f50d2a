#ifndef ORRERY_SCRIPT_STRING_LIBRARY_H
#define ORRERY_SCRIPT_STRING_LIBRARY_H

/* The sandbox's string functions: without addresses, and charged for their work. */

#include <lua.h>

/* Replaces functions in the string and utf8 tables, which are global. */
void string_library_open(lua_State *lua);

#endif
