/*
 * 16550A UART: polled until its interrupt is wired, queue and interrupt driven afterwards.
 * Source: National Semiconductor PC16550D data sheet, "Registers". Deviations: modem lines and line errors
 * are ignored.
 */
#include "arch/x86_64/uart.h"

#include "arch/arch.h"
#include "lib/spinlock.h"
#include "proc/threads.h"
#include "sched/wait.h"

#define UART_DATA 0u
#define UART_IER  1u /* interrupt enable; divisor high while DLAB is set */
#define UART_IIR  2u /* read: interrupt identification; write: FIFO control */
#define UART_LCR  3u
#define UART_MCR  4u
#define UART_LSR  5u
#define UART_SCR  7u

#define IER_RECEIVE  0x01u
#define IER_TRANSMIT 0x02u
#define IIR_NONE     0x01u
#define FCR_ENABLE   0x07u /* FIFOs on and emptied, trigger level 1 */
#define LCR_8N1      0x03u
#define LCR_DLAB     0x80u
#define MCR_OUT2     0x0bu /* DTR, RTS, OUT2 (gates the interrupt line) */
#define LSR_DATA     0x01u
#define LSR_THRE     0x20u
#define FIFO_DEPTH   16u
#define AT_ONCE      4u  /* characters each way in one interrupt: a port access takes long on every PC */
#define READ_STEP    64u /* characters that a reader takes with interrupts off */

#define TRANSMIT_QUEUE 32768u
#define RECEIVE_QUEUE  4096u

struct uart {
    uint16_t port;
    uint8_t isa_irq;
    bool present;
    bool interrupts;
    bool crlf;
    uint8_t ier;
    struct spinlock lock;
    struct wait_queue readers;
    uint32_t transmit_head; /* free-running; head == tail: empty */
    uint32_t transmit_tail;
    uint32_t receive_head;
    uint32_t receive_tail;
    char transmit[TRANSMIT_QUEUE];
    char receive[RECEIVE_QUEUE];
};

static struct uart uarts[UART_COUNT] = {
    [UART_CONSOLE] = {.port = 0x3f8,
                      .isa_irq = 4,
                      .crlf = true,
                      .lock = SPINLOCK_INIT("uart.console", UART),
                      .readers = WAIT_QUEUE_INIT(uarts[UART_CONSOLE].readers, "uart.console.readers")},
    [UART_DRIVER] = {.port = 0x2f8,
                     .isa_irq = 3,
                     .lock = SPINLOCK_INIT("uart.driver", UART),
                     .readers = WAIT_QUEUE_INIT(uarts[UART_DRIVER].readers, "uart.driver.readers")},
};

static uint8_t reg_read(const struct uart *uart, uint16_t offset)
{
    return port_read8((uint16_t)(uart->port + offset));
}

static void reg_write(const struct uart *uart, uint16_t offset, uint8_t value)
{
    port_write8((uint16_t)(uart->port + offset), value);
}

bool uart_init(enum uart_id id)
{
    struct uart *uart = &uarts[id];
    reg_write(uart, UART_SCR, 0x5a);
    if (reg_read(uart, UART_SCR) != 0x5a) {
        return false;
    }
    reg_write(uart, UART_IER, 0);
    reg_write(uart, UART_LCR, LCR_DLAB);
    reg_write(uart, UART_DATA, 1); /* divisor 1: 115200 baud */
    reg_write(uart, UART_IER, 0);
    reg_write(uart, UART_LCR, LCR_8N1);
    reg_write(uart, UART_IIR, FCR_ENABLE);
    reg_write(uart, UART_MCR, MCR_OUT2);
    uart->present = true;
    return true;
}

bool uart_present(enum uart_id id)
{
    return uarts[id].present;
}

unsigned uart_isa_irq(enum uart_id id)
{
    return uarts[id].isa_irq;
}

/* Moves up to n characters, at most a FIFO's worth, from the queue to the transmitter if that is empty. Lock held. */
static void transmit_some(struct uart *uart, unsigned n)
{
    if (uart->transmit_head == uart->transmit_tail || !(reg_read(uart, UART_LSR) & LSR_THRE)) {
        return;
    }
    for (unsigned i = 0; i < n && uart->transmit_head != uart->transmit_tail; i++) {
        reg_write(uart, UART_DATA, (uint8_t)uart->transmit[uart->transmit_head++ % TRANSMIT_QUEUE]);
    }
}

/* Asks for a transmitter-empty interrupt exactly while there is something to send. Lock held. */
static void transmit_interrupt_update(struct uart *uart)
{
    uint8_t ier = IER_RECEIVE | (uart->transmit_head != uart->transmit_tail ? IER_TRANSMIT : 0);
    if (uart->interrupts && ier != uart->ier) {
        uart->ier = ier;
        reg_write(uart, UART_IER, ier);
    }
}

static void drain(struct uart *uart)
{
    while (uart->transmit_head != uart->transmit_tail) {
        transmit_some(uart, FIFO_DEPTH);
    }
}

