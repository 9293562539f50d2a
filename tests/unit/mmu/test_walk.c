/* The page walk against a plain statement of the manual's rules, and its formats one by one. */

#include "mmu/walk.h"

#include "base/types.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

/* ---- 64 KiB of memory that holds only page tables
 * ------------------------------------------------------------- */

#define MEMORY_BYTES 0x10000u
#define ROOT         0x1000u
#define TABLE_3      0x2000u
#define TABLE_2      0x3000u
#define TABLE_1      0x4000u

struct memory {
    uint8_t bytes[MEMORY_BYTES];
    unsigned updates;
    unsigned refuse;    /* the next updates to refuse */
    uint64_t refuse_or; /* what is ored into the entry when one is refused */
};

static uint64_t memory_read(void *target, phys_t a, unsigned size_bytes)
{
    struct memory *m = target;
    assert_true(a.v + size_bytes <= MEMORY_BYTES);
    return load_le(&m->bytes[a.v], size_bytes);
}

static bool memory_update(void *target, phys_t a, unsigned size_bytes, uint64_t expected, uint64_t value)
{
    struct memory *m = target;
    m->updates++;
    if (m->refuse) {
        m->refuse--;
        store_le(&m->bytes[a.v], load_le(&m->bytes[a.v], size_bytes) | m->refuse_or, size_bytes);
        return false;
    }
    assert_int_equal(load_le(&m->bytes[a.v], size_bytes), expected);
    store_le(&m->bytes[a.v], value, size_bytes);
    return true;
}

static void put(struct memory *m, uint64_t at, uint64_t entry)
{
    store_le64(&m->bytes[at], entry);
}

static uint64_t get(const struct memory *m, uint64_t at)
{
    return load_le64(&m->bytes[at]);
}

static struct walk_memory view(struct memory *m)
{
    return (struct walk_memory){memory_read, memory_update, m};
}

static struct paging long_mode(void)
{
    return (struct paging){.cr3 = ROOT, .mode = PAGING_4LEVEL, .wp = true, .pge = true, .nxe = true};
}

#define RWU (PTE_P | PTE_W | PTE_U)

/* Linear address 0 mapped to 0xabc000 with the same flags at every level. */
static void map_4k(struct memory *m, uint64_t flags)
{
    memset(m, 0, sizeof *m);
    put(m, ROOT, TABLE_3 | flags);
    put(m, TABLE_3, TABLE_2 | flags);
    put(m, TABLE_2, TABLE_1 | flags);
    put(m, TABLE_1, 0xabc000 | flags);
}

/* ---- rights
 * ------------------------------------------------------------------------------------------------------ */

struct situation {
    unsigned levels[4]; /* bit 0 R/W, bit 1 U/S, bit 2 XD of PML4E, PDPTE, PDE, PTE */
    bool wp, smep, smap, nxe, ac;
    bool user, implicit, write, fetch;
};

/* The rules as the manual tells them, one sentence each, without regard to the code under test. */
static bool manual_allows(const struct situation *s)
{
    bool every_writable = true, every_user = true, any_xd = false;
    for (int i = 0; i < 4; i++) {
        every_writable = every_writable && (s->levels[i] & 1);
        every_user = every_user && (s->levels[i] & 2);
        any_xd = any_xd || (s->levels[i] & 4);
    }
    bool supervisor_access = !s->user || s->implicit;
    if (supervisor_access) {
        if (s->fetch) {
            if (every_user && s->smep) {
                return false; /* SMEP: no supervisor fetches from user-mode addresses */
            }
            return !(s->nxe && any_xd);
        }
        if (every_user && s->smap && (s->implicit || !s->ac)) {
            return false; /* SMAP: no data access to user-mode addresses but explicit ones with AC = 1 */
        }
        return !s->write || !s->wp || every_writable;
    }
    if (!every_user) {
        return false;
    }
    if (s->fetch) {
        return !(s->nxe && any_xd);
    }
    return !s->write || every_writable;
}

static uint32_t manual_error(const struct situation *s)
{
    uint32_t code = 1;
    code |= s->write ? 2 : 0;
    code |= s->user && !s->implicit ? 4 : 0;
    code |= s->fetch && (s->nxe || s->smep) ? 16 : 0;
    return code;
}

static uint64_t entry_flags(unsigned bits)
{
    return PTE_P | (bits & 1 ? PTE_W : 0) | (bits & 2 ? PTE_U : 0) | (bits & 4 ? PTE_XD : 0);
}

