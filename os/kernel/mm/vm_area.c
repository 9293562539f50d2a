/* The sorted list of areas of an address space: find, insert, cut, join. Deviations: none. */

#include "lib/string.h"
#include "mm/vm_internal.h"

static struct slab_cache area_cache;

status_t vm_area_start(void)
{
    return slab_cache_init(&area_cache, "vm-area", sizeof(struct vm_area), 0, 0);
}

static struct vm_area *area_at(struct list *link)
{
    return list_entry(link, struct vm_area, link);
}

struct vm_area *vm_area_first(struct address_space *space, uint64_t address)
{
    struct list *from = space->areas.next;
    if (space->last_area && space->last_area->start <= address) {
        from = &space->last_area->link;
    }
    for (; from != &space->areas; from = from->next) {
        if (area_at(from)->end > address) {
            space->last_area = area_at(from);
            return space->last_area;
        }
    }
    return NULL;
}

struct vm_area *vm_area_find(struct address_space *space, uint64_t address)
{
    struct vm_area *area = vm_area_first(space, address);
    return area && area->start <= address ? area : NULL;
}

struct vm_area *vm_area_new(const struct vm_area *properties)
{
    struct vm_area *area = slab_alloc(&area_cache);
    if (area) {
        *area = *properties;
        list_init(&area->link);
    }
    return area;
}

void vm_area_free(struct vm_area *area)
{
    slab_free(&area_cache, area);
}

static uint64_t counted_bytes(const struct vm_area *area)
{
    return area->kind == VM_GUARD ? 0 : area->end - area->start;
}

static void link_area(struct address_space *space, struct vm_area *area)
{
    struct vm_area *after = vm_area_first(space, area->start);
    list_insert_before(after ? &after->link : &space->areas, &area->link);
    if (area->backing != NULL) {
        vm_backing_join(space, area);
    }
    space->area_count++;
    space->stats.area_bytes += counted_bytes(area);
}

void vm_area_drop(struct address_space *space, struct vm_area *area)
{
    space->stats.area_bytes -= counted_bytes(area);
    space->area_count--;
    space->last_area = NULL;
    list_remove(&area->link);
    if (area->backing != NULL) {
        vm_backing_leave(area);
    }
    vm_area_free(area);
}

static bool joinable(const struct vm_area *a, const struct vm_area *b)
{
    bool physical = a->kind != VM_DEVICE || a->physical + (a->end - a->start) == b->physical;
    return a->end == b->start && a->kind == b->kind && a->protection == b->protection &&
           a->cache == b->cache && a->kind != VM_STACK && a->kind != VM_GUARD && a->backing == NULL &&
           b->backing == NULL && physical;
}

void vm_area_join(struct address_space *space, uint64_t start, uint64_t end)
{
    struct vm_area *area = vm_area_first(space, start > 0 ? start - 1 : 0);
    while (area && area->start < end && area->link.next != &space->areas) {
        struct vm_area *next = area_at(area->link.next);
        if (!joinable(area, next)) {
            area = next;
            continue;
        }
        uint64_t joined_end = next->end;
        vm_area_drop(space, next);
        space->stats.area_bytes += joined_end - area->end;
        area->end = joined_end;
    }
}

static bool joins_neighbour(const struct address_space *space, const struct vm_area *area)
{
    const struct list *end = &space->areas;
    return (area->link.prev != end && joinable(area_at(area->link.prev), area)) ||
           (area->link.next != end && joinable(area, area_at(area->link.next)));
}

void vm_area_insert(struct address_space *space, struct vm_area *area)
{
    link_area(space, area);
    if (joins_neighbour(space, area)) {
        vm_area_join(space, area->start, area->end + 1);
    }
}

static bool crosses(struct address_space *space, uint64_t address)
{
    const struct vm_area *area = vm_area_find(space, address);
    return area && area->start < address;
}

/* Splits the area that crosses address; spare becomes its upper part. */
static void split(struct address_space *space, uint64_t address, struct vm_area *spare)
{
    struct vm_area *area = vm_area_find(space, address);
    struct vm_area upper = *area;
    upper.start = address;
    uint64_t below = address - area->start;
    upper.physical = area->kind == VM_DEVICE ? area->physical + below : 0;
    if (area->kind == VM_BACKED) {
        upper.physical = area->physical + below / PAGE_SIZE;
    }
    *spare = upper;
    area->end = address;
    list_init(&spare->link);
    list_insert_after(&area->link, &spare->link);
    space->area_count++;
    if (spare->backing != NULL) {
        vm_backing_join(space, spare);
    }
}

status_t vm_area_cut(struct address_space *space, uint64_t start, uint64_t end)
{
    uint64_t places[2] = {start, end};
    struct vm_area *spares[2] = {NULL, NULL};
    static const struct vm_area blank;
    uint32_t wanted = (crosses(space, start) ? 1u : 0u) + (crosses(space, end) ? 1u : 0u);
    if (space->area_count + wanted > VM_MAX_AREAS) {
        return STATUS_ERR_LIMIT;
    }
    for (unsigned i = 0; i < 2; i++) {
        spares[i] = crosses(space, places[i]) ? vm_area_new(&blank) : NULL;
        if (crosses(space, places[i]) && spares[i] == NULL) {
            if (i == 1 && spares[0]) {
                vm_area_free(spares[0]);
            }
            return STATUS_ERR_NO_MEMORY;
        }
    }
    for (unsigned i = 0; i < 2; i++) {
        if (spares[i]) {
            split(space, places[i], spares[i]);
        }
    }
    return STATUS_OK;
}

uint64_t vm_area_gap(struct address_space *space, uint64_t hint, uint64_t bytes)
{
    uint64_t at = hint > USER_BASE ? hint : USER_BASE;
    for (struct vm_area *area = vm_area_first(space, at); area && at <= USER_END;) {
        if (area->start >= at && area->start - at >= bytes) {
            return at;
        }
        at = area->end > at ? area->end : at;
        area = area->link.next != &space->areas ? area_at(area->link.next) : NULL;
    }
    return at <= USER_END && bytes <= USER_END - at ? at : 0;
}
