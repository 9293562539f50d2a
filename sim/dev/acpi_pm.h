#ifndef ORRERY_DEV_ACPI_PM_H
#define ORRERY_DEV_ACPI_PM_H

/* ACPI fixed hardware: PM1a event and control blocks, the PM timer, a GPE0 block, and the reset register
 * 0xcf9. */

#include "core/device.h"
#include "core/event.h"
#include "core/pc_map.h"

#define ACPI_PM_HZ       UINT64_C(3579545)
#define ACPI_PM_PORTS    12u   /* from base_port: PM1a_EVT, and */
#define ACPI_PM_CONTROL  4u    /* PM1a_CNT */
#define ACPI_PM_TIMER    8u    /* PM_TMR */
#define ACPI_GPE0_PORTS  4u    /* from gpe0_port: 2 bytes of status, 2 of enable */
#define ACPI_RESET_VALUE 0x06u /* what the FADT tells to write */

#define ACPI_PM1_TMR    UINT16_C(0x0001) /* the same bits in status and enable */
#define ACPI_PM1_GBL    UINT16_C(0x0020)
#define ACPI_PM1_PWRBTN UINT16_C(0x0100)
#define ACPI_PM1_SLPBTN UINT16_C(0x0200)
#define ACPI_PM1_RTC    UINT16_C(0x0400)
#define ACPI_PM1_WAK    UINT16_C(0x8000) /* status only */

#define ACPI_PM1_SCI_EN UINT16_C(0x0001)
#define ACPI_PM1_SLP_EN UINT16_C(0x2000)

struct acpi_pm_config {
    uint16_t base_port, gpe0_port;
    bool timer_is_32_bits; /* the FADT's TMR_VAL_EXT */
    uint8_t s5_type;       /* SLP_TYP of soft off, as the DSDT's \_S5 says */
};

struct acpi_pm {
    struct acpi_pm_config config;
    struct event_queue *events;
    struct irq_line sci;
    struct request_line request;
    unsigned timer;

    /* state */
    uint16_t pm1_status, pm1_enable, pm1_control;
    uint64_t flips_seen; /* changes of the timer's top bit that are in pm1_status */
    uint16_t gpe0_status, gpe0_enable;
    uint8_t reset_register;
    bool sci_level;
};

void acpi_pm_init(struct acpi_pm *a, const struct acpi_pm_config *config, struct event_queue *events,
                  const struct irq_line *sci, const struct request_line *request);
void acpi_pm_reset(struct acpi_pm *a, uint64_t now_cycles);
void acpi_pm_visit(struct acpi_pm *a, struct visitor *v);
extern const struct device_ops acpi_pm_ops; /* the two port blocks and RESET_PORT */

/* From outside: the power button is pressed; a general-purpose event 0..15 happens. */
void acpi_pm_power_button(struct acpi_pm *a, uint64_t now_cycles);
void acpi_pm_general_event(struct acpi_pm *a, unsigned event, uint64_t now_cycles);

#endif
