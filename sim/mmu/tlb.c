/*
 * The translation caches of one vCPU: banks of set-associative entries, replaced round robin.
 *
 * Source: Intel SDM vol. 3A, "Caching Translation Information"; AMD64 APM vol. 2, "Translation-Lookaside Buffer".
 *
 * Deviations: none of architecture; the sizes (tlb_size.h) are those of no particular processor. INVLPG drops the tables
 * of the current PCID only, as Intel words it.
 *
 * Round robin over the ways of a set, whether they are empty or not, is exactly "first filled, first out": the way
 * that is filled next is always the one filled longest ago.
 */

#include "mmu/tlb.h"

#include "base/check.h"

#include <string.h>

const struct tlb_bank_shape tlb_banks[TLB_BANK_COUNT] = {
    [TLB_BANK_4K] = {0, 0, TLB_4K_SETS, TLB_4K_WAYS, 12},
    [TLB_BANK_2M] = {TLB_2M_FIRST, TLB_2M_FIRST_SET, TLB_2M_SETS, TLB_2M_WAYS, 21},
    [TLB_BANK_1G] = {TLB_1G_FIRST, TLB_1G_FIRST_SET, TLB_1G_SETS, TLB_1G_WAYS, 30},
    [TLB_BANK_PDE] = {TLB_PDE_FIRST, TLB_PDE_FIRST_SET, TLB_PDE_SETS, TLB_PDE_WAYS, 21},
    [TLB_BANK_PDPTE] = {TLB_PDPTE_FIRST, TLB_PDPTE_FIRST_SET, TLB_PDPTE_SETS, TLB_PDPTE_WAYS, 30},
    [TLB_BANK_PML4E] = {TLB_PML4E_FIRST, TLB_PML4E_FIRST_SET, TLB_PML4E_SETS, TLB_PML4E_WAYS, 39},
};

void tlb_init(struct tlb *t)
{
    memset(t, 0, sizeof *t);
}

static unsigned set_of(const struct tlb_bank_shape *b, lin_t a)
{
    return (unsigned)(a.v >> b->page_shift) & (b->sets - 1u);
}

static unsigned entry_key_pcid(uint64_t key)
{
    return (unsigned)((key & TLB_KEY_PCID) >> TLB_KEY_PCID_SHIFT);
}

lin_t tlb_entry_linear(const struct tlb_entry *e)
{
    return lin(bits_sext((e->key & TLB_KEY_PAGE) << PAGE_SHIFT, LIN_BITS));
}

/* Index of the entry of a bank that answers for a, or -1. */
static int find(const struct tlb *t, enum tlb_bank bank, lin_t a, unsigned pcid)
{
    const struct tlb_bank_shape *b = &tlb_banks[bank];
    uint64_t key = tlb_key(a.v, pcid, b->page_shift);
    unsigned first = b->first_entry + set_of(b, a) * b->ways;
    for (unsigned i = first; i < first + b->ways; i++) {
        if (tlb_key_matches(t->entries[i].key, key)) {
            return (int)i;
        }
    }
    return -1;
}

const struct tlb_entry *tlb_lookup_table(const struct tlb *t, enum tlb_bank bank, lin_t a, unsigned pcid)
{
    int i = find(t, bank, a, pcid);
    return i < 0 ? NULL : &t->entries[i];
}

const struct tlb_entry *tlb_lookup_large(const struct tlb *t, lin_t a, unsigned pcid, unsigned *page_shift)
{
    for (enum tlb_bank bank = TLB_BANK_2M; bank <= TLB_BANK_1G; bank++) {
        int i = find(t, bank, a, pcid);
        if (i >= 0) {
            *page_shift = tlb_banks[bank].page_shift;
            return &t->entries[i];
        }
    }
    return NULL;
}

struct tlb_entry tlb_fill(struct tlb *t, enum tlb_bank bank, lin_t a, unsigned pcid, uint64_t data)
{
    const struct tlb_bank_shape *b = &tlb_banks[bank];
    int at = find(t, bank, a, pcid);
    if (at < 0) {
        unsigned set = set_of(b, a);
        uint8_t *next = &t->next_way[b->first_set + set];
        at = (int)(b->first_entry + set * b->ways + *next);
        *next = (uint8_t)((*next + 1u) % b->ways);
    }
    struct tlb_entry old = t->entries[at];
    uint64_t global = (data & TLB_G) ? TLB_KEY_GLOBAL : 0;
    t->entries[at] = (struct tlb_entry){tlb_key(a.v, pcid, b->page_shift) | global, data};
    return old;
}

void tlb_evict(struct tlb *t, unsigned index)
{
    CHECK(index < TLB_ENTRIES, "TLB entry %u", index);
    t->entries[index] = (struct tlb_entry){0};
}

