#ifndef OS_KERNEL_PROC_USERCOPY_H
#define OS_KERNEL_PROC_USERCOPY_H

/*
 * Copies between the kernel and the current process. Addresses are checked to lie in the user half without
 * wrapping (STATUS_ERR_BAD_ADDRESS); faults are served as the user's own, or end the copy with what vm_fault says: never a
 * kernel fault, and never another status than the cause's. Thread context, interrupts on, no spinlock held.
 */

#include "abi/status.h"
#include "types.h"

MUST_CHECK status_t user_read(void *to, vaddr_t from, uint64_t bytes);
MUST_CHECK status_t user_write(vaddr_t to, const void *from, uint64_t bytes);

/*
 * Reads a 4-aligned word in one access. STATUS_ERR_NOT_MAPPED: the page would have to be brought in first. Interrupts off.
 */
MUST_CHECK status_t user_load_now(uint32_t *to, vaddr_t from);

/* Checks that a range lies in the user half; whether it is mapped only the copy tells. STATUS_ERR_BAD_ADDRESS. */
MUST_CHECK status_t user_range(vaddr_t address, uint64_t bytes);

/* Copies a string of at most limit bytes with its terminator; *length without it. STATUS_ERR_LIMIT: longer.
 */
MUST_CHECK status_t user_read_string(char *to, vaddr_t from, uint64_t limit, uint64_t *length);

#endif
