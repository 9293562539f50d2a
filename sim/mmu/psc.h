#ifndef ORRERY_MMU_PSC_H
#define ORRERY_MMU_PSC_H

/* The paging-structure caches: table entries (PML4E, PDPTE, PDE) that shorten walks, kept in banks of struct
 * tlb and tagged with the PCID. */

#include "mmu/walk.h"

/* Walks for a with the help of the cached tables, and caches those it reads. Cached entries are believed,
 * with one exception: a want of rights is checked by a walk from the root before it becomes a fault. After a
 * failure the tables and pages that a would use are dropped (SDM vol. 3A, "Operations that Invalidate TLBs
 * and Paging-Structure Caches"). False: #PF with out->error. */
bool psc_walk(struct tlb *t, const struct paging *p, const struct walk_memory *m, lin_t a, unsigned pcid,
              unsigned access, struct walk_result *out);

/* The walk that psc_walk would make, t as it is: m->update is told of the entries that it would change. t NULL: from the root. */
void psc_look(const struct tlb *t, const struct paging *p, const struct walk_memory *m, lin_t a,
              unsigned pcid, unsigned access);

#endif
