#ifndef ORRERY_MMU_WALK_H
#define ORRERY_MMU_WALK_H

/*
 * The page walk: a function of the paging registers, memory, and the place it starts from.
 *
 * Source: AMD64 APM vol. 2, "Page Translation and Protection"; Intel SDM vol. 3A, "Paging". The two agree but
 * for bit 8 of a PML4E, which is reserved here as AMD has it.
 */

#include "mmu/tlb.h"

#define PTE_P         BIT(0)
#define PTE_W         BIT(1) /* R/W */
#define PTE_U         BIT(2) /* U/S */
#define PTE_PWT       BIT(3)
#define PTE_PCD       BIT(4)
#define PTE_A         BIT(5)
#define PTE_D         BIT(6)
#define PTE_PS        BIT(7) /* of a table entry: it is a page */
#define PTE_PAT       BIT(7) /* of a 4 KiB page */
#define PTE_G         BIT(8)
#define PTE_PAT_LARGE BIT(12)
#define PTE_XD        BIT(63)
#define PTE_ADDRESS   UINT64_C(0x000ffffffffff000)

enum paging_mode { PAGING_NONE, PAGING_32BIT, PAGING_PAE, PAGING_4LEVEL };

/* What paging depends on, taken out of CR0, CR3, CR4 and EFER. */
struct paging {
    uint64_t cr3;
    const uint64_t *pdpte; /* four PDPTE registers, for PAGING_PAE */
    uint8_t mode;          /* enum paging_mode */
    bool wp, pse, pge, nxe, smep, smap;
};

/* An access. The first three have the values of their bits in the #PF error code. */
#define ACCESS_WRITE    2u
#define ACCESS_USER     4u /* at CPL 3 and not implicitly supervisor */
#define ACCESS_FETCH    16u
#define ACCESS_AC       0x100u /* an explicit access with RFLAGS.AC = 1: SMAP does not apply */
#define ACCESS_NO_DIRTY 0x200u /* with ACCESS_WRITE: check the right to write, leave D alone */
#define ACCESS_ERROR    (ACCESS_WRITE | ACCESS_USER | ACCESS_FETCH)

#define WALK_ERROR_P    1u
#define WALK_ERROR_RSVD 8u

/* Physical memory as the walker sees it. update is a locked compare-exchange: false when the entry no longer
 * is expected, and the walk starts again. update NULL: accessed and dirty bits are left alone. */
struct walk_memory {
    uint64_t (*read)(void *target, phys_t a, unsigned size_bytes);
    bool (*update)(void *target, phys_t a, unsigned size_bytes, uint64_t expected, uint64_t value);
    void *target;
};

/* A table to go on from: level 4 PML4, 3 page-directory-pointer table, 2 page directory, 1 page table. */
struct walk_start {
    unsigned level;
    phys_t table;
    uint64_t rights; /* TLB_W, TLB_U, TLB_XD of the levels above */
};

struct walk_result {
    uint64_t data;       /* the TLB's data word, TLB_RAM clear */
    unsigned page_shift; /* 12, 21 or 30; a 4 MiB page is two of 21 */
    uint32_t error;      /* after a failure: the #PF error code */
    bool denied;         /* the failure is one of rights, which may have come from a cached table entry */
    bool large_dropped;  /* psc_walk: a TLB entry larger than 4 KiB was invalidated on the way */
    unsigned top, leaf;  /* levels whose entries were read: top .. leaf + 1 are tables, leaf the page's */
    uint64_t
        tables[5]; /* [top .. leaf + 1]: data words of the table entries, for the paging-structure caches */
};

/* May an access use a page with these accumulated rights (TLB_W, TLB_U, TLB_XD)? */
static inline bool walk_allows(const struct paging *p, unsigned access, uint64_t rights)
{
    bool user_page = (rights & TLB_U) != 0;
    bool fetch = (access & ACCESS_FETCH) != 0;
    if (fetch && (rights & TLB_XD)) {
        return false;
    }
    if (access & ACCESS_USER) {
        return user_page && (!(access & ACCESS_WRITE) || (rights & TLB_W));
    }
    if (user_page && (fetch ? p->smep : p->smap && !(access & ACCESS_AC))) {
        return false;
    }
    return !(access & ACCESS_WRITE) || (rights & TLB_W) || !p->wp;
}

/* Error code of a #PF for an access, given P and RSVD: bit I is reported only when fetches can be forbidden.
 */
uint32_t walk_error(const struct paging *p, unsigned access, uint32_t bits);

/* Where a walk for a begins when no table is cached. False: the PDPTE register says not present. */
bool walk_root(const struct paging *p, lin_t a, struct walk_start *out);

/* Walks from start. Accessed bits of every entry read, and for a write the dirty bit of the page, are set
 * once presence, reserved bits and rights are found good at every level. False: #PF with out->error, nothing
 * changed. Paging must be on; a must be canonical (4-level) or below 4 GiB. */
bool walk_from(const struct paging *p, const struct walk_memory *m, const struct walk_start *start, lin_t a,
               unsigned access, struct walk_result *out);

/* walk_root and walk_from. */
bool walk(const struct paging *p, const struct walk_memory *m, lin_t a, unsigned access,
          struct walk_result *out);

/* Reserved bits of a PDPTE register's value; a load of one with P and any of these set is #GP(0). */
#define PDPTE_RESERVED (BIT(1) | BIT(2) | UINT64_C(0x1e0) | ~bits_mask(PHYS_BITS))

/* Physical address of a within the page of a data word. */
static inline phys_t walk_physical(uint64_t data, unsigned page_shift, lin_t a)
{
    return phys((data & TLB_ADDRESS) | (a.v & bits_mask(page_shift)));
}

#endif
