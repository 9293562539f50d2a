/*
 * Host-pointer entries: the direct-mapped tables that let an access skip the TLB.
 *
 * Source: none, a pure accelerator: runs with and without it are the same, digests included.
 *
 * An entry may exist only while
 *   - the TLB entry that it was made from does, with its translation and rights (or paging is off),
 *   - the page is RAM, no debug register and no observer watches it, no alignment is checked,
 *   - read: this vCPU has no store queued to its physical page through any linear one,
 *   - write: the page's flags are exactly PAGE_DIRTY, the TLB entry is dirty, and stores are not queued at
 * all.
 *
 * The clever part: with a store queue, at most one linear page has read entries for all the physical pages of
 * a bucket (struct tlb_alias), so that a store finds in one step what it must drop, however many linear pages
 * there are.
 */

#include "base/check.h"
#include "cpu/access_watch.h"
#include "cpu/debug_regs.h"
#include "cpu/mem.h"
#include "cpu/mem_internal.h"
#include "cpu/store_queue.h"

/* Entries of a table that share a bit of tlb.host_groups, which a flush goes by. */
#define GROUP_ENTRIES (HOST_ENTRIES / 64)

_Static_assert(MEM_MODE_COUNT == TLB_HOST_TABLES && HOST_ENTRIES % 64 == 0, "shape of host_groups");

static uint64_t page_of(uint64_t a)
{
    return a & ~(uint64_t)PAGE_MASK_BITS;
}

static unsigned slot_of(uint64_t lin_page)
{
    return (unsigned)(lin_page >> PAGE_SHIFT) % HOST_ENTRIES;
}

static bool page_is_watched(const struct cpu *cpu, uint64_t lin_page)
{
    for (unsigned n = 0; n < 4; n++) {
        if (dr7_enabled(cpu->dr7, n) && dr_matches(cpu->dr7, n, cpu->dr[n], lin_page, PAGE_SIZE_BYTES)) {
            return true;
        }
    }
    return false;
}

/* Alignment is checked of explicit user accesses only. */
static bool fill_allowed(const struct cpu *cpu, enum mem_mode mode, lin_t a)
{
    bool checked = (mode == MEM_USER && mem_checks_alignment(cpu)) || cpu->on_timing != NULL;
    bool observed = cpu->watches && access_watched_in_page(cpu->watches, page_of(a.v));
    return !checked && !observed && !(mem_watches(cpu) && page_is_watched(cpu, page_of(a.v)));
}

/* Under a store queue: no own store is queued to the page, and the page's bucket belongs to this linear page
 * from now on. */
static bool claim_alias(struct cpu *cpu, uint64_t lin_page, const struct place *p)
{
    struct tlb_alias *alias = store_queue_alias(cpu, p->at);
    if (alias->pending || mem_is_uncached(cpu, p->data)) {
        return false;
    }
    if (alias->lin_page != lin_page) {
        mem_host_drop_reads(cpu, alias->lin_page);
        alias->lin_page = lin_page;
    }
    return true;
}

/* An addend that two new entries in a row have is taken for the usual one: memory that is mapped as it lies. */
static void note_addend(struct cpu *cpu, uint64_t addend)
{
    if (cpu->last_addend == addend) {
        cpu->near_check = addend;
        cpu->near_addend = addend;
    }
    cpu->last_addend = addend;
}

/* What the entry of a linear page holds; the group of its slot is marked as used. */
static struct host_entry make_entry(struct cpu *cpu, enum mem_mode mode, uint64_t lin_page,
                                    const struct place *p)
{
    cpu->tlb.host_groups[mode] |= BIT(slot_of(lin_page) / GROUP_ENTRIES);
    uintptr_t page = (uintptr_t)ram_at(&cpu->bus->ram, phys(page_of(p->at.v)));
    uint64_t addend = page - (uintptr_t)lin_page;
    note_addend(cpu, addend);
    return (struct host_entry){lin_page, addend};
}

