#ifndef OS_KERNEL_ARCH_X86_64_CLOCK_H
#define OS_KERNEL_ARCH_X86_64_CLOCK_H

/*
 * Time: the time-stamp counter, its frequency found by CPUID or by measuring against the PM timer, the HPET,
 * the PIT or the RTC; and the one-shot timer interrupt of the local APIC.
 */

#include <stdbool.h>
#include <stdint.h>

#define CLOCK_NEVER UINT64_MAX

/* Finds the frequencies, on the boot processor. Takes at most 5 ms, no time at all when CPUID tells. */
void clock_init(void);

/* Where the frequency came from: "cpuid 0x15", "cpuid 0x16", "cpuid 0x40000010", "pm timer", "hpet", "pit",
 * "rtc". */
const char *clock_source(void);

uint64_t clock_frequency_hz(void);

/* Cycles of the time-stamp counter. */
uint64_t clock_cycles(void);

uint64_t clock_cycles_from_ns(uint64_t ns);
uint64_t clock_ns_from_cycles(uint64_t cycles);

/* Prepares the timer of this CPU. */
void clock_enable_on_this_cpu(void);

/* Asks for VECTOR_TIMER on this CPU at a time in cycles (may come early, never late by design); CLOCK_NEVER:
 * none. */
void clock_arm(uint64_t deadline_cycles);

/* Waits, spinning. */
void clock_delay_ns(uint64_t ns);

#endif
