/* The slow model of the frame manager. Every block is of one zone of one node, as is every run. */
#include "test/frame_model.h"

#include "arch/x86_64/percpu.h"
#include "lib/string.h"

#define BLOCKS (FRAME_MODEL_LIMIT / FRAMES_PER_BLOCK)

struct zone_model {
    uint64_t managed;
    uint64_t reserved;
    uint64_t free;
    uint64_t min_mark;
    uint64_t low_mark;
    struct frame_zone_counters counters;
};

static struct {
    bool free[FRAME_MODEL_LIMIT]; /* in its zone */
    uint32_t free_in[BLOCKS];
    uint8_t node_of[BLOCKS];
    uint8_t zone_of[BLOCKS];
    uint32_t blocks;
    struct zone_model zones[MM_MAX_NODES][FRAME_ZONE_COUNT];
    struct frame_stats constant; /* what no call changes */
    uint64_t failures;           /* of all CPUs */
    /* the calling CPU's */
    unsigned id;
    unsigned node;
    uint32_t cached[FRAME_CPU_CAPACITY];
    unsigned count;
    struct frame_cpu cpu; /* its figures, not its frames */
    /* the clock that the frame manager reads */
    uint64_t (*timestamp)(void);
    uint64_t stamps[2];
    unsigned stamped;
    struct frame_model_seen before;
    const char *wrong;
} model;

/* The model does not allow what has happened. */
static bool refuse(const char *what)
{
    model.wrong = what;
    return false;
}

const char *frame_model_wrong(void)
{
    return model.wrong != NULL ? model.wrong : "nothing";
}

static struct zone_model *zone_at(uint32_t block)
{
    return &model.zones[model.node_of[block]][model.zone_of[block]];
}

static uint64_t stamp(void)
{
    uint64_t now = model.timestamp();
    model.stamps[model.stamped % 2] = now;
    model.stamped++;
    return now;
}

/* ---- groups ---- */

static bool is_whole(uint32_t block, const struct zone_model *zone)
{
    return block < model.blocks && model.free_in[block] == FRAMES_PER_BLOCK && zone_at(block) == zone;
}

/* Order of the free group in which a wholly free block lies: the largest aligned power of two of such blocks of its zone. */
static unsigned group_order(uint32_t block)
{
    const struct zone_model *zone = zone_at(block);
    unsigned order = 0;
    for (; order + 1 < BUDDY_ORDERS; order++) {
        uint32_t count = 2u << order;
        uint32_t first = block & ~(count - 1);
        for (uint32_t i = 0; i < count; i++) {
            if (!is_whole(first + i, zone)) {
                return order;
            }
        }
    }
    return order;
}

/* The smallest order from `order` on of which a zone has a group; BUDDY_ORDERS: none. *largest: the largest one plus one, 0: none. */
static unsigned best_order(const struct zone_model *zone, unsigned order, unsigned *largest)
{
    unsigned best = BUDDY_ORDERS;
    *largest = 0;
    for (uint32_t block = 0; block < model.blocks;) {
        if (!is_whole(block, zone)) {
            block++;
            continue;
        }
        unsigned here = group_order(block);
        best = here >= order && here < best ? here : best;
        *largest = here >= *largest ? here + 1 : *largest;
        block += 1u << here;
    }
    return best;
}

/* A block has become wholly free: it is joined with its buddy as often as its group's order says. */
static void join(uint32_t block)
{
    zone_at(block)->counters.merges += group_order(block);
}

static unsigned order_of(uint64_t n)
{
    unsigned order = 0;
    while ((uint64_t)FRAMES_PER_BLOCK << order < n) {
        order++;
    }
    return order;
}

/* ---- frames leave a zone and come back ---- */

/* The group of 2^order blocks at `first` goes: it was, or was cut out of, one of the best order. */
static bool cut(uint32_t first, unsigned order)
{
    struct zone_model *zone = zone_at(first);
    unsigned largest;
    if (!is_whole(first, zone)) {
        return refuse("a block that is not free is taken");
    }
    unsigned from = group_order(first);
    if (from != best_order(zone, order, &largest) || first % (1u << from) != 0) {
        return refuse("a group is not the best or not its first part is taken");
    }
    zone->counters.splits += from - order;
    return true;
}

