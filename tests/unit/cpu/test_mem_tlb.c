/* The TLB as one vCPU sees it: stale translations, what invalidations reach, and the host and code entries that die with
 * theirs. */

#include "mem_one.h"

static void a_stale_translation_is_used_until_it_is_invalidated(void **state)
{
    (void)state;
    fixture_map(&f, 0x5000, 0x123000, RW);
    fixture_entry(&f, 0x123000, 1);
    fixture_entry(&f, 0x124000, 2);
    assert_int_equal(read_ok(0x5000, 8), 1);
    fixture_map(&f, 0x5000, 0x124000, RW);
    for (unsigned i = 0; i < 1000; i++) {
        assert_int_equal(read_ok(0x5000, 8), 1);
    }
    assert_int_equal(*mem_host_read(cpu, 0x5000, 8), 1);
    mem_invlpg(cpu, lin(0x5123));
    assert_null(mem_host_read(cpu, 0x5000, 8));
    assert_int_equal(read_ok(0x5000, 8), 2);
}

/* How many translations are stale, and the last of them. */
static unsigned stale_found(struct mem_stale *last)
{
    unsigned index = 0, count = 0;
    while (mem_next_stale(cpu, &index, last)) {
        count++;
    }
    return count;
}

static void what_is_cached_and_not_in_memory_is_found(void **state)
{
    (void)state;
    struct mem_stale found;
    fixture_map(&f, 0x5000, 0x123000, RW);
    fixture_map(&f, 0x6000, 0x125000, RW);
    read_ok(0x5000, 8);
    read_ok(0x6000, 8);
    assert_int_equal(stale_found(&found), 0);
    fixture_map(&f, 0x5000, 0x124000, RW); /* leads elsewhere */
    assert_int_equal(stale_found(&found), 1);
    assert_int_equal(found.linear.v, 0x5000);
    assert_int_equal(found.physical.v, 0x123000);
    assert_true(found.page_shift == 12 && !found.table);
    fixture_map(&f, 0x5000, 0x123000, 0); /* nowhere */
    assert_int_equal(stale_found(&found), 1);
    fixture_map(&f, 0x5000, 0x123000, PTE_P); /* grants less */
    assert_int_equal(stale_found(&found), 1);
    fixture_map(&f, 0x5000, 0x123000, RW | PTE_XD);
    assert_int_equal(stale_found(&found), 1);
    fixture_map(&f, 0x5000, 0x123000, RW | PTE_U); /* or more */
    assert_int_equal(stale_found(&found), 0);
    fixture_map(&f, 0x5000, 0x124000, RW);
    mem_invlpg(cpu, lin(0x5000));
    assert_int_equal(stale_found(&found), 0);
}

static void a_cached_table_that_memory_has_not_is_found(void **state)
{
    (void)state;
    struct mem_stale found;
    fixture_map(&f, 0x5000, 0x123000, RW);
    read_ok(0x5000, 8);
    uint64_t at = fixture_entry_at(&f, cpu->cr3, 0x5000, 2), old = fixture_word(&f, at);
    fixture_entry(&f, at, fixture_table(&f) | RW);
    fixture_map(&f, 0x5000, 0x123000, RW); /* the same page by another table */
    assert_int_equal(stale_found(&found), 1);
    assert_true(found.table && found.page_shift == 21 && found.linear.v == 0);
    assert_int_equal(found.physical.v, old & PTE_ADDRESS);
}

static void translations_of_other_spaces_are_not_stale_unless_global(void **state)
{
    (void)state;
    struct mem_stale found;
    cpu->cr4 |= CR4_PCIDE;
    fixture_map(&f, 0x5000, 0x123000, RW);
    fixture_map(&f, 0x6000, 0x125000, RW | PTE_G);
    read_ok(0x5000, 8);
    read_ok(0x6000, 8);
    fixture_map(&f, 0x5000, 0, 0);
    fixture_map(&f, 0x6000, 0, 0);
    assert_int_equal(stale_found(&found), 2);
    cpu->cr3 |= 1; /* another PCID */
    assert_int_equal(stale_found(&found), 1);
    assert_int_equal(found.linear.v, 0x6000);
    cpu->cr0 &= ~CR0_PG;
    assert_int_equal(stale_found(&found), 0);
    cpu->cr0 |= CR0_PG;
    cpu->cr3 &= ~UINT64_C(1); /* as its accelerators are */
}

