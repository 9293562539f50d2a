/* The 8259 pair: initialisation, priorities, every EOI and rotation command, masks, poll, cascade, spurious.
 * */

#include "dev/pic.h"

#include "dev_harness.h"

struct fixture {
    struct pic pic;
    struct line_log intr;
    uint64_t now;
};

static struct fixture f;

static void out(uint16_t port, unsigned value)
{
    out8(&pic_ops, &f.pic, port, value, ++f.now);
}

static unsigned in(uint16_t port)
{
    return in8(&pic_ops, &f.pic, port, ++f.now);
}

static void set(unsigned irq, bool level)
{
    pic_set_irq(&f.pic, irq, level, ++f.now);
}

static void pulse(unsigned irq)
{
    set(irq, false);
    set(irq, true);
}

static unsigned acknowledge(void)
{
    return pic_acknowledge(&f.pic, ++f.now);
}

/* ICW1..4 on both chips, vectors 0x20 and 0x28, nothing masked. */
static void initialise(unsigned master_icw4, unsigned slave_icw4)
{
    out(0x20, 0x11);
    out(0x21, 0x20);
    out(0x21, 0x04);
    out(0x21, master_icw4);
    out(0xa0, 0x11);
    out(0xa1, 0x28);
    out(0xa1, 0x02);
    out(0xa1, slave_icw4);
}

static int setup(void **state)
{
    (void)state;
    f = (struct fixture){.now = 0};
    struct irq_line line = line_to(&f.intr, 0);
    pic_init(&f.pic, &line);
    initialise(0x01, 0x01);
    return 0;
}

static void uninitialised_chip_raises_nothing(void **state)
{
    (void)state;
    pic_reset(&f.pic, ++f.now);
    out(0x21, 0);
    set(0, true);
    assert_false(f.pic.intr_level);
}

static void request_raises_intr_and_acknowledge_gives_its_vector(void **state)
{
    (void)state;
    set(3, true);
    assert_true(f.pic.intr_level);
    assert_int_equal(acknowledge(), 0x23);
    assert_false(f.pic.intr_level);
    out(0x20, 0x0b);
    assert_int_equal(in(0x20), 0x08);
    out(0x20, 0x0a);
    assert_int_equal(in(0x20), 0x00);
}

static void lower_input_has_the_higher_priority(void **state)
{
    (void)state;
    set(5, true);
    set(1, true);
    assert_int_equal(acknowledge(), 0x21);
    assert_false(f.pic.intr_level); /* 5 waits for the end of 1 */
    out(0x20, 0x20);
    assert_true(f.pic.intr_level);
    assert_int_equal(acknowledge(), 0x25);
}

static void higher_request_nests(void **state)
{
    (void)state;
    set(5, true);
    acknowledge();
    set(1, true);
    assert_true(f.pic.intr_level);
    assert_int_equal(acknowledge(), 0x21);
    out(0x20, 0x20); /* ends 1, the highest in service */
    out(0x20, 0x0b);
    assert_int_equal(in(0x20), 0x20);
}

static void edge_input_asks_once_while_it_stays_high(void **state)
{
    (void)state;
    set(4, true);
    acknowledge();
    out(0x20, 0x20);
    assert_false(f.pic.intr_level);
    pulse(4);
    assert_true(f.pic.intr_level);
}

static void level_input_asks_again_until_it_drops(void **state)
{
    (void)state;
    out(0x4d0, 0x20);
    set(5, true);
    acknowledge();
    out(0x20, 0x20);
    assert_true(f.pic.intr_level);
    set(5, false);
    assert_false(f.pic.intr_level);
}

static void icw1_ltim_makes_all_inputs_level_triggered(void **state)
{
    (void)state;
    out(0x20, 0x19);
    out(0x21, 0x20);
    out(0x21, 0x04);
    out(0x21, 0x01);
    set(1, true);
    acknowledge();
    out(0x20, 0x20);
    assert_true(f.pic.intr_level);
}