static bool take_bits(pfn_t pfn, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        if (!model.free[pfn + i]) {
            return refuse("a frame that is not free is taken");
        }
        model.free[pfn + i] = false;
        model.free_in[(pfn + i) / FRAMES_PER_BLOCK]--;
    }
    zone_at((uint32_t)(pfn / FRAMES_PER_BLOCK))->free -= n;
    return true;
}

static void give_bits(pfn_t pfn, uint64_t n)
{
    zone_at((uint32_t)(pfn / FRAMES_PER_BLOCK))->free += n;
    for (uint64_t i = 0; i < n; i++) {
        model.free[pfn + i] = true;
        model.free_in[(pfn + i) / FRAMES_PER_BLOCK]++;
    }
}

/* Below 512 frames: inside a block, of which a fresh one is broken. */
static bool take_small(pfn_t pfn, uint64_t n)
{
    uint32_t block = (uint32_t)(pfn / FRAMES_PER_BLOCK);
    if (block != (pfn + n - 1) / FRAMES_PER_BLOCK) {
        return refuse("a run lies in two blocks");
    }
    if (model.free_in[block] == FRAMES_PER_BLOCK) {
        zone_at(block)->counters.blocks_to_bitmap++;
        if (!cut(block, 0)) {
            return false;
        }
    }
    return take_bits(pfn, n);
}

/* A group of the buddy; blocks behind the run are joined again, one by one, frames behind it stay in a broken block. */
static bool take_large(pfn_t pfn, uint64_t n)
{
    unsigned order = order_of(n);
    uint32_t first = (uint32_t)(pfn / FRAMES_PER_BLOCK);
    uint32_t used = (uint32_t)((n + FRAMES_PER_BLOCK - 1) / FRAMES_PER_BLOCK);
    uint64_t whole = (uint64_t)FRAMES_PER_BLOCK << order;
    if (pfn % FRAMES_PER_BLOCK != 0 || !cut(first, order) || !take_bits(pfn, whole)) {
        return refuse(model.wrong != NULL ? model.wrong : "a large run begins inside a block");
    }
    if (n % FRAMES_PER_BLOCK != 0) {
        zone_at(first)->counters.blocks_to_bitmap++;
        give_bits(pfn + n, FRAMES_PER_BLOCK - n % FRAMES_PER_BLOCK);
    }
    for (uint32_t block = first + used; block < first + (1u << order); block++) {
        give_bits((pfn_t)block * FRAMES_PER_BLOCK, FRAMES_PER_BLOCK);
        join(block);
    }
    return true;
}

/* n frames of one zone, a block at a time. */
static void give(pfn_t pfn, uint64_t n, bool counted)
{
    while (n > 0) {
        uint32_t block = (uint32_t)(pfn / FRAMES_PER_BLOCK);
        uint64_t room = FRAMES_PER_BLOCK - pfn % FRAMES_PER_BLOCK;
        uint64_t step = n < room ? n : room;
        give_bits(pfn, step);
        zone_at(block)->counters.freed += counted ? step : 0;
        if (model.free_in[block] == FRAMES_PER_BLOCK) {
            zone_at(block)->counters.blocks_to_buddy++;
            join(block);
        }
        pfn += step;
        n -= step;
    }
}

/* ---- the cache ---- */

static void give_oldest(unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        give(model.cached[i], 1, false);
    }
    model.count -= n;
    memmove(model.cached, model.cached + n, model.count * sizeof model.cached[0]);
}

static void drain(void)
{
    model.cpu.drains += model.count > 0 ? 1 : 0;
    give_oldest(model.count);
}

/* The cache was empty: what it has now, and the frame that was taken, came from the zone, at least half of what was wanted. */
static bool refill(pfn_t pfn)
{
    const struct zone_model *zone = &model.zones[model.node][FRAME_ZONE_NORMAL];
    const struct frame_cpu *real = &frame_manager.cpus[model.id];
    uint64_t room = zone->free > zone->min_mark ? zone->free - zone->min_mark : 0;
    uint64_t want = room < FRAME_CPU_BATCH ? room : FRAME_CPU_BATCH;
    uint64_t came = real->count + 1u;
    if (came > want || came < want - want / 2) {
        return refuse("a refill is too large or too small");
    }
    for (uint64_t i = 0; i < came; i++) {
        uint32_t frame = i < real->count ? real->frames[i] : (uint32_t)pfn;
        if (zone_at(frame / FRAMES_PER_BLOCK) != zone) {
            return refuse("a refill comes from another zone");
        }
        if (!take_small(frame, 1)) {
            return false;
        }
        model.cached[model.count++] = frame;
    }
    model.cpu.refills++;
    return true;
}

