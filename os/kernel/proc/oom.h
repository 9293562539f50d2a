#ifndef OS_KERNEL_PROC_OOM_H
#define OS_KERNEL_PROC_OOM_H

/*
 * Out of memory. When caches and dead threads gave back what they had and it was not enough, a process is ended: the one
 * that holds most frames, pages and page tables together, the younger of two; never init. A page fault ends whichever that
 * is. A system call can fail, so it ends a process only if that one holds a quarter of all memory. Whoever asked waits
 * until the victim has given its memory back and tries again.
 */

#include <stdbool.h>

/*
 * Ends another process so that a page fault (or a system call) can be served. False: the current process is the victim
 * itself, or there is none. Thread context, interrupts on, nothing held. Bound: 200 ms.
 */
bool oom_make_room(bool for_fault);

#endif
