/*
 * FPU state. Source: AMD64 APM volume 1, "Saving and Restoring State (FXSAVE, XSAVE)"; volume 4, FXSAVE and
 * XSAVE; volume 2, "CR0 Register", TS. Deviations: x87 and SSE only.
 */
#include "arch/x86_64/fpu.h"

#include "arch/x86_64/change.h"
#include "panic.h"

#define FCW_DEFAULT      0x037f
#define MXCSR_DEFAULT    0x1f80
#define MXCSR_OFFSET     24
#define XSTATE_BV_OFFSET 512

const struct fpu_state fpu_initial = {.bytes = {
                                          [0] = FCW_DEFAULT & 0xff,
                                          [1] = FCW_DEFAULT >> 8,
                                          [MXCSR_OFFSET] = MXCSR_DEFAULT & 0xff,
                                          [MXCSR_OFFSET + 1] = MXCSR_DEFAULT >> 8,
                                          [XSTATE_BV_OFFSET] = FPU_XSTATE_X87_SSE,
                                      }};

/* Notes a trap in this run of the thread. */
static void note_use(struct thread *thread)
{
    struct fpu_use *use = &thread->fpu_use;
    bool again = thread->switches - use->trapped_at <= 1;
    use->streak = !again ? 0 : use->streak < FPU_STREAK ? (uint8_t)(use->streak + 1) : FPU_STREAK;
    use->trapped_at = thread->switches;
    if (use->streak == FPU_STREAK) {
        use->loads = FPU_LOADS;
        use->trapped_at += FPU_LOADS;
    }
}

void fpu_claim(void)
{
    struct cpu *cpu = cpu_this();
    if (cpu->fpu_live) {
        panic("fpu: not available, and live");
    }
    note_use(cpu->current);
    fpu_load(cpu, cpu->current);
}
