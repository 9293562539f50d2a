/*
 * The public operations of the frame manager: allocation, freeing, reference counts, reservations. A frame is
 * claimed for freeing by the one who moves its reference count from 1 to 0, so that two CPUs that free the
 * same frame get one success and one STATUS_ERR_DOUBLE_FREE. Deviations: none.
 */

#include "mm/frame.h"

#include "lib/string.h"
#include "mm/frame_internal.h"

struct frame_manager frame_manager;
struct page_frame *frame_table;
struct frame_block *block_table;

static const char *const owner_names[FRAME_OWNER_COUNT] = {
#define FRAME_OWNER(id, name) [FRAME_OWNER_##id] = (name),
#include "mm/frame_owners.def"
#undef FRAME_OWNER
};

const char *frame_owner_name(enum frame_owner owner)
{
    return (unsigned)owner < FRAME_OWNER_COUNT ? owner_names[owner] : "unknown";
}

struct frame_manager *frame_manager_get(void)
{
    if (__builtin_expect(!frame_manager.published, 0)) {
        panic("frame manager: used before publication");
    }
    return &frame_manager;
}

bool frame_manager_is_published(void)
{
    return __atomic_load_n(&frame_manager.published, __ATOMIC_ACQUIRE);
}

void frame_manager_publish(void)
{
    if (!frame_manager.ready || frame_manager.published) {
        panic("frame manager: published %s", frame_manager.ready ? "twice" : "before it was built");
    }
    struct frame_stats stats;
    frame_stats_read(&stats);
    if (stats.free_frames + stats.allocated_frames + stats.reserved_frames != frame_manager.map_frames) {
        panic("frame manager: the frames of the map are not all accounted for");
    }
    __atomic_store_n(&frame_manager.published, true, __ATOMIC_RELEASE);
}

struct page_frame *frame_lookup(pfn_t pfn)
{
    const struct frame_manager *manager = &frame_manager;
    if (pfn >= manager->limit) {
        return NULL;
    }
    uint64_t group = pfn >> FRAME_GROUP_SHIFT;
    if (((manager->backed[group / 64] >> (group % 64)) & 1) == 0 ||
        block_table[pfn >> FRAME_BLOCK_SHIFT].kind == BLOCK_ABSENT ||
        frame_table[pfn].state == FRAME_ABSENT) {
        return NULL;
    }
    return &frame_table[pfn];
}

ALWAYS_INLINE void mark_allocated(struct page_frame *frame, enum frame_owner owner, uint32_t owner_id)
{
    frame->owner = (uint8_t)owner;
    frame->owner_id = owner_id;
    frame->state = FRAME_ALLOCATED;
    __atomic_store_n(&frame->refs, 1, __ATOMIC_RELEASE);
}

void frame_mark_allocated(pfn_t pfn, uint64_t n, enum frame_owner owner, uint32_t owner_id)
{
    for (struct page_frame *frame = &frame_table[pfn]; n > 0; n--, frame++) {
        mark_allocated(frame, owner, owner_id);
    }
}

/* ---- allocation ---- */

static status_t check_request(uint64_t n, uint32_t flags, enum frame_owner owner)
{
    if (n == 0 || n > FRAME_RUN_MAX) {
        return STATUS_ERR_RANGE;
    }
    unsigned node = frame_node_wanted(flags);
    bool good = (flags & ~FRAME_FLAGS_ALL) == 0 && node <= frame_manager.node_count &&
                owner > FRAME_OWNER_NONE && owner < FRAME_OWNER_COUNT;
    return good ? STATUS_OK : STATUS_ERR_ARGUMENT;
}

static unsigned preferred_node(uint32_t flags)
{
    unsigned node = frame_node_wanted(flags);
    return node != 0 ? node - 1 : frame_manager.cpus[arch_cpu_id()].node;
}

/* By the order of choice; when that fails, once more after the CPU caches are emptied. */
static status_t take_slow(uint64_t n, uint32_t flags, pfn_t *pfn)
{
    status_t status = node_take(n, flags, preferred_node(flags), pfn);
    if (status != STATUS_OK) {
        frame_cpu_drain_all();
        status = node_take(n, flags, preferred_node(flags), pfn);
    }
    if (status != STATUS_OK) {
        frame_cpu_note_failure();
    }
    return status;
}

