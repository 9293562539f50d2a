#ifndef OS_KERNEL_MM_FRAME_H
#define OS_KERNEL_MM_FRAME_H

/*
 * The persistent physical frame manager: owns every usable frame for the whole uptime.
 *
 *   per-CPU cache  up to 64 frames of the CPU's own node, zone Normal, and up to 32 that hold nothing but zeros: single
 *                  frames, alloc and free (mm/frame_cpu.c)
 *   node           one set of zones per NUMA node (mm/node.c: distances, fallback order)
 *   zone           DMA (below 16 MiB), Normal, High (32-bit configurations only); marks and counters (mm/zone.c)
 *   block          512 frames, 2 MiB
 *
 * A wholly free block belongs to the buddy (mm/buddy.c), every other block to the bitmap engine (mm/bitmap_engine.c). Requests
 * below 512 frames go to the bitmap engine, which takes a block from the buddy when it needs one and returns it when its last
 * frame comes home.
 *
 * Free frames, exactly, without running code: the sum of frame_manager.nodes[n].zones[z].free_frames over
 * n < frame_manager.node_count and all zones, plus the sum of frame_manager.cpus[c].count and .zeroed_count over all CPUs. A
 * frame that a CPU moves between the two at this very moment is counted in neither; at rest the sum is exact.
 *
 * Order of choice: nodes by distance from the preferred one; on each node Normal down to its min mark, then
 * DMA down to its low mark. FRAME_CRITICAL goes below every mark. FRAME_STRICT never leaves the preferred
 * node. All functions may be called with interrupts on or off, and from interrupt handlers; all take O(1)
 * locks for short. Every function that needs the manager panics with a named error before
 * frame_manager_publish.
 */

#include "abi/status.h"
#include "lib/spinlock.h"
#include "mm/layout.h"
#include "mm/region.h"
#include "types.h"

enum frame_state {
    FRAME_ABSENT = 0,    /* no managed RAM behind this entry */
    FRAME_FREE = 1,      /* in its zone */
    FRAME_CACHED = 2,    /* in a CPU's cache; counts as free */
    FRAME_ALLOCATED = 3, /* refs >= 1 */
    FRAME_RESERVED = 4,  /* kept away from the allocator, owner says why */
};

enum frame_owner {
#define FRAME_OWNER(id, name) FRAME_OWNER_##id,
#include "mm/frame_owners.def"
#undef FRAME_OWNER
    FRAME_OWNER_COUNT
};

enum frame_zone_id {
#define FRAME_ZONE(id, name, limit) FRAME_ZONE_##id,
#include "mm/zones.def"
#undef FRAME_ZONE
    FRAME_ZONE_COUNT
};

/* One 4 KiB frame; frame_table[pfn]. Twelve bytes, so that all metadata stays below 1/256 of RAM. */
struct page_frame {
    uint32_t refs;     /* 0 unless allocated */
    uint32_t owner_id; /* process id, cache number, run length: whatever the owner says */
    uint8_t state;     /* enum frame_state */
    uint8_t owner;     /* enum frame_owner */
    uint8_t zone;      /* enum frame_zone_id */
    uint8_t node;
};
_Static_assert(sizeof(struct page_frame) == 12, "frame table entry");

#define FRAME_BLOCK_SHIFT 9u
#define FRAMES_PER_BLOCK  (1u << FRAME_BLOCK_SHIFT)
#define BUDDY_ORDERS      10u /* block orders 0..9: 2 MiB .. 1 GiB */
#define FRAME_RUN_MAX     ((uint64_t)FRAMES_PER_BLOCK << (BUDDY_ORDERS - 1))
#define BLOCK_NONE        0xffffffffu
#define FRAME_PFN_LIMIT   (1ull << 32) /* 16 TiB; regions above are not managed */
#define FRAME_GROUP_SHIFT \
    (FRAME_BLOCK_SHIFT + BUDDY_ORDERS - 1) /* frames in a GiB, the largest buddy group */
#define FRAME_GROUP_LIMIT (FRAME_PFN_LIMIT >> FRAME_GROUP_SHIFT)

