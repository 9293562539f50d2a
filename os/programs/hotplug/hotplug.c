/*
 * hotplug [--cycles N] [--pause-us N]: takes CPUs out of service and back into it, a random one each time and at random
 * moments, and brings all of them back at the end. One that has promised deadlines may refuse to go; that is counted.
 * Prints how long the slowest way down and up took.
 */
#include <stdbool.h>

#include "lib/orrery.h"

#define CYCLES_MAX   1000000
#define PAUSE_MAX_US 10000000

static struct {
    unsigned cycles;
    unsigned pause_us; /* the longest between two changes */
} options = {.cycles = 20, .pause_us = 2000};

static struct system_stats stats;

static struct {
    unsigned changes;
    unsigned refused;
    unsigned wrong;
    uint64_t slowest[2]; /* cycles: down, up */
} result;

static unsigned next_random(void)
{
    static uint64_t state = 0x70756c67;
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    return (unsigned)(state >> 33);
}

static bool is_online(unsigned cpu)
{
    return sys_stats(&stats, sizeof(stats)) > 0 && stats.cpus[cpu].online != 0;
}

/* The figures of the system must agree with what the call has said. */
static bool change(unsigned cpu, unsigned online)
{
    uint64_t before = cycles();
    int64_t status = sys_cpu_set(cpu, online);
    uint64_t took = cycles() - before;
    if (status == STATUS_ERR_BUSY && online == 0) {
        result.refused++;
        return is_online(cpu);
    }
    result.changes++;
    if (took > result.slowest[online]) {
        result.slowest[online] = took;
    }
    if (status != STATUS_OK) {
        print("hotplug: cpu %u %s: %s\n", cpu, online != 0 ? "up" : "down", status_text((status_t)status));
    }
    return status == STATUS_OK && is_online(cpu) == (online != 0);
}

static void change_at_random(unsigned cpus)
{
    for (unsigned i = 0; i < 2 * options.cycles; i++) {
        unsigned cpu = 1 + next_random() % (cpus - 1);
        result.wrong += !change(cpu, !is_online(cpu));
        sys_sleep(next_random() % options.pause_us * 1000ull);
    }
    for (unsigned cpu = 1; cpu < cpus; cpu++) {
        result.wrong += !is_online(cpu) && !change(cpu, 1);
    }
}

static bool parse(int argc, char **argv)
{
    for (int i = 1; i < argc; i += 2) {
        int64_t value = i + 1 < argc ? parse_number(argv[i + 1]) : -1;
        if (strcmp(argv[i], "--cycles") == 0 && value > 0 && value <= CYCLES_MAX) {
            options.cycles = (unsigned)value;
        } else if (strcmp(argv[i], "--pause-us") == 0 && value > 0 && value <= PAUSE_MAX_US) {
            options.pause_us = (unsigned)value;
        } else {
            print("usage: hotplug [--cycles 1..%d] [--pause-us 1..%d]\n", CYCLES_MAX, PAUSE_MAX_US);
            return false;
        }
    }
    return true;
}

int main(int argc, char **argv);

int main(int argc, char **argv)
{
    if (!parse(argc, argv)) {
        return 2;
    }
    if (sys_stats(&stats, sizeof(stats)) <= 0 || stats.cpus_present < 2) {
        print("hotplug: there is no CPU that could go\n");
        return 1;
    }
    change_at_random(stats.cpus_present);
    bool good =
        result.wrong == 0 && sys_stats(&stats, sizeof(stats)) > 0 && stats.cpus_online == stats.cpus_present;
    print("hotplug: changes %u refused %u wrong %u\n", result.changes, result.refused, result.wrong);
    print("hotplug: slowest cycles down %llu up %llu\n", (unsigned long long)result.slowest[0],
          (unsigned long long)result.slowest[1]);
    print("hotplug: %s\n", good ? "passed" : "FAILED");
    return good ? 0 : 1;
}
