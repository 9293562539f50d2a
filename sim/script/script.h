#ifndef ORRERY_SCRIPT_SCRIPT_H
#define ORRERY_SCRIPT_SCRIPT_H

/* Running a scenario. */

#include "script/machine.h"

struct script_options {
    const char *path; /* of the scenario */
    const char *text;
    size_t size;
    const char *const *sets; /* KEY=VALUE words */
    unsigned set_count;
    uint64_t instructions; /* budget of Lua instructions; 0: the usual one */
    struct script_defaults defaults;
};

struct script_result {
    unsigned passed, failed;      /* tests */
    bool error;                   /* the scenario itself erred outside a test */
    struct lua_machine *machines; /* newest first; script_result_deinit frees them */
};

/* Runs to the end. False with a message only when Lua cannot start or the file is not Lua: a usage error. */
bool script_run(const struct script_options *o, struct script_result *r, struct error *e);
void script_result_deinit(struct script_result *r);

#endif
