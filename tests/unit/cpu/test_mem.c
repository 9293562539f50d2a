/* Data accesses, fetches and invalidations of one vCPU: what they do, what they fault with, what they leave
 * alone. */

#include "mem_one.h"

/* ---- scalars
 * ----------------------------------------------------------------------------------------------------- */

static void a_write_is_read_back_in_every_size(void **state)
{
    (void)state;
    fixture_map(&f, 0x5000, 0x123000, RW);
    for (unsigned size = 1; size <= 8; size *= 2) {
        for (unsigned offset = 0; offset < 8; offset++) {
            write_ok(0x5100, 8, UINT64_C(0xffffffffffffffff));
            write_ok(0x5108, 8, UINT64_C(0xffffffffffffffff));
            write_ok(0x5100 + offset, size, UINT64_C(0x0807060504030201));
            assert_int_equal(read_ok(0x5100 + offset, size),
                             UINT64_C(0x0807060504030201) & bits_size_mask(size));
            assert_int_equal(ram_at(&f.bus.ram, phys(0x123100))[offset + size], 0xff);
        }
    }
}

static void an_access_across_two_pages_reaches_both(void **state)
{
    (void)state;
    fixture_map(&f, 0x5000, 0x123000, RW);
    fixture_map(&f, 0x6000, 0x777000, RW);
    for (unsigned size = 2; size <= 8; size *= 2) {
        for (unsigned before = 1; before < size; before++) {
            uint64_t value = UINT64_C(0x8877665544332211) * size;
            write_ok(0x6000 - before, size, value);
            assert_int_equal(read_ok(0x6000 - before, size), value & bits_size_mask(size));
            assert_int_equal(*ram_at(&f.bus.ram, phys(0x123fff)), (value >> (8 * (before - 1))) & 0xff);
            assert_int_equal(*ram_at(&f.bus.ram, phys(0x777000)), (value >> (8 * before)) & 0xff);
        }
    }
}

static void a_write_across_a_page_that_refuses_changes_nothing_but_accessed_bits(void **state)
{
    (void)state;
    fixture_map(&f, 0x5000, 0x123000, RW);
    fixture_map(&f, 0x6000, 0x777000, PTE_P);
    expect_fault(mem_write(cpu, lin(0x5ffc), 8, ~UINT64_C(0)), VECTOR_PF, 3, 0x6000);
    assert_int_equal(fixture_word(&f, 0x123ff8), 0);
    assert_int_equal(pte(0x5000) & (PTE_A | PTE_D), PTE_A);
    fixture_map(&f, 0x6000, 0, 0);
    fixture_map(&f, 0x5000, 0, 0);
    mem_flush_all(cpu);
    expect_fault(mem_write(cpu, lin(0x5ffc), 8, ~UINT64_C(0)), VECTOR_PF, 2, 0x5ffc);
}

static void page_faults_tell_who_did_what(void **state)
{
    (void)state;
    uint64_t value;
    fixture_map(&f, 0x5000, 0x123000, PTE_P);
    expect_fault(mem_read(cpu, lin(0x9008), 4, &value), VECTOR_PF, 0, 0x9008);
    expect_fault(mem_write(cpu, lin(0x5008), 4, 1), VECTOR_PF, 3, 0x5008);
    fixture_cpl(cpu, 3);
    expect_fault(mem_read(cpu, lin(0x5008), 4, &value), VECTOR_PF, 5, 0x5008);
    expect_fault(mem_write(cpu, lin(0x9008), 4, 1), VECTOR_PF, 6, 0x9008);
    assert_true(mem_read_system(cpu, lin(0x5008), 4, &value)); /* implicit accesses are the supervisor's */
    expect_fault(mem_write_system(cpu, lin(0x5008), 4, 1), VECTOR_PF, 3, 0x5008);
}

static void a_noncanonical_address_is_a_general_protection_fault(void **state)
{
    (void)state;
    uint64_t value;
    fixture_map(&f, UINT64_C(0x7ffffffff000), 0x123000, RW);
    expect_fault(mem_read(cpu, lin(BIT(47)), 1, &value), VECTOR_GP, 0, 0);
    expect_fault(mem_read(cpu, lin(BIT(47) - 4), 8, &value), VECTOR_GP, 0, 0);
    assert_int_equal(read_ok(BIT(47) - 8, 8), 0);
}

