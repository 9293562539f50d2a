#ifndef ORRERY_SCRIPT_NATIVE_H
#define ORRERY_SCRIPT_NATIVE_H

/* What the prelude needs of C besides the machine: argument checks, failures, the counts of tests. */

#include <lua.h>

struct tally {
    unsigned started, passed, failed; /* tests */
};

/* Pushes the table of these functions. The tally must outlive the state. */
void native_push_functions(lua_State *lua, struct tally *t);

/* Prints a test that failed, indented, with the failure on top of the stack, and counts it. */
void native_report_failure(lua_State *lua, struct tally *t, int indent, const char *name);

#endif
