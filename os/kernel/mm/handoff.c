/*
 * Validation of the boot handoff block and the inventory pass over it (UEFI Specification, "GetMemoryMap()",
 * for the memory map). The block is foreign input: every count, span and pointer is checked, and memory is
 * only touched where the reader says it can be. Deviations: attributes of descriptors are not interpreted.
 */

#include "lib/string.h"
#include "mm/region.h"

static bool span_valid(const struct handoff_span *span)
{
    return span->base < HANDOFF_MAX_PHYSICAL && span->size_bytes <= HANDOFF_MAX_PHYSICAL - span->base;
}

static status_t check_map(const struct handoff_memory_map *map, const struct handoff_reader *reader)
{
    if (map->stride < HANDOFF_DESCRIPTOR_MIN_STRIDE || map->stride > HANDOFF_DESCRIPTOR_MAX_STRIDE ||
        map->stride % 8 != 0 || map->address % 8 != 0 || map->version != HANDOFF_DESCRIPTOR_VERSION ||
        map->count == 0 || map->count > HANDOFF_MAX_DESCRIPTORS) {
        return STATUS_ERR_HANDOFF_MAP;
    }
    uint64_t bytes = (uint64_t)map->count * map->stride;
    if (map->address >= HANDOFF_MAX_PHYSICAL || bytes > HANDOFF_MAX_PHYSICAL - map->address) {
        return STATUS_ERR_HANDOFF_MAP;
    }
    const char *descriptors = reader->reach(reader->context, map->address, bytes);
    if (descriptors == NULL) {
        return STATUS_ERR_HANDOFF_UNREACHABLE;
    }
    for (uint32_t i = 0; i < map->count; i++) {
        struct efi_memory_descriptor descriptor;
        memcpy(&descriptor, descriptors + (uint64_t)i * map->stride, sizeof descriptor);
        if (descriptor.physical_start >= HANDOFF_MAX_PHYSICAL ||
            descriptor.number_of_pages > (HANDOFF_MAX_PHYSICAL - descriptor.physical_start) / PAGE_SIZE) {
            return STATUS_ERR_HANDOFF_MAP;
        }
    }
    return STATUS_OK;
}

static status_t check_spans(const struct handoff *block)
{
    const struct handoff_framebuffer *screen = &block->framebuffer;
    if (!span_valid(&block->kernel_image) || block->kernel_image.size_bytes == 0 ||
        block->kernel_image.base % PAGE_SIZE != 0 || !span_valid(&block->temporary_heap) ||
        block->temporary_heap.base % PAGE_SIZE != 0 || block->temporary_heap.size_bytes % PAGE_SIZE != 0 ||
        block->temporary_heap.size_bytes < HANDOFF_MIN_TEMPORARY_HEAP ||
        block->temporary_heap.size_bytes > HANDOFF_MAX_TEMPORARY_HEAP || !span_valid(&screen->span) ||
        !span_valid(&block->command_line) || block->command_line.size_bytes > HANDOFF_MAX_COMMAND_LINE ||
        block->acpi_rsdp >= HANDOFF_MAX_PHYSICAL) {
        return STATUS_ERR_HANDOFF_SPAN;
    }
    bool has_screen = screen->span.size_bytes != 0;
    if (has_screen && (screen->format != 0 || screen->pitch_bytes / 4 < screen->width ||
                       (uint64_t)screen->pitch_bytes * screen->height > screen->span.size_bytes)) {
        return STATUS_ERR_HANDOFF_SPAN;
    }
    return STATUS_OK;
}

static status_t check_cpus(const struct handoff *block)
{
    if (block->cpu_count == 0 || block->cpu_count > HANDOFF_MAX_CPUS) {
        return STATUS_ERR_HANDOFF_LIST;
    }
    uint32_t boot_cpus = 0;
    for (uint32_t i = 0; i < block->cpu_count; i++) {
        const struct handoff_cpu *cpu = &block->cpus[i];
        bool boots_disabled = cpu->flags == HANDOFF_CPU_BOOT;
        if ((cpu->flags & ~(HANDOFF_CPU_BOOT | HANDOFF_CPU_ENABLED)) != 0 || boots_disabled ||
            cpu->node >= HANDOFF_MAX_NODES) {
            return STATUS_ERR_HANDOFF_LIST;
        }
        boot_cpus += (cpu->flags & HANDOFF_CPU_BOOT) != 0;
        for (uint32_t j = 0; j < i; j++) {
            if (block->cpus[j].apic_id == cpu->apic_id) {
                return STATUS_ERR_HANDOFF_LIST;
            }
        }
    }
    return boot_cpus == 1 ? STATUS_OK : STATUS_ERR_HANDOFF_LIST;
}

