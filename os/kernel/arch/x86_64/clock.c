/*
 * Clock and timer. Sources: Intel SDM volume 2A, CPUID leaves 0x15 and 0x16; the 0x40000010 leaf of
 * hypervisors (TSC and bus frequency in kHz); ACPI Specification, "Power Management Timer"; IA-PC HPET
 * Specification, "Register Overview"; Intel 8254 data sheet, "Mode 0"; Motorola MC146818A data sheet,
 * "Periodic Interrupt Selection". Deviations: all CPUs are taken to share one counter that never stops; a
 * processor that is taken away while it measures by PIT or RTC measures wrongly.
 */
#include "arch/x86_64/clock.h"

#include "arch/arch.h"
#include "arch/x86_64/acpi.h"
#include "arch/x86_64/features.h"
#include "arch/x86_64/kmap.h"
#include "arch/x86_64/lapic.h"
#include "panic.h"

#define NS_PER_SECOND     1000000000ull
#define PM_TIMER_HZ       3579545u
#define PIT_HZ            1193182u
#define MEASURE_PM_TICKS  10739u /* 3 ms */
#define MEASURE_PIT_TICKS 3580u  /* 3 ms */
#define MEASURE_HPET_FS   3000000000000ull
#define MEASURE_SAMPLES   8u

#define HPET_PERIOD_OFFSET 4u
#define HPET_CONFIG        0x10u
#define HPET_COUNTER       0xf0u
#define HPET_ENABLE        1u

#define PIT_CHANNEL_2 0x42u
#define PIT_COMMAND   0x43u
#define PIT_GATE      0x61u

#define RTC_INDEX      0x70u
#define RTC_DATA       0x71u
#define RTC_A          0x0au
#define RTC_B          0x0bu
#define RTC_C          0x0cu
#define RTC_A_1024_HZ  0x06u
#define RTC_B_PERIODIC 0x40u
#define RTC_C_PERIODIC 0x40u
#define RTC_PERIODS    3u
#define RTC_TRIES_MAX  1000000u

static struct {
    uint64_t tsc_hz;
    uint64_t timer_hz; /* of the local APIC timer */
    bool deadline;
    const char *source;
    uint64_t ns_multiplier;    /* ns = cycles * multiplier >> 32 */
    uint64_t cycle_multiplier; /* cycles = ns * multiplier >> 32 */
    uint64_t timer_multiplier; /* timer ticks = cycles * multiplier >> 32 */
} timebase = {.source = "none yet"};

/* value * multiplier >> 32 without losing the upper bits. */
static uint64_t scale(uint64_t value, uint64_t multiplier)
{
    uint64_t low;
    uint64_t high;
    __asm__("mulq %3" : "=a"(low), "=d"(high) : "0"(value), "r"(multiplier) : "cc");
    return (high << 32) | (low >> 32);
}

/* (numerator << 32) / denominator; numerator < 2^32 * denominator. */
static uint64_t ratio(uint64_t numerator, uint64_t denominator)
{
    uint64_t quotient;
    uint64_t remainder;
    __asm__("divq %4"
            : "=a"(quotient), "=d"(remainder)
            : "0"(numerator << 32), "1"(numerator >> 32), "r"(denominator)
            : "cc");
    return quotient;
}

static bool frequency_from_cpuid(void)
{
    const struct cpu_features *cpu = features();
    if (cpu->max_hypervisor_leaf >= 0x40000010) {
        struct cpuid leaf = cpuid_read(0x40000010, 0);
        if (leaf.eax != 0 && leaf.ebx != 0) {
            timebase.tsc_hz = leaf.eax * 1000ull;
            timebase.timer_hz = leaf.ebx * 1000ull;
            timebase.source = "cpuid 0x40000010";
            return true;
        }
    }
    if (cpu->max_leaf >= 0x15) {
        struct cpuid leaf = cpuid_read(0x15, 0);
        if (leaf.eax != 0 && leaf.ebx != 0 && leaf.ecx != 0) {
            timebase.tsc_hz = (uint64_t)leaf.ecx * leaf.ebx / leaf.eax;
            timebase.timer_hz = leaf.ecx;
            timebase.source = "cpuid 0x15";
            return true;
        }
    }
    if (cpu->max_leaf >= 0x16 && cpu->tsc_deadline) {
        struct cpuid leaf = cpuid_read(0x16, 0);
        if (leaf.eax != 0) {
            timebase.tsc_hz = (leaf.eax & 0xffff) * 1000000ull;
            timebase.source = "cpuid 0x16";
            return true;
        }
    }
    return false;
}

