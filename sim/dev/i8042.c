/*
 * The 8042 keyboard controller and system control port A.
 *
 * Source: IBM PS/2 hardware interface technical reference, "Keyboard and Auxiliary Device Controller",
 * "System Control Port A".
 *
 * Deviations: nothing is plugged in, so bytes sent to the keyboard or the mouse are never answered. The
 * controller has no RAM but the command byte, and answers in no time. Its test inputs and the remaining
 * diagnostic commands are absent: unknown commands are ignored.
 */

#include "dev/i8042.h"

#include "dev/byte_ports.h"

#define STATUS_OUTPUT_FULL 0x01u
#define STATUS_SYSTEM      0x04u
#define STATUS_COMMAND     0x08u
#define STATUS_UNLOCKED    0x10u
#define STATUS_AUX         0x20u

#define COMMAND_BYTE_KEYBOARD_IRQ 0x01u
#define COMMAND_BYTE_MOUSE_IRQ    0x02u
#define COMMAND_BYTE_SYSTEM       0x04u
#define COMMAND_BYTE_NO_KEYBOARD  0x10u
#define COMMAND_BYTE_NO_MOUSE     0x20u

#define OUTPUT_PORT_RESET 0x01u /* low resets */
#define OUTPUT_PORT_A20   0x02u

#define PORT_A_RESET 0x01u
#define PORT_A_A20   0x02u

enum {
    READ_COMMAND_BYTE = 0x20,
    WRITE_COMMAND_BYTE = 0x60,
    DISABLE_MOUSE = 0xa7,
    ENABLE_MOUSE = 0xa8,
    TEST_MOUSE_PORT = 0xa9,
    SELF_TEST = 0xaa,
    TEST_KEYBOARD_PORT = 0xab,
    DISABLE_KEYBOARD = 0xad,
    ENABLE_KEYBOARD = 0xae,
    READ_INPUT_PORT = 0xc0,
    READ_OUTPUT_PORT = 0xd0,
    WRITE_OUTPUT_PORT = 0xd1,
    WRITE_KEYBOARD_BUFFER = 0xd2,
    WRITE_MOUSE_BUFFER = 0xd3,
    WRITE_MOUSE = 0xd4,
    DISABLE_A20 = 0xdd,
    ENABLE_A20 = 0xdf,
    PULSE_FIRST = 0xf0
};

static void drive(const struct irq_line *line, bool *state, bool level, uint64_t now_cycles)
{
    if (level != *state) {
        *state = level;
        irq_set(line, level, now_cycles);
    }
}

static void update(struct i8042 *k, uint64_t now_cycles)
{
    bool keyboard = k->output_full && !k->output_is_aux && (k->command_byte & COMMAND_BYTE_KEYBOARD_IRQ);
    bool mouse = k->output_full && k->output_is_aux && (k->command_byte & COMMAND_BYTE_MOUSE_IRQ);
    bool a20 = (k->output_port & OUTPUT_PORT_A20) || (k->port_a & PORT_A_A20);
    drive(&k->wiring.keyboard, &k->keyboard_level, keyboard, now_cycles);
    drive(&k->wiring.mouse, &k->mouse_level, mouse, now_cycles);
    drive(&k->wiring.a20, &k->a20_level, a20, now_cycles);
}

static void answer(struct i8042 *k, uint8_t byte, bool aux)
{
    k->output = byte;
    k->output_full = true;
    k->output_is_aux = aux;
}

static void set_output_port(struct i8042 *k, uint8_t value, uint64_t now_cycles)
{
    k->output_port = value;
    if (!(value & OUTPUT_PORT_RESET)) {
        request_raise(&k->wiring.request, REQUEST_RESET, 0, now_cycles);
    }
}

static void run_command(struct i8042 *k, uint8_t command, uint64_t now_cycles)
{
    k->awaits = 0;
    switch (command) {
    case READ_COMMAND_BYTE:
        answer(k, k->command_byte, false);
        break;
    case WRITE_COMMAND_BYTE:
    case WRITE_OUTPUT_PORT:
    case WRITE_KEYBOARD_BUFFER:
    case WRITE_MOUSE_BUFFER:
    case WRITE_MOUSE:
        k->awaits = command;
        break;
    case DISABLE_MOUSE:
        k->command_byte |= COMMAND_BYTE_NO_MOUSE;
        break;
    case ENABLE_MOUSE:
        k->command_byte &= (uint8_t)~COMMAND_BYTE_NO_MOUSE;
        break;
    case SELF_TEST:
        answer(k, 0x55, false);
        break;
    case TEST_MOUSE_PORT:
    case TEST_KEYBOARD_PORT:
    case READ_INPUT_PORT:
        answer(k, 0x00, false);
        break;
    case DISABLE_KEYBOARD:
        k->command_byte |= COMMAND_BYTE_NO_KEYBOARD;
        break;
    case ENABLE_KEYBOARD:
        k->command_byte &= (uint8_t)~COMMAND_BYTE_NO_KEYBOARD;
        break;
    case READ_OUTPUT_PORT:
        answer(k, k->output_port, false);
        break;
    case DISABLE_A20:
        k->output_port &= (uint8_t)~OUTPUT_PORT_A20;
        break;
    case ENABLE_A20:
        k->output_port |= OUTPUT_PORT_A20;
        break;
    default:
        if (command >= PULSE_FIRST && !(command & OUTPUT_PORT_RESET)) { /* a 0 bit pulses its line low */
            request_raise(&k->wiring.request, REQUEST_RESET, 0, now_cycles);
        }
        break;
    }
}