enum block_kind {
    BLOCK_ABSENT = 0,     /* no managed RAM */
    BLOCK_BITMAP = 1,     /* some frame in use or reserved; the bitmap is the truth (set bit: free) */
    BLOCK_BUDDY_HEAD = 2, /* first block of a free power-of-two group */
    BLOCK_BUDDY_TAIL = 3, /* other block of such a group */
};

struct frame_block {
    uint64_t free_map[FRAMES_PER_BLOCK / 64]; /* valid while kind is BLOCK_BITMAP */
    uint32_t next;                            /* list links: block numbers or BLOCK_NONE */
    uint32_t prev;
    uint16_t free_count; /* free frames in the zone sense */
    uint16_t run_hint;   /* no free run is longer than this (bitmap) */
    uint8_t kind;        /* enum block_kind */
    uint8_t order;       /* of the group, in the head */
    uint8_t zone;
    uint8_t node;
};

#define FRAME_LATENCY_BUCKETS 32u

/* Frames, not calls, unless it says calls. */
struct frame_zone_counters {
    uint64_t allocated;     /* frames handed to callers straight from the zone */
    uint64_t freed;         /* frames callers gave straight back */
    uint64_t failed;        /* calls that found no frame here although they wanted one */
    uint64_t splits;        /* buddy groups halved */
    uint64_t merges;        /* buddy groups joined */
    uint64_t bitmap_allocs; /* calls served by the bitmap engine */
    uint64_t buddy_allocs;  /* calls served by the buddy */
    uint64_t blocks_to_bitmap;
    uint64_t blocks_to_buddy;
    uint64_t fallbacks; /* calls served here because a better zone was below its mark */
    uint64_t remote;    /* calls served here for a CPU of another node */
};

struct frame_zone {
    struct spinlock lock;
    uint64_t free_frames;    /* without those in CPU caches */
    uint64_t managed_frames; /* free + cached + allocated + reserved */
    uint64_t reserved_frames;
    uint64_t min_mark;  /* ordinary requests stop here */
    uint64_t low_mark;  /* below: the balancer is wanted; DMA: ordinary requests stop here */
    uint64_t high_mark; /* the balancer works until here */
    uint32_t buddy_heads[BUDDY_ORDERS];
    uint32_t partial_head; /* bitmap blocks with a free frame */
    uint8_t id;            /* enum frame_zone_id */
    uint8_t node;
    bool balance_wanted;
    struct frame_zone_counters counters;
} __attribute__((aligned(64)));

struct frame_node {
    struct frame_zone zones[FRAME_ZONE_COUNT];
    uint8_t order[MM_MAX_NODES]; /* all nodes by ascending distance, itself first */
};

#define FRAME_CPU_CAPACITY 64u
#define FRAME_CPU_BATCH    8u
#define FRAME_CPU_STEP     2u /* frames that go back to their zone with interrupts off */
#define FRAME_CPU_ZEROED   32u
#define FRAME_TIMED_ONE_IN 16u /* calls of which one is in the latency histograms */

struct frame_cpu {
    struct spinlock lock;
    uint32_t count;        /* frames in the cache, but for: */
    uint32_t zeroed_count; /* those that are known to hold nothing but zeros */
    uint32_t node;
    uint64_t allocated; /* frames handed to callers from this cache */
    uint64_t freed;     /* frames callers gave back to it */
    uint64_t refills;
    uint64_t spills;
    uint64_t drains;
    uint64_t failures;                             /* calls of this CPU that returned no memory */
    uint64_t alloc_latency[FRAME_LATENCY_BUCKETS]; /* bucket b: timed calls that took [2^b, 2^(b+1)) cycles */
    uint64_t free_latency[FRAME_LATENCY_BUCKETS];
    uint32_t frames[FRAME_CPU_CAPACITY]; /* frame numbers, last in first out */
    uint32_t zeroed[FRAME_CPU_ZEROED];
} __attribute__((aligned(64)));

/* Limits of the zones, as zones.def explains them. */
struct frame_zone_layout {
    uint64_t limit[FRAME_ZONE_COUNT];
};