static void a_first_write_through_a_clean_entry_walks_and_sets_dirty(void **state)
{
    (void)state;
    fixture_map(&f, 0x5000, 0x123000, RW);
    read_ok(0x5000, 8);
    write_ok(0x5000, 8, 1);
    assert_true(pte(0x5000) & PTE_D);
    fixture_map(&f, 0x5000, 0x123000, RW); /* the guest clears D without an invalidation: it stays clear */
    write_ok(0x5000, 8, 2);
    assert_false(pte(0x5000) & PTE_D);
    fixture_map(&f, 0x7000, 0x123000, RW);
    read_ok(0x7000, 8);
    fixture_map(&f, 0x7000, 0x125000, RW);
    write_ok(0x7000, 8, 9); /* the walk for D finds the page as it is now */
    assert_int_equal(fixture_word(&f, 0x125000), 9);
    assert_int_equal(read_ok(0x7000, 8), 9);
}

static void a_first_write_that_finds_another_page_size_forgets_the_old_one(void **state)
{
    (void)state;
    fixture_map(&f, 0x401000, 0x123000, RW);
    read_ok(0x401000, 8);
    fixture_entry(&f, fixture_entry_at(&f, cpu->cr3, 0x401000, 2), 0x600000 | RW | PTE_PS);
    mem_invlpg(cpu, lin(0)); /* drops the tables, not the page */
    assert_int_equal(read_ok(0x401000, 8), 0);
    write_ok(0x401000, 8, 77);
    assert_int_equal(fixture_word(&f, 0x601000), 77);
    assert_int_equal(read_ok(0x401000, 8), 77);
}

static void rights_that_were_relaxed_in_memory_need_no_invalidation(void **state)
{
    (void)state;
    fixture_map(&f, 0x5000, 0x123000, PTE_P);
    read_ok(0x5000, 8);
    fixture_map(&f, 0x5000, 0x123000, RW);
    write_ok(0x5000, 8, 4);
    assert_int_equal(fixture_word(&f, 0x123000), 4);
}

static void rights_that_were_taken_away_stay_until_invalidated(void **state)
{
    (void)state;
    fixture_map(&f, 0x5000, 0x123000, RW);
    write_ok(0x5000, 8, 4);
    fixture_map(&f, 0x5000, 0x123000, PTE_P);
    write_ok(0x5000, 8, 5);
    assert_non_null(mem_host_write(cpu, 0x5000, 8));
    mem_invlpg(cpu, lin(0x5000));
    expect_fault(mem_write(cpu, lin(0x5000), 8, 6), VECTOR_PF, 3, 0x5000);
}

static void clearing_wp_lets_the_supervisor_write_through_the_same_entry(void **state)
{
    (void)state;
    fixture_map(&f, 0x5000, 0x123000, PTE_P);
    read_ok(0x5000, 8);
    cpu->cr0 &= ~CR0_WP;
    write_ok(0x5000, 8, 3);
    assert_non_null(mem_host_write(cpu, 0x5000, 8));
    cpu->cr0 |= CR0_WP;
    mem_drop_host_entries(cpu); /* as MOV CR0 does */
    assert_false(mem_write(cpu, lin(0x5000), 8, 3));
}

static void host_entries_die_with_the_tlb_entry_that_is_replaced(void **state)
{
    (void)state;
    uint64_t stride = (uint64_t)TLB_4K_SETS << PAGE_SHIFT;
    for (unsigned i = 0; i <= TLB_4K_WAYS; i++) {
        fixture_map(&f, 0x10000 + i * stride, 0x123000,
                    RW); /* even when the two entries have the same data */
    }
    for (unsigned i = 0; i < TLB_4K_WAYS; i++) {
        write_ok(0x10000 + i * stride, 8, 1);
        mem_drop_host_entries(cpu);
    }
    write_ok(0x10000, 8, 1);
    assert_non_null(mem_host_write(cpu, 0x10000, 8));
    read_ok(0x10000 + TLB_4K_WAYS * stride, 8); /* a fill into the same set evicts the oldest */
    assert_null(mem_host_write(cpu, 0x10000, 8));
    assert_null(mem_host_read(cpu, 0x10000, 8));
}