static void elcr_reads_back_without_the_fixed_edge_inputs(void **state)
{
    (void)state;
    out(0x4d0, 0xff);
    out(0x4d1, 0xff);
    assert_int_equal(in(0x4d0), 0xf8);
    assert_int_equal(in(0x4d1), 0xde);
}

static void request_that_goes_away_gives_the_spurious_vector_without_service(void **state)
{
    (void)state;
    set(3, true);
    set(3, false);
    assert_false(f.pic.intr_level);
    assert_int_equal(acknowledge(), 0x27);
    out(0x20, 0x0b);
    assert_int_equal(in(0x20), 0);
}

static void request_of_the_slave_that_is_masked_meanwhile_gives_the_spurious_vector(void **state)
{
    (void)state;
    set(10, true);
    out(0xa1, 0xff); /* masked between request and acknowledge; the master's latch follows the line */
    assert_int_equal(acknowledge(), 0x27);
}

static void masked_request_waits_for_its_mask_to_go(void **state)
{
    (void)state;
    out(0x21, 0x08);
    set(3, true);
    assert_false(f.pic.intr_level);
    assert_int_equal(in(0x20), 0x08); /* IRR shows it */
    out(0x21, 0x00);
    assert_true(f.pic.intr_level);
    assert_int_equal(in(0x21), 0x00);
}

static void slave_request_comes_through_the_cascade(void **state)
{
    (void)state;
    set(12, true);
    assert_int_equal(acknowledge(), 0x2c);
    out(0x20, 0x0b);
    out(0xa0, 0x0b);
    assert_int_equal(in(0x20), 0x04);
    assert_int_equal(in(0xa0), 0x10);
    set(3, true); /* lower than the cascade */
    assert_false(f.pic.intr_level);
    out(0xa0, 0x20);
    out(0x20, 0x20);
    assert_int_equal(acknowledge(), 0x23);
}

static void second_slave_request_makes_a_new_edge_after_the_eois(void **state)
{
    (void)state;
    set(12, true);
    set(14, true);
    assert_int_equal(acknowledge(), 0x2c);
    out(0xa0, 0x20);
    assert_false(f.pic.intr_level); /* the cascade is still in service */
    out(0x20, 0x20);
    assert_true(f.pic.intr_level);
    assert_int_equal(acknowledge(), 0x2e);
}

static void fully_nested_master_holds_back_a_higher_slave_request(void **state)
{
    (void)state;
    set(12, true);
    acknowledge();
    set(8, true);
    assert_false(f.pic.intr_level);
}

static void special_fully_nested_master_lets_a_higher_slave_request_through(void **state)
{
    (void)state;
    initialise(0x11, 0x01);
    set(12, true);
    acknowledge();
    set(8, true);
    assert_true(f.pic.intr_level);
    assert_int_equal(acknowledge(), 0x28);
}

static void input_2_of_the_pair_is_the_cascade_and_cannot_be_driven(void **state)
{
    (void)state;
    set(2, true);
    assert_false(f.pic.intr_level);
}

static void specific_eoi_ends_the_named_input(void **state)
{
    (void)state;
    set(5, true);
    acknowledge();
    set(1, true);
    acknowledge();
    out(0x20, 0x65);
    out(0x20, 0x0b);
    assert_int_equal(in(0x20), 0x02);
}

static void automatic_eoi_leaves_nothing_in_service(void **state)
{
    (void)state;
    initialise(0x03, 0x03);
    set(5, true);
    acknowledge();
    set(6, true);
    assert_true(f.pic.intr_level);
    out(0x20, 0x0b);
    assert_int_equal(in(0x20), 0);
}

static void rotation_in_automatic_eoi_mode_moves_the_served_input_to_the_end(void **state)
{
    (void)state;
    initialise(0x03, 0x03);
    out(0x20, 0x80);
    set(1, true);
    acknowledge();
    pulse(1);
    set(3, true);
    assert_int_equal(acknowledge(), 0x23); /* 1 is lowest now */
    out(0x20, 0x00);                       /* stop rotating */
    assert_int_equal(acknowledge(), 0x21);
    pulse(3);
    pulse(4);
    assert_int_equal(acknowledge(), 0x24); /* 3 stays lowest */
}

