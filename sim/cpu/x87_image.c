/*
 * Memory images of the x87 and SSE state.
 *
 * Source: AMD64 APM volume 2, "x87 and MMX State Images", "FXSAVE and FXRSTOR Instructions", "XSAVE/XRSTOR
 * Instructions"; volume 5, FSTENV, FSAVE, FXSAVE; volume 4, XSAVE, XSAVEC, XSAVEOPT, XRSTOR; Intel SDM volume
 * 1, "Managing State Using the XSAVE Feature Set" (header checks of the two formats). Deviations: MXCSR_MASK
 * is 0000FFFFh: the misaligned-SSE mode (MXCSR bit 17) of the reference silicon is not offered. XSAVEOPT uses
 * the init optimisation only; the modified optimisation is optional.
 */

#include "cpu/x87_image.h"

#include <string.h>

#include "base/bits.h"
#include "cpu/fp.h"
#include "cpu/x87_ops.h"

/* Two bits a register: 0 valid, 1 zero, 2 special, 3 empty. */
static unsigned tag_of(const struct x87_state *x, unsigned n)
{
    struct f80 v = {x->significand[n], x->sign_exponent[n]};
    struct x87_operand o = f80_operand(v);
    if (!(x->in_use >> n & 1)) {
        return 3;
    }
    if (o.unsupported || o.n.denormal || o.n.class_of >= FP_INF) {
        return 2;
    }
    return o.n.class_of == FP_ZERO ? 1 : 0;
}

static uint16_t tag_word(const struct x87_state *x)
{
    unsigned word = 0;
    for (unsigned n = 0; n < 8; n++) {
        word |= tag_of(x, n) << (2 * n);
    }
    return (uint16_t)word;
}

static void set_tag_word(struct x87_state *x, uint16_t word)
{
    x->in_use = 0;
    for (unsigned n = 0; n < 8; n++) {
        if ((word >> (2 * n) & 3) != 3) {
            x->in_use |= (uint8_t)(1u << n);
        }
    }
}

static void set_control(struct x87_state *x, uint16_t fcw, uint16_t fsw)
{
    x->fcw = (uint16_t)((fcw & FCW_WRITABLE) | FCW_ONE);
    x->fsw = fsw;
    x87_update_summary(x);
}

unsigned x87_env_bytes(struct x87_env_form form)
{
    return form.wide ? 28 : 14;
}

/*
 *  28 bytes, protected        28 bytes, real                 14 bytes: the same fields in 16-bit words;
 *   0  ffff FCW                ffff FCW                      protected: FIP FCS FDP FDS (no FOP),
 *   4  ffff FSW                ffff FSW                      real: pointer 15..0, then bits 19..16 at 15..12
 *   8  ffff FTW                ffff FTW                      with FOP below
 *  12  FIP                     ffff FIP 15..0
 *  16  0 FOP 26..16, FCS       FIP 31..16 at 27..12, FOP
 *  20  FDP                     ffff FDP 15..0
 *  24  ffff FDS                FDP 31..16 at 27..12
 */
static void build_env_wide(const struct x87_state *x, bool real, uint8_t *out)
{
    const uint32_t ones = UINT32_C(0xffff0000);
    uint32_t fip = (uint32_t)x->fip, fdp = (uint32_t)x->fdp;
    store_le32(out, ones | x->fcw);
    store_le32(out + 4, ones | x->fsw);
    store_le32(out + 8, ones | tag_word(x));
    if (real) {
        fip += (uint32_t)x->fcs << 4;
        fdp += (uint32_t)x->fds << 4;
        store_le32(out + 12, ones | (fip & 0xffff));
        store_le32(out + 16, fip >> 16 << 12 | x->fop);
        store_le32(out + 20, ones | (fdp & 0xffff));
        store_le32(out + 24, fdp >> 16 << 12);
    } else {
        store_le32(out + 12, fip);
        store_le32(out + 16, (uint32_t)x->fop << 16 | x->fcs);
        store_le32(out + 20, fdp);
        store_le32(out + 24, ones | x->fds);
    }
}

static void build_env_narrow(const struct x87_state *x, bool real, uint8_t *out)
{
    uint32_t fip = (uint32_t)x->fip, fdp = (uint32_t)x->fdp;
    store_le16(out, x->fcw);
    store_le16(out + 2, x->fsw);
    store_le16(out + 4, tag_word(x));
    if (real) {
        fip += (uint32_t)x->fcs << 4;
        fdp += (uint32_t)x->fds << 4;
    }
    store_le16(out + 6, (uint16_t)fip);
    store_le16(out + 8, real ? (uint16_t)((fip >> 16 & 15) << 12 | x->fop) : x->fcs);
    store_le16(out + 10, (uint16_t)fdp);
    store_le16(out + 12, real ? (uint16_t)((fdp >> 16 & 15) << 12) : x->fds);
}

