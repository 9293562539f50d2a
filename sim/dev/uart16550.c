/*
 * A 16550A serial port.
 *
 * Source: National Semiconductor PC16550D data sheet, "Register Description", "FIFO Interrupt Mode
 * Operation".
 *
 * Deviations: no DMA signals. Sending a break is not passed to the other end. While MCR loops back, the other
 * end waits. The THRE interrupt is not delayed by a character time after a single byte. A divisor of 0 counts
 * as 1. After reset the divisor is 12 (9600 baud), which the data sheet leaves open. With UART_INSTANT there
 * are no overruns from outside: bytes wait until there is room.
 */

#include "dev/uart16550.h"

#include "core/clock.h"
#include "dev/byte_ports.h"

enum { RBR_THR, IER, IIR_FCR, LCR, MCR, LSR, MSR, SCR };

#define IER_ERBFI 0x01u /* received data, timeout */
#define IER_ETBEI 0x02u
#define IER_ELSI  0x04u
#define IER_EDSSI 0x08u

#define IIR_MODEM   0x00u
#define IIR_NONE    0x01u
#define IIR_THRE    0x02u
#define IIR_DATA    0x04u
#define IIR_LINE    0x06u
#define IIR_TIMEOUT 0x0cu
#define IIR_FIFOS   0xc0u

#define FCR_ENABLE   0x01u
#define FCR_CLEAR_RX 0x02u
#define FCR_CLEAR_TX 0x04u

#define LCR_STB  0x04u
#define LCR_PEN  0x08u
#define LCR_DLAB 0x80u

#define MCR_DTR  0x01u
#define MCR_RTS  0x02u
#define MCR_OUT1 0x04u
#define MCR_OUT2 0x08u
#define MCR_LOOP 0x10u

#define LSR_DR          0x01u
#define LSR_OE          0x02u
#define LSR_FE          0x08u
#define LSR_BI          0x10u
#define LSR_THRE        0x20u
#define LSR_TEMT        0x40u
#define LSR_FIFO        0x80u
#define LSR_BYTE_ERRORS 0x1cu /* PE, FE, BI */

#define MSR_TERI 0x04u
#define MSR_CTS  0x10u
#define MSR_DSR  0x20u
#define MSR_RI   0x40u
#define MSR_DCD  0x80u

#define RESET_DIVISOR 12u

static bool fifos_on(const struct uart16550 *u)
{
    return u->fcr & FCR_ENABLE;
}

static uint32_t fifo_capacity(const struct uart16550 *u)
{
    return fifos_on(u) ? UART_FIFO_BYTES : 1;
}

static uint32_t receive_trigger(const struct uart16550 *u)
{
    static const uint8_t triggers[4] = {1, 4, 8, 14};
    return fifos_on(u) ? triggers[u->fcr >> 6] : 1;
}

/* One character on the line in ticks of UART_CLOCK_HZ: start bit, data, parity, 1, 1.5 or 2 stop bits. */
static uint64_t character_ticks(const struct uart16550 *u)
{
    unsigned data = 5 + (u->lcr & 3u);
    unsigned stop_halves = !(u->lcr & LCR_STB) ? 2 : data == 5 ? 3 : 4;
    unsigned half_bits = 2 * (1 + data + (u->lcr & LCR_PEN ? 1 : 0)) + stop_halves;
    return (uint64_t)half_bits * 8 * (u->divisor ? u->divisor : 1);
}

static uint64_t pace_due(const struct uart_pace *p)
{
    return p->base_cycles + clock_cycles(p->ticks, UART_CLOCK_HZ);
}

/* The interrupt identification without the FIFO bits: the highest of the five sources. */
static uint8_t interrupt_id(const struct uart16550 *u)
{
    if ((u->ier & IER_ELSI) && u->line_errors) {
        return IIR_LINE;
    }
    if ((u->ier & IER_ERBFI) && u->rx_count >= receive_trigger(u)) {
        return IIR_DATA;
    }
    if ((u->ier & IER_ERBFI) && u->timeout_pending) {
        return IIR_TIMEOUT;
    }
    if ((u->ier & IER_ETBEI) && u->thre_pending) {
        return IIR_THRE;
    }
    if ((u->ier & IER_EDSSI) && (u->msr & 0x0f)) {
        return IIR_MODEM;
    }
    return IIR_NONE;
}

