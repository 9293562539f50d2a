#ifndef ORRERY_DEV_ACPI_GED_H
#define ORRERY_DEV_ACPI_GED_H

/* The registers of hardware-reduced ACPI that a board without fixed hardware needs: sleep control, sleep
 * status, reset. Memory-mapped bytes, as the FADT names them. */

#include "core/device.h"

#define ACPI_GED_SIZE_BYTES    16u
#define ACPI_GED_SLEEP_CONTROL 0u
#define ACPI_GED_SLEEP_STATUS  1u
#define ACPI_GED_RESET         2u
#define ACPI_GED_RESET_VALUE   0x42u /* what the FADT tells to write */
#define ACPI_GED_S5            0x34u /* SLP_EN and SLP_TYP 5 */

struct acpi_ged {
    struct request_line request;
};

void acpi_ged_init(struct acpi_ged *g, const struct request_line *request);
extern const struct device_ops acpi_ged_ops; /* it has no state */

#endif
