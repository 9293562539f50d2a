/*
 * A snapshot of the system's figures against a model: the test knows what its threads do and where, since it told them, and
 * counts frames by their states and owners. Nothing else happens in the kernel of the tests, but for what its own threads do
 * now and then; so each step is followed until a snapshot shows it, field by field. Where the steps take longer than the dead
 * wait, the reaper frees some in the middle of one: how many tells the cache of threads.
 */
#include "arch/x86_64/clock.h"
#include "arch/x86_64/kmap.h"
#include "arch/x86_64/percpu.h"
#include "console.h"
#include "ipc/dma.h"
#include "lib/string.h"
#include "mm/frame.h"
#include "mm/kheap.h"
#include "mm/tlb.h"
#include "sched/reaper.h"
#include "sched/sched.h"
#include "smp/hotplug.h"
#include "sys/quiesce.h"
#include "sys/stats.h"
#include "test/ktest.h"
#include "test/workers.h"

#define ACTORS      24u
#define ACTOR_CPUS  8u
#define NAP_NS      40000000ull
#define TRIES       2000u
#define TRY_NS      100000ull
#define FLUSHES     5u
#define LARGE_BYTES (2ull << 20)
#define FLUSH_VA    (KERNEL_MAP_BASE + (101ull << 30))

enum doing { NOTHING, NEW, SLEEP, NAP, SPIN, ENDED };

static struct actor {
    struct thread *thread;
    unsigned cpu;
    enum doing doing; /* what it was told, and soon does */
} actors[ACTORS];

static struct system_stats last;      /* as it was at the last step, for what only grows */
static uint64_t last_taken[2];        /* clock before and after it */
static bool last_spun[ARCH_MAX_CPUS]; /* an actor ran there all the time since */
static bool flushes_known;            /* this step's: threads that are freed, and CPUs that go, take more */
static unsigned buried;               /* of the actors that have ended: the reaper has freed them */
static struct system_stats want;
static struct {
    uint32_t running; /* without the actors: this thread, and the kernel's own */
    uint32_t sleeping;
    uint64_t objects;
    uint64_t threads; /* in the cache of threads */
    unsigned own;     /* CPU of this thread */
} base;

static struct {
    const char *field;
    unsigned cpu;
    uint64_t is;
    uint64_t wanted;
    bool for_ever; /* more of what never gets less */
} wrong;

/* ---- actors ---- */

static void act(void *argument)
{
    const struct actor *actor = argument;
    for (;;) {
        enum doing doing = __atomic_load_n(&actor->doing, __ATOMIC_ACQUIRE);
        if (doing == ENDED) {
            return;
        }
        if (doing == SPIN) {
            arch_pause();
            continue;
        }
        sched_prepare_wait();
        if (__atomic_load_n(&actor->doing, __ATOMIC_ACQUIRE) != doing) {
            sched_cancel_wait();
        } else {
            (void)sched_block(doing == NAP ? clock_cycles() + clock_cycles_from_ns(NAP_NS) : CLOCK_NEVER);
        }
    }
}

/* Only who spins lets others go first: what the others are told they do at once. */
static const struct sched_params *params_for(enum doing doing)
{
    static const struct sched_params urgent = {.policy = SCHED_FIFO, .level = 1};
    return doing == SPIN ? &sched_normal : &urgent;
}

/* Who sleeps is put on its CPU at least once more. */
static bool tell(struct actor *actor, enum doing doing)
{
    want.cpus[actor->cpu].switches += actor->doing == SPIN ? 0 : 1;
    __atomic_store_n(&actor->doing, doing, __ATOMIC_RELEASE);
    bool good = sched_set_params(actor->thread, params_for(doing)) == STATUS_OK;
    sched_wake(actor->thread);
    return good;
}

static void start(struct actor *actor, unsigned cpu, enum doing doing)
{
    actor->cpu = cpu;
    actor->doing = doing;
    want.cpus[cpu].switches += doing == SPIN ? 0 : 1;
    sched_start_on(actor->thread, cpu);
}

static unsigned count(enum doing doing, unsigned cpu)
{
    unsigned found = 0;
    for (unsigned i = 0; i < ACTORS; i++) {
        found += actors[i].doing == doing && (cpu == ARCH_MAX_CPUS || actors[i].cpu == cpu) ? 1 : 0;
    }
    return found;
}

static unsigned all(enum doing doing)
{
    return count(doing, ARCH_MAX_CPUS);
}

/* ---- what a snapshot must show ---- */

