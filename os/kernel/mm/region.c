/*
 * The list of physical regions: sorted, disjoint, every byte with the strongest type claimed for it. Adding a
 * range paints those of its bytes that nothing stronger holds; painting is the pointwise maximum, so order
 * cannot matter. Deviations: none.
 */

#include "mm/region.h"

#include "lib/string.h"

static const struct {
    const char *name;
    enum region_class region_class;
} types[REGION_TYPE_COUNT] = {
#define REGION_TYPE(id, text, class_id, owner) [REGION_##id] = {(text), REGION_CLASS_##class_id},
#include "mm/region_types.def"
#undef REGION_TYPE
};

#define REGION_TYPE(id, text, class_id, owner)                            \
    _Static_assert(((unsigned)REGION_##id < REGION_TYPES_FOR_ALL) ==      \
                       (REGION_CLASS_##class_id <= REGION_CLASS_RECLAIM), \
                   text);
#include "mm/region_types.def"
#undef REGION_TYPE

const char *region_type_name(enum region_type type)
{
    return types[type].name;
}

enum region_class region_type_class(enum region_type type)
{
    return types[type].region_class;
}

static const uint8_t efi_types[EFI_MEMORY_TYPE_COUNT] = {
    [EFI_RESERVED_MEMORY] = REGION_RESERVED,
    [EFI_LOADER_CODE] = REGION_LOADER,
    [EFI_LOADER_DATA] = REGION_LOADER,
    [EFI_BOOT_SERVICES_CODE] = REGION_BOOT_SERVICES,
    [EFI_BOOT_SERVICES_DATA] = REGION_BOOT_SERVICES,
    [EFI_RUNTIME_SERVICES_CODE] = REGION_RUNTIME,
    [EFI_RUNTIME_SERVICES_DATA] = REGION_RUNTIME,
    [EFI_CONVENTIONAL_MEMORY] = REGION_USABLE,
    [EFI_UNUSABLE_MEMORY] = REGION_UNUSABLE,
    [EFI_ACPI_RECLAIM_MEMORY] = REGION_ACPI_RECLAIM,
    [EFI_ACPI_MEMORY_NVS] = REGION_ACPI_NVS,
    [EFI_MEMORY_MAPPED_IO] = REGION_MMIO,
    [EFI_MEMORY_MAPPED_IO_PORT_SPACE] = REGION_MMIO,
    [EFI_PAL_CODE] = REGION_RESERVED,
    [EFI_PERSISTENT_MEMORY] = REGION_PERSISTENT,
};

enum region_type region_type_from_efi(uint32_t efi_type)
{
    return efi_type < EFI_MEMORY_TYPE_COUNT ? (enum region_type)efi_types[efi_type] : REGION_RESERVED;
}

void region_list_init(struct region_list *list)
{
    list->count = 0;
}

/* Index of the first region that ends above address. */
static uint32_t first_after(const struct region_list *list, uint64_t address)
{
    uint32_t low = 0;
    uint32_t high = list->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (list->regions[middle].end > address) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

/* Replaces `old` regions at index by the `fresh` given ones. The caller has checked the space. */
static void splice(struct region_list *list, uint32_t index, uint32_t old, const struct region *fresh,
                   uint32_t count)
{
    memmove(&list->regions[index + count], &list->regions[index + old],
            (list->count - index - old) * sizeof list->regions[0]);
    memcpy(&list->regions[index], fresh, count * sizeof *fresh);
    list->count = list->count - old + count;
}

static void merge_around(struct region_list *list, uint32_t index)
{
    uint32_t first = index > 0 ? index - 1 : 0;
    uint32_t last = index + 3 < list->count ? index + 3 : list->count;
    for (uint32_t i = first; i + 1 < last && i + 1 < list->count;) {
        struct region *a = &list->regions[i];
        struct region *b = &list->regions[i + 1];
        if (a->type == b->type && a->end == b->base) {
            struct region joined = {a->base, b->end, a->type};
            splice(list, i, 2, &joined, 1);
            last--;
        } else {
            i++;
        }
    }
}

/* Paints [base, end), which lies wholly inside region `index` (weaker) or, when inside is false, in a gap
 * before it. */
static void paint(struct region_list *list, uint32_t index, bool inside, struct region fresh)
{
    struct region parts[3];
    uint32_t count = 0;
    if (inside) {
        struct region old = list->regions[index];
        if (old.base < fresh.base) {
            parts[count++] = (struct region){old.base, fresh.base, old.type};
        }
        parts[count++] = fresh;
        if (fresh.end < old.end) {
            parts[count++] = (struct region){fresh.end, old.end, old.type};
        }
    } else {
        parts[count++] = fresh;
    }
    splice(list, index, inside ? 1 : 0, parts, count);
    merge_around(list, index);
}

status_t region_list_add(struct region_list *list, uint64_t base, uint64_t size, enum region_type type)
{
    if (size == 0) {
        return STATUS_OK;
    }
    if (base >= HANDOFF_MAX_PHYSICAL || size > HANDOFF_MAX_PHYSICAL - base) {
        return STATUS_ERR_OVERFLOW;
    }
    uint64_t end = base + size;
    /* Painting adds at most one gap or piece for each region it meets, and two at the ends. */
    uint32_t met = first_after(list, end) - first_after(list, base);
    if (list->count + met + 3 > REGION_MAX) {
        return STATUS_ERR_LIMIT;
    }
    for (uint64_t at = base; at < end;) {
        uint32_t index = first_after(list, at);
        bool inside = index < list->count && list->regions[index].base <= at;
        uint64_t stop = end;
        if (index < list->count) {
            uint64_t edge = inside ? list->regions[index].end : list->regions[index].base;
            stop = edge < end ? edge : end;
        }
        if (!inside || list->regions[index].type < type) {
            paint(list, index, inside, (struct region){at, stop, type});
        }
        at = stop;
    }
    return STATUS_OK;
}

const struct region *region_list_find(const struct region_list *list, uint64_t address)
{
    uint32_t index = first_after(list, address);
    return index < list->count && list->regions[index].base <= address ? &list->regions[index] : NULL;
}

uint64_t region_list_bytes(const struct region_list *list, enum region_type type)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < list->count; i++) {
        total += list->regions[i].type == type ? list->regions[i].end - list->regions[i].base : 0;
    }
    return total;
}

uint64_t region_list_total(const struct region_list *list)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < list->count; i++) {
        total += list->regions[i].end - list->regions[i].base;
    }
    return total;
}