extern const struct frame_zone_layout frame_zone_layout_x86_64; /* that of zones.def */

/* One memory range of a node; ranges not covered belong to node 0. Boundaries inside a 2 MiB block give the
 * whole block to the node of its first frame; the frames of the other node become RESERVED with owner
 * NODE_EDGE. */
struct frame_node_range {
    uint64_t base;
    uint64_t end;
    uint32_t node;
};

struct frame_numa {
    uint32_t node_count; /* 1..MM_MAX_NODES */
    uint32_t range_count;
    const struct frame_node_range *ranges;
    uint8_t distance[MM_MAX_NODES][MM_MAX_NODES]; /* SLIT, 10 = local; all zero: 10 and 20 are assumed */
    uint8_t cpu_node[MM_MAX_CPUS];
};

struct frame_manager_config {
    const struct region_list *regions;
    const struct frame_numa *numa;         /* null: one node */
    const struct frame_zone_layout *zones; /* null: frame_zone_layout_x86_64 */
    struct page_frame *frame_table;        /* zeroed where backed (see frame_metadata_spans) */
    struct frame_block *block_table;       /* zeroed where backed */
    uint32_t cpu_count;
    uint64_t (*timestamp)(void); /* cycles, for the latency histograms; null: none are kept */
    void (*wake_balancer)(
        void); /* told once when a zone falls below its low mark; may be null; any context */
};

struct frame_manager {
    struct frame_node nodes[MM_MAX_NODES];
    struct frame_cpu cpus[MM_MAX_CPUS];
    uint32_t node_count;
    uint32_t cpu_count;
    pfn_t limit;                             /* frame numbers below this have an entry where RAM is */
    uint64_t backed[FRAME_GROUP_LIMIT / 64]; /* bit per GiB whose block records exist */
    uint64_t map_frames;                     /* whole frames of all managed regions */
    uint64_t outside_frames;                 /* frames of regions that are not managed RAM */
    uint64_t metadata_bytes;                 /* frame and block table bytes that are backed */
    bool ready;
    bool published;
    uint32_t reclaimed_types; /* bit per enum region_type whose frames were given back */
    uint64_t (*timestamp)(void);
    void (*wake_balancer)(void);
};

extern struct frame_manager frame_manager; /* read by debuggers; written by mm/ only */
extern struct page_frame *frame_table;     /* frame_table[pfn] */
extern struct frame_block *block_table;    /* block_table[pfn / 512] */

/* ---- building ---- */

/* A virtual range of metadata that must be backed by zeroed memory before frame_manager_init. */
struct frame_metadata_span {
    uint64_t offset; /* bytes from the start of the table, page aligned */
    uint64_t size;   /* page multiple */
};

/*
 * Calls `visit` for each page-aligned, disjoint, ascending span of the frame table (table 0) and of the block
 * table (table 1) that must be backed. Stops at the first failure and returns it.
 */
MUST_CHECK status_t frame_metadata_spans(const struct region_list *regions,
                                         status_t (*visit)(void *context, int table,
                                                           const struct frame_metadata_span *span),
                                         void *context);

/*
 * Builds the manager from the region list: USABLE frames become free, other managed RAM RESERVED with an
 * owner tag. Not visible before frame_manager_publish. Also starts mm/pressure.h with marks for this amount
 * of memory. Fails with STATUS_ERR_ARGUMENT, STATUS_ERR_LIMIT (node numbers, CPUs), STATUS_ERR_NO_MEMORY (no
 * usable frame). May be called again only by tests (starts from nothing).
 */
MUST_CHECK status_t frame_manager_init(const struct frame_manager_config *config);

/* From now on the frame_* functions work. Panics when not initialised or published before. */
void frame_manager_publish(void);

/* The accessor: panics with "frame manager: used before publication" when it is too early. */
struct frame_manager *frame_manager_get(void);

/* Whether the frame_* functions work. */
bool frame_manager_is_published(void);

/* ---- allocation ---- */

