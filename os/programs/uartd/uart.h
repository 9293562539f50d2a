#ifndef OS_PROGRAMS_UARTD_UART_H
#define OS_PROGRAMS_UARTD_UART_H

/*
 * The service of a serial port, at the name UART_NAME. A call carries its kind in the label:
 *
 *     UART_WRITE   m0 how many bytes, m1..m7 the bytes; the answer's m0: how many were taken (perhaps none: try again)
 *     UART_READ    nothing; answered with m0 and m1..m7 as above as soon as something has come. One caller waits at a time;
 *                  to others m0 is 0 at once
 *
 * Anything else is answered with a negative status in m0.
 */

#include <stdbool.h>

#include "lib/orrery.h"

#define UART_NAME  "uart"
#define UART_WRITE 1u
#define UART_READ  2u
#define UART_BYTES ((IPC_WORDS - 1) * 8) /* in one message */

#endif
