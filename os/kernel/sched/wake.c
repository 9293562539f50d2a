/* Waking threads and choosing CPUs for them. */
#include "sched/internal.h"
#include "smp/ipi.h"

static bool cpu_looks_idle(const struct cpu *cpu)
{
    return __atomic_load_n(&cpu->current, __ATOMIC_RELAXED) == cpu->idle &&
           __atomic_load_n(&cpu->queue.ready_count, __ATOMIC_RELAXED) == 0;
}

static uint32_t cpu_load(const struct cpu *cpu)
{
    return __atomic_load_n(&cpu->queue.ready_count, __ATOMIC_RELAXED) +
           (__atomic_load_n(&cpu->current, __ATOMIC_RELAXED) != cpu->idle);
}

/* The CPU the thread ran on, or an idle one if that is busy. Bound: O(CPUs). */
static unsigned wake_target(const struct thread *thread, unsigned last)
{
    if (thread->sched.class_id == CLASS_DEADLINE || cpu_looks_idle(cpu_table[last])) {
        return last; /* a deadline thread stays where it was admitted */
    }
    for (unsigned i = 1; i < cpu_count_present(); i++) {
        unsigned id = (last + i) % cpu_count_present();
        if (cpu_is_online(cpu_table[id]) && cpu_looks_idle(cpu_table[id])) {
            return id;
        }
    }
    return last;
}

static unsigned least_loaded(void)
{
    unsigned best = arch_cpu_id();
    uint32_t best_load = cpu_load(cpu_table[best]);
    for (unsigned i = 1; i < cpu_count_present() && best_load != 0; i++) {
        unsigned id = (arch_cpu_id() + i) % cpu_count_present();
        if (cpu_is_online(cpu_table[id]) && cpu_load(cpu_table[id]) < best_load) {
            best = id;
            best_load = cpu_load(cpu_table[id]);
        }
    }
    return best;
}

struct cpu *sched_lock_owner(struct thread *thread)
{
    for (;;) {
        struct cpu *cpu = cpu_table[__atomic_load_n(&thread->cpu, __ATOMIC_ACQUIRE)];
        spin_lock(&cpu->queue.lock);
        if (cpu->id == thread->cpu) {
            return cpu;
        }
        spin_unlock(&cpu->queue.lock);
    }
}

bool sched_make_ready(struct cpu *cpu, struct thread *thread, enum run_reason reason, uint64_t now)
{
    thread_set_state(thread, THREAD_READY);
    thread->ready_since = now;
    run_queue_add(&cpu->queue, &thread->sched, reason, now);
    if (thread->sched.exhausted) { /* nothing to run, but a time to look again */
        cpu->timer_stale = true;
        return true;
    }
    bool urgent = run_queue_should_switch(&cpu->queue, sched_running(cpu));
    if (urgent) {
        cpu->current->need_resched = true;
    }
    return urgent;
}

void sched_tell(const struct cpu *cpu)
{
    if (cpu != cpu_this() || cpu->timer_stale) {
        ipi_reschedule(cpu->id);
    }
}

/* Puts a NEW or WAKING thread on thread->cpu. Interrupts off. */
static void enqueue(struct thread *thread, enum run_reason reason)
{
    struct cpu *cpu = cpu_table[thread->cpu];
    spin_lock(&cpu->queue.lock);
    uint64_t now = clock_cycles();
    sched_account(cpu, now, cpu->account_idle);
    run_queue_join(&cpu->queue, &thread->sched);
    bool tell = sched_make_ready(cpu, thread, reason, now);
    spin_unlock(&cpu->queue.lock);
    if (tell) {
        sched_tell(cpu);
    }
}

/* A WAITING thread that has left its CPU. Locked; released when this returns. */
static void wake_blocked(struct cpu *cpu, struct thread *thread)
{
    sched_sleepers_remove(cpu, thread);
    thread_set_state(thread, THREAD_WAKING);
    unsigned target = wake_target(thread, cpu->id);
    if (target != cpu->id) {
        run_queue_leave(&cpu->queue, &thread->sched);
        __atomic_store_n(&thread->cpu, target, __ATOMIC_RELEASE);
        spin_unlock(&cpu->queue.lock);
        enqueue(thread, RUN_WOKEN);
        return;
    }
    uint64_t now = clock_cycles();
    sched_account(cpu, now, cpu->account_idle);
    bool tell = sched_make_ready(cpu, thread, RUN_WOKEN, now);
    spin_unlock(&cpu->queue.lock);
    if (tell) {
        sched_tell(cpu);
    }
}

void sched_wake(struct thread *thread)
{
    uint64_t flags = arch_irq_save();
    struct cpu *cpu = sched_lock_owner(thread);
    if (thread->state != THREAD_WAITING) {
        spin_unlock(&cpu->queue.lock);
    } else if (cpu->current == thread) { /* has not switched away yet */
        thread_set_state(thread, THREAD_RUNNING);
        spin_unlock(&cpu->queue.lock);
    } else {
        wake_blocked(cpu, thread);
    }
    arch_irq_restore(flags);
}

void sched_start_on(struct thread *thread, unsigned cpu)
{
    uint64_t flags = arch_irq_save();
    thread->cpu = cpu;
    enqueue(thread, RUN_NEW);
    arch_irq_restore(flags);
}

void sched_start(struct thread *thread)
{
    uint64_t flags = arch_irq_save();
    thread->cpu = least_loaded();
    enqueue(thread, RUN_NEW);
    arch_irq_restore(flags);
    sched_switch_if_needed();
}
