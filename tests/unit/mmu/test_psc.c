/* Walks through cached tables: which reads they save, what stale ones do, who drops them. */

#include "mmu/psc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

#define RWU (PTE_P | PTE_W | PTE_U)

/* Tables at 0x1000 * level, a second page table at 0x5000. */
static uint8_t memory[0x8000];
static unsigned reads;
static struct tlb tlb;

static uint64_t memory_read(void *target, phys_t a, unsigned size_bytes)
{
    (void)target;
    reads++;
    return load_le(&memory[a.v], size_bytes);
}

static bool memory_update(void *target, phys_t a, unsigned size_bytes, uint64_t expected, uint64_t value)
{
    (void)target;
    assert_int_equal(load_le(&memory[a.v], size_bytes), expected);
    store_le(&memory[a.v], value, size_bytes);
    return true;
}

static const struct walk_memory view = {memory_read, memory_update, NULL};
static const struct paging paging = {.cr3 = 0x4000, .mode = PAGING_4LEVEL, .wp = true, .nxe = true};

static void setup_tables(void)
{
    memset(memory, 0, sizeof memory);
    tlb_init(&tlb);
    store_le64(&memory[0x4000], 0x3000 | RWU);
    store_le64(&memory[0x3000], 0x2000 | RWU);
    store_le64(&memory[0x2000], 0x1000 | RWU);
    for (unsigned i = 0; i < 8; i++) {
        store_le64(&memory[0x1000 + 8 * i], (0x100000 + 0x1000 * i) | RWU);
        store_le64(&memory[0x5000 + 8 * i], (0x200000 + 0x1000 * i) | RWU);
    }
}

/* Walks for a; returns the physical page, or the error code with bit 63 set. */
static uint64_t walk_page(uint64_t a, unsigned pcid, unsigned access)
{
    struct walk_result r;
    reads = 0;
    if (!psc_walk(&tlb, &paging, &view, lin(a), pcid, access, &r)) {
        return BIT(63) | r.error;
    }
    return r.data & TLB_ADDRESS;
}

static void a_second_walk_in_the_region_reads_one_entry(void **state)
{
    (void)state;
    setup_tables();
    assert_int_equal(walk_page(0, 0, 0), 0x100000);
    assert_int_equal(reads, 4);
    assert_int_equal(walk_page(0x1000, 0, 0), 0x101000);
    assert_int_equal(reads, 1);
    assert_true(walk_page(0x200000, 0, 0) & BIT(63)); /* another page directory entry, absent */
    assert_int_equal(reads, 1);                       /* the cached PDPTE leads to it */
}

static void a_stale_table_entry_is_believed_until_it_is_invalidated(void **state)
{
    (void)state;
    setup_tables();
    walk_page(0, 7, 0);
    store_le64(&memory[0x2000], 0x5000 | RWU);
    assert_int_equal(walk_page(0x1000, 7, 0), 0x101000);
    assert_int_equal(walk_page(0x1000, 8, 0), 0x201000); /* the other PCID never saw the old one */
    assert_int_equal(walk_page(0x2000, 7, 0), 0x102000);
    tlb_invlpg(&tlb, lin(0x7000), 7); /* any address of the PCID will do */
    assert_int_equal(walk_page(0x2000, 7, 0), 0x202000);
}

static void rights_denied_by_a_stale_table_entry_are_looked_up_again(void **state)
{
    (void)state;
    setup_tables();
    store_le64(&memory[0x3000], 0x2000 | PTE_P | PTE_U);
    walk_page(0, 0, 0);
    store_le64(&memory[0x3000], 0x2000 | RWU);
    assert_int_equal(walk_page(0, 0, ACCESS_WRITE), 0x100000);
    assert_int_equal(reads, 5); /* one through the cached PDE, four from the root */
    assert_int_equal(walk_page(0x1000, 0, ACCESS_WRITE), 0x101000);
    assert_int_equal(reads, 1);
}

static void rights_granted_by_a_stale_table_entry_are_believed(void **state)
{
    (void)state;
    setup_tables();
    walk_page(0, 0, 0);
    store_le64(&memory[0x3000], 0x2000 | PTE_P | PTE_U);
    assert_int_equal(walk_page(0, 0, ACCESS_WRITE), 0x100000);
}

static void a_fault_through_a_stale_table_entry_happens_once(void **state)
{
    (void)state;
    setup_tables();
    walk_page(0, 0, 0);
    store_le64(&memory[0x1000 + 8], 0);
    store_le64(&memory[0x2000], 0x5000 | RWU);
    assert_int_equal(walk_page(0x1000, 0, ACCESS_WRITE), BIT(63) | 2);
    assert_int_equal(walk_page(0x1000, 0, ACCESS_WRITE), 0x201000);
    assert_int_equal(reads, 4);
}

static void a_large_page_caches_the_tables_above_it_only(void **state)
{
    (void)state;
    setup_tables();
    store_le64(&memory[0x2000 + 8], 0x600000 | RWU | PTE_PS);
    assert_int_equal(walk_page(0x200000, 0, 0), 0x600000);
    assert_null(tlb_lookup_table(&tlb, TLB_BANK_PDE, lin(0x200000), 0));
    assert_non_null(tlb_lookup_table(&tlb, TLB_BANK_PDPTE, lin(0x200000), 0));
    assert_non_null(tlb_lookup_table(&tlb, TLB_BANK_PML4E, lin(0x200000), 0));
}

static void a_failed_walk_caches_nothing_for_its_address(void **state)
{
    (void)state;
    setup_tables();
    store_le64(&memory[0x1000], 0);
    assert_true(walk_page(0, 0, 0) & BIT(63));
    for (unsigned i = 0; i < TLB_ENTRIES; i++) {
        assert_int_equal(tlb.entries[i].key, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_second_walk_in_the_region_reads_one_entry),
        cmocka_unit_test(a_stale_table_entry_is_believed_until_it_is_invalidated),
        cmocka_unit_test(rights_denied_by_a_stale_table_entry_are_looked_up_again),
        cmocka_unit_test(rights_granted_by_a_stale_table_entry_are_believed),
        cmocka_unit_test(a_fault_through_a_stale_table_entry_happens_once),
        cmocka_unit_test(a_large_page_caches_the_tables_above_it_only),
        cmocka_unit_test(a_failed_walk_caches_nothing_for_its_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
