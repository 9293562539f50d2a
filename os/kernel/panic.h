#ifndef OS_KERNEL_PANIC_H
#define OS_KERNEL_PANIC_H

/*
 * Stops the machine: the other CPUs by NMI, then prints the message, the registers and a symbolised
 * back-trace, ends the machine through the debug-exit port with 17, and halts. Allocates nothing and takes no
 * lock; works from the first C code on, with or without a per-CPU area, in any context. Never returns. A panic
 * of another CPU meanwhile only stops that CPU; a second one of the same CPU prints one line and ends the
 * machine.
 */
_Noreturn void panic(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
