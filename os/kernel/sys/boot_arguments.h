#ifndef OS_KERNEL_SYS_BOOT_ARGUMENTS_H
#define OS_KERNEL_SYS_BOOT_ARGUMENTS_H

#include "abi/abi.h"
#include "types.h"

/* Keeps a copy of the command line, cut to BOOT_ARGUMENTS_MAX. */
void boot_arguments_set(const char *text, uint64_t bytes);

/* Value of the first "name=value" before the word "--", up to the next blank, into buffer; false when it is not there or does not
 * fit. */
bool boot_argument(const char *name, char *buffer, uint64_t bytes);

/* The system call. */
int64_t boot_arguments_copy_out(vaddr_t buffer, uint64_t bytes);

#endif
