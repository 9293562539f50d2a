/* Address spaces from the inside: tables that empty, cache policies; and the frames of threads that have run. */
#include "arch/x86_64/clock.h"
#include "arch/x86_64/kmap.h"
#include "cap/cap.h"
#include "ipc/region.h"
#include "mm/frame.h"
#include "mm/layout.h"
#include "mm/vm_internal.h"
#include "proc/process.h"
#include "sched/reaper.h"
#include "sched/sched.h"
#include "sys/quiesce.h"
#include "test/ktest.h"
#include "test/workers.h"

#define AT      0x40000000ull
#define THREADS 24u

static const page_flags_t leaf_flags = {PAGE_USER | PAGE_NO_EXECUTE | PAGE_DEVICE};

/* Two pages below one table, a third far away: frames of tables come with the first entry and go with the last. covers: VM-01
 */
void ktest_tables_go_with_their_last_entry(void)
{
    static const uint64_t places[] = {AT, AT + 511 * PAGE_SIZE, AT + (300ull << 30)};
    static const unsigned tables_after[] = {3, 3, 5};
    struct page_table table;
    KEXPECT(pt_init_user(&table, &pt_frame_allocator, kmap_table()) == STATUS_OK);
    uint64_t empty = frame_free_count();
    uint64_t own = table.tables;
    for (unsigned i = 0; i < 3; i++) {
        KEXPECT(pt_map(&table, vaddr_make(places[i]), paddr_make(0), PAGE_4K, leaf_flags) == STATUS_OK);
        KEXPECT(table.tables == own + tables_after[i] && frame_free_count() == empty - tables_after[i]);
    }
    for (unsigned i = 3; i-- > 0;) {
        unsigned left = i > 0 ? tables_after[i - 1] : 0;
        KEXPECT(pt_unmap(&table, vaddr_make(places[i]), NULL, NULL) == STATUS_OK);
        KEXPECT(table.tables == own + left && frame_free_count() == empty - left);
    }
    pt_deinit(&table);
}

/* The bits of the entry that maps the address, in the hardware's own table. */
static uint64_t raw_entry(const struct page_table *table, uint64_t address)
{
    paddr_t at = table->root;
    uint64_t entry = 0;
    for (unsigned level = 4; level > 0; level--) {
        entry = ((const uint64_t *)arch_phys_to_virt(at))[address >> (3 + 9 * level) & 511];
        at = paddr_make(entry & 0x000ffffffffff000ull);
    }
    return entry;
}

#define PTE_PWT 0x08u
#define PTE_PCD 0x10u
#define PTE_PAT 0x80u

/* Maps the first page of the region with each policy beside one that is there with `there`: what each gives. */
static bool try_policies(struct process *process, struct region_object *region, const struct cap_view *view,
                         cap_handle_t handle, enum cache_policy there)
{
    for (enum cache_policy policy = CACHE_WRITE_BACK; policy <= CACHE_WRITE_PROTECTED; policy++) {
        const struct region_request request = {
            .hint = MAP_BASE, .bytes = PAGE_SIZE, .flags = VM_READ | VM_WRITE, .cache = policy};
        vaddr_t at;
        status_t status = region_map(region, view, handle, &request, &at);
        if (status != (policy == there ? STATUS_OK : STATUS_ERR_STATE) ||
            (status == STATUS_OK && vm_unmap(process->space, at, PAGE_SIZE) != STATUS_OK)) {
            return false;
        }
    }
    return true;
}

static bool policies_hold(struct process *process, struct region_object *region, const struct cap_view *view,
                          cap_handle_t handle)
{
    static const uint64_t bits[] = {0, PTE_PWT, PTE_PCD, PTE_PCD | PTE_PWT, PTE_PAT, PTE_PAT | PTE_PWT};
    bool good = true;
    for (enum cache_policy policy = CACHE_WRITE_BACK; policy <= CACHE_WRITE_PROTECTED && good; policy++) {
        const struct region_request request = {
            .hint = MAP_BASE, .bytes = 2 * PAGE_SIZE, .flags = VM_READ | VM_WRITE, .cache = policy};
        vaddr_t at;
        good = region_map(region, view, handle, &request, &at) == STATUS_OK &&
               vm_populate(process->space, at, 2 * PAGE_SIZE, true) == STATUS_OK;
        uint64_t entry = good ? raw_entry(&process->space->table, vaddr_number(at)) : 0;
        good &= (entry & 1) != 0 && (entry & (PTE_PWT | PTE_PCD | PTE_PAT)) == bits[policy];
        good &= try_policies(process, region, view, handle, policy);
        good &= vm_unmap(process->space, at, 2 * PAGE_SIZE) == STATUS_OK;
    }
    return good;
}

