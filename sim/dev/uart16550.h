#ifndef ORRERY_DEV_UART16550_H
#define ORRERY_DEV_UART16550_H

/* A 16550A serial port. PC16550D data sheet. */

#include "core/device.h"
#include "core/event.h"

#define UART_PORTS      8u /* consecutive I/O ports */
#define UART_FIFO_BYTES 16u
#define UART_HOST_BYTES 4096u
#define UART_CLOCK_HZ   UINT64_C(1843200) /* 16 x 115200 */

enum uart_rate {
    UART_INSTANT, /* a byte leaves when it is written, and arrives when there is room for it */
    UART_BAUD     /* a byte takes its start, data, parity and stop bits at the divisor's rate */
};

struct uart16550_config {
    uint16_t base_port;
    enum uart_rate rate;
    bool out2_gates_irq; /* as on a PC: without MCR OUT2 no interrupt leaves the board's driver */
};

/* Paces bytes that follow each other: the next is due ticks (of UART_CLOCK_HZ) after base. */
struct uart_pace {
    uint64_t base_cycles, ticks;
};

struct uart16550 {
    struct uart16550_config config;
    struct event_queue *events;
    struct irq_line irq;
    struct byte_sink out;
    unsigned transmit_timer, receive_timer, timeout_timer;

    /* state */
    uint8_t ier, fcr, lcr, mcr, msr, scr;
    uint8_t line_errors; /* LSR bits OE, PE, FE, BI until LSR is read */
    uint16_t divisor;
    bool thre_pending;    /* THR-empty interrupt not yet acknowledged */
    bool timeout_pending; /* character timeout */
    bool irq_level;
    uint8_t rx[UART_FIFO_BYTES], rx_errors[UART_FIFO_BYTES]; /* rx_errors: LSR bits PE, FE, BI of each byte */
    uint32_t rx_first, rx_count;
    uint8_t tx[UART_FIFO_BYTES];
    uint32_t tx_first, tx_count;
    uint8_t shift; /* transmitter shift register */
    bool shifting;
    uint8_t modem_inputs;          /* MSR bits 7..4 as the other end drives them */
    uint8_t host[UART_HOST_BYTES]; /* bytes on their way from the other end */
    uint32_t host_first, host_count;
    struct uart_pace transmit_pace, receive_pace;
};

void uart16550_init(struct uart16550 *u, const struct uart16550_config *config, struct event_queue *events,
                    const struct irq_line *irq, const struct byte_sink *out);
void uart16550_reset(struct uart16550 *u, uint64_t now_cycles);
void uart16550_visit(struct uart16550 *u, struct visitor *v);
extern const struct device_ops uart16550_ops; /* ports base_port .. base_port + 7 */

/* Sends a byte to the port from outside. Fails (false) when UART_HOST_BYTES are already on their way. */
bool uart_receive(struct uart16550 *u, uint8_t byte, uint64_t now_cycles);
/* Bytes that can be sent before that. */
static inline uint32_t uart_room(const struct uart16550 *u)
{
    return UART_HOST_BYTES - u->host_count;
}
/* Sends a break from outside, as a byte of its own in the queue would arrive: at once. */
void uart_receive_break(struct uart16550 *u, uint64_t now_cycles);
/* Drives the modem inputs: MSR bits 7..4 (DCD, RI, DSR, CTS). Reset state: DCD, DSR and CTS on. */
void uart_set_modem(struct uart16550 *u, uint8_t inputs, uint64_t now_cycles);

#endif
