#ifndef OS_KERNEL_SYMBOLS_H
#define OS_KERNEL_SYMBOLS_H

#include <stdint.h>

/* Name of the function that holds a kernel text address, and the distance from its start; null when there is
 * none. */
const char *symbol_lookup(uint64_t address, uint64_t *offset);

#endif
