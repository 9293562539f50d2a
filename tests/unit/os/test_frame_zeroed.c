/* Host tests of the frames that a CPU's cache keeps full of zeros. */

#include "fake/fake_arch.h"

static void write_word(pfn_t pfn, uint64_t value)
{
    *(uint64_t *)arch_phys_to_virt(paddr_from_pfn(pfn)) = value;
}

static uint64_t read_word(pfn_t pfn)
{
    return *(const uint64_t *)arch_phys_to_virt(paddr_from_pfn(pfn));
}

static void a_frame_that_is_given_back_full_of_zeros_is_taken_without_filling_it(void **state)
{
    (void)state;
    fake_machine(64, 1);
    uint64_t initial = frame_free_count();
    pfn_t dirty;
    pfn_t clean;
    pfn_t got;
    assert_ok(frame_alloc(0, FRAME_OWNER_TEST, 0, &dirty));
    assert_ok(frame_alloc(FRAME_ZERO, FRAME_OWNER_TEST, 0, &clean));
    write_word(dirty, 7);
    assert_ok(frame_free_zeroed(paddr_from_pfn(clean), FRAME_OWNER_TEST));
    assert_ok(frame_free(dirty));
    assert_int_equal(frame_free_count(), initial);
    assert_int_equal(frame_check(NULL), 0);
    write_word(clean, 9); /* shows who fills */
    assert_int_equal(frame_check(NULL), 1);
    assert_ok(frame_alloc(FRAME_ZERO, FRAME_OWNER_TEST, 0, &got));
    assert_int_equal(got, clean);
    assert_int_equal(read_word(got), 9);
    assert_ok(frame_alloc(FRAME_ZERO, FRAME_OWNER_TEST, 0, &got));
    assert_int_equal(got, dirty);
    assert_int_equal(read_word(got), 0);
    assert_int_equal(frame_free_zeroed(paddr_from_pfn(clean + 1000000), FRAME_OWNER_TEST),
                     STATUS_ERR_FOREIGN);
    assert_ok(frame_free_zeroed(paddr_from_pfn(dirty), FRAME_OWNER_TEST));
    assert_int_equal(frame_free_zeroed(paddr_from_pfn(dirty), FRAME_OWNER_TEST), STATUS_ERR_DOUBLE_FREE);
}

static void frames_full_of_zeros_are_counted_drained_and_given_to_who_wants_any(void **state)
{
    (void)state;
    fake_machine(64, 1);
    static pfn_t frames[1 << 14];
    uint64_t initial = frame_free_count();
    uint64_t taken = 0;
    assert_true(initial < sizeof frames / sizeof frames[0]);
    for (unsigned round = 0; round < 2; round++) {
        for (taken = 0;
             frame_alloc(FRAME_ZERO | FRAME_CRITICAL, FRAME_OWNER_TEST, 0, &frames[taken]) == STATUS_OK;
             taken++) {
        }
        for (uint64_t i = 0; i < taken; i++) {
            assert_ok(frame_free_zeroed(paddr_from_pfn(frames[i]), FRAME_OWNER_TEST));
        }
        assert_int_equal(frame_manager.cpus[0].zeroed_count, FRAME_CPU_ZEROED);
        assert_int_equal(frame_free_count(), initial);
        assert_int_equal(frame_check(NULL), 0);
    }
    uint64_t again = 0;
    while (frame_alloc(FRAME_CRITICAL, FRAME_OWNER_TEST, 0, &frames[again]) == STATUS_OK) {
        again++;
    }
    assert_int_equal(again, taken);
    assert_int_equal(frame_manager.cpus[0].zeroed_count, 0);
    for (uint64_t i = 0; i < again; i++) {
        assert_ok(frame_free_zeroed(paddr_from_pfn(frames[i]), FRAME_OWNER_TEST));
    }
    frame_cpu_drain_all();
    assert_int_equal(frame_manager.cpus[0].zeroed_count, 0);
    assert_int_equal(frame_free_count(), initial);
    assert_int_equal(frame_check(NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_frame_that_is_given_back_full_of_zeros_is_taken_without_filling_it),
        cmocka_unit_test(frames_full_of_zeros_are_counted_drained_and_given_to_who_wants_any),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
