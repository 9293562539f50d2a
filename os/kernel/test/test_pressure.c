/* Memory pressure and migration in the running kernel. */
#include "arch/arch.h"
#include "arch/x86_64/clock.h"
#include "mm/frame.h"
#include "mm/pressure.h"
#include "mm/vm.h"
#include "proc/usercopy.h"
#include "sched/sched.h"
#include "test/ktest.h"
#include "test/workers.h"

/* ---- pressure ---- */

static uint32_t shrinks[PRESSURE_CRITICAL + 1];

static uint64_t count_shrink(void *context, enum pressure_level level)
{
    (void)context;
    __atomic_add_fetch(&shrinks[level], 1, __ATOMIC_RELAXED);
    return 0;
}

static uint64_t *chain;

static bool take(uint64_t n, uint32_t flags)
{
    pfn_t pfn;
    if (frame_alloc_contiguous(n, flags | FRAME_CRITICAL, FRAME_OWNER_TEST, 1, &pfn) != STATUS_OK) {
        return false;
    }
    uint64_t *run = arch_phys_to_virt(paddr_from_pfn(pfn));
    run[0] = (uint64_t)(uintptr_t)chain;
    run[1] = n;
    chain = run;
    return true;
}

/* The node whose zone Normal has most: no zone comes below its own marks before all do. */
static unsigned fullest_node(void)
{
    unsigned best = 0;
    for (unsigned node = 1; node < frame_manager.node_count; node++) {
        if (frame_manager.nodes[node].zones[FRAME_ZONE_NORMAL].free_frames >
            frame_manager.nodes[best].zones[FRAME_ZONE_NORMAL].free_frames) {
            best = node;
        }
    }
    return best;
}

/* Takes frames until so many are free. */
static void take_until(uint64_t free_frames)
{
    while (frame_free_count() > free_frames) {
        uint64_t n = frame_free_count() - free_frames;
        uint32_t node = FRAME_NODE(fullest_node()) | FRAME_STRICT;
        if (!(n > 64 && take(64, node)) && !take(1, node)) {
            return;
        }
    }
}

static bool give_until(uint64_t free_frames)
{
    bool good = true;
    while (chain != NULL && frame_free_count() < free_frames) {
        uint64_t *next = (uint64_t *)(uintptr_t)chain[0];
        good = frame_free_run(paddr_pfn(arch_virt_to_phys(chain)), chain[1]) == STATUS_OK && good;
        chain = next;
    }
    return good;
}

struct step {
    uint32_t quarter_units; /* free frames to come to */
    enum pressure_level level;
    uint32_t low, critical; /* crossings so far */
};

static uint64_t low_before, critical_before;

/* The level is that of the step, each crossing so far ran the shrinkers once, and the balancer has nothing left to do. */
static bool settled(const struct step *step)
{
    return pressure_level() == step->level && pressure_crossings(PRESSURE_LOW) - low_before == step->low &&
           pressure_crossings(PRESSURE_CRITICAL) - critical_before == step->critical &&
           __atomic_load_n(&shrinks[PRESSURE_LOW], __ATOMIC_RELAXED) == step->low &&
           __atomic_load_n(&shrinks[PRESSURE_CRITICAL], __ATOMIC_RELAXED) == step->critical &&
           !pressure_shrinking() && !frame_balance_wanted();
}

static void be_busy(uint64_t ns)
{
    uint64_t end = clock_cycles() + clock_cycles_from_ns(ns);
    while (clock_cycles() < end) {
        sched_yield();
    }
}

/*
 * Busy, so that ticks come and wake the balancer, for three ticks; it is of the same level as this thread. A balancer whose
 * processor stands still meanwhile (on a busy host, for more than three ticks) is waited for. A run too many never settles.
 */
static bool settles(const struct step *step)
{
    be_busy(3 * SCHED_TICK_NS);
    if (settled(step)) {
        return true;
    }
    ktest_disturbed();
    for (unsigned tick = 0; tick < 200 && !settled(step); tick++) {
        be_busy(SCHED_TICK_NS);
    }
    return settled(step);
}