static bool is_global(const struct tlb_entry *e)
{
    return (e->key & TLB_KEY_GLOBAL) != 0;
}

/* Drops every entry of a bank that answers for a; global ones only if asked. An address may have two when it was used
 * under a PCID before it became global. True when one went. */
static bool drop_matching(struct tlb *t, enum tlb_bank bank, lin_t a, unsigned pcid, bool global)
{
    const struct tlb_bank_shape *b = &tlb_banks[bank];
    uint64_t key = tlb_key(a.v, pcid, b->page_shift);
    unsigned first = b->first_entry + set_of(b, a) * b->ways;
    bool dropped = false;
    for (unsigned i = first; i < first + b->ways; i++) {
        if (tlb_key_matches(t->entries[i].key, key) && (global || !is_global(&t->entries[i]))) {
            t->entries[i] = (struct tlb_entry){0};
            dropped = true;
        }
    }
    return dropped;
}

/* Drops the page entries that answer for a, and the other half of a 4 MiB page. True when a large page went. */
static bool drop_pages(struct tlb *t, lin_t a, unsigned pcid, bool global)
{
    int other = find(t, TLB_BANK_2M, lin(a.v ^ BIT(21)), pcid);
    bool large = other >= 0 && (t->entries[other].data & TLB_4M) &&
                 drop_matching(t, TLB_BANK_2M, lin(a.v ^ BIT(21)), pcid, global);
    drop_matching(t, TLB_BANK_4K, a, pcid, global);
    large |= drop_matching(t, TLB_BANK_2M, a, pcid, global);
    large |= drop_matching(t, TLB_BANK_1G, a, pcid, global);
    return large;
}

static void drop_tables_used(struct tlb *t, lin_t a, unsigned pcid)
{
    for (enum tlb_bank bank = TLB_BANK_PDE; bank < TLB_BANK_COUNT; bank++) {
        drop_matching(t, bank, a, pcid, false);
    }
}

static void drop_tables_of(struct tlb *t, unsigned pcid)
{
    for (unsigned i = TLB_PDE_FIRST; i < TLB_ENTRIES; i++) {
        if (entry_key_pcid(t->entries[i].key) == pcid) {
            t->entries[i] = (struct tlb_entry){0};
        }
    }
}

bool tlb_invlpg(struct tlb *t, lin_t a, unsigned pcid)
{
    drop_tables_of(t, pcid);
    return drop_pages(t, a, pcid, true);
}

bool tlb_invalidate_address(struct tlb *t, lin_t a, unsigned pcid)
{
    drop_tables_used(t, a, pcid);
    return drop_pages(t, a, pcid, false);
}

bool tlb_invalidate_fault(struct tlb *t, lin_t a, unsigned pcid)
{
    drop_tables_used(t, a, pcid);
    return drop_pages(t, a, pcid, true);
}

void tlb_invalidate_pcid(struct tlb *t, unsigned pcid)
{
    for (unsigned i = 0; i < TLB_ENTRIES; i++) {
        if (entry_key_pcid(t->entries[i].key) == pcid && !is_global(&t->entries[i])) {
            t->entries[i] = (struct tlb_entry){0};
        }
    }
}

void tlb_invalidate_local(struct tlb *t)
{
    for (unsigned i = 0; i < TLB_ENTRIES; i++) {
        if (!is_global(&t->entries[i])) {
            t->entries[i] = (struct tlb_entry){0};
        }
    }
}

void tlb_invalidate_all(struct tlb *t)
{
    memset(t->entries, 0, sizeof t->entries);
}

bool tlb_view_entry(const struct tlb *t, unsigned index, struct tlb_view *out)
{
    CHECK(index < TLB_ENTRIES, "TLB entry %u", index);
    const struct tlb_entry *e = &t->entries[index];
    enum tlb_bank bank = TLB_BANK_4K;
    while (bank + 1 < TLB_BANK_COUNT && index >= tlb_banks[bank + 1].first_entry) {
        bank++;
    }
    *out = (struct tlb_view){.bank = bank,
                             .linear = tlb_entry_linear(e),
                             .pcid = entry_key_pcid(e->key),
                             .page_shift = tlb_banks[bank].page_shift,
                             .global = is_global(e),
                             .data = e->data};
    return e->key != 0;
}

void tlb_visit(struct tlb *t, struct visitor *v)
{
    visit_array(v, "pdpte", t->pdpte, 8, 4);
    if (v->level < VISIT_MACHINE) {
        return;
    }
    visit_array(v, "tlb", &t->entries[0].key, 8, 2 * (size_t)TLB_ENTRIES);
    visit_array(v, "tlb_next", t->next_way, 1, TLB_SETS);
}
