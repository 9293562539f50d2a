/*
 * Figures of the frame manager: statistics, the dump, and the invariant checker. The dump reads plain memory,
 * takes no lock and allocates nothing, so that the panic path can call it. Deviations: none.
 */

#include "lib/bitmap.h"
#include "lib/format.h"
#include "mm/frame_internal.h"

static const char *const zone_names[FRAME_ZONE_COUNT] = {
#define FRAME_ZONE(id, name, limit) [FRAME_ZONE_##id] = (name),
#include "mm/zones.def"
#undef FRAME_ZONE
};

uint64_t frame_free_count(void)
{
    uint64_t total = 0;
    for (unsigned node = 0; node < frame_manager.node_count; node++) {
        for (unsigned zone = 0; zone < FRAME_ZONE_COUNT; zone++) {
            total += __atomic_load_n(&frame_manager.nodes[node].zones[zone].free_frames, __ATOMIC_RELAXED);
        }
    }
    for (unsigned cpu = 0; cpu < frame_manager.cpu_count; cpu++) {
        total += frame_cpu_count(&frame_manager.cpus[cpu]);
    }
    return total;
}

uint64_t frame_zone_allocs(unsigned node, enum frame_zone_id zone)
{
    uint64_t total = frame_manager.nodes[node].zones[zone].counters.allocated;
    for (unsigned cpu = 0; cpu < frame_manager.cpu_count && zone == FRAME_ZONE_NORMAL; cpu++) {
        total += frame_manager.cpus[cpu].node == node ? frame_manager.cpus[cpu].allocated : 0;
    }
    return total;
}

uint64_t frame_zone_frees(unsigned node, enum frame_zone_id zone)
{
    uint64_t total = frame_manager.nodes[node].zones[zone].counters.freed;
    for (unsigned cpu = 0; cpu < frame_manager.cpu_count && zone == FRAME_ZONE_NORMAL; cpu++) {
        total += frame_manager.cpus[cpu].node == node ? frame_manager.cpus[cpu].freed : 0;
    }
    return total;
}

static void add_blocks(const struct frame_zone *zone, struct frame_stats *out, uint64_t *usable)
{
    for (unsigned order = 0; order < BUDDY_ORDERS; order++) {
        uint64_t frames = (uint64_t)FRAMES_PER_BLOCK << order;
        for (uint32_t n = zone->buddy_heads[order]; n != BLOCK_NONE; n = block_table[n].next) {
            *usable += frames;
            out->largest_free_run = frames > out->largest_free_run ? frames : out->largest_free_run;
        }
    }
    for (uint32_t n = zone->partial_head; n != BLOCK_NONE && out->largest_free_run < FRAMES_PER_BLOCK;
         n = block_table[n].next) {
        size_t longest = 0;
        (void)bitmap_find_run(block_table[n].free_map, FRAMES_PER_BLOCK, FRAMES_PER_BLOCK + 1, 1, &longest);
        out->largest_free_run = longest > out->largest_free_run ? longest : out->largest_free_run;
    }
}

static void add_zone(unsigned node, unsigned id, struct frame_stats *out, uint64_t *usable)
{
    const struct frame_zone *zone = &frame_manager.nodes[node].zones[id];
    out->total_frames += zone->managed_frames;
    out->free_frames += zone->free_frames;
    out->reserved_frames += zone->reserved_frames;
    out->splits += zone->counters.splits;
    out->merges += zone->counters.merges;
    out->allocs += frame_zone_allocs(node, (enum frame_zone_id)id);
    out->frees += frame_zone_frees(node, (enum frame_zone_id)id);
    add_blocks(zone, out, usable);
}

void frame_stats_read(struct frame_stats *out)
{
    *out = (struct frame_stats){.outside_frames = frame_manager.outside_frames,
                                .metadata_bytes = frame_manager.metadata_bytes};
    uint64_t usable = 0;
    for (unsigned node = 0; node < frame_manager.node_count; node++) {
        for (unsigned id = 0; id < FRAME_ZONE_COUNT; id++) {
            add_zone(node, id, out, &usable);
        }
    }
    for (unsigned cpu = 0; cpu < frame_manager.cpu_count; cpu++) {
        out->cached_frames += frame_cpu_count(&frame_manager.cpus[cpu]);
        out->failures += frame_manager.cpus[cpu].failures;
    }
    out->free_frames += out->cached_frames;
    out->allocated_frames = out->total_frames - out->free_frames - out->reserved_frames;
    if (out->free_frames > 0) {
        out->unusable_permille = (uint32_t)((out->free_frames - usable) * 1000 / out->free_frames);
    }
}