static void update_irq(struct uart16550 *u, uint64_t now_cycles)
{
    bool gate = !u->config.out2_gates_irq || (u->mcr & (MCR_OUT2 | MCR_LOOP)) == MCR_OUT2;
    bool level = gate && interrupt_id(u) != IIR_NONE;
    if (level != u->irq_level) {
        u->irq_level = level;
        irq_set(&u->irq, level, now_cycles);
    }
}

/* The receive FIFO's first byte has changed: its errors show in LSR. */
static void reveal_errors(struct uart16550 *u)
{
    if (u->rx_count) {
        u->line_errors |= u->rx_errors[u->rx_first];
        u->rx_errors[u->rx_first] = 0;
    }
}

/* The character timeout starts anew with every byte that comes or goes. */
static void restart_timeout(struct uart16550 *u, uint64_t now_cycles)
{
    u->timeout_pending = false;
    bool waiting = fifos_on(u) && u->rx_count > 0;
    uint64_t due = now_cycles + clock_cycles(4 * character_ticks(u), UART_CLOCK_HZ);
    event_arm(u->events, u->timeout_timer, waiting ? due : EVENT_NEVER);
}

static void receive_byte(struct uart16550 *u, uint8_t byte, uint8_t errors, uint64_t now_cycles)
{
    if (u->rx_count == fifo_capacity(u)) {
        u->line_errors |= LSR_OE;
        if (fifos_on(u)) {
            return; /* only the shift register is overwritten */
        }
        u->rx_count = 0;
    }
    uint32_t at = (u->rx_first + u->rx_count++) % UART_FIFO_BYTES;
    u->rx[at] = byte;
    u->rx_errors[at] = errors;
    reveal_errors(u);
    restart_timeout(u, now_cycles);
}

static uint8_t take_host_byte(struct uart16550 *u)
{
    uint8_t byte = u->host[u->host_first];
    u->host_first = (u->host_first + 1) % UART_HOST_BYTES;
    u->host_count--;
    return byte;
}

/* Gets waiting bytes of the other end going. */
static void pump_host(struct uart16550 *u, uint64_t now_cycles)
{
    if ((u->mcr & MCR_LOOP) || u->host_count == 0) {
        return;
    }
    if (u->config.rate == UART_BAUD) {
        if (event_due(u->events, u->receive_timer) == EVENT_NEVER) {
            u->receive_pace = (struct uart_pace){now_cycles, character_ticks(u)};
            event_arm(u->events, u->receive_timer, pace_due(&u->receive_pace));
        }
        return;
    }
    while (u->host_count > 0 && u->rx_count < fifo_capacity(u)) {
        receive_byte(u, take_host_byte(u), 0, now_cycles);
    }
}

static void receive_event(void *owner, unsigned argument, uint64_t due_cycles)
{
    (void)argument;
    struct uart16550 *u = owner;
    if (u->mcr & MCR_LOOP) {
        return; /* goes on when the loop is opened */
    }
    receive_byte(u, take_host_byte(u), 0, due_cycles);
    if (u->host_count > 0) {
        u->receive_pace.ticks += character_ticks(u);
        event_arm(u->events, u->receive_timer, pace_due(&u->receive_pace));
    }
    update_irq(u, due_cycles);
}

static void timeout_event(void *owner, unsigned argument, uint64_t due_cycles)
{
    (void)argument;
    struct uart16550 *u = owner;
    u->timeout_pending = true;
    update_irq(u, due_cycles);
}

static void send_byte(struct uart16550 *u, uint8_t byte, uint64_t now_cycles)
{
    byte &= (uint8_t)(0xff >> (3 - (u->lcr & 3u)));
    if (u->mcr & MCR_LOOP) {
        receive_byte(u, byte, 0, now_cycles);
    } else if (u->out.write) {
        u->out.write(u->out.target, byte, now_cycles);
    }
}

/* Moves the next byte into the shift register. */
static void load_shift_register(struct uart16550 *u)
{
    u->shift = u->tx[u->tx_first];
    u->tx_first = (u->tx_first + 1) % UART_FIFO_BYTES;
    u->tx_count--;
    u->shifting = true;
    u->thre_pending = u->thre_pending || u->tx_count == 0;
}

