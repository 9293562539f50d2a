/*
 * uartd: the driver of the second serial port as a program, when the kernel was told to leave it alone ("serial2=user"). It
 * holds a capability for the eight ports and one for the interrupt line, and serves the endpoint that it binds to the name
 * "uart" (uart.h). One thread serves calls, one the interrupts.
 */
#include "uart.h"

#include "lib/names.h"
#include "lib/serve.h"
#include "lib/sync.h"
#include "lib/thread.h"

#define UART_PORTS 0x2f8u
#define UART_COUNT 8u
#define UART_LINE  3u

#define DATA 0u
#define IER  1u
#define IIR  2u /* FCR when written */
#define LCR  3u
#define MCR  4u
#define LSR  5u
#define SCR  7u

#define IER_RECEIVE  0x01u
#define IER_TRANSMIT 0x02u
#define FCR_ENABLE   0x07u
#define LCR_DLAB     0x80u
#define LCR_8N1      0x03u
#define MCR_OUT2     0x0bu /* DTR, RTS, and the gate of the interrupt line */
#define LSR_DATA     0x01u
#define LSR_THRE     0x20u
#define FIFO_DEPTH   16u
#define PROBE        0xa5u

#define BIT_INTERRUPT 1u
#define BIT_WORK      2u

#define RING 4096u /* bytes, a power of two */

struct ring {
    uint32_t head; /* free-running; head == tail: empty */
    uint32_t tail;
    uint8_t bytes[RING];
};

static handle_t ports;
static handle_t line;
static handle_t events;
static handle_t endpoint;

static struct mutex lock; /* of all below, and of the registers */
static struct ring received;
static struct ring to_send;
static handle_t reader; /* right to answer who waits for input, 0: nobody does */

static uint32_t used(const struct ring *ring)
{
    return ring->tail - ring->head;
}

static uint8_t reg_read(unsigned offset)
{
    return (uint8_t)sys_port_read(ports, offset, 1);
}

static void reg_write(unsigned offset, uint8_t value)
{
    (void)sys_port_write(ports, offset, 1, value);
}

/* 115200 baud, 8 data bits. False: nothing answers there. */
static bool start_port(void)
{
    reg_write(SCR, PROBE);
    if (reg_read(SCR) != PROBE) {
        return false;
    }
    reg_write(IER, 0);
    reg_write(LCR, LCR_DLAB);
    reg_write(DATA, 1);
    reg_write(IER, 0);
    reg_write(LCR, LCR_8N1);
    reg_write(IIR, FCR_ENABLE);
    reg_write(MCR, MCR_OUT2);
    return true;
}

/* Takes up to a message's worth of input. Locked. */
static struct ipc_registers input_message(void)
{
    struct ipc_registers m = {.tag = ipc_tag(0, IPC_WORDS, 0)};
    uint8_t *bytes = (uint8_t *)&m.words[1];
    while (m.words[0] < UART_BYTES && used(&received) != 0) {
        bytes[m.words[0]++] = received.bytes[received.head++ % RING];
    }
    return m;
}

/* Locked. */
static void answer_reader(void)
{
    if (reader != 0 && used(&received) != 0) {
        struct ipc_registers m = input_message();
        (void)sys_ipc_reply(reader, &m); /* who asked may have gone; the input goes with it */
        (void)sys_cap_delete(reader);
        reader = 0;
    }
}

/* Moves bytes both ways until the port has nothing to take and takes nothing more. Locked. */
static void move_bytes(void)
{
    uint8_t status = reg_read(LSR);
    while ((status & LSR_DATA) != 0 || ((status & LSR_THRE) != 0 && used(&to_send) != 0)) {
        if ((status & LSR_DATA) != 0) {
            uint8_t byte = reg_read(DATA);
            if (used(&received) < RING) {
                received.bytes[received.tail++ % RING] = byte;
            }
        }
        for (unsigned i = 0; (status & LSR_THRE) != 0 && i < FIFO_DEPTH && used(&to_send) != 0; i++) {
            reg_write(DATA, to_send.bytes[to_send.head++ % RING]);
        }
        status = reg_read(LSR);
    }
}

/* Until the port wants nothing more, so that its line is at rest: a byte that came while the line was still up for the
 * transmitter has made no edge. Locked. */
