/* Host-pointer entries (sim/cpu/mem_host.c): whose they are, that reads and writes do not evict each other, and that
 * implicit supervisor accesses keep to their own rights through them. */

#include "mem_one.h"

#define SLOTS_APART (HOST_ENTRIES * PAGE_SIZE_BYTES) /* two pages of one slot */

static bool system_read_hits(uint64_t a)
{
    return mem_host_read_system(cpu, a, 8) != NULL;
}

static void a_copy_between_pages_of_one_slot_keeps_both_entries(void **state)
{
    (void)state;
    uint64_t v, from = 0x10000000, to = from + SLOTS_APART;
    fixture_map(&f, from, 0x100000, RW);
    fixture_map(&f, to, 0x200000, RW);
    for (unsigned i = 0; i < 3; i++) {
        assert_true(mem_read(cpu, lin(from + 8 * i), 8, &v));
        assert_true(mem_write(cpu, lin(to + 8 * i), 8, v));
        assert_true(mem_read(cpu, lin(from + 8 * i), 8, &v));
    }
    assert_non_null(mem_host_read(cpu, from, 8));
    assert_non_null(mem_host_write(cpu, to, 8));
    assert_null(mem_host_write(cpu, from, 8));
}

static void system_accesses_of_user_code_fill_the_supervisors_entries_only(void **state)
{
    (void)state;
    uint64_t v = 0;
    fixture_map(&f, 0x5000, 0x123000, RW);
    fixture_cpl(cpu, 3);
    assert_true(mem_write_system(cpu, lin(0x5008), 8, 77));
    assert_true(mem_read_system(cpu, lin(0x5008), 8, &v));
    assert_int_equal(v, 77);
    assert_true(system_read_hits(0x5008));
    assert_null(mem_host_read(cpu, 0x5008, 8));
    assert_false(mem_read(cpu, lin(0x5008), 8, &v));
    assert_int_equal(cpu->fault.vector, VECTOR_PF);
    assert_int_equal(cpu->fault.error, PF_P | PF_U);
}

static void system_accesses_do_not_use_what_ac_allowed_under_smap(void **state)
{
    (void)state;
    uint64_t v;
    cpu->cr4 |= CR4_SMAP;
    fixture_map(&f, 0x5000, 0x123000, RWU);
    cpu->rflags |= RFLAGS_AC;
    fixture_update(cpu);
    assert_true(mem_read(cpu, lin(0x5000), 8, &v));
    assert_true(mem_write(cpu, lin(0x5000), 8, 1));
    assert_non_null(mem_host_write(cpu, 0x5000, 8));
    assert_false(mem_read_system(cpu, lin(0x5000), 8, &v));
    assert_int_equal(cpu->fault.vector, VECTOR_PF);
    assert_false(mem_write_system(cpu, lin(0x5000), 8, 1));
}

static void a_system_read_sees_a_page_that_was_mapped_anew_after_invlpg(void **state)
{
    (void)state;
    uint64_t v;
    fixture_entry(&f, 0x123000, 1);
    fixture_entry(&f, 0x456000, 2);
    fixture_map(&f, 0x5000, 0x123000, RW);
    assert_true(mem_read_system(cpu, lin(0x5000), 8, &v) && v == 1);
    fixture_map(&f, 0x5000, 0x456000, RW);
    assert_true(mem_read_system(cpu, lin(0x5000), 8, &v) && v == 1); /* the TLB holds it */
    mem_invlpg(cpu, lin(0x5000));
    assert_true(mem_read_system(cpu, lin(0x5000), 8, &v) && v == 2);
}

static void a_system_write_to_a_page_of_code_is_told_each_time(void **state)
{
    (void)state;
    fixture_map(&f, 0x5000, 0x123000, RW);
    assert_true(mem_write_system(cpu, lin(0x5000), 8, 1));
    assert_non_null(mem_host_write_system(cpu, 0x5000, 8));
    f.bus.ram.flags[0x123] |= PAGE_CODE;
    cpu_drop_write_page(cpu, phys(0x123000));
    assert_null(mem_host_write_system(cpu, 0x5000, 8));
    for (unsigned i = 1; i < 4; i++) {
        assert_true(mem_write_system(cpu, lin(0x5000), 8, i));
        assert_int_equal(f.special_writes, i);
    }
}

static void dropping_the_write_entries_of_a_page_finds_every_linear_page_and_no_other(void **state)
{
    (void)state;
    for (uint64_t a = 0x5000; a < 0x9000; a += 0x1000) {
        fixture_map(&f, a, a == 0x8000 ? 0x456000 : 0x123000, RWU);
        assert_true(mem_write(cpu, lin(a), 8, 1));
        fixture_cpl(cpu, 3);
        assert_true(mem_write(cpu, lin(a), 8, 1));
        fixture_cpl(cpu, 0);
    }
    cpu_drop_write_page(cpu, phys(0x123000));
    for (unsigned cpl = 0; cpl <= 3; cpl += 3) {
        fixture_cpl(cpu, cpl);
        for (uint64_t a = 0x5000; a < 0x8000; a += 0x1000) {
            assert_null(mem_host_write(cpu, a, 8));
            assert_non_null(mem_host_read(cpu, a, 8));
        }
        assert_non_null(mem_host_write(cpu, 0x8000, 8));
    }
}

static void an_access_that_crosses_its_page_has_no_host_pointer(void **state)
{
    (void)state;
    uint64_t v;
    fixture_map(&f, 0x5000, 0x123000, RW);
    fixture_map(&f, 0x6000, 0x124000, RW);
    assert_true(mem_read(cpu, lin(0x5ff0), 8, &v) && mem_read(cpu, lin(0x6000), 8, &v));
    assert_non_null(mem_host_read(cpu, 0x5ff8, 8));
    assert_null(mem_host_read(cpu, 0x5ff9, 8));
    assert_null(mem_host_read(cpu, 0x5fe0, 40));
}

#define HOST_TEST(test) cmocka_unit_test_setup_teardown((test), setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        HOST_TEST(a_copy_between_pages_of_one_slot_keeps_both_entries),
        HOST_TEST(system_accesses_of_user_code_fill_the_supervisors_entries_only),
        HOST_TEST(system_accesses_do_not_use_what_ac_allowed_under_smap),
        HOST_TEST(a_system_read_sees_a_page_that_was_mapped_anew_after_invlpg),
        HOST_TEST(a_system_write_to_a_page_of_code_is_told_each_time),
        HOST_TEST(dropping_the_write_entries_of_a_page_finds_every_linear_page_and_no_other),
        HOST_TEST(an_access_that_crosses_its_page_has_no_host_pointer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
