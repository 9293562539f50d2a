#ifndef OS_KERNEL_MUST_H
#define OS_KERNEL_MUST_H

#include "abi/status.h"

/* Panics when a step of the start-up failed, naming it; when memory ran out, says how much was wanted and left. */
void must(status_t status, const char *what);

#endif
