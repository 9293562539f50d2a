#ifndef OS_KERNEL_SYS_STATS_H
#define OS_KERNEL_SYS_STATS_H

#include "abi/abi.h"
#include "types.h"

/*
 * What the boot found before anything could be counted: whole frames of the map and processors of the machine. Snapshots hold
 * these until there is a frame manager, and until there are threads.
 */
void stats_precompute(uint64_t frames, uint32_t cpus);

/* A snapshot; takes no lock longer than one counter needs. At any time: what does not exist yet counts nothing. */
void stats_snapshot(struct system_stats *out);

/* The system call: fills in up to `bytes` bytes. */
int64_t stats_copy_out(vaddr_t out, uint64_t bytes);

#endif
