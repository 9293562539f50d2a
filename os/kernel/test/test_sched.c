/* Locks, preemption, IPIs, shootdown, waiting, threads. */
#include "arch/x86_64/clock.h"
#include "arch/x86_64/kmap.h"
#include "arch/x86_64/percpu.h"
#include "lib/irq_scope.h"
#include "mm/frame.h"
#include "mm/layout.h"
#include "mm/pagetable.h"
#include "mm/tlb.h"
#include "sched/sched.h"
#include "sched/wait.h"
#include "smp/ipi.h"
#include "sys/quiesce.h"
#include "sys/stats.h"
#include "test/ktest.h"
#include "test/workers.h"

static struct spinlock lock_a = SPINLOCK_INIT("test.a", TEST);
static struct spinlock lock_b = SPINLOCK_INIT("test.b", TEST);

/* covers: IR-01 */
void ktest_spinlock_restores_the_interrupt_flag(void)
{
    KEXPECT(arch_irq_enabled());
    uint64_t outer = spin_lock_irqsave(&lock_a);
    uint64_t inner = spin_lock_irqsave(&lock_b);
    spin_unlock_irqrestore(&lock_b, inner);
    KEXPECT(!arch_irq_enabled());
    spin_unlock_irqrestore(&lock_a, outer);
    KEXPECT(arch_irq_enabled());
    outer = spin_lock_irqsave(&lock_a);
    inner = spin_lock_irqsave(&lock_b);
    spin_unlock(&lock_a); /* released in the order they were taken */
    KEXPECT(!arch_irq_enabled());
    spin_unlock_irqrestore(&lock_b, outer);
    KEXPECT(arch_irq_enabled() && (inner & 0x200) == 0);
}

static unsigned scopes_left;

/* Leaves its scopes by every way there is; `way` chooses. True when interrupts were off in all of them. */
static bool leave_scope(unsigned way)
{
    for (unsigned round = 0; round < 2; round++) {
        IRQS_OFF_IN_BLOCK();
        if (arch_irq_enabled()) {
            return false;
        }
        if (way == 0) {
            return true;
        }
        if (way == 1) {
            goto out;
        }
        if (way == 2) {
            break;
        }
        {
            IRQS_OFF_IN_BLOCK();
            scopes_left++;
            if (way == 3) {
                continue;
            }
        }
        if (arch_irq_enabled()) {
            return false; /* the inner one gives back what it found: off */
        }
    }
    return arch_irq_enabled();
out:
    return arch_irq_enabled();
}

/* covers: IR-02 */
void ktest_a_scope_without_interrupts_ends_however_it_is_left(void)
{
    scopes_left = 0;
    for (unsigned way = 0; way < 5; way++) {
        KEXPECT(leave_scope(way));
        KEXPECT(arch_irq_enabled());
    }
    KEXPECT(scopes_left == 4);
    uint64_t flags = arch_irq_save();
    bool kept = leave_scope(0) && !arch_irq_enabled();
    arch_irq_restore(flags);
    KEXPECT(kept);
}

/* covers: PR-04 (nesting) */
void ktest_preempt_disable_nests(void)
{
    preempt_disable();
    preempt_disable();
    KEXPECT(thread_current()->preempt_disable == 2);
    preempt_enable();
    KEXPECT(thread_current()->preempt_disable == 1);
    preempt_enable();
    KEXPECT(thread_current()->preempt_disable == 0);
}

static uint64_t called_mask;

static void note_call(void *argument)
{
    (void)argument;
    __atomic_or_fetch(&called_mask, 1ull << arch_cpu_id(), __ATOMIC_SEQ_CST);
}

/* covers: SM-01 (all but self), BT-10 (every processor answers) */
void ktest_calls_reach_every_cpu(void)
{
    preempt_disable();
    uint64_t self = 1ull << arch_cpu_id();
    called_mask = 0;
    ipi_call_others(note_call, NULL);
    uint64_t called = called_mask;
    preempt_enable();
    KEXPECT(called == (cpu_online_mask() & ~self));
}

static uint64_t seen_sum;

static void read_word(void *argument)
{
    __atomic_add_fetch(&seen_sum, *(volatile uint64_t *)argument, __ATOMIC_SEQ_CST);
}

#define SHOOTDOWN_VA     (KERNEL_MAP_BASE + (100ull << 30))
#define SHOOTDOWN_ROUNDS 20u

