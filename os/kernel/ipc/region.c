/*
 * Shared regions, and the memory of devices, which is one without frames. A region holds a reference to each of its
 * frames, a mapping holds one to the region, a page table one to the frame: the last of them frees it. Deviations: all
 * frames are there from the start; none is ever paged out.
 */
#include "ipc/region.h"

#include "ipc/dma.h"
#include "ipc/waiting.h"
#include "mm/frame.h"
#include "mm/kheap.h"
#include "mm/slab.h"
#include "proc/process.h"

struct region_object {
    struct object object;
    struct spinlock lock; /* of mappings */
    struct list mappings;
    uint64_t pages;
    pfn_t *frames;       /* null: of a device */
    struct dma_run *run; /* that the frames are of; null: they are the region's own */
    paddr_t physical;    /* of a device */
    bool sealed;
    uint32_t mapping_count;
    enum cache_policy cache; /* of all mappings, as long as there is one */
    uint64_t denied;         /* faults by capabilities that have gone */
};

/* One call of region_map, and what forks and splits made of it. */
struct mapping {
    struct vm_backing backing;
    struct list node;
    struct region_object *region;
    uint64_t id; /* of the capability */
    uint32_t references;
    status_t gone; /* STATUS_OK while the capability is there */
};

static struct slab_cache region_cache;
static struct slab_cache mapping_cache;

status_t region_objects_init(void)
{
    status_t status = slab_cache_init(&region_cache, "region", sizeof(struct region_object), 64, 0);
    return status == STATUS_OK ? slab_cache_init(&mapping_cache, "region-map", sizeof(struct mapping), 0, 0)
                               : status;
}

struct region_object *region_of(struct object *object)
{
    return list_entry(object, struct region_object, object);
}

/* ---- frames ---- */

static void frames_put(const struct region_object *region, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        frame_put(region->frames[i]);
    }
}

static status_t frames_get(struct region_object *region, int node)
{
    uint32_t flags = FRAME_ZERO | (node >= 0 ? FRAME_NODE((unsigned)node) | FRAME_STRICT : 0);
    for (uint64_t i = 0; i < region->pages; i++) {
        status_t status = frame_alloc(flags, FRAME_OWNER_IPC, 0, &region->frames[i]);
        if (status != STATUS_OK) {
            frames_put(region, i);
            return status;
        }
    }
    return STATUS_OK;
}

static struct region_object *region_new(enum cap_type type, uint64_t pages)
{
    struct region_object *region = slab_alloc(&region_cache);
    if (region != NULL) {
        *region = (struct region_object){.pages = pages};
        object_init(&region->object, type);
        spinlock_init(&region->lock, "ipc.region", LOCK_CLASS_IPC_REGION);
        list_init(&region->mappings);
    }
    return region;
}

static void region_free(struct region_object *region)
{
    kfree(region->frames);
    slab_free(&region_cache, region);
}

/* The end of each creation: the first capability of a region that could be filled, or the end of what there is of it. */
static status_t region_publish(struct cap_space *space, struct region_object *region, status_t filled,
                               cap_handle_t *out)
{
    if (filled == STATUS_OK) {
        filled = cap_insert(space, &region->object, RIGHTS_ALL, CAP_FLAG_KEEP_ON_EXEC, out);
        object_put(&region->object);
    } else if (region != NULL) {
        region_free(region);
    }
    return filled;
}

static status_t fill_region(struct region_object *region, int node)
{
    region->frames = kmalloc(region->pages * sizeof(pfn_t));
    return region->frames != NULL ? frames_get(region, node) : STATUS_ERR_NO_MEMORY;
}

static status_t fill_region_dma(struct region_object *region)
{
    region->frames = kmalloc(region->pages * sizeof(pfn_t));
    status_t status = region->frames != NULL ? dma_take(region->pages, &region->run) : STATUS_ERR_NO_MEMORY;
    for (uint64_t i = 0; status == STATUS_OK && i < region->pages; i++) {
        region->frames[i] = region->run->first + i;
    }
    return status;
}

status_t region_create(struct cap_space *space, uint64_t pages, int node, cap_handle_t *out)
{
    struct region_object *region = region_new(CAP_REGION, pages);
    status_t status = region != NULL ? fill_region(region, node) : STATUS_ERR_NO_MEMORY;
    return region_publish(space, region, status, out);
}

