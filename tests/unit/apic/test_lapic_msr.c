/* The local APIC through MSRs: modes, x2APIC rights and reserved bits. */

#include "lapic_harness.h"

static void apic_base_allows_only_the_legal_transitions(void **state)
{
    (void)state;
    uint64_t base = LAPIC_BASE, value;
    assert_int_equal(set_msr(MSR_APIC_BASE, base | 0x400), GP); /* EXTD without EN */
    assert_int_equal(set_msr(MSR_APIC_BASE, base | 0xc00), OK);
    assert_int_equal(lapic_mode(&f.l), LAPIC_X2APIC);
    assert_int_equal(set_msr(MSR_APIC_BASE, base | 0x800), GP); /* x2APIC to xAPIC */
    assert_int_equal(set_msr(MSR_APIC_BASE, base | 0xc00), OK);
    assert_int_equal(set_msr(MSR_APIC_BASE, base), OK);
    assert_int_equal(lapic_mode(&f.l), LAPIC_DISABLED);
    assert_int_equal(set_msr(MSR_APIC_BASE, base | 0xc00), GP); /* disabled to x2APIC */
    assert_int_equal(set_msr(MSR_APIC_BASE, base | 0x800), OK);
    assert_int_equal(lapic_mode(&f.l), LAPIC_XAPIC);
    assert_int_equal(get_msr(MSR_APIC_BASE, &value), OK);
    assert_int_equal(value, base | 0x900); /* BSP is read-only */
}

static void apic_base_reserved_bits_fault_and_a_move_is_not_modelled(void **state)
{
    (void)state;
    uint64_t base = LAPIC_BASE;
    assert_int_equal(set_msr(MSR_APIC_BASE, base | 0x801), GP);
    assert_int_equal(set_msr(MSR_APIC_BASE, base | 0xa00), GP);
    assert_int_equal(set_msr(MSR_APIC_BASE, base | 0x800 | UINT64_C(1) << 46), GP);
    assert_int_equal(set_msr(MSR_APIC_BASE, UINT64_C(0xfef00000) | 0x800), LAPIC_NOT_MODELLED);
    f.l.config.x2apic = false;
    assert_int_equal(set_msr(MSR_APIC_BASE, base | 0xc00), GP);
}

static void disabling_by_apic_base_resets_and_lints_become_intr_and_nmi(void **state)
{
    (void)state;
    arrive(APIC_FIXED, 0x41, false);
    wr(LAPIC_TIMER_INITIAL, 100, 0);
    set_msr(MSR_APIC_BASE, LAPIC_BASE);
    assert_int_equal(lapic_pending(&f.l), LAPIC_NO_VECTOR);
    arrive(APIC_NMI, 0, false);
    assert_int_equal(f.nmis, 0);
    lapic_set_lint(&f.l, 0, true, 60);
    assert_true(lapic_extint(&f.l));
    lapic_set_lint(&f.l, 1, true, 61);
    assert_int_equal(f.nmis, 1);
    lapic_set_lint(&f.l, 0, false, 62);
    set_msr(MSR_APIC_BASE, LAPIC_BASE | 0x800);
    assert_int_equal(rd(LAPIC_SVR, 63), 0xff);
    assert_int_equal(rd(LAPIC_TIMER_INITIAL, 63), 0);
}

static void x2apic_id_and_ldr_are_derived_from_all_32_bits(void **state)
{
    (void)state;
    uint64_t value;
    get_msr(0x802, &value);
    assert_int_equal(value, 0x25);
    get_msr(0x80d, &value);
    assert_int_equal(value, 0x00020020);
}

static void x2apic_msrs_fault_in_xapic_mode(void **state)
{
    (void)state;
    uint64_t value;
    assert_int_equal(get_msr(0x802, &value), GP);
    assert_int_equal(set_msr(0x808, 0), GP);
}

static void x2apic_read_and_write_rights_are_those_of_the_manual(void **state)
{
    (void)state;
    static const struct {
        uint32_t msr;
        bool readable, writable; /* writable with zero */
    } rows[] = {
        {0x801, false, false}, {0x802, true, false},  {0x803, true, false},  {0x808, true, true},
        {0x809, false, false}, {0x80a, true, false},  {0x80b, false, true},  {0x80c, false, false},
        {0x80d, true, false},  {0x80e, false, false}, {0x80f, true, true},   {0x810, true, false},
        {0x817, true, false},  {0x818, true, false},  {0x820, true, false},  {0x827, true, false},
        {0x828, true, true},   {0x829, false, false}, {0x82e, false, false}, {0x82f, true, true},
        {0x831, false, false}, {0x832, true, true},   {0x833, true, true},   {0x834, true, true},
        {0x835, true, true},   {0x836, true, true},   {0x837, true, true},   {0x838, true, true},
        {0x839, true, false},  {0x83a, false, false}, {0x83d, false, false}, {0x83e, true, true},
        {0x83f, false, true},  {0x840, false, false}, {0x8ff, false, false},
    };
    uint64_t value;
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(get_msr(rows[i].msr, &value), rows[i].readable ? OK : GP);
        assert_int_equal(set_msr(rows[i].msr, 0), rows[i].writable ? OK : GP);
    }
    assert_int_equal(get_msr(0x830, &value), OK);
}

