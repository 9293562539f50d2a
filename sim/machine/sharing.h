#ifndef ORRERY_MACHINE_SHARING_H
#define ORRERY_MACHINE_SHARING_H

/* Counts false sharing (docs/profile.md): which bytes of each line the vCPUs have touched. An observer. */

#include <stdbool.h>
#include <stdint.h>

struct sharing;

struct sharing *sharing_create(unsigned cpus);
void sharing_destroy(struct sharing *h);

/* A load or store of a vCPU, in key order. */
void sharing_note(struct sharing *h, unsigned cpu, uint64_t at, unsigned size_bytes, bool store);

/* How many of a vCPU's were false sharing so far. */
uint64_t sharing_count(const struct sharing *h, unsigned cpu);

#endif