static void without_paging_linear_is_physical_and_wraps_at_32_bits(void **state)
{
    (void)state;
    cpu->cr0 = CR0_PE;
    cpu->efer = 0;
    cpu->mode = MODE_PROT32;
    mem_flush_all(cpu);
    write_ok(0x123456, 4, 0xcafebabe);
    assert_int_equal(fixture_word(&f, 0x123456), 0xcafebabe);
    *ram_at(&f.bus.ram, phys(0)) = 0x42;
    assert_int_equal(read_ok(0xffffffff, 2), 0x42ff); /* nobody's byte, then the first */
    assert_non_null(mem_host_write(cpu, 0x123456, 4));
    mem_drop_host_entries(cpu);
}

static void smap_stops_explicit_accesses_without_ac_and_all_implicit_ones(void **state)
{
    (void)state;
    uint64_t value;
    fixture_map(&f, 0x5000, 0x123000, RWU);
    cpu->cr4 |= CR4_SMAP;
    expect_fault(mem_read(cpu, lin(0x5000), 4, &value), VECTOR_PF, 1, 0x5000);
    cpu->rflags |= RFLAGS_AC;
    fixture_update(cpu);
    assert_true(mem_read(cpu, lin(0x5000), 4, &value));
    expect_fault(mem_read_system(cpu, lin(0x5000), 4, &value), VECTOR_PF, 1, 0x5000);
    assert_true(mem_read(cpu, lin(0x5000), 4, &value));
    assert_non_null(mem_host_read(cpu, 0x5000, 4));
    cpu->rflags &= ~RFLAGS_AC;
    fixture_update(cpu);
    assert_null(mem_host_read(cpu, 0x5000, 4));
}

static void alignment_is_checked_at_cpl_3_with_am_and_ac_only(void **state)
{
    (void)state;
    uint64_t value;
    uint8_t bytes[16];
    fixture_map(&f, 0x5000, 0x123000, RWU);
    cpu->rflags |= RFLAGS_AC;
    fixture_cpl(cpu, 3);
    assert_true(mem_read(cpu, lin(0x5001), 4, &value));
    assert_non_null(mem_host_read(cpu, 0x5001, 4));
    cpu->cr0 |= CR0_AM;
    fixture_update(cpu);
    assert_null(mem_host_read(cpu, 0x5001, 4));
    expect_fault(mem_read(cpu, lin(0x5001), 4, &value), VECTOR_AC, 0, 0);
    expect_fault(mem_write(cpu, lin(0x5006), 8, 0), VECTOR_AC, 0, 0);
    expect_fault(mem_read_bytes(cpu, lin(0x5008), bytes, 16), VECTOR_AC, 0, 0);
    assert_true(mem_read_bytes(cpu, lin(0x5008), bytes, 10));
    assert_true(mem_write(cpu, lin(0x5008), 8, 0));
    assert_true(mem_read(cpu, lin(0x5003), 1, &value));
    assert_null(mem_host_read(cpu, 0x5008, 8));
    assert_true(mem_read_system(cpu, lin(0x5001), 4, &value));
    fixture_cpl(cpu, 0);
    assert_true(mem_read(cpu, lin(0x5001), 4, &value));
}

/* ---- blocks and probes
 * ------------------------------------------------------------------------------------------- */

static void blocks_of_any_length_and_alignment_are_what_was_written(void **state)
{
    (void)state;
    static uint8_t in[4096], out[4096];
    fixture_map(&f, 0x5000, 0x123000, RW);
    fixture_map(&f, 0x6000, 0x200000, RW);
    for (unsigned i = 0; i < sizeof in; i++) {
        in[i] = (uint8_t)(i * 7 + 1);
    }
    static const unsigned sizes[] = {1, 10, 16, 94, 512, 4096};
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (unsigned offset = 0; offset <= 4096; offset += 273) {
            if (offset + sizes[i] > 8192) {
                continue;
            }
            memset(out, 0, sizeof out);
            assert_true(mem_write_bytes(cpu, lin(0x5000 + offset), in, sizes[i]));
            assert_true(mem_read_bytes(cpu, lin(0x5000 + offset), out, sizes[i]));
            assert_memory_equal(in, out, sizes[i]);
        }
    }
}

