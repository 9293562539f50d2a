/* The frame manager in the running kernel: counters, owners under contention, strict nodes. */
#include "arch/arch.h"
#include "arch/x86_64/percpu.h"
#include "console.h"
#include "mm/frame.h"
#include "sched/sched.h"
#include "smp/hotplug.h"
#include "sys/quiesce.h"
#include "test/frame_model.h"
#include "test/ktest.h"
#include "test/random.h"
#include "test/workers.h"

/* ---- counters ---- */

#define MODEL_STEPS 20000u
#define MODEL_RUNS  2000u
#define FLOOD_EVERY 2500u /* steps from one flood to the next */
#define COMPARED    500u  /* steps from one comparison of all figures to the next */

struct random_run {
    struct {
        pfn_t pfn;
        uint64_t n;
    } runs[MODEL_RUNS];
    unsigned live;
    uint64_t seed;
    uint64_t asked[2]; /* calls that got frames, and that did not */
    uint64_t freed;    /* calls */
    uint64_t flood;    /* frames of the requests of a flood, 0: there is none */
};

static uint64_t below(struct random_run *run, uint64_t limit)
{
    return random_next(&run->seed) % limit;
}

/* Most requests are of one frame; in a flood they are as long as the last one that was served, or half as long. */
static uint64_t random_length(struct random_run *run)
{
    uint64_t kind = below(run, 64);
    return run->flood > 0 ? run->flood
           : kind < 38    ? 1
           : kind < 50    ? 2 + below(run, 60)
           : kind < 58    ? 64 + below(run, FRAMES_PER_BLOCK - 64)
           : kind < 61    ? FRAMES_PER_BLOCK - 1 + below(run, 3)
                          : FRAMES_PER_BLOCK + below(run, FRAMES_PER_BLOCK * 8);
}

static bool random_alloc(struct random_run *run)
{
    static const uint32_t some[] = {0, 0, 0, 0, FRAME_DMA, FRAME_STRICT, FRAME_CRITICAL};
    uint32_t flags = run->flood > 0 ? 0 : some[below(run, sizeof some / sizeof some[0])];
    flags |= below(run, 8) == 0 ? FRAME_NODE(below(run, frame_manager.node_count)) : 0;
    uint64_t n = random_length(run);
    pfn_t pfn;
    bool got;
    if (!frame_model_alloc(n, flags, &pfn, &got)) {
        return false;
    }
    run->asked[got ? 0 : 1]++;
    run->flood = got ? run->flood : run->flood / 2;
    if (got) {
        run->runs[run->live].pfn = pfn;
        run->runs[run->live++].n = n;
    }
    return true;
}

/* Half of the runs of a few frames go one by one. */
static bool random_free(struct random_run *run)
{
    unsigned at = (unsigned)below(run, run->live);
    pfn_t pfn = run->runs[at].pfn;
    uint64_t n = run->runs[at].n;
    run->runs[at] = run->runs[--run->live];
    uint64_t step = n < 64 && below(run, 2) == 0 ? 1 : n;
    for (uint64_t done = 0; done < n; done += step) {
        run->freed++;
        if (!frame_model_free(pfn + done, step)) {
            return false;
        }
    }
    return true;
}

static bool free_all(struct random_run *run)
{
    while (run->live > 0) {
        if (!random_free(run)) {
            return false;
        }
    }
    return true;
}

/* Every other flood begins with single blocks when all is free, so that every group there is gets split. */
static bool begin_flood(struct random_run *run, unsigned number)
{
    run->flood = number % 2 == 0 ? FRAME_RUN_MAX / 4 : FRAMES_PER_BLOCK;
    return number % 2 == 0 || free_all(run);
}

/* Floods, each until no frame is left, and ebbs between them; all is given back at the end. */
static bool random_steps(struct random_run *run)
{
    for (unsigned i = 0; i < MODEL_STEPS; i++) {
        if (i % FLOOD_EVERY == 0 && !begin_flood(run, i / FLOOD_EVERY)) {
            return false;
        }
        bool grow = run->live == 0 || (run->live < MODEL_RUNS && (run->flood > 0 || below(run, 100) < 45));
        bool good = below(run, 500) == 0 ? frame_model_drain() : grow ? random_alloc(run) : random_free(run);
        if (!good || (i % COMPARED == 0 && !frame_model_agrees())) {
            return false;
        }
    }
    return free_all(run) && frame_model_agrees() && frame_model_drain() && frame_model_agrees();
}

/* With no other CPU that could use the frame manager meanwhile, and no interrupt. */
static bool run_alone(struct random_run *run)
{
    quiesce();
    uint64_t flags = arch_irq_save();
    uint64_t before = frame_free_count();
    bool good = frame_model_begin() && random_steps(run);
    frame_model_end();
    bool sound = frame_free_count() == before && frame_check(NULL) == 0;
    arch_irq_restore(flags);
    if (!good) {
        console_printf("# the model and the frame manager differ: %s\n", frame_model_wrong());
    }
    return good && sound;
}

/* The boot CPU stays, and this thread is there. */
static bool other_cpus(status_t (*change)(unsigned id))
{
    bool good = true;
    for (unsigned id = 1; id < cpu_count_present(); id++) {
        good = change(id) == STATUS_OK && good;
    }
    return good;
}

