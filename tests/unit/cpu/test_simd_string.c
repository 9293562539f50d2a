/*
 * The string comparisons against the host: every immediate, both forms of lengths, all result kinds and all
 * flags.
 */
#include "base/rng.h"
#include "cpu/simd_string.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { STUB_BYTES = 16, CASES_PER_IMM = 300 };

#define STUBS(name)                                           \
    void stub_##name(void);                                   \
    __asm__(".text\n.balign 16\nstub_" #name ":\n"            \
            ".set simd_imm, 0\n.rept 256\n.balign 16\n" #name \
            " $simd_imm, %xmm2, %xmm1; ret\n.set simd_imm, simd_imm+1\n.endr\n")
STUBS(pcmpestri);
STUBS(pcmpestrm);
STUBS(pcmpistri);
STUBS(pcmpistrm);
/* PCMPESTRI xmm1, xmm2 with REX.W: the lengths are the whole RAX and RDX. */
void stub_long_lengths(void);
__asm__(".text\n.balign 16\nstub_long_lengths:\n"
        ".set simd_imm, 0\n.rept 256\n.balign 16\n.byte 0x66, 0x48, 0x0f, 0x3a, 0x61, 0xca, simd_imm; ret\n"
        ".set simd_imm, simd_imm+1\n.endr\n");

#define FLAG_CF 0x001u
#define FLAG_PF 0x004u
#define FLAG_AF 0x010u
#define FLAG_ZF 0x040u
#define FLAG_SF 0x080u
#define FLAG_OF 0x800u
#define FLAGS   (FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF | FLAG_OF)

struct native {
    uint64_t rcx, flags;
    union xmm xmm0;
};

static struct native native_run(void (*stubs)(void), unsigned imm, const union xmm *d, const union xmm *s,
                                uint64_t rax, uint64_t rdx)
{
    struct native out = {0};
    const char *stub = (const char *)(uintptr_t)stubs + STUB_BYTES * imm;
    __asm__ volatile(
        "movups %[d], %%xmm1\n\tmovups %[s], %%xmm2\n\tpxor %%xmm0, %%xmm0\n\t"
        "lea -128(%%rsp), %%rsp\n\tcall *%[stub]\n\tpushfq\n\tpop %[flags]\n\tlea 128(%%rsp), %%rsp\n\t"
        "movups %%xmm0, %[xmm0]"
        : [flags] "=&r"(out.flags), "+c"(out.rcx), [xmm0] "=m"(out.xmm0), "+a"(rax), "+d"(rdx)
        : [d] "m"(*d), [s] "m"(*s), [stub] "r"(stub)
        : "xmm0", "xmm1", "xmm2", "memory", "cc");
    out.flags &= FLAGS;
    return out;
}

static uint64_t flags_of(const struct simd_string *r)
{
    return (r->cf ? FLAG_CF : 0) | (r->zf ? FLAG_ZF : 0) | (r->sf ? FLAG_SF : 0) | (r->of ? FLAG_OF : 0);
}

/* Few different elements, so that they meet; some ends; now and then anything. */
static union xmm text(struct rng *rng)
{
    static const uint8_t alphabet[] = {0, 1, 2, 3, 0x7f, 0x80, 0xfe, 0xff};
    union xmm v = xmm_make(rng_next(rng), rng_next(rng));
    uint64_t kind = rng_below(rng, 4);
    for (unsigned i = 0; i < 16 && kind != 0; i++) {
        v.u8[i] = kind == 1 ? (uint8_t)(1 + rng_below(rng, 3)) : alphabet[rng_below(rng, sizeof alphabet)];
    }
    if (kind == 2) { /* words of one significant byte */
        for (unsigned i = 1; i < 16; i += 2) {
            v.u8[i] = 0;
        }
    }
    return v;
}

static int64_t length(struct rng *rng)
{
    static const int64_t special[] = {INT64_MIN,        INT64_MAX, INT32_MIN, INT32_MAX,
                                      INT64_C(1) << 32, -17,       17,        1000};
    return rng_below(rng, 8) == 0 ? special[rng_below(rng, 8)] : (int64_t)rng_below(rng, 35) - 17;
}

static void assert_index(const struct simd_string *r, unsigned imm, const struct native *host)
{
    if (simd_string_index(r, imm) != host->rcx || flags_of(r) != host->flags) {
        fail_msg("imm %02x: index %u flags %llx, host %llu flags %llx", imm, simd_string_index(r, imm),
                 (unsigned long long)flags_of(r), (unsigned long long)host->rcx,
                 (unsigned long long)host->flags);
    }
}

static void assert_mask(const struct simd_string *r, unsigned imm, const struct native *host)
{
    union xmm mask = simd_string_mask(r, imm);
    if (memcmp(&mask, &host->xmm0, sizeof mask) != 0 || flags_of(r) != host->flags) {
        fail_msg("imm %02x: mask %016llx%016llx flags %llx, host %016llx%016llx flags %llx", imm,
                 (unsigned long long)mask.u64[1], (unsigned long long)mask.u64[0],
                 (unsigned long long)flags_of(r), (unsigned long long)host->xmm0.u64[1],
                 (unsigned long long)host->xmm0.u64[0], (unsigned long long)host->flags);
    }
}

static void implicit_lengths_give_the_native_index_mask_and_flags(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 1, 0);
    for (unsigned k = 0; k < 256 * CASES_PER_IMM; k++) {
        unsigned imm = k % 256;
        union xmm d = text(&rng), s = rng_below(&rng, 4) ? text(&rng) : d;
        struct simd_string r = simd_string_implicit(&d, &s, imm);
        struct native index = native_run(stub_pcmpistri, imm, &d, &s, 0, 0);
        struct native mask = native_run(stub_pcmpistrm, imm, &d, &s, 0, 0);
        assert_index(&r, imm, &index);
        assert_mask(&r, imm, &mask);
    }
}

static void explicit_lengths_give_the_native_index_mask_and_flags(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 2, 0);
    for (unsigned k = 0; k < 256 * CASES_PER_IMM; k++) {
        unsigned imm = k % 256;
        union xmm d = text(&rng), s = rng_below(&rng, 4) ? text(&rng) : d;
        int64_t d_length = length(&rng), s_length = length(&rng);
        struct simd_string r = simd_string_explicit(&d, &s, imm, (int32_t)d_length, (int32_t)s_length);
        struct native index = native_run(stub_pcmpestri, imm, &d, &s, (uint64_t)d_length, (uint64_t)s_length);
        struct native mask = native_run(stub_pcmpestrm, imm, &d, &s, (uint64_t)d_length, (uint64_t)s_length);
        assert_index(&r, imm, &index);
        assert_mask(&r, imm, &mask);
    }
}

static void sixty_four_bit_lengths_are_saturated_like_the_native_ones(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 3, 0);
    for (unsigned k = 0; k < 256 * 64; k++) {
        unsigned imm = k % 256;
        union xmm d = text(&rng), s = text(&rng);
        int64_t d_length = length(&rng), s_length = length(&rng);
        struct simd_string r = simd_string_explicit(&d, &s, imm, d_length, s_length);
        struct native index =
            native_run(stub_long_lengths, imm, &d, &s, (uint64_t)d_length, (uint64_t)s_length);
        assert_index(&r, imm, &index);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(implicit_lengths_give_the_native_index_mask_and_flags),
        cmocka_unit_test(explicit_lengths_give_the_native_index_mask_and_flags),
        cmocka_unit_test(sixty_four_bit_lengths_are_saturated_like_the_native_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