void x87_env_build(const struct x87_state *x, struct x87_env_form form, uint8_t *out)
{
    if (form.wide) {
        build_env_wide(x, form.real, out);
    } else {
        build_env_narrow(x, form.real, out);
    }
}

/* word(0..6): the fields at their stride. */
void x87_env_load(struct x87_state *x, struct x87_env_form form, const uint8_t *image)
{
    unsigned stride = form.wide ? 4 : 2;
    uint32_t word[7];
    for (unsigned i = 0; i < 7; i++) {
        word[i] = (uint32_t)load_le(image + (size_t)i * stride, stride);
    }
    set_control(x, (uint16_t)word[0], (uint16_t)word[1]);
    set_tag_word(x, (uint16_t)word[2]);
    if (form.real) {
        x->fip = (word[3] & 0xffff) | (uint64_t)(word[4] >> 12 & 0xffff) << 16;
        x->fdp = (word[5] & 0xffff) | (uint64_t)(word[6] >> 12 & 0xffff) << 16;
        x->fop = word[4] & 0x7ff;
        x->fcs = 0;
        x->fds = 0;
    } else {
        x->fip = word[3];
        x->fdp = word[5];
        x->fop = form.wide ? word[4] >> 16 & 0x7ff : 0;
        x->fcs = (uint16_t)word[4];
        x->fds = (uint16_t)word[6];
    }
}

void x87_save_build(const struct x87_state *x, struct x87_env_form form, uint8_t *out)
{
    uint8_t *p = out + x87_env_bytes(form);
    x87_env_build(x, form, out);
    for (unsigned i = 0; i < 8; i++, p += 10) {
        struct f80 v = x87_st(x, i);
        store_le64(p, v.significand);
        store_le16(p + 8, v.sign_exponent);
    }
}

/* ST(i) from ten bytes; tags stay. */
static void load_register(struct x87_state *x, unsigned i, const uint8_t *p)
{
    unsigned n = (x87_top(x) + i) & 7;
    x->significand[n] = load_le64(p);
    x->sign_exponent[n] = load_le16(p + 8);
}

void x87_save_load(struct x87_state *x, struct x87_env_form form, const uint8_t *image)
{
    const uint8_t *p = image + x87_env_bytes(form);
    x87_env_load(x, form, image);
    for (unsigned i = 0; i < 8; i++, p += 10) {
        load_register(x, i, p);
    }
}

/* ---- FXSAVE area ---- */

void fx_build_x87(const struct fx_state *s, uint8_t *area)
{
    const struct x87_state *x = s->x87;
    memset(area, 0, FX_MXCSR_OFFSET);
    store_le16(area, x->fcw);
    store_le16(area + 2, x->fsw);
    area[4] = x->in_use;
    if (x87_pending(x)) {
        store_le16(area + 6, x->fop);
        store_le64(area + 8, s->wide ? x->fip : (x->fip & UINT32_MAX) | (uint64_t)x->fcs << 32);
        store_le64(area + 16, s->wide ? x->fdp : (x->fdp & UINT32_MAX) | (uint64_t)x->fds << 32);
    }
    for (unsigned i = 0; i < 8; i++) {
        struct f80 v = x87_st(x, i);
        store_le64(area + FX_ST_OFFSET + (size_t)i * 16, v.significand);
        store_le64(area + FX_ST_OFFSET + (size_t)i * 16 + 8, v.sign_exponent);
    }
}

void fx_build_mxcsr(const struct fx_state *s, uint8_t *area)
{
    store_le32(area + FX_MXCSR_OFFSET, *s->mxcsr);
    store_le32(area + FX_MXCSR_OFFSET + 4, MXCSR_WRITABLE);
}

void fx_build_xmm(const struct fx_state *s, uint8_t *area)
{
    memcpy(area + FX_XMM_OFFSET, s->xmm, s->xmm_count * sizeof *s->xmm);
}

void fx_load_x87(const struct fx_state *s, const uint8_t *area)
{
    struct x87_state *x = s->x87;
    set_control(x, load_le16(area), load_le16(area + 2));
    x->in_use = area[4];
    x->fop = load_le16(area + 6) & 0x7ff;
    /* the silicon holds 57 bits of a pointer, sign-extended (it has five-level paging) */
    x->fip = s->wide ? bits_sext(load_le64(area + 8), 57) : load_le32(area + 8);
    x->fdp = s->wide ? bits_sext(load_le64(area + 16), 57) : load_le32(area + 16);
    x->fcs = s->wide ? 0 : load_le16(area + 12);
    x->fds = s->wide ? 0 : load_le16(area + 20);
    for (unsigned i = 0; i < 8; i++) {
        load_register(x, i, area + FX_ST_OFFSET + (size_t)i * 16);
    }
}

