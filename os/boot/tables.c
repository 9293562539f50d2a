/*
 * Final kernel page tables. W^X also through the physmap: the frames of kernel text and constants are
 * read-only there. Source: AMD64 APM volume 2, "Long-Mode Page Translation".
 */
#include "boot/tables.h"

#include "arch/arch.h"
#include "arch/x86_64/kmap.h"
#include "arch/x86_64/layout.h"
#include "boot/heap.h"
#include "lib/string.h"
#include "mm/boot_alloc.h"
#include "mm/frame.h"
#include "mm/layout.h"
#include "mm/pagetable.h"

#define SPANS_MAX (2u * REGION_MAX) /* one a region and table: no list of regions is too long */

extern const char image_end[];
extern const char text_start[];
extern const char text_end[];
extern const char rodata_start[];
extern const char rodata_end[];
extern const char data_start[];

static __attribute__((section(".init.bss"))) struct span_list {
    uint32_t count;
    struct {
        int table;
        struct frame_metadata_span span;
    } spans[SPANS_MAX];
} metadata;

static uint64_t image_physical(const char *symbol)
{
    return (uint64_t)(uintptr_t)symbol - LAYOUT_IMAGE_BASE;
}

static status_t map_image_part(const char *from, const char *to, uint64_t flags)
{
    uint64_t start = align_down((uint64_t)(uintptr_t)from, PAGE_SIZE);
    uint64_t end = align_up((uint64_t)(uintptr_t)to, PAGE_SIZE);
    return pt_map_range(kmap_table(), vaddr_make(start), paddr_make(start - LAYOUT_IMAGE_BASE), end - start,
                        PAGE_FLAGS(flags | PAGE_GLOBAL), false);
}

static status_t map_image(void)
{
    status_t status = map_image_part(text_start, text_end, 0);
    if (status == STATUS_OK) {
        status = map_image_part(rodata_start, rodata_end, PAGE_NO_EXECUTE);
    }
    if (status == STATUS_OK) {
        status = map_image_part(data_start, image_end, PAGE_NO_EXECUTE | PAGE_WRITABLE);
    }
    return status;
}

static status_t map_physmap(uint64_t start, uint64_t end, uint64_t flags)
{
    if (start >= end) {
        return STATUS_OK;
    }
    return pt_map_range(kmap_table(), vaddr_make(PHYSMAP_BASE + start), paddr_make(start), end - start,
                        PAGE_FLAGS(flags | PAGE_NO_EXECUTE | PAGE_GLOBAL), true);
}

static uint64_t clamp(uint64_t value, uint64_t low, uint64_t high)
{
    return value < low ? low : (value > high ? high : value);
}

/* One stretch of RAM, with the read-only part of the image cut out of it. */
static status_t map_ram(uint64_t start, uint64_t end)
{
    uint64_t fixed_start = clamp(image_physical(text_start), start, end);
    uint64_t fixed_end = clamp(align_up(image_physical(rodata_end), PAGE_SIZE), start, end);
    status_t status = map_physmap(start, fixed_start, PAGE_WRITABLE);
    if (status == STATUS_OK) {
        status = map_physmap(fixed_start, fixed_end, 0);
    }
    if (status == STATUS_OK) {
        status = map_physmap(fixed_end, end, PAGE_WRITABLE);
    }
    return status;
}

/* All managed RAM, neighbouring regions together so that 2 MiB pages fit. */
static status_t map_all_ram(const struct region_list *regions)
{
    uint64_t start = 0;
    uint64_t end = 0;
    for (uint32_t i = 0; i < regions->count; i++) {
        const struct region *region = &regions->regions[i];
        if (region_type_class(region->type) == REGION_CLASS_OUTSIDE) {
            continue;
        }
        uint64_t from = align_down(region->base, PAGE_SIZE);
        uint64_t to = align_up(region->end, PAGE_SIZE);
        to = to < FRAME_PFN_LIMIT << PAGE_SHIFT ? to : FRAME_PFN_LIMIT << PAGE_SHIFT; /* what is managed */
        if (from >= to) {
            continue;
        }
        if (from > end) {
            status_t status = map_ram(start, end);
            if (status != STATUS_OK) {
                return status;
            }
            start = from;
        }
        end = to > end ? to : end;
    }
    return map_ram(start, end);
}