static void add_live(void *sum, struct slab_cache *cache)
{
    struct slab_stats stats;
    slab_stats_read(cache, &stats);
    *(uint64_t *)sum += strcmp(stats.name, "thread") == 0 ? stats.live : 0;
}

/* Frames by state, and the heap's by owner. */
static void expect_memory(void)
{
    want.frames_free = 0;
    want.frames_managed = 0;
    want.heap_bytes = 0;
    want.nodes = 0;
    for (pfn_t pfn = 0; pfn < frame_manager.limit; pfn++) {
        const struct page_frame *frame = frame_lookup(pfn);
        if (frame == NULL) {
            continue;
        }
        want.frames_managed++;
        want.frames_free += frame->state == FRAME_FREE || frame->state == FRAME_CACHED ? 1 : 0;
        bool heap = frame->owner == FRAME_OWNER_SLAB || frame->owner == FRAME_OWNER_HEAP_LARGE;
        want.heap_bytes += frame->state == FRAME_ALLOCATED && heap ? PAGE_SIZE : 0;
        want.nodes = frame->node >= want.nodes ? frame->node + 1u : want.nodes;
    }
}

/* One thread runs on each CPU that has any, the others of it are ready; this one runs as well. */
static void expect_threads(void)
{
    want.threads_running = base.running;
    want.threads_ready = 0;
    for (unsigned cpu = 0; cpu < want.cpus_present; cpu++) {
        unsigned spin = count(SPIN, cpu);
        unsigned runs = cpu != base.own && spin > 0 ? 1 : 0;
        want.threads_running += runs;
        want.threads_ready += spin - runs;
    }
    want.threads_sleeping = base.sleeping + all(SLEEP) + all(NAP);
    want.threads_alive = base.running + base.sleeping + all(SLEEP) + all(NAP) + all(SPIN);
    want.threads_dead = all(ENDED) - buried;
    want.heap_objects = base.objects + ACTORS - all(NOTHING) - buried;
}

static unsigned count_buried(void)
{
    uint64_t threads = 0;
    slab_for_each_cache(add_live, &threads);
    return (unsigned)(base.threads + ACTORS - all(NOTHING) - threads);
}

static bool same(const char *field, unsigned cpu, uint64_t is, uint64_t wanted)
{
    if (is != wanted) {
        wrong.field = field;
        wrong.cpu = cpu;
        wrong.is = is;
        wrong.wanted = wanted;
    }
    return is == wanted;
}

#define SAME(field) same(#field, 0, now->field, want.field)

static bool system_agrees(const struct system_stats *now)
{
    return SAME(frames_free) && SAME(frames_managed) && SAME(frames_dma) && SAME(heap_bytes) &&
           SAME(heap_objects) && SAME(nodes) && SAME(clock_hz) && SAME(processes) && SAME(threads) &&
           SAME(forks) && SAME(exits) && SAME(cpus_online) && SAME(cpus_present) && SAME(threads_dead) &&
           SAME(threads_running) && SAME(threads_ready) && SAME(threads_sleeping) && SAME(threads_alive);
}

static bool never_more(const char *field, unsigned cpu, uint64_t is, uint64_t wanted)
{
    wrong.for_ever |= is > wanted;
    return same(field, cpu, is, wanted);
}

#define SAME_MOVES(field)   never_more(#field, id, is->field, wanted->field)
#define SAME_CPU(field)     same(#field, id, is->field, wanted->field)
#define AT_LEAST(field, by) same(#field " grew", id, is->field >= (by) ? 1 : 0, 1)

/* Time since the last step: all of it counted, none of it idle where an actor has spun. */
static bool times_agree(unsigned id, const struct cpu_stats *is, const uint64_t taken[2], bool spun)
{
    const struct cpu_stats *was = &last.cpus[id];
    uint64_t least = taken[0] - last_taken[1];
    uint64_t most = taken[1] - last_taken[0];
    uint64_t passed = is->idle_cycles + is->busy_cycles - was->idle_cycles - was->busy_cycles;
    uint64_t ticks = most / clock_cycles_from_ns(SCHED_TICK_NS) + 1;
    if (!is->online || !was->online) {
        return true;
    }
    return same("idle and busy cycles", id, passed >= least && passed <= most, 1) &&
           same("ticks in that time", id, is->ticks - was->ticks <= ticks, 1) &&
           (!spun || same("idle cycles", id, is->idle_cycles, was->idle_cycles));
}

