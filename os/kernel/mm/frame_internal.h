#ifndef OS_KERNEL_MM_FRAME_INTERNAL_H
#define OS_KERNEL_MM_FRAME_INTERNAL_H

/* What the files of the frame manager share. "Locked" means: the zone's lock is held. */

#include "mm/frame.h"

static inline struct frame_zone *block_zone(const struct frame_block *block)
{
    return &frame_manager.nodes[block->node].zones[block->zone];
}

/* List of blocks through next/prev, head in *head. Locked. */
void block_list_push(uint32_t *head, uint32_t number);
void block_list_remove(uint32_t *head, uint32_t number);

/* ---- buddy.c ---- */

/* Makes a wholly free, unlisted, naturally aligned group of blocks free and joins it with its buddies.
 * Locked. */
void buddy_insert(struct frame_zone *zone, uint32_t number, unsigned order);

/* Takes a group of 2^order blocks, splitting a larger one; its blocks are BLOCK_BITMAP with nothing free.
 * False: none. Locked. */
bool buddy_take(struct frame_zone *zone, unsigned order, uint32_t *number);

/* Takes one given block out of the free group that holds it. False when it is in none. Locked. */
bool buddy_take_block(struct frame_zone *zone, uint32_t number);

/* ---- bitmap_engine.c ---- */

/* n (1..511) frames inside one block, first aligned to align. False: no block has such a run. Locked. */
bool bitmap_engine_take(struct frame_zone *zone, unsigned n, unsigned align, pfn_t *pfn);

/* Single frames as calls for one would take them: at least half of n, up to n; fewer when there are no more. How many. Locked. */
unsigned bitmap_engine_take_batch(struct frame_zone *zone, unsigned n, uint32_t *out);

/* Takes one given free frame, from whichever engine holds it. False when it is not free. Locked. */
bool bitmap_engine_take_frame(struct frame_zone *zone, pfn_t pfn);

/* Gives n frames of one block back; a block that is wholly free goes to the buddy. Locked. */
void bitmap_engine_give(struct frame_zone *zone, pfn_t pfn, unsigned n);

/* Puts a fresh bitmap block, whose free_map and free_count are set, where it belongs. Locked. */
void bitmap_engine_adopt(struct frame_zone *zone, uint32_t number);

/* ---- zone.c ---- */

void zone_init(struct frame_zone *zone, unsigned node, enum frame_zone_id id);
void zone_set_marks(struct frame_zone *zone);

/* n contiguous frames when free_frames stays at or above floor. False: not possible. Takes the lock. */
bool zone_take(struct frame_zone *zone, uint64_t n, uint64_t align, uint64_t floor, pfn_t *pfn);

/* Up to n single frames into out, returns how many. Takes the lock. Not counted as allocations. */
unsigned zone_take_batch(struct frame_zone *zone, unsigned n, uint64_t floor, uint32_t *out);

/* Gives back n frames that lie in one zone; counted when a caller (not a CPU cache) gives them. Takes the
 * lock. */
void zone_give(pfn_t pfn, uint64_t n, bool counted);

/* The same for n single frames of this zone, not counted. Takes the lock once. */
void zone_give_batch(struct frame_zone *zone, const uint32_t *frames, unsigned n);

/* ---- node.c ---- */

void node_order_init(const struct frame_numa *numa);

/* Takes n frames by the order of choice. */
MUST_CHECK status_t node_take(uint64_t n, uint32_t flags, unsigned preferred, pfn_t *pfn);

/* Marks n frames that nobody else can see as allocated. */
void frame_mark_allocated(pfn_t pfn, uint64_t n, enum frame_owner owner, uint32_t owner_id);

/* ---- frame_cpu.c ---- */

/*
 * Pops a frame of the calling CPU's cache, refilling it from the local zone; false when there is none. *zeroed: it is to hold
 * nothing but zeros; and whether it does.
 */
bool frame_cpu_take(pfn_t *pfn, bool *zeroed);

/* The same for up to n frames, how many. The first *zeroed of them hold nothing but zeros; before: whether that is wanted. */
unsigned frame_cpu_take_some(pfn_t *frames, unsigned n, unsigned *zeroed);

/* Pushes a frame (already marked CACHED by this call) when it is local to the calling CPU; false otherwise. zeroed: it holds
 * nothing but zeros. */
bool frame_cpu_give(pfn_t pfn, struct page_frame *frame, bool zeroed);

/* Frames in the cache of a CPU. */
static inline uint32_t frame_cpu_count(const struct frame_cpu *cpu)
{
    return __atomic_load_n(&cpu->count, __ATOMIC_RELAXED) +
           __atomic_load_n(&cpu->zeroed_count, __ATOMIC_RELAXED);
}

/* Cycles now for one call in FRAME_TIMED_ONE_IN, told by a counter of calls; else 0. */
uint64_t frame_cpu_stamp(bool is_free);
/* start: not 0. */
void frame_cpu_note_latency(bool is_free, uint64_t start);
void frame_cpu_note_failure(void);

#endif
