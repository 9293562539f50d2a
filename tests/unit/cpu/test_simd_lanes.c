/*
 * Every row of simd_lanes.def against the host's own instruction: all immediates, all shift counts that
 * matter, random and special operands. The native side is a table of assembler stubs made from the same rows,
 * so no row can be left out. A stub works on xmm0, xmm1 or mm0, mm1, with the mask of the blends in xmm0.
 */
#include "base/rng.h"
#include "cpu/simd_lanes.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { STUB_BYTES = 16, CASES = 3000, IMM_CASES = 24, COUNT_CASES = 20 };

#define STUB(label, text) __asm__(".text\n.balign 16\n" label ": " text "; ret\n")
#define STUBS(label, text)                    \
    __asm__(".text\n.balign 16\n" label ":\n" \
            ".set simd_imm, 0\n.rept 256\n.balign 16\n" text "; ret\n.set simd_imm, simd_imm+1\n.endr\n")

/* clang-format off */
#define LANES_MX(name, lane, value)                                                                          \
    void stub_m_##name(void); STUB("stub_m_" #name, #name " %mm1, %mm0");                                    \
    LANES_X(name, lane, value)
#define LANES_X(name, lane, value)                                                                           \
    void stub_x_##name(void); STUB("stub_x_" #name, #name " %xmm1, %xmm0");
#define IMM_MX(name, lane, value) IMM_M(name, lane, value) IMM_X(name, lane, value)
#define IMM_X(name, lane, value)                                                                             \
    void stub_x_##name(void); STUBS("stub_x_" #name, X_TEXT_##name);
#define IMM_M(name, lane, value)                                                                             \
    void stub_m_##name(void); STUBS("stub_m_" #name, #name " $simd_imm, %mm1, %mm0");
#define IMM_OWN_X(name, lane, value) IMM_X(name, lane, value)
#define COUNT_X(name, lane, value)                                                                           \
    void stub_x_##name(void); STUBS("stub_x_" #name, #name " $simd_imm, %xmm0");
#define COUNT_MX(name, lane, value)                                                                          \
    void stub_m_##name(void); STUB("stub_m_" #name, #name " %mm1, %mm0");                                    \
    void stub_x_##name(void); STUB("stub_x_" #name, #name " %xmm1, %xmm0");
#define MASK_X(name, lane, value)                                                                            \
    void stub_x_##name(void); STUB("stub_x_" #name, #name " %xmm0, %xmm2, %xmm1; movaps %xmm1, %xmm0");
/* clang-format on */

#define X_THREE(name)   #name " $simd_imm, %xmm1, %xmm0"
#define X_TEXT_mpsadbw  X_THREE(mpsadbw)
#define X_TEXT_palignr  X_THREE(palignr)
#define X_TEXT_pshufd   X_THREE(pshufd)
#define X_TEXT_pshuflw  X_THREE(pshuflw)
#define X_TEXT_pshufhw  X_THREE(pshufhw)
#define X_TEXT_shufps   X_THREE(shufps)
#define X_TEXT_shufpd   X_THREE(shufpd)
#define X_TEXT_pblendw  X_THREE(pblendw)
#define X_TEXT_blendps  X_THREE(blendps)
#define X_TEXT_blendpd  X_THREE(blendpd)
#define X_TEXT_insertps X_THREE(insertps)
#include "cpu/simd_lanes.def"

typedef void stub_fn(void);

struct row {
    const char *name;
    stub_fn *stub;
    void (*lanes_x)(union xmm *, const union xmm *);
    void (*lanes_m)(union mmx *, const union mmx *);
    void (*imm_x)(union xmm *, const union xmm *, unsigned);
    void (*imm_m)(union mmx *, const union mmx *, unsigned);
    void (*count_x)(union xmm *, uint64_t);
    void (*bytes_x)(union xmm *, uint64_t); /* the count only as an immediate */
    void (*count_m)(union mmx *, uint64_t);
    void (*mask_x)(union xmm *, const union xmm *, const union xmm *);
};