static void transmit_event(void *owner, unsigned argument, uint64_t due_cycles)
{
    (void)argument;
    struct uart16550 *u = owner;
    u->shifting = false;
    send_byte(u, u->shift, due_cycles);
    if (u->tx_count > 0) {
        load_shift_register(u);
        u->transmit_pace.ticks += character_ticks(u);
        event_arm(u->events, u->transmit_timer, pace_due(&u->transmit_pace));
    }
    update_irq(u, due_cycles);
}

static void write_thr(struct uart16550 *u, uint8_t byte, uint64_t now_cycles)
{
    u->thre_pending = false;
    update_irq(
        u, now_cycles); /* the line drops even if the byte moves on at once: edge-triggered inputs see it */
    if (u->config.rate == UART_INSTANT) {
        u->thre_pending = true;
        send_byte(u, byte, now_cycles);
        return;
    }
    if (u->tx_count == fifo_capacity(u)) {
        if (fifos_on(u)) {
            return; /* full: the byte is lost */
        }
        u->tx_count = 0; /* the holding register is overwritten */
    }
    u->tx[(u->tx_first + u->tx_count++) % UART_FIFO_BYTES] = byte;
    if (!u->shifting) {
        load_shift_register(u);
        u->transmit_pace = (struct uart_pace){now_cycles, character_ticks(u)};
        event_arm(u->events, u->transmit_timer, pace_due(&u->transmit_pace));
    }
}

static uint8_t read_rbr(struct uart16550 *u, uint64_t now_cycles)
{
    uint8_t byte = u->rx[u->rx_first];
    if (u->rx_count > 0) {
        u->rx_first = (u->rx_first + 1) % UART_FIFO_BYTES;
        u->rx_count--;
        reveal_errors(u);
        restart_timeout(u, now_cycles);
        pump_host(u, now_cycles);
    }
    return byte;
}

static uint8_t read_lsr(struct uart16550 *u)
{
    unsigned value = u->line_errors | (u->rx_count ? LSR_DR : 0);
    bool fifo_error = (u->line_errors & LSR_BYTE_ERRORS) != 0;
    for (uint32_t i = 0; i < u->rx_count; i++) {
        fifo_error = fifo_error || u->rx_errors[(u->rx_first + i) % UART_FIFO_BYTES];
    }
    value |= fifos_on(u) && fifo_error ? LSR_FIFO : 0;
    value |= u->tx_count == 0 ? LSR_THRE : 0;
    value |= u->tx_count == 0 && !u->shifting ? LSR_TEMT : 0;
    u->line_errors = 0;
    return (uint8_t)value;
}

static uint8_t read_iir(struct uart16550 *u)
{
    uint8_t id = interrupt_id(u);
    if (id == IIR_THRE) {
        u->thre_pending = false;
    }
    return (uint8_t)(id | (fifos_on(u) ? IIR_FIFOS : 0));
}

/* Modem inputs as the chip sees them: in the loop its own outputs. */
static uint8_t modem_lines(const struct uart16550 *u)
{
    if (!(u->mcr & MCR_LOOP)) {
        return u->modem_inputs;
    }
    unsigned lines = (u->mcr & MCR_RTS ? MSR_CTS : 0) | (u->mcr & MCR_DTR ? MSR_DSR : 0) |
                     (u->mcr & MCR_OUT1 ? MSR_RI : 0) | (u->mcr & MCR_OUT2 ? MSR_DCD : 0);
    return (uint8_t)lines;
}

static void update_modem(struct uart16550 *u)
{
    uint8_t lines = modem_lines(u);
    unsigned changed = (unsigned)(lines ^ u->msr) & 0xf0;
    unsigned deltas = changed >> 4 & ~MSR_TERI;
    if ((changed & MSR_RI) && !(lines & MSR_RI)) {
        deltas |= MSR_TERI; /* only the trailing edge of RI counts */
    }
    u->msr = (uint8_t)(lines | (u->msr & 0x0f) | deltas);
}

static void clear_receive_fifo(struct uart16550 *u, uint64_t now_cycles)
{
    u->rx_count = u->rx_first = 0;
    restart_timeout(u, now_cycles);
}

