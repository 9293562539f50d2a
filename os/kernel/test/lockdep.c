/*
 * Lock validator of the test image. Each CPU keeps a stack of the locks it holds; a lock may be taken only while all locks
 * held have a smaller rank (lib/lock_classes.def), and a class that is taken in interrupts never with interrupts on. Two
 * run queues may be held at once, the one of the smaller CPU number first (sched/drain.c). A breach is kept for the tests
 * to find; the longest time locks were held is kept as well. Deviations: what is held is known by CPU, so a lock that one
 * CPU takes and another releases would be reported; there is none.
 */
#include "test/lockdep.h"

#include "arch/x86_64/percpu.h"
#include "lib/spinlock.h"

#define HELD_MAX 16u

static struct held {
    const struct spinlock *locks[HELD_MAX];
    unsigned count;
    uint64_t since; /* cycles; of the first one */
    uint64_t longest_cycles;
    const char *longest_name;
} held[ARCH_MAX_CPUS];

static struct trace {
    const struct spinlock *expected; /* null: nobody asks */
    uint32_t taken;
    uint32_t others;
} traces[ARCH_MAX_CPUS];

static uint8_t usage[LOCK_CLASS_COUNT];
static struct lockdep_report report;

#define USED_IN_INTERRUPT 1u
#define USED_WITH_IRQS_ON 2u

static void breach(const char *what, const struct spinlock *first, const struct spinlock *second)
{
    if (__atomic_fetch_add(&report.breaches, 1, __ATOMIC_RELAXED) == 0) {
        report.what = what;
        report.first = first->name;
        report.second = second->name;
    }
}

static void check_order(const struct spinlock *had, const struct spinlock *lock)
{
    unsigned before = lock_class_info(had->lock_class)->rank;
    unsigned now = lock_class_info(lock->lock_class)->rank;
    bool pair = had->lock_class == lock->lock_class &&
                (lock->lock_class == LOCK_CLASS_RUN_QUEUE || lock->lock_class == LOCK_CLASS_TEST);
    if (before >= now && !pair) {
        breach("order", had, lock);
    }
}

static void check_interrupts(const struct spinlock *lock)
{
    unsigned use = cpu_this()->irq_depth != 0 ? USED_IN_INTERRUPT : 0;
    use |= arch_irq_enabled() ? USED_WITH_IRQS_ON : 0;
    unsigned all = use | __atomic_fetch_or(&usage[lock->lock_class], (uint8_t)use, __ATOMIC_RELAXED);
    if (all == (USED_IN_INTERRUPT | USED_WITH_IRQS_ON)) {
        breach("interrupts", lock, lock);
    }
}

static void note_in_trace(struct trace *mine, const struct spinlock *lock)
{
    if (mine->expected != NULL && cpu_this()->irq_depth == 0) {
        mine->taken++;
        mine->others += lock != mine->expected;
    }
}

void lockdep_acquire(const struct spinlock *lock)
{
    struct held *mine = &held[arch_cpu_id()];
    note_in_trace(&traces[arch_cpu_id()], lock);
    for (unsigned i = 0; i < mine->count; i++) {
        check_order(mine->locks[i], lock);
    }
    check_interrupts(lock);
    if (mine->count == 0) {
        mine->since = arch_cycles();
    }
    if (mine->count < HELD_MAX) {
        mine->locks[mine->count++] = lock;
    } else {
        breach("depth", lock, lock);
    }
}

void lockdep_release(const struct spinlock *lock)
{
    struct held *mine = &held[arch_cpu_id()];
    unsigned at = mine->count;
    while (at > 0 && mine->locks[at - 1] != lock) {
        at--;
    }
    if (at == 0) {
        breach("release", lock, lock);
        return;
    }
    for (; at < mine->count; at++) {
        mine->locks[at - 1] = mine->locks[at];
    }
    if (--mine->count == 0 && arch_cycles() - mine->since > mine->longest_cycles) {
        mine->longest_cycles = arch_cycles() - mine->since;
        mine->longest_name = lock->name;
    }
}

void lockdep_read(struct lockdep_report *out)
{
    *out = report;
    out->longest_cycles = 0;
    for (unsigned cpu = 0; cpu < ARCH_MAX_CPUS; cpu++) {
        if (held[cpu].longest_cycles > out->longest_cycles) {
            out->longest_cycles = held[cpu].longest_cycles;
            out->longest_name = held[cpu].longest_name;
        }
    }
}

void lockdep_forget(void)
{
    report = (struct lockdep_report){.breaches = 0};
    for (unsigned class = 0; class < LOCK_CLASS_COUNT; class ++) {
        __atomic_store_n(&usage[class], 0, __ATOMIC_RELAXED);
    }
}

void lockdep_trace(const struct spinlock *expected)
{
    struct trace *mine = &traces[arch_cpu_id()];
    mine->taken = 0;
    mine->others = 0;
    mine->expected = expected;
}

void lockdep_traced(uint32_t *taken, uint32_t *others)
{
    struct trace *mine = &traces[arch_cpu_id()];
    mine->expected = NULL;
    *taken = mine->taken;
    *others = mine->others;
}
