#ifndef OS_KERNEL_SYS_BALANCER_H
#define OS_KERNEL_SYS_BALANCER_H

/*
 * The balancer: a kernel thread that brings zones which fell below their low mark back (frame_balance) and runs the
 * shrinkers when a level of memory pressure is entered. It is woken from the tick of a busy CPU, at most a tick after the
 * mark was crossed: whoever takes frames is busy, and may hold any lock of mm/ at that moment.
 */

#include "abi/status.h"

/* Makes the thread. Fails as thread_create. */
MUST_CHECK status_t balancer_start(void);

/* From the timer interrupt. Takes no lock but to wake. */
void balancer_poll(void);

#endif