static status_t span_note(void *context, int table, const struct frame_metadata_span *span)
{
    struct span_list *list = context;
    if (list->count == SPANS_MAX) {
        return STATUS_ERR_LIMIT;
    }
    list->spans[list->count].table = table;
    list->spans[list->count++].span = *span;
    return STATUS_OK;
}

/* Backs [at, at + bytes) with zeroed memory, 2 MiB at a time where that fits. */
static status_t back_with_memory(uint64_t at, uint64_t bytes)
{
    while (bytes != 0) {
        bool huge = (at & HUGE_PAGE_MASK) == 0 && bytes >= HUGE_PAGE_SIZE;
        uint64_t frames = huge ? FRAMES_PER_HUGE_PAGE : 1;
        paddr_t memory;
        status_t status = boot_alloc_frames(frames, frames, REGION_BOOT_ALLOCATION, &memory);
        if (status != STATUS_OK && huge) {
            huge = false;
            frames = 1;
            status = boot_alloc_frames(1, 1, REGION_BOOT_ALLOCATION, &memory);
        }
        if (status == STATUS_OK) {
            memset(arch_phys_to_virt(memory), 0, frames * PAGE_SIZE);
            status = pt_map(kmap_table(), vaddr_make(at), memory, huge ? PAGE_2M : PAGE_4K,
                            PAGE_FLAGS(PAGE_WRITABLE | PAGE_NO_EXECUTE | PAGE_GLOBAL));
        }
        if (status != STATUS_OK) {
            return status;
        }
        at += frames * PAGE_SIZE;
        bytes -= frames * PAGE_SIZE;
    }
    return STATUS_OK;
}

/* The spans are noted first: the boot allocator changes the list they are computed from. */
static status_t map_metadata(const struct region_list *regions)
{
    struct span_list *list = &metadata;
    status_t status = frame_metadata_spans(regions, span_note, list);
    for (uint32_t i = 0; status == STATUS_OK && i < list->count; i++) {
        uint64_t base = list->spans[i].table == 0 ? FRAME_TABLE_BASE : BLOCK_TABLE_BASE;
        status = back_with_memory(base + list->spans[i].span.offset, list->spans[i].span.size);
    }
    return status;
}

static status_t map_temporary_heap(const struct handoff *block)
{
    return pt_map_range(kmap_table(), vaddr_make(BOOT_TEMPORARY_HEAP_VA),
                        paddr_make(block->temporary_heap.base), block->temporary_heap.size_bytes,
                        PAGE_FLAGS(PAGE_WRITABLE | PAGE_NO_EXECUTE | PAGE_GLOBAL), false);
}

status_t boot_tables_drop_temporary_heap(uint64_t bytes)
{
    status_t status = STATUS_OK;
    boot_heap_close();
    for (uint64_t at = 0; status == STATUS_OK && at < bytes; at += PAGE_SIZE) {
        status = pt_unmap(kmap_table(), vaddr_make(BOOT_TEMPORARY_HEAP_VA + at), NULL, NULL);
    }
    arch_tlb_flush_all();
    return status;
}

/* ---- where the tables come from before there is a frame manager ---- */

static status_t boot_table_alloc(void *context, paddr_t *table)
{
    (void)context;
    status_t status = boot_alloc_frames(1, 1, REGION_BOOT_PAGE_TABLE, table);
    if (status == STATUS_OK) {
        memset(arch_phys_to_virt(*table), 0, PAGE_SIZE);
    }
    return status;
}

static void boot_table_free(void *context, paddr_t table)
{
    (void)context;
    panic("boot page table 0x%llx freed", (unsigned long long)table.number);
}

static const struct pt_allocator boot_table_allocator = {boot_table_alloc, boot_table_free, NULL, NULL, NULL};

status_t boot_tables_build(const struct region_list *regions, const struct handoff *block)
{
    status_t status = pt_init_kernel(kmap_table(), &boot_table_allocator);
    if (status == STATUS_OK) {
        status = map_image();
    }
    if (status == STATUS_OK) {
        status = map_metadata(regions);
    }
    if (status == STATUS_OK) {
        status = map_all_ram(regions);
    }
    if (status == STATUS_OK) {
        status = map_temporary_heap(block);
    }
    if (status == STATUS_OK) {
        cr3_write(paddr_number(kmap_table()->root));
    }
    return status;
}