status_t frame_alloc(uint32_t flags, enum frame_owner owner, uint32_t owner_id, pfn_t *out)
{
    (void)frame_manager_get();
    status_t status = check_request(1, flags, owner);
    if (status != STATUS_OK) {
        return status;
    }
    uint64_t start = frame_cpu_stamp(false);
    bool zeroed = (flags & FRAME_ZERO) != 0;
    bool cached = (flags & (FRAME_DMA | FRAME_HIGH)) == 0 && flags >> FRAME_NODE_SHIFT == 0 &&
                  frame_cpu_take(out, &zeroed);
    if (!cached) {
        zeroed = false;
        status = take_slow(1, flags, out);
    }
    if (status != STATUS_OK) {
        return status;
    }
    if ((flags & FRAME_ZERO) != 0 && !zeroed) {
        memset(arch_phys_to_virt(paddr_from_pfn(*out)), 0, PAGE_SIZE);
    }
    mark_allocated(&frame_table[*out], owner, owner_id);
    if (start != 0) {
        frame_cpu_note_latency(false, start);
    }
    return STATUS_OK;
}

unsigned frame_alloc_some(unsigned n, uint32_t flags, enum frame_owner owner, uint32_t owner_id, pfn_t *out)
{
    (void)frame_manager_get();
    if (check_request(1, flags, owner) != STATUS_OK || (flags & ~FRAME_ZERO) != 0) {
        return 0;
    }
    bool fill = (flags & FRAME_ZERO) != 0;
    unsigned zeroed = fill ? 1 : 0;
    unsigned got = frame_cpu_take_some(out, n, &zeroed);
    for (unsigned i = fill ? zeroed : got; i < got; i++) {
        memset(arch_phys_to_virt(paddr_from_pfn(out[i])), 0, PAGE_SIZE);
    }
    for (unsigned i = 0; i < got; i++) {
        mark_allocated(&frame_table[out[i]], owner, owner_id);
    }
    return got;
}

status_t frame_alloc_contiguous(uint64_t n, uint32_t flags, enum frame_owner owner, uint32_t owner_id,
                                pfn_t *out)
{
    (void)frame_manager_get();
    status_t status = check_request(n, flags, owner);
    if (status != STATUS_OK) {
        return status;
    }
    uint64_t start = frame_cpu_stamp(false);
    status = take_slow(n, flags, out);
    if (status != STATUS_OK) {
        return status;
    }
    if ((flags & FRAME_ZERO) != 0) {
        memset(arch_phys_to_virt(paddr_from_pfn(*out)), 0, n * PAGE_SIZE);
    }
    frame_mark_allocated(*out, n, owner, owner_id);
    if (start != 0) {
        frame_cpu_note_latency(false, start);
    }
    return STATUS_OK;
}

/* ---- freeing ---- */