static void probes_touch_nothing_but_page_table_bits(void **state)
{
    (void)state;
    fixture_map(&f, 0x5000, 0x123000, RW);
    fixture_map(&f, 0x6000, 0x124000, PTE_P);
    assert_true(mem_probe_read(cpu, lin(0x5ff0), 32));
    assert_int_equal(pte(0x5000) & (PTE_A | PTE_D), PTE_A);
    assert_false(mem_probe_write(cpu, lin(0x5ff0), 32));
    assert_true(mem_probe_write(cpu, lin(0x5ff0), 16));
    assert_int_equal(pte(0x5000) & (PTE_A | PTE_D), PTE_A | PTE_D);
}

/* ---- read-modify-write
 * ------------------------------------------------------------------------------------------- */

static void a_read_modify_write_reads_before_and_writes_after(void **state)
{
    (void)state;
    fixture_map(&f, 0x5000, 0x123000, RW);
    fixture_map(&f, 0x6000, 0x200000, RW);
    static const uint64_t at[] = {0x5008, 0x5003, 0x5ffd};
    for (unsigned i = 0; i < 3; i++) {
        for (unsigned locked = 0; locked < 2; locked++) {
            struct mem_rmw rmw;
            write_ok(at[i], 8, 1000);
            assert_true(mem_rmw_begin(cpu, lin(at[i]), 8, locked, &rmw));
            assert_int_equal(rmw.old, 1000);
            mem_rmw_commit(cpu, &rmw, rmw.old + 1, 0);
            assert_int_equal(read_ok(at[i], 8), 1001);
        }
    }
}

static void a_read_modify_write_of_16_bytes_has_two_halves(void **state)
{
    (void)state;
    struct mem_rmw rmw;
    fixture_map(&f, 0x5000, 0x123000, RW);
    write_ok(0x5010, 8, 1);
    write_ok(0x5018, 8, 2);
    assert_true(mem_rmw_begin(cpu, lin(0x5010), 16, true, &rmw));
    assert_int_equal(rmw.old, 1);
    assert_int_equal(rmw.old2, 2);
    mem_rmw_commit(cpu, &rmw, 3, 4);
    assert_int_equal(read_ok(0x5010, 8), 3);
    assert_int_equal(read_ok(0x5018, 8), 4);
}

static void a_read_modify_write_needs_the_right_to_write_before_it_reads(void **state)
{
    (void)state;
    struct mem_rmw rmw;
    fixture_map(&f, 0x5000, FIXTURE_DEVICE, PTE_P);
    expect_fault(mem_rmw_begin(cpu, lin(0x5000), 4, true, &rmw), VECTOR_PF, 3, 0x5000);
    assert_int_equal(f.device_reads, 0);
}

/* ---- devices
 * ----------------------------------------------------------------------------------------------------- */

static void a_device_sees_the_access_as_it_was_made(void **state)
{
    (void)state;
    fixture_map(&f, 0x5000, FIXTURE_DEVICE, RW);
    cpu = f.cpu[1];
    cpu->left_cycles = 250;
    assert_int_equal(read_ok(0x5010, 4), 0x55667798);
    assert_true(cpu->chain_break);
    cpu->chain_break = false;
    write_ok(0x5021, 2, 0xabcdef);
    assert_true(cpu->chain_break);
    assert_int_equal(f.device_offset, 0x21);
    assert_int_equal(f.device_value, 0xcdef);
    assert_int_equal(f.device_size, 2);
    assert_int_equal(f.device_cpu, 1);
    assert_int_equal(f.device_now, 750);
    assert_int_equal(f.device_reads + f.device_writes, 2);
    assert_null(mem_host_read(cpu, 0x5010, 4));
    cpu = f.cpu[0];
}

static void an_access_from_ram_into_a_device_is_split_at_the_page(void **state)
{
    (void)state;
    fixture_map(&f, 0x5000, 0x123000, RW);
    fixture_map(&f, 0x6000, FIXTURE_DEVICE, RW);
    write_ok(0x5ffe, 8, UINT64_C(0x8877665544332211));
    assert_int_equal(load_le16(ram_at(&f.bus.ram, phys(0x123ffe))), 0x2211);
    assert_int_equal(f.device_writes, 2); /* four bytes and two */
    assert_int_equal(f.device_offset, 4);
    assert_int_equal(f.device_value, 0x8877);
}