static void check_situation(struct memory *m, const struct situation *s)
{
    memset(m, 0, sizeof *m);
    put(m, ROOT, TABLE_3 | entry_flags(s->levels[0]));
    put(m, TABLE_3, TABLE_2 | entry_flags(s->levels[1]));
    put(m, TABLE_2, TABLE_1 | entry_flags(s->levels[2]));
    put(m, TABLE_1, 0xabc000 | entry_flags(s->levels[3]));
    struct paging p = {
        .cr3 = ROOT, .mode = PAGING_4LEVEL, .wp = s->wp, .nxe = s->nxe, .smep = s->smep, .smap = s->smap};
    unsigned access = (s->write ? ACCESS_WRITE : 0) | (s->fetch ? ACCESS_FETCH : 0) |
                      (s->user && !s->implicit ? ACCESS_USER : 0) | (s->ac && !s->implicit ? ACCESS_AC : 0);
    struct walk_memory v = view(m);
    struct walk_result r;
    bool good = walk(&p, &v, lin(0x123), access, &r);
    assert_int_equal(good, manual_allows(s));
    if (good) {
        assert_int_equal(walk_physical(r.data, r.page_shift, lin(0x123)).v, 0xabc123);
        assert_true(get(m, ROOT) & PTE_A);
        assert_int_equal((get(m, TABLE_1) & PTE_D) != 0, s->write);
    } else {
        assert_int_equal(r.error, manual_error(s));
        assert_int_equal(m->updates, 0);
    }
}

static void check_all_modes(struct memory *m, struct situation *s)
{
    for (unsigned bits = 0; bits < 512; bits++) {
        s->wp = bits & 1;
        s->smep = bits & 2;
        s->smap = bits & 4;
        s->nxe = bits & 8;
        s->ac = bits & 16;
        s->user = bits & 32;
        s->implicit = bits & 64;
        s->write = bits & 128;
        s->fetch = bits & 256;
        bool any_xd = (s->levels[0] | s->levels[1] | s->levels[2] | s->levels[3]) & 4;
        if ((s->write && s->fetch) || (s->implicit && s->fetch) || (any_xd && !s->nxe)) {
            continue; /* not accesses; XD without NXE is reserved, tested elsewhere */
        }
        check_situation(m, s);
    }
}

static void rights_agree_with_the_manual_for_every_combination_of_one_level_against_the_others(void **state)
{
    (void)state;
    static struct memory m;
    for (unsigned level = 0; level < 4; level++) {
        for (unsigned odd = 0; odd < 8; odd++) {
            for (unsigned rest = 0; rest < 8; rest++) {
                struct situation s = {.levels = {rest, rest, rest, rest}};
                s.levels[level] = odd;
                check_all_modes(&m, &s);
            }
        }
    }
}

/* ---- reserved bits
 * ----------------------------------------------------------------------------------------------- */

static const uint64_t table_at[] = {TABLE_1, TABLE_2, TABLE_3, ROOT};

/* Walks address 0 with one bit more at a level (1..4) and returns the error, or 0. */
static uint32_t error_with_bit(struct paging *p, unsigned level, bool page, unsigned bit)
{
    static struct memory m;
    map_4k(&m, RWU);
    uint64_t at = table_at[level - 1];
    put(&m, at, (page ? RWU | (level > 1 ? PTE_PS : 0) : get(&m, at)) ^ BIT(bit));
    struct walk_memory v = view(&m);
    struct walk_result r;
    return walk(p, &v, lin(0), ACCESS_USER, &r) ? 0 : r.error;
}

static bool long_mode_reserves(unsigned level, bool page, unsigned bit, bool nxe)
{
    if (bit >= PHYS_BITS && bit <= 51) {
        return true;
    }
    if (bit == 63) {
        return !nxe;
    }
    if (level == 4) {
        return bit == 7 || bit == 8;
    }
    return page && ((level == 2 && bit >= 13 && bit <= 20) || (level == 3 && bit >= 13 && bit <= 29));
}

static void reserved_bits_of_4_level_entries_fault_with_rsvd_and_no_others_do(void **state)
{
    (void)state;
    struct paging p = long_mode();
    for (unsigned bit = 0; bit < 64; bit++) {
        for (unsigned level = 1; level <= 4; level++) {
            for (unsigned page = level == 1; page <= (level < 4); page++) {
                bool moves = !page && bit >= 12 && bit < PHYS_BITS; /* another table: nothing there */
                bool shapes = bit == 0 || bit == 2 || (bit == 7 && level > 1 && level < 4);
                if (moves || shapes) {
                    continue;
                }
                for (unsigned nxe = 0; nxe < 2; nxe++) {
                    p.nxe = nxe;
                    uint32_t want = long_mode_reserves(level, page, bit, nxe) ? PTE_P | 8 | 4 : 0;
                    assert_int_equal(error_with_bit(&p, level, page, bit), want);
                }
            }
        }
    }
}

