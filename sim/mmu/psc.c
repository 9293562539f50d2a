/*
 * Walks that begin at a cached table entry.
 *
 * Source: Intel SDM vol. 3A, "Paging-Structure Caches"; AMD64 APM vol. 2, "Translation-Lookaside Buffer"
 * (rights that were relaxed in memory need no invalidation: the processor looks again before it faults).
 *
 * Deviations: none known. PAE paging caches no PDPTE: those are registers.
 */

#include "mmu/psc.h"

/* The bank that holds table entries read at a level (4 PML4E, 3 PDPTE, 2 PDE). */
static enum tlb_bank bank_of(unsigned level)
{
    return (enum tlb_bank)(TLB_BANK_PDE + level - 2);
}

/* The lowest table known for a; false: the walk must start at the root. */
static bool cached_start(const struct tlb *t, const struct paging *p, lin_t a, unsigned pcid,
                         struct walk_start *out)
{
    unsigned top = p->mode == PAGING_4LEVEL ? 4 : 2;
    for (unsigned level = 2; level <= top; level++) {
        const struct tlb_entry *e = tlb_lookup_table(t, bank_of(level), a, pcid);
        if (e) {
            *out = (struct walk_start){level - 1, phys(e->data & TLB_ADDRESS), e->data & TLB_RIGHTS};
            return true;
        }
    }
    return false;
}

static void remember(struct tlb *t, lin_t a, unsigned pcid, const struct walk_result *r)
{
    for (unsigned level = r->top; level > r->leaf; level--) {
        tlb_insert(t, bank_of(level), a, pcid, r->tables[level]); /* it was read because it was not there */
    }
}

void psc_look(const struct tlb *t, const struct paging *p, const struct walk_memory *m, lin_t a,
              unsigned pcid, unsigned access)
{
    struct walk_start start;
    struct walk_result r = {0};
    bool cached = t != NULL && cached_start(t, p, a, pcid, &start);
    if (!cached || (!walk_from(p, m, &start, a, access, &r) && r.denied)) {
        walk(p, m, a, access, &r);
    }
}

bool psc_walk(struct tlb *t, const struct paging *p, const struct walk_memory *m, lin_t a, unsigned pcid,
              unsigned access, struct walk_result *out)
{
    struct walk_start start;
    bool good, large_dropped = false;
    if (cached_start(t, p, a, pcid, &start)) {
        good = walk_from(p, m, &start, a, access, out);
        if (!good && out->denied) {
            large_dropped = tlb_invalidate_fault(t, a, pcid);
            good = walk(p, m, a, access, out);
        }
    } else {
        good = walk(p, m, a, access, out);
    }
    if (good) {
        remember(t, a, pcid, out);
    } else {
        large_dropped |= tlb_invalidate_fault(t, a, pcid);
    }
    out->large_dropped = large_dropped;
    return good;
}