/* One page, mapped to two frames in turn; every CPU must see the frame mapped now. covers: VM-03 (targets in interrupts), VM-02 (K) */
void ktest_shootdown_leaves_no_stale_translation(void)
{
    pfn_t frames[2];
    for (unsigned i = 0; i < 2; i++) {
        KEXPECT(frame_alloc(FRAME_ZERO, FRAME_OWNER_TEST, 0, &frames[i]) == STATUS_OK);
        *(uint64_t *)arch_phys_to_virt(paddr_from_pfn(frames[i])) = i + 1;
    }
    uint64_t others = (uint64_t)__builtin_popcountll(cpu_online_mask()) - 1;
    for (unsigned round = 0; round < SHOOTDOWN_ROUNDS; round++) {
        KEXPECT(pt_map(kmap_table(), vaddr_make(SHOOTDOWN_VA), paddr_from_pfn(frames[round % 2]), PAGE_4K,
                       PAGE_FLAGS(PAGE_WRITABLE | PAGE_NO_EXECUTE | PAGE_GLOBAL)) == STATUS_OK);
        seen_sum = 0;
        ipi_call_others(read_word, (void *)SHOOTDOWN_VA);
        KEXPECT(seen_sum == others * (round % 2 + 1));
        struct tlb_gather gather;
        tlb_gather_init(&gather, NULL, kmap_table()->allocator);
        KEXPECT(pt_unmap(kmap_table(), vaddr_make(SHOOTDOWN_VA), &gather, NULL) == STATUS_OK);
        tlb_gather_finish(&gather);
    }
    frame_put(frames[0]);
    frame_put(frames[1]);
}

#define TURNS 500u

static struct wait_queue turns = WAIT_QUEUE_INIT(turns, "test.turns");
static uint32_t turn;

static void take_turns(uint32_t own)
{
    while (__atomic_load_n(&turn, __ATOMIC_ACQUIRE) < TURNS) {
        struct waiter waiter;
        wait_queue_join(&turns, &waiter);
        uint32_t now = __atomic_load_n(&turn, __ATOMIC_ACQUIRE);
        bool mine = now % 2 == own;
        if (!mine && now < TURNS) {
            wait_queue_sleep(&waiter, WAIT_FOREVER);
        }
        wait_queue_leave(&turns, &waiter);
        if (mine) {
            __atomic_add_fetch(&turn, 1, __ATOMIC_ACQ_REL);
            wait_queue_wake_all(&turns);
        }
    }
}

static void second_player(void *argument)
{
    (void)argument;
    take_turns(1);
}

/* covers: SC-11 (two threads, 500 turns) */
void ktest_wake_is_never_lost(void)
{
    struct thread *thread;
    turn = 0;
    KEXPECT(thread_create(&thread, &sched_kernel, second_player, NULL) == STATUS_OK);
    sched_start_on(thread, (arch_cpu_id() + 1) % cpu_count_present());
    take_turns(0);
    KEXPECT(turn >= TURNS);
}

/* covers: SC-12 (never too short) */
void ktest_sleep_lasts_as_long_as_asked(void)
{
    uint64_t start = clock_cycles();
    uint64_t wanted = clock_cycles_from_ns(3000000);
    sched_sleep_until(start + wanted);
    KEXPECT(clock_cycles() - start >= wanted);
}

static uint32_t order[2];
static uint32_t order_count;
static uint32_t order_done;

static void note_order(void *argument)
{
    order[__atomic_fetch_add(&order_count, 1, __ATOMIC_ACQ_REL)] = (uint32_t)(uintptr_t)argument;
    __atomic_add_fetch(&order_done, 1, __ATOMIC_RELEASE);
}

/* Two threads made ready on one CPU while it may not switch: the better level runs first. covers:
 * SC-02 (two levels), PR-05 (order) */
void ktest_higher_priority_runs_first(void)
{
    struct thread *low;
    struct thread *high;
    KEXPECT(thread_create(&low, &sched_background, note_order, (void *)1) == STATUS_OK);
    KEXPECT(thread_create(&high, &sched_kernel, note_order, (void *)2) == STATUS_OK);
    order_count = 0;
    order_done = 0;
    preempt_disable();
    unsigned cpu = arch_cpu_id();
    bool pinned = worker_start(low, cpu);
    pinned &= worker_start(high, cpu);
    preempt_enable();
    while (__atomic_load_n(&order_done, __ATOMIC_ACQUIRE) < 2) {
        sched_sleep_until(clock_cycles() + clock_cycles_from_ns(100000));
    }
    KEXPECT(pinned && order[0] == 2 && order[1] == 1);
}

static bool due_while_disabled;
static uint32_t ran_before_enable;
static uint32_t ran_after_enable;
static uint32_t starter_done;

/* Makes a better thread ready on this CPU while it may not switch, then lets it. */
static void start_better(void *better)
{
    preempt_disable();
    preempt_disable();
    bool pinned = worker_start(better, arch_cpu_id());
    clock_delay_ns(100000);
    due_while_disabled = pinned && thread_current()->need_resched && thread_current()->preempt_disable == 2;
    preempt_enable();
    ran_before_enable = __atomic_load_n(&order_done, __ATOMIC_ACQUIRE);
    preempt_enable();
    ran_after_enable = __atomic_load_n(&order_done, __ATOMIC_ACQUIRE);
    __atomic_store_n(&starter_done, 1, __ATOMIC_RELEASE);
}

