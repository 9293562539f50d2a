#ifndef OS_KERNEL_SCHED_GATE_H
#define OS_KERNEL_SCHED_GATE_H

/*
 * Sleeping for code that must not know of threads (the gate of an address space): words whose value 2 says that somebody may
 * sleep. Who sleeps is woken one at a time, first come first served.
 */

#include <stdint.h>

void gate_init(void);

/* Sleeps until gate_wake(word), unless the word is not 2 any more; may return for nothing. Where a thread cannot sleep
 * (interrupts or preemption off, idle) it returns after a moment. */
void gate_wait(const uint32_t *word);

/* Wakes the first that sleeps at a word, after the word has been changed. */
void gate_wake(const uint32_t *word);

#endif
