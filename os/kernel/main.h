#ifndef OS_KERNEL_MAIN_H
#define OS_KERNEL_MAIN_H

/* The first kernel thread: brings the rest of the machine up, starts init, then works as the reaper. */
void main_start(void *argument);

/* Functions that a test build links in, called in thread context when everything but init runs. */
typedef void (*late_hook)(void);

#define LATE_HOOK(function) \
    static const late_hook late_hook_##function __attribute__((used, section(".late_hooks"))) = function

#endif