static void an_absent_entry_faults_without_the_present_bit_at_every_level(void **state)
{
    (void)state;
    struct paging p = long_mode();
    for (unsigned level = 1; level <= 4; level++) {
        assert_int_equal(error_with_bit(&p, level, level == 1, 0), ACCESS_USER);
    }
}

static void absence_below_goes_before_missing_rights_above(void **state)
{
    (void)state;
    static struct memory m;
    struct paging p = long_mode();
    map_4k(&m, PTE_P);
    put(&m, TABLE_1, 0);
    struct walk_memory v = view(&m);
    struct walk_result r;
    assert_false(walk(&p, &v, lin(0), ACCESS_USER | ACCESS_WRITE, &r));
    assert_int_equal(r.error, 6);
    assert_false(r.denied);
}

/* ---- formats
 * ----------------------------------------------------------------------------------------------------- */

static void large_pages_give_their_address_size_and_type(void **state)
{
    (void)state;
    static struct memory m;
    struct paging p = long_mode();
    struct walk_memory v = view(&m);
    struct walk_result r;
    map_4k(&m, RWU);
    put(&m, TABLE_2, 0x40000000 | RWU | PTE_PS | PTE_PAT_LARGE | PTE_PWT | PTE_G);
    assert_true(walk(&p, &v, lin(0x1fffff), ACCESS_WRITE, &r));
    assert_int_equal(r.page_shift, 21);
    assert_int_equal(r.data, 0x40000000 | TLB_W | TLB_U | TLB_D | TLB_G | 5u << TLB_PAT_SHIFT);
    put(&m, TABLE_3, UINT64_C(0x3fc0000000) | RWU | PTE_PS | PTE_PCD);
    assert_true(walk(&p, &v, lin(0x3fffffff), 0, &r));
    assert_int_equal(r.page_shift, 30);
    assert_int_equal(r.data, UINT64_C(0x3fc0000000) | TLB_W | TLB_U | 2u << TLB_PAT_SHIFT);
    assert_int_equal(walk_physical(r.data, r.page_shift, lin(0x3fffffff)).v, UINT64_C(0x3fffffffff));
}

static void a_page_is_global_only_with_pge(void **state)
{
    (void)state;
    static struct memory m;
    struct paging p = long_mode();
    struct walk_memory v = view(&m);
    struct walk_result r;
    map_4k(&m, RWU);
    put(&m, TABLE_1, 0xabc000 | RWU | PTE_G | PTE_PAT);
    assert_true(walk(&p, &v, lin(0), 0, &r));
    assert_true(r.data & TLB_G);
    assert_int_equal(r.data & TLB_PAT, 4u << TLB_PAT_SHIFT);
    p.pge = false;
    assert_true(walk(&p, &v, lin(0), 0, &r));
    assert_false(r.data & TLB_G);
}

static void each_level_is_indexed_by_its_own_nine_bits(void **state)
{
    (void)state;
    static struct memory m;
    struct paging p = long_mode();
    struct walk_memory v = view(&m);
    struct walk_result r;
    memset(&m, 0, sizeof m);
    put(&m, ROOT + 8 * 0x155, TABLE_3 | RWU);
    put(&m, TABLE_3 + 8 * 0x0aa, TABLE_2 | RWU);
    put(&m, TABLE_2 + 8 * 0x1f0, TABLE_1 | RWU);
    put(&m, TABLE_1 + 8 * 0x00f, 0x77000 | RWU);
    uint64_t a = UINT64_C(0xffff000000000000) | UINT64_C(0x155) << 39 | UINT64_C(0x0aa) << 30 | 0x1f0u << 21 |
                 0xf << 12;
    assert_true(walk(&p, &v, lin(a | 0x456), 0, &r));
    assert_int_equal(walk_physical(r.data, r.page_shift, lin(a | 0x456)).v, 0x77456);
    assert_int_equal(r.top, 4);
    assert_int_equal(r.leaf, 1);
    assert_int_equal(r.tables[3], TABLE_2 | TLB_W | TLB_U);
}

