/*
 * Memory images of the x87 and SSE state against the host CPU, byte for byte, bytes that must stay untouched
 * included.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bits.h"
#include "base/rng.h"
#include "cpu/fp.h"
#include "cpu/x87_image.h"
#include "host_vendor.h"

#define CASES 3000

struct area {
    _Alignas(64) uint8_t bytes[576];
};

struct owner {
    struct x87_state x87;
    union xmm xmm[16];
    uint32_t mxcsr;
};

static struct fx_state view(struct owner *o, bool wide)
{
    return (struct fx_state){
        .x87 = &o->x87, .xmm = o->xmm, .mxcsr = &o->mxcsr, .xmm_count = 16, .wide = wide};
}

/* A legal FXSAVE image with random contents; an unmasked exception may be pending. */
static void random_image(struct rng *r, struct area *a)
{
    for (unsigned i = 0; i < 576; i += 8) {
        store_le64(a->bytes + i, rng_next(r));
    }
    for (unsigned i = 0; i < 8; i++) { /* interesting tags: zeros, specials */
        uint8_t *p = a->bytes + FX_ST_OFFSET + (size_t)i * 16;
        if (rng_below(r, 3) == 0) {
            store_le16(p + 8, (uint16_t)(rng_below(r, 2) ? 0x8000 : 0x7fff));
            store_le64(p, rng_below(r, 2) ? 0 : BIT(63));
        }
        memset(p + 10, 0, 6);
    }
    store_le32(a->bytes + FX_MXCSR_OFFSET, (uint32_t)rng_next(r) & 0xffff);
    memset(a->bytes + XSAVE_HEADER_OFFSET, 0, 64);
}

static void load_ours(struct owner *o, const struct area *a, bool wide)
{
    struct fx_state s = view(o, wide);
    memset(o, 0, sizeof *o);
    fx_load_x87(&s, a->bytes);
    fx_load_xmm(&s, a->bytes);
    o->mxcsr = load_le32(a->bytes + FX_MXCSR_OFFSET);
}

static void fx_build(struct owner *o, bool wide, uint8_t *out)
{
    struct fx_state s = view(o, wide);
    fx_build_x87(&s, out);
    fx_build_mxcsr(&s, out);
    fx_build_xmm(&s, out);
}

#define XMM_ALL                                                                                       \
    "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", \
        "xmm12", "xmm13", "xmm14", "xmm15", "memory"

/* One sequence on the host: load `in`, run text with rdi = out and rsi = extra, put the unit back. */
#define HOST(name, text)                                                                    \
    static void host_##name(const struct area *in, void *out, const void *extra)            \
    {                                                                                       \
        uint32_t mxcsr = MXCSR_RESET;                                                       \
        __asm__ volatile("fxrstor64 (%0); " text "; fninit; ldmxcsr %3"                     \
                         :                                                                  \
                         : "r"(in->bytes), "D"(out), "S"(extra), "m"(mxcsr), "a"(3), "d"(0) \
                         : XMM_ALL);                                                        \
    }
HOST(fnstenv, "fnstenv (%%rdi)")
HOST(fnstenv14, "data16 fnstenv (%%rdi)")
HOST(fnsave, "fnsave (%%rdi)")
HOST(fnsave14, "data16 fnsave (%%rdi)")
HOST(fxsave64, "fxsave64 (%%rdi)")
HOST(fxsave, "fxsave (%%rdi)")
HOST(fldenv, "fninit; fldenv (%%rsi); fxsave64 (%%rdi)")
HOST(fldenv14, "fninit; data16 fldenv (%%rsi); fxsave64 (%%rdi)")
HOST(frstor, "fninit; frstor (%%rsi); fxsave64 (%%rdi)")
HOST(frstor14, "fninit; data16 frstor (%%rsi); fxsave64 (%%rdi)")
HOST(fxrstor, "fxrstor (%%rsi); fnstenv (%%rdi)")
HOST(xsave, "xsave64 (%%rdi)")
HOST(xsaveopt, "xsaveopt64 (%%rdi)")
HOST(xsavec, "xsavec64 (%%rdi)")
HOST(xrstor, "xrstor64 (%%rsi); fxsave64 (%%rdi)")
HOST(xrstor_xsave, "xrstor64 (%%rsi); xsave64 (%%rdi)")
HOST(xrstor_xsavec, "xrstor64 (%%rsi); xsavec64 (%%rdi)")

typedef void host_fn(const struct area *in, void *out, const void *extra);

static void take(struct area *host, const struct area *ours, unsigned first, unsigned end)
{
    memcpy(host->bytes + first, ours->bytes + first, end - first);
}

