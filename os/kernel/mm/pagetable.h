#ifndef OS_KERNEL_MM_PAGETABLE_H
#define OS_KERNEL_MM_PAGETABLE_H

/*
 * 4-level page tables: map, unmap, protect, query; leaves of 4 KiB and 2 MiB.
 *
 * Entry of a lower table (non-leaf), as kept by this module:
 *   63  62..52       51..12         11..3  2  1  0
 *   0   live entries table frame    A      U  W  P      live: used entries of the table pointed to, 0..512
 * so that an emptied table is found without scanning. Bits 62..52 of non-leaf entries are ignored by the
 * hardware.
 *
 * No lock inside: the owner of the page table serialises changes. Hardware may set A and D at any time.
 * Entries are read and written through arch/arch_pt.h.
 */

#include "abi/status.h"
#include "types.h"

/* Flags of a mapping. The PAT bit sits at different places in 4 KiB (7) and 2 MiB (12) leaves; here it is
 * bit 58. */
typedef struct page_flags {
    uint64_t bits;
} page_flags_t;

enum page_flag_bit {
#define PAGE_FLAG(id, bit) PAGE_BIT_##id = (bit),
#include "mm/page_flag.def"
#undef PAGE_FLAG
};

#define PAGE_FLAG_VALUE(id) (1ull << PAGE_BIT_##id)
#define PAGE_FLAGS(value)   ((page_flags_t){(value)})

#define PAGE_PRESENT       PAGE_FLAG_VALUE(PRESENT)
#define PAGE_WRITABLE      PAGE_FLAG_VALUE(WRITABLE)
#define PAGE_USER          PAGE_FLAG_VALUE(USER)
#define PAGE_WRITE_THROUGH PAGE_FLAG_VALUE(WRITE_THROUGH)
#define PAGE_CACHE_DISABLE PAGE_FLAG_VALUE(CACHE_DISABLE)
#define PAGE_ACCESSED      PAGE_FLAG_VALUE(ACCESSED)
#define PAGE_DIRTY         PAGE_FLAG_VALUE(DIRTY)
#define PAGE_HUGE          PAGE_FLAG_VALUE(HUGE)
#define PAGE_GLOBAL        PAGE_FLAG_VALUE(GLOBAL)
#define PAGE_COPY_ON_WRITE PAGE_FLAG_VALUE(COPY_ON_WRITE)
#define PAGE_DEVICE        PAGE_FLAG_VALUE(DEVICE)    /* leaf without a frame reference (MMIO, shared) */
#define PAGE_NO_ACCESS     PAGE_FLAG_VALUE(NO_ACCESS) /* leaf that keeps its frame but is not present */
#define PAGE_PAT           PAGE_FLAG_VALUE(PAT)
#define PAGE_NO_EXECUTE    PAGE_FLAG_VALUE(NO_EXECUTE)

static inline page_flags_t page_flags_or(page_flags_t a, page_flags_t b)
{
    return (page_flags_t){a.bits | b.bits};
}

static inline page_flags_t page_flags_without(page_flags_t a, page_flags_t b)
{
    return (page_flags_t){a.bits & ~b.bits};
}

/* All of `wanted` are set. */
static inline bool page_flags_contain(page_flags_t flags, page_flags_t wanted)
{
    return (flags.bits & wanted.bits) == wanted.bits;
}

/* Executable is the absence of NX. */
static inline bool page_flags_executable(page_flags_t flags)
{
    return (flags.bits & PAGE_NO_EXECUTE) == 0;
}

/* Checked construction: STATUS_ERR_UNKNOWN_BITS when raw has a bit that is no flag. */
MUST_CHECK status_t page_flags_from_raw(uint64_t raw, page_flags_t *out);

/* Name of a flag bit as in page_flag.def, null when the bit is no flag. */
const char *page_flag_name(unsigned bit);

/* Caching of a mapping; index into the PAT as PAT_MSR_VALUE programs it. */
enum cache_policy {
    CACHE_WRITE_BACK = 0,
    CACHE_WRITE_THROUGH = 1,
    CACHE_UNCACHED_MINUS = 2,
    CACHE_UNCACHED = 3,
    CACHE_WRITE_COMBINING = 4,
    CACHE_WRITE_PROTECTED = 5,
};

