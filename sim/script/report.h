#ifndef ORRERY_SCRIPT_REPORT_H
#define ORRERY_SCRIPT_REPORT_H

/* What the prelude needs of C besides the machine: argument checks, failures, the counts of tests. */

#include <lua.h>

struct report {
    unsigned started, passed, failed; /* tests */
};

/* Pushes the table of these functions. The report must outlive the state. */
void report_open(lua_State *lua, struct report *r);

/* Prints a test that failed, indented, with the failure on top of the stack, and counts it. */
void report_failure(lua_State *lua, struct report *r, int indent, const char *name);

#endif
