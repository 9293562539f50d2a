/*
 * What only the boot needed comes back frame by frame: the free count around each part against the inventory, which is looked at
 * while it still exists; what the firmware keeps is never free.
 */
#include "arch/arch.h"
#include "arch/arch_pt.h"
#include "arch/x86_64/layout.h"
#include "boot_memory.h"
#include "lib/string.h"
#include "mm/frame.h"
#include "probe.h"
#include "test/ktest.h"

#define OLD_TABLES_MAX 64u
#define KEPT_MAX       64u

/* What a look before the first part is given back has seen. */
static struct {
    unsigned looks;
    bool is_wrong;
    uint64_t frames[BOOT_PARTS];
    pfn_t old_tables[OLD_TABLES_MAX]; /* the root, and what is below its lower half */
    unsigned old_table_count;
    struct region kept[KEPT_MAX]; /* of NVS and runtime services */
    unsigned kept_count;
} seen;

static void see_table(pfn_t pfn)
{
    const struct page_frame *frame = frame_lookup(pfn);
    seen.is_wrong |=
        frame == NULL || frame->state != FRAME_RESERVED || frame->owner != FRAME_OWNER_KERNEL_IMAGE;
    for (unsigned i = 0; i < seen.old_table_count; i++) {
        seen.is_wrong |= seen.old_tables[i] == pfn;
    }
    seen.is_wrong |= seen.old_table_count == OLD_TABLES_MAX;
    if (!seen.is_wrong) {
        seen.old_tables[seen.old_table_count++] = pfn;
    }
}

/* The tables that the early identity mapping has in the lower half. level: 4 for the root. */
static void see_tables(pfn_t pfn, unsigned level)
{
    const uint64_t *entries = arch_phys_to_virt(paddr_from_pfn(pfn));
    see_table(pfn);
    for (unsigned i = 0; level > 1 && !seen.is_wrong && i < (level == 4 ? 256u : 512u); i++) {
        uint64_t entry = arch_pt_load(&entries[i]);
        if ((entry & 1) && !(entry & 0x80)) { /* present, no large page */
            see_tables((entry & 0x000ffffffffff000ull) >> PAGE_SHIFT, level - 1);
        }
    }
}

static void see_region(const struct region *region)
{
    uint64_t first = align_up(region->base, PAGE_SIZE);
    uint64_t end = align_down(region->end, PAGE_SIZE);
    seen.frames[region->type] += first < end ? (end - first) >> PAGE_SHIFT : 0;
    if (region->type == REGION_ACPI_NVS || region->type == REGION_RUNTIME) {
        seen.is_wrong |= seen.kept_count == KEPT_MAX;
        seen.kept[seen.kept_count++ % KEPT_MAX] = *region;
    }
}

static void look(const char *point)
{
    extern const char boot_pml4[];
    extern const char init_bss_start[];
    extern const char init_bss_end[];
    if (strcmp(point, "scheduler") != 0) {
        return;
    }
    seen.looks++;
    for (uint32_t i = 0; i < boot_memory.regions->count; i++) {
        see_region(&boot_memory.regions->regions[i]);
    }
    see_tables(((uint64_t)(uintptr_t)boot_pml4 - LAYOUT_IMAGE_BASE) >> PAGE_SHIFT, 4);
    seen.frames[BOOT_PART_IMAGE] = (uint64_t)(init_bss_end - init_bss_start) >> PAGE_SHIFT;
}

PROBE(look);

static bool came_back(unsigned part)
{
    return boot_memory.free_frames[part].after - boot_memory.free_frames[part].before == seen.frames[part];
}

/* covers: BT-06 */
void ktest_the_temporary_heap_came_back_with_each_of_its_pages(void)
{
    KEXPECT(seen.looks == 1 && !seen.is_wrong);
    KEXPECT(seen.frames[REGION_TEMPORARY_HEAP] > 0);
    KEXPECT(seen.frames[REGION_TEMPORARY_HEAP] == boot_memory.temporary_heap.size_bytes >> PAGE_SHIFT);
    KEXPECT(came_back(REGION_TEMPORARY_HEAP));
    unsigned last = 0;
    for (unsigned part = 0; part < BOOT_PARTS; part++) { /* and nothing else moved a frame meanwhile */
        if (boot_memory.free_frames[part].before != 0) {
            KEXPECT(last == 0 || boot_memory.free_frames[part].before == boot_memory.free_frames[last].after);
            last = part;
        }
    }
    KEXPECT(last == BOOT_PART_IMAGE);
}

/* covers: BT-07 */
void ktest_the_old_identity_tables_came_back(void)
{
    KEXPECT(seen.looks == 1 && !seen.is_wrong);
    KEXPECT(seen.old_table_count >= 3); /* a root and two levels below it, or nothing was mapped there */
    KEXPECT(seen.frames[BOOT_PART_IMAGE] > seen.old_table_count && came_back(BOOT_PART_IMAGE));
    for (unsigned i = 0; i < seen.old_table_count; i++) {
        const struct page_frame *frame = frame_lookup(seen.old_tables[i]);
        KEXPECT(frame != NULL && frame->state != FRAME_RESERVED && frame->owner != FRAME_OWNER_KERNEL_IMAGE);
    }
}

/* covers: BT-08 */
void ktest_firmware_memory_came_back_type_by_type(void)
{
    uint64_t freed;
    KEXPECT(seen.looks == 1 && !seen.is_wrong);
    KEXPECT(came_back(REGION_ACPI_RECLAIM));
    KEXPECT(came_back(REGION_BOOT_SERVICES));
    KEXPECT(came_back(REGION_LOADER));
    KEXPECT(came_back(REGION_HANDOFF));
    uint64_t free_before = frame_free_count();
    KEXPECT(frame_reclaim_type(boot_memory.regions, REGION_ACPI_RECLAIM, &freed) == STATUS_ERR_STATE &&
            freed == 0);
    KEXPECT(frame_free_count() == free_before);
}

/* After all that ran until now. covers: BT-08 */
void ktest_what_the_firmware_keeps_was_never_free(void)
{
    KEXPECT(seen.looks == 1 && !seen.is_wrong);
    for (unsigned i = 0; i < seen.kept_count; i++) {
        pfn_t end = align_up(seen.kept[i].end, PAGE_SIZE) >> PAGE_SHIFT;
        for (pfn_t pfn = seen.kept[i].base >> PAGE_SHIFT; pfn < end; pfn++) {
            const struct page_frame *frame = frame_lookup(pfn);
            KEXPECT(frame != NULL && frame->state == FRAME_RESERVED && frame->owner == FRAME_OWNER_FIRMWARE);
        }
    }
}
