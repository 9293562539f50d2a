/*
 * Building the frame manager from the region list: which metadata must be backed, the state of every frame,
 * the free lists. A frame that several regions touch belongs to the strongest; USABLE regions are whole
 * frames, so a shared frame is never free. Deviations: memory above 16 TiB is not managed.
 */

#include "lib/bitmap.h"
#include "lib/string.h"
#include "mm/frame_internal.h"
#include "mm/pressure.h"

static const uint8_t region_owners[REGION_TYPE_COUNT] = {
#define REGION_TYPE(id, name, region_class, owner) [REGION_##id] = FRAME_OWNER_##owner,
#include "mm/region_types.def"
#undef REGION_TYPE
};

/* Frames that a managed region touches: [*first, *end). False when the region is not managed. */
static bool region_frames(const struct region *region, pfn_t *first, pfn_t *end)
{
    if (region_type_class(region->type) == REGION_CLASS_OUTSIDE) {
        return false;
    }
    *first = region->base >> PAGE_SHIFT;
    *end = (region->end + PAGE_MASK) >> PAGE_SHIFT;
    *end = *end < FRAME_PFN_LIMIT ? *end : FRAME_PFN_LIMIT;
    return *first < *end;
}

/* ---- metadata ---- */

static status_t visit_table(const struct region_list *regions, int table, unsigned shift, uint64_t bytes,
                            status_t (*visit)(void *, int, const struct frame_metadata_span *), void *context)
{
    uint64_t start = 0;
    uint64_t stop = 0;
    status_t status = STATUS_OK;
    for (uint32_t i = 0; i < regions->count && status == STATUS_OK; i++) {
        pfn_t first;
        pfn_t end;
        if (!region_frames(&regions->regions[i], &first, &end)) {
            continue;
        }
        uint64_t from = align_down((first >> shift) * bytes, PAGE_SIZE);
        uint64_t to = align_up((((end - 1) >> shift) + 1) * bytes, PAGE_SIZE);
        if (from > stop && stop != 0) {
            status = visit(context, table, &(struct frame_metadata_span){start, stop - start});
            start = from;
        } else if (stop == 0) {
            start = from;
        }
        stop = to > stop ? to : stop;
    }
    if (status == STATUS_OK && stop != 0) {
        status = visit(context, table, &(struct frame_metadata_span){start, stop - start});
    }
    return status;
}

status_t frame_metadata_spans(const struct region_list *regions,
                              status_t (*visit)(void *context, int table,
                                                const struct frame_metadata_span *span),
                              void *context)
{
    uint64_t block_bytes = FRAMES_PER_BLOCK * sizeof(struct page_frame);
    uint64_t group_bytes = (1u << (FRAME_GROUP_SHIFT - FRAME_BLOCK_SHIFT)) * sizeof(struct frame_block);
    status_t status = visit_table(regions, 0, FRAME_BLOCK_SHIFT, block_bytes, visit, context);
    return status == STATUS_OK ? visit_table(regions, 1, FRAME_GROUP_SHIFT, group_bytes, visit, context)
                               : status;
}

static status_t add_bytes(void *context, int table, const struct frame_metadata_span *span)
{
    (void)table;
    *(uint64_t *)context += span->size;
    return STATUS_OK;
}

/* ---- blocks and frames ---- */

static uint32_t node_of(const struct frame_numa *numa, uint64_t address)
{
    for (uint32_t i = 0; numa && i < numa->range_count; i++) {
        if (address >= numa->ranges[i].base && address < numa->ranges[i].end) {
            return numa->ranges[i].node;
        }
    }
    return 0;
}

static enum frame_zone_id zone_of(const struct frame_zone_layout *layout, uint64_t address)
{
    for (unsigned zone = 0; zone < FRAME_ZONE_COUNT; zone++) {
        if (address < layout->limit[zone]) {
            return (enum frame_zone_id)zone;
        }
    }
    return FRAME_ZONE_NORMAL;
}