#define ROW(file, field, row_name) \
    {.name = #row_name, .stub = stub_##file##_##row_name, .field##_##file = simd_##row_name##_##file},
#define LANES_MX(name, lane, value)  ROW(m, lanes, name) ROW(x, lanes, name)
#define LANES_X(name, lane, value)   ROW(x, lanes, name)
#define IMM_MX(name, lane, value)    ROW(m, imm, name) ROW(x, imm, name)
#define IMM_X(name, lane, value)     ROW(x, imm, name)
#define IMM_M(name, lane, value)     ROW(m, imm, name)
#define IMM_OWN_X(name, lane, value) ROW(x, imm, name)
#define COUNT_X(name, lane, value)   ROW(x, bytes, name)
#define COUNT_MX(name, lane, value)  ROW(m, count, name) ROW(x, count, name)
#define MASK_X(name, lane, value)    ROW(x, mask, name)
static const struct row rows[] = {
#include "cpu/simd_lanes.def"
};

enum { ROWS = sizeof rows / sizeof rows[0] };

/* A call in inline assembly must not write into the caller's red zone. */
#define CALL_STUB "lea -128(%%rsp), %%rsp\n\tcall *%1\n\tlea 128(%%rsp), %%rsp"

static void native_x(const struct row *row, unsigned imm, union xmm *d, const union xmm *s,
                     const union xmm *mask)
{
    const char *stub = (const char *)(uintptr_t)row->stub + STUB_BYTES * imm;
    if (mask) {
        __asm__ volatile("movups %2, %%xmm0\n\tmovups %3, %%xmm2\n\tmovups %0, %%xmm1\n\t" CALL_STUB
                         "\n\tmovups %%xmm0, %0"
                         : "+m"(*d)
                         : "r"(stub), "m"(*mask), "m"(*s)
                         : "xmm0", "xmm1", "xmm2", "memory", "cc");
    } else {
        __asm__ volatile("movups %0, %%xmm0\n\tmovups %2, %%xmm1\n\t" CALL_STUB "\n\tmovups %%xmm0, %0"
                         : "+m"(*d)
                         : "r"(stub), "m"(*s)
                         : "xmm0", "xmm1", "memory", "cc");
    }
}

static void native_m(const struct row *row, unsigned imm, union mmx *d, const union mmx *s)
{
    const char *stub = (const char *)(uintptr_t)row->stub + STUB_BYTES * imm;
    __asm__ volatile("movq %0, %%mm0\n\tmovq %2, %%mm1\n\t" CALL_STUB "\n\tmovq %%mm0, %0\n\temms"
                     : "+m"(*d)
                     : "r"(stub), "m"(*s)
                     : "mm0", "mm1", "memory", "cc");
}

/* A quadword that is random, or made of bytes, words or dwords at the edges of their ranges. */
static uint64_t operand(struct rng *rng)
{
    static const uint64_t edge[] = {0,      1,      0x7f,       0x80,       0xff,      0x7fff,
                                    0x8000, 0xffff, 0x7fffffff, 0x80000000, UINT32_MAX};
    uint64_t choice = rng_next(rng), v = 0;
    if ((choice & 3) == 0) {
        return rng_next(rng);
    }
    unsigned width = 4u << (choice >> 2 & 3);
    for (unsigned at = 0; at < 64; at += width) {
        choice = rng_next(rng);
        uint64_t e = edge[(choice >> 8) % (sizeof edge / sizeof edge[0])];
        v |= ((choice & 7) ? e & ((UINT64_C(1) << width) - 1) : choice >> 32 & 0xf) << at;
    }
    return v;
}

static union xmm operand_x(struct rng *rng)
{
    uint64_t hi = operand(rng);
    return xmm_make(hi, operand(rng));
}

static void check_x(const struct row *row, unsigned imm, const union xmm *ours, const union xmm *native)
{
    if (memcmp(ours, native, sizeof *ours) != 0) {
        fail_msg("%s imm %u: %016llx%016llx, host %016llx%016llx", row->name, imm,
                 (unsigned long long)ours->u64[1], (unsigned long long)ours->u64[0],
                 (unsigned long long)native->u64[1], (unsigned long long)native->u64[0]);
    }
}

static void check_m(const struct row *row, unsigned imm, const union mmx *ours, const union mmx *native)
{
    if (ours->u64[0] != native->u64[0]) {
        fail_msg("mmx %s imm %u: %016llx, host %016llx", row->name, imm, (unsigned long long)ours->u64[0],
                 (unsigned long long)native->u64[0]);
    }
}

static void compare_x(const struct row *row, unsigned imm, struct rng *rng)
{
    union xmm d = operand_x(rng), s = operand_x(rng), mask = operand_x(rng), native = d;
    native_x(row, imm, &native, &s, row->mask_x ? &mask : NULL);
    if (row->lanes_x) {
        row->lanes_x(&d, &s);
    } else if (row->imm_x) {
        row->imm_x(&d, &s, imm);
    } else {
        row->mask_x(&d, &s, &mask);
    }
    check_x(row, imm, &d, &native);
}

static void compare_m(const struct row *row, unsigned imm, struct rng *rng)
{
    union mmx d = mmx_make(operand(rng)), s = mmx_make(operand(rng)), native = d;
    native_m(row, imm, &native, &s);
    if (row->lanes_m) {
        row->lanes_m(&d, &s);
    } else {
        row->imm_m(&d, &s, imm);
    }
    check_m(row, imm, &d, &native);
}

static void every_packed_and_blend_row_equals_the_native_instruction(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 1, 0);
    for (unsigned r = 0; r < ROWS; r++) {
        for (unsigned k = 0; k < CASES; k++) {
            if (rows[r].lanes_x || rows[r].mask_x) {
                compare_x(&rows[r], 0, &rng);
            } else if (rows[r].lanes_m) {
                compare_m(&rows[r], 0, &rng);
            }
        }
    }
}

static void every_immediate_of_every_row_equals_the_native_instruction(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 2, 0);
    for (unsigned r = 0; r < ROWS; r++) {
        for (unsigned k = 0; k < 256 * IMM_CASES; k++) {
            if (rows[r].imm_x) {
                compare_x(&rows[r], k % 256, &rng);
            } else if (rows[r].imm_m) {
                compare_m(&rows[r], k % 256, &rng);
            }
        }
    }
}

