/* The banner, and the figures that it prints, before there are threads: printed at stages of the boot, looked at later. */
#include "arch/x86_64/clock.h"
#include "lib/string.h"
#include "mm/frame.h"
#include "probe.h"
#include "sched/sched.h"
#include "sys/banner.h"
#include "sys/stats.h"
#include "test/ktest.h"

static const char *const stages[] = {"inventory", "publish", "clock"};

#define STAGES (sizeof(stages) / sizeof(stages[0]))

static struct system_stats seen[STAGES];
static unsigned printed;

static void print_early(const char *point)
{
    for (unsigned i = 0; i < STAGES; i++) {
        if (strcmp(point, stages[i]) == 0 && thread_current() == NULL) {
            stats_snapshot(&seen[i]);
            banner_print();
            printed++;
        }
    }
}

PROBE(print_early);

/* covers: ST-04 */
void ktest_the_banner_prints_before_there_are_threads(void)
{
    static struct system_stats now;
    stats_snapshot(&now);
    KEXPECT(printed == STAGES);
    for (unsigned i = 0; i < STAGES; i++) {
        KEXPECT(seen[i].frames_managed == now.frames_managed && seen[i].cpus_present == now.cpus_present);
        KEXPECT(seen[i].cpus_online == 1 && seen[i].threads == 0 && seen[i].processes == 0);
        KEXPECT((seen[i].frames_free != 0) == (i > 0) && seen[i].frames_free < now.frames_managed);
        KEXPECT((seen[i].clock_hz == now.clock_hz) == (i == STAGES - 1));
    }
    KEXPECT(now.frames_managed == frame_manager_get()->map_frames && now.cpus_present == cpu_count_present());
}
