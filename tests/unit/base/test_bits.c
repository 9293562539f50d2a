/* Bits, bytes, 128-bit arithmetic, addresses, host errors, CHECK. */

#define _POSIX_C_SOURCE 200809L

#include "base/bits.h"
#include "base/check.h"
#include "base/status.h"
#include "base/types.h"
#include "base/u128.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void masks_and_fields(void **state)
{
    (void)state;
    assert_int_equal(bits_mask(0), 0);
    assert_int_equal(bits_mask(1), 1);
    assert_int_equal(bits_mask(63), INT64_MAX);
    assert_int_equal(bits_mask(64), UINT64_MAX);
    assert_int_equal(bits_get(UINT64_C(0xfedcba9876543210), 63, 0), UINT64_C(0xfedcba9876543210));
    assert_int_equal(bits_get(0xabcd, 11, 4), 0xbc);
    assert_int_equal(bits_get(UINT64_C(1) << 63, 63, 63), 1);
    assert_int_equal(BIT(63), UINT64_C(0x8000000000000000));
    assert_int_equal(bits_size_mask(1), 0xff);
    assert_int_equal(bits_size_mask(4), 0xffffffff);
    assert_int_equal(bits_size_mask(8), UINT64_MAX);
}

static void sign_extension(void **state)
{
    (void)state;
    assert_int_equal(bits_sext(0x80, 8), UINT64_C(0xffffffffffffff80));
    assert_int_equal(bits_sext(0x17f, 8), 0x7f);
    assert_int_equal(bits_sext(1, 1), UINT64_MAX);
    assert_int_equal(bits_sext(UINT64_C(0x8000000000000000), 64), UINT64_C(0x8000000000000000));
}

static void alignment(void **state)
{
    (void)state;
    assert_int_equal(align_down(0x1fff, 0x1000), 0x1000);
    assert_int_equal(align_up(0x1001, 0x1000), 0x2000);
    assert_int_equal(align_up(0x1000, 0x1000), 0x1000);
}

static void little_endian_bytes(void **state)
{
    (void)state;
    static const uint8_t bytes[8] = {0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11};
    static const uint64_t values[4] = {0x88, 0x7788, 0x55667788, UINT64_C(0x1122334455667788)};
    for (unsigned i = 0; i < 4; i++) {
        unsigned size = 1u << i;
        assert_int_equal(load_le(bytes, size), values[i]);
        uint8_t out[9];
        memset(out, 0xee, sizeof out);
        store_le(out, UINT64_C(0x1122334455667788), size);
        assert_memory_equal(out, bytes, size);
        assert_int_equal(out[size], 0xee);
    }
}

static void wide_multiplication_and_division(void **state)
{
    (void)state;
    u128_t p = u128_mul64(UINT64_MAX, UINT64_MAX);
    assert_int_equal(u128_hi(p), UINT64_MAX - 1);
    assert_int_equal(u128_lo(p), 1);
    assert_true(u128_make(UINT64_MAX - 1, 1) == p);
    s128_t s = s128_mul64(INT64_MIN, 2);
    assert_true(s < 0);
    assert_int_equal(u64_muldiv(UINT64_MAX, 3, 3), UINT64_MAX);
    assert_int_equal(u64_muldiv(7, 5, 2), 17);
    assert_int_equal(u64_muldiv_up(7, 5, 2), 18);
    assert_int_equal(u64_muldiv_up(8, 5, 2), 20);
    assert_int_equal(u64_muldiv_up(0, 5, 2), 0);
}

static void canonical_addresses(void **state)
{
    (void)state;
    assert_true(lin_is_canonical(lin(0)));
    assert_true(lin_is_canonical(lin(UINT64_C(0x00007fffffffffff))));
    assert_false(lin_is_canonical(lin(UINT64_C(0x0000800000000000))));
    assert_false(lin_is_canonical(lin(UINT64_C(0xffff7fffffffffff))));
    assert_true(lin_is_canonical(lin(UINT64_C(0xffff800000000000))));
}

static void error_is_formatted_truncated_and_false(void **state)
{
    (void)state;
    struct error e;
    assert_false(error_set(&e, "%s: %d", "file", 7));
    assert_string_equal(e.text, "file: 7");
    char big[2000];
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = 0;
    assert_false(error_set(&e, "%s", big));
    assert_int_equal(strlen(e.text), sizeof e.text - 1);
    assert_false(error_set(NULL, "nowhere"));
}

static void print_context(const void *arg)
{
    fprintf(stderr, "context %s\n", (const char *)arg);
    CHECK(false, "a second failure must not call the printer again");
}

static void failed_check_prints_place_and_context_and_aborts(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        static char where[] = "cycle 5";
        dup2(ends[1], STDERR_FILENO);
        check_set_context(CHECK_FRONT_END, print_context, where);
        CHECK(1 + 1 == 3, "number %d", 42);
        _exit(0);
    }
    close(ends[1]);
    char text[1024] = {0};
    size_t size = 0;
    for (ssize_t n; (n = read(ends[0], text + size, sizeof text - 1 - size)) > 0;) {
        size += (size_t)n;
    }
    close(ends[0]);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_non_null(strstr(text, "CHECK(1 + 1 == 3): number 42"));
    assert_non_null(strstr(text, "test_bits.c"));
    assert_non_null(strstr(text, "context cycle 5"));
    assert_ptr_equal(strstr(strstr(text, "context") + 1, "context"), NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(masks_and_fields),
        cmocka_unit_test(sign_extension),
        cmocka_unit_test(alignment),
        cmocka_unit_test(little_endian_bytes),
        cmocka_unit_test(wide_multiplication_and_division),
        cmocka_unit_test(canonical_addresses),
        cmocka_unit_test(error_is_formatted_truncated_and_false),
        cmocka_unit_test(failed_check_prints_place_and_context_and_aborts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