/* Another vendor's pointers give way to ours where no exception is pending, and otherwise what it has otherwise: bits 63..48,
 * and the selectors, which Intel's newer ones store as 0. In the areas of FXSAVE and XSAVE, and in the environments of 28 bytes
 * and of 14, alone or with registers behind them. */
static void take_pointers(struct area *host, const struct area *ours, unsigned size_bytes)
{
    bool area = size_bytes >= 416, wide = size_bytes == 28 || size_bytes == 108;
    bool pending = (load_le16(ours->bytes + (wide ? 4 : 2)) & FSW_ES) != 0;
    if (host_is_amd()) {
        return;
    }
    if (!pending) {
        take(host, ours, area || !wide ? 6 : 12, area ? 24 : wide ? 28 : 14);
    } else if (area) {
        take(host, ours, 14, 16);
        take(host, ours, 22, 24);
    } else {
        take(host, ours, wide ? 16 : 8, wide ? 18 : 10);
        take(host, ours, wide ? 24 : 12, wide ? 26 : 14);
    }
}

/* Runs the host's sequence over a copy of `around` and compares size_bytes with ours. When the host's kernel
 * switches tasks in the middle, the unit loses pointers that are not those of a pending exception and what it
 * knew of initial components; so a case counts as different only when it differs every time. */
static void assert_host(const char *name, host_fn *host, const struct area *in, const void *extra,
                        const struct area *around, const struct area *ours, unsigned size_bytes)
{
    struct area result;
    for (unsigned attempt = 0; attempt < 8; attempt++) {
        result = *around;
        host(in, result.bytes, extra);
        if (size_bytes > FX_MXCSR_OFFSET + 8 && load_le32(result.bytes + 28) == 0x2ffff) {
            store_le32(result.bytes + 28, MXCSR_WRITABLE); /* our MXCSR_MASK differs, as x87_image.c says */
        }
        take_pointers(&result, ours, size_bytes);
        if (memcmp(result.bytes, ours->bytes, size_bytes) == 0) {
            return;
        }
    }
    unsigned i = 0;
    while (result.bytes[i] == ours->bytes[i]) {
        i++;
    }
    fail_msg("%s: byte %u is %02x, host %02x", name, i, ours->bytes[i], result.bytes[i]);
}

static void environment_and_save_images_equal_the_host(void **state)
{
    (void)state;
    static const struct x87_env_form wide = {.wide = true}, narrow = {.wide = false};
    static const struct area blank;
    struct rng r;
    rng_init(&r, 5, 0);
    for (unsigned n = 0; n < CASES; n++) {
        struct area in, ours = blank;
        struct owner o;
        random_image(&r, &in);
        load_ours(&o, &in, true);
        x87_env_build(&o.x87, wide, ours.bytes);
        assert_host("fnstenv", host_fnstenv, &in, NULL, &blank, &ours, 28);
        x87_env_build(&o.x87, narrow, ours.bytes);
        assert_host("fnstenv 14", host_fnstenv14, &in, NULL, &blank, &ours, 14);
        x87_save_build(&o.x87, wide, ours.bytes);
        assert_host("fnsave", host_fnsave, &in, NULL, &blank, &ours, 108);
        x87_save_build(&o.x87, narrow, ours.bytes);
        assert_host("fnsave 14", host_fnsave14, &in, NULL, &blank, &ours, 94);
    }
}

static void loaded_environments_and_saves_equal_the_host(void **state)
{
    (void)state;
    static host_fn *const hosts[4] = {host_fldenv, host_fldenv14, host_frstor, host_frstor14};
    static const struct area blank;
    struct rng r;
    rng_init(&r, 6, 0);
    for (unsigned n = 0; n < CASES; n++) {
        struct area in, ours = blank;
        struct owner o;
        uint8_t image[112];
        random_image(&r, &in);
        for (unsigned i = 0; i < sizeof image; i += 8) {
            store_le64(image + i, rng_next(&r));
        }
        for (unsigned form = 0; form < 4; form++) {
            struct x87_env_form shape = {.wide = form % 2 == 0};
            load_ours(&o, &in, true);
            x87_init(&o.x87);
            if (form < 2) {
                x87_env_load(&o.x87, shape, image);
            } else {
                x87_save_load(&o.x87, shape, image);
            }
            fx_build(&o, true, ours.bytes);
            assert_host(form < 2 ? "fldenv" : "frstor", hosts[form], &in, image, &blank, &ours, 416);
        }
    }
}