static void x2apic_reserved_bits_fault(void **state)
{
    (void)state;
    static const struct {
        uint32_t msr;
        uint64_t good, bad;
    } rows[] = {
        {0x808, 0xff, 0x100},     {0x80b, 0, 1},
        {0x80f, 0x13ff, 0x400},   {0x828, 0, 1},
        {0x832, 0x710ff, 0x100},  {0x833, 0x117ff, 0x2000},
        {0x834, 0x117ff, 0x8000}, {0x835, 0x1f7ff, 0x800},
        {0x837, 0x110ff, 0x400},  {0x838, 0xffffffff, UINT64_C(0x100000000)},
        {0x83e, 0xb, 4},          {0x83f, 0x33, 0x133},
        {0x830, 0x4041, 0x5041},  {0x830, 0x44441, 0x104041},
    };
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(set_msr(rows[i].msr, rows[i].good), OK);
        assert_int_equal(set_msr(rows[i].msr, rows[i].bad), GP);
    }
}

static void x2apic_icr_is_one_64_bit_register(void **state)
{
    (void)state;
    uint64_t value;
    assert_int_equal(set_msr(0x830, UINT64_C(0x1234567800004877)), OK);
    assert_int_equal(f.sent.destination, 0x12345678);
    assert_true(f.sent.wide);
    assert_true(f.sent.logical);
    f.in_flight = true;
    assert_int_equal(get_msr(0x830, &value), OK);
    assert_int_equal(value, UINT64_C(0x1234567800004877)); /* no delivery status */
}

static void x2apic_icr_write_stalls_while_the_last_one_waits(void **state)
{
    (void)state;
    f.answer = APIC_NO_ROOM;
    assert_int_equal(set_msr(0x830, 0x4041), OK);
    assert_int_equal(set_msr(0x830, 0x4042), LAPIC_STALL);
    f.answer = APIC_SENT;
    lapic_bus_room(&f.l, 1);
    assert_int_equal(f.sent.vector, 0x41);
    assert_int_equal(set_msr(0x830, 0x4042), OK);
    assert_int_equal(f.sent.vector, 0x42);
}

static void self_ipi_register_interrupts_its_own_cpu(void **state)
{
    (void)state;
    assert_int_equal(set_msr(0x83f, 0x55), OK);
    assert_int_equal(lapic_pending(&f.l), 0x55);
    assert_int_equal(f.sends, 0);
    assert_int_equal(set_msr(0x83f, 0x05), OK);
    set_msr(0x828, 0);
    uint64_t value;
    get_msr(0x828, &value);
    assert_int_equal(value, LAPIC_ESR_RECEIVE_ILLEGAL);
}

static void init_keeps_the_mode_and_resets_the_rest(void **state)
{
    (void)state;
    uint64_t value;
    set_msr(0x80f, 0x1ff);
    lapic_deliver(&f.l, &(struct apic_message){.delivery = APIC_FIXED, .vector = 0x61}, 10);
    lapic_init_reset(&f.l, 11);
    assert_int_equal(lapic_mode(&f.l), LAPIC_X2APIC);
    assert_int_equal(lapic_pending(&f.l), LAPIC_NO_VECTOR);
    get_msr(0x80d, &value);
    assert_int_equal(value, 0x00020020);
    get_msr(0x80f, &value);
    assert_int_equal(value, 0xff);
}

static void owned_msrs_are_named(void **state)
{
    (void)state;
    assert_true(lapic_has_msr(0x1b));
    assert_true(lapic_has_msr(0x6e0));
    assert_true(lapic_has_msr(0x800));
    assert_true(lapic_has_msr(0x8ff));
    assert_false(lapic_has_msr(0x7ff));
    assert_false(lapic_has_msr(0x900));
    assert_false(lapic_has_msr(0x10));
}

static void entering_x2apic_mode_clears_the_destination_of_icr(void **state)
{
    (void)state;
    uint64_t value;
    wr(LAPIC_ICR_HI, 0x07000000, 0);
    wr(LAPIC_TPR, 0x30, 0);
    assert_int_equal(set_msr(MSR_APIC_BASE, LAPIC_BASE | 0xc00), OK);
    assert_int_equal(get_msr(0x830, &value), OK);
    assert_int_equal(value, 0);
    assert_int_equal(get_msr(0x808, &value), OK);
    assert_int_equal(value, 0x30); /* the rest stays */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(apic_base_allows_only_the_legal_transitions),
        T(apic_base_reserved_bits_fault_and_a_move_is_not_modelled),
        T(disabling_by_apic_base_resets_and_lints_become_intr_and_nmi),
        X(x2apic_id_and_ldr_are_derived_from_all_32_bits),
        T(x2apic_msrs_fault_in_xapic_mode),
        X(x2apic_read_and_write_rights_are_those_of_the_manual),
        X(x2apic_reserved_bits_fault),
        X(x2apic_icr_is_one_64_bit_register),
        X(x2apic_icr_write_stalls_while_the_last_one_waits),
        X(self_ipi_register_interrupts_its_own_cpu),
        X(init_keeps_the_mode_and_resets_the_rest),
        T(owned_msrs_are_named),
        T(entering_x2apic_mode_clears_the_destination_of_icr),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
