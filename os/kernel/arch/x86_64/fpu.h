#ifndef OS_KERNEL_ARCH_X86_64_FPU_H
#define OS_KERNEL_ARCH_X86_64_FPU_H

/* x87 and SSE state of a user thread, saved and restored at every switch of user threads. */

#include <stdint.h>

/* Room for the legacy area and the XSAVE header. */
#define FPU_STATE_BYTES 576u

struct fpu_state {
    uint8_t bytes[FPU_STATE_BYTES];
} __attribute__((aligned(64)));

/* The state of a fresh program: all masked, round to nearest, registers zero. */
void fpu_state_init(struct fpu_state *state);

void fpu_save(struct fpu_state *state);
void fpu_restore(const struct fpu_state *state);

#endif
