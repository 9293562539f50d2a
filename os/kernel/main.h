#ifndef OS_KERNEL_MAIN_H
#define OS_KERNEL_MAIN_H

/* The first kernel thread: brings the rest of the machine up, starts init, then works as the reaper. */
void main_start(void *argument);

#endif
