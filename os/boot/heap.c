/* Bump allocator of the boot, and its mapping on the early tables. */
#include "boot/heap.h"

#include "arch/x86_64/layout.h"
#include "boot/tables.h"
#include "lib/string.h"
#include "mm/layout.h"
#include "panic.h"
#include "types.h"

#define TABLE_ENTRIES    512u
#define TABLE_FLAGS      3u                  /* present, writable */
#define PAGE_ENTRY_FLAGS ((1ull << 63) | 3u) /* and no execute */

extern uint64_t boot_pml4[TABLE_ENTRIES];

static __attribute__((section(".init.bss"), aligned(4096))) uint64_t heap_tables[3][TABLE_ENTRIES];
static uint64_t next;
static uint64_t end;

static uint64_t table_entry(const uint64_t *table)
{
    return ((uint64_t)(uintptr_t)table - LAYOUT_IMAGE_BASE) | TABLE_FLAGS;
}

static unsigned index_at(uint64_t address, unsigned shift)
{
    return (unsigned)(address >> shift) % TABLE_ENTRIES;
}

_Static_assert(BOOT_TEMPORARY_HEAP_VA % HUGE_PAGE_SIZE == 0, "the heap begins a page table");

void boot_heap_init(const struct handoff_span *span)
{
    boot_pml4[index_at(BOOT_TEMPORARY_HEAP_VA, 39)] = table_entry(heap_tables[0]);
    heap_tables[0][index_at(BOOT_TEMPORARY_HEAP_VA, 30)] = table_entry(heap_tables[1]);
    heap_tables[1][index_at(BOOT_TEMPORARY_HEAP_VA, 21)] = table_entry(heap_tables[2]);
    for (uint64_t at = 0; at < span->size_bytes; at += PAGE_SIZE) {
        heap_tables[2][at / PAGE_SIZE] = (span->base + at) | PAGE_ENTRY_FLAGS;
    }
    next = BOOT_TEMPORARY_HEAP_VA;
    end = next + span->size_bytes;
}

void *boot_heap_alloc(size_t bytes)
{
    uint64_t at = next;
    if (bytes > end - at) {
        panic("temporary heap: no room for %zu bytes", bytes);
    }
    next = align_up(at + bytes, 16);
    return memset((void *)(uintptr_t)at, 0, bytes);
}

void boot_heap_close(void)
{
    next = end;
}
