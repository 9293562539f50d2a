/*
 * The page walk in its four forms: 4-level (4 KiB, 2 MiB, 1 GiB pages), PAE, 32-bit with PSE and PSE-36,
 * none.
 *
 * Source: AMD64 APM vol. 2, "Page Translation and Protection", "Page-Protection Checks"; Intel SDM vol. 3A,
 * "Paging", "Access Rights", "Page-Fault Exceptions", "Accessed and Dirty Flags".
 *
 * Deviations: the memory type of the tables themselves (PCD and PWT of CR3 and of table entries) has no
 * effect; accessed bits of upper levels are not set by a walk that ends in a fault, which the manuals allow.
 *
 * The clever part: entries are only looked at on the way down and updated after everything is known to be
 * good, so a fault leaves memory as it was. An update that fails means the entry has changed since: the walk
 * starts again.
 */

#include "mmu/walk.h"

#include "base/check.h"

#define WALK_RESTARTS_MAX 1000u

/* The entries read on the way down. */
struct trail {
    phys_t at[5];
    uint64_t entry[5];
};

static unsigned entry_bytes(const struct paging *p)
{
    return p->mode == PAGING_32BIT ? 4 : 8;
}

static phys_t entry_address(const struct paging *p, phys_t table, unsigned level, lin_t a)
{
    if (p->mode == PAGING_32BIT) {
        return phys(table.v + bits_get(a.v, 11 + 10 * level, 2 + 10 * level) * 4);
    }
    return phys(table.v + bits_get(a.v, 11 + 9 * level, 3 + 9 * level) * 8);
}

static bool is_page(const struct paging *p, unsigned level, uint64_t entry)
{
    if (level == 1) {
        return true;
    }
    if (!(entry & PTE_PS)) {
        return false;
    }
    return level == 2 ? p->mode != PAGING_32BIT || p->pse : level == 3;
}

static uint64_t reserved_bits(const struct paging *p, unsigned level, bool page)
{
    if (p->mode == PAGING_32BIT) {
        return page && level == 2 ? BIT(21) : 0; /* PSE-36: bits 20..13 are address bits 39..32 */
    }
    unsigned top = p->mode == PAGING_PAE ? 62 : 51;
    uint64_t r = bits_mask(top + 1) & ~bits_mask(PHYS_BITS);
    if (!p->nxe) {
        r |= PTE_XD;
    }
    if (level == 4) {
        r |= PTE_PS | PTE_G;
    }
    if (page && level > 1) {
        r |= bits_mask(3 + 9 * level) & ~bits_mask(13);
    }
    return r;
}

/* Rights of a path so far and one more entry. */
static uint64_t rights_and(uint64_t rights, uint64_t entry)
{
    return (rights & entry & (TLB_W | TLB_U)) | ((rights | entry) & TLB_XD);
}

static uint64_t page_address(const struct paging *p, unsigned level, uint64_t entry, lin_t a)
{
    if (p->mode == PAGING_32BIT && level == 2) {
        return (entry & UINT64_C(0xffc00000)) | bits_get(entry, 20, 13) << 32 | (a.v & BIT(21));
    }
    return entry & PTE_ADDRESS & ~bits_mask(3 + 9 * level);
}

static void make_page(const struct paging *p, unsigned level, uint64_t entry, uint64_t rights, lin_t a,
                      struct walk_result *out)
{
    uint64_t pat = (entry & (level == 1 ? PTE_PAT : PTE_PAT_LARGE)) ? 4 : 0;
    pat |= bits_get(entry, 4, 3);
    out->page_shift = 3 + 9 * level;
    out->data = page_address(p, level, entry, a) | rights | pat << TLB_PAT_SHIFT | (entry & TLB_D) |
                (p->pge ? entry & TLB_G : 0) | (p->mode == PAGING_32BIT && level == 2 ? TLB_4M : 0);
}