static void memory_that_nobody_has_reads_as_ones(void **state)
{
    (void)state;
    fixture_map(&f, 0x5000, UINT64_C(0x300000000), RW);
    write_ok(0x5000, 8, 5);
    assert_int_equal(read_ok(0x5000, 4), 0xffffffff);
}

static void an_access_across_4_gib_wraps_outside_64_bit_mode(void **state)
{
    (void)state;
    fixture_map(&f, 0xfffff000, 0x123000, RW);
    fixture_map(&f, 0, 0x124000, RW);
    fixture_map(&f, UINT64_C(0x100000000), 0x125000, RW);
    write_ok(0xfffffffe, 4, 0x11223344);
    assert_int_equal(fixture_word(&f, 0x125000), 0x1122);
    cpu->mode = MODE_PROT32;
    write_ok(0xfffffffe, 4, 0x55667788);
    assert_int_equal(fixture_word(&f, 0x124000), 0x5566);
    assert_int_equal(fixture_word(&f, 0x125000), 0x1122);
}

static void pdpte_registers_change_when_they_are_loaded_and_not_before(void **state)
{
    (void)state;
    uint64_t value;
    cpu->efer = EFER_NXE;
    cpu->mode = MODE_PROT32;
    cpu->cr3 = 0x800020;
    fixture_entry(&f, 0x800020, 0x801000 | PTE_P);
    fixture_entry(&f, 0x801000, 0x400000 | RW | PTE_PS);
    fixture_entry(&f, 0x400000, 6);
    assert_true(mem_load_pdptes(cpu, cpu->cr3));
    mem_cr3_written(cpu, false);
    assert_int_equal(read_ok(0, 8), 6);
    fixture_entry(&f, 0x800020, 0);
    mem_flush_all(cpu);
    assert_int_equal(read_ok(0, 8), 6);
    fixture_entry(&f, 0x800020 + 24, 0x801000 | PTE_P | PTE_W); /* reserved in a PDPTE */
    expect_fault(mem_load_pdptes(cpu, cpu->cr3), VECTOR_GP, 0, 0);
    assert_int_equal(read_ok(0, 8), 6);
    fixture_entry(&f, 0x800020 + 24, PTE_W); /* absent: nothing is reserved */
    assert_true(mem_load_pdptes(cpu, cpu->cr3));
    mem_cr3_written(cpu, false);
    expect_fault(mem_read(cpu, lin(0), 8, &value), VECTOR_PF, 0, 0);
    assert_int_equal(cpu->tlb.pdpte[3], PTE_W);
}

static void peeking_translates_as_the_vcpu_would_and_leaves_no_trace(void **state)
{
    (void)state;
    phys_t at;
    fixture_map(&f, 0x5000, 0x123000, RWU);
    static struct tlb before;
    before = cpu->tlb;
    cpu->cr4 |= CR4_SMAP;
    assert_true(mem_peek_translate(cpu, lin(0x5678), &at));
    assert_int_equal(at.v, 0x123678);
    assert_false(mem_peek_translate(cpu, lin(0x9678), &at));
    assert_false(mem_peek_translate(cpu, lin(BIT(50)), &at));
    assert_false(pte(0x5000) & PTE_A);
    assert_memory_equal(&before, &cpu->tlb, sizeof before);
    cpu->cr4 &= ~CR4_SMAP;
    read_ok(0x5000, 8);
    fixture_map(&f, 0x5000, 0x124000, RW);
    assert_true(mem_peek_translate(cpu, lin(0x5678), &at));
    assert_int_equal(at.v, 0x123678); /* the stale one */
}

/* ---- fetch
 * ------------------------------------------------------------------------------------------------------- */