#define FRAME_DMA      0x1u /* only below 16 MiB */
#define FRAME_ZERO     0x2u /* filled with zeros through the physmap, unless it is one of frame_free_zeroed */
#define FRAME_STRICT   0x4u /* only the preferred node, else STATUS_ERR_NO_LOCAL_MEMORY */
#define FRAME_CRITICAL 0x8u /* may use the reserves below the marks */
#define FRAME_HIGH     0x10u /* prefers the High zone (32-bit configurations) */
#define FRAME_ALIGNED  0x20u /* run aligned to its length rounded up to a power of two */
/* Preferred node; default: that of the calling CPU. */
#define FRAME_NODE_SHIFT 8u
#define FRAME_NODE_ANY   (0xffu << FRAME_NODE_SHIFT)
#define FRAME_NODE(node) ((uint32_t)((node) + 1u) << FRAME_NODE_SHIFT)
#define FRAME_FLAGS_ALL \
    (FRAME_DMA | FRAME_ZERO | FRAME_STRICT | FRAME_CRITICAL | FRAME_HIGH | FRAME_ALIGNED | FRAME_NODE_ANY)

/* What FRAME_NODE was given, counted from 1; 0: nothing. */
static inline unsigned frame_node_wanted(uint32_t flags)
{
    return (flags & FRAME_NODE_ANY) >> FRAME_NODE_SHIFT;
}

/* One frame, refs 1. Fails: STATUS_ERR_NO_MEMORY, STATUS_ERR_NO_LOCAL_MEMORY, STATUS_ERR_ARGUMENT (flags,
 * node). */
MUST_CHECK status_t frame_alloc(uint32_t flags, enum frame_owner owner, uint32_t owner_id, pfn_t *out);

/*
 * Up to n single frames as frame_alloc gives them, from caches of CPUs alone: how many. Between two refills of a cache the
 * thread may go to another CPU, from whose cache it takes then. Fewer than n are no failure: frame_alloc knows more places to
 * look at. flags: FRAME_ZERO or nothing.
 */
unsigned frame_alloc_some(unsigned n, uint32_t flags, enum frame_owner owner, uint32_t owner_id, pfn_t *out);

/*
 * n contiguous frames of one zone, refs 1 each. n < 512: bitmap engine, inside one 2 MiB block; n >= 512:
 * buddy, 2 MiB aligned. Fails also with STATUS_ERR_RANGE (n is 0 or above FRAME_RUN_MAX).
 */
MUST_CHECK status_t frame_alloc_contiguous(uint64_t n, uint32_t flags, enum frame_owner owner,
                                           uint32_t owner_id, pfn_t *out);

/*
 * Gives back one frame whose refs are 1. Fails, changing nothing, with STATUS_ERR_FOREIGN (not managed),
 * STATUS_ERR_RESERVED, STATUS_ERR_DOUBLE_FREE, STATUS_ERR_SHARED (refs above 1).
 */
MUST_CHECK status_t frame_free(pfn_t pfn);

/*
 * As frame_free by physical address, also STATUS_ERR_UNALIGNED, for a frame that the caller has left full of zeros: the CPU's
 * next FRAME_ZERO need not fill it. STATUS_ERR_FOREIGN, too, when it does not serve `owner`.
 */
MUST_CHECK status_t frame_free_zeroed(paddr_t address, enum frame_owner owner);

/* Gives back n frames from pfn, all or nothing; any part of any run. Fails as frame_free, STATUS_ERR_RANGE
 * for n. */
MUST_CHECK status_t frame_free_run(pfn_t pfn, uint64_t n);

/* As frame_free and frame_free_run for what serves `owner` (NONE: anybody), else STATUS_ERR_FOREIGN. */
MUST_CHECK status_t frame_free_of(pfn_t pfn, enum frame_owner owner);
MUST_CHECK status_t frame_free_run_of(pfn_t pfn, uint64_t n, enum frame_owner owner);

/* One more reference to an allocated frame. Panics when the frame is not allocated or the count would wrap.
 */
void frame_get(pfn_t pfn);

/* The same for n frames. */
void frame_get_many(const pfn_t *frames, unsigned n);

