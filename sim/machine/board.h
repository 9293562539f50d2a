#ifndef ORRERY_MACHINE_BOARD_H
#define ORRERY_MACHINE_BOARD_H

/* The devices of a board and their wiring. A device is part of the machine's state from its first claim on the bus on. */

#include "dev/acpi_ged.h"
#include "dev/acpi_pm.h"
#include "dev/debug_console.h"
#include "dev/debug_exit.h"
#include "dev/hpet.h"
#include "dev/i8042.h"
#include "dev/legacy_ports.h"
#include "dev/pic.h"
#include "dev/pit.h"
#include "dev/rtc.h"
#include "dev/uart16550.h"
#include "dev/virtio_blk.h"
#include "dev/virtio_rng.h"
#include "machine/sim.h"

/* A serial port's way out: which port it is. */
struct board_output {
    struct sim *sim;
    unsigned port;
};

struct board {
    struct board_output outputs[SIM_SERIAL_PORTS + 1];
    struct uart16550 uarts[SIM_SERIAL_PORTS];
    struct legacy_ports legacy;
    struct pic pic;
    struct pit pit;
    struct rtc rtc;
    struct hpet hpet;
    struct i8042 i8042;
    struct acpi_pm pm;
    struct acpi_ged ged;
    struct debug_exit debug_exit;
    struct debug_console debug_console;
    struct virtio_blk disks[SIM_DISKS_MAX]; /* config.disk_count of them */
    struct virtio_rng entropy;
    bool hpet_legacy; /* HPET legacy replacement: PIT and RTC are off their inputs */
};

/* Reads the files of the disks. False with a message: one cannot be used. */
bool board_open_disks(struct sim *s, struct error *e);
/* Creates and wires; the bus, event queue, APICs and disks of s stand already. */
void board_init(struct sim *s);
void board_deinit(struct sim *s);
void board_visit(struct sim *s, struct visitor *v);

#endif