static struct frame_block *prepare_block(pfn_t pfn, const struct frame_manager_config *config)
{
    struct frame_block *block = &block_table[pfn >> FRAME_BLOCK_SHIFT];
    if (block->kind == BLOCK_ABSENT) {
        uint64_t group = pfn >> FRAME_GROUP_SHIFT;
        frame_manager.backed[group / 64] |= 1ull << (group % 64);
        block->kind = BLOCK_BITMAP;
        block->next = BLOCK_NONE;
        block->prev = BLOCK_NONE;
        block->zone =
            (uint8_t)zone_of(config->zones ? config->zones : &frame_zone_layout_x86_64, pfn << PAGE_SHIFT);
        block->node = (uint8_t)node_of(config->numa, pfn << PAGE_SHIFT);
    }
    return block;
}

static void seed_frame(pfn_t pfn, enum region_type type, const struct frame_manager_config *config)
{
    struct frame_block *block = prepare_block(pfn, config);
    struct page_frame *frame = &frame_table[pfn];
    struct frame_zone *zone = block_zone(block);
    if (frame->state == FRAME_ABSENT) {
        zone->managed_frames++;
        frame_manager.map_frames++;
    } else {
        zone->reserved_frames--; /* shared with the region before, which is not free either */
        type = region_owners[type] > frame->owner ? type : REGION_TYPE_COUNT;
    }
    frame->zone = block->zone;
    frame->node = block->node;
    bool is_edge = region_type_is_for_all(type) && node_of(config->numa, pfn << PAGE_SHIFT) != block->node;
    if (type == REGION_USABLE && !is_edge) {
        frame->state = FRAME_FREE;
        bitmap_set(block->free_map, pfn % FRAMES_PER_BLOCK);
        block->free_count++;
        zone->free_frames++;
        return;
    }
    frame->state = FRAME_RESERVED;
    zone->reserved_frames++;
    if (type != REGION_TYPE_COUNT) {
        frame->owner = is_edge ? (uint8_t)FRAME_OWNER_NODE_EDGE : region_owners[type];
    }
}

static void adopt_blocks(void)
{
    for (uint64_t group = 0; group < FRAME_GROUP_LIMIT; group++) {
        if (((frame_manager.backed[group / 64] >> (group % 64)) & 1) == 0) {
            continue;
        }
        uint32_t per_group = 1u << (FRAME_GROUP_SHIFT - FRAME_BLOCK_SHIFT);
        for (uint32_t i = per_group; i-- > 0;) {
            uint32_t number = (uint32_t)group * per_group + i;
            if (block_table[number].kind == BLOCK_BITMAP) {
                bitmap_engine_adopt(block_zone(&block_table[number]), number);
            }
        }
    }
}

static status_t check_config(const struct frame_manager_config *config)
{
    const struct frame_numa *numa = config->numa;
    if (config->regions == NULL || config->frame_table == NULL || config->block_table == NULL) {
        return STATUS_ERR_ARGUMENT;
    }
    if (config->cpu_count == 0 || config->cpu_count > MM_MAX_CPUS) {
        return STATUS_ERR_LIMIT;
    }
    if (numa && (numa->node_count == 0 || numa->node_count > MM_MAX_NODES)) {
        return STATUS_ERR_LIMIT;
    }
    for (uint32_t i = 0; numa && i < numa->range_count; i++) {
        if (numa->ranges[i].node >= numa->node_count) {
            return STATUS_ERR_LIMIT;
        }
    }
    for (uint32_t i = 0; numa && i < config->cpu_count; i++) {
        if (numa->cpu_node[i] >= numa->node_count) {
            return STATUS_ERR_LIMIT;
        }
    }
    return STATUS_OK;
}