/* Drops a reference, frees the frame with the last one. True when it was the last. Panics when not allocated.
 */
bool frame_put(pfn_t pfn);

/* References of a frame, 0 when it is not allocated or foreign. */
uint32_t frame_refs(pfn_t pfn);

/* Entry of a managed frame or null. */
struct page_frame *frame_lookup(pfn_t pfn);

/* Retags n allocated frames. Panics when one is not allocated. */
void frame_set_owner(pfn_t pfn, uint64_t n, enum frame_owner owner, uint32_t owner_id);

const char *frame_owner_name(enum frame_owner owner);

/* ---- reservations ---- */

/*
 * Takes [pfn, pfn+n) away from the allocator. Frames already reserved for the same owner are merged in; any
 * frame reserved for another owner gives STATUS_ERR_OVERLAP, an allocated one STATUS_ERR_BUSY, an unmanaged
 * one STATUS_ERR_FOREIGN; on failure nothing changes. CPU caches are emptied first.
 */
MUST_CHECK status_t frame_reserve(pfn_t pfn, uint64_t n, enum frame_owner owner);

/* Gives reserved frames of that owner to the allocator, all or nothing: STATUS_ERR_STATE when one is not so
 * reserved. */
MUST_CHECK status_t frame_unreserve(pfn_t pfn, uint64_t n, enum frame_owner owner);

/*
 * Gives back every frame of the regions of one type, RECLAIM or HELD, as recorded at initialisation (the caller has unmapped
 * them). Of ACPI_RECLAIM it is the hook for the end of ACPI table parsing; NVS is never given back. Second call for a type:
 * STATUS_ERR_STATE. Type of another class: STATUS_ERR_RESERVED. *freed: frames given.
 */
MUST_CHECK status_t frame_reclaim_type(const struct region_list *regions, enum region_type type,
                                       uint64_t *freed);

/* ---- balance, caches, figures ---- */

/* Free frames now: zones and CPU caches. */
uint64_t frame_free_count(void);

/*
 * Moves the frames that are in one CPU's cache now to their zone (any CPU may call it, also for one that is offline), at most
 * FRAME_CPU_STEP at a time: the CPU may go on using its cache meanwhile.
 */
void frame_cpu_drain(unsigned cpu);
void frame_cpu_drain_all(void);

/* True when a zone is below its low mark since the last balance. */
bool frame_balance_wanted(void);

/*
 * Background balance, to be called from a thread when wanted: empties CPU caches, then asks the pressure
 * module's shrinkers, until every zone that was below low is at high or nothing more comes. Returns frames
 * gained.
 */
uint64_t frame_balance(void);

struct frame_stats {
    uint64_t total_frames; /* managed */
    uint64_t free_frames;  /* zones + caches */
    uint64_t cached_frames;
    uint64_t allocated_frames;
    uint64_t reserved_frames;
    uint64_t outside_frames;
    uint64_t allocs; /* frames handed out ever */
    uint64_t frees;
    uint64_t failures; /* calls that returned no memory */
    uint64_t splits;
    uint64_t merges;
    uint64_t largest_free_run;  /* frames, aligned buddy group or run inside a block */
    uint32_t unusable_permille; /* share of free memory that cannot serve a 512-frame request */
    uint64_t metadata_bytes;
};

void frame_stats_read(struct frame_stats *out);

/* Frames handed out / given back ever by a zone of a node, CPU caches included. */
uint64_t frame_zone_allocs(unsigned node, enum frame_zone_id zone);
uint64_t frame_zone_frees(unsigned node, enum frame_zone_id zone);

/* Where text goes: one call per line, without the line end. */
struct text_sink {
    void (*line)(void *context, const char *text);
    void *context;
};

/* Prints the state of all zones and caches; allocates nothing and takes no lock, so the panic path may call
 * it. */
void frame_dump(const struct text_sink *sink);

/*
 * Checks every invariant (counts, lists, bitmaps, states) and returns the number of violations, each told to
 * the sink when it is not null. The machine must be at rest. Bound: O(frames).
 */
uint64_t frame_check(const struct text_sink *sink);

#endif
