/*
 * What a CPU's TLB keeps of address spaces that are not loaded, and that no flush misses it. The word tlb=kept of
 * the command line says that this machine has PCID and a TLB large enough for what is kept to be seen.
 */
#include "arch/arch.h"
#include "arch/x86_64/features.h"
#include "arch/x86_64/kmap.h"
#include "arch/x86_64/pcid.h"
#include "arch/x86_64/percpu.h"
#include "mm/frame.h"
#include "mm/layout.h"
#include "mm/tlb.h"
#include "mm/vm.h"
#include "proc/usercopy.h"
#include "sched/sched.h"
#include "smp/ipi.h"
#include "sys/boot_arguments.h"
#include "test/ktest.h"

#define PAGE_AT    0x10000000ull                      /* user address of the one page of every space */
#define KERNEL_AT  (KERNEL_MAP_BASE + (200ull << 30)) /* first page of a level-1 table; no stack, no window */
#define MANY       (2 * TLB_SLOTS + 3)
#define UNREADABLE 0u

static const page_flags_t leaf_flags = {PAGE_USER | PAGE_NO_EXECUTE | PAGE_DEVICE};

/* A frame whose first word is `mark`. */
static bool marked_frame(uint64_t mark, pfn_t *pfn)
{
    bool done = frame_alloc(FRAME_ZERO, FRAME_OWNER_TEST, 0, pfn) == STATUS_OK;
    if (done) {
        *(uint64_t *)arch_phys_to_virt(paddr_from_pfn(*pfn)) = mark;
    }
    return done;
}

static bool space_make(struct address_space *space, pfn_t pfn)
{
    return vm_space_init(space, (struct pid){1}) == STATUS_OK &&
           pt_map(&space->table, vaddr_make(PAGE_AT), paddr_from_pfn(pfn), PAGE_4K, leaf_flags) == STATUS_OK;
}

static bool page_end(struct address_space *space, uint64_t address)
{
    struct tlb_gather gather;
    tlb_gather_init(&gather, space, space->table.allocator);
    bool done = pt_unmap(&space->table, vaddr_make(address), &gather, NULL) == STATUS_OK;
    tlb_gather_finish(&gather);
    return done;
}

static bool space_end(struct address_space *space)
{
    bool done = page_end(space, PAGE_AT);
    vm_space_deinit(space);
    return done;
}

/* A user page's first word in the space that is loaded. */
static uint64_t user_word(uint64_t address)
{
    uint64_t value;
    return user_read(&value, vaddr_make(address), sizeof(value)) == STATUS_OK ? value : UNREADABLE;
}

/* The page's first word as this CPU sees it through the space; the space is left loaded nowhere. */
static uint64_t read_through(struct address_space *space)
{
    uint64_t flags = arch_irq_save();
    struct address_space *before = cpu_this()->space;
    arch_space_load(cpu_this(), space);
    uint64_t value = user_word(PAGE_AT);
    arch_space_load(cpu_this(), before);
    arch_irq_restore(flags);
    return value;
}

/* Points the page at another frame; the flush, when there is one, runs while no CPU has the space loaded. */
static bool space_remap(struct address_space *space, pfn_t pfn, bool flush)
{
    struct tlb_gather gather;
    tlb_gather_init(&gather, space, space->table.allocator);
    bool done = pt_replace(&space->table, vaddr_make(PAGE_AT), paddr_from_pfn(pfn), leaf_flags,
                           flush ? &gather : NULL) == STATUS_OK;
    tlb_gather_finish(&gather);
    return done;
}

static bool kept_is_visible(void)
{
    char word[8];
    return boot_argument("tlb", word, sizeof(word));
}

/*
 * Behind the back of the TLB a page gets another frame. A CPU that kept its translation still sees the old one,
 * after a flush that it slept through it must not. covers: VM-02 (K)
 */
void ktest_switching_keeps_translations_until_a_flush(void)
{
    struct address_space space;
    pfn_t frames[2];
    KEXPECT(marked_frame(1, &frames[0]) && marked_frame(2, &frames[1]) && space_make(&space, frames[0]));
    preempt_disable();
    uint64_t kept_before = cpu_this()->tlb_loads_kept;
    uint64_t first = read_through(&space);
    bool remapped = space_remap(&space, frames[1], false);
    uint64_t second = read_through(&space);
    uint64_t kept = cpu_this()->tlb_loads_kept - kept_before;
    remapped = remapped && space_remap(&space, frames[1], true);
    uint64_t third = read_through(&space);
    preempt_enable();
    KEXPECT(remapped && first == 1 && third == 2);
    KEXPECT(kept == (features()->pcid ? 1 : 0));
    KEXPECT(kept_is_visible() ? second == 1 : second == 1 || second == 2);
    KEXPECT(space_end(&space));
    frame_put(frames[0]);
    frame_put(frames[1]);
}

