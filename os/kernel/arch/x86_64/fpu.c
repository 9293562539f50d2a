/*
 * FPU state. Source: AMD64 APM volume 1, "Saving and Restoring State (FXSAVE, XSAVE)"; volume 4, FXSAVE and
 * XSAVE. Deviations: eager (no CR0.TS trick), x87 and SSE only.
 */
#include "arch/x86_64/fpu.h"

#include "lib/string.h"

#define FCW_DEFAULT      0x037f
#define MXCSR_DEFAULT    0x1f80
#define MXCSR_OFFSET     24
#define XSTATE_BV_OFFSET 512

void fpu_state_init(struct fpu_state *state)
{
    memset(state, 0, sizeof(*state));
    state->bytes[0] = FCW_DEFAULT & 0xff;
    state->bytes[1] = FCW_DEFAULT >> 8;
    state->bytes[MXCSR_OFFSET] = MXCSR_DEFAULT & 0xff;
    state->bytes[MXCSR_OFFSET + 1] = MXCSR_DEFAULT >> 8;
    state->bytes[XSTATE_BV_OFFSET] = FPU_XSTATE_X87_SSE;
}