static void reset(const struct frame_manager_config *config)
{
    memset(&frame_manager, 0, sizeof frame_manager);
    frame_table = config->frame_table;
    block_table = config->block_table;
    frame_manager.node_count = config->numa ? config->numa->node_count : 1;
    frame_manager.cpu_count = config->cpu_count;
    for (unsigned node = 0; node < frame_manager.node_count; node++) {
        for (unsigned zone = 0; zone < FRAME_ZONE_COUNT; zone++) {
            zone_init(&frame_manager.nodes[node].zones[zone], node, (enum frame_zone_id)zone);
        }
    }
    for (unsigned cpu = 0; cpu < MM_MAX_CPUS; cpu++) {
        spinlock_init(&frame_manager.cpus[cpu].lock, "mm.frame.cpu", LOCK_CLASS_FRAME_CPU);
        frame_manager.cpus[cpu].node =
            config->numa && cpu < config->cpu_count ? config->numa->cpu_node[cpu] : 0;
    }
    node_order_init(config->numa);
}

static void seed(const struct frame_manager_config *config)
{
    const struct region_list *regions = config->regions;
    uint64_t outside_bytes = 0;
    for (uint32_t i = 0; i < regions->count; i++) {
        const struct region *region = &regions->regions[i];
        pfn_t first;
        pfn_t end;
        if (!region_frames(region, &first, &end)) {
            outside_bytes += region->end - region->base;
            continue;
        }
        frame_manager.limit = end;
        for (pfn_t pfn = first; pfn < end; pfn++) {
            seed_frame(pfn, region->type, config);
        }
    }
    frame_manager.outside_frames = outside_bytes >> PAGE_SHIFT;
}

/* Pressure levels for this much memory: low below 1/16, critical below 1/64, left 1/64 above. */
static void start_pressure(void)
{
    uint64_t unit = frame_manager.map_frames / 64;
    pressure_init(&(struct pressure_marks){.low = 4 * unit, .critical = unit, .margin = unit});
}

/* What building did is not history. */
static void finish_zones(void)
{
    for (unsigned node = 0; node < frame_manager.node_count; node++) {
        for (unsigned id = 0; id < FRAME_ZONE_COUNT; id++) {
            struct frame_zone *zone = &frame_manager.nodes[node].zones[id];
            memset(&zone->counters, 0, sizeof zone->counters);
            zone_set_marks(zone);
        }
    }
}

status_t frame_manager_init(const struct frame_manager_config *config)
{
    status_t status = check_config(config);
    if (status != STATUS_OK) {
        return status;
    }
    reset(config);
    seed(config);
    adopt_blocks();
    finish_zones();
    start_pressure();
    frame_manager.timestamp = config->timestamp;
    frame_manager.wake_balancer = config->wake_balancer;
    status = frame_metadata_spans(config->regions, add_bytes, &frame_manager.metadata_bytes);
    frame_manager.ready = status == STATUS_OK;
    return status == STATUS_OK && frame_free_count() == 0 ? STATUS_ERR_NO_MEMORY : status;
}

/* ---- giving back what boot held ---- */

status_t frame_reclaim_type(const struct region_list *regions, enum region_type type, uint64_t *freed)
{
    struct frame_manager *manager = frame_manager_get();
    *freed = 0;
    enum region_class region_class = region_type_class(type);
    if (region_class != REGION_CLASS_RECLAIM && region_class != REGION_CLASS_HELD) {
        return STATUS_ERR_RESERVED;
    }
    uint32_t bit = 1u << type;
    if ((__atomic_fetch_or(&manager->reclaimed_types, bit, __ATOMIC_ACQ_REL) & bit) != 0) {
        return STATUS_ERR_STATE;
    }
    for (uint32_t i = 0; i < regions->count; i++) {
        const struct region *region = &regions->regions[i];
        if (region->type != type) {
            continue;
        }
        pfn_t end = region->end >> PAGE_SHIFT;
        for (pfn_t pfn = (region->base + PAGE_MASK) >> PAGE_SHIFT; pfn < end; pfn++) {
            *freed += frame_unreserve(pfn, 1, (enum frame_owner)region_owners[type]) == STATUS_OK ? 1 : 0;
        }
    }
    return STATUS_OK;
}