/* Clocks at one moment: the counter that is to be measured, and what it is measured by. */
struct sample {
    uint64_t cycles;
    uint32_t timer;
    uint32_t reference;
};

/*
 * Whoever owns the processor may take it away between any two instructions (a hypervisor, system management). A sample is
 * worth what its readings lie apart in time, so the closest of several counts.
 */
static struct sample sample_take(uint32_t (*read_reference)(void))
{
    struct sample best = {0};
    uint64_t least = UINT64_MAX;
    for (unsigned i = 0; i < MEASURE_SAMPLES; i++) {
        uint64_t before = arch_cycles();
        uint32_t reference = read_reference();
        uint32_t timer = lapic_timer_current();
        uint64_t apart = arch_cycles() - before;
        if (apart < least) {
            least = apart;
            best = (struct sample){.cycles = before, .timer = timer, .reference = reference};
        }
    }
    return best;
}

static uint32_t no_reference(void)
{
    return 0;
}

/* The two samples lie `numerator / denominator` seconds apart. */
static void frequency_from_samples(struct sample from, struct sample to, uint64_t numerator,
                                   uint64_t denominator, const char *source)
{
    /* No caller measures an empty span. */
    timebase.tsc_hz = (to.cycles - from.cycles) * denominator / numerator; /* cppcheck-suppress zerodivcond */
    /* cppcheck-suppress zerodivcond */
    timebase.timer_hz = (uint64_t)(from.timer - to.timer) * denominator / numerator;
    timebase.source = source;
}

/* Reference ticks between two samples at least `wanted` of them apart; mask: bits that the reference counts in. */
static uint32_t measure(uint32_t (*read_reference)(void), uint32_t mask, uint32_t wanted, struct sample *from,
                        struct sample *to)
{
    *from = sample_take(read_reference);
    while (((read_reference() - from->reference) & mask) < wanted) {
    }
    *to = sample_take(read_reference);
    return (to->reference - from->reference) & mask;
}

static uint32_t pm_timer_read(void)
{
    return port_read32((uint16_t)acpi_info()->pm_timer_port);
}

static void measure_by_pm_timer(void)
{
    struct sample from;
    struct sample to;
    uint32_t elapsed = measure(pm_timer_read, 0xffffff, MEASURE_PM_TICKS, &from, &to);
    frequency_from_samples(from, to, elapsed, PM_TIMER_HZ, "pm timer");
}

static volatile uint32_t *hpet;

static uint32_t hpet_read(void)
{
    return hpet[HPET_COUNTER / 4];
}

static bool measure_by_hpet(void)
{
    void *window;
    if (acpi_info()->hpet_address == 0 ||
        kmap_device(paddr_make(acpi_info()->hpet_address), PAGE_SIZE, &window) != STATUS_OK) {
        return false;
    }
    hpet = window;
    uint32_t period_fs = hpet[HPET_PERIOD_OFFSET / 4];
    if (period_fs == 0 || period_fs > 100000000) {
        return false;
    }
    hpet[HPET_CONFIG / 4] |= HPET_ENABLE;
    struct sample from;
    struct sample to;
    uint32_t elapsed = measure(hpet_read, UINT32_MAX, (uint32_t)(MEASURE_HPET_FS / period_fs), &from, &to);
    uint64_t elapsed_ps = (uint64_t)elapsed * period_fs / 1000;
    frequency_from_samples(from, to, elapsed_ps / 1000, NS_PER_SECOND, "hpet");
    return true;
}

static bool measure_by_pit(void)
{
    uint8_t gate = port_read8(PIT_GATE);
    if (gate == 0xff) {
        return false; /* nobody there */
    }
    port_write8(PIT_GATE, (uint8_t)((gate & ~2u) | 1u)); /* gate on, speaker off */
    port_write8(PIT_COMMAND, 0xb0);                      /* channel 2, both bytes, mode 0 */
    port_write8(PIT_CHANNEL_2, MEASURE_PIT_TICKS & 0xff);
    port_write8(PIT_CHANNEL_2, MEASURE_PIT_TICKS >> 8);
    struct sample from = sample_take(no_reference);
    while (!(port_read8(PIT_GATE) & 0x20)) {
    }
    struct sample to = sample_take(no_reference);
    port_write8(PIT_GATE, gate);
    frequency_from_samples(from, to, MEASURE_PIT_TICKS, PIT_HZ, "pit");
    return true;
}

