/* What the boot leaves mapped, and protections of the kernel half. */
#include "arch/arch_pt.h"
#include "arch/x86_64/kmap.h"
#include "arch/x86_64/layout.h"
#include "arch/x86_64/percpu.h"
#include "boot/tables.h"
#include "boot_memory.h"
#include "mm/frame.h"
#include "mm/kheap.h"
#include "mm/layout.h"
#include "mm/pagetable.h"
#include "sched/sched.h"
#include "test/ktest.h"

struct leaf_check {
    bool (*wrong)(vaddr_t va, const struct pt_leaf *leaf);
    uint64_t found;
    uint64_t total;
};

static status_t check_leaf(void *context, vaddr_t va, const struct pt_leaf *leaf)
{
    struct leaf_check *check = context;
    check->found += check->wrong(va, leaf);
    check->total++;
    return STATUS_OK;
}

/* Leaves of the kernel half that `wrong` says yes to. */
static uint64_t count_leaves(bool (*wrong)(vaddr_t va, const struct pt_leaf *leaf))
{
    struct leaf_check check = {.wrong = wrong};
    if (pt_walk(kmap_table(), vaddr_make(PHYSMAP_BASE), vaddr_make(UINT64_MAX & ~PAGE_MASK), check_leaf,
                &check) != STATUS_OK) {
        return UINT64_MAX;
    }
    return check.total > 100 ? check.found : UINT64_MAX; /* a walk that sees nothing proves nothing */
}

/* covers: BT-07 (the lower half is empty) */
void ktest_lower_half_is_empty(void)
{
    const uint64_t *root = arch_phys_to_virt(kmap_table()->root);
    for (unsigned i = 0; i < 256; i++) {
        KEXPECT(arch_pt_load(&root[i]) == 0);
    }
    KEXPECT(cr3_read() == paddr_number(kmap_table()->root));
}

/* covers: BT-06 (unmapped) */
void ktest_temporary_heap_is_unmapped(void)
{
    struct pt_leaf leaf;
    KEXPECT(pt_query(kmap_table(), vaddr_make(BOOT_TEMPORARY_HEAP_VA), &leaf) == STATUS_ERR_NOT_MAPPED);
}

/* Nothing is given back twice, and what the firmware keeps is never given back. covers: BT-08 */
void ktest_memory_of_the_boot_comes_back_once(void)
{
    uint64_t freed = 1;
    KEXPECT(frame_reclaim_type(boot_memory.regions, REGION_ACPI_RECLAIM, &freed) == STATUS_ERR_STATE);
    KEXPECT(freed == 0);
    KEXPECT(frame_reclaim_type(boot_memory.regions, REGION_BOOT_SERVICES, &freed) == STATUS_ERR_STATE);
    KEXPECT(frame_reclaim_type(boot_memory.regions, REGION_ACPI_NVS, &freed) == STATUS_ERR_RESERVED);
    KEXPECT(frame_reclaim_type(boot_memory.regions, REGION_RUNTIME, &freed) == STATUS_ERR_RESERVED);
    KEXPECT(freed == 0);
}

static bool maps_free_frame(vaddr_t va, const struct pt_leaf *leaf)
{
    bool physmap = vaddr_number(va) < FRAME_TABLE_BASE;
    const struct page_frame *frame = physmap ? NULL : frame_lookup(paddr_pfn(leaf->address));
    return frame != NULL && (frame->state == FRAME_FREE || frame->state == FRAME_CACHED);
}

/* covers: BT-04 */
void ktest_no_free_frame_is_mapped_outside_the_physmap(void)
{
    KEXPECT(count_leaves(maps_free_frame) == 0);
    struct page_frame *root = frame_lookup(paddr_pfn(kmap_table()->root));
    KEXPECT(root != NULL && root->state == FRAME_RESERVED && root->owner == FRAME_OWNER_BOOT_PAGE_TABLE);
    for (unsigned cpu = 0; cpu < cpu_count_online(); cpu++) {
        struct pt_leaf leaf;
        KEXPECT(pt_query(kmap_table(), vaddr_make(cpu_table[cpu]->ist_top[IST_NMI] - 8), &leaf) == STATUS_OK);
        const struct page_frame *stack = frame_lookup(paddr_pfn(leaf.address));
        KEXPECT(stack != NULL && stack->state == FRAME_ALLOCATED && stack->owner == FRAME_OWNER_KERNEL_STACK);
    }
}

static bool has_owner(paddr_t address)
{
    const struct page_frame *frame = frame_lookup(paddr_pfn(address));
    return frame != NULL && (frame->state == FRAME_RESERVED || frame->state == FRAME_ALLOCATED) &&
           frame->owner != FRAME_OWNER_NONE;
}

struct table_walk {
    uint64_t seen;
    uint64_t unowned;
};