static void eviction_takes_the_host_entries_and_a_new_walk_follows(void **state)
{
    (void)state;
    fixture_map(&f, 0x5000, 0x123000, RW);
    write_ok(0x5000, 8, 1);
    fixture_map(&f, 0x5000, 0x124000, RW);
    for (unsigned i = 0; i < TLB_ENTRIES; i++) {
        assert_int_equal(read_ok(0x5000, 8), 1);
        struct tlb_view view;
        if (tlb_view_entry(&cpu->tlb, i, &view) && view.bank == TLB_BANK_4K) {
            mem_tlb_evict(cpu, i);
            break;
        }
        mem_tlb_evict(cpu, i);
    }
    assert_null(mem_host_write(cpu, 0x5000, 8));
    assert_int_equal(read_ok(0x5000, 8), 0);
}

static bool has_code_entry(uint64_t a)
{
    return cpu->code_tables[0][(a >> PAGE_SHIFT) % CODE_ENTRIES].tag == a;
}

static void code_entries_die_with_their_tlb_entry(void **state)
{
    (void)state;
    phys_t at;
    uint64_t stride = (uint64_t)TLB_4K_SETS << PAGE_SHIFT;
    struct code_entry *e = &cpu->code_tables[0][(0x10000 >> PAGE_SHIFT) % CODE_ENTRIES];
    for (unsigned i = 0; i <= TLB_4K_WAYS; i++) {
        fixture_map(&f, 0x10000 + i * stride, 0x123000 + 0x1000 * i, RW);
    }
    assert_true(mem_fetch_translate(cpu, lin(0x10000), &at));
    *e = (struct code_entry){0x10000, at.v, 0};
    for (unsigned i = 1; i < TLB_4K_WAYS; i++) {
        read_ok(0x10000 + i * stride, 8);
    }
    assert_true(has_code_entry(0x10000));
    read_ok(0x10000 + TLB_4K_WAYS * stride, 8);
    assert_false(has_code_entry(0x10000));
    *e = (struct code_entry){0x10000, at.v, 0};
    mem_invlpg(cpu, lin(0x10800));
    assert_false(has_code_entry(0x10000));
    *e = (struct code_entry){0x10000, at.v, 0};
    mem_cr3_written(cpu, true);
    assert_false(has_code_entry(0x10000));
}

static void host_entries_of_a_large_page_die_with_it(void **state)
{
    (void)state;
    fixture_entry(&f, fixture_entry_at(&f, cpu->cr3, 0x400000, 2), 0x600000 | RW | PTE_PS);
    for (uint64_t a = 0x400000; a < 0x600000; a += 0x11000) {
        write_ok(a, 8, a);
        assert_non_null(mem_host_write(cpu, a, 8));
    }
    fixture_check_host_entries(cpu);
    mem_invlpg(cpu, lin(0x5ff000));
    for (uint64_t a = 0x400000; a < 0x600000; a += 0x1000) {
        assert_null(mem_host_write(cpu, a, 8));
    }
}

static void host_entries_of_a_large_page_die_when_another_of_the_same_memory_takes_its_place(void **state)
{
    (void)state;
    uint64_t stride = (uint64_t)TLB_2M_SETS << 21;
    for (unsigned i = 0; i <= TLB_2M_WAYS; i++) {
        uint64_t a = 0x40000000 + i * stride;
        fixture_entry(&f, fixture_entry_at(&f, cpu->cr3, a, 2), 0x600000 | RW | PTE_PS | PTE_D);
        read_ok(a + 0x1000 * i, 8);
    }
    assert_null(mem_host_read(cpu, 0x40000000, 8));
    assert_non_null(mem_host_read(cpu, 0x40000000 + TLB_2M_WAYS * (stride + 0x1000), 8));
}

