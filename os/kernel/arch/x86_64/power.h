#ifndef OS_KERNEL_ARCH_X86_64_POWER_H
#define OS_KERNEL_ARCH_X86_64_POWER_H

#include <stdint.h>

/* Values for the debug-exit port. */
#define DEBUG_EXIT_PASS 16u
#define DEBUG_EXIT_FAIL 17u

/* Writes the debug-exit port (0xf4). Returns if the machine has no such device. */
void power_debug_exit(uint8_t value);

/* Soft-off by ACPI. Returns if the machine cannot. */
void power_off(void);

#endif
