#ifndef OS_KERNEL_PROC_USER_STACK_H
#define OS_KERNEL_PROC_USER_STACK_H

/*
 * The top of a user stack: thread-local storage as the x86-64 ABI wants it (variant II: the program's variables end at the
 * thread pointer, which is the FS base), then the thread block (abi/thread.h), whose first word holds its own address.
 * Below it the stack grows down.
 *
 *     guard page | stack ... | tdata, tbss | thread block |
 *                            ^ bottom      ^ thread pointer
 */

#include "abi/status.h"
#include "mm/vm.h"

#define USER_MAIN_STACK_TOP (USER_END - 16 * PAGE_SIZE)

/* What every thread of a program gets a copy of; data lies in the program's file, which stays in memory. */
struct tls_image {
    const void *data;
    uint32_t file_bytes;
    uint32_t memory_bytes;
    uint32_t alignment; /* a power of two up to 4096, 0: there is none */
};

/* Bytes that thread-local storage and thread block may need at the top of a stack. */
uint64_t tls_room(const struct tls_image *image);

struct tls_place {
    uint64_t pointer; /* for FS */
    uint64_t bottom;  /* lowest byte, 16-aligned: where the stack begins */
};

/*
 * Writes both to the top of a stack of zero pages that lies in [low, top). STATUS_ERR_NO_MEMORY, _LIMIT as a page fault of
 * the program.
 */
MUST_CHECK status_t tls_build(struct address_space *space, const struct tls_image *image, uint64_t low,
                              uint64_t top, struct tls_place *out);

#endif
