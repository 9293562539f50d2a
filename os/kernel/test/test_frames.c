/* The frame manager in the running kernel: counters, owners under contention, strict nodes. */
#include "arch/arch.h"
#include "arch/x86_64/percpu.h"
#include "mm/frame.h"
#include "test/ktest.h"
#include "test/random.h"
#include "test/workers.h"

/* ---- counters ---- */

#define MODEL_STEPS 20000u
#define MODEL_RUNS  200u

struct model {
    struct {
        pfn_t pfn;
        uint64_t n;
    } runs[MODEL_RUNS];
    unsigned live;
    uint64_t seed;
    uint64_t allocs;
    uint64_t frees;
    uint64_t failures;
    uint64_t held;
    uint64_t nodes[MM_MAX_NODES]; /* frames handed out */
};

static bool model_grow(struct model *model)
{
    uint64_t kind = random_next(&model->seed) % 64;
    uint64_t n = kind < 50 ? 1 : (kind < 63 ? 1 + random_next(&model->seed) % 60 : 512);
    pfn_t pfn;
    status_t status = n == 1
                          ? frame_alloc(0, FRAME_OWNER_TEST, 1, &pfn)
                          : frame_alloc_contiguous(n, kind == 63 ? 0 : FRAME_DMA, FRAME_OWNER_TEST, 1, &pfn);
    if (status != STATUS_OK) {
        model->failures++;
        return status == STATUS_ERR_NO_MEMORY;
    }
    model->runs[model->live].pfn = pfn;
    model->runs[model->live++].n = n;
    model->allocs += n;
    model->held += n;
    model->nodes[frame_lookup(pfn)->node] += n;
    return true;
}

static bool model_shrink(struct model *model)
{
    unsigned at = (unsigned)(random_next(&model->seed) % model->live);
    uint64_t n = model->runs[at].n;
    pfn_t pfn = model->runs[at].pfn;
    model->runs[at] = model->runs[--model->live];
    model->frees += n;
    model->held -= n;
    return (n == 1 ? frame_free(pfn) : frame_free_run(pfn, n)) == STATUS_OK;
}

static uint64_t node_allocs(unsigned node)
{
    uint64_t total = 0;
    for (unsigned zone = 0; zone < FRAME_ZONE_COUNT; zone++) {
        total += frame_zone_allocs(node, (enum frame_zone_id)zone);
    }
    return total;
}

/* covers: MM-13, MM-01 */
void ktest_frame_counters_equal_a_model_after_a_random_run(void)
{
    static struct model model;
    struct frame_stats before;
    struct frame_stats after;
    uint64_t nodes[MM_MAX_NODES];
    model = (struct model){.seed = 0x2545f4914f6cdd1d};
    frame_stats_read(&before);
    for (unsigned node = 0; node < MM_MAX_NODES; node++) {
        nodes[node] = node_allocs(node);
    }
    for (unsigned i = 0; i < MODEL_STEPS; i++) {
        bool grow = model.live == 0 || (model.live < MODEL_RUNS && random_next(&model.seed) % 2 == 0);
        KEXPECT(grow ? model_grow(&model) : model_shrink(&model));
    }
    frame_stats_read(&after);
    KEXPECT(model.allocs > MODEL_STEPS / 4 && model.held > 0);
    KEXPECT(after.allocs - before.allocs == model.allocs && after.frees - before.frees == model.frees);
    KEXPECT(after.failures - before.failures == model.failures);
    KEXPECT(after.allocated_frames - before.allocated_frames == model.held);
    for (unsigned node = 0; node < MM_MAX_NODES; node++) {
        KEXPECT(node_allocs(node) - nodes[node] == model.nodes[node]);
    }
    while (model.live > 0) {
        KEXPECT(model_shrink(&model));
    }
    frame_cpu_drain_all();
    frame_stats_read(&after);
    KEXPECT(after.free_frames == before.free_frames && after.splits >= before.splits);
    KEXPECT(after.splits - before.splits == 0 || after.merges > before.merges);
    uint64_t timed = 0;
    for (unsigned bucket = 0; bucket < FRAME_LATENCY_BUCKETS; bucket++) {
        timed += frame_manager.cpus[arch_cpu_id()].alloc_latency[bucket];
    }
    KEXPECT(timed > 0 && frame_check(NULL) == 0);
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