/* Marks: low below 1/16 of the frames, critical below 1/64, left 1/64 above. covers: HP-21, MM-09 (the thread) */
void ktest_shrinkers_run_once_per_crossing_of_the_free_frames(void)
{
    static struct shrinker shrinker = {.name = "test", .shrink = count_shrink};
    const uint64_t unit = frame_manager.map_frames / 64;
    static const struct step before = {0, PRESSURE_NONE, 0, 0};
    static const struct step steps[] = {{15, PRESSURE_LOW, 1, 0},     {17, PRESSURE_LOW, 1, 0},
                                        {15, PRESSURE_LOW, 1, 0},     {24, PRESSURE_NONE, 1, 0},
                                        {14, PRESSURE_LOW, 2, 0},     {3, PRESSURE_CRITICAL, 2, 1},
                                        {6, PRESSURE_CRITICAL, 2, 1}, {10, PRESSURE_LOW, 2, 1},
                                        {3, PRESSURE_CRITICAL, 2, 2}, {30, PRESSURE_NONE, 2, 2}};
    low_before = pressure_crossings(PRESSURE_LOW);
    critical_before = pressure_crossings(PRESSURE_CRITICAL);
    while (take(64, FRAME_DMA) || take(1, FRAME_DMA)) { /* what is taken later is of one zone a node */
    }
    bool good = settles(&before); /* also: the balancer is done with the zone that has just been emptied */
    good = pressure_register(&shrinker) == STATUS_OK && good;
    for (unsigned i = 0; i < sizeof(steps) / sizeof(steps[0]) && good; i++) {
        uint64_t target = unit * steps[i].quarter_units / 4;
        take_until(target);
        good = give_until(target) && settles(&steps[i]);
    }
    good = give_until(UINT64_MAX) && good;
    pressure_unregister(&shrinker);
    KEXPECT(good);
    be_busy(3 * SCHED_TICK_NS);
    KEXPECT(pressure_level() == PRESSURE_NONE);
}

/* ---- migration ---- */

#define SHARED_AT    0x0000200000000000ull
#define SHARED_PAGES 4u
#define WRITES       1500u

static struct address_space shared;

/* Counts in words of its own on every page, through the translations of its CPU. */
static void count_up(void *wrong, unsigned number)
{
    sched_adopt_space(&shared);
    for (uint64_t i = 1; i <= WRITES; i++) {
        vaddr_t at = vaddr_make(SHARED_AT + i % SHARED_PAGES * PAGE_SIZE + 8ull * number);
        uint64_t seen = 0;
        bool good = user_read(&seen, at, sizeof(seen)) == STATUS_OK;
        uint64_t next = seen + 1;
        good = good && user_write(at, &next, sizeof(next)) == STATUS_OK;
        __atomic_add_fetch((uint32_t *)wrong, good ? 0 : 1, __ATOMIC_RELAXED);
        if (number == 0 && i % 50 == 0) { /* this one moves them all */
            uint64_t moved;
            unsigned node = (unsigned)(i / 50) % frame_manager.node_count;
            status_t status =
                vm_migrate(&shared, vaddr_make(SHARED_AT), SHARED_PAGES * PAGE_SIZE, node, &moved);
            __atomic_add_fetch((uint32_t *)wrong, status == STATUS_OK ? 0 : 1, __ATOMIC_RELAXED);
        }
    }
    sched_adopt_space(NULL);
}

static uint64_t sum_of(unsigned number)
{
    uint64_t sum = 0;
    sched_adopt_space(&shared);
    for (unsigned page = 0; page < SHARED_PAGES; page++) {
        uint64_t word = 0;
        vaddr_t at = vaddr_make(SHARED_AT + page * PAGE_SIZE + 8ull * number);
        sum += user_read(&word, at, sizeof(word)) == STATUS_OK ? word : UINT32_MAX;
    }
    sched_adopt_space(NULL);
    return sum;
}

/* No write is lost whatever moves below it. covers: MM-18 (K: contents, entries, statistics and TLBs of all CPUs) */
void ktest_pages_move_between_nodes_while_every_cpu_writes_them(void)
{
    uint32_t wrong = 0;
    vaddr_t at;
    unsigned count = cpu_count_online();
    KEXPECT(vm_space_init(&shared, (struct pid){9999}) == STATUS_OK);
    KEXPECT(vm_map(&shared, vaddr_make(SHARED_AT), SHARED_PAGES * PAGE_SIZE, VM_READ | VM_WRITE | VM_FIXED,
                   &at) == STATUS_OK);
    KEXPECT(vm_populate(&shared, at, SHARED_PAGES * PAGE_SIZE, true) == STATUS_OK);
    KEXPECT(workers_run(count, count_up, &wrong, 20000000000ull) && wrong == 0);
    for (unsigned number = 0; number < count; number++) {
        KEXPECT(sum_of(number) == WRITES);
    }
    bool several = frame_manager.node_count > 1;
    KEXPECT(several ? shared.stats.migrated_pages >= SHARED_PAGES * (WRITES / 50 - 1)
                    : shared.stats.migrated_pages == 0);
    KEXPECT(vm_check(&shared) == 0);
    vm_space_deinit(&shared);
}