static void compare_count(const struct row *row, uint64_t count, struct rng *rng)
{
    if (row->count_x) {
        union xmm d = operand_x(rng), s = xmm_make(rng_next(rng), count), native = d;
        native_x(row, 0, &native, &s, NULL);
        row->count_x(&d, count);
        check_x(row, (unsigned)count, &d, &native);
    } else {
        union mmx d = mmx_make(operand(rng)), s = mmx_make(count), native = d;
        native_m(row, 0, &native, &s);
        row->count_m(&d, count);
        check_m(row, (unsigned)count, &d, &native);
    }
}

static void every_shift_equals_the_native_instruction_for_counts_within_and_beyond_the_lane(void **state)
{
    (void)state;
    static const uint64_t large[] = {256, 1u << 16, UINT64_C(1) << 32, UINT64_C(0x100000003),
                                     UINT64_C(1) << 63};
    struct rng rng;
    rng_init(&rng, 3, 0);
    for (unsigned r = 0; r < ROWS; r++) {
        if (!rows[r].count_x && !rows[r].count_m) {
            continue;
        }
        for (unsigned k = 0; k < 130 * COUNT_CASES; k++) {
            compare_count(&rows[r], k % 130, &rng);
        }
        for (unsigned k = 0; k < sizeof large / sizeof large[0]; k++) {
            compare_count(&rows[r], large[k], &rng);
        }
    }
}

static void every_byte_shift_equals_the_native_instruction(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 6, 0);
    for (unsigned r = 0; r < ROWS; r++) {
        for (unsigned k = 0; k < 256 * IMM_CASES && rows[r].bytes_x; k++) {
            union xmm d = operand_x(&rng), native = d;
            native_x(&rows[r], k % 256, &native, &d, NULL);
            rows[r].bytes_x(&d, k % 256);
            check_x(&rows[r], k % 256, &d, &native);
        }
    }
}

static void a_register_may_be_source_and_destination_at_once(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 4, 0);
    for (unsigned r = 0; r < ROWS; r++) {
        for (unsigned k = 0; k < 256; k++) {
            union xmm d = operand_x(&rng), copy = d, native = d;
            if (rows[r].lanes_x) {
                native_x(&rows[r], 0, &native, &copy, NULL);
                rows[r].lanes_x(&d, &d);
                check_x(&rows[r], k, &d, &native);
            } else if (rows[r].imm_x) {
                native_x(&rows[r], k, &native, &copy, NULL);
                rows[r].imm_x(&d, &d, k);
                check_x(&rows[r], k, &d, &native);
            }
        }
    }
}

static void sign_masks_equal_the_native_instructions(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 5, 0);
    for (unsigned k = 0; k < CASES; k++) {
        union xmm v = operand_x(&rng);
        union mmx w = mmx_make(operand(&rng));
        uint32_t b, d, q, m;
        __asm__("movups %4, %%xmm1\n\tpmovmskb %%xmm1, %0\n\tmovmskps %%xmm1, %1\n\tmovmskpd %%xmm1, %2\n\t"
                "movq %5, %%mm1\n\tpmovmskb %%mm1, %3\n\temms"
                : "=&r"(b), "=&r"(d), "=&r"(q), "=&r"(m)
                : "m"(v), "m"(w)
                : "xmm1", "mm1");
        assert_int_equal(simd_signs_b_x(&v), b);
        assert_int_equal(simd_signs_d_x(&v), d);
        assert_int_equal(simd_signs_q_x(&v), q);
        assert_int_equal(simd_signs_b_m(&w), m);
    }
}

static void sse4a_fields_cover_length_zero_as_64_and_keep_the_other_bits(void **state)
{
    (void)state;
    const uint64_t v = UINT64_C(0x0123456789abcdef);
    assert_true(simd_extrq(v, 0, 0) == v);
    assert_true(simd_extrq(v, 8, 4) == 0xde);
    assert_true(simd_extrq(v, 64 + 8, 64 + 4) == 0xde);
    assert_true(simd_extrq(v, 16, 48) == 0x0123);
    assert_true(simd_insertq(v, UINT64_MAX, 8, 4) == UINT64_C(0x0123456789abcfff));
    assert_true(simd_insertq(v, 0, 16, 48) == UINT64_C(0x0000456789abcdef));
    assert_true(simd_insertq(v, 5, 0, 0) == 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_packed_and_blend_row_equals_the_native_instruction),
        cmocka_unit_test(every_immediate_of_every_row_equals_the_native_instruction),
        cmocka_unit_test(every_shift_equals_the_native_instruction_for_counts_within_and_beyond_the_lane),
        cmocka_unit_test(every_byte_shift_equals_the_native_instruction),
        cmocka_unit_test(a_register_may_be_source_and_destination_at_once),
        cmocka_unit_test(sign_masks_equal_the_native_instructions),
        cmocka_unit_test(sse4a_fields_cover_length_zero_as_64_and_keep_the_other_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
