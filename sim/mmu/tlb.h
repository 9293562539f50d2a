#ifndef ORRERY_MMU_TLB_H
#define ORRERY_MMU_TLB_H

/*
 * The translation caches of one vCPU: TLB banks by page size, and the paging-structure caches (psc.h). They
 * are architectural: the same in every engine, and entries are honoured, stale or not, until the guest
 * invalidates them or a newer one takes their place (first filled, first out, whatever was hit in between).
 *
 * Every entry, of a page or of a table, is two words:
 *
 *    63  62   61..48   47..36   35..0
 *   +---+---+--------+--------+------------------------------+
 *   | V | G |   0    |  PCID  |  linear address 47..12       |   key (bits below the page or table region are
 * 0)
 *   +---+---+--------+--------+------------------------------+
 *    63   62..52  51..12           11..9   8   7   6   5   4     3    2   1   0
 *   +----+-------+---------------+-------+---+---+---+---+-----+----+---+---+---+
 *   | XD |   0   | physical page | PAT i | G | 0 | D | 0 | RAM | 4M | U | W | 0 |   data
 *   +----+-------+---------------+-------+---+---+---+---+-----+----+---+---+---+
 *
 * W and U are the conjunction, XD the disjunction over all levels of the walk; G, D and the index into the
 * PAT are the leaf's. RAM: the whole page is known to be RAM (the owner of the TLB sets it; clear means
 * "ask"). 4M: one half of a 4 MiB page. A table entry has the next table's address and W, U, XD so far.
 *
 * A key of 0 is an empty entry.
 */

#include "base/bits.h"
#include "base/types.h"
#include "base/visit.h"
#include "mmu/tlb_size.h"

#define TLB_KEY_VALID      BIT(63)
#define TLB_KEY_GLOBAL     BIT(62)
#define TLB_KEY_PCID_SHIFT 36u
#define TLB_KEY_PCID       (UINT64_C(0xfff) << TLB_KEY_PCID_SHIFT)
#define TLB_KEY_PAGE       (BIT(TLB_KEY_PCID_SHIFT) - 1)

#define TLB_W         BIT(1)
#define TLB_U         BIT(2)
#define TLB_4M        BIT(3)
#define TLB_RAM       BIT(4)
#define TLB_D         BIT(6)
#define TLB_G         BIT(8)
#define TLB_PAT_SHIFT 9u
#define TLB_PAT       (UINT64_C(7) << TLB_PAT_SHIFT)
#define TLB_ADDRESS   UINT64_C(0x000ffffffffff000)
#define TLB_XD        BIT(63)
#define TLB_RIGHTS    (TLB_W | TLB_U | TLB_XD)

struct tlb_entry {
    uint64_t key, data;
};

/* Banks by what an entry covers. The first three are pages, the others tables (paging-structure caches). */
enum tlb_bank {
    TLB_BANK_4K,
    TLB_BANK_2M,
    TLB_BANK_1G,
    TLB_BANK_PDE,
    TLB_BANK_PDPTE,
    TLB_BANK_PML4E,
    TLB_BANK_COUNT
};

#define TLB_PAGE_BANKS 3u

/* Where a bank's entries lie in struct tlb, and log2 of the bytes that one entry covers. 32-bit paging keys
 * its PDE cache by 2 MiB too: a 4 MiB region has two keys. */
struct tlb_bank_shape {
    uint16_t first_entry, first_set, sets;
    uint8_t ways, page_shift;
};

extern const struct tlb_bank_shape tlb_banks[TLB_BANK_COUNT];

/* Bookkeeping of the host-pointer entries by physical page (mem.c): through which linear page, at most one
 * for all physical pages of a bucket, a read entry may exist while stores are queued, and how many queued
 * stores are to a page of the bucket. Never visited. */
#define TLB_ALIAS_BUCKETS   512u
#define TLB_GRANULE_BUCKETS 256u
#define TLB_HOST_TABLES     3u

struct tlb_alias {
    uint64_t lin_page;
    uint32_t pending;
};

struct tlb {
    struct tlb_entry entries[TLB_ENTRIES]; /* bank by bank, set by set */
    uint8_t next_way[TLB_SETS];            /* the way that is filled next: round robin, used or not */
    uint64_t pdpte[4];                     /* PAE paging: the PDPTE registers (architectural) */
    uint32_t numbers[TLB_ENTRIES];         /* of each entry, one for each fill; for the timing model */
    uint32_t fills;                        /* so far: the last number */

    /* ---- accelerators of the memory path: never visited ---- */
    struct tlb_alias aliases[TLB_ALIAS_BUCKETS];
    uint8_t granules[TLB_GRANULE_BUCKETS];    /* queued stores by (physical address / 8) */
    uint64_t used_sets[(TLB_SETS + 63) / 64]; /* sets that may hold something: a flush looks at no others */
    uint32_t filled;                          /* the entry that was filled last */
    uint64_t host_groups[TLB_HOST_TABLES];    /* groups of 4 host entries that may hold something */
};