void mem_host_fill_read(struct cpu *cpu, enum mem_mode mode, lin_t a, const struct place *p)
{
    uint64_t lin_page = page_of(a.v);
    bool alone =
        cpu->timing ? !mem_is_uncached(cpu, p->data) : !cpu->stores.capacity || claim_alias(cpu, lin_page, p);
    if (!fill_allowed(cpu, mode, a) || !alone) {
        return;
    }
    cpu->host_tables[mode].read[slot_of(lin_page)] = make_entry(cpu, mode, lin_page, p);
}

void mem_host_fill_write(struct cpu *cpu, enum mem_mode mode, lin_t a, const struct place *p)
{
    uint64_t lin_page = page_of(a.v);
    bool direct = cpu->timing ? !mem_is_uncached(cpu, p->data) : !cpu->stores.capacity;
    if (!direct || !(p->data & TLB_D) || !fill_allowed(cpu, mode, a) ||
        cpu->bus->ram.flags[p->at.v >> PAGE_SHIFT] != PAGE_DIRTY) {
        return;
    }
    struct host_entry e = make_entry(cpu, mode, lin_page, p);
    cpu->host_tables[mode].write[slot_of(lin_page)] = e;
    cpu->host_tables[mode].read[slot_of(lin_page)] = e; /* who may write may read */
}

static void drop_if(struct host_entry *e, uint64_t lin_page)
{
    if (e->tag == lin_page) {
        e->tag = HOST_TAG_NONE;
    }
}

void mem_host_drop_reads(struct cpu *cpu, uint64_t lin_page)
{
    for (unsigned mode = 0; mode < MEM_MODE_COUNT; mode++) {
        drop_if(&cpu->host_tables[mode].read[slot_of(lin_page)], lin_page);
    }
}

void mem_drop_page(struct cpu *cpu, uint64_t lin_page)
{
    for (unsigned mode = 0; mode < MEM_MODE_COUNT; mode++) {
        drop_if(&cpu->host_tables[mode].read[slot_of(lin_page)], lin_page);
        drop_if(&cpu->host_tables[mode].write[slot_of(lin_page)], lin_page);
    }
    cpu_drop_code_page(cpu, lin_page);
}

static void drop_in_range(struct host_entry *entries, uint64_t first, unsigned shift)
{
    for (unsigned i = 0; i < HOST_ENTRIES; i++) {
        if (((entries[i].tag ^ first) >> shift) == 0) {
            entries[i].tag = HOST_TAG_NONE;
        }
    }
}

void mem_drop_range(struct cpu *cpu, uint64_t first, unsigned shift)
{
    if (shift == PAGE_SHIFT) {
        mem_drop_page(cpu, first);
        return;
    }
    for (unsigned mode = 0; mode < MEM_MODE_COUNT; mode++) {
        drop_in_range(cpu->host_tables[mode].read, first, shift);
        drop_in_range(cpu->host_tables[mode].write, first, shift);
    }
    cpu_drop_code(cpu);
}

static void drop_table(struct cpu *cpu, unsigned mode)
{
    uint64_t groups = cpu->tlb.host_groups[mode];
    for (; groups; groups &= groups - 1) {
        unsigned first = (unsigned)__builtin_ctzll(groups) * GROUP_ENTRIES;
        for (unsigned i = first; i < first + GROUP_ENTRIES; i++) {
            cpu->host_tables[mode].read[i].tag = HOST_TAG_NONE;
            cpu->host_tables[mode].write[i].tag = HOST_TAG_NONE;
        }
    }
    cpu->tlb.host_groups[mode] = 0;
}

void mem_drop_host_entries(struct cpu *cpu)
{
    for (unsigned mode = 0; mode < MEM_MODE_COUNT; mode++) {
        drop_table(cpu, mode);
    }
}

void mem_drop_all(struct cpu *cpu)
{
    mem_drop_host_entries(cpu);
    cpu_drop_code(cpu);
}

void mem_mode_changed(struct cpu *cpu)
{
    if (mem_checks_alignment(cpu)) {
        drop_table(cpu, MEM_USER);
    }
}
