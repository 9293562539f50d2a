/*
 * Local APIC and timer: the mode that is in use is the one CPUID offers, read from the registers themselves; preemption and
 * wake-ups work in it. One line on the console says which mode it is, for tests/e2e/kernel_tests.sh.
 */
#include "arch/arch.h"
#include "arch/x86_64/acpi.h"
#include "arch/x86_64/clock.h"
#include "arch/x86_64/features.h"
#include "arch/x86_64/kmap.h"
#include "arch/x86_64/percpu.h"
#include "console.h"
#include "sched/sched.h"
#include "smp/ipi.h"
#include "test/ktest.h"

#define APIC_X2              (1ull << 10)
#define APIC_ENABLED         (1ull << 11)
#define MSR_X2_LVT_TIMER     0x832u
#define MSR_X2_INITIAL       0x838u
#define LVT_TIMER_WORD       (0x320u / 4)
#define INITIAL_WORD         (0x380u / 4)
#define LVT_MODE             0x60000u
#define LVT_MODE_DEADLINE    0x40000u
#define LVT_MASK             0x10000u
#define CPUID_1_ECX_X2APIC   (1u << 21)
#define CPUID_1_ECX_DEADLINE (1u << 24)
#define AWAY_NS              100000000ull
#define TRIAL_NS             5000000000ull /* what works is over after a quantum; a busy host may need longer */

static volatile uint32_t *window; /* registers in xAPIC mode */

static uint32_t apic_read(bool x2, uint32_t msr, uint32_t word)
{
    return x2 ? (uint32_t)msr_read(msr) : window[word];
}

/* Arms the timer far away and looks which of the two counters has taken it. False: neither, or it was slow to look. */
static bool timer_takes(bool x2, bool deadline)
{
    uint64_t far = clock_cycles() + clock_cycles_from_ns(AWAY_NS);
    clock_arm(far);
    bool by_count = apic_read(x2, MSR_X2_INITIAL, INITIAL_WORD) != 0;
    bool by_deadline = deadline && msr_read(MSR_TSC_DEADLINE) == far;
    clock_arm(clock_cycles()); /* at once: the interrupt arms it anew for what the scheduler wants */
    return by_deadline == deadline && by_count == !deadline;
}

static void ask_mode(void *context)
{
    uint64_t *right = context;
    struct cpuid one = cpuid_read(1, 0);
    bool x2 = (one.ecx & CPUID_1_ECX_X2APIC) != 0;
    bool deadline = (one.ecx & CPUID_1_ECX_DEADLINE) != 0;
    uint64_t flags = arch_irq_save();
    uint64_t mode = msr_read(MSR_APIC_BASE) & (APIC_X2 | APIC_ENABLED);
    bool good = mode == (APIC_ENABLED | (x2 ? APIC_X2 : 0));
    uint32_t timer = good ? apic_read(x2, MSR_X2_LVT_TIMER, LVT_TIMER_WORD) : LVT_MASK;
    good = good && (timer & LVT_MASK) == 0 && (timer & LVT_MODE) == (deadline ? LVT_MODE_DEADLINE : 0) &&
           timer_takes(x2, deadline);
    arch_irq_restore(flags);
    __atomic_or_fetch(right, good ? 1ull << arch_cpu_id() : 0, __ATOMIC_SEQ_CST);
}

static bool every_cpu_is_in_its_mode(void)
{
    uint64_t right = 0;
    preempt_disable();
    ask_mode(&right);
    ipi_call_others(ask_mode, &right);
    preempt_enable();
    return right == cpu_online_mask();
}

void ktest_apic_and_timer_run_in_the_mode_the_processor_offers(void)
{
    void *mapped = NULL;
    KEXPECT(kmap_device(paddr_make(acpi_info()->local_apic_address), PAGE_SIZE, &mapped) == STATUS_OK);
    window = mapped;
    KEXPECT(ktest_undisturbed(every_cpu_is_in_its_mode));
    console_printf("# apic: %s, timer: %s\n", features()->x2apic ? "x2apic" : "xapic",
                   features()->tsc_deadline ? "tsc-deadline" : "count");
}

struct pair {
    uint32_t here[2];
    uint32_t met; /* players that saw the other one */
    uint32_t left;
};

/* Never yields: the other player of this CPU gets its turn by the timer alone, or not at all. */
static void player(struct pair *pair, unsigned own)
{
    uint64_t end = clock_cycles() + clock_cycles_from_ns(TRIAL_NS);
    __atomic_store_n(&pair->here[own], 1, __ATOMIC_SEQ_CST);
    bool met = false;
    while (!met && clock_cycles() < end) {
        met = __atomic_load_n(&pair->here[1 - own], __ATOMIC_SEQ_CST) != 0;
    }
    __atomic_add_fetch(&pair->met, met ? 1 : 0, __ATOMIC_SEQ_CST);
    __atomic_add_fetch(&pair->left, 1, __ATOMIC_SEQ_CST);
}

static void first_player(void *pair)
{
    player(pair, 0);
}

static void second_player(void *pair)
{
    player(pair, 1);
}

static bool wait_for(const uint32_t *word, uint32_t value, uint64_t limit_ns)
{
    uint64_t end = clock_cycles() + clock_cycles_from_ns(limit_ns);
    while (__atomic_load_n(word, __ATOMIC_SEQ_CST) != value && clock_cycles() < end) {
        sched_sleep_until(clock_cycles() + clock_cycles_from_ns(1000000));
    }
    return __atomic_load_n(word, __ATOMIC_SEQ_CST) == value;
}

/* covers: PR-01, PR-06 */
void ktest_the_timer_preempts_on_every_cpu(void)
{
    static struct pair pairs[ARCH_MAX_CPUS];
    for (unsigned cpu = 0; cpu < cpu_count_online(); cpu++) {
        struct thread *players[2];
        KEXPECT(thread_create(&players[0], &sched_background, first_player, &pairs[cpu]) == STATUS_OK);
        KEXPECT(thread_create(&players[1], &sched_background, second_player, &pairs[cpu]) == STATUS_OK);
        sched_start_on(players[0], cpu);
        sched_start_on(players[1], cpu);
    }
    for (unsigned cpu = 0; cpu < cpu_count_online(); cpu++) {
        KEXPECT(wait_for(&pairs[cpu].left, 2, 4 * TRIAL_NS));
        KEXPECT(pairs[cpu].met == 2);
    }
}

static void note_cpu(void *mask)
{
    __atomic_or_fetch((uint32_t *)mask, 1u << (arch_cpu_id() % 32), __ATOMIC_SEQ_CST);
}

/* All other CPUs sleep without a tick: only the reschedule interrupt can make them look at their queues. covers:
 * SM-02 (K: woken, not measured) */
void ktest_an_idle_cpu_is_woken_by_an_interrupt(void)
{
    uint32_t ran = 0;
    uint32_t wanted = 0;
    for (unsigned cpu = 0; cpu < cpu_count_online() && cpu < 32; cpu++) {
        struct thread *thread;
        if (cpu == arch_cpu_id()) {
            continue;
        }
        KEXPECT(thread_create(&thread, &sched_normal, note_cpu, &ran) == STATUS_OK);
        sched_start_on(thread, cpu);
        wanted |= 1u << cpu;
    }
    KEXPECT(wait_for(&ran, wanted, TRIAL_NS));
}
