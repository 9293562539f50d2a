/*
 * The arena: a heap whose addresses, in their low 32 bits, depend on the sequence of calls alone. Blocks lie side by side;
 * free neighbours are joined at once; free blocks are kept in lists by size (eight classes to a power of two), and a block
 * is taken from the first list all of whose blocks are large enough, so that nothing is ever searched.
 *
 * A block, in units of 8 bytes:
 *     units of the block before it : 32 | in use : 1, units of this block : 31
 *     the owner's bytes; while it is free: unit of the next in its list : 32 | of the previous : 32
 * Unit 0 is never a block, and the last unit is one that is always in use.
 */

#define _GNU_SOURCE

#include "script/arena.h"

#include "base/bits.h"
#include "base/check.h"

#include <string.h>
#include <sys/mman.h>

#define UNIT       8u
#define WINDOW     (UINT64_C(1) << 32)
#define LAST_UNIT  ((uint32_t)(ARENA_BYTES / UNIT) - 1)
#define LEAST      2u /* units of a block: its head and the links */
#define IN_USE     0x80000000u
#define FIRST_UNIT 1u

struct block {
    uint32_t units_before, units; /* units with IN_USE */
    uint32_t next, previous;      /* of a free block */
};

static struct block *block_at(const struct arena *a, uint32_t unit)
{
    return (struct block *)(void *)(a->base + (size_t)unit * UNIT);
}

static uint32_t unit_of(const struct arena *a, const void *p)
{
    return (uint32_t)((size_t)((const uint8_t *)p - a->base) / UNIT) - 1;
}

static void *bytes_of(const struct arena *a, uint32_t unit)
{
    return a->base + (size_t)(unit + 1) * UNIT;
}

static bool is_free(const struct block *b)
{
    return (b->units & IN_USE) == 0;
}

/* ---- lists of free blocks ---- */

/* Classes 0 to 7: that many units; above, the power of two and the next three bits. */
static unsigned class_of(uint32_t units)
{
    if (units < 8) {
        return units;
    }
    unsigned top = 31 - (unsigned)__builtin_clz(units);
    return (top - 2) * 8 + (units >> (top - 3) & 7);
}

/* The first class of which every block has so many units. */
static unsigned class_for(uint32_t units)
{
    if (units < 8) {
        return units;
    }
    unsigned top = 31 - (unsigned)__builtin_clz(units);
    return class_of(units + ((1u << (top - 3)) - 1));
}

static void list_add(struct arena *a, uint32_t unit)
{
    struct block *b = block_at(a, unit);
    unsigned class = class_of(b->units);
    b->previous = 0;
    b->next = a->free_lists[class];
    if (b->next) {
        block_at(a, b->next)->previous = unit;
    }
    a->free_lists[class] = unit;
    a->classes_filled[class / 64] |= UINT64_C(1) << class % 64;
}

static void list_remove(struct arena *a, uint32_t unit)
{
    struct block *b = block_at(a, unit);
    unsigned class = class_of(b->units);
    if (b->next) {
        block_at(a, b->next)->previous = b->previous;
    }
    if (b->previous) {
        block_at(a, b->previous)->next = b->next;
        return;
    }
    a->free_lists[class] = b->next;
    if (!b->next) {
        a->classes_filled[class / 64] &= ~(UINT64_C(1) << class % 64);
    }
}

/* A free block of at least so many units, or 0. */
static uint32_t list_find(const struct arena *a, uint32_t units)
{
    unsigned class = class_for(units);
    for (unsigned word = class / 64; word < ARENA_CLASSES / 64; word++) {
        uint64_t filled = a->classes_filled[word];
        filled &= word == class / 64 ? ~UINT64_C(0) << class % 64 : ~UINT64_C(0);
        if (filled) {
            return a->free_lists[word * 64 + (unsigned)__builtin_ctzll(filled)];
        }
    }
    return 0;
}

