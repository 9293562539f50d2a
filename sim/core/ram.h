#ifndef ORRERY_CORE_RAM_H
#define ORRERY_CORE_RAM_H

/*
 * Guest RAM: sparse, page-granular, with an incremental digest.
 *
 * The host keeps one reserved range in which offset == physical address; pages cost memory once touched.
 * Each physical page has flags. A fast (host-pointer) write entry may exist only while the page's flags are
 * exactly PAGE_DIRTY: everything else must take the slow path and call ram_note_write first.
 */

#include "base/status.h"
#include "base/types.h"
#include "base/visit.h"

enum page_flags {
    PAGE_RAM = 0,
    PAGE_DIRTY = 1,  /* written since the last digest or version */
    PAGE_CODE = 2,   /* the block cache holds code of this page: a write must tell it */
    PAGE_MONITOR = 4 /* a vCPU's MONITOR range lies in this page */
};

#define RAM_RANGES_MAX 16u

struct ram_range {
    phys_t base;
    uint64_t size_bytes;
};

/* What was written since: every page with PAGE_DIRTY is in each list. */
enum page_list_of { SINCE_DIGEST, SINCE_VERSION, PAGE_LISTS };

struct page_list {
    uint64_t *pages; /* numbers, in the order of the first write */
    uint64_t count, capacity;
};

struct ram {
    uint8_t *base;  /* host address of physical address 0 */
    uint64_t end;   /* first physical address above all RAM */
    uint8_t *flags; /* one byte a page, enum page_flags */
    struct digest *page_digests;
    uint8_t *digested; /* 1: page_digests entry is part of sum */
    struct ram_range ranges[RAM_RANGES_MAX];
    unsigned range_count;
    uint64_t code_pages; /* number of times that a page got PAGE_CODE */
    struct digest sum;
    uint8_t *listed; /* one byte a page: bit l, it is in list l */
    struct page_list lists[PAGE_LISTS];
    struct ram_version *base_version; /* RAM was last equal to it (ram_version.h); NULL: all was zero */
};

/* Reserves address space for the ranges (page aligned, ascending, disjoint). Fails with a message. */
bool ram_init(struct ram *r, const struct ram_range *ranges, unsigned count, struct error *e);
void ram_deinit(struct ram *r);

/* True when size_bytes from a all lie in RAM (of one range). */
bool ram_contains(const struct ram *r, phys_t a, uint64_t size_bytes);

/* Host address of a; the caller knows that it is RAM. */
static inline uint8_t *ram_at(const struct ram *r, phys_t a)
{
    return r->base + a.v;
}

/* Slow path of ram_note_write. */
void ram_mark_dirty(struct ram *r, uint64_t page);

/* Must come before any write to a page whose flags are not exactly PAGE_DIRTY. */
static inline void ram_note_write(struct ram *r, phys_t a)
{
    if (!(r->flags[a.v >> PAGE_SHIFT] & PAGE_DIRTY)) {
        ram_mark_dirty(r, a.v >> PAGE_SHIFT);
    }
}

/* Digest of all RAM contents; a page never touched equals a zero page. Clears PAGE_DIRTY everywhere, so the
 * caller must drop all host-pointer write entries of all vCPUs (cpu_drop_write_pointers). */
struct digest ram_digest(struct ram *r);

bool ram_page_is_zero(const uint8_t *page);

/* The pages that were written since the base version, valid until the next write; and: RAM is now equal to that, which
 * clears PAGE_DIRTY everywhere, see above. For ram_version.c. */
const uint64_t *ram_written(const struct ram *r, uint64_t *count);
void ram_forget_written(struct ram *r);

/* Appends every page that is not zero: their number, then (page number, contents) of each, ascending. */
void ram_save(const struct ram *r, struct state_buffer *b);

/* The contents that ram_save wrote, up to the end of the buffer, through all bookkeeping but without telling of special pages: nothing may be cached of
 * any page. False, and nothing is changed, when the bytes are not what ram_save writes for such RAM. */
bool ram_load(struct ram *r, struct state_buffer *b);

/* Bytes of host memory in touched pages, for statistics only. */
uint64_t ram_touched_bytes(const struct ram *r);

#endif