status_t region_create_dma(struct cap_space *space, uint64_t pages, cap_handle_t *out, paddr_t *physical)
{
    struct region_object *region = region_new(CAP_REGION, pages);
    status_t status = region != NULL ? fill_region_dma(region) : STATUS_ERR_NO_MEMORY;
    if (status == STATUS_OK) {
        *physical = paddr_from_pfn(region->run->first);
    }
    return region_publish(space, region, status, out);
}

status_t region_create_device(struct cap_space *space, paddr_t physical, uint64_t pages, cap_handle_t *out)
{
    struct region_object *region = region_new(CAP_DEVICE, pages);
    if (region == NULL) {
        return STATUS_ERR_NO_MEMORY;
    }
    region->physical = physical;
    return region_publish(space, region, STATUS_OK, out);
}

void region_release(struct object *object)
{
    struct region_object *region = region_of(object);
    if (region->run != NULL) {
        dma_give(region->run);
    } else if (region->frames != NULL) {
        frames_put(region, region->pages);
    }
    region_free(region);
}

/* ---- mappings ---- */

static struct mapping *mapping_of(struct vm_backing *backing)
{
    return list_entry(backing, struct mapping, backing);
}

/* The last reference takes the mapping out of the list: who looks for one there finds only those that live. */
static void mapping_put(struct mapping *mapping)
{
    struct region_object *region = mapping->region;
    uint64_t flags = spin_lock_irqsave(&region->lock);
    bool last = --mapping->references == 0;
    if (last) {
        list_remove(&mapping->node);
        region->mapping_count--;
    }
    spin_unlock_irqrestore(&region->lock, flags);
    if (last) {
        slab_free(&mapping_cache, mapping);
        object_put(&region->object);
    }
}

static void mapping_unused(struct vm_backing *backing)
{
    mapping_put(mapping_of(backing));
}

/* What a fault finds; of a device, which asks with n 0, whether it may still be there. */
static status_t mapping_pages(struct vm_backing *backing, uint64_t index, unsigned n, pfn_t *out, bool *copy)
{
    struct mapping *mapping = mapping_of(backing);
    struct region_object *region = mapping->region;
    status_t gone = __atomic_load_n(&mapping->gone, __ATOMIC_ACQUIRE);
    if (gone != STATUS_OK) {
        return gone;
    }
    for (unsigned i = 0; i < n; i++) {
        out[i] = region->frames[index + i];
    }
    *copy = __atomic_load_n(&region->sealed, __ATOMIC_ACQUIRE);
    return STATUS_OK;
}

/* Whoever still touches what its capability no longer covers is on record. */
static void mapping_denied(struct vm_backing *backing, status_t why)
{
    const struct mapping *mapping = mapping_of(backing);
    struct pid pid = process_current()->pid;
    __atomic_add_fetch(&mapping->region->denied, 1, __ATOMIC_RELAXED);
    cap_audit_denied(pid, mapping->id, why);
}

static const struct vm_backing_ops mapping_ops = {
    .pages = mapping_pages, .denied = mapping_denied, .unused = mapping_unused};

/* Two policies for one frame would leave it to chance which of two views a store is seen in. */
static status_t join_locked(struct region_object *region, struct mapping *mapping, enum cache_policy cache)
{
    if (region->mapping_count != 0 && region->cache != cache) {
        return STATUS_ERR_STATE;
    }
    region->cache = cache;
    list_push_back(&region->mappings, &mapping->node);
    region->mapping_count++;
    return STATUS_OK;
}

static status_t mapping_make(struct region_object *region, uint64_t id, enum cache_policy cache,
                             struct mapping **out)
{
    struct mapping *mapping = slab_alloc(&mapping_cache);
    if (mapping == NULL) {
        return STATUS_ERR_NO_MEMORY;
    }
    *mapping = (struct mapping){.region = region, .id = id, .references = 2}; /* the areas', the maker's */
    vm_backing_init(&mapping->backing, &mapping_ops);
    object_get(&region->object);
    uint64_t flags = spin_lock_irqsave(&region->lock);
    status_t status = join_locked(region, mapping, cache);
    spin_unlock_irqrestore(&region->lock, flags);
    if (status != STATUS_OK) {
        slab_free(&mapping_cache, mapping);
        object_put(&region->object);
    }
    *out = mapping;
    return status;
}

/* The protection that a capability allows. Who writes to copies of its own needs no right to write. */
static uint32_t allowed_by(uint32_t rights, bool copy)
{
    uint32_t allowed = rights & RIGHT_READ ? VM_READ : 0;
    allowed |= rights & RIGHT_WRITE || (copy && rights & RIGHT_READ) ? VM_WRITE : 0;
    return allowed | (rights & RIGHT_EXECUTE ? VM_EXECUTE : 0);
}

