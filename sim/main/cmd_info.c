/* orrery info: what this build is. */

#include "main/commands.h"
#include "main/version.h"
#include "script/machine_file.h"

#include <Zydis/Zydis.h>
#include <lua.h>
#include <mpfr.h>
#include <string.h>

static void print_counters(void)
{
    for (unsigned c = 0; c < COUNTER_COUNT; c++) {
        const char *kind = c < COUNTER_TRACE_FIRST ? "counter" : "counter, trace point";
        printf("%s %s: %s\n", kind, sim_counter_name((enum sim_counter)c),
               sim_counter_help((enum sim_counter)c));
    }
}

static void print_line(void *arg, const struct machine_fact *f)
{
    (void)arg;
    printf("%s = %s\n", f->key, f->value);
}

static void print_row(void *arg, const struct machine_fact *f)
{
    (void)arg;
    if (!f->tag[0]) {
        printf("%s: %s\n\n", f->value, f->source);
        printf("%-28s %-16s %-9s %s\n", "parameter", "value", "tag", "source");
        return;
    }
    printf("%-28s %-16s %-9s %s\n", f->key, f->value, f->tag, f->source);
}

/* The machine that has no file. */
static void tell_flat(machine_fact_fn *fn)
{
    static const char *const source = "sim/timing/cost.def, cost.c";
    char key[64], value[16];
    fn(NULL, &(struct machine_fact){"machine", SIM_MACHINE_FLAT, "",
                                    "an instruction costs its class, and no more"});
    for (unsigned i = 0; i < COST_CLASS_COUNT; i++) {
        snprintf(key, sizeof key, "class.%s.cycles", timing_class_names[i]);
        snprintf(value, sizeof value, "%u", cost_flat.base_cycles[i]);
        fn(NULL, &(struct machine_fact){key, value, "assumed", source});
    }
    snprintf(value, sizeof value, "%u", cost_flat.memory_cycles);
    fn(NULL, &(struct machine_fact){"memory_cycles", value, "assumed", source});
    snprintf(value, sizeof value, "%u", cost_flat.exception_cycles);
    fn(NULL, &(struct machine_fact){"exception_cycles", value, "assumed", source});
}

static int print_machine(const char *name, bool params)
{
    struct error e;
    machine_fact_fn *fn = params ? print_line : print_row;
    if (strcmp(name, SIM_MACHINE_FLAT) == 0) {
        tell_flat(fn);
        return EXIT_PASSED;
    }
    return machine_file_tell(name, fn, NULL, &e) ? EXIT_PASSED : command_usage(&e);
}

static void print_machines(void)
{
    printf("machines: %s", SIM_MACHINE_FLAT);
    for (unsigned i = 0; machine_file_builtin(i); i++) {
        printf(", %s", machine_file_builtin(i));
    }
    printf("\n");
}

int command_info(const struct command_line *line)
{
    struct options o;
    struct error e;
    if (!options_parse(&o, 'I', line->argc - 2, line->argv + 2, &e)) {
        return command_usage(&e);
    }
    if (o.help) {
        options_help(stdout, 'I');
        return EXIT_PASSED;
    }
    if (o.config.machine) {
        return print_machine(o.config.machine, o.params);
    }
    if (o.params) {
        error_set(&e, "--params needs --machine NAME|FILE");
        return command_usage(&e);
    }
    ZyanU64 zydis = ZydisGetVersion();
    printf("orrery: %s\n", ORRERY_VERSION);
    printf("boards: pc, microvm\nengines: fast, timed\nmemory-models: sc, tso\n");
    print_machines();
    printf("cpus: 1 to %u\nmemory: %llu MiB to %llu GiB\nnuma-nodes: 1 to %u\n", SIM_CPUS_MAX,
           (unsigned long long)(SIM_MEMORY_MIN >> 20), (unsigned long long)(SIM_MEMORY_MAX >> 30),
           SIM_NODES_MAX);
    printf("tsc-hz: %llu\n", (unsigned long long)SIM_TSC_HZ);
    printf("zydis: %u.%u\nmpfr: %s\nlua: %s\n", (unsigned)ZYDIS_VERSION_MAJOR(zydis),
           (unsigned)ZYDIS_VERSION_MINOR(zydis), mpfr_get_version(), LUA_VERSION_MAJOR "." LUA_VERSION_MINOR);
    print_counters();
    return EXIT_PASSED;
}
