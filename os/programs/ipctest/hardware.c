/*
 * Drivers as programs: the programmable interval timer by its ports and its interrupt line. A machine without one (microvm)
 * has only the answers to wrong requests tested.
 */
#include "ipctest.h"

#include "lib/tap.h"

#define PIT_PORTS   0x40u
#define PIT_CONTROL 3u
#define PIT_RATE    0x34u /* channel 0, low then high byte, a pulse each time the count runs out */
#define PIT_LATCH   0x00u
#define PIT_COUNT   1193u /* of 1,193,182 a second: about one in a millisecond */
#define PIT_LINE    0u
#define UART_LINE   4u

static handle_t ports;

static uint64_t count_now(void)
{
    (void)sys_port_write(ports, PIT_CONTROL, 1, PIT_LATCH);
    int64_t low = sys_port_read(ports, 0, 1);
    return (uint64_t)(low | sys_port_read(ports, 0, 1) << 8);
}

/* Starts the timer; false when there is none. */
static bool start_timer(void)
{
    (void)sys_port_write(ports, PIT_CONTROL, 1, PIT_RATE);
    (void)sys_port_write(ports, 0, 1, PIT_COUNT & 0xff);
    (void)sys_port_write(ports, 0, 1, PIT_COUNT >> 8);
    for (unsigned i = 0; i < 20; i++) {
        uint64_t count = count_now();
        sys_sleep(MS / 7);
        if (count > PIT_COUNT) {
            return false;
        }
        if (count != count_now()) {
            return true;
        }
    }
    return false;
}

static int has_no_hardware(void)
{
    if (sys_cap_delete(CAP_HARDWARE) != STATUS_OK) {
        return 1;
    }
    bool refused = sys_ports_create(PIT_PORTS, 4) == STATUS_ERR_CAP_INVALID &&
                   sys_irq_create(PIT_LINE) == STATUS_ERR_CAP_INVALID;
    return refused ? 0 : 2;
}

/* covers: CP-15 (hardware), NX-02 (mediated) */
static bool test_ports_are_only_what_was_given(void)
{
    ports = (handle_t)sys_ports_create(PIT_PORTS, 4);
    EXPECT(sys_port_read(ports, 3, 1) >= 0);
    EXPECT(sys_port_read(ports, 4, 1) == STATUS_ERR_RANGE && sys_port_read(ports, 3, 2) == STATUS_ERR_RANGE);
    EXPECT(sys_port_read(ports, 1, 4) == STATUS_ERR_RANGE && sys_port_read(ports, 0, 3) == STATUS_ERR_RANGE);
    EXPECT(sys_port_read(ports, UINT64_MAX, 1) == STATUS_ERR_RANGE);
    EXPECT(sys_port_write(ports, 4, 1, 0) == STATUS_ERR_RANGE);
    EXPECT(sys_port_read(ports, 0, 1ull << 32) == STATUS_ERR_RANGE);
    EXPECT(sys_ports_create(65536, 1) == STATUS_ERR_RANGE && sys_ports_create(65535, 2) == STATUS_ERR_RANGE);
    EXPECT(sys_ports_create(0, 0) == STATUS_ERR_RANGE);
    handle_t reads = (handle_t)sys_cap_derive(ports, RIGHT_READ, 0);
    EXPECT(sys_port_read(reads, 3, 1) >= 0 && sys_port_write(reads, 3, 1, 0) == STATUS_ERR_CAP_RIGHTS);
    EXPECT(sys_cap_revoke(ports) == 1 && sys_port_read(reads, 3, 1) == STATUS_ERR_CAP_REVOKED);
    EXPECT(sys_port_read(CAP_CONSOLE, 0, 1) == STATUS_ERR_CAP_TYPE);
    return tap_status(tap_child(has_no_hardware)) == 0;
}

/* covers: IR-12, NX-03, NX-02 (a timer) */
static bool test_interrupts_reach_a_program_and_wait_for_it(void)
{
    handle_t notification = (handle_t)sys_notification_create();
    handle_t irq = (handle_t)sys_irq_create(PIT_LINE);
    uint64_t bits = 0;
    ports = (handle_t)sys_ports_create(PIT_PORTS, 4);
    EXPECT((int64_t)irq > 0 && sys_irq_acknowledge(irq) == STATUS_ERR_STATE);
    EXPECT(sys_irq_create(PIT_LINE) == STATUS_ERR_BUSY && sys_irq_create(UART_LINE) == STATUS_ERR_BUSY);
    EXPECT(sys_irq_create(16) == STATUS_ERR_RANGE);
    EXPECT(sys_irq_bind(irq, notification, 0) == STATUS_ERR_ARGUMENT);
    EXPECT(sys_irq_bind(irq, ports, 32) == STATUS_ERR_CAP_TYPE);
    if (!start_timer()) {
        return tap_skip("the 8254 does not count");
    }
    EXPECT(sys_notification_wait(notification, UINT64_MAX, &bits, 5 * MS) == STATUS_ERR_TIMEOUT); /* masked */
    EXPECT(sys_irq_bind(irq, notification, 32) == STATUS_OK);
    for (unsigned i = 0; i < 5; i++) {
        EXPECT(sys_notification_wait(notification, UINT64_MAX, &bits, SECOND) == STATUS_OK && bits == 32);
        /* the timer goes on; the line rests until this program is ready */
        EXPECT(sys_notification_wait(notification, UINT64_MAX, &bits, 5 * MS) == STATUS_ERR_TIMEOUT);
        EXPECT(sys_irq_acknowledge(irq) == STATUS_OK);
    }
    handle_t derived = (handle_t)sys_cap_derive(irq, RIGHT_WRITE, 0);
    EXPECT(sys_irq_bind(derived, notification, 64) == STATUS_OK);
    EXPECT(sys_notification_wait(notification, 64, &bits, SECOND) == STATUS_OK);
    EXPECT(sys_cap_revoke(irq) == 1); /* the binding goes with the capability it was made by */
    EXPECT(sys_irq_acknowledge(irq) == STATUS_ERR_STATE);
    EXPECT(sys_notification_wait(notification, UINT64_MAX, &bits, 5 * MS) != STATUS_OK || bits == 32);
    EXPECT(sys_notification_wait(notification, UINT64_MAX, &bits, 5 * MS) == STATUS_ERR_TIMEOUT);
    EXPECT(sys_cap_delete(irq) == STATUS_OK && sys_quiesce() == STATUS_OK);
    EXPECT(sys_irq_create(PIT_LINE) > 0); /* the line is free again */
    return true;
}

const struct tap_test hardware_tests[] = {
    {"ports_are_only_what_was_given", test_ports_are_only_what_was_given},
    {"interrupts_reach_a_program_and_wait_for_it", test_interrupts_reach_a_program_and_wait_for_it},
};

const unsigned hardware_test_count = sizeof(hardware_tests) / sizeof(hardware_tests[0]);
