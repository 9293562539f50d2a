/* Which vCPUs and which RAM belong to which NUMA node. */

#include "machine/firmware.h"

#include "base/bits.h"

#define NODE_ALIGN (UINT64_C(2) << 20)

unsigned firmware_node_of_cpu(const struct sim_config *c, unsigned cpu)
{
    return cpu * c->numa_nodes / c->cpus;
}

/* Offset, in RAM counted without the hole below 4 GiB, at which a node starts. */
static uint64_t node_start(const struct sim_config *c, unsigned node)
{
    return node == c->numa_nodes ? c->memory_bytes
                                 : align_down(c->memory_bytes / c->numa_nodes * node, NODE_ALIGN);
}

unsigned firmware_node_memory(const struct sim_config *c, const struct memory_map *map, unsigned node,
                              struct ram_range ranges[2])
{
    uint64_t start = node_start(c, node), end = node_start(c, node + 1);
    uint64_t low = map->low_ram_end;
    unsigned count = 0;
    if (start < low) {
        ranges[count++] = (struct ram_range){phys(start), (end < low ? end : low) - start};
    }
    if (end > low) {
        uint64_t from = start > low ? start : low;
        ranges[count++] = (struct ram_range){phys(from - low + HIGH_RAM_BASE), end - from};
    }
    return count;
}