static void write_fcr(struct uart16550 *u, uint8_t value, uint64_t now_cycles)
{
    bool toggled = (value ^ u->fcr) & FCR_ENABLE;
    if (toggled || (value & FCR_CLEAR_TX)) {
        u->thre_pending = u->thre_pending || u->tx_count > 0;
        u->tx_count = u->tx_first = 0;
    }
    bool clear_rx = toggled || (value & FCR_CLEAR_RX);
    u->fcr = value & FCR_ENABLE ? value & 0xc9 : 0; /* the other bits need FCR0 */
    if (clear_rx) {
        clear_receive_fifo(u, now_cycles);
    }
    pump_host(u, now_cycles);
}

static void write_ier(struct uart16550 *u, uint8_t value)
{
    bool enabled = !(u->ier & IER_ETBEI) && (value & IER_ETBEI);
    u->ier = value & 0x0f;
    u->thre_pending = u->thre_pending || (enabled && u->tx_count == 0);
}

static void write_mcr(struct uart16550 *u, uint8_t value, uint64_t now_cycles)
{
    u->mcr = value & 0x1f;
    update_modem(u);
    pump_host(u, now_cycles);
}

static uint8_t read_byte(void *dev, const struct bus_cx *cx, uint16_t port)
{
    struct uart16550 *u = dev;
    uint8_t value = 0xff;
    bool dlab = u->lcr & LCR_DLAB;
    switch (port - u->config.base_port) {
    case RBR_THR:
        value = dlab ? (uint8_t)u->divisor : read_rbr(u, cx->now_cycles);
        break;
    case IER:
        value = dlab ? (uint8_t)(u->divisor >> 8) : u->ier;
        break;
    case IIR_FCR:
        value = read_iir(u);
        break;
    case LCR:
        return u->lcr;
    case MCR:
        return u->mcr;
    case LSR:
        value = read_lsr(u);
        break;
    case MSR:
        value = u->msr;
        u->msr &= 0xf0;
        break;
    case SCR:
        return u->scr;
    default:
        break;
    }
    update_irq(u, cx->now_cycles);
    return value;
}

static void write_data_or_divisor(struct uart16550 *u, unsigned reg, uint8_t value, uint64_t now_cycles)
{
    if (!(u->lcr & LCR_DLAB)) {
        if (reg == RBR_THR) {
            write_thr(u, value, now_cycles);
        } else {
            write_ier(u, value);
        }
    } else if (reg == RBR_THR) {
        u->divisor = (uint16_t)((u->divisor & 0xff00) | value);
    } else {
        u->divisor = (uint16_t)((u->divisor & 0x00ff) | value << 8);
    }
}

static void write_byte(void *dev, const struct bus_cx *cx, uint16_t port, uint8_t value)
{
    struct uart16550 *u = dev;
    unsigned reg = (unsigned)(port - u->config.base_port);
    switch (reg) {
    case RBR_THR:
    case IER:
        write_data_or_divisor(u, reg, value, cx->now_cycles);
        break;
    case IIR_FCR:
        write_fcr(u, value, cx->now_cycles);
        break;
    case LCR:
        u->lcr = value;
        break;
    case MCR:
        write_mcr(u, value, cx->now_cycles);
        break;
    case SCR:
        u->scr = value;
        break;
    default: /* LSR and MSR are read-only */
        break;
    }
    update_irq(u, cx->now_cycles);
}

bool uart_receive(struct uart16550 *u, uint8_t byte, uint64_t now_cycles)
{
    if (u->host_count == UART_HOST_BYTES) {
        return false;
    }
    u->host[(u->host_first + u->host_count++) % UART_HOST_BYTES] = byte;
    pump_host(u, now_cycles);
    update_irq(u, now_cycles);
    return true;
}

void uart_receive_break(struct uart16550 *u, uint64_t now_cycles)
{
    if (!(u->mcr & MCR_LOOP)) {
        receive_byte(u, 0, LSR_BI | LSR_FE, now_cycles);
        update_irq(u, now_cycles);
    }
}

void uart_set_modem(struct uart16550 *u, uint8_t inputs, uint64_t now_cycles)
{
    u->modem_inputs = inputs & 0xf0;
    update_modem(u);
    update_irq(u, now_cycles);
}

