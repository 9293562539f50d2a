#ifndef OS_KERNEL_MM_HEAP_BUDDY_H
#define OS_KERNEL_MM_HEAP_BUDDY_H

/*
 * Buddy of one heap arena: 1 MiB of memory in pages of 4 KiB, nine orders (0: 4 KiB .. 8: 1 MiB), one free
 * list per order. Pure bookkeeping over page indices: it never touches the memory it hands out. No lock: the
 * owner's covers it.
 */

#include "abi/status.h"
#include "types.h"

#define HEAP_ORDERS      9u
#define HEAP_ARENA_PAGES 256u
#define HEAP_PAGE_NONE   0xffffu

enum heap_page_kind { HEAP_PAGE_TAIL = 0, HEAP_PAGE_FREE = 1, HEAP_PAGE_USED = 2 };

struct heap_page {
    uint16_t next; /* free list links, page indices */
    uint16_t prev;
    uint8_t kind;  /* enum heap_page_kind; of the first page of a block, TAIL for the others */
    uint8_t order; /* of the block, valid in its first page */
};

struct heap_buddy {
    uint16_t free_heads[HEAP_ORDERS];
    uint16_t free_pages;
    uint32_t available; /* bit per order that has a free block */
    uint64_t splits;
    uint64_t merges;
    struct heap_page pages[HEAP_ARENA_PAGES];
};

/* One free block of order 8. */
void heap_buddy_init(struct heap_buddy *buddy);

/* Smallest fitting block, lowest half kept on a split. STATUS_ERR_NO_MEMORY, STATUS_ERR_RANGE (order > 8). */
MUST_CHECK status_t heap_buddy_alloc(struct heap_buddy *buddy, unsigned order, unsigned *page);

/* Frees the block that starts at page and joins it with its buddies. STATUS_ERR_DOUBLE_FREE,
 * STATUS_ERR_ARGUMENT. */
MUST_CHECK status_t heap_buddy_free(struct heap_buddy *buddy, unsigned page);

/* Halves a free block of order >= 1; both halves are free after. STATUS_ERR_STATE when page heads no such
 * block. */
MUST_CHECK status_t heap_buddy_split(struct heap_buddy *buddy, unsigned page);

/* Joins the free block at page with its free buddy of the same order. STATUS_ERR_STATE when that is
 * impossible. */
MUST_CHECK status_t heap_buddy_coalesce(struct heap_buddy *buddy, unsigned page, unsigned *joined);

/* Order of the used block that starts at page, HEAP_ORDERS when none does. */
unsigned heap_buddy_order(const struct heap_buddy *buddy, unsigned page);

/* Number of violated invariants (overlap, alignment, lists, counts). */
unsigned heap_buddy_check(const struct heap_buddy *buddy);

#endif