/* IA32_PAT (MSR 0x277): WB, WT, UC-, UC, WC, WP, UC-, UC. Every CPU loads it before it uses a policy above 3.
 */
#define PAT_MSR_VALUE 0x0007050100070406ull

page_flags_t cache_policy_flags(enum cache_policy policy);

enum page_size { PAGE_4K, PAGE_2M };

static inline uint64_t page_size_bytes(enum page_size size)
{
    return size == PAGE_2M ? HUGE_PAGE_SIZE : PAGE_SIZE;
}

/*
 * Where tables come from. alloc gives a zeroed frame; free gets it back as it was given. some (may be null): up to n at once, how
 * many; alloc knows more places to look at. free_some (may be null): free of n at once.
 */
struct pt_allocator {
    status_t (*alloc)(void *context, paddr_t *table);
    void (*free)(void *context, paddr_t table);
    void *context;
    unsigned (*some)(void *context, unsigned n, paddr_t *tables);
    void (*free_some)(void *context, unsigned n, const paddr_t *tables);
};

/* Tables from the frame manager (owner PAGE_TABLE; context: owner id cast to a pointer). */
extern const struct pt_allocator pt_frame_allocator;

struct page_table {
    paddr_t root;
    const struct pt_allocator *allocator;
    uint64_t tables; /* table frames, root included; without a user table's shared kernel half */
    uint64_t leaves_4k;
    uint64_t leaves_2m;
    bool kernel; /* manages the upper half; its level-3 tables are never freed (user roots share them) */
};

struct pt_leaf {
    paddr_t address; /* of the first byte of the page */
    enum page_size size;
    page_flags_t flags; /* with PRESENT, ACCESSED, DIRTY as found */
};

struct tlb_gather; /* mm/tlb.h */

/* Kernel page table: allocates the root and all 256 level-3 tables of the upper half. STATUS_ERR_NO_MEMORY.
 */
MUST_CHECK status_t pt_init_kernel(struct page_table *pt, const struct pt_allocator *allocator);

/* User page table: fresh lower half, upper half shared with `kernel` (null: empty). STATUS_ERR_NO_MEMORY. */
MUST_CHECK status_t pt_init_user(struct page_table *pt, const struct pt_allocator *allocator,
                                 const struct page_table *kernel);

/*
 * Pages from va on that are not mapped, up to `most` and to the end of the 2 MiB that va lies in. va: page aligned, of the half
 * that the table manages.
 */
unsigned pt_absent(const struct page_table *pt, vaddr_t va, unsigned most);

/*
 * pt_map of `count` pages of 4 KiB, one walk for all: frames[i] at the i-th page from va on. None may be mapped, and all lie in
 * the same 2 MiB (pt_absent says so). All or nothing; fails as pt_map.
 */
MUST_CHECK status_t pt_map_frames(struct page_table *pt, vaddr_t va, const pfn_t *frames, unsigned count,
                                  page_flags_t flags);

/* A page of 4 KiB that pt_take has taken out. */
struct pt_taken {
    pfn_t frame;
    page_flags_t flags;
};

/*
 * pt_unmap of the pages of 4 KiB in [*va, end) that are mapped, one walk for many: up to `most` pages of one table, how many. *va
 * goes on to where to look next, `end` at last. The gather must have room for three tables. Page aligned, of the half that
 * the table manages; no 2 MiB pages there.
 */
unsigned pt_take(struct page_table *pt, uint64_t *va, uint64_t end, unsigned most, struct tlb_gather *gather,
                 struct pt_taken *out);

/*
 * The next pages of 4 KiB in [*va, end) that are mapped, with equal flags but for ACCESSED and DIRTY, which *flags is
 * without: up to `most` that follow each other in one table, how many. *va is the first of them; none: `end`. As pt_take
 * asks.
 */