/* A region in a process that this thread pretends to be of. covers: VM-17 */
void ktest_mappings_of_a_frame_have_one_cache_policy(void)
{
    status_t status;
    cap_handle_t handle;
    struct cap_view view;
    struct process *process = process_make();
    KEXPECT(process != NULL);
    process->caps = cap_space_create(process->pid);
    process->space = space_make(process->pid, &status);
    KEXPECT(process->caps != NULL && process->space != NULL);
    KEXPECT(region_create(process->caps, 2, -1, &handle) == STATUS_OK);
    KEXPECT(cap_get(process->caps, handle, CAP_REGION, 0, &view) == STATUS_OK);
    thread_current()->process = process;
    bool good = policies_hold(process, region_of(view.object), &view, handle);
    thread_current()->process = NULL;
    object_put(view.object);
    process_unmake(process);
    KEXPECT(good);
}

static struct address_space contested;
static struct thread *visitor; /* in a moment at its gate */
static bool visited;
static unsigned times_overtaken;

static void visit_contested(void)
{
    __atomic_store_n(&visitor, thread_current(), __ATOMIC_RELEASE);
    vm_gate_enter(&contested);
    __atomic_store_n(&visited, true, __ATOMIC_RELEASE);
    vm_gate_leave(&contested);
}

static bool visitor_sleeps(void)
{
    const struct thread *thread = __atomic_load_n(&visitor, __ATOMIC_ACQUIRE);
    return thread != NULL && __atomic_load_n(&thread->state, __ATOMIC_ACQUIRE) == THREAD_WAITING;
}

/* Leaves the gate for a moment, over and over, each time after the visitor has gone to sleep there again. */
static void hold_contested(void)
{
    while (!__atomic_load_n(&visited, __ATOMIC_ACQUIRE) && times_overtaken < 100) {
        if (visitor_sleeps()) {
            vm_gate_leave(&contested);
            vm_gate_enter(&contested);
            times_overtaken += __atomic_load_n(&visited, __ATOMIC_ACQUIRE) ? 0 : 1;
        } else {
            sched_yield();
        }
    }
    vm_gate_leave(&contested);
}

static void hold_or_visit(void *argument, unsigned number)
{
    (void)argument;
    if (number == 0) {
        hold_contested();
    } else {
        visit_contested();
    }
}

/* A thread that maps and unmaps for ever keeps no other one of its process from its page faults. */
void ktest_who_waits_at_the_gate_of_a_space_is_overtaken_once_at_most(void)
{
    visitor = NULL;
    visited = false;
    times_overtaken = 0;
    KEXPECT(vm_space_init(&contested, (struct pid){9998}) == STATUS_OK);
    vm_gate_enter(&contested); /* for the holder */
    bool ended = workers_run(2, hold_or_visit, NULL, 10000000000ull);
    vm_space_deinit(&contested);
    KEXPECT(ended && visited && times_overtaken <= 1);
}

static void run_a_little(void *argument, unsigned number)
{
    (void)argument;
    sched_sleep_until(clock_cycles() + clock_cycles_from_ns(1000 * number));
}

/* Tests before this one look at the dead. covers: VM-09 */
void ktest_threads_that_ran_give_every_frame_back(void)
{
    uint64_t free_frames[3];
    KEXPECT(workers_reaper());
    for (unsigned round = 0; round < 3; round++) {
        KEXPECT(workers_run(THREADS, run_a_little, NULL, 10000000000ull));
        KEXPECT(frame_free_count() < frame_manager_get()->map_frames - THREADS * KERNEL_STACK_PAGES);
        (void)reaper_reclaim();
        quiesce();
        KEXPECT(reaper_pending() == 0);
        free_frames[round] = frame_free_count();
    }
    KEXPECT(free_frames[0] == free_frames[1] && free_frames[1] == free_frames[2]);
}
