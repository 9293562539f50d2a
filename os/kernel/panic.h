#ifndef OS_KERNEL_PANIC_H
#define OS_KERNEL_PANIC_H

/*
 * Stops the machine: the other CPUs by NMI, then prints the message, the registers and a symbolised
 * back-trace, ends the machine through the debug-exit port with 17, and halts. Allocates nothing and waits
 * for no lock. Never returns; a second panic, on any CPU, halts that CPU.
 */
_Noreturn void panic(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