static void serve_port(void)
{
    do {
        move_bytes();
        reg_write(IER, IER_RECEIVE | (used(&to_send) != 0 ? IER_TRANSMIT : 0));
        (void)reg_read(IIR);
    } while ((reg_read(LSR) & LSR_DATA) != 0);
}

/* The line is acknowledged first: what comes while the port is served makes it rise anew. */
static uint64_t interrupts(void *argument)
{
    (void)argument;
    uint64_t bits = 0;
    while (sys_notification_wait(events, BIT_INTERRUPT | BIT_WORK, &bits, IPC_FOREVER) == STATUS_OK) {
        if ((bits & BIT_INTERRUPT) != 0) {
            (void)sys_irq_acknowledge(line);
        }
        mutex_lock(&lock);
        serve_port();
        answer_reader();
        mutex_unlock(&lock);
    }
    return 1;
}

/* Queues what fits; the answer tells how many bytes did. */
static void take_output(struct ipc_registers *m)
{
    uint64_t count = m->words[0] < UART_BYTES ? m->words[0] : UART_BYTES;
    const uint8_t *bytes = (const uint8_t *)&m->words[1];
    uint64_t done = 0;
    mutex_lock(&lock);
    while (done < count && used(&to_send) < RING) {
        to_send.bytes[to_send.tail++ % RING] = bytes[done++];
    }
    mutex_unlock(&lock);
    (void)sys_notification_signal(events, BIT_WORK);
    *m = (struct ipc_registers){.tag = ipc_tag(0, 1, 0), .words = {done}};
}

/* True when there is an answer; else the right to give it is put aside. */
static bool give_input(struct ipc_registers *m)
{
    bool now = true;
    mutex_lock(&lock);
    *m = input_message();
    if (m->words[0] == 0 && reader == 0) {
        int64_t right = sys_ipc_reply_save();
        now = right <= 0;
        reader = right > 0 ? (handle_t)right : 0;
    }
    mutex_unlock(&lock);
    return now;
}

static void serve_calls(void)
{
    struct ipc_registers m = {.time = IPC_FOREVER};
    int64_t status = sys_ipc_receive(endpoint, &m);
    while (status == STATUS_OK) {
        bool answer = true;
        if (ipc_tag_label(m.tag) == UART_WRITE) {
            take_output(&m);
        } else if (ipc_tag_label(m.tag) == UART_READ) {
            answer = give_input(&m);
        } else {
            m = (struct ipc_registers){.tag = ipc_tag(0, 1, 0), .words = {(uint64_t)STATUS_ERR_ARGUMENT}};
        }
        m.tag = answer ? m.tag : 0;
        m.time = IPC_FOREVER;
        status = answer ? serve_next(endpoint, &m) : sys_ipc_receive(endpoint, &m);
    }
    print("uartd: ended: %s\n", status_text((status_t)status));
}

static int64_t prepare(void)
{
    int64_t status = sys_ports_create(UART_PORTS, UART_COUNT);
    ports = (handle_t)status;
    if (status > 0 && !start_port()) {
        status = STATUS_ERR_NOT_FOUND;
    }
    if (status > 0) {
        status = sys_irq_create(UART_LINE);
        line = (handle_t)status;
    }
    if (status > 0) {
        status = sys_notification_create();
        events = (handle_t)status;
    }
    if (status > 0) {
        status = sys_endpoint_create(0);
        endpoint = (handle_t)status;
    }
    if (status > 0) {
        status = sys_irq_bind(line, events, BIT_INTERRUPT);
    }
    return status;
}

int main(void);

int main(void)
{
    int64_t status = prepare();
    if (status == STATUS_OK) {
        status = thread_start_detached(interrupts, NULL, 0);
    }
    if (status > 0) {
        (void)sys_cap_delete(CAP_HARDWARE); /* what it drives is all that it may touch from now on */
        (void)sys_notification_signal(events, BIT_WORK);
        status = name_bind(UART_NAME, endpoint, RIGHT_WRITE);
    }
    if (status != STATUS_OK) {
        print("uartd: %s\n", status_text((status_t)status));
        return 1;
    }
    print("uartd: ready\n");
    serve_calls();
    return 1;
}