static void queue_byte(struct uart *uart, char byte)
{
    while (uart->transmit_tail - uart->transmit_head == TRANSMIT_QUEUE) {
        transmit_some(uart, FIFO_DEPTH);
    }
    uart->transmit[uart->transmit_tail++ % TRANSMIT_QUEUE] = byte;
}

static void queue_text(struct uart *uart, const char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        if (text[i] == '\n' && uart->crlf) {
            queue_byte(uart, '\r');
        }
        queue_byte(uart, text[i]);
    }
}

void uart_enable_interrupts(enum uart_id id)
{
    struct uart *uart = &uarts[id];
    uint64_t flags = spin_lock_irqsave(&uart->lock);
    uart->interrupts = uart->present;
    transmit_interrupt_update(uart);
    spin_unlock_irqrestore(&uart->lock, flags);
}

void uart_write(enum uart_id id, const char *text, size_t bytes)
{
    struct uart *uart = &uarts[id];
    if (!uart->present) {
        return;
    }
    uint64_t flags = spin_lock_irqsave(&uart->lock);
    queue_text(uart, text, bytes);
    if (uart->interrupts) {
        transmit_interrupt_update(uart);
    } else {
        drain(uart);
    }
    spin_unlock_irqrestore(&uart->lock, flags);
}

/* What finds no room is lost, as it is in a FIFO that nobody reads. Lock held. */
static void receive_some(struct uart *uart)
{
    for (unsigned i = 0; i < AT_ONCE && (reg_read(uart, UART_LSR) & LSR_DATA); i++) {
        char byte = (char)reg_read(uart, UART_DATA);
        if (uart->receive_tail - uart->receive_head != RECEIVE_QUEUE) {
            uart->receive[uart->receive_tail++ % RECEIVE_QUEUE] = byte;
        }
    }
}

/* Is there anything for the port's interrupt to do? Not what IIR says: it forgets the transmitter when it is read. Lock held. */
static bool work_left(const struct uart *uart)
{
    uint8_t status = reg_read(uart, UART_LSR);
    return (status & LSR_DATA) || ((status & LSR_THRE) && uart->transmit_head != uart->transmit_tail);
}

/*
 * A few characters, however fast the other side is: interrupts are off. What is left is worth another interrupt, for which the
 * line, whose edges count, has to fall and rise.
 */
void uart_interrupt(enum uart_id id)
{
    struct uart *uart = &uarts[id];
    bool received = false;
    spin_lock(&uart->lock);
    if (!(reg_read(uart, UART_IIR) & IIR_NONE)) {
        uint32_t before = uart->receive_tail;
        receive_some(uart);
        received = uart->receive_tail != before;
        if (!received) {
            transmit_some(uart, AT_ONCE);
        }
        transmit_interrupt_update(uart);
    }
    if (work_left(uart)) {
        reg_write(uart, UART_IER, 0);
        reg_write(uart, UART_IER, uart->ier);
    }
    spin_unlock(&uart->lock);
    if (received) {
        wait_queue_wake_all(&uart->readers);
    }
}

static size_t receive_take(struct uart *uart, char *buffer, size_t limit)
{
    size_t count = 0;
    bool more = true;
    while (more && count < limit) {
        uint64_t flags = spin_lock_irqsave(&uart->lock);
        for (size_t end = limit - count < READ_STEP ? limit : count + READ_STEP;
             count < end && uart->receive_head != uart->receive_tail; count++) {
            buffer[count] = uart->receive[uart->receive_head++ % RECEIVE_QUEUE];
        }
        more = uart->receive_head != uart->receive_tail;
        spin_unlock_irqrestore(&uart->lock, flags);
    }
    return count;
}

size_t uart_read(enum uart_id id, char *buffer, size_t limit, struct wait_queue *also, bool (*stop)(void))
{
    struct uart *uart = &uarts[id];
    size_t count = 0;
    bool stopped = limit == 0 || !uart->present;
    while (count == 0 && !stopped) {
        struct waiter waiter;
        struct waiter other;
        wait_queue_join(&uart->readers, &waiter);
        if (also != NULL) {
            wait_queue_join(also, &other);
        }
        count = receive_take(uart, buffer, limit);
        stopped = count == 0 && also != NULL && stop();
        stopped |= count == 0 && thread_must_end();
        if (count == 0 && !stopped) {
            wait_queue_sleep(&waiter, WAIT_FOREVER);
        }
        wait_queue_leave(&uart->readers, &waiter);
        if (also != NULL) {
            wait_queue_leave(also, &other);
        }
    }
    return count;
}

void uart_flush(enum uart_id id)
{
    struct uart *uart = &uarts[id];
    uint64_t flags = spin_lock_irqsave(&uart->lock);
    if (uart->present) {
        drain(uart);
        transmit_interrupt_update(uart);
    }
    spin_unlock_irqrestore(&uart->lock, flags);
}

void uart_write_unlocked(enum uart_id id, const char *text, size_t bytes)
{
    struct uart *uart = &uarts[id];
    if (uart->present) {
        queue_text(uart, text, bytes);
        drain(uart);
    }
}