/* What the model knows of a CPU, exactly; the others only grow. */
static bool cpu_agrees(unsigned id, const struct cpu_stats *is, const uint64_t taken[2])
{
    const struct cpu_stats *wanted = &want.cpus[id];
    const struct cpu_stats *was = &last.cpus[id];
    if (flushes_known && (!SAME_CPU(shootdowns_sent) || !SAME_CPU(shootdowns_served))) {
        return false;
    }
    bool spun = last_spun[id] && count(SPIN, id) > 0;
    return SAME_CPU(node) && SAME_CPU(online) && SAME_MOVES(moves_forced) && SAME_MOVES(moves_pull) &&
           SAME_MOVES(moves_push) && AT_LEAST(shootdowns_sent, was->shootdowns_sent) &&
           AT_LEAST(shootdowns_served, was->shootdowns_served) && AT_LEAST(switches, wanted->switches) &&
           AT_LEAST(ticks, was->ticks) && AT_LEAST(interrupts, was->interrupts + is->ticks - was->ticks) &&
           AT_LEAST(moves_wake, was->moves_wake) && AT_LEAST(node_crossings, was->node_crossings) &&
           AT_LEAST(run_delay_cycles, was->run_delay_cycles) && times_agree(id, is, taken, spun);
}

static bool agrees(const struct system_stats *now, const uint64_t taken[2])
{
    if (!system_agrees(now)) {
        return false;
    }
    for (unsigned id = 0; id < now->cpus_present; id++) {
        if (!cpu_agrees(id, &now->cpus[id], taken)) {
            return false;
        }
    }
    return true;
}

static void take_snapshot(struct system_stats *out, uint64_t taken[2])
{
    taken[0] = clock_cycles();
    stats_snapshot(out);
    taken[1] = clock_cycles();
}

/* The next step is told from this snapshot on. */
static void keep(const struct system_stats *now, const uint64_t taken[2])
{
    last = *now;
    last_taken[0] = taken[0];
    last_taken[1] = taken[1];
    flushes_known = true;
    for (unsigned id = 0; id < now->cpus_present; id++) {
        last_spun[id] = count(SPIN, id) > 0 && id != base.own;
        want.cpus[id].switches = now->cpus[id].switches;
        want.cpus[id].shootdowns_sent = now->cpus[id].shootdowns_sent;
        want.cpus[id].shootdowns_served = now->cpus[id].shootdowns_served;
    }
}

/* Whether snapshots come to show what the model says, in every field. */
static bool shows_so_far(const char *step, bool memory_changes)
{
    static struct system_stats now;
    uint64_t taken[2];
    wrong.for_ever = false;
    for (unsigned i = 0; i < TRIES && !wrong.for_ever; i++) {
        unsigned freed = count_buried();
        if (freed != buried) { /* stacks and their translations went as well */
            buried = freed;
            flushes_known = false;
            memory_changes = true;
        }
        if (memory_changes) {
            expect_memory();
        }
        expect_threads();
        take_snapshot(&now, taken);
        if (agrees(&now, taken)) {
            keep(&now, taken);
            return true;
        }
        sched_sleep_until(clock_cycles() + clock_cycles_from_ns(TRY_NS));
    }
    console_printf("# %s: %s of cpu %u is %llu, the model's %llu\n", step, wrong.field, wrong.cpu,
                   (unsigned long long)wrong.is, (unsigned long long)wrong.wanted);
    return false;
}

/* The step takes and gives no memory; or it does. */
static bool shows(const char *step)
{
    return shows_so_far(step, false);
}

static bool shows_memory(const char *step)
{
    return shows_so_far(step, true);
}

/* ---- the steps ---- */

/* Nothing moves: what the snapshot has is the beginning, where the model cannot know it. All threads are idle ones, this one,
 * and those of the kernel, which sleep. */
static bool begin(void)
{
    static struct system_stats now;
    uint64_t taken[2];
    memset(actors, 0, sizeof actors);
    buried = 0;
    base.threads = 0;
    slab_for_each_cache(add_live, &base.threads);
    take_snapshot(&now, taken);
    want = now;
    base.own = arch_cpu_id();
    base.running = 1;
    base.sleeping = (uint32_t)base.threads - cpu_count_present() - 1;
    base.objects = now.heap_objects;
    want.processes = 0;
    want.threads = 0;
    want.forks = 0;
    want.exits = 0;
    uint64_t second = clock_cycles_from_ns(1000000000); /* rounded down */
    want.clock_hz = now.clock_hz - second <= 1 ? now.clock_hz : second;
    want.cpus_online = cpu_count_present();
    want.cpus_present = 0;
    while (want.cpus_present < ARCH_MAX_CPUS && cpu_table[want.cpus_present] != NULL) {
        want.cpus[want.cpus_present].node = cpu_table[want.cpus_present]->node;
        want.cpus[want.cpus_present].online = 1;
        want.cpus_present++;
    }
    want.frames_dma = dma_frames();
    memset(last_spun, 0, sizeof last_spun);
    keep(&now, taken);
    return shows_memory("at rest");
}

