#ifndef ORRERY_SCRIPT_MACHINE_FILE_H
#define ORRERY_SCRIPT_MACHINE_FILE_H

/*
 * Machine files: the parameters of a reference machine (timing/params.h) as a Lua table in which every number has a tag and
 * a source. docs/machines.md says how to write one. Files are read as hostile: a wrong one gets one line.
 */

#include "machine/sim.h"

/* The machine of the timed engine when nobody names one. */
#define MACHINE_DEFAULT SIM_MACHINE_FLAT

/* What a file says about one value; key as in "l2_cycles", "port.alu", "class.ALU.latency". The first one is the machine's
 * name, under the key "machine", with what it is about as its source and no tag. */
struct machine_fact {
    const char *key, *value, *tag, *source;
};
typedef void machine_fact_fn(void *arg, const struct machine_fact *fact);

/* Is this the name of a file (it has a '/' or ends in ".lua"), and not that of a machine of the program's own? */
bool machine_file_is_path(const char *name);

/* The n-th machine of the program's own that has a file, or NULL. */
const char *machine_file_builtin(unsigned n);

/* Reads a machine of the program's own, or a file. */
bool machine_file_read(const char *name, struct timing_params *out, struct error *e);

/* The same, and then tells everything in it to fn, in the order of params.def, of the groups' names, and of cost.def. */
bool machine_file_tell(const char *name, machine_fact_fn *fn, void *arg, struct error *e);

/* The same with a text; name is what messages begin with, or the path of the file. fn may be NULL. */
bool machine_file_parse(const char *name, const char *text, size_t size, struct timing_params *out,
                        machine_fact_fn *fn, void *arg, struct error *e);

/* Reads the machine that a configuration names into room, or MACHINE_DEFAULT, and sets its timing, whatever that was; who
 * names a machine and no engine gets the timed one. room must outlive sim_create. */
bool machine_file_resolve(struct sim_config *c, struct timing_params *room, struct error *e);

#endif