static void rotate_on_non_specific_eoi(void **state)
{
    (void)state;
    set(4, true);
    acknowledge();
    out(0x20, 0xa0);
    pulse(4);
    set(6, true);
    assert_int_equal(acknowledge(), 0x26);
}

static void rotate_on_specific_eoi(void **state)
{
    (void)state;
    set(4, true);
    acknowledge();
    out(0x20, 0xe4);
    out(0x20, 0x0b);
    assert_int_equal(in(0x20), 0);
    set(0, true);
    set(5, true);
    assert_int_equal(acknowledge(), 0x25);
}

static void set_priority_command_names_the_lowest_input(void **state)
{
    (void)state;
    out(0x20, 0xc5); /* 5 lowest: order 6, 7, 0 .. 5 */
    set(0, true);
    set(6, true);
    set(5, true);
    assert_int_equal(acknowledge(), 0x26);
    out(0x20, 0x20);
    assert_int_equal(acknowledge(), 0x20);
}

static void ocw2_no_operation_changes_nothing(void **state)
{
    (void)state;
    set(4, true);
    acknowledge();
    out(0x20, 0x40);
    out(0x20, 0x0b);
    assert_int_equal(in(0x20), 0x10);
}

static void special_mask_mode_lets_lower_requests_through_a_masked_service(void **state)
{
    (void)state;
    set(1, true);
    acknowledge();
    set(5, true);
    assert_false(f.pic.intr_level);
    out(0x21, 0x02);
    assert_false(f.pic.intr_level);
    out(0x20, 0x68); /* ESMM, SMM */
    assert_true(f.pic.intr_level);
    assert_int_equal(acknowledge(), 0x25);
    out(0x20, 0x20); /* a non-specific EOI passes over the masked one */
    out(0x20, 0x0b);
    assert_int_equal(in(0x20), 0x02);
    out(0x20, 0x48); /* back */
    set(6, true);
    assert_false(f.pic.intr_level);
}

static void poll_acknowledges_and_names_the_input(void **state)
{
    (void)state;
    set(6, true);
    out(0x20, 0x0c);
    assert_int_equal(in(0x20), 0x86);
    assert_false(f.pic.intr_level);
    out(0x20, 0x0b);
    assert_int_equal(in(0x20), 0x40);
    out(0x20, 0x0c);
    assert_int_equal(in(0x20), 0x00);
}

static void poll_of_the_slave_serves_it_alone(void **state)
{
    (void)state;
    set(9, true);
    out(0xa0, 0x0c);
    assert_int_equal(in(0xa0), 0x81);
    assert_false(f.pic.intr_level);
}

static void icw1_clears_mask_service_and_edge_latches(void **state)
{
    (void)state;
    set(3, true);
    acknowledge();
    set(4, true);
    out(0x21, 0xff);
    initialise(0x01, 0x01);
    assert_int_equal(in(0x21), 0);
    assert_false(f.pic.intr_level); /* 4 is still high: an edge must come anew */
    out(0x20, 0x0b);
    assert_int_equal(in(0x20), 0);
}

static void single_mode_without_icw4_needs_two_words(void **state)
{
    (void)state;
    out(0x20, 0x12);
    out(0x21, 0x40);
    out(0x21, 0xfe); /* the mask already */
    set(0, true);
    assert_int_equal(acknowledge(), 0x40);
}

static void word_access_reaches_both_ports(void **state)
{
    (void)state;
    out_sized(&pic_ops, &f.pic, 0x20, 0xfb0b, 2, ++f.now); /* OCW3 read ISR, mask fb */
    assert_int_equal(in_sized(&pic_ops, &f.pic, 0x20, 2, ++f.now), 0xfb00);
}

static void intr_falls_and_rises_between_two_requests(void **state)
{
    (void)state;
    initialise(0x03, 0x03);
    set(3, true);
    set(4, true);
    unsigned before = f.intr.count;
    acknowledge();
    assert_int_equal(f.intr.count, before + 2);
    assert_change(&f.intr, before, false, f.now);
    assert_change(&f.intr, before + 1, true, f.now);
}