/* To do what put_to_work() starts them with. */
static bool create(void)
{
    for (unsigned i = 0; i < ACTORS; i++) {
        if (thread_create(&actors[i].thread, params_for(i % 3 == 2 ? SPIN : SLEEP), act, &actors[i]) !=
            STATUS_OK) {
            return false;
        }
        actors[i].doing = NEW;
    }
    return shows_memory("created");
}

/* A third of them sleeps, a third for a time, and of the last third one or more spins on each CPU. */
static bool put_to_work(unsigned cpus)
{
    for (unsigned i = 0; i < ACTORS; i++) {
        start(&actors[i], i / 3 % cpus, i % 3 == 0 ? SLEEP : i % 3 == 1 ? NAP : SPIN);
        if (i % 8 == 7 && !shows("started")) {
            return false;
        }
    }
    return true;
}

static bool change_what_they_do(void)
{
    for (unsigned i = 0; i < ACTORS; i++) {
        enum doing doing = actors[i].doing;
        enum doing next = doing == SPIN ? NAP : doing == NAP ? SLEEP : SPIN;
        if (doing != ENDED && !tell(&actors[i], next)) {
            return false;
        }
        if (i % 5 == 4 && !shows("told something else")) {
            return false;
        }
    }
    return shows("all told something else");
}

/* All that spin go to one CPU after the other. */
static bool move(unsigned cpus)
{
    for (unsigned to = 0; to < cpus; to++) {
        for (unsigned i = 0; i < ACTORS; i++) {
            if (actors[i].doing != SPIN || actors[i].cpu == to) {
                continue;
            }
            actors[i].cpu = to;
            want.cpus[to].moves_forced++;
            if (sched_set_affinity(actors[i].thread, 1ull << to) != STATUS_OK) {
                return false;
            }
        }
        if (!shows("moved")) {
            return false;
        }
    }
    return true;
}

static bool flush(void)
{
    pfn_t frame;
    if (frame_alloc(0, FRAME_OWNER_TEST, 0, &frame) != STATUS_OK) {
        return false;
    }
    for (unsigned i = 0; i < FLUSHES; i++) {
        struct tlb_gather gather;
        tlb_gather_init(&gather, NULL, kmap_table()->allocator);
        if (pt_map(kmap_table(), vaddr_make(FLUSH_VA), paddr_from_pfn(frame), PAGE_4K,
                   PAGE_FLAGS(PAGE_WRITABLE | PAGE_NO_EXECUTE | PAGE_GLOBAL)) != STATUS_OK ||
            pt_unmap(kmap_table(), vaddr_make(FLUSH_VA), &gather, NULL) != STATUS_OK) {
            return false;
        }
        tlb_gather_finish(&gather);
        for (unsigned id = 0; id < want.cpus_present && want.cpus_online > 1; id++) {
            *(id == base.own ? &want.cpus[id].shootdowns_sent : &want.cpus[id].shootdowns_served) += 1;
        }
    }
    return shows_memory("flushed") && frame_free(frame) == STATUS_OK && shows_memory("a frame given back");
}

static bool use_the_heap(void)
{
    void *small = kmalloc(100);
    void *large = kmalloc(LARGE_BYTES);
    base.objects += small != NULL ? 1 : 0;
    bool good = small != NULL && large != NULL && shows_memory("heap used");
    kfree(small);
    kfree(large);
    base.objects -= small != NULL ? 1 : 0;
    return good && shows_memory("heap given back");
}

static bool is_actor(const struct thread *thread)
{
    bool found = false;
    for (unsigned i = 0; i < ACTORS; i++) {
        found |= actors[i].doing > NEW && actors[i].thread == thread;
    }
    return found;
}

/* How many threads of the kernel's own sleep on a CPU for a time. */
static unsigned others_asleep(struct cpu *cpu)
{
    unsigned count = 0;
    uint64_t flags = spin_lock_irqsave(&cpu->queue.lock);
    for (struct tree_node *node = tree_first(&cpu->queue.sleepers); node != NULL; node = tree_next(node)) {
        count += !is_actor(tree_entry(node, struct thread, sleep_node));
    }
    spin_unlock_irqrestore(&cpu->queue.lock, flags);
    return count;
}