static status_t check_lists(const struct handoff *block)
{
    if (block->module_count > HANDOFF_MAX_MODULES || block->affinity_count > HANDOFF_MAX_AFFINITIES) {
        return STATUS_ERR_HANDOFF_LIST;
    }
    for (uint32_t i = 0; i < block->module_count; i++) {
        const struct handoff_module *module = &block->modules[i];
        if (!span_valid(&module->span) || strnlen(module->name, sizeof module->name) == sizeof module->name) {
            return STATUS_ERR_HANDOFF_LIST;
        }
    }
    for (uint32_t i = 0; i < block->affinity_count; i++) {
        if (!span_valid(&block->affinities[i].span) || block->affinities[i].node >= HANDOFF_MAX_NODES) {
            return STATUS_ERR_HANDOFF_LIST;
        }
    }
    return check_cpus(block);
}

status_t handoff_validate(const void *block, size_t available, const struct handoff_reader *reader)
{
    const struct handoff *handoff = block;
    if (block == NULL || (uintptr_t)block % 8 != 0 || available < sizeof *handoff) {
        return STATUS_ERR_HANDOFF_UNREACHABLE;
    }
    if (handoff->magic != HANDOFF_MAGIC) {
        return STATUS_ERR_HANDOFF_MAGIC;
    }
    if (handoff->version != HANDOFF_VERSION) {
        return STATUS_ERR_HANDOFF_VERSION;
    }
    if (handoff->size != sizeof *handoff) {
        return STATUS_ERR_HANDOFF_SIZE;
    }
    status_t status = check_spans(handoff);
    if (status == STATUS_OK) {
        status = check_lists(handoff);
    }
    if (status == STATUS_OK) {
        status = check_map(&handoff->memory_map, reader);
    }
    if (status == STATUS_OK && handoff->command_line.size_bytes != 0 &&
        reader->reach(reader->context, handoff->command_line.base, handoff->command_line.size_bytes) ==
            NULL) {
        status = STATUS_ERR_HANDOFF_UNREACHABLE;
    }
    return status;
}

#define PLACES_MAX (HANDOFF_MAX_MODULES + 6)

/* Everything of the handoff that lies in memory; the framebuffer, which does not, is first. */
static uint32_t list_places(const struct handoff *block, uint64_t block_address,
                            struct handoff_span places[PLACES_MAX])
{
    const struct handoff_memory_map *map = &block->memory_map;
    uint32_t count = 0;
    places[count++] = block->framebuffer.span;
    places[count++] = block->kernel_image;
    places[count++] = block->temporary_heap;
    places[count++] = (struct handoff_span){block_address, sizeof *block};
    places[count++] = (struct handoff_span){map->address, (uint64_t)map->count * map->stride};
    places[count++] = block->command_line;
    for (uint32_t i = 0; i < block->module_count; i++) {
        places[count++] = block->modules[i].span;
    }
    return count;
}

static bool spans_overlap(const struct handoff_span *a, const struct handoff_span *b)
{
    return a->size_bytes != 0 && b->size_bytes != 0 && a->base < b->base + b->size_bytes &&
           b->base < a->base + a->size_bytes;
}

static bool span_is_ram(const struct region_list *list, const struct handoff_span *span)
{
    uint64_t end = span->base + span->size_bytes;
    for (uint64_t at = span->base; at < end;) {
        const struct region *region = region_list_find(list, at);
        if (region == NULL || !region_type_is_for_all(region->type)) {
            return false;
        }
        at = region->end;
    }
    return true;
}

