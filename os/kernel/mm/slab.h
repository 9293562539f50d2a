#ifndef OS_KERNEL_MM_SLAB_H
#define OS_KERNEL_MM_SLAB_H

/*
 * Slab caches: objects of one size. A slab is a heap-buddy block with a header (struct slab: link, free list,
 * array of object slots). In front of every cache stands a per-CPU stack of objects (interrupts off, no
 * lock). Debug caches keep owner, sizes and call sites of every object, poison on alloc and free, and red
 * zones around it.
 *
 * Slot of a debug cache:  [red zone][object ... padding][red zone][struct slab_track]
 */

#include "abi/status.h"
#include "lib/list.h"
#include "lib/spinlock.h"
#include "mm/frame.h"
#include "types.h"

#define SLAB_STRINGIFY2(x) #x
#define SLAB_STRINGIFY(x)  SLAB_STRINGIFY2(x)
/* The call site, a constant string "file:line". */
#define SLAB_SITE __FILE__ ":" SLAB_STRINGIFY(__LINE__)

enum heap_debug {
    HEAP_DEBUG_OFF = 0,   /* nothing kept */
    HEAP_DEBUG_TRACK = 1, /* sizes, sites, double free, leak report */
    HEAP_DEBUG_FULL = 2,  /* also poison and red zones */
};

#define SLAB_POISON_ALLOC 0xa5
#define SLAB_POISON_FREE  0xdb
#define SLAB_RED_ZONE     0xbb

#define SLAB_HOT_LINES 0x1u /* no two objects share a 64-byte line */
#define SLAB_NO_FRONT  0x2u /* no per-CPU front cache (rare objects) */
#define SLAB_DEBUG     0x4u /* HEAP_DEBUG_FULL whatever the heap's own level is */

#define SLAB_FRONT_CAPACITY 32u
#define SLAB_MAX_OBJECT     65536u
#define SLAB_MAX_CACHES     128u
#define SLAB_KEEP_EMPTY     1u /* empty slabs kept by a cache, its floor */
#define SLAB_STEP           8u /* objects, and empty slabs, that move at most in one go with interrupts off */

_Static_assert(SLAB_FRONT_CAPACITY >= SLAB_STEP, "a front takes what moves in one go");

/* What a tracked slot remembers. */
struct slab_track {
    const char *alloc_site;
    const char *free_site;
    uint64_t serial;
    uint32_t size; /* bytes asked for */
    uint32_t live; /* SLAB_TRACK_LIVE or SLAB_TRACK_FREE */
};

#define SLAB_TRACK_LIVE 0x4c495645u
#define SLAB_TRACK_FREE 0x46524545u

/* Header at the start of a slab; the free list is an array of slot numbers, so it cannot be hurt through
 * objects. */
struct slab {
    struct list link; /* in partial, full or empty of the cache: the link to the next slab */
    struct slab_cache *cache;
    uint8_t *slots;
    uint16_t free_head; /* first free slot, SLAB_SLOT_NONE at the end */
    uint16_t in_use;
    uint16_t next_free[];
};

#define SLAB_SLOT_NONE 0xffffu

struct slab_front {
    uint32_t count;
    uint32_t drain_wanted; /* set by others, obeyed by the CPU at its next slow step */
    uint64_t allocs;
    uint64_t frees;
    void *objects[SLAB_FRONT_CAPACITY];
} __attribute__((aligned(64)));

struct slab_cache {
    struct list link; /* in the registry */
    char name[24];
    uint32_t number;        /* index in the registry, stored in the frame table of its slabs */
    uint32_t object_size;   /* bytes the user may touch */
    uint32_t slot_size;     /* bytes from one slot to the next */
    uint32_t object_offset; /* of the object in its slot */
    uint32_t track_offset;  /* of struct slab_track in the slot, 0: none */
    uint32_t align;
    uint32_t flags;
    uint32_t slab_order;  /* heap-buddy order of a slab */
    uint32_t per_slab;    /* objects in a slab */
    uint32_t colour_next; /* offset of the next slab's first object, multiple of 64 */
    uint32_t colour_limit;
    enum heap_debug debug;
    struct spinlock lock; /* covers what follows except the fronts */
    struct list partial;
    struct list full;
    struct list empty;
    uint32_t slabs;
    uint32_t empty_slabs;
    uint64_t objects_in_slabs; /* objects out of the slabs: live or in a front */
    uint64_t failures;
    struct slab_front fronts[MM_MAX_CPUS];
};

struct slab_stats {
    const char *name;
    uint32_t object_size;
    uint32_t slabs;
    uint32_t per_slab;
    uint64_t live;   /* objects with users */
    uint64_t cached; /* objects in front caches */
    uint64_t allocs; /* calls ever */
    uint64_t frees;
    uint64_t failures;
    uint64_t bytes; /* memory of its slabs */
};

