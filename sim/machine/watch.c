/* Observers of steps. */

#include "base/check.h"
#include "cpu/mem.h"
#include "machine/machine.h"

static void tell_all(void *sim, const struct timing_record *r)
{
    const struct sim *s = sim;
    for (unsigned i = 0; i < s->watcher_count; i++) {
        s->watchers[i].fn(s->watchers[i].target, r);
    }
}

/* Accelerators know no numbers of TLB entries: an observer sees none used. */
static void update(struct sim *s)
{
    for (unsigned i = 0; i < s->config.cpus; i++) {
        struct cpu *cpu = &s->cpus[i];
        cpu->on_timing = s->watcher_count == 0 ? NULL : s->watcher_count == 1 ? s->watchers[0].fn : tell_all;
        cpu->on_timing_target = s->watcher_count == 1 ? s->watchers[0].target : s;
        cpu->access_far = s->watcher_count != 0;
        mem_drop_host_entries(cpu);
        hooks_update(s, i);
    }
}

void sim_watch_steps(struct sim *s, timing_record_fn *fn, void *target)
{
    CHECK(s->watcher_count < WATCHERS_MAX, "more than %u observers of steps", WATCHERS_MAX);
    s->watchers[s->watcher_count++] = (struct watcher){fn, target};
    update(s);
}

void sim_unwatch_steps(struct sim *s, timing_record_fn *fn, const void *target)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < s->watcher_count; i++) {
        if (s->watchers[i].fn != fn || s->watchers[i].target != target) {
            s->watchers[kept++] = s->watchers[i];
        }
    }
    s->watcher_count = kept;
    update(s);
}