static void fxsave_images_equal_the_host_in_both_pointer_formats(void **state)
{
    (void)state;
    struct area around;
    struct rng r;
    rng_init(&r, 7, 0);
    memset(&around, 0xa5, sizeof around);
    for (unsigned n = 0; n < CASES; n++) {
        struct area in, ours = around;
        struct owner o;
        random_image(&r, &in);
        load_ours(&o, &in, true);
        fx_build(&o, true, ours.bytes);
        assert_host("fxsave64", host_fxsave64, &in, NULL, &around, &ours, 576);
        fx_build(&o, false, ours.bytes);
        assert_host("fxsave", host_fxsave, &in, NULL, &around, &ours, 576);
        load_ours(&o, &in, false);
        x87_env_build(&o.x87, (struct x87_env_form){.wide = true}, ours.bytes);
        assert_host("fxrstor", host_fxrstor, &in, in.bytes, &around, &ours, 28);
    }
}

/* Carries out a plan on an area, as the XSAVE instructions do. */
static void run_plan(struct owner *o, enum xsave_kind kind, struct area *a)
{
    struct fx_state s = view(o, true);
    struct xsave_plan plan =
        xsave_plan_make(&s, kind, XSTATE_SUPPORTED, load_le64(a->bytes + XSAVE_HEADER_OFFSET));
    if (plan.x87) {
        fx_build_x87(&s, a->bytes);
    }
    if (plan.mxcsr) {
        fx_build_mxcsr(&s, a->bytes);
    }
    if (plan.sse) {
        fx_build_xmm(&s, a->bytes);
    }
    store_le64(a->bytes + XSAVE_HEADER_OFFSET, plan.xstate_bv);
    if (plan.header_bytes == 16) {
        store_le64(a->bytes + XSAVE_HEADER_OFFSET + 8, plan.xcomp_bv);
    }
}

static void xsave_areas_equal_the_host(void **state)
{
    (void)state;
    static host_fn *const hosts[3] = {host_xsave, host_xsaveopt, host_xsavec};
    static const enum xsave_kind kinds[3] = {XSAVE_PLAIN, XSAVE_OPTIMISED, XSAVE_COMPACT};
    struct area around;
    struct rng r;
    rng_init(&r, 8, 0);
    memset(&around, 0x5a, sizeof around);
    memset(around.bytes + XSAVE_HEADER_OFFSET, 0, 64);
    for (unsigned n = 0; n < CASES; n++) {
        struct area in, ours = around;
        struct owner o;
        random_image(&r, &in);
        load_ours(&o, &in, true);
        run_plan(&o, kinds[n % 3], &ours);
        assert_host("xsave", hosts[n % 3], &in, NULL, &around, &ours, 576);
    }
}

/* A random header: both formats, components present or initial. */
static void random_header(struct rng *r, struct area *a)
{
    uint64_t present = rng_below(r, 4);
    store_le64(a->bytes + XSAVE_HEADER_OFFSET, present);
    store_le64(a->bytes + XSAVE_HEADER_OFFSET + 8,
               rng_below(r, 2) ? XCOMP_COMPACT | present | rng_below(r, 4) : 0);
}

static void xrstor_equals_the_host_in_both_formats(void **state)
{
    (void)state;
    static const struct area blank;
    struct rng r;
    rng_init(&r, 9, 0);
    for (unsigned n = 0; n < CASES; n++) {
        struct area before, in, ours = blank;
        struct owner o;
        random_image(&r, &before);
        random_image(&r, &in);
        random_header(&r, &in);
        load_ours(&o, &before, true);
        struct fx_state s = view(&o, true);
        assert_true(xrstor_load(&s, XSTATE_SUPPORTED, XSTATE_SUPPORTED, in.bytes));
        fx_build(&o, true, ours.bytes);
        assert_host("xrstor", host_xrstor, &before, in.bytes, &blank, &ours, 416);
    }
}

static void components_restored_to_their_initial_state_are_not_in_use_afterwards(void **state)
{
    (void)state;
    static const struct area blank;
    struct rng r;
    rng_init(&r, 10, 0);
    for (unsigned n = 0; n < CASES; n++) {
        struct area before, in, ours = blank;
        struct owner o;
        random_image(&r, &before);
        random_image(&r, &in);
        random_header(&r, &in);
        load_ours(&o, &before, true);
        struct fx_state s = view(&o, true);
        assert_true(xrstor_load(&s, XSTATE_SUPPORTED, XSTATE_SUPPORTED, in.bytes));
        run_plan(&o, n % 2 ? XSAVE_COMPACT : XSAVE_PLAIN, &ours);
        assert_host("xsave after xrstor", n % 2 ? host_xrstor_xsavec : host_xrstor_xsave, &before, in.bytes,
                    &blank, &ours, 576);
    }
}

