/* The translation caches: what answers, what is replaced, what each invalidation takes and leaves. */

#include "mmu/tlb.h"

#include "base/types.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct tlb tlb;

/* Linear address of the n-th page that falls into the set of page 0 of a bank. */
static lin_t same_set(enum tlb_bank bank, unsigned n)
{
    return lin((uint64_t)n * tlb_banks[bank].sets << tlb_banks[bank].page_shift);
}

static const struct tlb_entry *lookup(lin_t a, unsigned pcid)
{
    unsigned page_shift;
    return tlb_lookup(&tlb, a, pcid, &page_shift);
}

static bool has(lin_t a, unsigned pcid)
{
    return lookup(a, pcid) != NULL;
}

static bool has_table(enum tlb_bank bank, lin_t a, unsigned pcid)
{
    return tlb_lookup_table(&tlb, bank, a, pcid) != NULL;
}

static void tlb_lookup_finds_what_was_filled_and_says_how_large_it_is(void **state)
{
    (void)state;
    static const uint64_t at[] = {UINT64_C(0xffff800000003000), 0x40200000, UINT64_C(0x7fc0000000)};
    tlb_init(&tlb);
    for (unsigned i = 0; i < TLB_PAGE_BANKS; i++) {
        assert_false(has(lin(at[i]), 0));
        tlb_fill(&tlb, (enum tlb_bank)i, lin(at[i] + 0xabc), 0, 0x1000 * (i + 1));
    }
    for (unsigned i = 0; i < TLB_PAGE_BANKS; i++) {
        unsigned shift = 0;
        uint64_t last = at[i] + bits_mask(tlb_banks[i].page_shift);
        const struct tlb_entry *e = tlb_lookup(&tlb, lin(last), 0, &shift);
        assert_non_null(e);
        assert_int_equal(e->data, 0x1000 * (i + 1));
        assert_int_equal(shift, tlb_banks[i].page_shift);
        assert_true(tlb_entry_linear(e).v == at[i]);
        assert_false(has(lin(last + 1), 0));
    }
}

static void a_small_page_hides_a_large_one(void **state)
{
    (void)state;
    tlb_init(&tlb);
    tlb_fill(&tlb, TLB_BANK_2M, lin(0x200000), 0, 0x800000);
    tlb_fill(&tlb, TLB_BANK_4K, lin(0x201000), 0, 0x5000);
    assert_int_equal(lookup(lin(0x201000), 0)->data, 0x5000);
    assert_int_equal(lookup(lin(0x202000), 0)->data, 0x800000);
}

static void check_fifo(enum tlb_bank bank)
{
    const struct tlb_bank_shape *b = &tlb_banks[bank];
    tlb_init(&tlb);
    for (unsigned i = 0; i < b->ways; i++) {
        assert_int_equal(tlb_fill(&tlb, bank, same_set(bank, i), 0, 0x1000 * (i + 1)).key, 0);
    }
    for (unsigned hits = 0; hits < 100; hits++) {
        assert_non_null(tlb_lookup_table(&tlb, bank, same_set(bank, 0), 0)); /* hits do not save the oldest */
    }
    for (unsigned i = 0; i < 3u * b->ways; i++) {
        struct tlb_entry old = tlb_fill(&tlb, bank, same_set(bank, b->ways + i), 0, 0x1000);
        assert_int_equal(tlb_entry_linear(&old).v, same_set(bank, i).v);
        assert_false(has_table(bank, same_set(bank, i), 0));
    }
}

static void replacement_is_first_filled_first_out_whatever_was_hit(void **state)
{
    (void)state;
    for (unsigned bank = 0; bank < TLB_BANK_COUNT; bank++) {
        check_fifo((enum tlb_bank)bank);
    }
}

static void filling_a_page_again_overwrites_it_and_keeps_its_age(void **state)
{
    (void)state;
    const struct tlb_bank_shape *b = &tlb_banks[TLB_BANK_4K];
    tlb_init(&tlb);
    for (unsigned i = 0; i < b->ways; i++) {
        tlb_fill(&tlb, TLB_BANK_4K, same_set(TLB_BANK_4K, i), 0, 0x1000);
    }
    struct tlb_entry old = tlb_fill(&tlb, TLB_BANK_4K, same_set(TLB_BANK_4K, 0), 0, 0x1000 | TLB_D);
    assert_int_equal(old.data, 0x1000);
    assert_int_equal(lookup(same_set(TLB_BANK_4K, 0), 0)->data, 0x1000 | TLB_D);
    old = tlb_fill(&tlb, TLB_BANK_4K, same_set(TLB_BANK_4K, b->ways), 0, 0x1000);
    assert_int_equal(tlb_entry_linear(&old).v, 0);
}

