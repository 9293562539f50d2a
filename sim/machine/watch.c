/* Observers of steps and of accesses. */

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

/* ---- accesses ---- */

static void tell_access(void *sim, unsigned watch, unsigned cpu, bool write)
{
    const struct sim *s = sim;
    s->access_observers[watch].fn(s->access_observers[watch].arg, cpu, write);
}

static void update_accesses(struct sim *s)
{
    struct access_watches *w = &s->accesses;
    while (w->count > 0 && w->entries[w->count - 1].size_bytes == 0) {
        w->count--;
    }
    for (unsigned i = 0; i < s->config.cpus; i++) {
        s->cpus[i].watches = w->count ? w : NULL;
        mem_drop_host_entries(&s->cpus[i]);
    }
}

int sim_access_add(struct sim *s, const struct sim_access *a, sim_access_fn *fn, void *arg)
{
    struct access_watches *w = &s->accesses;
    unsigned id = 0;
    CHECK(a->size_bytes > 0, "an access of no bytes");
    while (id < ACCESS_WATCHES_MAX && w->entries[id].size_bytes) {
        id++;
    }
    if (id == ACCESS_WATCHES_MAX) {
        return -1;
    }
    w->fn = tell_access;
    w->target = s;
    w->entries[id] = (struct access_watch){a->first, a->size_bytes, a->reads, a->writes};
    s->access_observers[id] = (struct access_observer){fn, arg};
    w->count = id < w->count ? w->count : id + 1;
    update_accesses(s);
    return (int)id;
}

void sim_access_remove(struct sim *s, int id)
{
    CHECK(id >= 0 && id < (int)ACCESS_WATCHES_MAX && s->accesses.entries[id].size_bytes,
          "no observer of accesses %d", id);
    s->accesses.entries[id].size_bytes = 0;
    update_accesses(s);
}