static void a_fetch_stops_at_the_end_of_the_page(void **state)
{
    (void)state;
    uint8_t bytes[15];
    unsigned got;
    phys_t at;
    fixture_map(&f, 0x5000, 0x123000, PTE_P);
    memset(ram_at(&f.bus.ram, phys(0x123ffa)), 0x90, 6);
    assert_true(mem_fetch(cpu, lin(0x5ffa), bytes, 15, &got, &at));
    assert_int_equal(got, 6);
    assert_int_equal(at.v, 0x123ffa);
    assert_int_equal(bytes[5], 0x90);
    assert_true(mem_fetch(cpu, lin(0x5f00), bytes, 15, &got, &at));
    assert_int_equal(got, 15);
    expect_fault(mem_fetch(cpu, lin(0x6000), bytes, 15, &got, &at), VECTOR_PF, 16, 0x6000);
}

static void fetches_obey_xd_and_smep(void **state)
{
    (void)state;
    phys_t at;
    fixture_map(&f, 0x5000, 0x123000, RWU | PTE_XD);
    fixture_map(&f, 0x6000, 0x123000, RWU);
    expect_fault(mem_fetch_translate(cpu, lin(0x5000), &at), VECTOR_PF, 0x11, 0x5000);
    assert_true(mem_fetch_translate(cpu, lin(0x6000), &at));
    cpu->cr4 |= CR4_SMEP;
    mem_flush_all(cpu);
    expect_fault(mem_fetch_translate(cpu, lin(0x6000), &at), VECTOR_PF, 0x11, 0x6000);
    fixture_cpl(cpu, 3);
    assert_true(mem_fetch_translate(cpu, lin(0x6000), &at));
}

static void the_fetch_latch_outlives_replacement_and_dies_with_everything_else(void **state)
{
    (void)state;
    phys_t at;
    uint64_t stride = (uint64_t)TLB_4K_SETS << PAGE_SHIFT;
    fixture_map(&f, 0x10000, 0x123000, RW);
    assert_true(mem_fetch_translate(cpu, lin(0x10004), &at));
    for (unsigned i = 1; i <= TLB_4K_WAYS; i++) {
        fixture_map(&f, 0x10000 + i * stride, 0x200000, RW);
        read_ok(0x10000 + i * stride, 1);
    }
    fixture_map(&f, 0x10000, 0x555000, RW);
    assert_true(mem_fetch_translate(cpu, lin(0x10008), &at));
    assert_int_equal(at.v, 0x123008);
    mem_invlpg(cpu, lin(0x99000)); /* any invalidation */
    assert_true(mem_fetch_translate(cpu, lin(0x10008), &at));
    assert_int_equal(at.v, 0x555008);
    mem_cr3_written(cpu, true);
    assert_false(cpu->fetch.valid);
    assert_true(mem_fetch_translate(cpu, lin(0x10008), &at));
    assert_false(mem_fetch_translate(cpu, lin(0x66666000), &at));
    assert_false(cpu->fetch.valid);
}

/* ---- special pages, debug registers
 * ------------------------------------------------------------------------------ */

static void a_page_with_code_or_a_monitor_gets_no_write_pointer_and_tells_of_writes(void **state)
{
    (void)state;
    static const unsigned flags[] = {PAGE_CODE, PAGE_MONITOR};
    fixture_map(&f, 0x5000, 0x123000, RW);
    for (unsigned i = 0; i < 2; i++) {
        mem_drop_host_entries(cpu);
        f.bus.ram.flags[0x123] = (uint8_t)flags[i];
        f.special_writes = 0;
        write_ok(0x5004, 4, 1);
        write_ok(0x5004, 4, 2);
        assert_null(mem_host_write(cpu, 0x5004, 4));
        assert_int_equal(f.special_writes, 2);
        assert_int_equal(f.special_at, 0x123004);
        read_ok(0x5004, 4);
        assert_non_null(mem_host_read(cpu, 0x5004, 4));
    }
}

static void a_clean_ram_page_is_marked_dirty_by_its_first_write(void **state)
{
    (void)state;
    fixture_map(&f, 0x5000, 0x123000, RW);
    read_ok(0x5000, 8);
    ram_digest(&f.bus.ram);
    assert_int_equal(f.bus.ram.flags[0x123], 0);
    write_ok(0x5000, 8, 1);
    assert_int_equal(f.bus.ram.flags[0x123], PAGE_DIRTY);
    assert_non_null(mem_host_write(cpu, 0x5000, 8));
}

