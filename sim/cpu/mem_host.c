/*
 * Host-pointer entries: the direct-mapped tables that let an access skip the TLB.
 *
 * Source: none, a pure accelerator: runs with and without it are the same, digests included.
 *
 * An entry may exist only while
 *   - the TLB entry that it was made from does, with its translation and rights (or paging is off),
 *   - the page is RAM, no debug register watches it, no alignment is checked,
 *   - read: the page is not PAGE_WATCH, and this vCPU has no store queued to its physical page through any
 * linear one,
 *   - write: the page's flags are exactly PAGE_DIRTY, the TLB entry is dirty, and stores are not queued at
 * all.
 *
 * The clever part: with a store queue, at most one linear page has read entries for all the physical pages of
 * a bucket (struct tlb_alias), so that a store finds in one step what it must drop, however many linear pages
 * there are.
 */

#include "base/check.h"
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

static struct host_entry *entry_of(struct cpu *cpu, unsigned mode, uint64_t lin_page)
{
    return &cpu->host_tables[mode][(lin_page >> PAGE_SHIFT) % HOST_ENTRIES];
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

static bool fill_allowed(const struct cpu *cpu, lin_t a)
{
    return !mem_checks_alignment(cpu) && !(mem_watches(cpu) && page_is_watched(cpu, page_of(a.v)));
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

/* The entry of the current mode that a page's pointer goes into. */
static struct host_entry *claim_entry(struct cpu *cpu, uint64_t lin_page, const struct place *p)
{
    unsigned index = (unsigned)(lin_page >> PAGE_SHIFT) % HOST_ENTRIES;
    struct host_entry *e = &cpu->host[index];
    cpu->tlb.host_groups[cpu->mem_mode] |= BIT(index / GROUP_ENTRIES);
    e->addend = (uintptr_t)ram_at(&cpu->bus->ram, phys(page_of(p->at.v))) - (uintptr_t)lin_page;
    return e;
}

void mem_host_fill_read(struct cpu *cpu, lin_t a, const struct place *p)
{
    uint64_t lin_page = page_of(a.v);
    if (!fill_allowed(cpu, a) || (cpu->bus->ram.flags[p->at.v >> PAGE_SHIFT] & PAGE_WATCH) ||
        (cpu->stores.capacity && !claim_alias(cpu, lin_page, p))) {
        return;
    }
    struct host_entry *e = claim_entry(cpu, lin_page, p);
    e->read_tag = lin_page;
    if (e->write_tag != lin_page) {
        e->write_tag = HOST_TAG_NONE;
    }
}

void mem_host_fill_write(struct cpu *cpu, lin_t a, const struct place *p)
{
    if (cpu->stores.capacity || !(p->data & TLB_D) || !fill_allowed(cpu, a) ||
        cpu->bus->ram.flags[p->at.v >> PAGE_SHIFT] != PAGE_DIRTY) {
        return;
    }
    struct host_entry *e = claim_entry(cpu, page_of(a.v), p);
    e->read_tag = page_of(a.v); /* who may write may read */
    e->write_tag = page_of(a.v);
}

void mem_host_drop_reads(struct cpu *cpu, uint64_t lin_page)
{
    for (unsigned mode = 0; mode < MEM_MODE_COUNT; mode++) {
        struct host_entry *e = entry_of(cpu, mode, lin_page);
        if (e->read_tag == lin_page) {
            e->read_tag = HOST_TAG_NONE;
        }
    }
}

void mem_drop_page(struct cpu *cpu, uint64_t lin_page)
{
    for (unsigned mode = 0; mode < MEM_MODE_COUNT; mode++) {
        struct host_entry *e = entry_of(cpu, mode, lin_page);
        if (e->read_tag == lin_page || e->write_tag == lin_page) {
            e->read_tag = HOST_TAG_NONE;
            e->write_tag = HOST_TAG_NONE;
        }
    }
    cpu_drop_code_page(cpu, lin_page);
}

void mem_drop_range(struct cpu *cpu, uint64_t first, unsigned shift)
{
    if (shift == PAGE_SHIFT) {
        mem_drop_page(cpu, first);
        return;
    }
    for (unsigned mode = 0; mode < MEM_MODE_COUNT; mode++) {
        for (unsigned i = 0; i < HOST_ENTRIES; i++) {
            struct host_entry *e = &cpu->host_tables[mode][i];
            if (((e->read_tag ^ first) >> shift) == 0 || ((e->write_tag ^ first) >> shift) == 0) {
                e->read_tag = HOST_TAG_NONE;
                e->write_tag = HOST_TAG_NONE;
            }
        }
    }
    cpu_drop_code(cpu);
}

static void drop_table(struct cpu *cpu, unsigned mode)
{
    uint64_t groups = cpu->tlb.host_groups[mode];
    for (; groups; groups &= groups - 1) {
        struct host_entry *group = &cpu->host_tables[mode][(unsigned)__builtin_ctzll(groups) * GROUP_ENTRIES];
        for (unsigned i = 0; i < GROUP_ENTRIES; i++) {
            group[i].read_tag = HOST_TAG_NONE;
            group[i].write_tag = HOST_TAG_NONE;
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
