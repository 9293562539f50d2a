/* The lock validator: finds what it is there for, and has found nothing in the kernel so far. */
#include "arch/arch.h"
#include "arch/x86_64/percpu.h"
#include "console.h"
#include "lib/spinlock.h"
#include "lib/string.h"
#include "smp/ipi.h"
#include "test/ktest.h"
#include "test/lockdep.h"
#include "test/workers.h"

/* Locks of these classes are of this file only: what the kernel's own hold does not come into it. */
static struct spinlock outer = SPINLOCK_INIT("test.outer", REAPER);
static struct spinlock inner = SPINLOCK_INIT("test.inner", UART);
static struct spinlock plain = SPINLOCK_INIT("test.plain", TEST);

static bool last_is(const char *what, const char *first, const char *second)
{
    struct lockdep_report report;
    lockdep_read(&report);
    lockdep_forget();
    return report.breaches == 1 && strcmp(report.what, what) == 0 && strcmp(report.first, first) == 0 &&
           strcmp(report.second, second) == 0;
}

static void take_both(struct spinlock *first, struct spinlock *second)
{
    uint64_t flags = spin_lock_irqsave(first);
    spin_lock(second);
    spin_unlock(first); /* not the last one taken: that is allowed */
    spin_unlock(second);
    arch_irq_restore(flags);
}

/* Runs before all other tests: what was taken up to here, by a whole boot, was in order. covers: IR-04 (a boot), IR-11 (a
 * boot) */
void ktest_the_boot_took_its_locks_in_order(void)
{
    struct lockdep_report report;
    lockdep_read(&report);
    if (report.breaches != 0) {
        console_printf("# lockdep: %u, %s: %s, %s\n", report.breaches, report.what, report.first,
                       report.second);
    }
    KEXPECT(report.breaches == 0 && report.longest_cycles != 0);
}

/* covers: IR-03 (order) */
void ktest_locks_in_the_wrong_order_are_reported(void)
{
    lockdep_forget();
    take_both(&outer, &inner);
    struct lockdep_report report;
    lockdep_read(&report);
    KEXPECT(report.breaches == 0);
    take_both(&inner, &outer);
    KEXPECT(last_is("order", "test.inner", "test.outer"));
    spin_lock(&plain); /* with interrupts on, and no interrupt takes it */
    spin_unlock(&plain);
    lockdep_read(&report);
    KEXPECT(report.breaches == 0);
}

/* A class that an interrupt takes, taken where an interrupt could come in between. covers: IR-04 */
void ktest_a_lock_of_interrupts_taken_with_interrupts_on_is_reported(void)
{
    lockdep_forget();
    uint64_t flags = arch_irq_save();
    cpu_this()->irq_depth++;
    spin_lock(&plain);
    spin_unlock(&plain);
    cpu_this()->irq_depth--;
    arch_irq_restore(flags);
    struct lockdep_report report;
    lockdep_read(&report);
    KEXPECT(report.breaches == 0);
    spin_lock(&plain);
    spin_unlock(&plain);
    KEXPECT(last_is("interrupts", "test.plain", "test.plain"));
}

static struct {
    struct spinlock lock;
    uint32_t arrived;
    uint32_t called; /* waiters that an interrupt has reached */
    uint32_t entered;
    uint32_t wrong;
} crowd = {.lock = SPINLOCK_INIT("test.crowd", TEST)};

static void note_call(void *unused)
{
    (void)unused;
    __atomic_add_fetch(&crowd.called, 1, __ATOMIC_SEQ_CST);
}

static void wait_in_the_crowd(void *others, unsigned number)
{
    if (number == 0) { /* in the place of a CPU that holds the lock */
        while (__atomic_load_n(&crowd.arrived, __ATOMIC_SEQ_CST) != (uint32_t)(uintptr_t)others) {
            arch_pause();
        }
        ipi_call_others(note_call, NULL);
        crowd.wrong = crowd.entered;
        arch_step16(&crowd.lock.serving);
        return;
    }
    __atomic_add_fetch(&crowd.arrived, 1, __ATOMIC_SEQ_CST);
    uint64_t flags = spin_lock_irqsave_patient(&crowd.lock);
    crowd.entered++;
    __atomic_add_fetch(&crowd.wrong, arch_irq_enabled() ? 1 : 0, __ATOMIC_SEQ_CST);
    spin_unlock_irqrestore(&crowd.lock, flags);
    __atomic_add_fetch(&crowd.wrong, arch_irq_enabled() ? 0 : 1, __ATOMIC_SEQ_CST);
}

/* Who waits for a lock that is taken is interrupted meanwhile, and has interrupts off when it has the lock. covers: HP-07 */
void ktest_a_patient_wait_for_a_lock_takes_interrupts(void)
{
    unsigned count = (unsigned)__builtin_popcountll(cpu_online_mask());
    __atomic_fetch_add(&crowd.lock.next, 1, __ATOMIC_SEQ_CST);
    KEXPECT(workers_run(count, wait_in_the_crowd, (void *)(uintptr_t)(count - 1), 1000000000));
    KEXPECT(crowd.called == count - 1 && crowd.entered == count - 1 && crowd.wrong == 0);
}

/* The last of all tests. covers: IR-04 (all in-kernel tests), IR-10 (time with locks held) */
void ktest_all_tests_took_their_locks_in_order(void)
{
    struct lockdep_report report;
    lockdep_read(&report);
    console_printf("# locks: held for at most %llu cycles (%s)\n", (unsigned long long)report.longest_cycles,
                   report.longest_name);
    if (report.breaches != 0) {
        console_printf("# lockdep: %u, %s: %s, %s\n", report.breaches, report.what, report.first,
                       report.second);
    }
    KEXPECT(report.breaches == 0);
}