/* What went wrong with an object; given to the report hook, which does not return in the kernel (panic). */
enum heap_fault {
    HEAP_FAULT_DOUBLE_FREE,
    HEAP_FAULT_USE_AFTER_FREE, /* poison of a free object was changed */
    HEAP_FAULT_OVERFLOW,       /* red zone after the object */
    HEAP_FAULT_UNDERFLOW,      /* red zone before the object */
    HEAP_FAULT_FOREIGN,        /* not an object of any cache, or not its first byte */
    HEAP_FAULT_DIRTY, /* given back with something in it that should be full of zeros (frame_cache.h) */
};

struct heap_report {
    enum heap_fault fault;
    const char *cache; /* null when unknown */
    const void *object;
    uint64_t size;   /* bytes asked for */
    uint64_t offset; /* of the first wrong byte from the object's start (two's complement when before it) */
    const char *alloc_site; /* last allocation, null when unknown */
    const char *free_site;  /* last free, null when none */
    const char *found_site; /* the call that found it */
};

typedef void (*heap_report_hook)(const struct heap_report *report);

/* Replaces the default hook (panic with all fields); null restores it. */
void slab_set_report_hook(heap_report_hook hook);

/* One line for a report, as the default hook prints it. */
void slab_format_report(const struct heap_report *report, char *buffer, size_t size);

/* Starts the registry with no caches. Debug level for caches made from now on. Needs kheap_init's buddy. */
void slab_init(enum heap_debug debug);

/*
 * Makes a cache in memory of the caller (static or allocated; lives until slab_cache_deinit). align: power of
 * two or 0 for 16, at most 4096. Fails: STATUS_ERR_ARGUMENT (size 0, above SLAB_MAX_OBJECT, bad align),
 * STATUS_ERR_EXISTS (name taken), STATUS_ERR_LIMIT (SLAB_MAX_CACHES).
 */
MUST_CHECK status_t slab_cache_init(struct slab_cache *cache, const char *name, uint32_t object_size,
                                    uint32_t align, uint32_t flags);

/* Unregisters a cache. STATUS_ERR_BUSY while objects live. Front caches of all CPUs are emptied (must be at
 * rest). */
MUST_CHECK status_t slab_cache_deinit(struct slab_cache *cache);

/* An object with unspecified contents, null when memory is out. size: what the caller asked for (statistics,
 * red zone). */
void *slab_alloc_sized(struct slab_cache *cache, uint32_t size, const char *site);
void slab_free_site(struct slab_cache *cache, void *object, const char *site);

#define slab_alloc(cache)        slab_alloc_sized((cache), (cache)->object_size, SLAB_SITE)
#define slab_free(cache, object) slab_free_site((cache), (object), SLAB_SITE)

/* Cache of the slab that holds an object, null when the address is in no slab. */
struct slab_cache *slab_cache_of(const void *object);

/*
 * Empties the front caches of one CPU and frees empty slabs beyond the floor. The caller stays on that CPU, or that CPU is
 * offline and will not run meanwhile. Interrupts are off for a step at a time only; what the CPU's interrupts put into its
 * fronts meanwhile may stay there.
 */
void slab_drain_cpu(unsigned cpu);

/* How far a drain is; all zeros: at its beginning. */
struct slab_drain {
    uint32_t number; /* of the cache whose front comes next */
    uint32_t left;   /* objects that it still has to give, when begun */
    bool begun;
};

/*
 * Moves a few objects of the fronts of one CPU to their slabs, which stay with their caches: the work of
 * slab_drain_cpu in pieces that fit into an interrupt, under the same conditions. False: that was the last.
 */
bool slab_drain_step(unsigned cpu, struct slab_drain *drain);

/* Asks every other CPU to empty its fronts at its next slow step or slab_poll, empties the caller's and frees
 * empty slabs beyond none. Returns bytes given back to the heap buddy. */
uint64_t slab_trim(void);

/* Obeys a drain request of slab_trim for the calling CPU; for the idle loop. */
void slab_poll(void);

void slab_stats_read(const struct slab_cache *cache, struct slab_stats *out);

/* Calls visit for each cache in order of creation. */
void slab_for_each_cache(void (*visit)(void *context, struct slab_cache *cache), void *context);

/*
 * Leak report: every live object of tracked caches whose allocation serial is >= since, as lines with cache,
 * size and call site. Returns the count. slab_serial gives the current serial. The machine must be at rest.
 */
uint64_t slab_serial(void);
uint64_t slab_report_live(uint64_t since, const struct text_sink *sink);

/* The header of the slab that holds an address, null when it is in no slab. */
struct slab *slab_of(const void *object);

/* Checks all free objects' poison, all live objects' red zones and all lists; faults go to the report hook.
 * Number. */
uint64_t slab_check_all(void);

#endif
