/* The handoff block's command line and processors. Deviations: none. */
#include "boot/block.h"

#include "lib/string.h"
#include "types.h"

uint64_t block_area_bytes(uint64_t map_bytes)
{
    /* The line, its padding, and the descriptors that keep the padding short: less than two lines together. */
    return align_up(sizeof(struct handoff) + map_bytes + 2 * HANDOFF_MAX_COMMAND_LINE, PAGE_SIZE);
}

void block_put_command_line(struct handoff *block, void *map, const char *text, size_t length)
{
    struct handoff_memory_map *m = &block->memory_map;
    uint64_t offset = (uint64_t)m->count * m->stride;
    while (align_up(m->address + offset + length, PAGE_SIZE) - m->address - offset >
           HANDOFF_MAX_COMMAND_LINE) {
        const struct efi_memory_descriptor empty = {.type = EFI_CONVENTIONAL_MEMORY};
        memset((char *)map + offset, 0, m->stride);
        memcpy((char *)map + offset, &empty, sizeof(empty));
        m->count++;
        offset += m->stride;
    }
    char *line = (char *)map + offset;
    uint64_t padded = align_up(m->address + offset + length, PAGE_SIZE) - m->address - offset;
    if (length != 0) {
        memcpy(line, text, length); /* text may be null when there is none */
    }
    memset(line + length, ' ', padded - length);
    block->command_line = (struct handoff_span){m->address + offset, padded};
}

void block_put_processors(struct handoff *block, const struct acpi_info *acpi, uint32_t boot_apic_id)
{
    block->cpu_count = acpi->cpu_count;
    memcpy(block->cpus, acpi->cpus, acpi->cpu_count * sizeof(block->cpus[0]));
    for (uint32_t i = 0; i < block->cpu_count; i++) {
        block->cpus[i].flags |= block->cpus[i].apic_id == boot_apic_id ? HANDOFF_CPU_BOOT : 0;
    }
    block->affinity_count = acpi->affinity_count;
    memcpy(block->affinities, acpi->affinities, acpi->affinity_count * sizeof(block->affinities[0]));
}