/* ---- the order of choice ---- */

static uint64_t longest_run(uint32_t block)
{
    uint64_t longest = 0;
    uint64_t run = 0;
    for (uint32_t i = 0; i < FRAMES_PER_BLOCK; i++) {
        run = model.free[block * FRAMES_PER_BLOCK + i] ? run + 1 : 0;
        longest = run > longest ? run : longest;
    }
    return longest;
}

static bool has_run(const struct zone_model *zone, uint64_t n)
{
    unsigned largest;
    if (n >= FRAMES_PER_BLOCK) {
        return best_order(zone, order_of(n), &largest) < BUDDY_ORDERS;
    }
    for (uint32_t block = 0; block < model.blocks; block++) {
        if (is_whole(block, zone)) {
            return true;
        }
    }
    for (uint32_t block = 0; block < model.blocks; block++) {
        if (model.free_in[block] >= n && zone_at(block) == zone && (n == 1 || longest_run(block) >= n)) {
            return true;
        }
    }
    return false;
}

static bool zone_serves(struct zone_model *zone, uint64_t n, uint64_t floor)
{
    if (zone->managed == 0) {
        return false;
    }
    bool serves = zone->free >= n + floor && has_run(zone, n);
    zone->counters.failed += serves ? 0 : 1;
    return serves;
}

/* The zone of a node that serves a request, null: none. */
static struct zone_model *node_serves(struct zone_model *zones, uint64_t n, uint32_t flags)
{
    struct zone_model *dma = &zones[FRAME_ZONE_DMA];
    struct zone_model *normal = &zones[FRAME_ZONE_NORMAL];
    bool critical = (flags & FRAME_CRITICAL) != 0;
    if ((flags & FRAME_DMA) != 0) {
        return zone_serves(dma, n, critical ? 0 : dma->min_mark) ? dma : NULL;
    }
    if (zone_serves(normal, n, critical ? 0 : normal->min_mark)) {
        return normal;
    }
    bool low = normal->managed == 0 || normal->free < normal->low_mark || normal->free < n + normal->min_mark;
    uint64_t floor = critical ? 0 : normal->managed > 0 ? dma->low_mark : dma->min_mark;
    if (low && zone_serves(dma, n, floor)) {
        dma->counters.fallbacks++;
        return dma;
    }
    return NULL;
}

static struct zone_model *choose(uint64_t n, uint32_t flags)
{
    unsigned preferred = frame_node_wanted(flags) != 0 ? frame_node_wanted(flags) - 1 : model.node;
    unsigned tries = (flags & FRAME_STRICT) != 0 ? 1 : frame_manager.node_count;
    for (unsigned i = 0; i < tries; i++) {
        struct zone_model *zone = node_serves(model.zones[frame_manager.nodes[preferred].order[i]], n, flags);
        if (zone != NULL) {
            zone->counters.remote += i > 0 ? 1 : 0;
            return zone;
        }
    }
    return NULL;
}

/* Not from the cache: the one zone, if there is one, perhaps after the cache went back. */
static bool follow_zone(uint64_t n, uint32_t flags, status_t status, pfn_t pfn)
{
    struct zone_model *zone = choose(n, flags);
    if (zone == NULL) {
        drain();
        zone = choose(n, flags);
    }
    if (zone == NULL) {
        model.cpu.failures++;
        model.failures++;
        bool strict = (flags & FRAME_STRICT) != 0;
        return status == (strict ? STATUS_ERR_NO_LOCAL_MEMORY : STATUS_ERR_NO_MEMORY) ||
               refuse("a request is served that no zone can serve");
    }
    if (status != STATUS_OK || zone_at((uint32_t)(pfn / FRAMES_PER_BLOCK)) != zone) {
        return refuse("a request is not served by the zone whose turn it is");
    }
    zone->counters.allocated += n;
    *(n < FRAMES_PER_BLOCK ? &zone->counters.bitmap_allocs : &zone->counters.buddy_allocs) += 1;
    return n < FRAMES_PER_BLOCK ? take_small(pfn, n) : take_large(pfn, n);
}