static void state_moves(void **state)
{
    (void)state;
    set(3, true);
    set(12, true);
    acknowledge();
    struct pic other;
    pic_init(&other, &(struct irq_line){0});
    assert_state_moves(&pic_ops, &f.pic, &other);
    out8(&pic_ops, &other, 0x20, 0x20, 1000);
    assert_int_equal(pic_acknowledge(&other, 1001), 0x23);
}

static void two_slave_requests_with_automatic_eoi_make_two_edges(void **state)
{
    (void)state;
    initialise(0x03, 0x03);
    set(12, true);
    set(14, true);
    assert_int_equal(acknowledge(), 0x2c);
    assert_true(f.pic.intr_level);
    assert_int_equal(acknowledge(), 0x2e);
    assert_false(f.pic.intr_level);
}

static void icw1_keeps_level_requests(void **state)
{
    (void)state;
    out(0x4d0, 0x20);
    set(5, true);
    initialise(0x01, 0x01);
    assert_true(f.pic.intr_level);
}

static void level_request_comes_with_the_programming_of_elcr(void **state)
{
    (void)state;
    set(5, true);
    acknowledge();
    out(0x20, 0x20);
    assert_false(f.pic.intr_level);
    out(0x4d0, 0x20);
    assert_true(f.pic.intr_level);
}

static void ocw3_without_read_select_keeps_the_last_selection(void **state)
{
    (void)state;
    set(3, true);
    acknowledge();
    out(0x20, 0x0b);
    out(0x20, 0x48); /* only the special mask */
    assert_int_equal(in(0x20), 0x08);
}

static void poll_of_the_slave_lets_its_next_request_make_an_edge(void **state)
{
    (void)state;
    initialise(0x01, 0x03);
    set(9, true);
    set(10, true);
    out(0xa0, 0x0c);
    assert_int_equal(in(0xa0), 0x81);
    assert_true(f.pic.intr_level);
    assert_int_equal(acknowledge(), 0x2a);
}

#define T(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(uninitialised_chip_raises_nothing),
        T(request_raises_intr_and_acknowledge_gives_its_vector),
        T(lower_input_has_the_higher_priority),
        T(higher_request_nests),
        T(edge_input_asks_once_while_it_stays_high),
        T(level_input_asks_again_until_it_drops),
        T(icw1_ltim_makes_all_inputs_level_triggered),
        T(elcr_reads_back_without_the_fixed_edge_inputs),
        T(request_that_goes_away_gives_the_spurious_vector_without_service),
        T(request_of_the_slave_that_is_masked_meanwhile_gives_the_spurious_vector),
        T(masked_request_waits_for_its_mask_to_go),
        T(slave_request_comes_through_the_cascade),
        T(second_slave_request_makes_a_new_edge_after_the_eois),
        T(fully_nested_master_holds_back_a_higher_slave_request),
        T(special_fully_nested_master_lets_a_higher_slave_request_through),
        T(input_2_of_the_pair_is_the_cascade_and_cannot_be_driven),
        T(specific_eoi_ends_the_named_input),
        T(automatic_eoi_leaves_nothing_in_service),
        T(rotation_in_automatic_eoi_mode_moves_the_served_input_to_the_end),
        T(rotate_on_non_specific_eoi),
        T(rotate_on_specific_eoi),
        T(set_priority_command_names_the_lowest_input),
        T(ocw2_no_operation_changes_nothing),
        T(special_mask_mode_lets_lower_requests_through_a_masked_service),
        T(poll_acknowledges_and_names_the_input),
        T(poll_of_the_slave_serves_it_alone),
        T(icw1_clears_mask_service_and_edge_latches),
        T(single_mode_without_icw4_needs_two_words),
        T(word_access_reaches_both_ports),
        T(intr_falls_and_rises_between_two_requests),
        T(state_moves),
        T(two_slave_requests_with_automatic_eoi_make_two_edges),
        T(icw1_keeps_level_requests),
        T(level_request_comes_with_the_programming_of_elcr),
        T(ocw3_without_read_select_keeps_the_last_selection),
        T(poll_of_the_slave_lets_its_next_request_make_an_edge),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
