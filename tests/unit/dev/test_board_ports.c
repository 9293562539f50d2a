/* The devices without time: ACPI sleep registers, debug exit and console, legacy latches. */

#include "dev/acpi_ged.h"
#include "dev/debug_console.h"
#include "dev/debug_exit.h"
#include "dev/legacy_ports.h"

#include "dev_harness.h"

static struct request_log request;
static struct byte_log bytes;

static int setup(void **state)
{
    (void)state;
    request = (struct request_log){0};
    bytes.count = 0;
    return 0;
}

static const struct request_line request_line = {log_request, &request};

static void ged_write(struct acpi_ged *g, uint64_t offset, uint64_t value, unsigned size)
{
    struct bus_cx cx = {11, 0};
    acpi_ged_ops.mmio_write(g, &cx, offset, value, size);
}

static void sleep_control_with_s5_powers_off(void **state)
{
    (void)state;
    struct acpi_ged g;
    acpi_ged_init(&g, &request_line);
    ged_write(&g, 0, 0x14, 1); /* no SLP_EN */
    ged_write(&g, 0, 0x24, 1); /* S1 */
    ged_write(&g, 1, 0x34, 1); /* the status register */
    ged_write(&g, 0, 0x34, 4);
    assert_int_equal(request.count, 0);
    ged_write(&g, 0, 0x34, 1);
    assert_int_equal(request.last, REQUEST_POWER_OFF);
    assert_int_equal(request.at, 11);
    struct bus_cx cx = {11, 0};
    assert_int_equal(acpi_ged_ops.mmio_read(&g, &cx, 0, 1), 0);
}

static void ged_reset_register_wants_its_value(void **state)
{
    (void)state;
    struct acpi_ged g;
    acpi_ged_init(&g, &request_line);
    ged_write(&g, 2, 0x41, 1);
    assert_int_equal(request.count, 0);
    ged_write(&g, 2, 0x42, 1);
    assert_int_equal(request.last, REQUEST_RESET);
}

static void debug_exit_passes_the_value_at_each_width(void **state)
{
    (void)state;
    struct debug_exit d;
    debug_exit_init(&d, &request_line);
    out_sized(&debug_exit_ops, &d, 0xf4, 0x10, 1, 5);
    assert_int_equal(request.last, REQUEST_DEBUG_EXIT);
    assert_int_equal(request.value, 0x10);
    assert_int_equal(request.at, 5);
    out_sized(&debug_exit_ops, &d, 0xf4, 0x1234, 2, 5);
    assert_int_equal(request.value, 0x1234);
    out_sized(&debug_exit_ops, &d, 0xf4, 0x89abcdef, 4, 5);
    assert_int_equal(request.value, 0x89abcdef);
    assert_int_equal(request.count, 3);
    assert_int_equal(in8(&debug_exit_ops, &d, 0xf4, 5), 0);
}

static void debug_console_sends_bytes_and_reads_its_port_number(void **state)
{
    (void)state;
    struct debug_console d;
    debug_console_init(&d, &(struct byte_sink){log_byte, &bytes});
    out8(&debug_console_ops, &d, 0xe9, 'h', 3);
    out8(&debug_console_ops, &d, 0xe9, 'i', 4);
    assert_int_equal(bytes.count, 2);
    assert_int_equal(bytes.bytes[0], 'h');
    assert_int_equal(bytes.bytes[1], 'i');
    assert_int_equal(bytes.at[1], 4);
    assert_int_equal(in8(&debug_console_ops, &d, 0xe9, 5), 0xe9);
}

static void page_registers_are_latches(void **state)
{
    (void)state;
    struct legacy_ports l;
    legacy_ports_init(&l);
    out8(&legacy_ports_ops, &l, 0x80, 0xaa, 0);
    out_sized(&legacy_ports_ops, &l, 0x82, 0x4433, 2, 0);
    assert_int_equal(in8(&legacy_ports_ops, &l, 0x80, 0), 0xaa);
    assert_int_equal(in8(&legacy_ports_ops, &l, 0x83, 0), 0x44);
    assert_int_equal(in_sized(&legacy_ports_ops, &l, 0x8f, 2, 0), 0xff00);
}

static void pci_bus_is_empty(void **state)
{
    (void)state;
    struct legacy_ports l;
    legacy_ports_init(&l);
    out_sized(&legacy_ports_ops, &l, 0xcf8, 0x80001234, 4, 0);
    assert_int_equal(in_sized(&legacy_ports_ops, &l, 0xcf8, 4, 0), 0x80001234);
    out_sized(&legacy_ports_ops, &l, 0xcf8, 0x77, 1, 0); /* not the register */
    assert_int_equal(in_sized(&legacy_ports_ops, &l, 0xcf8, 4, 0), 0x80001234);
    out_sized(&legacy_ports_ops, &l, 0xcfc, 0, 4, 0);
    assert_int_equal(in_sized(&legacy_ports_ops, &l, 0xcfc, 4, 0), 0xffffffff);
    struct legacy_ports other;
    legacy_ports_init(&other);
    assert_state_moves(&legacy_ports_ops, &l, &other);
    assert_int_equal(other.config_address, 0x80001234);
}

#define T(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(sleep_control_with_s5_powers_off),
        T(ged_reset_register_wants_its_value),
        T(debug_exit_passes_the_value_at_each_width),
        T(debug_console_sends_bytes_and_reads_its_port_number),
        T(page_registers_are_latches),
        T(pci_bus_is_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