/* The youngest frame of the cache. *empty: it has none and gets none. */
static bool follow_cache(status_t status, pfn_t pfn, bool *empty)
{
    const struct zone_model *zone = &model.zones[model.node][FRAME_ZONE_NORMAL];
    *empty = model.count == 0 && zone->free <= zone->min_mark;
    if (*empty) {
        return true;
    }
    if (status != STATUS_OK || (model.count == 0 && !refill(pfn))) {
        return refuse(model.wrong != NULL ? model.wrong : "a cache that can be refilled gives nothing");
    }
    model.cpu.allocated++;
    return model.cached[--model.count] == pfn || refuse("a cache gives another frame than its youngest");
}

/* ---- calls ---- */

/* A timed call has read the clock at its begin, and when it was served at its end; others have not. */
static bool follow_clock(bool is_free, bool timed, bool served, uint64_t before, uint64_t after)
{
    if (model.stamped != (timed ? (served ? 2u : 1u) : 0u)) {
        return refuse("the clock is read by another call than the sixteenth");
    }
    if (!timed || !served) {
        return true;
    }
    uint64_t took = model.stamps[1] - model.stamps[0];
    unsigned bucket = 0;
    while (bucket + 1 < FRAME_LATENCY_BUCKETS && took >> (bucket + 1) != 0) {
        bucket++;
    }
    (is_free ? model.cpu.free_latency : model.cpu.alloc_latency)[bucket]++;
    return (before <= model.stamps[0] && model.stamps[0] <= model.stamps[1] && model.stamps[1] <= after) ||
           refuse("a latency is longer than the call");
}

bool frame_model_alloc(uint64_t n, uint32_t flags, pfn_t *pfn, bool *got)
{
    bool timed = model.cpu.allocated % FRAME_TIMED_ONE_IN == 0;
    model.stamped = 0;
    uint64_t before = model.timestamp();
    status_t status = n == 1 ? frame_alloc(flags, FRAME_OWNER_TEST, 1, pfn)
                             : frame_alloc_contiguous(n, flags, FRAME_OWNER_TEST, 1, pfn);
    uint64_t after = model.timestamp();
    *got = status == STATUS_OK;
    bool elsewhere = true; /* than in the cache */
    if (n == 1 && (flags & (FRAME_DMA | FRAME_NODE_ANY)) == 0 && !follow_cache(status, *pfn, &elsewhere)) {
        return false;
    }
    if (elsewhere && !follow_zone(n, flags, status, *pfn)) {
        return false;
    }
    return follow_clock(false, timed, *got, before, after);
}

/* One frame goes to the cache, which makes room for a batch when it is full; runs, and frames of others, to their zone. */
bool frame_model_free(pfn_t pfn, uint64_t n)
{
    bool timed = n == 1 && model.cpu.freed % FRAME_TIMED_ONE_IN == 0;
    model.stamped = 0;
    uint64_t before = model.timestamp();
    status_t status = n == 1 ? frame_free(pfn) : frame_free_run(pfn, n);
    uint64_t after = model.timestamp();
    if (status != STATUS_OK) {
        return refuse("a frame cannot be given back");
    }
    if (n > 1 || zone_at((uint32_t)(pfn / FRAMES_PER_BLOCK)) != &model.zones[model.node][FRAME_ZONE_NORMAL]) {
        give(pfn, n, true);
        return follow_clock(true, timed, true, before, after);
    }
    bool full = model.count == FRAME_CPU_CAPACITY;
    if (full) {
        give_oldest(FRAME_CPU_STEP);
        model.cpu.spills++;
    }
    model.cached[model.count++] = (uint32_t)pfn;
    if (full) {
        give_oldest(FRAME_CPU_BATCH - FRAME_CPU_STEP);
    }
    model.cpu.freed++;
    return follow_clock(true, timed, true, before, after);
}

bool frame_model_drain(void)
{
    frame_cpu_drain(model.id);
    drain();
    return frame_manager.cpus[model.id].count == 0 || refuse("a cache is not empty");
}

/* ---- begin and end ---- */

static void take_frame(pfn_t pfn)
{
    const struct page_frame *frame = frame_lookup(pfn);
    if (frame == NULL) {
        return;
    }
    uint32_t block = (uint32_t)(pfn / FRAMES_PER_BLOCK);
    model.node_of[block] = frame->node;
    model.zone_of[block] = frame->zone;
    model.free[pfn] = frame->state == FRAME_FREE;
    model.free_in[block] += frame->state == FRAME_FREE ? 1 : 0;
    struct zone_model *zone = zone_at(block);
    zone->managed++;
    zone->free += frame->state == FRAME_FREE ? 1 : 0;
    zone->reserved += frame->state == FRAME_RESERVED ? 1 : 0;
}

