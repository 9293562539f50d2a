/* Ends of the machine. Source: ACPI Specification 6.4, "Power Management 1 Control Registers", "Sleep Control
 * and Status Registers". */
#include "arch/x86_64/power.h"

#include "arch/arch.h"
#include "arch/x86_64/acpi.h"
#include "arch/x86_64/kmap.h"

#define DEBUG_EXIT_PORT      0xf4u
#define PM1_SLEEP_ENABLE     (1u << 13)
#define SLEEP_CONTROL_ENABLE (1u << 5)

void power_debug_exit(uint8_t value)
{
    port_write8(DEBUG_EXIT_PORT, value);
}

static void power_off_reduced(const struct acpi_info *acpi)
{
    uint8_t value = (uint8_t)((uint32_t)acpi->sleep_type_5 << 2 | SLEEP_CONTROL_ENABLE);
    uint64_t page = align_down(acpi->sleep_control, PAGE_SIZE);
    void *window;
    if (acpi->sleep_control_is_port) {
        port_write8((uint16_t)acpi->sleep_control, value);
    } else if (kmap_device(paddr_make(page), PAGE_SIZE, &window) == STATUS_OK) {
        *((volatile uint8_t *)window + (acpi->sleep_control - page)) = value;
    }
}

void power_off(void)
{
    const struct acpi_info *acpi = acpi_info();
    if (!acpi->can_power_off) {
        return;
    }
    if (acpi->hardware_reduced) {
        power_off_reduced(acpi);
        return;
    }
    uint16_t value = (uint16_t)((uint32_t)acpi->sleep_type_5 << 10 | PM1_SLEEP_ENABLE);
    port_write16((uint16_t)acpi->pm1a_control, value);
    if (acpi->pm1b_control != 0) {
        port_write16((uint16_t)acpi->pm1b_control, value);
    }
}