/* Empties everything, as reset does. Host-pointer entries are to be dropped next. */
void tlb_init(struct tlb *t);

/* Key of the bank's entry that would translate a (not marked global). */
static inline uint64_t tlb_key(uint64_t linear, unsigned pcid, unsigned page_shift)
{
    uint64_t page = (linear >> PAGE_SHIFT) & TLB_KEY_PAGE & ~(bits_mask(page_shift - PAGE_SHIFT));
    return TLB_KEY_VALID | (uint64_t)pcid << TLB_KEY_PCID_SHIFT | page;
}

/* Does an entry answer for a key? A global one answers for every PCID. */
static inline bool tlb_key_matches(uint64_t entry_key, uint64_t key)
{
    uint64_t any_pcid = (entry_key & TLB_KEY_GLOBAL) ? TLB_KEY_PCID | TLB_KEY_GLOBAL : 0;
    return ((entry_key ^ key) & ~any_pcid) == 0;
}

/* First linear address of an entry. */
lin_t tlb_entry_linear(const struct tlb_entry *e);

/* The way of a set (its first entry) that answers for a key, or NULL. */
static inline const struct tlb_entry *tlb_find_way(const struct tlb_entry *set, unsigned ways, uint64_t key)
{
    for (unsigned way = 0; way < ways; way++) {
        if (tlb_key_matches(set[way].key, key)) {
            return &set[way];
        }
    }
    return NULL;
}

/* The large page that translates a. */
const struct tlb_entry *tlb_lookup_large(const struct tlb *t, lin_t a, unsigned pcid, unsigned *page_shift);

/* The page that translates a, for reading its data word; NULL: miss. *page_shift says how large it is. Small
 * pages go before large ones, should the guest have both cached. */
static inline const struct tlb_entry *tlb_lookup(const struct tlb *t, lin_t a, unsigned pcid,
                                                 unsigned *page_shift)
{
    uint64_t key = tlb_key(a.v, pcid, PAGE_SHIFT);
    unsigned set = (unsigned)(a.v >> PAGE_SHIFT) % TLB_4K_SETS;
    const struct tlb_entry *e = tlb_find_way(&t->entries[set * TLB_4K_WAYS], TLB_4K_WAYS, key);
    *page_shift = PAGE_SHIFT;
    return e ? e : tlb_lookup_large(t, a, pcid, page_shift);
}

/* Fills an entry of a bank for the address. An entry that already answers for it is overwritten where it
 * stands; else the set's oldest is replaced. Returns what was in the place before (key 0: nothing). data has
 * TLB_G only if it is to be kept across CR3 writes (CR4.PGE set), page banks only. */
struct tlb_entry tlb_fill(struct tlb *t, enum tlb_bank bank, lin_t a, unsigned pcid, uint64_t data);

/* The same for an address that no entry of the bank answers for: saves the look. */
struct tlb_entry tlb_insert(struct tlb *t, enum tlb_bank bank, lin_t a, unsigned pcid, uint64_t data);

/* The table entry of a bank for a, or NULL. */
const struct tlb_entry *tlb_lookup_table(const struct tlb *t, enum tlb_bank bank, lin_t a, unsigned pcid);

/* Invalidations, of pages and tables, as SDM vol. 3A, "Operations that Invalidate TLBs and Paging-Structure
 * Caches". Those of one address return whether an entry larger than 4 KiB went. */
bool tlb_invlpg(struct tlb *t, lin_t a,
                unsigned pcid); /* the page, also a global one; all tables of the PCID */
bool tlb_invalidate_address(struct tlb *t, lin_t a,
                            unsigned pcid); /* not global; tables used for a (INVPCID 0) */
bool tlb_invalidate_fault(struct tlb *t, lin_t a,
                          unsigned pcid); /* what led to a #PF: page, and tables used for a */
void tlb_invalidate_pcid(struct tlb *t,
                         unsigned pcid);  /* all but global; all tables of the PCID (INVPCID 1, CR3) */
void tlb_invalidate_local(struct tlb *t); /* all but global, every PCID (INVPCID 3) */
void tlb_invalidate_all(struct tlb *t);   /* INVPCID 2, CR4.PGE and mode changes */

/* Removes one entry, as replacement may at any time (exploration); index < TLB_ENTRIES. */
void tlb_evict(struct tlb *t, unsigned index);

/* For observers: entries by index, 0 .. TLB_ENTRIES-1; false when it is empty. */
struct tlb_view {
    enum tlb_bank bank;
    lin_t linear;
    unsigned pcid, page_shift;
    bool global;
    uint64_t data;
};

bool tlb_view_entry(const struct tlb *t, unsigned index, struct tlb_view *out);

/* PDPTE registers at VISIT_ARCH, entries and replacement state at VISIT_MACHINE. */
void tlb_visit(struct tlb *t, struct visitor *v);

#endif