struct remote_read {
    struct address_space *space;
    uint64_t wanted;
    uint64_t right; /* CPUs that saw it */
};

static void read_remotely(void *argument)
{
    struct remote_read *read = argument;
    if (read_through(read->space) == read->wanted) {
        __atomic_add_fetch(&read->right, 1, __ATOMIC_SEQ_CST);
    }
}

/* Every other CPU has the space in a slot, none has it loaded while the page changes. covers: VM-02 (K), VM-03 (other
 * spaces loaded) */
void ktest_flush_reaches_spaces_that_are_not_loaded(void)
{
    struct address_space space;
    pfn_t frames[2];
    uint64_t others = (uint64_t)cpu_count_online() - 1;
    KEXPECT(marked_frame(1, &frames[0]) && marked_frame(2, &frames[1]) && space_make(&space, frames[1]));
    for (unsigned round = 0; round < 6; round++) {
        KEXPECT(space_remap(&space, frames[round % 2], true));
        struct remote_read read = {.space = &space, .wanted = round % 2 + 1};
        ipi_call_others(read_remotely, &read);
        KEXPECT(read.right == others);
        KEXPECT(read_through(&space) == round % 2 + 1);
    }
    KEXPECT(__atomic_load_n(&space.cpu_mask, __ATOMIC_SEQ_CST) == 0);
    KEXPECT(space_end(&space));
    frame_put(frames[0]);
    frame_put(frames[1]);
}

/* More spaces than slots, each with its own frame at the same address, visited round and round. covers: VM-02 (K) */
void ktest_slots_are_reused_without_mixing_spaces(void)
{
    static struct address_space spaces[MANY];
    pfn_t frames[MANY];
    for (unsigned i = 0; i < MANY; i++) {
        KEXPECT(marked_frame(100 + i, &frames[i]) && space_make(&spaces[i], frames[i]));
    }
    for (unsigned visit = 0; visit < 4 * MANY; visit++) {
        unsigned i = visit % 3 == 0 ? visit % 5 : visit % MANY;
        KEXPECT(read_through(&spaces[i]) == 100 + i);
    }
    /* All flush generations move on, each by another number, and pages change places. */
    for (unsigned i = 0; i < MANY; i++) {
        for (unsigned times = 0; times <= i % 3; times++) {
            KEXPECT(space_remap(&spaces[i], frames[MANY - 1 - i], true));
        }
    }
    for (unsigned visit = 0; visit < 2 * MANY; visit++) {
        unsigned i = visit % MANY;
        KEXPECT(read_through(&spaces[i]) == 100 + (MANY - 1 - i));
    }
    for (unsigned i = 0; i < MANY; i++) {
        KEXPECT(space_end(&spaces[i]));
        frame_put(frames[i]);
    }
}

/* A new space in the memory of a dead one, with as many flushes behind it: nothing of the dead one is seen. covers:
 * VM-02 (K) */
void ktest_a_new_space_never_inherits_translations(void)
{
    static struct address_space space;
    for (uint64_t mark = 1; mark <= 4; mark++) {
        pfn_t pfn;
        KEXPECT(marked_frame(mark, &pfn) && space_make(&space, pfn));
        KEXPECT(read_through(&space) == mark);
        KEXPECT(space_end(&space));
        frame_put(pfn);
    }
}

static status_t count_local_leaf(void *context, vaddr_t va, const struct pt_leaf *leaf)
{
    (void)va;
    *(uint64_t *)context += (leaf->flags.bits & PAGE_GLOBAL) == 0;
    return STATUS_OK;
}

/* What arch/x86_64/pcid.c relies on. covers: VM-02 (K) */
void ktest_every_kernel_page_is_global(void)
{
    uint64_t local = 0;
    KEXPECT(pt_walk(kmap_table(), vaddr_make(PHYSMAP_BASE), vaddr_make(UINT64_MAX & ~PAGE_MASK),
                    count_local_leaf, &local) == STATUS_OK);
    KEXPECT(local == 0);
}

#define SECOND_AT  (PAGE_AT + PAGE_SIZE)
#define BOTH_PAGES (user_word(PAGE_AT) * 10 + user_word(SECOND_AT))

/* Two CPUs flush a page each, the later flush comes first: what it skipped must not be lost. covers: VM-02 (K),
 * VM-03 (mid-shootdown) */