static void monitor_arms_the_line_and_drops_everybodys_write_pointers(void **state)
{
    (void)state;
    fixture_map(&f, 0x5000, 0x123000, RW);
    write_ok(0x5000, 8, 1);
    assert_true(mem_monitor(cpu, lin(0x5077)));
    assert_int_equal(f.write_pointer_drops, 1);
    assert_null(mem_host_write(cpu, 0x5000, 8));
    assert_true(cpu->monitor_armed);
    assert_int_equal(cpu->monitor_line.v, 0x123040);
    write_ok(0x5041, 1, 1);
    assert_int_equal(f.special_writes, 1);
    assert_true(mem_monitor(cpu, lin(0x5000)));
    assert_int_equal(f.write_pointer_drops, 1);
    assert_false(mem_monitor(cpu, lin(0x9000)));
}

static void data_breakpoints_match_by_kind_and_overlap(void **state)
{
    (void)state;
    fixture_map(&f, 0x5000, 0x123000, RW);
    write_ok(0x5000, 8, 0);
    mem_drop_host_entries(cpu); /* as MOV DR does */
    cpu->dr[1] = 0x5008;
    cpu->dr7 = BIT(2) | UINT64_C(0xd) << 20; /* L1, write, 4 bytes */
    read_ok(0x5008, 4);
    write_ok(0x5000, 8, 0);
    write_ok(0x500c, 4, 0);
    assert_int_equal(cpu->pending_db, 0);
    assert_false(cpu->chain_cut);
    write_ok(0x500b, 1, 0);
    assert_int_equal(cpu->pending_db, 2);
    assert_true(cpu->chain_cut);
    cpu->pending_db = 0;
    write_ok(0x5007, 2, 0);
    assert_int_equal(cpu->pending_db, 2);
    cpu->dr[3] = 0x5020;
    cpu->dr7 = BIT(7) | UINT64_C(0x3) << 28; /* G3, read or write, 1 byte */
    cpu->pending_db = 0;
    read_ok(0x501f, 2);
    assert_int_equal(cpu->pending_db, 8);
    assert_null(mem_host_read(cpu, 0x5000, 4));
    struct mem_rmw rmw;
    cpu->pending_db = 0;
    assert_true(mem_rmw_begin(cpu, lin(0x5020), 1, true, &rmw));
    mem_rmw_commit(cpu, &rmw, 1, 0);
    assert_int_equal(cpu->pending_db, 8);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_write_is_read_back_in_every_size),
        TEST(an_access_across_two_pages_reaches_both),
        TEST(a_write_across_a_page_that_refuses_changes_nothing_but_accessed_bits),
        TEST(page_faults_tell_who_did_what),
        TEST(a_noncanonical_address_is_a_general_protection_fault),
        TEST(without_paging_linear_is_physical_and_wraps_at_32_bits),
        TEST(smap_stops_explicit_accesses_without_ac_and_all_implicit_ones),
        TEST(alignment_is_checked_at_cpl_3_with_am_and_ac_only),
        TEST(blocks_of_any_length_and_alignment_are_what_was_written),
        TEST(probes_touch_nothing_but_page_table_bits),
        TEST(a_read_modify_write_reads_before_and_writes_after),
        TEST(a_read_modify_write_of_16_bytes_has_two_halves),
        TEST(a_read_modify_write_needs_the_right_to_write_before_it_reads),
        TEST(a_device_sees_the_access_as_it_was_made),
        TEST(an_access_from_ram_into_a_device_is_split_at_the_page),
        TEST(memory_that_nobody_has_reads_as_ones),
        TEST(an_access_across_4_gib_wraps_outside_64_bit_mode),
        TEST(pdpte_registers_change_when_they_are_loaded_and_not_before),
        TEST(peeking_translates_as_the_vcpu_would_and_leaves_no_trace),
        TEST(a_fetch_stops_at_the_end_of_the_page),
        TEST(fetches_obey_xd_and_smep),
        TEST(the_fetch_latch_outlives_replacement_and_dies_with_everything_else),
        TEST(a_page_with_code_or_a_monitor_gets_no_write_pointer_and_tells_of_writes),
        TEST(a_clean_ram_page_is_marked_dirty_by_its_first_write),
        TEST(monitor_arms_the_line_and_drops_everybodys_write_pointers),
        TEST(data_breakpoints_match_by_kind_and_overlap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
