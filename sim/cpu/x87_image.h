#ifndef ORRERY_CPU_X87_IMAGE_H
#define ORRERY_CPU_X87_IMAGE_H

/*
 * Memory images of the x87 and SSE state, as pure functions on byte buffers: the environment (FNSTENV,
 * FNSAVE) and the FXSAVE and XSAVE areas.
 *
 * Vendors differ about the error pointers (FOP, FIP, FDP); this is the reference silicon (CPUID 8000_0008 EBX
 * XSaveErPtr = 1): FXSAVE and XSAVE write them as zeros unless an exception is pending (FSW.ES), FXRSTOR and
 * XRSTOR always load them. FNSTENV and FNSAVE always write what is there.
 */

#include "cpu/x87.h"
#include "cpu/xmm.h"

/* Environment layouts: by operand size, and by whether segments are real-mode ones (linear pointers). */
struct x87_env_form {
    bool wide; /* 28 bytes instead of 14 */
    bool real;
};

#define X87_ENV_MAX_BYTES  28u
#define X87_SAVE_MAX_BYTES 108u

unsigned x87_env_bytes(struct x87_env_form form);
void x87_env_build(const struct x87_state *x, struct x87_env_form form, uint8_t *out);
void x87_env_load(struct x87_state *x, struct x87_env_form form, const uint8_t *image);
/* The environment and ST(0) to ST(7) in ten bytes each. */
void x87_save_build(const struct x87_state *x, struct x87_env_form form, uint8_t *out);
void x87_save_load(struct x87_state *x, struct x87_env_form form, const uint8_t *image);

/* The areas of FXSAVE (first 512 bytes) and XSAVE. */
#define FX_MXCSR_OFFSET      24u
#define FX_ST_OFFSET         32u
#define FX_XMM_OFFSET        160u
#define FX_AREA_BYTES        512u
#define XSAVE_HEADER_OFFSET  512u
#define XSAVE_AREA_MIN_BYTES 576u /* legacy area and header: all that x87 and SSE need, in either format */

#define XSTATE_X87       0x1u
#define XSTATE_SSE       0x2u
#define XSTATE_SUPPORTED (XSTATE_X87 | XSTATE_SSE)
#define XCOMP_COMPACT    (UINT64_C(1) << 63)

/* What an area is made from or loaded into. */
struct fx_state {
    struct x87_state *x87;
    union xmm *xmm; /* 16 registers */
    uint32_t *mxcsr;
    unsigned xmm_count; /* 16 in 64-bit mode, else 8 */
    bool wide;          /* REX.W: 64-bit pointers without selectors */
};

/* The parts of an area: bytes 0..23 and 32..159, 24..31, 160 and on. Only their own bytes are written. */
void fx_build_x87(const struct fx_state *s, uint8_t *area);
void fx_build_mxcsr(const struct fx_state *s, uint8_t *area);
void fx_build_xmm(const struct fx_state *s, uint8_t *area);
void fx_load_x87(const struct fx_state *s, const uint8_t *area);
void fx_load_xmm(const struct fx_state *s, const uint8_t *area);

/* MXCSR of an area; false: reserved bits are set (#GP). */
bool fx_mxcsr_valid(const uint8_t *area);

/* Which components differ from their initial configuration (XINUSE); exact, since it is computed from the
 * values. MXCSR does not count. */
unsigned xsave_in_use(const struct fx_state *s);

/* What an XSAVE variant does. */
enum xsave_kind { XSAVE_PLAIN, XSAVE_OPTIMISED, XSAVE_COMPACT };

struct xsave_plan {
    bool x87, mxcsr, sse;  /* parts to write */
    uint64_t xstate_bv;    /* header, first 8 bytes */
    uint64_t xcomp_bv;     /* header, next 8 bytes */
    unsigned header_bytes; /* how many of the header are written: 8, or 16 when compact */
};

/* requested is EDX:EAX AND XCR0; old_xstate_bv is what memory holds now. */
struct xsave_plan xsave_plan_make(const struct fx_state *s, enum xsave_kind kind, uint64_t requested,
                                  uint64_t old_xstate_bv);

/* Loads from an area of XSAVE_AREA_MIN_BYTES; false: the header or MXCSR is refused (#GP), nothing is
 * changed. */
bool xrstor_load(const struct fx_state *s, uint64_t xcr0, uint64_t requested, const uint8_t *area);

#endif
