#ifndef OS_KERNEL_SYS_QUIESCE_H
#define OS_KERNEL_SYS_QUIESCE_H

/*
 * Returns when nothing is held back any more: every dead thread is freed, the object caches of all CPUs are
 * empty, free slabs and arenas are back with the frame manager. The free-frame count then depends only on
 * what lives. Thread context.
 */
void quiesce(void);

#endif