/* Frame 0 and the broken pages at the ends of usable regions become slivers. */
static status_t trim_usable(struct region_list *list)
{
    status_t status = STATUS_OK;
    for (uint32_t i = 0; i < list->count && status == STATUS_OK; i++) {
        struct region region = list->regions[i];
        if (region.type != REGION_USABLE) {
            continue;
        }
        uint64_t first = align_up(region.base, PAGE_SIZE);
        first = first == 0 ? PAGE_SIZE : first;
        uint64_t last = align_down(region.end, PAGE_SIZE);
        if (first >= last) {
            status = region_list_add(list, region.base, region.end - region.base, REGION_SLIVER);
        } else if (first != region.base) {
            status = region_list_add(list, region.base, first - region.base, REGION_SLIVER);
        } else if (last != region.end) {
            status = region_list_add(list, last, region.end - last, REGION_SLIVER);
        } else {
            continue;
        }
        i = i > 1 ? i - 2 : (uint32_t)-1; /* the list moved: look again from just before */
    }
    return status;
}

static status_t add_span(struct region_list *list, const struct handoff_span *span, enum region_type type)
{
    return region_list_add(list, span->base, span->size_bytes, type);
}

static status_t add_map(struct region_list *list, const struct handoff_memory_map *map,
                        const struct handoff_reader *reader)
{
    uint64_t bytes = (uint64_t)map->count * map->stride;
    const char *descriptors = reader->reach(reader->context, map->address, bytes);
    if (descriptors == NULL) {
        return STATUS_ERR_HANDOFF_UNREACHABLE;
    }
    status_t status = STATUS_OK;
    for (uint32_t i = 0; i < map->count && status == STATUS_OK; i++) {
        struct efi_memory_descriptor descriptor;
        memcpy(&descriptor, descriptors + (uint64_t)i * map->stride, sizeof descriptor);
        status = region_list_add(list, descriptor.physical_start, descriptor.number_of_pages * PAGE_SIZE,
                                 region_type_from_efi(descriptor.type));
    }
    return status;
}

status_t handoff_check_places(struct region_list *scratch, const struct handoff *block,
                              uint64_t block_address, const struct handoff_reader *reader)
{
    struct handoff_span places[PLACES_MAX];
    uint32_t count = list_places(block, block_address, places);
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t j = 0; j < i; j++) {
            if (spans_overlap(&places[i], &places[j])) {
                return STATUS_ERR_HANDOFF_OVERLAP;
            }
        }
    }
    region_list_init(scratch);
    status_t status = add_map(scratch, &block->memory_map, reader);
    for (uint32_t i = 1; status == STATUS_OK && i < count; i++) {
        status = span_is_ram(scratch, &places[i]) ? STATUS_OK : STATUS_ERR_HANDOFF_NOT_RAM;
    }
    return status;
}

status_t region_list_build(struct region_list *list, const struct handoff *block, uint64_t block_address,
                           const struct handoff_reader *reader)
{
    region_list_init(list);
    status_t status = add_map(list, &block->memory_map, reader);
    if (status == STATUS_OK) {
        const struct handoff_memory_map *map = &block->memory_map;
        status = region_list_add(list, map->address, (uint64_t)map->count * map->stride, REGION_HANDOFF);
    }
    if (status == STATUS_OK) {
        status = region_list_add(list, block_address, sizeof *block, REGION_HANDOFF);
    }
    if (status == STATUS_OK) {
        status = add_span(list, &block->command_line, REGION_HANDOFF);
    }
    if (status == STATUS_OK) {
        status = add_span(list, &block->kernel_image, REGION_KERNEL_IMAGE);
    }
    if (status == STATUS_OK) {
        status = add_span(list, &block->temporary_heap, REGION_TEMPORARY_HEAP);
    }
    if (status == STATUS_OK) {
        status = add_span(list, &block->framebuffer.span, REGION_FRAMEBUFFER);
    }
    for (uint32_t i = 0; i < block->module_count && status == STATUS_OK; i++) {
        status = add_span(list, &block->modules[i].span, REGION_MODULE);
    }
    return status == STATUS_OK ? trim_usable(list) : status;
}