static bool header_accepted(uint64_t xstate_bv, uint64_t xcomp_bv, unsigned dirty_byte)
{
    struct area a = {{0}};
    struct owner o = {.mxcsr = MXCSR_RESET};
    struct fx_state s = view(&o, true);
    store_le64(a.bytes + XSAVE_HEADER_OFFSET, xstate_bv);
    store_le64(a.bytes + XSAVE_HEADER_OFFSET + 8, xcomp_bv);
    if (dirty_byte) {
        a.bytes[XSAVE_HEADER_OFFSET + dirty_byte] = 1;
    }
    return xrstor_load(&s, XSTATE_SUPPORTED, XSTATE_SUPPORTED, a.bytes);
}

static void xrstor_refuses_headers_that_the_manual_forbids(void **state)
{
    (void)state;
    assert_true(header_accepted(3, 0, 0));
    assert_false(header_accepted(4, 0, 0));
    assert_false(header_accepted(1, 1, 0));
    assert_false(header_accepted(0, 0, 16));
    assert_true(header_accepted(0, 0, 24));
    assert_true(header_accepted(1, XCOMP_COMPACT | 3, 0));
    assert_false(header_accepted(1, XCOMP_COMPACT | 2, 0));
    assert_false(header_accepted(1, XCOMP_COMPACT | 5, 0));
    assert_false(header_accepted(1, XCOMP_COMPACT | 3, 63));
}

static void xrstor_refuses_reserved_mxcsr_bits_and_changes_nothing(void **state)
{
    (void)state;
    struct area a = {{0}};
    struct owner o = {.mxcsr = MXCSR_RESET, .x87 = {.fcw = 0x127f}};
    struct fx_state s = view(&o, true);
    store_le32(a.bytes + FX_MXCSR_OFFSET, 0x10000);
    assert_false(xrstor_load(&s, XSTATE_SUPPORTED, XSTATE_SUPPORTED, a.bytes));
    assert_int_equal(o.x87.fcw, 0x127f);
    assert_true(xrstor_load(&s, XSTATE_SUPPORTED, XSTATE_X87, a.bytes));
    assert_int_equal(o.x87.fcw, FCW_INIT);
}

static void real_mode_environment_holds_linear_pointers(void **state)
{
    (void)state;
    struct x87_state x = {
        .fcw = FCW_INIT, .fip = 0x1234, .fcs = 0xf000, .fdp = 0x10, .fds = 0x2000, .fop = 0x5c3};
    uint8_t image[28];
    x87_env_build(&x, (struct x87_env_form){.wide = false, .real = true}, image);
    assert_int_equal(load_le16(image + 6), 0x1234);
    assert_int_equal(load_le16(image + 8), 0xf5c3);
    assert_int_equal(load_le16(image + 10), 0x0010);
    assert_int_equal(load_le16(image + 12), 0x2000);
    x87_env_build(&x, (struct x87_env_form){.wide = true, .real = true}, image);
    assert_int_equal(load_le32(image + 12), 0xffff1234);
    assert_int_equal(load_le32(image + 16), 0x0000f5c3);
    struct x87_state back = {.fcw = 0};
    x87_env_load(&back, (struct x87_env_form){.wide = true, .real = true}, image);
    assert_int_equal(back.fip, 0xf1234);
    assert_int_equal(back.fdp, 0x20010);
    assert_int_equal(back.fop, 0x5c3);
}

static void reset_and_finit_leave_different_states(void **state)
{
    (void)state;
    struct x87_state x;
    uint8_t image[28];
    x87_reset(&x);
    x87_env_build(&x, (struct x87_env_form){.wide = true}, image);
    assert_int_equal(load_le16(image), 0x0040);
    assert_int_equal(load_le16(image + 8), 0x5555);
    x87_init(&x);
    x87_env_build(&x, (struct x87_env_form){.wide = true}, image);
    assert_int_equal(load_le16(image), 0x037f);
    assert_int_equal(load_le16(image + 8), 0xffff);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(environment_and_save_images_equal_the_host),
        cmocka_unit_test(loaded_environments_and_saves_equal_the_host),
        cmocka_unit_test(fxsave_images_equal_the_host_in_both_pointer_formats),
        cmocka_unit_test(xsave_areas_equal_the_host),
        cmocka_unit_test(xrstor_equals_the_host_in_both_formats),
        cmocka_unit_test(components_restored_to_their_initial_state_are_not_in_use_afterwards),
        cmocka_unit_test(xrstor_refuses_headers_that_the_manual_forbids),
        cmocka_unit_test(xrstor_refuses_reserved_mxcsr_bits_and_changes_nothing),
        cmocka_unit_test(real_mode_environment_holds_linear_pointers),
        cmocka_unit_test(reset_and_finit_leave_different_states),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