static void pae_starts_at_the_pdpte_registers_and_reserves_bits_62_to_52(void **state)
{
    (void)state;
    static struct memory m;
    uint64_t pdpte[4] = {0, 0, TABLE_2 | PTE_P, 0};
    struct paging p = {.mode = PAGING_PAE, .pdpte = pdpte, .nxe = true, .wp = true};
    struct walk_memory v = view(&m);
    struct walk_result r;
    memset(&m, 0, sizeof m);
    put(&m, TABLE_2 + 8 * 3, TABLE_1 | RWU);
    put(&m, TABLE_1 + 8 * 5, UINT64_C(0x123456000) | RWU | PTE_XD);
    lin_t a = lin(UINT64_C(2) << 30 | 3u << 21 | 5u << 12 | 7);
    assert_true(walk(&p, &v, a, ACCESS_USER, &r));
    assert_int_equal(walk_physical(r.data, r.page_shift, a).v, UINT64_C(0x123456007));
    assert_false(walk(&p, &v, a, ACCESS_USER | ACCESS_FETCH, &r));
    assert_int_equal(r.error, 0x15);
    assert_false(walk(&p, &v, lin(0), ACCESS_WRITE, &r));
    assert_int_equal(r.error, 2);
    for (unsigned bit = PHYS_BITS; bit <= 62; bit++) {
        put(&m, TABLE_1 + 8 * 5, UINT64_C(0x123456000) | RWU | BIT(bit));
        assert_false(walk(&p, &v, a, 0, &r));
        assert_int_equal(r.error, 9);
    }
    put(&m, TABLE_2 + 8 * 3, 0x600000 | RWU | PTE_PS);
    assert_true(walk(&p, &v, a, 0, &r));
    assert_int_equal(walk_physical(r.data, r.page_shift, a).v, 0x605007);
}

static void put32(struct memory *m, uint64_t at, uint64_t entry)
{
    store_le32(&m->bytes[at], (uint32_t)entry);
}

static void paging_of_32_bits_has_ten_bit_indices_and_entries_of_four_bytes(void **state)
{
    (void)state;
    static struct memory m;
    struct paging p = {.mode = PAGING_32BIT, .cr3 = ROOT | 0x18, .wp = true, .nxe = true};
    struct walk_memory v = view(&m);
    struct walk_result r;
    memset(&m, 0, sizeof m);
    put32(&m, ROOT + 4 * 0x3ff, TABLE_1 | RWU);
    put32(&m, TABLE_1 + 4 * 0x201, 0xfedcb000u | PTE_P | PTE_W);
    lin_t a = lin(0xffe01abc);
    assert_true(walk(&p, &v, a, ACCESS_WRITE, &r));
    assert_int_equal(walk_physical(r.data, r.page_shift, a).v, 0xfedcbabc);
    assert_int_equal(load_le32(&m.bytes[TABLE_1 + 4 * 0x201]), 0xfedcb063);
    assert_int_equal(load_le32(&m.bytes[TABLE_1 + 4 * 0x202]), 0);
    assert_false(walk(&p, &v, a, ACCESS_USER | ACCESS_FETCH, &r));
    assert_int_equal(r.error, 5); /* NXE means nothing without PAE: I is not reported */
    p.smep = true;
    assert_false(walk(&p, &v, a, ACCESS_USER | ACCESS_FETCH, &r));
    assert_int_equal(r.error, 0x15);
}

static void pse_makes_4_mib_pages_with_40_bit_addresses(void **state)
{
    (void)state;
    static struct memory m;
    struct paging p = {.mode = PAGING_32BIT, .cr3 = ROOT, .pse = true};
    struct walk_memory v = view(&m);
    struct walk_result r;
    memset(&m, 0, sizeof m);
    put32(&m, ROOT + 4, 0x00c00000u | 0xa5u << 13 | RWU | PTE_PS | PTE_PAT_LARGE);
    lin_t high = lin(0x400000 + 0x312345);
    assert_true(walk(&p, &v, high, 0, &r));
    assert_int_equal(r.page_shift, 21);
    assert_int_equal(walk_physical(r.data, r.page_shift, high).v, UINT64_C(0xa500f12345));
    assert_int_equal(r.data & (TLB_4M | TLB_PAT), TLB_4M | 4u << TLB_PAT_SHIFT);
    assert_true(walk(&p, &v, lin(0x400010), 0, &r));
    assert_int_equal(walk_physical(r.data, r.page_shift, lin(0x400010)).v, UINT64_C(0xa500c00010));
    put32(&m, ROOT + 4, 0x00c00000u | BIT(21) | RWU | PTE_PS);
    assert_false(walk(&p, &v, high, 0, &r));
    assert_int_equal(r.error, 9);
    p.pse =
        false; /* PS means nothing: the same entry names a page table, at an address beyond the memory here */
    put32(&m, ROOT + 4, TABLE_1 | RWU | PTE_PS);
    put32(&m, TABLE_1 + 4 * 0x312, 0x9000 | RWU);
    assert_true(walk(&p, &v, high, 0, &r));
    assert_int_equal(walk_physical(r.data, r.page_shift, high).v, 0x9345);
}

