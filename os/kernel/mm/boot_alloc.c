/* The boot allocator: whole frames out of the region list, for the time before the frame manager. Deviations:
 * none. */

#include "mm/boot_alloc.h"

#include "panic.h"

static struct {
    struct region_list *list;
    uint64_t from;
    uint64_t limit;
    uint64_t used;
    uint64_t refused; /* frames of the last request that was refused */
    bool sealed;
} boot;

void boot_alloc_init(struct region_list *list, uint64_t from, uint64_t limit)
{
    boot.list = list;
    boot.from = align_up(from, PAGE_SIZE);
    boot.limit = align_down(limit, PAGE_SIZE);
    boot.used = 0;
    boot.refused = 0;
    boot.sealed = false;
}

/* The part of a usable region that lies in the window; false when there is none. */
static bool window_part(const struct region *region, uint64_t *base, uint64_t *end)
{
    *base = region->base > boot.from ? region->base : boot.from;
    *end = region->end < boot.limit ? region->end : boot.limit;
    return region->type == REGION_USABLE && *base < *end;
}

/* Highest aligned place for bytes in the window, or 0 when there is none (frame 0 is never usable). */
static uint64_t find_place(uint64_t bytes, uint64_t align)
{
    for (uint32_t i = boot.list->count; i-- > 0;) {
        uint64_t base;
        uint64_t end;
        if (!window_part(&boot.list->regions[i], &base, &end) || end - base < bytes) {
            continue;
        }
        uint64_t place = align_down(end - bytes, align);
        if (place >= base) {
            return place;
        }
    }
    return 0;
}

status_t boot_alloc_frames(uint64_t frames, uint64_t align_frames, enum region_type type, paddr_t *out)
{
    if (boot.sealed) {
        panic("boot allocator: used after it was sealed");
    }
    if (boot.list == NULL) {
        panic("boot allocator: used before it was started");
    }
    bool power = align_frames != 0 && (align_frames & (align_frames - 1)) == 0;
    if (frames == 0 || frames > HANDOFF_MAX_PHYSICAL / PAGE_SIZE || !power ||
        (type != REGION_BOOT_PAGE_TABLE && type != REGION_BOOT_ALLOCATION)) {
        return STATUS_ERR_ARGUMENT;
    }
    uint64_t place = find_place(frames * PAGE_SIZE, align_frames * PAGE_SIZE);
    if (place == 0) {
        boot.refused = frames;
        return STATUS_ERR_NO_MEMORY;
    }
    status_t status = region_list_add(boot.list, place, frames * PAGE_SIZE, type);
    if (status == STATUS_OK) {
        boot.used += frames;
        *out = paddr_make(place);
    }
    return status;
}

void boot_alloc_shortage(struct boot_alloc_shortage *out)
{
    *out = (struct boot_alloc_shortage){.wanted_frames = boot.refused, .used_frames = boot.used};
    for (uint32_t i = 0; boot.list != NULL && i < boot.list->count; i++) {
        uint64_t base;
        uint64_t end;
        if (window_part(&boot.list->regions[i], &base, &end)) {
            out->left_frames += (end - base) >> PAGE_SHIFT;
        }
    }
}

void boot_alloc_seal(void)
{
    if (boot.sealed) {
        panic("boot allocator: sealed twice");
    }
    boot.sealed = true;
}

bool boot_alloc_sealed(void)
{
    return boot.sealed;
}

uint64_t boot_alloc_used(void)
{
    return boot.used;
}
