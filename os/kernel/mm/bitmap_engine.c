/*
 * The bitmap engine: runs below 512 frames inside blocks that are partly in use. Blocks with a free frame are
 * in the zone's partial list; run_hint, an upper bound of the longest free run, lets a search skip blocks
 * that were found too ragged. A search looks at a bounded number of blocks before it breaks a fresh one, and
 * at all of them only when no fresh block is left. Deviations: runs never span two blocks.
 */

#include "lib/bitmap.h"
#include "lib/string.h"
#include "mm/frame_internal.h"

#define SEARCH_BOUND 32u

static void take_bits(struct frame_zone *zone, uint32_t number, size_t first, unsigned n)
{
    struct frame_block *block = &block_table[number];
    bitmap_clear_range(block->free_map, first, n);
    block->free_count = (uint16_t)(block->free_count - n);
    block->run_hint = block->run_hint > block->free_count ? block->free_count : block->run_hint;
    if (block->free_count == 0) {
        block_list_remove(&zone->partial_head, number);
    }
}

static bool search_partial(struct frame_zone *zone, unsigned n, unsigned align, unsigned bound, pfn_t *pfn)
{
    for (uint32_t number = zone->partial_head; number != BLOCK_NONE && bound-- > 0;
         number = block_table[number].next) {
        struct frame_block *block = &block_table[number];
        if (block->run_hint < n) {
            continue;
        }
        size_t longest;
        size_t first = bitmap_find_run(block->free_map, FRAMES_PER_BLOCK, n, align, &longest);
        if (first != BITMAP_NONE) {
            take_bits(zone, number, first, n);
            *pfn = ((pfn_t)number << FRAME_BLOCK_SHIFT) + first;
            return true;
        }
        block->run_hint = (uint16_t)longest;
    }
    return false;
}

bool bitmap_engine_take(struct frame_zone *zone, unsigned n, unsigned align, pfn_t *pfn)
{
    if (search_partial(zone, n, align, SEARCH_BOUND, pfn)) {
        return true;
    }
    uint32_t number;
    if (!buddy_take(zone, 0, &number)) {
        return search_partial(zone, n, align, UINT32_MAX, pfn);
    }
    zone->counters.blocks_to_bitmap++;
    struct frame_block *block = &block_table[number];
    memset(block->free_map, 0xff, sizeof block->free_map);
    block->free_count = FRAMES_PER_BLOCK;
    block->run_hint = FRAMES_PER_BLOCK;
    block_list_push(&zone->partial_head, number);
    take_bits(zone, number, 0, n);
    *pfn = (pfn_t)number << FRAME_BLOCK_SHIFT;
    return true;
}

/* Up to n free frames of the first partial block, lowest first. */
static unsigned take_singles(struct frame_zone *zone, unsigned n, uint32_t *out)
{
    uint32_t number = zone->partial_head;
    struct frame_block *block = &block_table[number];
    unsigned got = 0;
    for (unsigned word = 0; word < FRAMES_PER_BLOCK / 64 && got < n; word++) {
        uint64_t left = block->free_map[word];
        for (; left != 0 && got < n; left &= left - 1) {
            out[got++] = number << FRAME_BLOCK_SHIFT | word * 64u | (uint32_t)__builtin_ctzll(left);
        }
        block->free_map[word] = left;
    }
    block->free_count = (uint16_t)(block->free_count - got);
    block->run_hint = block->run_hint > block->free_count ? block->free_count : block->run_hint;
    if (block->free_count == 0) {
        block_list_remove(&zone->partial_head, number);
    }
    return got;
}

unsigned bitmap_engine_take_batch(struct frame_zone *zone, unsigned n, uint32_t *out)
{
    unsigned enough = n - n / 2; /* interrupts are off: no more blocks than it takes for half of them */
    unsigned got = 0;
    pfn_t pfn;
    while (got < enough) {
        if (zone->partial_head != BLOCK_NONE) {
            got += take_singles(zone, n - got, out + got);
        } else if (bitmap_engine_take(zone, 1, 1, &pfn)) {
            out[got++] = (uint32_t)pfn;
        } else {
            break;
        }
    }
    return got;
}

void bitmap_engine_adopt(struct frame_zone *zone, uint32_t number)
{
    struct frame_block *block = &block_table[number];
    block->run_hint = block->free_count;
    if (block->free_count == FRAMES_PER_BLOCK) {
        zone->counters.blocks_to_buddy++;
        buddy_insert(zone, number, 0);
    } else if (block->free_count > 0) {
        block_list_push(&zone->partial_head, number);
    }
}

bool bitmap_engine_take_frame(struct frame_zone *zone, pfn_t pfn)
{
    uint32_t number = (uint32_t)(pfn >> FRAME_BLOCK_SHIFT);
    struct frame_block *block = &block_table[number];
    size_t bit = pfn % FRAMES_PER_BLOCK;
    if (block->kind != BLOCK_BITMAP) {
        if (!buddy_take_block(zone, number)) {
            return false;
        }
        zone->counters.blocks_to_bitmap++;
        memset(block->free_map, 0xff, sizeof block->free_map);
        bitmap_clear(block->free_map, bit);
        block->free_count = FRAMES_PER_BLOCK - 1;
        bitmap_engine_adopt(zone, number);
        return true;
    }
    if (!bitmap_test(block->free_map, bit)) {
        return false;
    }
    take_bits(zone, number, bit, 1);
    return true;
}

/* A block that keeps its place at the head of the list is not taken out for it. */
void bitmap_engine_give(struct frame_zone *zone, pfn_t pfn, unsigned n)
{
    uint32_t number = (uint32_t)(pfn >> FRAME_BLOCK_SHIFT);
    struct frame_block *block = &block_table[number];
    unsigned now = block->free_count + n;
    bool stays = zone->partial_head == number && now < FRAMES_PER_BLOCK;
    if (!stays && block->free_count > 0) {
        block_list_remove(&zone->partial_head, number);
    }
    bitmap_set_range(block->free_map, pfn % FRAMES_PER_BLOCK, n);
    block->free_count = (uint16_t)now;
    if (stays) {
        block->run_hint = block->free_count;
    } else {
        bitmap_engine_adopt(zone, number);
    }
}
