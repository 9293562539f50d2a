/*
 * Binary buddy over the 256 pages of a heap arena (D. E. Knuth, The Art of Computer Programming volume 1,
 * "Dynamic Storage Allocation", the buddy system). State is one record a page; the memory itself is never
 * touched. Deviations: none.
 */

#include "mm/heap_buddy.h"

static void push(struct heap_buddy *buddy, unsigned page, unsigned order)
{
    struct heap_page *entry = &buddy->pages[page];
    uint16_t head = buddy->free_heads[order];
    *entry = (struct heap_page){head, HEAP_PAGE_NONE, HEAP_PAGE_FREE, (uint8_t)order};
    if (head != HEAP_PAGE_NONE) {
        buddy->pages[head].prev = (uint16_t)page;
    }
    buddy->free_heads[order] = (uint16_t)page;
    buddy->available |= 1u << order;
}

static void pull(struct heap_buddy *buddy, unsigned page)
{
    struct heap_page *entry = &buddy->pages[page];
    unsigned order = entry->order;
    if (entry->next != HEAP_PAGE_NONE) {
        buddy->pages[entry->next].prev = entry->prev;
    }
    if (entry->prev != HEAP_PAGE_NONE) {
        buddy->pages[entry->prev].next = entry->next;
    } else {
        buddy->free_heads[order] = entry->next;
    }
    if (buddy->free_heads[order] == HEAP_PAGE_NONE) {
        buddy->available &= ~(1u << order);
    }
    entry->kind = HEAP_PAGE_TAIL;
}

void heap_buddy_init(struct heap_buddy *buddy)
{
    *buddy = (struct heap_buddy){.free_pages = HEAP_ARENA_PAGES};
    for (unsigned order = 0; order < HEAP_ORDERS; order++) {
        buddy->free_heads[order] = HEAP_PAGE_NONE;
    }
    push(buddy, 0, HEAP_ORDERS - 1);
}

static bool heads_free(const struct heap_buddy *buddy, unsigned page)
{
    return page < HEAP_ARENA_PAGES && buddy->pages[page].kind == HEAP_PAGE_FREE;
}

/* Is the other half of what a block could join free as a whole? */
static bool free_twin(const struct heap_buddy *buddy, unsigned page, unsigned order)
{
    unsigned other = page ^ (1u << order);
    return heads_free(buddy, other) && buddy->pages[other].order == order;
}

/* Lists the upper half of a block that is in no list; the lower one, of the order that is returned, is in none. */
static unsigned shed_upper_half(struct heap_buddy *buddy, unsigned page, unsigned order)
{
    order--;
    push(buddy, page + (1u << order), order);
    buddy->splits++;
    return order;
}

status_t heap_buddy_split(struct heap_buddy *buddy, unsigned page)
{
    if (!heads_free(buddy, page) || buddy->pages[page].order == 0) {
        return STATUS_ERR_STATE;
    }
    unsigned order = buddy->pages[page].order;
    pull(buddy, page);
    push(buddy, page, shed_upper_half(buddy, page, order));
    return STATUS_OK;
}

status_t heap_buddy_coalesce(struct heap_buddy *buddy, unsigned page, unsigned *joined)
{
    if (!heads_free(buddy, page) || buddy->pages[page].order == HEAP_ORDERS - 1) {
        return STATUS_ERR_STATE;
    }
    unsigned order = buddy->pages[page].order;
    unsigned other = page ^ (1u << order);
    if (!free_twin(buddy, page, order)) {
        return STATUS_ERR_STATE;
    }
    pull(buddy, page);
    pull(buddy, other);
    *joined = page < other ? page : other;
    push(buddy, *joined, order + 1);
    buddy->merges++;
    return STATUS_OK;
}

status_t heap_buddy_alloc(struct heap_buddy *buddy, unsigned order, unsigned *page)
{
    if (order >= HEAP_ORDERS) {
        return STATUS_ERR_RANGE;
    }
    uint32_t fitting = buddy->available >> order;
    if (fitting == 0) {
        return STATUS_ERR_NO_MEMORY;
    }
    unsigned have = order + (unsigned)__builtin_ctz(fitting);
    unsigned found = buddy->free_heads[have];
    pull(buddy, found);
    while (have > order) {
        have = shed_upper_half(buddy, found, have);
    }
    buddy->pages[found].kind = HEAP_PAGE_USED;
    buddy->pages[found].order = (uint8_t)order;
    buddy->free_pages = (uint16_t)(buddy->free_pages - (1u << order));
    *page = found;
    return STATUS_OK;
}

status_t heap_buddy_free(struct heap_buddy *buddy, unsigned page)
{
    if (page >= HEAP_ARENA_PAGES) {
        return STATUS_ERR_ARGUMENT;
    }
    if (buddy->pages[page].kind != HEAP_PAGE_USED) {
        return STATUS_ERR_DOUBLE_FREE;
    }
    unsigned order = buddy->pages[page].order;
    buddy->free_pages = (uint16_t)(buddy->free_pages + (1u << order));
    buddy->pages[page].kind = HEAP_PAGE_TAIL; /* what it becomes part of is listed once, at its last size */
    for (; order < HEAP_ORDERS - 1 && free_twin(buddy, page, order); order++) {
        pull(buddy, page ^ (1u << order));
        page &= ~(1u << order);
        buddy->merges++;
    }
    push(buddy, page, order);
    return STATUS_OK;
}

unsigned heap_buddy_order(const struct heap_buddy *buddy, unsigned page)
{
    bool used = page < HEAP_ARENA_PAGES && buddy->pages[page].kind == HEAP_PAGE_USED;
    return used ? buddy->pages[page].order : HEAP_ORDERS;
}

static unsigned check_list(const struct heap_buddy *buddy, unsigned order, unsigned *listed)
{
    unsigned wrong = ((buddy->available >> order) & 1) != (buddy->free_heads[order] != HEAP_PAGE_NONE);
    unsigned before = HEAP_PAGE_NONE;
    for (unsigned page = buddy->free_heads[order]; page != HEAP_PAGE_NONE; page = buddy->pages[page].next) {
        const struct heap_page *entry = &buddy->pages[page];
        wrong += entry->kind != HEAP_PAGE_FREE || entry->order != order || entry->prev != before;
        before = page;
        *listed += 1u << order;
    }
    return wrong;
}

unsigned heap_buddy_check(const struct heap_buddy *buddy)
{
    unsigned wrong = 0;
    unsigned listed = 0;
    unsigned free_pages = 0;
    for (unsigned order = 0; order < HEAP_ORDERS; order++) {
        wrong += check_list(buddy, order, &listed);
    }
    for (unsigned page = 0; page < HEAP_ARENA_PAGES;) {
        const struct heap_page *entry = &buddy->pages[page];
        unsigned length = 1u << entry->order;
        if (entry->kind == HEAP_PAGE_TAIL || page % length != 0) {
            return wrong + 1; /* blocks do not tile the arena */
        }
        for (unsigned i = 1; i < length; i++) {
            wrong += buddy->pages[page + i].kind != HEAP_PAGE_TAIL;
        }
        bool is_free = entry->kind == HEAP_PAGE_FREE;
        unsigned other = page ^ length;
        wrong += is_free && entry->order + 1u < HEAP_ORDERS && heads_free(buddy, other) &&
                 buddy->pages[other].order == entry->order;
        free_pages += is_free ? length : 0;
        page += length;
    }
    return wrong + (listed != free_pages) + (free_pages != buddy->free_pages);
}