void fx_load_xmm(const struct fx_state *s, const uint8_t *area)
{
    memcpy(s->xmm, area + FX_XMM_OFFSET, s->xmm_count * sizeof *s->xmm);
}

bool fx_mxcsr_valid(const uint8_t *area)
{
    return (load_le32(area + FX_MXCSR_OFFSET) & ~MXCSR_WRITABLE) == 0;
}

/* ---- XSAVE area ---- */

static bool x87_is_initial(const struct x87_state *x)
{
    bool zero = true;
    for (unsigned n = 0; n < 8; n++) {
        zero = zero && x->significand[n] == 0 && x->sign_exponent[n] == 0;
    }
    return zero && x->fcw == FCW_INIT && x->fsw == 0 && x->in_use == 0 && x->fop == 0 && x->fip == 0 &&
           x->fdp == 0 && x->fcs == 0 && x->fds == 0;
}

static bool xmm_is_initial(const struct fx_state *s)
{
    uint64_t any = 0;
    for (unsigned i = 0; i < s->xmm_count; i++) {
        any |= s->xmm[i].u64[0] | s->xmm[i].u64[1];
    }
    return any == 0;
}

unsigned xsave_in_use(const struct fx_state *s)
{
    return (x87_is_initial(s->x87) ? 0 : XSTATE_X87) | (xmm_is_initial(s) ? 0 : XSTATE_SSE);
}

struct xsave_plan xsave_plan_make(const struct fx_state *s, enum xsave_kind kind, uint64_t requested,
                                  uint64_t old_xstate_bv)
{
    uint64_t in_use = xsave_in_use(s);
    if (kind == XSAVE_COMPACT) {
        in_use |= *s->mxcsr != MXCSR_RESET ? XSTATE_SSE : 0; /* MXCSR belongs to SSE here */
    }
    uint64_t saved = kind == XSAVE_PLAIN ? requested : requested & in_use;
    struct xsave_plan plan = {.x87 = saved & XSTATE_X87, .sse = saved & XSTATE_SSE};
    if (kind == XSAVE_COMPACT) {
        plan.mxcsr = plan.sse;
        plan.xstate_bv = requested & in_use;
        plan.xcomp_bv = requested | XCOMP_COMPACT;
        plan.header_bytes = 16;
    } else {
        plan.mxcsr = requested & XSTATE_SSE;
        plan.xstate_bv = (old_xstate_bv & ~requested) | (requested & in_use);
        plan.header_bytes = 8;
    }
    return plan;
}

/* The header of either format, against XCR0. */
static bool header_is_valid(const uint8_t *header, uint64_t xcr0)
{
    uint64_t xstate_bv = load_le64(header), xcomp_bv = load_le64(header + 8), rest = 0;
    bool compact = xcomp_bv >> 63;
    for (unsigned i = 16; i < (compact ? 64u : 24u); i += 8) {
        rest |= load_le64(header + i);
    }
    if (rest != 0) {
        return false;
    }
    if (compact) {
        xcomp_bv &= ~XCOMP_COMPACT;
        return (xcomp_bv & ~xcr0) == 0 && (xstate_bv & ~xcomp_bv) == 0;
    }
    return xcomp_bv == 0 && (xstate_bv & ~xcr0) == 0;
}

static void load_initial_x87(struct x87_state *x)
{
    memset(x, 0, sizeof *x);
    x87_init(x);
}

bool xrstor_load(const struct fx_state *s, uint64_t xcr0, uint64_t requested, const uint8_t *area)
{
    const uint8_t *header = area + XSAVE_HEADER_OFFSET;
    if (!header_is_valid(header, xcr0)) {
        return false;
    }
    uint64_t present = load_le64(header);
    bool compact = load_le64(header + 8) >> 63;
    bool loads_mxcsr = (requested & XSTATE_SSE) && (!compact || (present & XSTATE_SSE));
    if (loads_mxcsr && !fx_mxcsr_valid(area)) {
        return false;
    }
    if (requested & XSTATE_X87) {
        if (present & XSTATE_X87) {
            fx_load_x87(s, area);
        } else {
            load_initial_x87(s->x87);
        }
    }
    if (requested & XSTATE_SSE) {
        *s->mxcsr = loads_mxcsr ? load_le32(area + FX_MXCSR_OFFSET) : MXCSR_RESET;
        if (present & XSTATE_SSE) {
            fx_load_xmm(s, area);
        } else {
            memset(s->xmm, 0, s->xmm_count * sizeof *s->xmm);
        }
    }
    return true;
}
