#ifndef OS_KERNEL_PROC_FUTEX_H
#define OS_KERNEL_PROC_FUTEX_H

/*
 * Waiting at a word of user memory while it has a value. A word is known by its address in its address space, or, in a region
 * that is mapped shared, by its physical address, so that processes meet there.
 */

#include <stdbool.h>

#include "abi/status.h"
#include "types.h"

void futex_init(void);

/*
 * Sleeps while the word (4-aligned) holds `expected` and nobody wakes. private: the caller knows that it lies in no shared
 * region. STATUS_OK: woken; STATUS_ERR_AGAIN: the word holds something else; STATUS_ERR_TIMEOUT: it is past `deadline`
 * (cycles); STATUS_ERR_BAD_ADDRESS; STATUS_ERR_INTERRUPTED: the thread is to end. Between the look at the word and sleep
 * no wake is lost.
 */
MUST_CHECK status_t futex_wait(vaddr_t word, bool private, uint32_t expected, uint64_t deadline);

/* Wakes up to `count` of those who wait at a word, first come first served; *woken: how many. STATUS_ERR_BAD_ADDRESS. */
MUST_CHECK status_t futex_wake(vaddr_t word, bool private, uint32_t count, uint32_t *woken);

#endif
