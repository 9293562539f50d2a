/*
 * The list of what is no device for programs, made once from the memory map of the boot, which does not stay. Deviations: RAM
 * that no map mentions is taken for a device.
 */
#include "mm/device_range.h"

#include "mm/kheap.h"
#include "mm/layout.h"

static struct device_span *refused;
static uint32_t refused_count;
static uint64_t physical_limit;

static bool is_device(enum region_type type)
{
    return type == REGION_MMIO || type == REGION_FRAMEBUFFER;
}

/* Neighbours become one. */
static void refuse(uint64_t base, uint64_t end)
{
    struct device_span *last = refused_count != 0 ? &refused[refused_count - 1] : NULL;
    uint64_t from = align_down(base, PAGE_SIZE);
    uint64_t to = align_up(end, PAGE_SIZE);
    if (last != NULL && from >= last->base && from <= last->end) {
        last->end = to > last->end ? to : last->end;
    } else {
        refused[refused_count++] = (struct device_span){from, to};
    }
}

status_t device_ranges_init(const struct region_list *regions, const struct device_span *own,
                            uint32_t own_count, uint64_t limit)
{
    physical_limit = limit;
    refused_count = 0;
    refused = kmalloc((regions->count + own_count) * sizeof(refused[0]));
    if (refused == NULL) {
        return STATUS_ERR_NO_MEMORY;
    }
    for (uint32_t i = 0; i < regions->count; i++) {
        const struct region *region = &regions->regions[i];
        if (!is_device(region->type)) {
            refuse(region->base, region->end);
        }
    }
    for (uint32_t i = 0; i < own_count; i++) {
        refuse(own[i].base, own[i].end);
    }
    return STATUS_OK;
}

status_t device_range_check(uint64_t base, uint64_t bytes)
{
    if (base % PAGE_SIZE != 0 || bytes % PAGE_SIZE != 0) {
        return STATUS_ERR_UNALIGNED;
    }
    if (bytes == 0 || base >= physical_limit || bytes > physical_limit - base) {
        return STATUS_ERR_RANGE;
    }
    for (uint32_t i = 0; i < refused_count; i++) {
        if (base < refused[i].end && refused[i].base < base + bytes) {
            return STATUS_ERR_PERMISSION;
        }
    }
    return STATUS_OK;
}