/* ---- accessed and dirty
 * ------------------------------------------------------------------------------------------ */

static void reads_set_accessed_everywhere_and_writes_set_dirty_in_the_page_only(void **state)
{
    (void)state;
    static struct memory m;
    struct paging p = long_mode();
    struct walk_memory v = view(&m);
    struct walk_result r;
    map_4k(&m, RWU);
    assert_true(walk(&p, &v, lin(0), 0, &r));
    assert_int_equal(m.updates, 4);
    assert_false(r.data & TLB_D);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(get(&m, table_at[i]) & (PTE_A | PTE_D), PTE_A);
    }
    assert_true(walk(&p, &v, lin(0), ACCESS_WRITE | ACCESS_NO_DIRTY, &r));
    assert_int_equal(m.updates, 4);
    assert_true(walk(&p, &v, lin(0), ACCESS_WRITE, &r));
    assert_int_equal(m.updates, 5);
    assert_true(r.data & TLB_D);
    assert_int_equal(get(&m, TABLE_1) & (PTE_A | PTE_D), PTE_A | PTE_D);
    assert_int_equal(get(&m, TABLE_2) & PTE_D, 0);
}

static void an_entry_that_changes_under_the_walk_is_read_again(void **state)
{
    (void)state;
    static struct memory m;
    struct paging p = long_mode();
    struct walk_memory v = view(&m);
    struct walk_result r;
    map_4k(&m, RWU);
    m.refuse = 1;
    m.refuse_or = PTE_XD;
    assert_true(walk(&p, &v, lin(0), ACCESS_WRITE, &r));
    assert_true(r.data & TLB_XD); /* of the PML4E as it is now */
    map_4k(&m, RWU);
    m.refuse = 1;
    m.refuse_or = BIT(8);
    assert_false(walk(&p, &v, lin(0), ACCESS_WRITE, &r));
    assert_int_equal(r.error, 0xb);
}

static void a_walk_without_update_leaves_memory_alone(void **state)
{
    (void)state;
    static struct memory m, before;
    struct paging p = long_mode();
    struct walk_result r;
    map_4k(&m, RWU);
    before = m;
    assert_true(walk(&p, &(struct walk_memory){memory_read, NULL, &m}, lin(0), ACCESS_WRITE, &r));
    assert_memory_equal(m.bytes, before.bytes, MEMORY_BYTES);
}

static void a_walk_from_a_lower_table_keeps_the_rights_it_is_given(void **state)
{
    (void)state;
    static struct memory m;
    struct paging p = long_mode();
    struct walk_memory v = view(&m);
    struct walk_result r;
    map_4k(&m, RWU);
    struct walk_start start = {1, phys(TABLE_1), TLB_U | TLB_XD};
    assert_true(walk_from(&p, &v, &start, lin(0), ACCESS_USER, &r));
    assert_int_equal(r.data & TLB_RIGHTS, TLB_U | TLB_XD);
    assert_false(get(&m, TABLE_2) & PTE_A);
    assert_false(walk_from(&p, &v, &start, lin(0), ACCESS_USER | ACCESS_WRITE, &r));
    assert_true(r.denied);
    assert_int_equal(r.error, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rights_agree_with_the_manual_for_every_combination_of_one_level_against_the_others),
        cmocka_unit_test(reserved_bits_of_4_level_entries_fault_with_rsvd_and_no_others_do),
        cmocka_unit_test(an_absent_entry_faults_without_the_present_bit_at_every_level),
        cmocka_unit_test(absence_below_goes_before_missing_rights_above),
        cmocka_unit_test(large_pages_give_their_address_size_and_type),
        cmocka_unit_test(a_page_is_global_only_with_pge),
        cmocka_unit_test(each_level_is_indexed_by_its_own_nine_bits),
        cmocka_unit_test(pae_starts_at_the_pdpte_registers_and_reserves_bits_62_to_52),
        cmocka_unit_test(paging_of_32_bits_has_ten_bit_indices_and_entries_of_four_bytes),
        cmocka_unit_test(pse_makes_4_mib_pages_with_40_bit_addresses),
        cmocka_unit_test(reads_set_accessed_everywhere_and_writes_set_dirty_in_the_page_only),
        cmocka_unit_test(an_entry_that_changes_under_the_walk_is_read_again),
        cmocka_unit_test(a_walk_without_update_leaves_memory_alone),
        cmocka_unit_test(a_walk_from_a_lower_table_keeps_the_rights_it_is_given),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
