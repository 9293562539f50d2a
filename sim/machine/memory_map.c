/* The memory map of both boards: a PC's, without holes other than the one below 1 MiB and the one below 4 GiB. */

#include "machine/memory_map.h"

static void add(struct memory_map *m, uint64_t base, uint64_t end, enum e820_type type)
{
    if (end > base) {
        m->entries[m->count++] = (struct memory_map_entry){base, end - base, type};
    }
}

/* Takes usable RAM away from the end until no more than limit_bytes are left. */
static void apply_limit(struct memory_map *m, uint64_t limit_bytes)
{
    uint64_t left = limit_bytes;
    unsigned kept = 0;
    for (unsigned i = 0; i < m->count; i++) {
        struct memory_map_entry e = m->entries[i];
        if (e.type == E820_RAM) {
            e.size_bytes = e.size_bytes < left ? e.size_bytes : left;
            left -= e.size_bytes;
        }
        if (e.size_bytes) {
            m->entries[kept++] = e;
        }
    }
    m->count = kept;
}

void memory_map_init(struct memory_map *m, uint64_t memory_bytes, uint64_t limit_bytes)
{
    *m = (struct memory_map){0};
    m->low_ram_end = memory_bytes < LOW_RAM_MAX ? memory_bytes : LOW_RAM_MAX;
    m->high_ram_end = HIGH_RAM_BASE + (memory_bytes - m->low_ram_end);
    m->acpi_base = m->low_ram_end - ACPI_TABLES_BYTES;
    add(m, 0, BASE_RAM_END, E820_RAM);
    add(m, BASE_RAM_END, VIDEO_BASE, E820_RESERVED);
    add(m, BIOS_BASE, BIOS_END, E820_RESERVED);
    add(m, BIOS_END, m->acpi_base, E820_RAM);
    add(m, m->acpi_base, m->low_ram_end, E820_ACPI);
    add(m, IOAPIC_BASE, IOAPIC_BASE + PAGE_SIZE_BYTES, E820_RESERVED);
    add(m, LAPIC_BASE, LAPIC_BASE + PAGE_SIZE_BYTES, E820_RESERVED);
    add(m, HIGH_RAM_BASE, m->high_ram_end, E820_RAM);
    if (limit_bytes) {
        apply_limit(m, limit_bytes);
    }
}

uint64_t memory_map_low_top(const struct memory_map *m)
{
    uint64_t top = 0;
    for (unsigned i = 0; i < m->count; i++) {
        const struct memory_map_entry *e = &m->entries[i];
        uint64_t end = e->base + e->size_bytes;
        top = e->type == E820_RAM && end <= m->low_ram_end && end > top ? end : top;
    }
    return top;
}

unsigned memory_map_ram(const struct memory_map *m, struct ram_range ranges[2])
{
    ranges[0] = (struct ram_range){phys(0), m->low_ram_end};
    ranges[1] = (struct ram_range){phys(HIGH_RAM_BASE), m->high_ram_end - HIGH_RAM_BASE};
    return ranges[1].size_bytes ? 2 : 1;
}
