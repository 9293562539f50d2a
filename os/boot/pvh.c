/*
 * PVH start information. Source: Xen public headers, "arch-x86/hvm/start_info.h"; memory types as E820 (ACPI
 * Specification, "Address Range Types"). Hostile input: counts are bounded, addresses checked against the
 * early map. Deviations: what the protocol puts above 4 GiB is not reached and refused.
 */
#include "boot/pvh.h"

#include "arch/arch.h"
#include "arch/x86_64/acpi.h"
#include "boot/block.h"
#include "lib/string.h"
#include "types.h"

#define START_INFO_MAGIC 0x336ec578u
#define EARLY_LIMIT      (1ull << 32)
#define MAP_ENTRIES_MAX  512u
#define E820_RAM         1u
#define E820_ACPI        3u
#define E820_NVS         4u
#define E820_UNUSABLE    5u
#define E820_PERSISTENT  7u
#define EFI_MEMORY_WB    8u

struct start_info {
    uint32_t magic;
    uint32_t version;
    uint32_t flags;
    uint32_t module_count;
    uint64_t modules;
    uint64_t command_line;
    uint64_t rsdp;
    uint64_t map; /* from version 1 on */
    uint32_t map_entries;
    uint32_t reserved;
};

struct start_module {
    uint64_t address;
    uint64_t bytes;
    uint64_t command_line;
    uint64_t reserved;
};

struct start_map_entry {
    uint64_t address;
    uint64_t bytes;
    uint32_t type;
    uint32_t reserved;
};

/* What must not be overwritten while the block is made. */
struct obstacles {
    uint32_t count;
    struct handoff_span spans[HANDOFF_MAX_MODULES + 8];
};

const void *boot_reach(uint64_t address, uint64_t bytes)
{
    if (address >= EARLY_LIMIT || bytes > EARLY_LIMIT - address) {
        return NULL;
    }
    return arch_phys_to_virt(paddr_make(address));
}

static void obstacle_add(struct obstacles *obstacles, uint64_t base, uint64_t bytes)
{
    if (bytes != 0 && obstacles->count < sizeof(obstacles->spans) / sizeof(obstacles->spans[0])) {
        obstacles->spans[obstacles->count++] = (struct handoff_span){base, bytes};
    }
}

/* First page-aligned place at or above `from` that touches no obstacle. */
static uint64_t next_clear(const struct obstacles *obstacles, uint64_t from, uint64_t bytes)
{
    uint64_t at = align_up(from, PAGE_SIZE);
    for (bool moved = true; moved;) {
        moved = false;
        for (uint32_t i = 0; i < obstacles->count; i++) {
            const struct handoff_span *span = &obstacles->spans[i];
            if (at < span->base + span->size_bytes && span->base < at + bytes) {
                at = align_up(span->base + span->size_bytes, PAGE_SIZE);
                moved = true;
            }
        }
    }
    return at;
}

static status_t find_room(const struct start_info *info, const struct start_map_entry *map,
                          const struct obstacles *obstacles, uint64_t from, uint64_t bytes, uint64_t *out)
{
    for (uint32_t i = 0; i < info->map_entries; i++) {
        uint64_t end = map[i].address + map[i].bytes;
        uint64_t at = next_clear(obstacles, map[i].address > from ? map[i].address : from, bytes);
        if (map[i].type == E820_RAM && at >= map[i].address && end <= EARLY_LIMIT && at + bytes <= end) {
            *out = at;
            return STATUS_OK;
        }
    }
    return STATUS_ERR_NO_MEMORY;
}

static uint32_t efi_type_of(uint32_t e820_type)
{
    switch (e820_type) {
    case E820_RAM:
        return EFI_CONVENTIONAL_MEMORY;
    case E820_ACPI:
        return EFI_ACPI_RECLAIM_MEMORY;
    case E820_NVS:
        return EFI_ACPI_MEMORY_NVS;
    case E820_UNUSABLE:
        return EFI_UNUSABLE_MEMORY;
    case E820_PERSISTENT:
        return EFI_PERSISTENT_MEMORY;
    default:
        return EFI_RESERVED_MEMORY;
    }
}

/* Whole pages only: RAM shrinks to them, everything else grows. */
static struct efi_memory_descriptor descriptor_of(const struct start_map_entry *entry)
{
    uint64_t start = entry->address;
    uint64_t end = entry->address + entry->bytes;
    if (entry->type == E820_RAM) {
        start = align_up(start, PAGE_SIZE);
        end = align_down(end, PAGE_SIZE);
    } else {
        start = align_down(start, PAGE_SIZE);
        end = align_up(end, PAGE_SIZE);
    }
    return (struct efi_memory_descriptor){.type = efi_type_of(entry->type),
                                          .physical_start = start,
                                          .number_of_pages = end > start ? (end - start) >> PAGE_SHIFT : 0,
                                          .attribute = entry->type == E820_RAM ? EFI_MEMORY_WB : 0};
}

