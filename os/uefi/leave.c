/*
 * Leaving the firmware. Source: UEFI Specification 2.10, "EFI_BOOT_SERVICES.GetMemoryMap()" and
 * "EFI_BOOT_SERVICES.ExitBootServices()": after a first attempt with a stale map only the memory services may be
 * called, so nothing is printed any more. Deviations: none.
 */
#include "boot/block.h"
#include "kernel/lib/string.h"
#include "kernel/types.h"
#include "uefi/loader.h"

#define ATTEMPTS          8u
#define DESCRIPTORS_SPARE 32u /* the map may grow while room is made for it */
/* Leaves room for the empty descriptors of block_put_command_line. */
#define DESCRIPTORS_MAX (HANDOFF_MAX_DESCRIPTORS - 64u)

/* Pages for block, map and command line; capacity: bytes of the map that fit. */
struct area {
    uint64_t address;
    size_t capacity;
};

struct map_told {
    size_t size_bytes;
    size_t key;
    size_t stride;
    uint32_t version;
};

static struct efi_memory_descriptor *area_map(const struct area *area)
{
    return (struct efi_memory_descriptor *)(uintptr_t)(area->address + sizeof(struct handoff));
}

static efi_status area_make(struct loader *l, const struct map_told *told, struct area *area)
{
    area->capacity = told->size_bytes + DESCRIPTORS_SPARE * told->stride;
    uint64_t bytes = block_area_bytes(area->capacity);
    area->address = UINT32_MAX;
    return l->boot->allocate_pages(EFI_ALLOCATE_MAX_ADDRESS, EFI_LOADER_DATA, (size_t)(bytes / PAGE_SIZE),
                                   &area->address);
}

/* The map into an area that it fits. */
static efi_status map_fetch(struct loader *l, struct area *area, struct map_told *told)
{
    for (;;) {
        told->size_bytes = area->capacity;
        efi_status status = l->boot->get_memory_map(&told->size_bytes, area_map(area), &told->key,
                                                    &told->stride, &told->version);
        if (status != EFI_BUFFER_TOO_SMALL) {
            return status;
        }
        status = area_make(l, told, area);
        if (status != EFI_SUCCESS) {
            return status;
        }
    }
}

static const char *map_wrong(const struct map_told *told)
{
    if (told->version != HANDOFF_DESCRIPTOR_VERSION || told->stride < HANDOFF_DESCRIPTOR_MIN_STRIDE ||
        told->stride > HANDOFF_DESCRIPTOR_MAX_STRIDE || told->stride % 8 != 0) {
        return "its descriptors are unknown";
    }
    return told->size_bytes / told->stride > DESCRIPTORS_MAX ? "it has too many descriptors" : NULL;
}

/* First look: how long the map is, whether it can be understood; room for it. */
static bool area_prepare(struct loader *l, struct area *area)
{
    struct map_told told = {0};
    struct efi_memory_descriptor none;
    efi_status status =
        l->boot->get_memory_map(&told.size_bytes, &none, &told.key, &told.stride, &told.version);
    if (status != EFI_BUFFER_TOO_SMALL) {
        return loader_fail(l, "the firmware's memory map cannot be read (EFI error %u)",
                           loader_error(status));
    }
    const char *wrong = map_wrong(&told);
    if (wrong != NULL) {
        return loader_fail(l, "the firmware's memory map: %s", wrong);
    }
    status = area_make(l, &told, area);
    return status == EFI_SUCCESS ||
           loader_fail(l, "no memory for the memory map (EFI error %u)", loader_error(status));
}

/* Tries until the map that was fetched last is the firmware's. From the second attempt on there is no console. */
static bool exit_with_map(struct loader *l, struct area *area, struct map_told *told)
{
    for (unsigned attempt = 0; attempt < ATTEMPTS; attempt++) {
        efi_status status = map_fetch(l, area, told);
        const char *wrong = status == EFI_SUCCESS ? map_wrong(told) : "it cannot be read";
        if (wrong != NULL && attempt == 0) {
            return loader_fail(l, "the firmware's memory map: %s", wrong);
        }
        if (wrong != NULL) {
            cpu_die("orrery: the firmware's last memory map cannot be used\r\n");
        }
        status = l->boot->exit_boot_services(l->image, told->key);
        if (status == EFI_SUCCESS) {
            return true;
        }
        if (status != EFI_INVALID_PARAMETER) {
            break;
        }
    }
    cpu_die("orrery: the firmware cannot be left\r\n");
}

bool firmware_leave(struct loader *l, const struct handoff *block, const struct handoff_span *command_line,
                    uint64_t *block_address)
{
    struct area area;
    struct map_told told;
    if (command_line->size_bytes > BLOCK_COMMAND_LINE_MAX) {
        return loader_fail(l, "\\orrery\\cmdline.txt: more than %u characters", BLOCK_COMMAND_LINE_MAX);
    }
    if (!area_prepare(l, &area) || !exit_with_map(l, &area, &told)) {
        return false;
    }
    struct handoff *out = (struct handoff *)(uintptr_t)area.address;
    memcpy(out, block, sizeof(*out));
    out->memory_map = (struct handoff_memory_map){.address = area.address + sizeof(*out),
                                                  .stride = (uint32_t)told.stride,
                                                  .version = told.version,
                                                  .count = (uint32_t)(told.size_bytes / told.stride)};
    block_put_command_line(out, area_map(&area), (const char *)(uintptr_t)command_line->base,
                           (size_t)command_line->size_bytes);
    *block_address = area.address;
    return true;
}
