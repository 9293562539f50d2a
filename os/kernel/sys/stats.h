#ifndef OS_KERNEL_SYS_STATS_H
#define OS_KERNEL_SYS_STATS_H

#include "abi/abi.h"
#include "types.h"

/* A snapshot; takes no lock longer than one counter needs. */
void stats_snapshot(struct system_stats *out);

/* The system call: fills in up to `bytes` bytes. */
int64_t stats_copy_out(vaddr_t out, uint64_t bytes);

#endif
