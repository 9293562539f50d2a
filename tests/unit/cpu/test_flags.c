/* Lazy status flags: every combination survives, and 8-bit arithmetic agrees with a plain definition
 * everywhere. */

#include "cpu/sem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>

static struct cpu *cpu;

static int make_cpu(void **state)
{
    (void)state;
    cpu = calloc(1, sizeof *cpu);
    return cpu == NULL;
}

static int drop_cpu(void **state)
{
    (void)state;
    free(cpu);
    return 0;
}

static uint64_t bits(bool cf, bool pf, bool af, bool zf, bool sf, bool of)
{
    return (cf ? RFLAGS_CF : 0) | (pf ? RFLAGS_PF : 0) | (af ? RFLAGS_AF : 0) | (zf ? RFLAGS_ZF : 0) |
           (sf ? RFLAGS_SF : 0) | (of ? RFLAGS_OF : 0);
}

static void all_64_combinations_come_back(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 64; i++) {
        uint64_t f = bits(i & 1, i & 2, i & 4, i & 8, i & 16, i & 32);
        flags_set(cpu, f);
        assert_int_equal(flags_get(cpu), f);
        for (unsigned k = 0; k < 64; k++) {
            uint64_t mask = bits(k & 1, k & 2, k & 4, k & 8, k & 16, k & 32);
            flags_set(cpu, f);
            flags_change(cpu, mask, ~f);
            assert_int_equal(flags_get(cpu), f ^ mask);
        }
        flags_set(cpu, f);
        flags_set_cf(cpu, !(i & 1));
        assert_int_equal(flags_get(cpu), f ^ RFLAGS_CF);
    }
}

static uint64_t plain_add(unsigned a, unsigned b, unsigned c)
{
    unsigned r = (a + b + c) & 0xff;
    int s = (int8_t)a + (int8_t)b + (int)c;
    return bits(a + b + c > 0xff, !__builtin_parity(r), (a & 15) + (b & 15) + c > 15, r == 0, r & 0x80,
                s < -128 || s > 127);
}

static uint64_t plain_sub(unsigned a, unsigned b, unsigned c)
{
    unsigned r = (a - b - c) & 0xff;
    int s = (int8_t)a - (int8_t)b - (int)c;
    return bits(a < b + c, !__builtin_parity(r), (a & 15) < (b & 15) + c, r == 0, r & 0x80,
                s < -128 || s > 127);
}

static void byte_additions_and_subtractions_agree_with_the_definition(void **state)
{
    (void)state;
    for (unsigned a = 0; a < 256; a++) {
        for (unsigned b = 0; b < 256; b++) {
            for (unsigned c = 0; c < 2; c++) {
                flags_set(cpu, c ? RFLAGS_CF : 0);
                assert_int_equal(sem_adc(cpu, a, b, 8, true), (a + b + c) & 0xff);
                assert_int_equal(flags_get(cpu), plain_add(a, b, c));
                flags_set(cpu, c ? RFLAGS_CF : 0);
                assert_int_equal(sem_sbb(cpu, a, b, 8, true), (a - b - c) & 0xff);
                assert_int_equal(flags_get(cpu), plain_sub(a, b, c));
            }
        }
    }
}

static void inc_and_dec_keep_carry_and_agree_with_add_and_sub(void **state)
{
    (void)state;
    for (unsigned a = 0; a < 256; a++) {
        for (unsigned c = 0; c < 2; c++) {
            uint64_t carry = c ? RFLAGS_CF : 0;
            flags_set(cpu, carry | RFLAGS_OF);
            sem_inc(cpu, a, 8, true);
            assert_int_equal(flags_get(cpu), (plain_add(a, 1, 0) & ~RFLAGS_CF) | carry);
            flags_set(cpu, carry);
            sem_dec(cpu, a, 8, true);
            assert_int_equal(flags_get(cpu), (plain_sub(a, 1, 0) & ~RFLAGS_CF) | carry);
        }
    }
}

/* The same values, moved to the top of a wider word, give the same carry, sign and overflow. */
static void wide_operations_agree_with_bytes_at_their_top(void **state)
{
    (void)state;
    const uint64_t seen = RFLAGS_CF | RFLAGS_SF | RFLAGS_OF | RFLAGS_ZF;
    for (unsigned w = 16; w <= 64; w *= 2) {
        for (unsigned a = 0; a < 256; a += 5) {
            for (unsigned b = 0; b < 256; b += 3) {
                sem_add(cpu, (uint64_t)a << (w - 8), (uint64_t)b << (w - 8), w, true);
                assert_int_equal(flags_get(cpu) & seen, plain_add(a, b, 0) & seen);
                sem_sub(cpu, (uint64_t)a << (w - 8), (uint64_t)b << (w - 8), w, true);
                assert_int_equal(flags_get(cpu) & seen, plain_sub(a, b, 0) & seen);
            }
        }
    }
}

static void operations_without_flags_leave_them(void **state)
{
    (void)state;
    flags_set(cpu, RFLAGS_ZF | RFLAGS_SF | RFLAGS_CF);
    sem_add(cpu, 1, 2, 32, false);
    sem_shl(cpu, 1, 2, 32, false);
    sem_imul(cpu, 1, 2, 32, false);
    sem_xor(cpu, 1, 2, 32, false);
    assert_int_equal(flags_get(cpu), RFLAGS_ZF | RFLAGS_SF | RFLAGS_CF);
}

static void conditions_follow_the_manuals_table(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 64; i++) {
        bool cf = i & 1, pf = i & 2, zf = i & 8, sf = i & 16, of = i & 32;
        bool expected[8] = {of, cf, zf, cf || zf, sf, pf, sf != of, zf || sf != of};
        flags_set(cpu, bits(cf, pf, i & 4, zf, sf, of));
        for (unsigned cc = 0; cc < 16; cc++) {
            assert_int_equal(flags_condition(cpu, cc), expected[cc / 2] != (cc & 1));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_64_combinations_come_back),
        cmocka_unit_test(byte_additions_and_subtractions_agree_with_the_definition),
        cmocka_unit_test(inc_and_dec_keep_carry_and_agree_with_add_and_sub),
        cmocka_unit_test(wide_operations_agree_with_bytes_at_their_top),
        cmocka_unit_test(operations_without_flags_leave_them),
        cmocka_unit_test(conditions_follow_the_manuals_table),
    };
    return cmocka_run_group_tests(tests, make_cpu, drop_cpu);
}
