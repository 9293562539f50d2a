#ifndef OS_KERNEL_SYS_SYSCALL_H
#define OS_KERNEL_SYS_SYSCALL_H

#include "arch/x86_64/frame.h"

/* From entry.S: interrupts off on entry and on return; the result goes to the frame's RAX. */
void syscall_dispatch(struct frame *frame);

#endif