uint32_t walk_error(const struct paging *p, unsigned access, uint32_t bits)
{
    uint32_t code = (access & ACCESS_ERROR) | bits;
    bool fetch_reported = p->smep || (p->nxe && p->mode != PAGING_32BIT);
    return fetch_reported ? code : code & ~ACCESS_FETCH;
}

static bool fail(const struct paging *p, unsigned access, uint32_t bits, bool denied, struct walk_result *out)
{
    out->error = walk_error(p, access, bits);
    out->denied = denied;
    return false;
}

/* Reads down to the page, checking each entry; then the rights. */
static bool descend(const struct paging *p, const struct walk_memory *m, const struct walk_start *start,
                    lin_t a, unsigned access, struct trail *t, struct walk_result *out)
{
    phys_t table = start->table;
    uint64_t rights = start->rights;
    out->top = start->level;
    for (unsigned level = start->level;; level--) {
        t->at[level] = entry_address(p, table, level, a);
        uint64_t entry = t->entry[level] = m->read(m->target, t->at[level], entry_bytes(p));
        if (!(entry & PTE_P)) {
            return fail(p, access, 0, false, out);
        }
        bool page = is_page(p, level, entry);
        if (entry & reserved_bits(p, level, page)) {
            return fail(p, access, WALK_ERROR_P | WALK_ERROR_RSVD, false, out);
        }
        rights = rights_and(rights, entry);
        if (page) {
            out->leaf = level;
            make_page(p, level, entry, rights, a, out);
            break;
        }
        table = phys(entry & PTE_ADDRESS);
        out->tables[level] = table.v | rights;
    }
    return walk_allows(p, access, rights) || fail(p, access, WALK_ERROR_P, true, out);
}

/* Sets A along the trail and D of the page; false when an entry has changed meanwhile. */
static bool mark(const struct paging *p, const struct walk_memory *m, unsigned access, const struct trail *t,
                 struct walk_result *out)
{
    for (unsigned level = out->top; level >= out->leaf; level--) {
        uint64_t value = t->entry[level] | PTE_A;
        if (level == out->leaf && (access & ACCESS_WRITE) && !(access & ACCESS_NO_DIRTY)) {
            value |= PTE_D;
            out->data |= TLB_D;
        }
        if (value != t->entry[level] &&
            !m->update(m->target, t->at[level], entry_bytes(p), t->entry[level], value)) {
            return false;
        }
    }
    return true;
}

bool walk_root(const struct paging *p, lin_t a, struct walk_start *out)
{
    out->rights = TLB_W | TLB_U;
    switch ((enum paging_mode)p->mode) {
    case PAGING_4LEVEL:
        out->level = 4;
        out->table = phys(p->cr3 & PTE_ADDRESS);
        return true;
    case PAGING_PAE: {
        uint64_t pdpte = p->pdpte[bits_get(a.v, 31, 30)];
        out->level = 2;
        out->table = phys(pdpte & PTE_ADDRESS);
        return (pdpte & PTE_P) != 0;
    }
    case PAGING_32BIT:
        out->level = 2;
        out->table = phys(p->cr3 & UINT64_C(0xfffff000));
        return true;
    case PAGING_NONE:
        break;
    }
    CHECK(false, "a page walk without paging");
    return false;
}

bool walk_from(const struct paging *p, const struct walk_memory *m, const struct walk_start *start, lin_t a,
               unsigned access, struct walk_result *out)
{
    struct trail t;
    for (unsigned i = 0; i < WALK_RESTARTS_MAX; i++) {
        if (!descend(p, m, start, a, access, &t, out)) {
            return false;
        }
        if (!m->update || mark(p, m, access, &t, out)) {
            return true;
        }
    }
    CHECK(false, "a page walk of %llx finds its entries changed for ever", (unsigned long long)a.v);
    return false;
}

bool walk(const struct paging *p, const struct walk_memory *m, lin_t a, unsigned access,
          struct walk_result *out)
{
    struct walk_start start;
    if (!walk_root(p, a, &start)) {
        return fail(p, access, 0, false, out);
    }
    return walk_from(p, m, &start, a, access, out);
}