bool frame_model_begin(void)
{
    frame_cpu_drain_all();
    memset(&model, 0, sizeof model);
    if (frame_manager.limit > FRAME_MODEL_LIMIT) {
        return refuse("there is more memory than the model has place for");
    }
    model.blocks = (uint32_t)((frame_manager.limit + FRAMES_PER_BLOCK - 1) / FRAMES_PER_BLOCK);
    for (pfn_t pfn = 0; pfn < frame_manager.limit; pfn++) {
        take_frame(pfn);
    }
    for (unsigned node = 0; node < frame_manager.node_count; node++) {
        for (unsigned id = 0; id < FRAME_ZONE_COUNT; id++) {
            const struct frame_zone *real = &frame_manager.nodes[node].zones[id];
            model.zones[node][id].min_mark = real->min_mark;
            model.zones[node][id].low_mark = real->low_mark;
            model.zones[node][id].counters = real->counters;
        }
    }
    model.id = arch_cpu_id();
    model.node = cpu_this()->node;
    model.cpu = frame_manager.cpus[model.id];
    frame_stats_read(&model.constant);
    model.failures = model.constant.failures;
    model.timestamp = frame_manager.timestamp;
    frame_model_seen(&model.before);
    frame_manager.timestamp = stamp;
    return true;
}

/* Nobody shall balance zones that were low in between. */
void frame_model_end(void)
{
    if (model.timestamp != NULL) {
        frame_manager.timestamp = model.timestamp;
    }
    for (unsigned node = 0; node < frame_manager.node_count; node++) {
        for (unsigned id = 0; id < FRAME_ZONE_COUNT; id++) {
            frame_manager.nodes[node].zones[id].balance_wanted = false;
        }
    }
}

/* ---- comparison ---- */

static uint64_t sum(const uint64_t *counts)
{
    uint64_t total = 0;
    for (unsigned i = 0; i < FRAME_LATENCY_BUCKETS; i++) {
        total += counts[i];
    }
    return total;
}

void frame_model_seen(struct frame_model_seen *out)
{
    const struct frame_model_seen before = model.before;
    *out = (struct frame_model_seen){
        .failures = model.failures - before.failures,
        .refills = model.cpu.refills - before.refills,
        .spills = model.cpu.spills - before.spills,
        .drains = model.cpu.drains - before.drains,
        .timed = {sum(model.cpu.alloc_latency) - before.timed[0],
                  sum(model.cpu.free_latency) - before.timed[1]},
        .fallbacks = -before.fallbacks,
        .remote = -before.remote,
        .splits = -before.splits,
        .merges = -before.merges,
    };
    for (unsigned node = 0; node < MM_MAX_NODES; node++) {
        for (unsigned id = 0; id < FRAME_ZONE_COUNT; id++) {
            const struct frame_zone_counters *counters = &model.zones[node][id].counters;
            out->fallbacks += counters->fallbacks;
            out->remote += counters->remote;
            out->splits += counters->splits;
            out->merges += counters->merges;
        }
    }
}

static bool zone_agrees(unsigned node, unsigned id)
{
    const struct zone_model *zone = &model.zones[node][id];
    const struct frame_zone *real = &frame_manager.nodes[node].zones[id];
    uint64_t allocs = zone->counters.allocated;
    uint64_t frees = zone->counters.freed;
    for (unsigned cpu = 0; id == FRAME_ZONE_NORMAL && cpu < frame_manager.cpu_count; cpu++) {
        const struct frame_cpu *from = cpu == model.id ? &model.cpu : &frame_manager.cpus[cpu];
        allocs += from->node == node ? from->allocated : 0;
        frees += from->node == node ? from->freed : 0;
    }
    if (memcmp(&zone->counters, &real->counters, sizeof zone->counters) != 0) {
        return refuse("a counter of a zone");
    }
    if (zone->free != real->free_frames || zone->managed != real->managed_frames ||
        zone->reserved != real->reserved_frames) {
        return refuse("the frames of a zone");
    }
    return (frame_zone_allocs(node, (enum frame_zone_id)id) == allocs &&
            frame_zone_frees(node, (enum frame_zone_id)id) == frees) ||
           refuse("what a zone has given and got with its caches");
}

