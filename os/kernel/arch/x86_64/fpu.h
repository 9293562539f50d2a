#ifndef OS_KERNEL_ARCH_X86_64_FPU_H
#define OS_KERNEL_ARCH_X86_64_FPU_H

/* x87 and SSE state of a user thread, saved and restored at every switch of user threads. */

#include <stdint.h>

#include "arch/x86_64/features.h"

/* Room for the legacy area and the XSAVE header. */
#define FPU_STATE_BYTES 576u

/* The parts that are kept. */
#define FPU_XSTATE_X87_SSE 3u

struct fpu_state {
    uint8_t bytes[FPU_STATE_BYTES];
} __attribute__((aligned(64)));

/* The state of a fresh program: all masked, round to nearest, registers zero. */
void fpu_state_init(struct fpu_state *state);

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