/* covers: MM-13, MM-01 */
void ktest_frame_counters_equal_a_model_after_a_random_run(void)
{
    static struct random_run run;
    struct frame_model_seen seen;
    struct thread *self = thread_current();
    uint64_t affinity = self->affinity;
    run = (struct random_run){.seed = 0x2545f4914f6cdd1d};
    KEXPECT(workers_reaper());
    KEXPECT(sched_set_affinity(self, 1) == STATUS_OK);
    bool gone = other_cpus(cpu_down);
    bool good = gone && run_alone(&run);
    bool back = other_cpus(cpu_up);
    KEXPECT(sched_set_affinity(self, affinity) == STATUS_OK);
    KEXPECT(gone && back && good);
    frame_model_seen(&seen);
    KEXPECT(run.asked[0] > MODEL_STEPS / 4 && seen.failures == run.asked[1] && seen.failures > 100);
    KEXPECT(seen.splits > 100 && seen.merges > 100 && seen.fallbacks > 10);
    KEXPECT(seen.refills > 10 && seen.spills > 10 && seen.drains > 10);
    KEXPECT((seen.remote > 10) == (frame_manager.node_count > 1));
    KEXPECT(seen.timed[0] > 100 && seen.timed[1] > 100);
}

/* ---- owners ---- */

#define HELD_FRAMES 24u

/* A million cycles in all where there are eight CPUs, a short run elsewhere. */
static unsigned owner_cycles(void)
{
    return cpu_count_online() >= 8 ? 1000000u / cpu_count_online() : 4000u;
}

/* Takes and gives frames whose owner id is this worker's; every frame that it holds must stay its own. */
static void own_frames(void *wrong, unsigned number)
{
    pfn_t held[HELD_FRAMES] = {0};
    uint64_t seed = 88172645463325252ull + number;
    unsigned cycles = owner_cycles();
    for (unsigned i = 0; i < cycles; i++) {
        unsigned at = (unsigned)(random_next(&seed) % HELD_FRAMES);
        struct page_frame *frame = frame_lookup(held[at]);
        if (held[at] != 0) {
            bool mine = frame->owner == FRAME_OWNER_TEST && frame->owner_id == number + 1 && frame->refs == 1;
            if (!mine || frame_free(held[at]) != STATUS_OK) {
                __atomic_add_fetch((uint32_t *)wrong, 1, __ATOMIC_RELAXED);
            }
        }
        if (frame_alloc(0, FRAME_OWNER_TEST, number + 1, &held[at]) != STATUS_OK) {
            __atomic_add_fetch((uint32_t *)wrong, 1, __ATOMIC_RELAXED);
            held[at] = 0;
        }
    }
    for (unsigned at = 0; at < HELD_FRAMES; at++) {
        if (held[at] != 0 && frame_free(held[at]) != STATUS_OK) {
            __atomic_add_fetch((uint32_t *)wrong, 1, __ATOMIC_RELAXED);
        }
    }
}

static uint64_t frames_of_tests(void)
{
    uint64_t count = 0;
    for (pfn_t pfn = 0; pfn < frame_manager.limit; pfn++) {
        const struct page_frame *frame = frame_lookup(pfn);
        count += frame != NULL && frame->state == FRAME_ALLOCATED && frame->owner == FRAME_OWNER_TEST ? 1 : 0;
    }
    return count;
}

/* covers: MM-20 */
void ktest_frames_have_one_owner_whatever_the_cpus_do(void)
{
    uint32_t wrong = 0;
    uint64_t before = frames_of_tests();
    KEXPECT(workers_run(cpu_count_online(), own_frames, &wrong, 20000000000ull));
    KEXPECT(wrong == 0);
    KEXPECT(frames_of_tests() == before);
    frame_cpu_drain_all();
    KEXPECT(frame_check(NULL) == 0);
}

/* ---- nodes ---- */

#define STRICT_RUN 512u

/* The frames of a chain of runs, linked through their first words. */
static bool give_back(uint64_t *chain)
{
    bool good = true;
    while (chain != NULL) {
        uint64_t *next = (uint64_t *)(uintptr_t)chain[0];
        good = frame_free_run(paddr_pfn(arch_virt_to_phys(chain)), chain[1]) == STATUS_OK && good;
        chain = next;
    }
    return good;
}

/* covers: MM-12 (K: strict mode) */
void ktest_strict_requests_never_leave_their_node(void)
{
    unsigned node = cpu_this()->node;
    uint64_t *chain = NULL;
    status_t status = STATUS_OK;
    bool local = true;
    for (uint64_t n = STRICT_RUN; n > 0; n /= 8) { /* 512, 64, 8, 1 */
        pfn_t pfn;
        for (;;) {
            status = frame_alloc_contiguous(n, FRAME_NODE(node) | FRAME_STRICT, FRAME_OWNER_TEST, 1, &pfn);
            if (status != STATUS_OK) {
                break;
            }
            local = local && frame_lookup(pfn)->node == node;
            uint64_t *run = arch_phys_to_virt(paddr_from_pfn(pfn));
            run[0] = (uint64_t)(uintptr_t)chain;
            run[1] = n;
            chain = run;
        }
    }
    pfn_t other;
    status_t elsewhere = frame_alloc(FRAME_NODE(node), FRAME_OWNER_TEST, 1, &other);
    bool more = frame_manager.node_count > 1;
    bool spills =
        elsewhere == STATUS_OK && frame_lookup(other)->node != node && frame_free(other) == STATUS_OK;
    KEXPECT(give_back(chain));
    KEXPECT(local && status == STATUS_ERR_NO_LOCAL_MEMORY);
    KEXPECT(more ? spills : elsewhere == STATUS_ERR_NO_MEMORY);
}
