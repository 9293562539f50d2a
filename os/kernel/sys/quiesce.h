#ifndef OS_KERNEL_SYS_QUIESCE_H
#define OS_KERNEL_SYS_QUIESCE_H

/*
 * Returns when nothing is held back any more: dead threads are freed, revoked slots and those of messages given back, what waits
 * for a grace period is done, and caches of all CPUs, free slabs and heap arenas are back with the frame manager, the frames that
 * CPUs kept with their zones. The free-frame count then depends only on what lives. Thread context; the dead wait
 * REAPER_DELAY_NS before they are freed.
 */
void quiesce(void);

#endif