static void fill_map(struct handoff *block, uint64_t at, const struct start_info *info,
                     const struct start_map_entry *map)
{
    struct efi_memory_descriptor *descriptors = arch_phys_to_virt(paddr_make(at));
    uint32_t count = 0;
    for (uint32_t i = 0; i < info->map_entries; i++) {
        bool wraps = map[i].address + map[i].bytes < map[i].address ||
                     map[i].address >= HANDOFF_MAX_PHYSICAL ||
                     map[i].bytes > HANDOFF_MAX_PHYSICAL - map[i].address;
        if (!wraps) {
            descriptors[count++] = descriptor_of(&map[i]);
        }
    }
    block->memory_map = (struct handoff_memory_map){
        .address = at, .stride = sizeof(*descriptors), .version = HANDOFF_DESCRIPTOR_VERSION, .count = count};
}

static void fill_command_line(struct handoff *block, const struct start_info *info)
{
    const char *text =
        info->command_line != 0 ? boot_reach(info->command_line, BLOCK_COMMAND_LINE_MAX) : NULL;
    block_put_command_line(block, arch_phys_to_virt(paddr_make(block->memory_map.address)), text,
                           text != NULL ? strnlen(text, BLOCK_COMMAND_LINE_MAX) : 0);
}

static void fill_modules(struct handoff *block, const struct start_module *modules, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct handoff_module *module = &block->modules[block->module_count++];
        module->span = (struct handoff_span){modules[i].address, modules[i].bytes};
        memcpy(module->name, i == 0 ? "initrd" : "module", 7);
    }
}

static status_t start_info_check(const struct start_info *info, const struct start_map_entry **map,
                                 const struct start_module **modules)
{
    if (info == NULL || info->magic != START_INFO_MAGIC || info->version == 0 || info->map_entries == 0 ||
        info->map_entries > MAP_ENTRIES_MAX || info->module_count > HANDOFF_MAX_MODULES) {
        return STATUS_ERR_BAD_IMAGE;
    }
    *map = boot_reach(info->map, info->map_entries * sizeof(**map));
    *modules = boot_reach(info->modules, info->module_count * sizeof(**modules));
    return *map != NULL && *modules != NULL ? STATUS_OK : STATUS_ERR_BAD_IMAGE;
}

status_t pvh_make_handoff(uint64_t start_info, uint64_t image_start, uint64_t image_end,
                          struct handoff **block, uint64_t *block_address)
{
    const struct start_info *info = boot_reach(start_info, sizeof(*info));
    const struct start_map_entry *map;
    const struct start_module *modules;
    status_t status = start_info_check(info, &map, &modules);
    if (status != STATUS_OK) {
        return status;
    }
    struct obstacles obstacles = {.count = 0};
    obstacle_add(&obstacles, image_start, image_end - image_start);
    obstacle_add(&obstacles, start_info, sizeof(*info));
    obstacle_add(&obstacles, info->map, info->map_entries * sizeof(*map));
    obstacle_add(&obstacles, info->modules, info->module_count * sizeof(*modules));
    obstacle_add(&obstacles, info->command_line, info->command_line != 0 ? HANDOFF_MAX_COMMAND_LINE : 0);
    for (uint32_t i = 0; i < info->module_count; i++) {
        obstacle_add(&obstacles, modules[i].address, modules[i].bytes);
    }
    uint64_t map_bytes = info->map_entries * sizeof(struct efi_memory_descriptor);
    uint64_t heap;
    status = find_room(info, map, &obstacles, image_end,
                       HANDOFF_MIN_TEMPORARY_HEAP + block_area_bytes(map_bytes), &heap);
    if (status != STATUS_OK) {
        return status;
    }
    uint64_t at = heap + HANDOFF_MIN_TEMPORARY_HEAP;
    *block = arch_phys_to_virt(paddr_make(at));
    *block_address = at;
    **block =
        (struct handoff){.magic = HANDOFF_MAGIC, .size = sizeof(struct handoff), .version = HANDOFF_VERSION};
    (*block)->kernel_image = (struct handoff_span){image_start, image_end - image_start};
    (*block)->temporary_heap = (struct handoff_span){heap, HANDOFF_MIN_TEMPORARY_HEAP};
    (*block)->acpi_rsdp = info->rsdp;
    fill_map(*block, at + sizeof(struct handoff), info, map);
    fill_command_line(*block, info);
    fill_modules(*block, modules, info->module_count);
    status = acpi_parse(info->rsdp, boot_reach);
    block_put_processors(*block, acpi_info(), cpuid_read(1, 0).ebx >> 24);
    return status;
}