void uart16550_reset(struct uart16550 *u, uint64_t now_cycles)
{
    u->ier = u->fcr = u->lcr = u->mcr = u->scr = u->line_errors = 0;
    u->divisor = RESET_DIVISOR;
    u->msr = u->modem_inputs;
    u->thre_pending = u->timeout_pending = u->shifting = false;
    u->rx_first = u->rx_count = u->tx_first = u->tx_count = 0;
    event_cancel(u->events, u->transmit_timer);
    event_cancel(u->events, u->receive_timer);
    event_cancel(u->events, u->timeout_timer);
    pump_host(u, now_cycles);
    update_irq(u, now_cycles);
}

void uart16550_init(struct uart16550 *u, const struct uart16550_config *config, struct event_queue *events,
                    const struct irq_line *irq, const struct byte_sink *out)
{
    *u = (struct uart16550){.config = *config, .events = events, .irq = *irq, .out = *out};
    u->modem_inputs = MSR_DCD | MSR_DSR | MSR_CTS;
    u->transmit_timer = event_timer_add(events, "uart transmit", transmit_event, u, 0);
    u->receive_timer = event_timer_add(events, "uart receive", receive_event, u, 0);
    u->timeout_timer = event_timer_add(events, "uart timeout", timeout_event, u, 0);
    uart16550_reset(u, 0);
}

/* The position and fill of a ring; a loaded one is kept in bounds. */
static void visit_ring(uint32_t *first, uint32_t *count, uint32_t capacity, struct visitor *v)
{
    visit_count(v, "first", first, capacity - 1);
    visit_count(v, "count", count, capacity);
}

static void visit_host_queue(struct uart16550 *u, struct visitor *v)
{
    visit_ring(&u->host_first, &u->host_count, UART_HOST_BYTES, v);
    for (uint32_t i = 0; i < u->host_count; i++) {
        visit_u8(v, "host", &u->host[(u->host_first + i) % UART_HOST_BYTES]);
    }
}

static void visit_pace(struct uart_pace *p, struct visitor *v)
{
    visit_u64(v, "base_cycles", &p->base_cycles);
    visit_u64(v, "ticks", &p->ticks);
}

void uart16550_visit(struct uart16550 *u, struct visitor *v)
{
    visit_u8(v, "ier", &u->ier);
    visit_u8(v, "fcr", &u->fcr);
    visit_u8(v, "lcr", &u->lcr);
    visit_u8(v, "mcr", &u->mcr);
    visit_u8(v, "msr", &u->msr);
    visit_u8(v, "scr", &u->scr);
    visit_u8(v, "line_errors", &u->line_errors);
    visit_u16(v, "divisor", &u->divisor);
    visit_bool(v, "thre_pending", &u->thre_pending);
    visit_bool(v, "timeout_pending", &u->timeout_pending);
    visit_bool(v, "irq_level", &u->irq_level);
    visit_array(v, "rx", u->rx, 1, UART_FIFO_BYTES);
    visit_array(v, "rx_errors", u->rx_errors, 1, UART_FIFO_BYTES);
    visit_ring(&u->rx_first, &u->rx_count, UART_FIFO_BYTES, v);
    visit_array(v, "tx", u->tx, 1, UART_FIFO_BYTES);
    visit_ring(&u->tx_first, &u->tx_count, UART_FIFO_BYTES, v);
    visit_u8(v, "shift", &u->shift);
    visit_bool(v, "shifting", &u->shifting);
    visit_u8(v, "modem_inputs", &u->modem_inputs);
    visit_host_queue(u, v);
    if (v->level >= VISIT_MACHINE) {
        visit_pace(&u->transmit_pace, v);
        visit_pace(&u->receive_pace, v);
    }
}

static uint64_t uart_port_read(void *dev, const struct bus_cx *cx, uint16_t port, unsigned size_bytes)
{
    return byte_ports_read(read_byte, dev, cx, port, size_bytes);
}

static void uart_port_write(void *dev, const struct bus_cx *cx, uint16_t port, uint64_t value,
                            unsigned size_bytes)
{
    byte_ports_write(write_byte, dev, cx, port, value, size_bytes);
}

static void visit_op(void *dev, struct visitor *v)
{
    uart16550_visit(dev, v);
}

const struct device_ops uart16550_ops = {
    .name = "uart",
    .port_read = uart_port_read,
    .port_write = uart_port_write,
    .visit = visit_op,
};