/* Who sleeps for a time leaves a CPU that goes, for this one: actors are let go there first, and kept there then. */
static bool take_down(unsigned id)
{
    const uint64_t own = 1ull << base.own;
    bool good = true;
    for (unsigned i = 0; i < ACTORS; i++) {
        bool goes = actors[i].doing == NAP && actors[i].cpu == id;
        good = good && (!goes || sched_set_affinity(actors[i].thread, 1ull << id | own) == STATUS_OK);
    }
    want.cpus[base.own].moves_forced += others_asleep(cpu_table[id]);
    if (!good || cpu_down(id) != STATUS_OK) {
        return false;
    }
    for (unsigned i = 0; i < ACTORS; i++) {
        if (actors[i].doing == NAP && actors[i].cpu == id) {
            actors[i].cpu = base.own;
            want.cpus[base.own].moves_forced++;
            good = good && sched_set_affinity(actors[i].thread, own) == STATUS_OK;
        }
    }
    return good;
}

/* With all asleep or gone: a CPU of theirs goes and comes, and their sleep goes on. */
static bool take_a_cpu_away(unsigned cpus)
{
    for (unsigned round = 0; cpus > 1 && round < 2; round++) {
        flushes_known = false;
        if (!(round == 0 ? take_down(cpus - 1) : cpu_up(cpus - 1) == STATUS_OK)) {
            return false;
        }
        want.cpus_online += round == 0 ? -1u : 1u;
        want.cpus[cpus - 1].online = round;
        if (!shows_memory(round == 0 ? "without a CPU" : "with it again")) {
            return false;
        }
    }
    return true;
}

static bool end(enum doing those)
{
    for (unsigned i = 0; i < ACTORS; i++) {
        if (actors[i].doing == those && !tell(&actors[i], ENDED)) {
            return false;
        }
    }
    return shows("ended");
}

static bool reap(void)
{
    flushes_known = false;
    (void)reaper_reclaim(); /* false: it has freed them by itself */
    for (unsigned i = 0; i < ACTORS; i++) {
        actors[i].doing = actors[i].doing == ENDED ? NOTHING : actors[i].doing;
    }
    buried = 0;
    return shows_memory("reaped");
}

/* After a step that failed: all CPUs are there, and actors that are left end, those that nobody has started too. */
static void clean_up(void)
{
    static struct system_stats now;
    for (unsigned id = 0; id < cpu_count_present(); id++) {
        if ((cpu_online_mask() & 1ull << id) == 0) {
            (void)!cpu_up(id);
        }
    }
    for (unsigned i = 0; i < ACTORS; i++) {
        enum doing doing = actors[i].doing;
        __atomic_store_n(&actors[i].doing, ENDED, __ATOMIC_RELEASE);
        if (doing == NEW) {
            sched_start_on(actors[i].thread, base.own);
        } else if (doing != NOTHING && doing != ENDED) {
            sched_wake(actors[i].thread);
        }
    }
    for (unsigned i = 0; i < TRIES; i++) {
        stats_snapshot(&now);
        if (now.threads_alive == base.running + base.sleeping) {
            return;
        }
        sched_sleep_until(clock_cycles() + clock_cycles_from_ns(TRY_NS));
    }
}

static bool every_step_shows(void)
{
    unsigned cpus = cpu_count_present() < ACTOR_CPUS ? cpu_count_present() : ACTOR_CPUS;
    quiesce();
    uint64_t free = frame_free_count();
    bool good = begin() && create() && put_to_work(cpus) && change_what_they_do() && flush() && move(cpus) &&
                use_the_heap() && end(SPIN) && take_a_cpu_away(cpus) && change_what_they_do() && end(SPIN) &&
                reap() && end(SLEEP) && end(NAP) && reap() && all(NOTHING) == ACTORS;
    if (!good) {
        clean_up();
    }
    quiesce();
    return good && frame_free_count() == free;
}

/* A CPU that stands still makes others take the kernel's own threads, which the model does not know. covers: ST-01 */
void ktest_a_snapshot_equals_a_model_in_every_field(void)
{
    struct thread *self = thread_current();
    uint64_t affinity = self->affinity;
    KEXPECT(workers_reaper());
    KEXPECT(sched_set_affinity(self, 1) == STATUS_OK); /* the boot CPU stays */
    KEXPECT(workers_reaper_may_run_on(1));
    bool good = ktest_undisturbed(every_step_shows);
    KEXPECT(workers_reaper_may_run_on(UINT64_MAX));
    KEXPECT(sched_set_affinity(self, affinity) == STATUS_OK);
    KEXPECT(good);
}