unsigned pt_run(const struct page_table *pt, uint64_t *va, uint64_t end, unsigned most, pfn_t *frames,
                page_flags_t *flags);

/* pt_protect of `count` pages that pt_run has found, one walk for all. */
MUST_CHECK status_t pt_protect_run(struct page_table *pt, vaddr_t va, unsigned count, page_flags_t flags,
                                   struct tlb_gather *gather);

/* Frees the tables of a user page table; all leaves must be gone (panics otherwise). */
void pt_deinit(struct page_table *pt);

/*
 * Maps one page. flags: WRITABLE, USER, caching, GLOBAL, COPY_ON_WRITE, DEVICE, NO_EXECUTE, NO_ACCESS (4 KiB only);
 * PRESENT is added unless NO_ACCESS is there, ACCESSED and DIRTY are allowed, HUGE is refused (the size says it). Fails,
 * changing nothing:
 * STATUS_ERR_UNALIGNED, STATUS_ERR_NON_CANONICAL, STATUS_ERR_BAD_ADDRESS (half not managed here),
 * STATUS_ERR_UNKNOWN_BITS, STATUS_ERR_WRITE_EXECUTE, STATUS_ERR_EXISTS (something is mapped there),
 * STATUS_ERR_NO_MEMORY.
 */
MUST_CHECK status_t pt_map(struct page_table *pt, vaddr_t va, paddr_t pa, enum page_size size,
                           page_flags_t flags);

/*
 * Maps bytes (page multiple) of contiguous memory in ascending order, 2 MiB leaves where both addresses allow when huge is
 * set. Fails as pt_map, STATUS_ERR_RANGE. Pages mapped before a failure stay: they may have been touched, and only the
 * caller can flush. In a range that held nothing before, they are those found from its start.
 */
MUST_CHECK status_t pt_map_range(struct page_table *pt, vaddr_t va, paddr_t pa, uint64_t bytes,
                                 page_flags_t flags, bool huge);

/*
 * Removes the leaf that maps va (va must be its first byte: STATUS_ERR_UNALIGNED) and frees tables that
 * become empty. STATUS_ERR_NOT_MAPPED. old may be null. With a gather: the page is noted for invalidation and
 * the tables are freed after the flush; without: tables are freed at once and the caller owns all
 * invalidation.
 */
MUST_CHECK status_t pt_unmap(struct page_table *pt, vaddr_t va, struct tlb_gather *gather,
                             struct pt_leaf *old);

/* Replaces the flags of a leaf, keeping address, A and D. STATUS_ERR_NOT_MAPPED, _UNALIGNED, _WRITE_EXECUTE.
 */
MUST_CHECK status_t pt_protect(struct page_table *pt, vaddr_t va, page_flags_t flags,
                               struct tlb_gather *gather);

/* Replaces a 4 KiB leaf by another frame and flags (copy-on-write). STATUS_ERR_NOT_MAPPED and as pt_map. */
MUST_CHECK status_t pt_replace(struct page_table *pt, vaddr_t va, paddr_t pa, page_flags_t flags,
                               struct tlb_gather *gather);

/* Leaf that maps va. STATUS_ERR_NOT_MAPPED, STATUS_ERR_NON_CANONICAL. */
MUST_CHECK status_t pt_query(const struct page_table *pt, vaddr_t va, struct pt_leaf *out);

/* Physical address of a byte. As pt_query. */
MUST_CHECK status_t pt_translate(const struct page_table *pt, vaddr_t va, paddr_t *out);

/* Calls visit for every leaf that intersects [start, end), ascending; skips empty tables. Stops at the first
 * failure, returns it. The visitor may change or replace the leaf it is given, not unmap it. */
MUST_CHECK status_t pt_walk(const struct page_table *pt, vaddr_t start, vaddr_t end,
                            status_t (*visit)(void *context, vaddr_t va, const struct pt_leaf *leaf),
                            void *context);

/* Counts tables reachable in the managed half by a full walk; violations (bad live counts, empty tables) in
 * *wrong. */
uint64_t pt_count_tables(const struct page_table *pt, uint64_t *wrong);

#endif