/* ---- blocks ---- */

/* Sets a block's size, and tells the block behind it. */
static void set_units(const struct arena *a, uint32_t unit, uint32_t units, uint32_t in_use)
{
    block_at(a, unit)->units = units | in_use;
    block_at(a, unit + units)->units_before = units;
}

/* Makes [unit, unit + units) a free block, joined with free neighbours. */
static void release(struct arena *a, uint32_t unit, uint32_t units)
{
    const struct block *after = block_at(a, unit + units);
    uint32_t before = block_at(a, unit)->units_before;
    if (is_free(after)) {
        list_remove(a, unit + units);
        units += after->units;
    }
    if (before && is_free(block_at(a, unit - before))) {
        unit -= before;
        units += before;
        list_remove(a, unit);
    }
    set_units(a, unit, units, 0);
    list_add(a, unit);
}

/* Makes the block one of so many units in use; what is left over becomes free. */
static void trim(struct arena *a, uint32_t unit, uint32_t has, uint32_t units)
{
    if (has - units < LEAST) {
        set_units(a, unit, has, IN_USE);
        return;
    }
    set_units(a, unit, units, IN_USE);
    release(a, unit + units, has - units);
}

static uint32_t units_for(size_t size)
{
    uint32_t units = (uint32_t)((size + UNIT - 1) / UNIT) + 1;
    return units < LEAST ? LEAST : units;
}

void *arena_alloc(struct arena *a, size_t size)
{
    if (size >= ARENA_BYTES) {
        return NULL;
    }
    uint32_t units = units_for(size), unit = list_find(a, units);
    if (!unit) {
        return NULL;
    }
    list_remove(a, unit);
    trim(a, unit, block_at(a, unit)->units, units);
    return bytes_of(a, unit);
}

void arena_free(struct arena *a, void *p)
{
    uint32_t unit = unit_of(a, p);
    struct block *b = block_at(a, unit);
    CHECK(!is_free(b), "a block of Lua is freed twice");
    release(a, unit, b->units & ~IN_USE);
}

void *arena_resize(struct arena *a, void *p, size_t size)
{
    uint32_t unit = unit_of(a, p), has = block_at(a, unit)->units & ~IN_USE, units = units_for(size);
    const struct block *after = block_at(a, unit + has);
    if (size >= ARENA_BYTES) {
        return NULL;
    }
    if (has < units && is_free(after) && has + after->units >= units) {
        list_remove(a, unit + has);
        has += after->units;
    }
    if (has >= units) {
        trim(a, unit, has, units);
        return p;
    }
    void *moved = arena_alloc(a, size);
    if (moved) {
        memcpy(moved, p, (size_t)(has - 1) * UNIT);
        arena_free(a, p);
    }
    return moved;
}

/* ---- the range ---- */

bool arena_init(struct arena *a, struct error *e)
{
    *a = (struct arena){0};
    uint64_t reserved = WINDOW + ARENA_BYTES;
    uint8_t *range = mmap(NULL, reserved, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (range == MAP_FAILED) {
        return error_set(e, "the host refuses to reserve address space for Lua");
    }
    uint64_t before = (WINDOW - (uintptr_t)range % WINDOW) % WINDOW;
    a->base = range + before;
    if (before) {
        munmap(range, before);
    }
    munmap(a->base + ARENA_BYTES, reserved - before - ARENA_BYTES);
    if (mprotect(a->base, ARENA_BYTES, PROT_READ | PROT_WRITE) != 0) {
        arena_deinit(a);
        return error_set(e, "the host refuses memory for Lua");
    }
    block_at(a, LAST_UNIT)->units = 1 | IN_USE;
    release(a, FIRST_UNIT, LAST_UNIT - FIRST_UNIT);
    return true;
}

void arena_deinit(struct arena *a)
{
    if (a->base) {
        munmap(a->base, ARENA_BYTES);
    }
    a->base = NULL;
}
