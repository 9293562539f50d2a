/*
 * The scheduler's use of the timer: one one-shot deadline a CPU, the first of tick, policy (slices, budgets, real-time
 * share) and sleepers. The tick keeps its phase over idle time and over late interrupts: always a multiple of its period.
 */
#include "sched/account.h"
#include "sched/internal.h"

static uint64_t tick_cycles(void)
{
    return clock_cycles_from_ns(SCHED_TICK_NS);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t first_deadline(const struct cpu *cpu)
{
    const struct tree_node *sleeper = tree_first(&cpu->queue.sleepers);
    uint64_t wake = sleeper != NULL ? sleeper->key : CLOCK_NEVER;
    return earlier(wake, earlier(cpu->tick_deadline, cpu->policy_deadline));
}

void sched_timer_update(struct cpu *cpu, bool exact)
{
    uint64_t deadline = first_deadline(cpu);
    if (deadline < cpu->armed_deadline || (exact && deadline != cpu->armed_deadline)) {
        cpu->armed_deadline = deadline;
        clock_arm(deadline);
    }
}

void sched_timer_policy(struct cpu *cpu, uint64_t now)
{
    cpu->policy_deadline = run_queue_next_event(&cpu->queue, sched_running(cpu), now);
    sched_timer_update(cpu, false);
}

void sched_tick_stop(struct cpu *cpu)
{
    cpu->tick_deadline = CLOCK_NEVER;
}

void sched_tick_start(struct cpu *cpu, uint64_t now)
{
    cpu->tick_deadline = now - now % tick_cycles() + tick_cycles();
}

void sched_sleepers_add(struct cpu *cpu, struct thread *thread, uint64_t deadline_cycles)
{
    const uint64_t furthest = INT64_MAX / 2; /* keys of a tree lie within 2^63 */
    uint64_t now = clock_cycles();
    uint64_t deadline =
        deadline_cycles - now < furthest || deadline_cycles < now ? deadline_cycles : now + furthest;
    tree_insert(&cpu->queue.sleepers, &thread->sleep_node, deadline);
    thread->on_sleepers = true;
}

void sched_sleepers_remove(struct cpu *cpu, struct thread *thread)
{
    if (thread->on_sleepers) {
        tree_remove(&cpu->queue.sleepers, &thread->sleep_node);
        thread->on_sleepers = false;
    }
}

static void wake_due_sleepers(struct cpu *cpu, uint64_t now)
{
    for (struct tree_node *first; (first = tree_first(&cpu->queue.sleepers)) != NULL && first->key <= now;) {
        struct thread *thread = tree_entry(first, struct thread, sleep_node);
        sched_sleepers_remove(cpu, thread);
        account_wake(cpu);
        thread->timed_out = true;
        thread_set_state(thread, THREAD_WAKING);
        if (sched_make_ready(cpu, thread, RUN_WOKEN, now)) {
            sched_tell(cpu);
        }
    }
}

void sched_timer_interrupt(void)
{
    struct cpu *cpu = cpu_this();
    spin_lock(&cpu->queue.lock);
    uint64_t now = clock_cycles();
    struct sched_entity *running = sched_running(cpu);
    cpu->armed_deadline = CLOCK_NEVER;
    bool tick = now >= cpu->tick_deadline;
    if (tick) {
        cpu->ticks++;
        sched_tick_start(cpu, now);
    }
    sched_account(cpu, now, running == NULL);
    wake_due_sleepers(cpu, now);
    if (run_queue_should_switch(&cpu->queue, running)) {
        cpu->current->need_resched = true;
    } else if (running != NULL) {
        run_queue_renew(&cpu->queue, running);
    }
    cpu->policy_deadline = run_queue_next_event(&cpu->queue, running, now);
    sched_timer_update(cpu, true);
    spin_unlock(&cpu->queue.lock);
    if (tick) {
        sched_balance_push(cpu);
    }
}

void sched_reschedule_interrupt(void)
{
    struct cpu *cpu = cpu_this();
    if (!__atomic_load_n(&cpu->timer_stale, __ATOMIC_ACQUIRE)) {
        return;
    }
    spin_lock(&cpu->queue.lock);
    __atomic_store_n(&cpu->timer_stale, false, __ATOMIC_RELAXED);
    sched_timer_policy(cpu, clock_cycles());
    spin_unlock(&cpu->queue.lock);
}