/* ---- dump ---- */

static void say(const struct text_sink *sink, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void say(const struct text_sink *sink, const char *format, ...)
{
    char line[200];
    va_list arguments;
    if (sink == NULL) {
        return;
    }
    va_start(arguments, format);
    kvsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    sink->line(sink->context, line);
}

#define U(x) ((unsigned long long)(x))

static void dump_zone(const struct frame_zone *zone, const struct text_sink *sink)
{
    const struct frame_zone_counters *c = &zone->counters;
    say(sink, "node %u zone %s: managed %llu free %llu reserved %llu min %llu low %llu high %llu", zone->node,
        zone_names[zone->id], U(zone->managed_frames), U(zone->free_frames), U(zone->reserved_frames),
        U(zone->min_mark), U(zone->low_mark), U(zone->high_mark));
    say(sink,
        "  alloc %llu freed %llu failed %llu split %llu merge %llu bitmap %llu buddy %llu fallback %llu "
        "remote %llu",
        U(c->allocated), U(c->freed), U(c->failed), U(c->splits), U(c->merges), U(c->bitmap_allocs),
        U(c->buddy_allocs), U(c->fallbacks), U(c->remote));
}

void frame_dump(const struct text_sink *sink)
{
    struct frame_stats stats;
    frame_stats_read(&stats);
    say(sink, "frames: total %llu free %llu cached %llu allocated %llu reserved %llu outside %llu",
        U(stats.total_frames), U(stats.free_frames), U(stats.cached_frames), U(stats.allocated_frames),
        U(stats.reserved_frames), U(stats.outside_frames));
    say(sink, "frames: largest free run %llu, unusable %u permille, metadata %llu bytes",
        U(stats.largest_free_run), stats.unusable_permille, U(stats.metadata_bytes));
    for (unsigned node = 0; node < frame_manager.node_count; node++) {
        for (unsigned id = 0; id < FRAME_ZONE_COUNT; id++) {
            if (frame_manager.nodes[node].zones[id].managed_frames > 0) {
                dump_zone(&frame_manager.nodes[node].zones[id], sink);
            }
        }
    }
    for (unsigned i = 0; i < frame_manager.cpu_count; i++) {
        const struct frame_cpu *cpu = &frame_manager.cpus[i];
        say(sink, "cpu %u node %u: cached %u alloc %llu freed %llu refill %llu spill %llu drain %llu", i,
            cpu->node, frame_cpu_count(cpu), U(cpu->allocated), U(cpu->freed), U(cpu->refills),
            U(cpu->spills), U(cpu->drains));
    }
}

/* ---- invariants ---- */

struct check {
    const struct text_sink *sink;
    uint64_t wrong;
    uint64_t free[MM_MAX_NODES][FRAME_ZONE_COUNT];
    uint64_t reserved[MM_MAX_NODES][FRAME_ZONE_COUNT];
    uint64_t listed[MM_MAX_NODES][FRAME_ZONE_COUNT]; /* free frames of all listed blocks */
    uint64_t cached;
};

static void expect(struct check *check, bool condition, const char *what, uint64_t where)
{
    if (!condition) {
        check->wrong++;
        say(check->sink, "violated: %s at %llu", what, U(where));
    }
}

static void check_frame(struct check *check, pfn_t pfn, const struct frame_block *block)
{
    const struct page_frame *frame = &frame_table[pfn];
    bool bit = block->kind != BLOCK_BITMAP || bitmap_test(block->free_map, pfn % FRAMES_PER_BLOCK);
    if (frame->state == FRAME_ABSENT) {
        expect(check, !bit, "absent frame marked free", pfn);
        return;
    }
    expect(check, frame->zone == block->zone && frame->node == block->node, "frame and block disagree", pfn);
    expect(check, bit == (frame->state == FRAME_FREE), "bitmap and state disagree", pfn);
    expect(check, (frame->refs != 0) == (frame->state == FRAME_ALLOCATED), "references and state disagree",
           pfn);
    check->free[frame->node][frame->zone] += frame->state == FRAME_FREE ? 1 : 0;
    check->reserved[frame->node][frame->zone] += frame->state == FRAME_RESERVED ? 1 : 0;
    check->cached += frame->state == FRAME_CACHED ? 1 : 0;
}

static void check_block(struct check *check, uint32_t number)
{
    const struct frame_block *block = &block_table[number];
    if (block->kind == BLOCK_ABSENT) {
        return;
    }
    if (block->kind == BLOCK_BITMAP) {
        size_t count = bitmap_count(block->free_map, FRAMES_PER_BLOCK);
        expect(check, count == block->free_count && count < FRAMES_PER_BLOCK, "block count", number);
    }
    if (block->kind == BLOCK_BUDDY_HEAD) {
        expect(check, number % (1u << block->order) == 0, "group alignment", number);
        for (uint32_t i = 1; i < 1u << block->order; i++) {
            expect(check, block_table[number + i].kind == BLOCK_BUDDY_TAIL, "group tail", number + i);
        }
    }
    for (unsigned i = 0; i < FRAMES_PER_BLOCK; i++) {
        check_frame(check, ((pfn_t)number << FRAME_BLOCK_SHIFT) + i, block);
    }
}

static void check_lists(struct check *check, const struct frame_zone *zone)
{
    uint64_t *listed = &check->listed[zone->node][zone->id];
    for (unsigned order = 0; order < BUDDY_ORDERS; order++) {
        uint32_t before = BLOCK_NONE;
        for (uint32_t n = zone->buddy_heads[order]; n != BLOCK_NONE; before = n, n = block_table[n].next) {
            const struct frame_block *block = &block_table[n];
            expect(check, block->kind == BLOCK_BUDDY_HEAD && block->order == order, "buddy list", n);
            expect(check, block->prev == before, "buddy list links", n);
            uint32_t other = n ^ (1u << order);
            expect(check,
                   order + 1 == BUDDY_ORDERS || block_table[other].kind != BLOCK_BUDDY_HEAD ||
                       block_table[other].order != order || block_zone(&block_table[other]) != zone,
                   "two free buddies", n);
            *listed += (uint64_t)FRAMES_PER_BLOCK << order;
        }
    }
    for (uint32_t n = zone->partial_head; n != BLOCK_NONE; n = block_table[n].next) {
        expect(check, block_table[n].kind == BLOCK_BITMAP && block_table[n].free_count > 0, "partial list",
               n);
        *listed += block_table[n].free_count;
    }
}

static void check_zeroed(struct check *check, const struct frame_cpu *cpu)
{
    for (uint32_t i = 0; i < cpu->zeroed_count; i++) {
        const uint64_t *words = arch_phys_to_virt(paddr_from_pfn(cpu->zeroed[i]));
        uint64_t found = 0;
        for (unsigned word = 0; word < PAGE_SIZE / sizeof words[0]; word++) {
            found |= words[word];
        }
        expect(check, found == 0, "zeroed frame", cpu->zeroed[i]);
    }
}

uint64_t frame_check(const struct text_sink *sink)
{
    struct check check = {.sink = sink};
    uint32_t per_group = 1u << (FRAME_GROUP_SHIFT - FRAME_BLOCK_SHIFT);
    for (uint64_t group = 0; group < FRAME_GROUP_LIMIT; group++) {
        bool backed = ((frame_manager.backed[group / 64] >> (group % 64)) & 1) != 0;
        for (uint32_t i = 0; backed && i < per_group; i++) {
            check_block(&check, (uint32_t)group * per_group + i);
        }
    }
    uint64_t cached = 0;
    for (unsigned cpu = 0; cpu < frame_manager.cpu_count; cpu++) {
        cached += frame_cpu_count(&frame_manager.cpus[cpu]);
        check_zeroed(&check, &frame_manager.cpus[cpu]);
    }
    expect(&check, cached == check.cached, "cached frames", cached);
    for (unsigned node = 0; node < frame_manager.node_count; node++) {
        for (unsigned id = 0; id < FRAME_ZONE_COUNT; id++) {
            const struct frame_zone *zone = &frame_manager.nodes[node].zones[id];
            check_lists(&check, zone);
            expect(&check, zone->free_frames == check.free[node][id], "free count of zone", id);
            expect(&check, zone->free_frames == check.listed[node][id], "listed frames of zone", id);
            expect(&check, zone->reserved_frames == check.reserved[node][id], "reserved count of zone", id);
        }
    }
    return check.wrong;
}
