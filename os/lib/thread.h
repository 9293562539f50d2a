#ifndef OS_LIB_THREAD_H
#define OS_LIB_THREAD_H

/* Threads of a program. Variables of the class `_Thread_local` (`__thread`) are every thread's own. */

#include "lib/orrery.h"

typedef uint64_t (*thread_function)(void *argument);

/* Starts a thread that ends with what the function returns, on a stack of the usual size (0) or of at least so many bytes.
 * Its tid or a negative status. */
int64_t thread_start(thread_function function, void *argument, uint64_t stack_bytes);

/* The same for a thread that nobody will join. */
int64_t thread_start_detached(thread_function function, void *argument, uint64_t stack_bytes);

/* Waits for the end of a thread; *value (may be null) is what its function returned. A status. */
int64_t thread_join(int64_t tid, uint64_t *value);

_Noreturn void thread_exit(uint64_t value);

/* What the FS base points to. */
static inline struct thread_block *thread_block(void)
{
    struct thread_block *block;
    __asm__("movq %%fs:0, %0" : "=r"(block));
    return block;
}

#endif