static uint8_t rtc_read(uint8_t index)
{
    port_write8(RTC_INDEX, index);
    return port_read8(RTC_DATA);
}

static void rtc_write(uint8_t index, uint8_t value)
{
    port_write8(RTC_INDEX, index);
    port_write8(RTC_DATA, value);
}

/* Waits for the next periodic flag; reading register C clears it. False: it never comes. */
static bool rtc_wait_period(void)
{
    for (uint32_t tries = 0; tries < RTC_TRIES_MAX; tries++) {
        if (rtc_read(RTC_C) & RTC_C_PERIODIC) {
            return true;
        }
    }
    return false;
}

static bool measure_by_rtc(void)
{
    uint8_t a = rtc_read(RTC_A);
    uint8_t b = rtc_read(RTC_B);
    if (b == 0xff) {
        return false;
    }
    rtc_write(RTC_A, (uint8_t)((a & 0xf0) | RTC_A_1024_HZ));
    rtc_write(RTC_B, (uint8_t)(b | RTC_B_PERIODIC)); /* the line is masked at the I/O APIC */
    rtc_read(RTC_C);
    bool good = rtc_wait_period();
    struct sample from = sample_take(no_reference);
    for (uint32_t i = 0; good && i < RTC_PERIODS; i++) {
        good = rtc_wait_period();
    }
    struct sample to = sample_take(no_reference);
    rtc_write(RTC_B, b);
    rtc_write(RTC_A, a);
    if (good) {
        frequency_from_samples(from, to, RTC_PERIODS, 1024, "rtc");
    }
    return good;
}

static void frequency_by_measuring(void)
{
    lapic_timer_start(UINT32_MAX);
    if (acpi_info()->pm_timer_port != 0) {
        measure_by_pm_timer();
    } else if (!measure_by_hpet() && !measure_by_pit() && !measure_by_rtc()) {
        panic("no way to measure time: no CPUID leaf, PM timer, HPET, PIT or RTC");
    }
    lapic_timer_start(0);
}

void clock_init(void)
{
    if (!frequency_from_cpuid()) {
        frequency_by_measuring();
    }
    timebase.deadline = features()->tsc_deadline;
    timebase.ns_multiplier = ratio(NS_PER_SECOND, timebase.tsc_hz);
    timebase.cycle_multiplier = ratio(timebase.tsc_hz, NS_PER_SECOND);
    timebase.timer_multiplier = ratio(timebase.timer_hz, timebase.tsc_hz);
}

const char *clock_source(void)
{
    return timebase.source;
}

uint64_t clock_frequency_hz(void)
{
    return timebase.tsc_hz;
}

uint64_t clock_cycles(void)
{
    return arch_cycles();
}

uint64_t clock_cycles_from_ns(uint64_t ns)
{
    return scale(ns, timebase.cycle_multiplier);
}

uint64_t clock_ns_from_cycles(uint64_t cycles)
{
    return scale(cycles, timebase.ns_multiplier);
}

void clock_enable_on_this_cpu(void)
{
    if (timebase.deadline) {
        lapic_timer_use_deadline();
    } else {
        lapic_timer_use_count();
    }
}

void clock_arm(uint64_t deadline_cycles)
{
    if (timebase.deadline) {
        uint64_t due = deadline_cycles != 0 ? deadline_cycles : 1; /* 0 would take the deadline away */
        msr_write(MSR_TSC_DEADLINE, deadline_cycles == CLOCK_NEVER ? 0 : due);
        return;
    }
    if (deadline_cycles == CLOCK_NEVER) {
        lapic_timer_start(0);
        return;
    }
    uint64_t now = arch_cycles();
    uint64_t ticks = deadline_cycles > now ? scale(deadline_cycles - now, timebase.timer_multiplier) + 1 : 1;
    lapic_timer_start(ticks > UINT32_MAX ? UINT32_MAX : (uint32_t)ticks);
}

void clock_delay_ns(uint64_t ns)
{
    uint64_t end = arch_cycles() + clock_cycles_from_ns(ns);
    while (arch_cycles() < end) {
        arch_pause();
    }
}