/* covers: PR-04 */
void ktest_a_switch_that_is_due_happens_at_the_last_enable(void)
{
    struct thread *better;
    struct thread *starter;
    order_count = 0;
    order_done = 0;
    starter_done = 0;
    KEXPECT(thread_create(&better, &sched_kernel, note_order, (void *)1) == STATUS_OK);
    KEXPECT(thread_create(&starter, &sched_normal, start_better, better) == STATUS_OK);
    sched_start_on(starter, (arch_cpu_id() + 1) % cpu_count_online());
    while (__atomic_load_n(&starter_done, __ATOMIC_ACQUIRE) == 0) {
        sched_sleep_until(clock_cycles() + clock_cycles_from_ns(100000));
    }
    KEXPECT(due_while_disabled && ran_before_enable == 0 && ran_after_enable == 1);
}

static void end_at_once(void *argument)
{
    (void)argument;
}

/* covers: VM-09 (threads
 * that never ran) */
void ktest_dead_threads_give_every_frame_back(void)
{
    uint64_t before[2];
    for (unsigned round = 0; round < 2; round++) {
        struct thread *created[8];
        for (unsigned i = 0; i < 8; i++) {
            KEXPECT(thread_create(&created[i], &sched_normal, end_at_once, NULL) == STATUS_OK);
        }
        for (unsigned i = 0; i < 8; i++) {
            thread_destroy_new(created[i]);
        }
        before[round] = frame_free_count();
    }
    KEXPECT(before[0] == before[1]);
}

#define SLEEPERS 3u
#define SPINNERS 2u

static uint32_t may_end;
static uint32_t ended;

static void wait_to_be_woken(void *argument)
{
    (void)argument;
    sched_prepare_wait();
    (void)sched_block(CLOCK_NEVER);
    __atomic_add_fetch(&ended, 1, __ATOMIC_RELEASE);
}

static void spin_until_told(void *argument)
{
    (void)argument;
    while (__atomic_load_n(&may_end, __ATOMIC_ACQUIRE) == 0) {
        arch_pause();
    }
    __atomic_add_fetch(&ended, 1, __ATOMIC_RELEASE);
}

static bool is_as(const struct system_stats *then, uint32_t awake, uint32_t sleeping)
{
    static struct system_stats now;
    sched_sleep_until(clock_cycles() + clock_cycles_from_ns(1000000));
    stats_snapshot(&now);
    return now.threads_running + now.threads_ready == then->threads_running + then->threads_ready + awake &&
           now.threads_sleeping == then->threads_sleeping + sleeping;
}

/* A snapshot while nobody else does anything: ten more tell the same. */
static void rest(struct system_stats *out)
{
    for (unsigned same = 0; same < 10; same = is_as(out, 0, 0) ? same + 1 : 0) {
        if (same == 0) {
            stats_snapshot(out);
        }
    }
}

/* Whether snapshots come to tell of so many more threads awake and asleep; the kernel's own may do something meanwhile. */
static bool comes_to(const struct system_stats *before, uint32_t awake, uint32_t sleeping)
{
    bool there = false;
    for (unsigned i = 0; i < 20000 && !there; i++) {
        there = is_as(before, awake, sleeping);
    }
    return there;
}

/* covers: ST-01 (threads) */
void ktest_stats_tell_how_many_threads_run_and_sleep(void)
{
    static struct system_stats before;
    struct thread *made[SLEEPERS + SPINNERS];
    may_end = 0;
    ended = 0;
    rest(&before);
    KEXPECT(before.threads_running >= 1 && before.threads_sleeping >= 1);
    for (unsigned i = 0; i < SLEEPERS + SPINNERS; i++) {
        KEXPECT(thread_create(&made[i], &sched_normal, i < SLEEPERS ? wait_to_be_woken : spin_until_told,
                              NULL) == STATUS_OK);
        sched_start_on(made[i], cpu_count_online() - 1);
    }
    KEXPECT(comes_to(&before, SPINNERS, SLEEPERS));
    __atomic_store_n(&may_end, 1, __ATOMIC_RELEASE);
    for (unsigned i = 0; i < SLEEPERS; i++) {
        sched_wake(made[i]);
    }
    while (__atomic_load_n(&ended, __ATOMIC_ACQUIRE) != SLEEPERS + SPINNERS) {
        sched_sleep_until(clock_cycles() + clock_cycles_from_ns(100000));
    }
    KEXPECT(comes_to(&before, 0, 0));
}

/* covers: ST-01 (switches), SC-30 (switches) */
void ktest_stats_agree_with_the_scheduler(void)
{
    static struct system_stats stats;
    struct sched_totals totals;
    stats_snapshot(&stats);
    sched_totals_read(&totals);
    KEXPECT(stats.cpus_online == cpu_count_online() && stats.processes == 0);
    KEXPECT(stats.threads_alive == stats.threads_running + stats.threads_ready + stats.threads_sleeping);
    uint64_t switches = 0;
    for (unsigned cpu = 0; cpu < stats.cpus_present; cpu++) {
        switches += stats.cpus[cpu].switches;
    }
    KEXPECT(switches <= totals.switches && totals.running >= 1);
}