static void write_data(struct i8042 *k, uint8_t value, uint64_t now_cycles)
{
    uint8_t command = k->awaits;
    k->awaits = 0;
    switch (command) {
    case WRITE_COMMAND_BYTE:
        k->command_byte = value;
        break;
    case WRITE_OUTPUT_PORT:
        set_output_port(k, value, now_cycles);
        break;
    case WRITE_KEYBOARD_BUFFER:
        answer(k, value, false);
        break;
    case WRITE_MOUSE_BUFFER:
        answer(k, value, true);
        break;
    default: /* to the keyboard or the mouse, which are not there */
        break;
    }
}

static void write_port_a(struct i8042 *k, uint8_t value, uint64_t now_cycles)
{
    bool reset = (value & PORT_A_RESET) && !(k->port_a & PORT_A_RESET);
    k->port_a = value & (PORT_A_A20 | PORT_A_RESET);
    if (reset) {
        request_raise(&k->wiring.request, REQUEST_RESET, 0, now_cycles);
    }
}

static uint8_t status(const struct i8042 *k)
{
    unsigned value = STATUS_UNLOCKED | (k->output_full ? STATUS_OUTPUT_FULL : 0) |
                     (k->command_byte & COMMAND_BYTE_SYSTEM ? STATUS_SYSTEM : 0) |
                     (k->last_was_command ? STATUS_COMMAND : 0) |
                     (k->output_full && k->output_is_aux ? STATUS_AUX : 0);
    return (uint8_t)value;
}

static uint8_t read_byte(void *dev, const struct bus_cx *cx, uint16_t port)
{
    struct i8042 *k = dev;
    switch (port) {
    case I8042_DATA_PORT:
        k->output_full = false;
        update(k, cx->now_cycles);
        return k->output;
    case I8042_COMMAND_PORT:
        return status(k);
    case I8042_PORT_A:
        return k->port_a;
    default:
        return 0xff;
    }
}

static void write_byte(void *dev, const struct bus_cx *cx, uint16_t port, uint8_t value)
{
    struct i8042 *k = dev;
    switch (port) {
    case I8042_DATA_PORT:
        k->last_was_command = false;
        write_data(k, value, cx->now_cycles);
        break;
    case I8042_COMMAND_PORT:
        k->last_was_command = true;
        run_command(k, value, cx->now_cycles);
        break;
    case I8042_PORT_A:
        write_port_a(k, value, cx->now_cycles);
        break;
    default:
        break;
    }
    update(k, cx->now_cycles);
}

void i8042_init(struct i8042 *k, const struct i8042_wiring *wiring)
{
    *k = (struct i8042){.wiring = *wiring, .a20_level = true};
    k->command_byte = COMMAND_BYTE_NO_KEYBOARD | COMMAND_BYTE_NO_MOUSE;
    k->output_port = 0xcc | OUTPUT_PORT_A20 | OUTPUT_PORT_RESET; /* the upper bits idle high */
    k->port_a = PORT_A_A20;
}

void i8042_visit(struct i8042 *k, struct visitor *v)
{
    visit_u8(v, "command_byte", &k->command_byte);
    visit_u8(v, "output_port", &k->output_port);
    visit_u8(v, "port_a", &k->port_a);
    visit_u8(v, "output", &k->output);
    visit_bool(v, "output_full", &k->output_full);
    visit_bool(v, "output_is_aux", &k->output_is_aux);
    visit_u8(v, "awaits", &k->awaits);
    visit_bool(v, "last_was_command", &k->last_was_command);
    visit_bool(v, "keyboard_level", &k->keyboard_level);
    visit_bool(v, "mouse_level", &k->mouse_level);
    visit_bool(v, "a20_level", &k->a20_level);
}

static uint64_t i8042_port_read(void *dev, const struct bus_cx *cx, uint16_t port, unsigned size_bytes)
{
    return byte_ports_read(read_byte, dev, cx, port, size_bytes);
}

static void i8042_port_write(void *dev, const struct bus_cx *cx, uint16_t port, uint64_t value,
                             unsigned size_bytes)
{
    byte_ports_write(write_byte, dev, cx, port, value, size_bytes);
}

static void visit_op(void *dev, struct visitor *v)
{
    i8042_visit(dev, v);
}

const struct device_ops i8042_ops = {
    .name = "i8042",
    .port_read = i8042_port_read,
    .port_write = i8042_port_write,
    .visit = visit_op,
};