static bool cpu_agrees(void)
{
    const struct frame_cpu *real = &frame_manager.cpus[model.id];
    const struct frame_cpu *cpu = &model.cpu;
    if (real->allocated != cpu->allocated || real->freed != cpu->freed || real->refills != cpu->refills ||
        real->spills != cpu->spills || real->drains != cpu->drains || real->failures != cpu->failures) {
        return refuse("a counter of the CPU");
    }
    if (real->count != model.count || real->zeroed_count != 0 || real->node != model.node ||
        memcmp(real->frames, model.cached, model.count * sizeof model.cached[0]) != 0) {
        return refuse("the frames of the CPU");
    }
    return (memcmp(real->alloc_latency, cpu->alloc_latency, sizeof cpu->alloc_latency) == 0 &&
            memcmp(real->free_latency, cpu->free_latency, sizeof cpu->free_latency) == 0) ||
           refuse("a bucket of a histogram");
}

/* The sums that programs and the dump get, made anew from frames, groups and the model's counters. */
static void expected_stats(struct frame_stats *out)
{
    uint64_t usable = 0;
    *out = (struct frame_stats){.outside_frames = model.constant.outside_frames,
                                .metadata_bytes = model.constant.metadata_bytes,
                                .cached_frames = model.count,
                                .failures = model.failures};
    for (unsigned node = 0; node < frame_manager.node_count; node++) {
        for (unsigned id = 0; id < FRAME_ZONE_COUNT; id++) {
            const struct zone_model *zone = &model.zones[node][id];
            unsigned largest;
            (void)best_order(zone, 0, &largest);
            uint64_t run = largest > 0 ? (uint64_t)FRAMES_PER_BLOCK << (largest - 1) : 0;
            out->largest_free_run = run > out->largest_free_run ? run : out->largest_free_run;
            out->total_frames += zone->managed;
            out->free_frames += zone->free;
            out->reserved_frames += zone->reserved;
            out->splits += zone->counters.splits;
            out->merges += zone->counters.merges;
            out->allocs += zone->counters.allocated;
            out->frees += zone->counters.freed;
        }
    }
    for (unsigned cpu = 0; cpu < frame_manager.cpu_count; cpu++) {
        const struct frame_cpu *from = cpu == model.id ? &model.cpu : &frame_manager.cpus[cpu];
        out->allocs += from->allocated;
        out->frees += from->freed;
    }
    for (uint32_t block = 0; block < model.blocks; block++) {
        usable += model.free_in[block] == FRAMES_PER_BLOCK ? FRAMES_PER_BLOCK : 0;
        uint64_t run = out->largest_free_run < FRAMES_PER_BLOCK ? longest_run(block) : 0;
        out->largest_free_run = run > out->largest_free_run ? run : out->largest_free_run;
    }
    out->free_frames += model.count;
    out->allocated_frames = out->total_frames - out->free_frames - out->reserved_frames;
    out->unusable_permille =
        out->free_frames > 0 ? (uint32_t)((out->free_frames - usable) * 1000 / out->free_frames) : 0;
}

static bool sums_agree(void)
{
    struct frame_stats e;
    struct frame_stats r;
    expected_stats(&e);
    frame_stats_read(&r);
    bool frames = e.total_frames == r.total_frames && e.free_frames == r.free_frames &&
                  e.cached_frames == r.cached_frames && e.allocated_frames == r.allocated_frames &&
                  e.reserved_frames == r.reserved_frames && e.outside_frames == r.outside_frames &&
                  e.metadata_bytes == r.metadata_bytes;
    bool calls = e.allocs == r.allocs && e.frees == r.frees && e.failures == r.failures &&
                 e.splits == r.splits && e.merges == r.merges;
    bool groups = e.largest_free_run == r.largest_free_run && e.unusable_permille == r.unusable_permille;
    return (frames && calls && groups && e.free_frames == frame_free_count()) || refuse("a sum");
}

bool frame_model_agrees(void)
{
    for (unsigned node = 0; node < frame_manager.node_count; node++) {
        for (unsigned id = 0; id < FRAME_ZONE_COUNT; id++) {
            if (!zone_agrees(node, id)) {
                return false;
            }
        }
    }
    return cpu_agrees() && sums_agree();
}