/* Moves a frame's references from 1 to 0; who succeeds owns the frame. owner: what it must serve, NONE: anything. */
ALWAYS_INLINE status_t claim(struct page_frame *frame, enum frame_owner owner)
{
    if (frame == NULL) {
        return STATUS_ERR_FOREIGN;
    }
    if (frame->state == FRAME_RESERVED) {
        return STATUS_ERR_RESERVED;
    }
    if (owner != FRAME_OWNER_NONE && frame->state == FRAME_ALLOCATED && frame->owner != owner) {
        return STATUS_ERR_FOREIGN;
    }
    uint32_t expected = 1;
    if (frame->state != FRAME_ALLOCATED ||
        !__atomic_compare_exchange_n(&frame->refs, &expected, 0, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
        return frame->state == FRAME_ALLOCATED && expected > 1 ? STATUS_ERR_SHARED : STATUS_ERR_DOUBLE_FREE;
    }
    return STATUS_OK;
}

/* Gives a claimed frame to the CPU's cache or its zone. */
ALWAYS_INLINE void release(pfn_t pfn, struct page_frame *frame, bool zeroed)
{
    frame->owner = FRAME_OWNER_NONE;
    frame->owner_id = 0;
    if (!frame_cpu_give(pfn, frame, zeroed)) {
        frame->state = FRAME_FREE;
        zone_give(pfn, 1, true);
    }
}

ALWAYS_INLINE status_t free_one(pfn_t pfn, enum frame_owner owner, bool zeroed)
{
    (void)frame_manager_get();
    uint64_t start = frame_cpu_stamp(true);
    struct page_frame *frame = frame_lookup(pfn);
    status_t status = claim(frame, owner);
    if (status != STATUS_OK) {
        return status;
    }
    release(pfn, frame, zeroed);
    if (start != 0) {
        frame_cpu_note_latency(true, start);
    }
    return STATUS_OK;
}

status_t frame_free_of(pfn_t pfn, enum frame_owner owner)
{
    return free_one(pfn, owner, false);
}

status_t frame_free(pfn_t pfn)
{
    return free_one(pfn, FRAME_OWNER_NONE, false);
}

status_t frame_free_zeroed(paddr_t address, enum frame_owner owner)
{
    return paddr_offset(address) != 0 ? STATUS_ERR_UNALIGNED : free_one(paddr_pfn(address), owner, true);
}

status_t frame_free_run_of(pfn_t pfn, uint64_t n, enum frame_owner owner)
{
    (void)frame_manager_get();
    if (n == 0 || n > FRAME_RUN_MAX) {
        return STATUS_ERR_RANGE;
    }
    for (uint64_t i = 0; i < n; i++) {
        status_t status = claim(frame_lookup(pfn + i), owner);
        if (status != STATUS_OK) {
            while (i-- > 0) {
                __atomic_store_n(&frame_table[pfn + i].refs, 1, __ATOMIC_RELEASE);
            }
            return status;
        }
    }
    for (uint64_t i = 0; i < n; i++) {
        struct page_frame *frame = &frame_table[pfn + i];
        frame->owner = FRAME_OWNER_NONE;
        frame->owner_id = 0;
        frame->state = FRAME_FREE;
    }
    zone_give(pfn, n, true);
    return STATUS_OK;
}

status_t frame_free_run(pfn_t pfn, uint64_t n)
{
    return frame_free_run_of(pfn, n, FRAME_OWNER_NONE);
}

/* ---- references ---- */

static struct page_frame *must_be_allocated(pfn_t pfn, const char *what)
{
    (void)frame_manager_get();
    struct page_frame *frame = frame_lookup(pfn);
    if (frame == NULL || frame->state != FRAME_ALLOCATED) {
        panic("%s: frame 0x%llx is not allocated", what, (unsigned long long)pfn);
    }
    return frame;
}

static inline void get(pfn_t pfn, struct page_frame *frame)
{
    uint32_t old = __atomic_fetch_add(&frame->refs, 1, __ATOMIC_ACQ_REL);
    if (old == 0 || old == UINT32_MAX) {
        panic("frame_get: frame 0x%llx had %u references", (unsigned long long)pfn, old);
    }
}

void frame_get(pfn_t pfn)
{
    get(pfn, must_be_allocated(pfn, "frame_get"));
}

/* In a block that has an entry for one frame, every frame has one: few are looked up. */
void frame_get_many(const pfn_t *frames, unsigned n)
{
    pfn_t known = frames[0] | (FRAMES_PER_BLOCK - 1);
    for (unsigned i = 0; i < n; i++) {
        struct page_frame *frame = &frame_table[frames[i]];
        if (i == 0 || (frames[i] | (FRAMES_PER_BLOCK - 1)) != known || frame->state != FRAME_ALLOCATED) {
            frame = must_be_allocated(frames[i], "frame_get");
            known = frames[i] | (FRAMES_PER_BLOCK - 1);
        }
        get(frames[i], frame);
    }
}

bool frame_put(pfn_t pfn)
{
    struct page_frame *frame = must_be_allocated(pfn, "frame_put");
    uint32_t old = __atomic_fetch_sub(&frame->refs, 1, __ATOMIC_ACQ_REL);
    if (old == 0) {
        panic("frame_put: frame 0x%llx had no reference", (unsigned long long)pfn);
    }
    if (old == 1) {
        release(pfn, frame, false);
    }
    return old == 1;
}

uint32_t frame_refs(pfn_t pfn)
{
    struct page_frame *frame = frame_lookup(pfn);
    return frame && frame->state == FRAME_ALLOCATED ? __atomic_load_n(&frame->refs, __ATOMIC_ACQUIRE) : 0;
}

void frame_set_owner(pfn_t pfn, uint64_t n, enum frame_owner owner, uint32_t owner_id)
{
    for (uint64_t i = 0; i < n; i++) {
        struct page_frame *frame = must_be_allocated(pfn + i, "frame_set_owner");
        frame->owner = (uint8_t)owner;
        frame->owner_id = owner_id;
    }
}

/* ---- reservations ---- */

/* Reserves one frame; refs 1 marks it as taken by the reservation that runs. */
static status_t reserve_one(pfn_t pfn, enum frame_owner owner)
{
    struct page_frame *frame = frame_lookup(pfn);
    if (frame == NULL) {
        return STATUS_ERR_FOREIGN;
    }
    struct frame_zone *zone = block_zone(&block_table[pfn >> FRAME_BLOCK_SHIFT]);
    uint64_t flags = spin_lock_irqsave(&zone->lock);
    status_t status = STATUS_OK;
    if (frame->state == FRAME_RESERVED) {
        status = frame->owner == owner ? STATUS_OK : STATUS_ERR_OVERLAP;
    } else if (bitmap_engine_take_frame(zone, pfn)) {
        frame->state = FRAME_RESERVED;
        frame->owner = (uint8_t)owner;
        frame->refs = 1;
        zone->free_frames--;
        zone->reserved_frames++;
    } else {
        status = STATUS_ERR_BUSY;
    }
    spin_unlock_irqrestore(&zone->lock, flags);
    return status;
}

static void unreserve_one(pfn_t pfn)
{
    struct page_frame *frame = &frame_table[pfn];
    struct frame_zone *zone = block_zone(&block_table[pfn >> FRAME_BLOCK_SHIFT]);
    uint64_t flags = spin_lock_irqsave(&zone->lock);
    frame->refs = 0;
    frame->owner = FRAME_OWNER_NONE;
    frame->state = FRAME_FREE;
    bitmap_engine_give(zone, pfn, 1);
    zone->free_frames++;
    zone->reserved_frames--;
    spin_unlock_irqrestore(&zone->lock, flags);
}

status_t frame_reserve(pfn_t pfn, uint64_t n, enum frame_owner owner)
{
    if (n == 0 || n > FRAME_PFN_LIMIT || owner <= FRAME_OWNER_NONE || owner >= FRAME_OWNER_COUNT) {
        return STATUS_ERR_ARGUMENT;
    }
    frame_cpu_drain_all();
    status_t status = STATUS_OK;
    uint64_t done = 0;
    while (done < n && status == STATUS_OK) {
        status = reserve_one(pfn + done, owner);
        done += status == STATUS_OK ? 1 : 0;
    }
    for (uint64_t i = 0; i < done; i++) {
        if (status == STATUS_OK) {
            frame_table[pfn + i].refs = 0;
        } else if (frame_table[pfn + i].refs != 0) {
            unreserve_one(pfn + i);
        }
    }
    return status;
}

status_t frame_unreserve(pfn_t pfn, uint64_t n, enum frame_owner owner)
{
    (void)frame_manager_get();
    for (uint64_t i = 0; i < n; i++) {
        const struct page_frame *frame = frame_lookup(pfn + i);
        if (frame == NULL || frame->state != FRAME_RESERVED || frame->owner != owner) {
            return STATUS_ERR_STATE;
        }
    }
    for (uint64_t i = 0; i < n; i++) {
        unreserve_one(pfn + i);
    }
    return STATUS_OK;
}
