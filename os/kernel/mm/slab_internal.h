#ifndef OS_KERNEL_MM_SLAB_INTERNAL_H
#define OS_KERNEL_MM_SLAB_INTERNAL_H

/* What slab.c and slab_debug.c share. */

#include "mm/slab.h"

/* Bits of the owner id of a slab's frames that hold the cache number (kheap.c keeps the arena above them). */
#define HEAP_OWNER_ID_BITS 20u
#define HEAP_OWNER_ID_MASK ((1u << HEAP_OWNER_ID_BITS) - 1)

#define SLAB_RED_BYTES 16u

static inline struct slab_track *slab_track_of(const struct slab_cache *cache, const void *object)
{
    return (struct slab_track *)(void *)((uint8_t *)(uintptr_t)object - cache->object_offset +
                                         cache->track_offset);
}

/* Sets object_offset, track_offset and slot_size from object_size, align and debug. */
void slab_debug_layout(struct slab_cache *cache);

/* A slot of a fresh slab: free, poisoned. */
void slab_debug_fresh(const struct slab_cache *cache, void *object);

/* An object goes to a user: checks the poison, paints red zones, notes the site. */
void slab_debug_alloc(const struct slab_cache *cache, void *object, uint32_t size, const char *site);

/* An object comes back: false when it must not be freed (the fault was reported). */
bool slab_debug_free(const struct slab_cache *cache, void *object, const char *site);

/* Tells the report hook. */
void slab_report(const struct heap_report *report);

void slab_reset_serial(void);

#endif
