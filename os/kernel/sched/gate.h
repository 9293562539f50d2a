#ifndef OS_KERNEL_SCHED_GATE_H
#define OS_KERNEL_SCHED_GATE_H

/*
 * Sleeping for code that must not know of threads (the gate of an address space): words that are 0 (open), 1 (shut) or 2 (shut,
 * and perhaps somebody sleeps there). Who finds a word open takes it, before those who sleep: a sleeper runs a moment later only,
 * and meanwhile there is work to be done. But nobody is overtaken twice: who has been is handed the word, shut, when it is left
 * next.
 */

#include <stdbool.h>
#include <stdint.h>

void gate_init(void);

/*
 * Sleeps at a word until it is left, unless it is not 2 any more; may return for nothing. overtaken: this is not the first wait.
 * True: the word is the caller's. Where a thread cannot sleep (interrupts or preemption off, idle) it returns after a moment.
 */
bool gate_wait(const uint32_t *word, bool overtaken);

/* Leaves a word that is 2: hands it to the first sleeper if that one was overtaken, else opens it and wakes the first. */
void gate_leave(uint32_t *word);

#endif