/* Makes the areas, for whom the mapping has a reference. */
static status_t map_areas(struct region_object *region, const struct region_request *request,
                          struct mapping *mapping, uint32_t allowed, vaddr_t *out)
{
    struct address_space *space = process_current()->space;
    vaddr_t hint = vaddr_make(request->hint);
    if (region->frames != NULL) {
        return vm_map_backing(space, hint, request->bytes, request->flags, request->cache, &mapping->backing,
                              request->offset / PAGE_SIZE, allowed, request->copy, out);
    }
    const struct vm_device device = {.physical = paddr_make(paddr_number(region->physical) + request->offset),
                                     .cache = request->cache,
                                     .backing = &mapping->backing,
                                     .allowed = allowed & (VM_READ | VM_WRITE)};
    return vm_map_device(space, hint, request->bytes, request->flags, &device, out);
}

static void mapping_end(struct mapping *mapping, status_t why)
{
    __atomic_store_n(&mapping->gone, why, __ATOMIC_RELEASE);
    vm_backing_drain(&mapping->backing);
}

status_t region_map(struct region_object *region, const struct cap_view *by, cap_handle_t handle,
                    const struct region_request *request, vaddr_t *out)
{
    uint64_t size = region->pages * PAGE_SIZE;
    uint32_t allowed = allowed_by(by->rights, request->copy);
    if (request->bytes == 0 || request->offset > size || request->bytes > size - request->offset) {
        return STATUS_ERR_RANGE;
    }
    if ((request->flags & VM_PROTECTION_ALL & ~allowed) != 0) {
        return STATUS_ERR_CAP_RIGHTS;
    }
    struct mapping *mapping;
    status_t status = mapping_make(region, by->id, request->cache, &mapping);
    if (status != STATUS_OK) {
        return status;
    }
    status = map_areas(region, request, mapping, allowed, out);
    if (status != STATUS_OK) {
        mapping_put(mapping); /* there are no areas */
    } else {
        /* gone before the mapping was in the list: nobody has told it */
        const struct ipc_claim claim = {handle, by->id};
        status_t held = ipc_claim_check(&claim);
        if (held != STATUS_OK) {
            mapping_end(mapping, held);
        }
    }
    mapping_put(mapping);
    return status;
}

/* ---- for all mappings, or those by one capability ---- */

/* A mapping that `end` still has to be told, with a reference. */
static struct mapping *next_mapping(struct region_object *region, const struct mapping *after, uint64_t id)
{
    struct mapping *found = NULL;
    uint64_t flags = spin_lock_irqsave(&region->lock);
    for (struct list *node = after != NULL ? after->node.next : region->mappings.next;
         node != &region->mappings; node = node->next) {
        struct mapping *mapping = list_entry(node, struct mapping, node);
        if (id == 0 || mapping->id == id) {
            mapping->references++;
            found = mapping;
            break;
        }
    }
    spin_unlock_irqrestore(&region->lock, flags);
    return found;
}

static void for_mappings(struct region_object *region, uint64_t id, void (*act)(struct mapping *, status_t),
                         status_t why)
{
    struct mapping *mapping = next_mapping(region, NULL, id);
    while (mapping != NULL) {
        act(mapping, why);
        struct mapping *next = next_mapping(region, mapping, id);
        mapping_put(mapping);
        mapping = next;
    }
}

void region_removed(struct object *object, uint64_t id, uint32_t rights, status_t why)
{
    (void)rights;
    for_mappings(region_of(object), id, mapping_end,
                 why == STATUS_ERR_CAP_REVOKED ? why : STATUS_ERR_CAP_INVALID);
}

static void mapping_drain(struct mapping *mapping, status_t why)
{
    (void)why;
    vm_backing_drain(&mapping->backing);
}

void region_seal(struct region_object *region)
{
    __atomic_store_n(&region->sealed, true, __ATOMIC_RELEASE);
    for_mappings(region, 0, mapping_drain, STATUS_OK);
}

void region_read(struct region_object *region, struct region_info *out)
{
    uint64_t flags = spin_lock_irqsave(&region->lock);
    *out = (struct region_info){.bytes = region->pages * PAGE_SIZE,
                                .mappings = region->mapping_count,
                                .sealed = region->sealed,
                                .denied = region->denied};
    spin_unlock_irqrestore(&region->lock, flags);
    for (uint64_t i = 0; i < region->pages; i++) {
        out->resident += frame_refs(region->frames[i]) - 1;
    }
}
