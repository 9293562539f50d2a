/*
 * The translation caches of one vCPU: banks of set-associative entries, replaced round robin.
 *
 * Source: Intel SDM vol. 3A, "Caching Translation Information"; AMD64 APM vol. 2, "Translation-Lookaside
 * Buffer".
 *
 * Deviations: none of architecture; the sizes (tlb_size.h) are those of no particular processor. INVLPG drops
 * the tables of the current PCID only, as Intel words it.
 *
 * Round robin over the ways of a set, whether they are empty or not, is "first filled, first out": the way that
 * is filled next is the one filled longest ago. An entry whose page is filled again (another permission, the dirty bit)
 * keeps its way and its turn.
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
    memset(t->host_groups, 0xff, sizeof t->host_groups); /* so that the next flush clears all host entries */
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

/* The entry of a bank that answers for a, or NULL. */
static const struct tlb_entry *find(const struct tlb *t, enum tlb_bank bank, lin_t a, unsigned pcid)
{
    const struct tlb_bank_shape *b = &tlb_banks[bank];
    const struct tlb_entry *set = &t->entries[b->first_entry + set_of(b, a) * b->ways];
    return tlb_find_way(set, b->ways, tlb_key(a.v, pcid, b->page_shift));
}

const struct tlb_entry *tlb_lookup_table(const struct tlb *t, enum tlb_bank bank, lin_t a, unsigned pcid)
{
    return find(t, bank, a, pcid);
}

const struct tlb_entry *tlb_lookup_large(const struct tlb *t, lin_t a, unsigned pcid, unsigned *page_shift)
{
    unsigned set_2m = (unsigned)(a.v >> 21) % TLB_2M_SETS, set_1g = (unsigned)(a.v >> 30) % TLB_1G_SETS;
    *page_shift = 21;
    const struct tlb_entry *e =
        tlb_find_way(&t->entries[TLB_2M_FIRST + set_2m * TLB_2M_WAYS], TLB_2M_WAYS, tlb_key(a.v, pcid, 21));
    if (!e) {
        *page_shift = 30;
        e = tlb_find_way(&t->entries[TLB_1G_FIRST + set_1g * TLB_1G_WAYS], TLB_1G_WAYS,
                         tlb_key(a.v, pcid, 30));
    }
    return e;
}

static uint64_t new_key(const struct tlb_bank_shape *b, lin_t a, unsigned pcid, uint64_t data)
{
    return tlb_key(a.v, pcid, b->page_shift) | ((data & TLB_G) ? TLB_KEY_GLOBAL : 0);
}

static void note_fill(struct tlb *t, uint32_t index)
{
    t->filled = index;
    t->numbers[index] = ++t->fills;
}

struct tlb_entry tlb_insert(struct tlb *t, enum tlb_bank bank, lin_t a, unsigned pcid, uint64_t data)
{
    const struct tlb_bank_shape *b = &tlb_banks[bank];
    unsigned set = set_of(b, a);
    uint8_t *next = &t->next_way[b->first_set + set];
    struct tlb_entry *e = &t->entries[b->first_entry + set * b->ways + *next];
    struct tlb_entry old = *e;
    *next = (uint8_t)(*next + 1u == b->ways ? 0 : *next + 1u);
    *e = (struct tlb_entry){new_key(b, a, pcid, data), data};
    note_fill(t, (uint32_t)(e - t->entries));
    t->used_sets[(b->first_set + set) / 64] |= BIT((b->first_set + set) % 64);
    return old;
}

struct tlb_entry tlb_fill(struct tlb *t, enum tlb_bank bank, lin_t a, unsigned pcid, uint64_t data)
{
    const struct tlb_entry *found = find(t, bank, a, pcid);
    if (!found) {
        return tlb_insert(t, bank, a, pcid, data);
    }
    struct tlb_entry old = *found;
    t->entries[found - t->entries] = (struct tlb_entry){new_key(&tlb_banks[bank], a, pcid, data), data};
    note_fill(t, (uint32_t)(found - t->entries));
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

/* Drops every entry of a bank that answers for a; global ones only if asked. An address may have two when it
 * was used under a PCID before it became global. True when one went. */
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

/* Drops the page entries that answer for a, and the other half of a 4 MiB page. True when a large page went.
 */
static bool drop_pages(struct tlb *t, lin_t a, unsigned pcid, bool global)
{
    lin_t other_half = lin(a.v ^ BIT(21));
    const struct tlb_entry *other = find(t, TLB_BANK_2M, other_half, pcid);
    bool large = other && (other->data & TLB_4M) && drop_matching(t, TLB_BANK_2M, other_half, pcid, global);
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

/* Drops the entries of one set whose key has a value under a mask; true when it is empty then. */
static bool drop_in_set(struct tlb_entry *set, unsigned ways, uint64_t mask, uint64_t value)
{
    uint64_t left = 0;
    for (unsigned way = 0; way < ways; way++) {
        if ((set[way].key & mask) == value) {
            set[way] = (struct tlb_entry){0};
        }
        left |= set[way].key;
    }
    return left == 0;
}

/* The same in a bank and all that follow it. */
static void drop_where(struct tlb *t, enum tlb_bank first, uint64_t mask, uint64_t value)
{
    for (enum tlb_bank bank = first; bank < TLB_BANK_COUNT; bank++) {
        const struct tlb_bank_shape *b = &tlb_banks[bank];
        for (unsigned set = 0; set < b->sets; set++) {
            uint64_t *used = &t->used_sets[(b->first_set + set) / 64], bit = BIT((b->first_set + set) % 64);
            if ((*used & bit) &&
                drop_in_set(&t->entries[b->first_entry + set * b->ways], b->ways, mask, value)) {
                *used &= ~bit;
            }
        }
    }
}

static void drop_tables_of(struct tlb *t, unsigned pcid)
{
    drop_where(t, TLB_BANK_PDE, TLB_KEY_PCID, (uint64_t)pcid << TLB_KEY_PCID_SHIFT);
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
    drop_where(t, TLB_BANK_4K, TLB_KEY_PCID | TLB_KEY_GLOBAL, (uint64_t)pcid << TLB_KEY_PCID_SHIFT);
}

void tlb_invalidate_local(struct tlb *t)
{
    drop_where(t, TLB_BANK_4K, TLB_KEY_GLOBAL, 0);
}

void tlb_invalidate_all(struct tlb *t)
{
    drop_where(t, TLB_BANK_4K, 0, 0);
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
    for (enum tlb_bank bank = TLB_BANK_4K; bank < TLB_BANK_COUNT; bank++) {
        const struct tlb_bank_shape *b = &tlb_banks[bank];
        for (unsigned set = 0; set < b->sets; set++) {
            visit_choice(v, "tlb_next", &t->next_way[b->first_set + set], (uint8_t)(b->ways - 1u));
        }
    }
    if (v->level >= VISIT_MODEL) {
        visit_array(v, "tlb_numbers", t->numbers, 4, TLB_ENTRIES);
        visit_u32(v, "tlb_fills", &t->fills);
    }
    if (v->loading) {
        memset(t->used_sets, 0xff, sizeof t->used_sets); /* what was loaded may be anywhere */
    }
}
