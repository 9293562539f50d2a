/*
 * ACPI fixed hardware.
 *
 * Source: ACPI specification 6.4, "ACPI Hardware Specification": "PM1 Event Grouping", "PM1 Control
 * Grouping", "Power Management Timer", "General-Purpose Event Register Blocks", "Reset Register"; for port
 * 0xcf9 the register description of Intel's I/O controller hubs, "Reset Control Register".
 *
 * The PM timer counts from cycle 0 and is a function of the clock; one event marks the next change of its top
 * bit.
 *
 * Deviations: the machine is always in ACPI mode (SCI_EN reads as one; the FADT has no SMI command). Of the
 * sleeping states only S5 exists: SLP_EN with another type does nothing. GBL_RLS raises no SMI. Bus master
 * status is absent.
 */

#include "dev/acpi_pm.h"

#include "core/clock.h"
#include "dev/byte_ports.h"

#define PM1_STATUS 0u
#define PM1_ENABLE 2u

#define PM1_EVENTS            (ACPI_PM1_TMR | ACPI_PM1_GBL | ACPI_PM1_PWRBTN | ACPI_PM1_SLPBTN | ACPI_PM1_RTC)
#define CONTROL_SLP_TYP_SHIFT 10
#define CONTROL_KEPT          UINT16_C(0x1c02) /* SLP_TYP, BM_RLD */

#define RESET_HARD UINT8_C(0x02)
#define RESET_CPU  UINT8_C(0x04) /* its rising edge resets */
#define RESET_FULL UINT8_C(0x08)

static unsigned timer_bits(const struct acpi_pm *a)
{
    return a->config.timer_is_32_bits ? 32 : 24;
}

static uint32_t timer_value(const struct acpi_pm *a, uint64_t now_cycles)
{
    uint64_t ticks = clock_ticks(now_cycles, ACPI_PM_HZ);
    return (uint32_t)(ticks & (UINT64_MAX >> (64 - timer_bits(a))));
}

/* How often the top bit has changed since the start. */
static uint64_t flips_at(const struct acpi_pm *a, uint64_t now_cycles)
{
    return clock_ticks(now_cycles, ACPI_PM_HZ) >> (timer_bits(a) - 1);
}

/* TMR_STS is set by every change, enabled or not; without TMR_EN nobody sees it before the next access, so only with
 * it there is an event. */
static void note_flips(struct acpi_pm *a, uint64_t now_cycles)
{
    uint64_t flips = flips_at(a, now_cycles);
    if (flips > a->flips_seen) {
        a->pm1_status |= ACPI_PM1_TMR;
    }
    a->flips_seen = flips;
}

static void arm(struct acpi_pm *a, uint64_t now_cycles)
{
    uint64_t next = (flips_at(a, now_cycles) + 1) << (timer_bits(a) - 1);
    bool wanted = a->pm1_enable & ACPI_PM1_TMR;
    event_arm(a->events, a->timer, wanted ? clock_cycles(next, ACPI_PM_HZ) : EVENT_NEVER);
}

static void update_sci(struct acpi_pm *a, uint64_t now_cycles)
{
    bool level = (a->pm1_status & a->pm1_enable) || (a->gpe0_status & a->gpe0_enable);
    if (level != a->sci_level) {
        a->sci_level = level;
        irq_set(&a->sci, level, now_cycles);
    }
}

static void top_bit_changed(void *owner, unsigned argument, uint64_t due_cycles)
{
    (void)argument;
    struct acpi_pm *a = owner;
    note_flips(a, due_cycles);
    arm(a, due_cycles);
    update_sci(a, due_cycles);
}

static void write_control(struct acpi_pm *a, uint16_t value, uint64_t now_cycles)
{
    a->pm1_control = value & CONTROL_KEPT;
    bool sleeps = value & ACPI_PM1_SLP_EN;
    if (sleeps && (value >> CONTROL_SLP_TYP_SHIFT & 7) == a->config.s5_type) {
        request_raise(&a->request, REQUEST_POWER_OFF, 0, now_cycles);
    }
}

static void write_reset(struct acpi_pm *a, uint8_t value, uint64_t now_cycles)
{
    bool reset = (value & RESET_CPU) && !(a->reset_register & RESET_CPU);
    a->reset_register = value & (RESET_HARD | RESET_CPU | RESET_FULL);
    if (reset) {
        request_raise(&a->request, REQUEST_RESET, 0, now_cycles);
    }
}

/* The bytes of a 16-bit register: replaces the one at the odd or even port. */
static uint16_t with_byte(uint16_t old, unsigned odd, uint8_t value)
{
    unsigned shift = 8 * odd;
    return (uint16_t)((old & ~(0xffu << shift)) | (unsigned)value << shift);
}

static uint8_t byte_of(uint32_t value, unsigned index)
{
    return (uint8_t)(value >> 8 * index);
}

/* Writing ones clears status bits. */
static uint16_t cleared(uint16_t status, unsigned odd, uint8_t value)
{
    return status & (uint16_t)~with_byte(0, odd, value);
}

static uint8_t read_pm(const struct acpi_pm *a, unsigned offset, uint64_t now_cycles)
{
    switch (offset & ~1u) {
    case PM1_STATUS:
        return byte_of(a->pm1_status, offset & 1);
    case PM1_ENABLE:
        return byte_of(a->pm1_enable, offset & 1);
    case ACPI_PM_CONTROL:
        return byte_of(a->pm1_control | ACPI_PM1_SCI_EN, offset & 1);
    case ACPI_PM_TIMER:
    case ACPI_PM_TIMER + 2:
        return byte_of(timer_value(a, now_cycles), offset & 3);
    default:
        return 0;
    }
}

