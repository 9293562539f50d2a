#ifndef ORRERY_DEV_I8042_H
#define ORRERY_DEV_I8042_H

/* The keyboard controller of a PC without a keyboard (ports 0x60, 0x64), and port 0x92: resets and A20. */

#include "core/device.h"
#include "core/pc_map.h"

struct i8042_wiring {
    struct irq_line keyboard, mouse; /* IRQ 1 and 12 */
    struct irq_line a20;             /* true: address line 20 is open, the state after reset */
    struct request_line request;
};

struct i8042 {
    struct i8042_wiring wiring;

    /* state */
    uint8_t command_byte;
    uint8_t output_port; /* bit 0 reset (low is active), bit 1 A20 */
    uint8_t port_a;      /* 0x92: bit 1 A20, bit 0 the last reset bit */
    uint8_t output;      /* output buffer */
    bool output_full;
    bool output_is_aux;
    uint8_t awaits;        /* the command whose parameter comes next at 0x60; 0 is none */
    bool last_was_command; /* status bit 3 */
    bool keyboard_level, mouse_level, a20_level;
};

void i8042_init(struct i8042 *k, const struct i8042_wiring *wiring);
void i8042_visit(struct i8042 *k, struct visitor *v);
extern const struct device_ops i8042_ops; /* ports 0x60, 0x64, 0x92 */

#endif
