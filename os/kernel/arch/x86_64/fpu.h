#ifndef OS_KERNEL_ARCH_X86_64_FPU_H
#define OS_KERNEL_ARCH_X86_64_FPU_H

/*
 * x87 and SSE state of a user thread. The registers are live (cpu->fpu_live) when they are the current thread's; else
 * CR0.TS is set, and the first instruction that wants them traps (#NM), which loads them. A switch saves what is live: the
 * record of a thread that does not run is always complete, and threads that use none of these registers pay nothing. A
 * thread that traps every time it runs gets its registers at the next switches instead. change.h has the steps.
 */

#include <stdint.h>

#include "arch/x86_64/features.h"

/* Room for the legacy area and the XSAVE header. */
#define FPU_STATE_BYTES 576u

/* The parts that are kept. */
#define FPU_XSTATE_X87_SSE 3u

struct fpu_state {
    uint8_t bytes[FPU_STATE_BYTES];
} __attribute__((aligned(64)));

/* How a thread uses the registers: who has trapped each of the last FPU_STREAK times it ran has them loaded FPU_LOADS times. */
#define FPU_STREAK 4u
#define FPU_LOADS  64u

struct fpu_use {
    uint64_t trapped_at; /* number of the thread's switch in which it trapped last */
    uint8_t streak;      /* traps in consecutive runs, up to FPU_STREAK */
    uint8_t loads;       /* runs that will begin with the registers loaded */
};

/* The state of a fresh program: all masked, round to nearest, registers zero. */
extern const struct fpu_state fpu_initial;

/* The current thread wants the registers: #NM from user mode, interrupts off. Panics when it had them. */
void fpu_claim(void);

static inline void fpu_save(struct fpu_state *state)
{
    if (features()->xsaveopt) {
        __asm__ volatile("xsaveopt64 %0" : "=m"(*state) : "a"(FPU_XSTATE_X87_SSE), "d"(0) : "memory");
    } else if (features()->xsave) {
        __asm__ volatile("xsave64 %0" : "=m"(*state) : "a"(FPU_XSTATE_X87_SSE), "d"(0) : "memory");
    } else {
        __asm__ volatile("fxsave64 %0" : "=m"(*state) : : "memory");
    }
}

static inline void fpu_restore(const struct fpu_state *state)
{
    if (features()->xsave) {
        __asm__ volatile("xrstor64 %0" : : "m"(*state), "a"(FPU_XSTATE_X87_SSE), "d"(0));
    } else {
        __asm__ volatile("fxrstor64 %0" : : "m"(*state));
    }
}

#endif
