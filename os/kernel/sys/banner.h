#ifndef OS_KERNEL_SYS_BANNER_H
#define OS_KERNEL_SYS_BANNER_H

/*
 * Prints what the machine has and what it is used for, one fact a line. From the stage "inventory" on (docs/boot.md), with the
 * figures that there are by then (sys/stats.h). One caller at a time.
 */
void banner_print(void);

#endif
