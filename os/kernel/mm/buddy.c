/*
 * Buddy of 2 MiB blocks: free groups of 2^order blocks, order 0..9, per zone of a node. Links and orders live
 * in the block table, so nothing is written into free memory. Blocks of a group behind its head are marked
 * TAIL; joining and splitting touch the two heads only. Deviations: none.
 */

#include "lib/string.h"
#include "mm/frame_internal.h"

void block_list_push(uint32_t *head, uint32_t number)
{
    struct frame_block *block = &block_table[number];
    block->prev = BLOCK_NONE;
    block->next = *head;
    if (*head != BLOCK_NONE) {
        block_table[*head].prev = number;
    }
    *head = number;
}

void block_list_remove(uint32_t *head, uint32_t number)
{
    struct frame_block *block = &block_table[number];
    if (block->next != BLOCK_NONE) {
        block_table[block->next].prev = block->prev;
    }
    if (block->prev != BLOCK_NONE) {
        block_table[block->prev].next = block->next;
    } else {
        *head = block->next;
    }
    block->next = BLOCK_NONE;
    block->prev = BLOCK_NONE;
}

static void make_head(struct frame_zone *zone, uint32_t number, unsigned order)
{
    block_table[number].kind = BLOCK_BUDDY_HEAD;
    block_table[number].order = (uint8_t)order;
    block_list_push(&zone->buddy_heads[order], number);
}

void buddy_insert(struct frame_zone *zone, uint32_t number, unsigned order)
{
    while (order + 1 < BUDDY_ORDERS) {
        uint32_t other = number ^ (1u << order);
        struct frame_block *buddy = &block_table[other];
        if (buddy->kind != BLOCK_BUDDY_HEAD || buddy->order != order || buddy->zone != zone->id ||
            buddy->node != zone->node) {
            break;
        }
        block_list_remove(&zone->buddy_heads[order], other);
        uint32_t right = number | (1u << order);
        number &= ~(1u << order);
        block_table[right].kind = BLOCK_BUDDY_TAIL;
        order++;
        zone->counters.merges++;
    }
    make_head(zone, number, order);
}

/* Halves a group that is in no list until it has the wanted order and holds `keep`. Returns its first block.
 */
static uint32_t split_down(struct frame_zone *zone, uint32_t number, unsigned order, unsigned wanted,
                           uint32_t keep)
{
    while (order > wanted) {
        order--;
        uint32_t right = number + (1u << order);
        zone->counters.splits++;
        if (keep >= right) {
            make_head(zone, number, order);
            number = right;
        } else {
            make_head(zone, right, order);
        }
    }
    return number;
}

static void make_used(uint32_t number)
{
    struct frame_block *block = &block_table[number];
    memset(block->free_map, 0, sizeof block->free_map);
    block->kind = BLOCK_BITMAP;
    block->free_count = 0;
    block->run_hint = 0;
    block->next = BLOCK_NONE;
    block->prev = BLOCK_NONE;
}

bool buddy_take(struct frame_zone *zone, unsigned order, uint32_t *number)
{
    for (unsigned have = order; have < BUDDY_ORDERS; have++) {
        uint32_t head = zone->buddy_heads[have];
        if (head == BLOCK_NONE) {
            continue;
        }
        block_list_remove(&zone->buddy_heads[have], head);
        *number = split_down(zone, head, have, order, head);
        for (uint32_t i = 0; i < 1u << order; i++) {
            make_used(*number + i);
        }
        return true;
    }
    return false;
}

bool buddy_take_block(struct frame_zone *zone, uint32_t number)
{
    for (unsigned order = 0; order < BUDDY_ORDERS; order++) {
        uint32_t head = number & ~((1u << order) - 1);
        if (block_table[head].kind == BLOCK_BUDDY_HEAD && block_table[head].order == order) {
            block_list_remove(&zone->buddy_heads[order], head);
            make_used(split_down(zone, head, order, 0, number));
            return true;
        }
    }
    return false;
}
