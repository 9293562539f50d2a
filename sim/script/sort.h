#ifndef ORRERY_SCRIPT_SORT_H
#define ORRERY_SCRIPT_SORT_H

#include <lua.h>

/* table.sort(t [, before]): a stable merge sort. The stock one picks its pivots by the host's clock. */
int sort_table(lua_State *lua);

#endif
