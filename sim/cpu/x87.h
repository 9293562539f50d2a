#ifndef ORRERY_CPU_X87_H
#define ORRERY_CPU_X87_H

/*
 * The state of the x87 unit and of the MMX registers that share it. The operations are in x87_ops.h, memory
 * images (FNSTENV, FXSAVE, XSAVE) in x87_image.h.
 *
 * Source: AMD64 APM volume 1, "x87 Floating-Point Programming"; Intel SDM volume 1, "Programming with the x87
 * FPU".
 */

#include <stdbool.h>
#include <stdint.h>

struct visitor;

/* Status word: exception flags 5..0 in the order of fp.h, then */
#define FSW_SF        0x0040u /* stack fault */
#define FSW_ES        0x0080u /* an unmasked exception is pending */
#define FSW_C0        0x0100u
#define FSW_C1        0x0200u
#define FSW_C2        0x0400u
#define FSW_TOP       0x3800u
#define FSW_TOP_SHIFT 11u
#define FSW_C3        0x4000u
#define FSW_B         0x8000u /* always equal to ES */
#define FSW_CC        (FSW_C0 | FSW_C1 | FSW_C2 | FSW_C3)

/* Control word: masks 5..0, precision 9..8 (0 single, 2 double, 3 extended), rounding 11..10, bit 12 is kept
 * but has no meaning, bit 6 reads as one, the rest as zero. */
#define FCW_PC       0x0300u
#define FCW_RC       0x0c00u
#define FCW_WRITABLE 0x1f3fu
#define FCW_ONE      0x0040u
#define FCW_INIT     0x037fu

/* Registers are held by physical number (ST(i) is (TOP + i) % 8); the low 64 bits of register n are MMn. */
struct x87_state {
    uint64_t significand[8];
    uint64_t fip, fdp; /* last non-control instruction and its memory operand: offset or linear address */
    uint16_t sign_exponent[8]; /* bit 15 sign, 14..0 biased exponent */
    uint16_t fcw, fsw, fop;    /* fop: opcode(2:0) modrm, 11 bits */
    uint16_t fcs, fds;
    uint8_t in_use; /* bit n: register n is not empty (the abridged tag word of FXSAVE) */
};

/* FNINIT; it leaves the registers' contents. */
void x87_init(struct x87_state *x);
/* Power-on and RESET (APM vol. 2, "Processor Initialization State"): FCW 0040h, all registers +0 and in use.
 */
void x87_reset(struct x87_state *x);
void x87_visit(struct x87_state *x, struct visitor *v);

static inline unsigned x87_top(const struct x87_state *x)
{
    return (x->fsw & FSW_TOP) >> FSW_TOP_SHIFT;
}

/* An unmasked exception waits for the next waiting x87 or MMX instruction to become #MF. */
static inline bool x87_pending(const struct x87_state *x)
{
    return (x->fsw & FSW_ES) != 0;
}

/* MMX. Every MMX instruction but EMMS first checks CR0.EM (#UD), CR0.TS (#NM) and x87_pending (#MF), then
 * calls x87_mmx_begin when nothing can fault any more: TOP = 0 and all registers in use. */
static inline void x87_mmx_begin(struct x87_state *x)
{
    x->fsw = (uint16_t)(x->fsw & ~FSW_TOP);
    x->in_use = 0xff;
}

/* MMn, n 0..7. A write sets the sign and exponent bits of the register to ones. */
static inline uint64_t x87_mmx_read(const struct x87_state *x, unsigned n)
{
    return x->significand[n];
}

static inline void x87_mmx_write(struct x87_state *x, unsigned n, uint64_t value)
{
    x->significand[n] = value;
    x->sign_exponent[n] = 0xffff;
}

/* EMMS: all registers empty, TOP = 0. */
static inline void x87_emms(struct x87_state *x)
{
    x->fsw = (uint16_t)(x->fsw & ~FSW_TOP);
    x->in_use = 0;
}

#endif