static void writing_cr3_keeps_global_pages_and_other_pcids(void **state)
{
    (void)state;
    cpu->cr4 |= CR4_PCIDE;
    fixture_map(&f, 0x5000, 0x123000, RW);
    fixture_map(&f, 0x6000, 0x124000, RW | PTE_G);
    uint64_t root = cpu->cr3;
    cpu->cr3 = root | 1;
    mem_cr3_written(cpu, false);
    read_ok(0x5000, 8);
    read_ok(0x6000, 8);
    fixture_map(&f, 0x5000, 0, 0);
    fixture_map(&f, 0x6000, 0, 0);
    cpu->cr3 = root | 2;
    mem_cr3_written(cpu, false);
    uint64_t value;
    assert_true(mem_read(cpu, lin(0x6000), 8, &value));
    assert_false(mem_read(cpu, lin(0x5000), 8, &value));
    cpu->cr3 = root | 1;
    mem_cr3_written(cpu, true);
    assert_true(mem_read(cpu, lin(0x5000), 8, &value));
    mem_cr3_written(cpu, false);
    assert_false(mem_read(cpu, lin(0x5000), 8, &value));
    assert_true(mem_read(cpu, lin(0x6000), 8, &value));
    mem_invpcid(cpu, INVPCID_ALL, 0, lin(0));
    assert_true(mem_read(cpu, lin(0x6000), 8, &value));
    mem_invpcid(cpu, INVPCID_ALL_GLOBAL, 0, lin(0));
    assert_false(mem_read(cpu, lin(0x6000), 8, &value));
}

static void invpcid_reaches_other_pcids(void **state)
{
    (void)state;
    cpu->cr4 |= CR4_PCIDE;
    uint64_t root = cpu->cr3, value;
    for (unsigned pcid = 1; pcid <= 2; pcid++) {
        cpu->cr3 = root | pcid;
        mem_cr3_written(cpu, true);
        fixture_map(&f, 0x5000, 0x123000, RW);
        fixture_map(&f, 0x6000, 0x124000, RW);
        read_ok(0x5000, 8);
        read_ok(0x6000, 8);
    }
    fixture_map(&f, 0x5000, 0, 0);
    fixture_map(&f, 0x6000, 0, 0);
    mem_invpcid(cpu, INVPCID_ADDRESS, 1, lin(0x5000));
    assert_true(mem_read(cpu, lin(0x5000), 8, &value));
    cpu->cr3 = root | 1;
    mem_cr3_written(cpu, true);
    assert_false(mem_read(cpu, lin(0x5000), 8, &value));
    assert_true(mem_read(cpu, lin(0x6000), 8, &value));
    mem_invpcid(cpu, INVPCID_SINGLE, 1, lin(0));
    assert_false(mem_read(cpu, lin(0x6000), 8, &value));
    cpu->cr3 = root | 2;
    mem_cr3_written(cpu, true);
    assert_true(mem_read(cpu, lin(0x6000), 8, &value));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_stale_translation_is_used_until_it_is_invalidated),
        TEST(what_is_cached_and_not_in_memory_is_found),
        TEST(a_cached_table_that_memory_has_not_is_found),
        TEST(translations_of_other_spaces_are_not_stale_unless_global),
        TEST(a_first_write_through_a_clean_entry_walks_and_sets_dirty),
        TEST(a_first_write_that_finds_another_page_size_forgets_the_old_one),
        TEST(rights_that_were_relaxed_in_memory_need_no_invalidation),
        TEST(rights_that_were_taken_away_stay_until_invalidated),
        TEST(clearing_wp_lets_the_supervisor_write_through_the_same_entry),
        TEST(host_entries_die_with_the_tlb_entry_that_is_replaced),
        TEST(eviction_takes_the_host_entries_and_a_new_walk_follows),
        TEST(code_entries_die_with_their_tlb_entry),
        TEST(host_entries_of_a_large_page_die_with_it),
        TEST(host_entries_of_a_large_page_die_when_another_of_the_same_memory_takes_its_place),
        TEST(writing_cr3_keeps_global_pages_and_other_pcids),
        TEST(invpcid_reaches_other_pcids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
