/*
 * Sleep and reset registers of hardware-reduced ACPI.
 *
 * Source: ACPI specification 6.4, "Sleep Control and Status Registers", "Reset Register".
 *
 * Deviations: of the sleeping states only S5 exists: SLP_EN with another SLP_TYP does nothing. There is
 * nothing to wake from, so WAK_STS is always clear and both sleep registers read as zero. No event selector.
 */

#include "dev/acpi_ged.h"

#define SLP_EN         0x20u
#define SLP_TYP        0x1cu
#define SLP_EN_SLP_TYP (SLP_EN | SLP_TYP)

static uint64_t ged_read(void *dev, const struct bus_cx *cx, uint64_t offset, unsigned size_bytes)
{
    (void)dev;
    (void)cx;
    (void)offset;
    (void)size_bytes;
    return 0;
}

static void ged_write(void *dev, const struct bus_cx *cx, uint64_t offset, uint64_t value,
                      unsigned size_bytes)
{
    struct acpi_ged *g = dev;
    if (size_bytes != 1) {
        return;
    }
    if (offset == ACPI_GED_SLEEP_CONTROL && (value & SLP_EN_SLP_TYP) == ACPI_GED_S5) {
        request_raise(&g->request, REQUEST_POWER_OFF, 0, cx->now_cycles);
    } else if (offset == ACPI_GED_RESET && value == ACPI_GED_RESET_VALUE) {
        request_raise(&g->request, REQUEST_RESET, 0, cx->now_cycles);
    }
}

void acpi_ged_init(struct acpi_ged *g, const struct request_line *request)
{
    *g = (struct acpi_ged){.request = *request};
}

const struct device_ops acpi_ged_ops = {
    .name = "acpi_ged",
    .mmio_read = ged_read,
    .mmio_write = ged_write,
    .stateless = true,
};