/* One page, one global page and the tables of two PCIDs. */
static const uint64_t page = 0x7000, global_page = 0x8000, elsewhere = UINT64_C(0x8000000000);

static void fill_two_pcids(void)
{
    tlb_init(&tlb);
    for (unsigned pcid = 1; pcid <= 2; pcid++) {
        tlb_fill(&tlb, TLB_BANK_4K, lin(page), pcid, 0x1000 * pcid);
        tlb_fill(&tlb, TLB_BANK_PDE, lin(page), pcid, 0x1000 * pcid);
    }
    tlb_fill(&tlb, TLB_BANK_4K, lin(global_page), 1, 0x5000 | TLB_G);
}

static void pcids_do_not_see_each_other_but_for_global_pages(void **state)
{
    (void)state;
    fill_two_pcids();
    assert_int_equal(lookup(lin(page), 1)->data, 0x1000);
    assert_int_equal(lookup(lin(page), 2)->data, 0x2000);
    assert_false(has(lin(page), 3));
    assert_true(has(lin(global_page), 1) && has(lin(global_page), 0xfff));
    assert_int_equal(tlb_lookup_table(&tlb, TLB_BANK_PDE, lin(page), 2)->data, 0x2000);
}

static void invlpg_takes_the_page_even_when_global_and_every_table_of_the_pcid(void **state)
{
    (void)state;
    fill_two_pcids();
    tlb_fill(&tlb, TLB_BANK_PML4E, lin(elsewhere), 1, 0x1000);
    assert_false(tlb_invlpg(&tlb, lin(page + 0xfff), 1));
    assert_false(has(lin(page), 1));
    assert_true(has(lin(page), 2));
    assert_false(has_table(TLB_BANK_PDE, lin(page), 1) || has_table(TLB_BANK_PML4E, lin(elsewhere), 1));
    assert_true(has_table(TLB_BANK_PDE, lin(page), 2));
    assert_true(has(lin(global_page), 1));
    tlb_invlpg(&tlb, lin(global_page), 2);
    assert_false(has(lin(global_page), 1));
}

static void invlpg_of_a_large_page_says_so_and_takes_both_halves_of_4_mib(void **state)
{
    (void)state;
    tlb_init(&tlb);
    for (unsigned half = 0; half < 2; half++) {
        tlb_fill(&tlb, TLB_BANK_2M, lin(0x400000), 0, 0x400000 | TLB_4M);
        tlb_fill(&tlb, TLB_BANK_2M, lin(0x600000), 0, 0x600000 | TLB_4M);
        assert_true(tlb_invlpg(&tlb, lin(0x400000 + half * 0x200000), 0));
        assert_false(has(lin(0x400000), 0) || has(lin(0x600000), 0));
    }
    tlb_fill(&tlb, TLB_BANK_2M, lin(0x400000), 0, 0x400000);
    tlb_fill(&tlb, TLB_BANK_2M, lin(0x600000), 0, 0x600000);
    assert_true(tlb_invlpg(&tlb, lin(0x400000), 0));
    assert_true(has(lin(0x600000), 0));
}

static void invalidating_an_address_spares_global_pages_and_tables_of_other_addresses(void **state)
{
    (void)state;
    fill_two_pcids();
    tlb_fill(&tlb, TLB_BANK_PML4E, lin(elsewhere), 1, 0x1000);
    tlb_invalidate_address(&tlb, lin(page), 1);
    tlb_invalidate_address(&tlb, lin(global_page), 1);
    assert_false(has(lin(page), 1) || has_table(TLB_BANK_PDE, lin(page), 1));
    assert_true(has(lin(page), 2) && has(lin(global_page), 1) &&
                has_table(TLB_BANK_PML4E, lin(elsewhere), 1));
}

static void a_fault_takes_the_page_even_when_global_and_only_the_tables_it_used(void **state)
{
    (void)state;
    fill_two_pcids();
    tlb_fill(&tlb, TLB_BANK_PML4E, lin(elsewhere), 1, 0x1000);
    tlb_invalidate_fault(&tlb, lin(global_page), 1);
    assert_false(has(lin(global_page), 2) || has_table(TLB_BANK_PDE, lin(global_page), 1));
    assert_true(has(lin(page), 1) && has_table(TLB_BANK_PML4E, lin(elsewhere), 1));
}