void ktest_a_flush_that_overtakes_another_drops_both_pages(void)
{
    struct address_space space;
    struct tlb_gather gathers[2];
    pfn_t frames[2];
    KEXPECT(marked_frame(1, &frames[0]) && marked_frame(2, &frames[1]) && space_make(&space, frames[0]));
    KEXPECT(pt_map(&space.table, vaddr_make(SECOND_AT), paddr_from_pfn(frames[0]), PAGE_4K, leaf_flags) ==
            STATUS_OK);
    uint64_t flags = arch_irq_save();
    struct address_space *loaded = cpu_this()->space;
    arch_space_load(cpu_this(), &space);
    uint64_t before = BOTH_PAGES;
    bool moved = true;
    for (unsigned i = 0; i < 2; i++) {
        tlb_gather_init(&gathers[i], &space, space.table.allocator);
        moved = pt_replace(&space.table, vaddr_make(PAGE_AT + i * PAGE_SIZE), paddr_from_pfn(frames[1]),
                           leaf_flags, &gathers[i]) == STATUS_OK &&
                moved;
    }
    uint64_t unflushed = BOTH_PAGES;
    uint64_t generation = __atomic_add_fetch(&space.tlb_generation, 2, __ATOMIC_SEQ_CST);
    arch_tlb_gather_flush(cpu_this(), &gathers[1], generation);
    arch_tlb_gather_flush(cpu_this(), &gathers[0], generation - 1);
    uint64_t after = BOTH_PAGES;
    arch_space_load(cpu_this(), loaded);
    arch_irq_restore(flags);
    KEXPECT(moved && before == 11 && after == 22);
    KEXPECT(!kept_is_visible() || unflushed == 11);
    KEXPECT(page_end(&space, SECOND_AT) && space_end(&space));
    frame_put(frames[0]);
    frame_put(frames[1]);
}

static bool kernel_page_map(pfn_t pfn)
{
    return pt_map(kmap_table(), vaddr_make(KERNEL_AT), paddr_from_pfn(pfn), PAGE_4K,
                  PAGE_FLAGS(PAGE_NO_EXECUTE | PAGE_GLOBAL)) == STATUS_OK;
}

static void read_kernel_page(void *argument)
{
    struct remote_read *read = argument;
    uint64_t flags = arch_irq_save();
    struct address_space *before = cpu_this()->space;
    arch_space_load(cpu_this(), read->space);
    uint64_t value = *(volatile uint64_t *)KERNEL_AT;
    arch_space_load(cpu_this(), before);
    arch_irq_restore(flags);
    __atomic_add_fetch(&read->right, value == read->wanted, __ATOMIC_SEQ_CST);
}

static void flush_kernel_page(void *argument)
{
    (void)argument;
    arch_tlb_flush_page(vaddr_make(KERNEL_AT));
}

/* CPUs that see the mark in the kernel page while they have the space loaded. */
static uint64_t cpus_that_read(struct address_space *space, uint64_t mark)
{
    struct remote_read read = {.space = space, .wanted = mark};
    read_kernel_page(&read);
    ipi_call_others(read_kernel_page, &read);
    return read.right;
}

/*
 * A kernel page moves, and its table is freed: no space may still walk through the old table, which goes on leading to
 * the old frame. Flushed by page alone, every CPU does where PCIDs keep it. covers: VM-02 (K)
 */
void ktest_a_freed_kernel_table_is_walked_in_no_space(void)
{
    struct address_space space;
    struct tlb_gather gather;
    pfn_t frames[2];
    uint64_t all = cpu_count_online();
    KEXPECT(marked_frame(1, &frames[0]) && marked_frame(2, &frames[1]) && space_make(&space, frames[0]));
    KEXPECT(kernel_page_map(frames[0]));
    preempt_disable();
    uint64_t before = cpus_that_read(&space, 1);
    tlb_gather_init(&gather, NULL, kmap_table()->allocator);
    bool moved = pt_unmap(kmap_table(), vaddr_make(KERNEL_AT), &gather, NULL) == STATUS_OK &&
                 gather.tables_freed && kernel_page_map(frames[1]);
    if (moved) {
        uint64_t leaf =
            paddr_number(paddr_from_pfn(frames[0])) | PAGE_PRESENT | PAGE_NO_EXECUTE | PAGE_GLOBAL;
        *(uint64_t *)arch_phys_to_virt(gather.tables[0]) = leaf;
    }
    flush_kernel_page(NULL);
    ipi_call_others(flush_kernel_page, NULL);
    uint64_t by_page = cpus_that_read(&space, 1);
    shootdown_flush(&gather);
    uint64_t after = cpus_that_read(&space, 2);
    if (moved) {
        *(uint64_t *)arch_phys_to_virt(gather.tables[0]) = 0; /* as tables are given back */
    }
    tlb_gather_finish(&gather);
    bool ended = pt_unmap(kmap_table(), vaddr_make(KERNEL_AT), &gather, NULL) == STATUS_OK;
    tlb_gather_finish(&gather);
    preempt_enable();
    KEXPECT(moved && ended && before == all && after == all);
    KEXPECT(!kept_is_visible() || by_page == all);
    KEXPECT(space_end(&space));
    frame_put(frames[0]);
    frame_put(frames[1]);
}