/* Every table below an entry of the tree, without the library that made it. level: 4 for the root. */
static void walk_tables(paddr_t table, unsigned level, struct table_walk *walk)
{
    const uint64_t *entries = arch_phys_to_virt(table);
    walk->seen++;
    walk->unowned += !has_owner(table);
    for (unsigned i = 0; level > 1 && i < 512; i++) {
        uint64_t entry = arch_pt_load(&entries[i]);
        if ((entry & 1) && !(entry & 0x80)) { /* present, no large page */
            walk_tables(paddr_make(entry & 0x000ffffffffff000ull), level - 1, walk);
        }
    }
}

static bool mapped_with_owner(uint64_t virtual_address)
{
    struct pt_leaf leaf;
    return pt_query(kmap_table(), vaddr_make(virtual_address), &leaf) == STATUS_OK &&
           has_owner(paddr_make(paddr_number(leaf.address) +
                                virtual_address % (leaf.size == PAGE_2M ? HUGE_PAGE_SIZE : PAGE_SIZE)));
}

/* covers: BT-04 */
void ktest_every_table_stack_and_heap_frame_has_an_owner(void)
{
    struct table_walk walk = {0};
    walk_tables(kmap_table()->root, 4, &walk);
    KEXPECT(walk.seen > 256); /* the shared kernel half alone has so many */
    KEXPECT(walk.unowned == 0);
    for (unsigned cpu = 0; cpu < cpu_count_online(); cpu++) {
        KEXPECT(mapped_with_owner(cpu_table[cpu]->idle->stack_top - 8));
        for (unsigned i = 0; i < IST_COUNT; i++) {
            KEXPECT(mapped_with_owner(cpu_table[cpu]->ist_top[i] - 8));
        }
    }
    KEXPECT(mapped_with_owner(thread_current()->stack_top - 8));
    for (size_t bytes = 16; bytes <= 65536; bytes *= 8) {
        void *block = kmalloc(bytes);
        KEXPECT(block != NULL && has_owner(arch_virt_to_phys(block)));
        kfree(block);
    }
}

static bool is_write_execute(vaddr_t va, const struct pt_leaf *leaf)
{
    (void)va;
    return (leaf->flags.bits & PAGE_WRITABLE) && page_flags_executable(leaf->flags);
}

/* covers: VM-06 (no page of the kernel half) */
void ktest_nothing_is_writable_and_executable(void)
{
    KEXPECT(count_leaves(is_write_execute) == 0);
}

static bool is_outside(vaddr_t va, const struct pt_leaf *leaf)
{
    extern const char image_end[];
    uint64_t at = vaddr_number(va);
    bool user = (leaf->flags.bits & PAGE_USER) != 0;
    bool regions = at >= PHYSMAP_BASE && at < KERNEL_MAP_BASE + KERNEL_MAP_SIZE;
    bool image = at >= LAYOUT_IMAGE_BASE && at < (uint64_t)(uintptr_t)image_end;
    return user || !(regions || image);
}

/* covers: VM-05 */
void ktest_nothing_is_mapped_outside_the_layout(void)
{
    KEXPECT(count_leaves(is_outside) == 0);
}

/* covers: MM-11 MM-10 */
void ktest_frame_accounts_add_up(void)
{
    struct frame_stats stats;
    frame_stats_read(&stats);
    KEXPECT(stats.free_frames + stats.allocated_frames + stats.reserved_frames == frame_manager.map_frames);
    KEXPECT(frame_check(NULL) == 0);
    KEXPECT((uint64_t)(uintptr_t)frame_table >= PHYSMAP_BASE &&
            (uint64_t)(uintptr_t)block_table >= PHYSMAP_BASE);
    KEXPECT(stats.metadata_bytes > 0 && stats.metadata_bytes <= stats.total_frames * PAGE_SIZE / 256);
}

/* covers: VM-06 (the image) */
void ktest_image_is_protected(void)
{
    extern const char text_start[];
    extern const char rodata_start[];
    struct pt_leaf leaf;
    KEXPECT(pt_query(kmap_table(), vaddr_from_pointer(text_start), &leaf) == STATUS_OK);
    KEXPECT(page_flags_executable(leaf.flags) && !(leaf.flags.bits & PAGE_WRITABLE));
    KEXPECT(pt_query(kmap_table(), vaddr_from_pointer(rodata_start), &leaf) == STATUS_OK);
    KEXPECT(!page_flags_executable(leaf.flags) && !(leaf.flags.bits & PAGE_WRITABLE));
    uint64_t alias = (uint64_t)(uintptr_t)text_start - LAYOUT_IMAGE_BASE + PHYSMAP_BASE;
    KEXPECT(pt_query(kmap_table(), vaddr_make(alias), &leaf) == STATUS_OK);
    KEXPECT(!page_flags_executable(leaf.flags) && !(leaf.flags.bits & PAGE_WRITABLE));
}
