/*
 * The kernel map region: device windows in its first GiB, kernel stacks in slots of eight pages after that
 * (four unmapped, four stack), so that each stack has guard pages on both sides.
 */
#include "arch/x86_64/kmap.h"

#include "arch/x86_64/layout.h"
#include "lib/bitmap.h"
#include "lib/spinlock.h"
#include "mm/frame.h"
#include "mm/layout.h"
#include "mm/tlb.h"
#include "panic.h"

#define DEVICE_WINDOW_BYTES (1ull << 30)
#define STACK_REGION        (KERNEL_MAP_BASE + 2 * DEVICE_WINDOW_BYTES)
#define SLOT_PAGES          (2 * KERNEL_STACK_PAGES)
#define SLOT_BYTES          (SLOT_PAGES * PAGE_SIZE)
#define SLOT_COUNT          16384u

_Static_assert(LAYOUT_PHYSMAP_BASE == PHYSMAP_BASE, "assembly and C agree");
_Static_assert(LAYOUT_IMAGE_BASE == KERNEL_IMAGE_BASE, "assembly and C agree");

static struct page_table kernel_table;
static struct spinlock map_lock = SPINLOCK_INIT("vm.kernel", KERNEL_MAP);
static struct spinlock slot_lock = SPINLOCK_INIT("kmap.slots", STACK_SLOTS);
static uint64_t slots_used[BITMAP_WORDS(SLOT_COUNT)];
static size_t slot_hint;
static uint64_t device_next = KERNEL_MAP_BASE;

struct page_table *kmap_table(void)
{
    return &kernel_table;
}

static status_t table_alloc(void *context, paddr_t *table)
{
    return pt_frame_allocator.alloc(context, table);
}

/* Tables made before the frame manager are reserved frames, not allocated ones. */
static void table_free(void *context, paddr_t table)
{
    if (frame_unreserve(paddr_pfn(table), 1, FRAME_OWNER_BOOT_PAGE_TABLE) != STATUS_OK) {
        pt_frame_allocator.free(context, table);
    }
}

void kmap_use_frame_manager(void)
{
    static const struct pt_allocator allocator = {.alloc = table_alloc, .free = table_free};
    kernel_table.allocator = &allocator;
}

/* Takes out the pages of a window that came to nothing, from its start. */
static void device_drop(uint64_t at)
{
    struct tlb_gather gather;
    status_t status = STATUS_OK;
    tlb_gather_init(&gather, NULL, kernel_table.allocator);
    for (; status == STATUS_OK; at += PAGE_SIZE) {
        if (tlb_gather_room(&gather) == 0) {
            tlb_gather_finish(&gather);
        }
        uint64_t flags = spin_lock_irqsave(&map_lock);
        status = pt_unmap(&kernel_table, vaddr_make(at), &gather, NULL);
        spin_unlock_irqrestore(&map_lock, flags);
    }
    tlb_gather_finish(&gather);
}

status_t kmap_device(paddr_t address, uint64_t bytes, void **out)
{
    page_flags_t flags =
        page_flags_or(cache_policy_flags(CACHE_UNCACHED),
                      PAGE_FLAGS(PAGE_WRITABLE | PAGE_NO_EXECUTE | PAGE_GLOBAL | PAGE_DEVICE));
    uint64_t lock_flags = spin_lock_irqsave(&map_lock);
    status_t status = STATUS_ERR_LIMIT;
    uint64_t at = device_next;
    if (bytes <= KERNEL_MAP_BASE + DEVICE_WINDOW_BYTES - at) {
        status = pt_map_range(&kernel_table, vaddr_make(at), address, bytes, flags, false);
    }
    if (status == STATUS_OK || status == STATUS_ERR_NO_MEMORY) {
        device_next = at + bytes + PAGE_SIZE; /* a guard page between windows; none is given twice */
        *out = (void *)(uintptr_t)at;
    }
    spin_unlock_irqrestore(&map_lock, lock_flags);
    if (status == STATUS_ERR_NO_MEMORY) {
        device_drop(at);
    }
    return status;
}

static status_t slot_take(size_t *slot)
{
    uint64_t flags = spin_lock_irqsave(&slot_lock);
    size_t found = bitmap_find_clear(slots_used, SLOT_COUNT, slot_hint);
    if (found == BITMAP_NONE) {
        found = bitmap_find_clear(slots_used, SLOT_COUNT, 0);
    }
    if (found != BITMAP_NONE) {
        bitmap_set(slots_used, found);
        slot_hint = found + 1 < SLOT_COUNT ? found + 1 : 0;
        *slot = found;
    }
    spin_unlock_irqrestore(&slot_lock, flags);
    return found == BITMAP_NONE ? STATUS_ERR_LIMIT : STATUS_OK;
}

