/* orrery info: what this build is. */

#include "main/commands.h"
#include "main/version.h"

#include <Zydis/Zydis.h>
#include <lua.h>
#include <mpfr.h>

static void print_counters(void)
{
    for (unsigned c = 0; c < COUNTER_COUNT; c++) {
        const char *kind = c < COUNTER_TRACE_FIRST ? "counter" : "counter, trace point";
        printf("%s %s: %s\n", kind, sim_counter_name((enum sim_counter)c),
               sim_counter_help((enum sim_counter)c));
    }
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
    ZyanU64 zydis = ZydisGetVersion();
    printf("orrery: %s\n", ORRERY_VERSION);
    printf("boards: pc, microvm\nengines: fast, timed\nmemory-models: sc, tso\n");
    printf("cpus: 1 to %u\nmemory: %llu MiB to %llu GiB\nnuma-nodes: 1 to %u\n", SIM_CPUS_MAX,
           (unsigned long long)(SIM_MEMORY_MIN >> 20), (unsigned long long)(SIM_MEMORY_MAX >> 30),
           SIM_NODES_MAX);
    printf("tsc-hz: %llu\n", (unsigned long long)SIM_TSC_HZ);
    printf("zydis: %u.%u\nmpfr: %s\nlua: %s\n", (unsigned)ZYDIS_VERSION_MAJOR(zydis),
           (unsigned)ZYDIS_VERSION_MINOR(zydis), mpfr_get_version(), LUA_VERSION_MAJOR "." LUA_VERSION_MINOR);
    print_counters();
    return EXIT_PASSED;
}