static void write_pm(struct acpi_pm *a, unsigned offset, uint8_t value)
{
    unsigned odd = offset & 1;
    switch (offset & ~1u) {
    case PM1_STATUS:
        a->pm1_status = cleared(a->pm1_status, odd, value);
        break;
    case PM1_ENABLE:
        a->pm1_enable = with_byte(a->pm1_enable, odd, value) & PM1_EVENTS;
        break;
    default: /* ACPI_PM_CONTROL is written whole, the timer is read-only */
        break;
    }
}

static uint8_t read_byte(void *dev, const struct bus_cx *cx, uint16_t port)
{
    struct acpi_pm *a = dev;
    note_flips(a, cx->now_cycles);
    unsigned pm = (unsigned)(port - a->config.base_port), gpe = (unsigned)(port - a->config.gpe0_port);
    if (port == RESET_PORT) {
        return a->reset_register;
    }
    if (pm < ACPI_PM_PORTS) {
        return read_pm(a, pm, cx->now_cycles);
    }
    if (gpe < ACPI_GPE0_PORTS) {
        return byte_of(gpe < 2 ? a->gpe0_status : a->gpe0_enable, gpe & 1);
    }
    return 0xff;
}

static void write_byte(void *dev, const struct bus_cx *cx, uint16_t port, uint8_t value)
{
    struct acpi_pm *a = dev;
    note_flips(a, cx->now_cycles);
    unsigned pm = (unsigned)(port - a->config.base_port), gpe = (unsigned)(port - a->config.gpe0_port);
    if (port == RESET_PORT) {
        write_reset(a, value, cx->now_cycles);
    } else if (pm < ACPI_PM_PORTS) {
        write_pm(a, pm, value);
    } else if (gpe < 2) {
        a->gpe0_status = cleared(a->gpe0_status, gpe, value);
    } else if (gpe < ACPI_GPE0_PORTS) {
        a->gpe0_enable = with_byte(a->gpe0_enable, gpe & 1, value);
    }
    arm(a, cx->now_cycles);
    update_sci(a, cx->now_cycles);
}

void acpi_pm_power_button(struct acpi_pm *a, uint64_t now_cycles)
{
    a->pm1_status |= ACPI_PM1_PWRBTN;
    update_sci(a, now_cycles);
}

void acpi_pm_general_event(struct acpi_pm *a, unsigned event, uint64_t now_cycles)
{
    a->gpe0_status |= (uint16_t)(1u << (event & 15));
    update_sci(a, now_cycles);
}

static uint64_t acpi_port_read(void *dev, const struct bus_cx *cx, uint16_t port, unsigned size_bytes)
{
    return byte_ports_read(read_byte, dev, cx, port, size_bytes);
}

/* SLP_TYP and SLP_EN lie in the upper byte, so a write of that byte alone counts as well. */
static void acpi_port_write(void *dev, const struct bus_cx *cx, uint16_t port, uint64_t value,
                            unsigned size_bytes)
{
    struct acpi_pm *a = dev;
    unsigned offset = (unsigned)(port - a->config.base_port);
    if (offset == ACPI_PM_CONTROL && size_bytes >= 2) {
        write_control(a, (uint16_t)value, cx->now_cycles);
    } else if (offset == ACPI_PM_CONTROL || offset == ACPI_PM_CONTROL + 1) {
        write_control(a, with_byte(a->pm1_control, offset & 1, (uint8_t)value), cx->now_cycles);
    } else {
        byte_ports_write(write_byte, dev, cx, port, value, size_bytes);
    }
}

void acpi_pm_reset(struct acpi_pm *a, uint64_t now_cycles)
{
    a->pm1_status = a->pm1_enable = a->pm1_control = a->gpe0_status = a->gpe0_enable = 0;
    a->reset_register = 0;
    a->flips_seen = flips_at(a, now_cycles);
    arm(a, now_cycles);
    update_sci(a, now_cycles);
}

void acpi_pm_init(struct acpi_pm *a, const struct acpi_pm_config *config, struct event_queue *events,
                  const struct irq_line *sci, const struct request_line *request)
{
    *a = (struct acpi_pm){.config = *config, .events = events, .sci = *sci, .request = *request};
    a->timer = event_timer_add(events, "acpi timer", top_bit_changed, a, 0);
    acpi_pm_reset(a, 0);
}

void acpi_pm_visit(struct acpi_pm *a, struct visitor *v)
{
    visit_u16(v, "pm1_status", &a->pm1_status);
    visit_u16(v, "pm1_enable", &a->pm1_enable);
    visit_u16(v, "pm1_control", &a->pm1_control);
    visit_u64(v, "flips_seen", &a->flips_seen);
    visit_u16(v, "gpe0_status", &a->gpe0_status);
    visit_u16(v, "gpe0_enable", &a->gpe0_enable);
    visit_u8(v, "reset_register", &a->reset_register);
    visit_bool(v, "sci_level", &a->sci_level);
}

static void visit_op(void *dev, struct visitor *v)
{
    acpi_pm_visit(dev, v);
}

const struct device_ops acpi_pm_ops = {
    .name = "acpi_pm",
    .port_read = acpi_port_read,
    .port_write = acpi_port_write,
    .visit = visit_op,
};
