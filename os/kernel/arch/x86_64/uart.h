#ifndef OS_KERNEL_ARCH_X86_64_UART_H
#define OS_KERNEL_ARCH_X86_64_UART_H

/* 16550A serial ports. COM1 is the console, COM2 the driver port. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum uart_id { UART_CONSOLE, UART_DRIVER, UART_COUNT };

/* Programs the port: 115200 baud, 8 data bits, FIFO on, interrupts off. False: nothing answers there. */
bool uart_init(enum uart_id id);

bool uart_present(enum uart_id id);

/* ISA interrupt line of the port. */
unsigned uart_isa_irq(enum uart_id id);

/* From now on the port is interrupt driven. */
void uart_enable_interrupts(enum uart_id id);

/* Handles an interrupt of the port. */
void uart_interrupt(enum uart_id id);

/*
 * Queues all bytes; "\n" becomes "\r\n" on the console. Waits for the transmitter only when the queue (32
 * KiB) is full or interrupts are not in use. Whole calls of different CPUs do not mix.
 */
void uart_write(enum uart_id id, const char *text, size_t bytes);

/*
 * Takes up to `limit` received bytes, waiting for at least one. Returns their number, 0 if the port is
 * absent. With `also` (may be null) it also waits on that queue and returns 0 when stop() says so.
 */
struct wait_queue;
size_t uart_read(enum uart_id id, char *buffer, size_t limit, struct wait_queue *also, bool (*stop)(void));

/* Sends everything queued before returning. */
void uart_flush(enum uart_id id);

/* Like uart_write and uart_flush, without the lock: for the panic path. */
void uart_write_unlocked(enum uart_id id, const char *text, size_t bytes);

#endif