static void invalidating_a_pcid_spares_global_pages_and_other_pcids(void **state)
{
    (void)state;
    fill_two_pcids();
    tlb_invalidate_pcid(&tlb, 2);
    assert_false(has(lin(page), 2) || has_table(TLB_BANK_PDE, lin(page), 2));
    assert_true(has(lin(page), 1) && has(lin(global_page), 2) && has_table(TLB_BANK_PDE, lin(page), 1));
}

static void invalidating_all_but_global_and_all(void **state)
{
    (void)state;
    fill_two_pcids();
    tlb_invalidate_local(&tlb);
    assert_false(has(lin(page), 1) || has(lin(page), 2) || has_table(TLB_BANK_PDE, lin(page), 1));
    assert_true(has(lin(global_page), 7));
    tlb_invalidate_all(&tlb);
    assert_false(has(lin(global_page), 7));
}

static void a_page_that_became_global_leaves_no_older_self_behind_an_invlpg(void **state)
{
    (void)state;
    tlb_init(&tlb);
    tlb_fill(&tlb, TLB_BANK_4K, lin(page), 1, 0x1000);
    tlb_fill(&tlb, TLB_BANK_4K, lin(page), 2, 0x2000 | TLB_G);
    tlb_invlpg(&tlb, lin(page), 1);
    assert_false(has(lin(page), 1));
}

static void observers_see_every_entry_and_may_evict_one(void **state)
{
    (void)state;
    fill_two_pcids();
    unsigned pages = 0, tables = 0;
    for (unsigned i = 0; i < TLB_ENTRIES; i++) {
        struct tlb_view view;
        if (!tlb_view_entry(&tlb, i, &view)) {
            continue;
        }
        pages += view.bank == TLB_BANK_4K && view.page_shift == 12;
        tables += view.bank == TLB_BANK_PDE && view.page_shift == 21 && view.linear.v == 0;
        assert_int_equal(view.global, view.linear.v == global_page);
        if (view.bank == TLB_BANK_4K && view.linear.v == page && view.pcid == 2) {
            assert_int_equal(view.data, 0x2000);
            tlb_evict(&tlb, i);
        }
    }
    assert_int_equal(pages, 3);
    assert_int_equal(tables, 2);
    assert_false(has(lin(page), 2));
    assert_true(has(lin(page), 1));
}

static void a_saved_tlb_loads_as_it_was_and_replaces_the_same_entries(void **state)
{
    (void)state;
    struct state_buffer buffer = {0};
    struct buffer_visitor visitor;
    fill_two_pcids();
    tlb.pdpte[2] = 0x1234001;
    save_visitor_init(&visitor, VISIT_MODEL, &buffer);
    tlb_visit(&tlb, &visitor.base);
    static struct tlb before;
    before = tlb;
    tlb_init(&tlb);
    load_visitor_init(&visitor, VISIT_MODEL, &buffer);
    tlb_visit(&tlb, &visitor.base);
    assert_memory_equal(&tlb, &before, offsetof(struct tlb, aliases)); /* accelerators behind them */
    compare_visitor_init(&visitor, VISIT_MODEL, &buffer);
    tlb.next_way[0] ^= 1;
    tlb_visit(&tlb, &visitor.base);
    assert_true(visitor.differs);
    state_buffer_deinit(&buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tlb_lookup_finds_what_was_filled_and_says_how_large_it_is),
        cmocka_unit_test(a_small_page_hides_a_large_one),
        cmocka_unit_test(replacement_is_first_filled_first_out_whatever_was_hit),
        cmocka_unit_test(filling_a_page_again_overwrites_it_and_keeps_its_age),
        cmocka_unit_test(pcids_do_not_see_each_other_but_for_global_pages),
        cmocka_unit_test(invlpg_takes_the_page_even_when_global_and_every_table_of_the_pcid),
        cmocka_unit_test(invlpg_of_a_large_page_says_so_and_takes_both_halves_of_4_mib),
        cmocka_unit_test(invalidating_an_address_spares_global_pages_and_tables_of_other_addresses),
        cmocka_unit_test(a_fault_takes_the_page_even_when_global_and_only_the_tables_it_used),
        cmocka_unit_test(invalidating_a_pcid_spares_global_pages_and_other_pcids),
        cmocka_unit_test(invalidating_all_but_global_and_all),
        cmocka_unit_test(a_page_that_became_global_leaves_no_older_self_behind_an_invlpg),
        cmocka_unit_test(observers_see_every_entry_and_may_evict_one),
        cmocka_unit_test(a_saved_tlb_loads_as_it_was_and_replaces_the_same_entries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