static void slot_give(size_t slot)
{
    uint64_t flags = spin_lock_irqsave(&slot_lock);
    bitmap_clear(slots_used, slot);
    if (slot < slot_hint) {
        slot_hint = slot;
    }
    spin_unlock_irqrestore(&slot_lock, flags);
}

static uint64_t slot_stack_base(size_t slot)
{
    return STACK_REGION + slot * SLOT_BYTES + KERNEL_STACK_BYTES;
}

/* Takes the pages below `pages` out of the tables and notes them for the flush. Lock of the map held. */
static void stack_unmap_locked(uint64_t base, unsigned pages, struct tlb_gather *gather)
{
    for (unsigned i = 0; i < pages; i++) {
        struct pt_leaf old;
        if (pt_unmap(&kernel_table, vaddr_make(base + i * PAGE_SIZE), gather, &old) != STATUS_OK) {
            panic("kernel stack: page at %llx is not mapped", (unsigned long long)(base + i * PAGE_SIZE));
        }
        tlb_gather_frame(gather, paddr_pfn(old.address));
    }
}

static status_t stack_map_page(uint64_t address)
{
    pfn_t pfn;
    status_t status = frame_alloc(0, FRAME_OWNER_KERNEL_STACK, 0, &pfn);
    if (status != STATUS_OK) {
        return status;
    }
    uint64_t flags = spin_lock_irqsave(&map_lock);
    status = pt_map(&kernel_table, vaddr_make(address), paddr_from_pfn(pfn), PAGE_4K,
                    PAGE_FLAGS(PAGE_WRITABLE | PAGE_NO_EXECUTE | PAGE_GLOBAL | PAGE_ACCESSED | PAGE_DIRTY));
    spin_unlock_irqrestore(&map_lock, flags);
    if (status != STATUS_OK) {
        frame_put(pfn);
    }
    return status;
}

static void stack_unmap(uint64_t base, unsigned pages)
{
    struct tlb_gather gather;
    tlb_gather_init(&gather, NULL, kernel_table.allocator);
    uint64_t flags = spin_lock_irqsave(&map_lock);
    stack_unmap_locked(base, pages, &gather);
    spin_unlock_irqrestore(&map_lock, flags);
    tlb_gather_finish(&gather);
}

status_t kmap_stack_alloc(uint64_t *top)
{
    size_t slot;
    status_t status = slot_take(&slot);
    if (status != STATUS_OK) {
        return status;
    }
    uint64_t base = slot_stack_base(slot);
    for (unsigned i = 0; i < KERNEL_STACK_PAGES; i++) {
        status = stack_map_page(base + i * PAGE_SIZE);
        if (status != STATUS_OK) {
            stack_unmap(base, i);
            slot_give(slot);
            return status;
        }
    }
    *top = base + KERNEL_STACK_BYTES;
    return STATUS_OK;
}

void kmap_stacks_free(const uint64_t *tops, unsigned count)
{
    struct tlb_gather gather;
    tlb_gather_init(&gather, NULL, kernel_table.allocator);
    for (unsigned i = 0; i < count; i++) {
        for (unsigned page = 0; page < KERNEL_STACK_PAGES; page++) {
            if (tlb_gather_room(&gather) == 0) {
                tlb_gather_finish(&gather);
            }
            uint64_t flags = spin_lock_irqsave(&map_lock);
            stack_unmap_locked(tops[i] - KERNEL_STACK_BYTES + page * PAGE_SIZE, 1, &gather);
            spin_unlock_irqrestore(&map_lock, flags);
        }
    }
    tlb_gather_finish(&gather);
    for (unsigned i = 0; i < count; i++) {
        slot_give((tops[i] - KERNEL_STACK_BYTES - STACK_REGION) / SLOT_BYTES);
    }
}

bool kmap_is_stack_guard(uint64_t address)
{
    if (address < STACK_REGION || address >= STACK_REGION + SLOT_COUNT * SLOT_BYTES) {
        return false;
    }
    return (address - STACK_REGION) % SLOT_BYTES < KERNEL_STACK_BYTES;
}
