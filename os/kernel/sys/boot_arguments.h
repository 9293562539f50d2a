#ifndef OS_KERNEL_SYS_BOOT_ARGUMENTS_H
#define OS_KERNEL_SYS_BOOT_ARGUMENTS_H

#include "types.h"

#define BOOT_ARGUMENTS_MAX 1024u

/* Keeps a copy of the command line; what is longer than BOOT_ARGUMENTS_MAX - 1 is cut. */
void boot_arguments_set(const char *text, uint64_t bytes);

/* Value of the first "name=value" before the word "--", up to the next blank, into buffer; false when it is not there or does not
 * fit. */
bool boot_argument(const char *name, char *buffer, uint64_t bytes);

/* The system call. */
int64_t boot_arguments_copy_out(vaddr_t buffer, uint64_t bytes);

#endif
