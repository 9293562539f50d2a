/*
 * Linear to physical: TLB misses and refusals, fetch latch, invalidation.
 *
 * Source: Intel SDM vol. 3A, "Paging", "Caching Translation Information"; AMD64 APM vol. 2, "Page Translation
 * and Protection".
 *
 * Deviations: the A20 line is always open. A page of device memory may be fetched from, byte by byte.
 */

#include "cpu/mem.h"

#include "base/check.h"
#include "cpu/mem_internal.h"
#include "cpu/store_queue.h"
#include "cpu/timed.h"
#include "mmu/psc.h"

static bool fault_page(struct cpu *cpu, lin_t a, uint32_t error)
{
    cpu->fault = (struct fault){.vector = VECTOR_PF, .has_error = true, .error = error, .cr2 = a.v};
    return false;
}

static bool fault_general(struct cpu *cpu)
{
    cpu->fault = (struct fault){.vector = VECTOR_GP, .has_error = true};
    return false;
}

/* ---- memory as the page walker sees it
 * ------------------------------------------------------------------------- */

static uint64_t walker_read(void *target, phys_t a, unsigned size_bytes)
{
    struct cpu *cpu = target;
    if (ram_contains(&cpu->bus->ram, a, size_bytes)) {
        timed_note(cpu, TIMING_WALK, a, size_bytes, TLB_ENTRIES);
        return store_queue_load(cpu, a, size_bytes);
    }
    struct bus_cx cx = mem_bus_context(cpu);
    return bus_read(cpu->bus, &cx, a, size_bytes);
}

static bool walker_update(void *target, phys_t a, unsigned size_bytes, uint64_t expected, uint64_t value)
{
    struct cpu *cpu = target;
    struct bus_cx cx = mem_bus_context(cpu);
    store_queue_drain(cpu); /* nothing is left in it where accesses are timed */
    timed_note(cpu, TIMING_UPDATE, a, size_bytes, TLB_ENTRIES);
    if (bus_read(cpu->bus, &cx, a, size_bytes) != expected) {
        return false;
    }
    bus_write(cpu->bus, &cx, a, value, size_bytes);
    if (cpu->timing != NULL) {
        timing_note_unasked(cpu->timing, a.v, cpu_now(cpu));
    }
    return true;
}

/* Memory as a walk sees it that sets one accessed or dirty bit at most, when it may, and has the instruction tried again
 * (docs/timing.md, 5.1). */
static uint64_t dry_read(void *target, phys_t a, unsigned size_bytes)
{
    struct cpu *cpu = target;
    return ram_contains(&cpu->bus->ram, a, size_bytes) ? store_queue_load(cpu, a, size_bytes) : 0;
}

static bool dry_update(void *target, phys_t a, unsigned size_bytes, uint64_t expected, uint64_t value)
{
    struct cpu *cpu = target;
    if (cpu->fault.wait_until == 0 && ram_contains(&cpu->bus->ram, a, size_bytes) &&
        !timed_update_waits(cpu, a)) {
        struct bus_cx cx = mem_bus_context(cpu);
        CHECK(bus_read(cpu->bus, &cx, a, size_bytes) == expected, "an entry changed within a step");
        bus_write(cpu->bus, &cx, a, value, size_bytes);
        timed_updated(cpu, a);
    }
    return true;
}

/* Has the instruction to wait for the walk for a to set accessed and dirty bits? Then cpu->fault says until when. known: the
 * TLB's entry, which may refuse. */
static bool walk_waits(struct cpu *cpu, const struct paging *p, lin_t a, unsigned pcid, unsigned access,
                       const struct tlb_entry *known)
{
    const struct walk_memory memory = {dry_read, dry_update, cpu};
    bool refuses = known != NULL && !walk_allows(p, access, known->data);
    cpu->fault.wait_until = 0;
    psc_look(refuses ? NULL : &cpu->tlb, p, &memory, a, pcid, access);
    return cpu->fault.wait_until != 0;
}

/* ---- misses
 * ------------------------------------------------------------------------------------------------------ */

static enum tlb_bank bank_of(unsigned page_shift)
{
    return page_shift == 12 ? TLB_BANK_4K : page_shift == 21 ? TLB_BANK_2M : TLB_BANK_1G;
}

/* Enters the walk's result; what it replaces takes its host entries along. known: the TLB answered for a
 * before. */
static uint64_t fill(struct cpu *cpu, lin_t a, unsigned pcid, const struct walk_result *r, bool known)
{
    bool ram = ram_contains(&cpu->bus->ram, phys(r->data & TLB_ADDRESS), BIT(r->page_shift));
    uint64_t data = r->data | (ram ? TLB_RAM : 0);
    enum tlb_bank bank = bank_of(r->page_shift);
    struct tlb_entry old =
        known ? tlb_fill(&cpu->tlb, bank, a, pcid, data) : tlb_insert(&cpu->tlb, bank, a, pcid, data);
    bool same_page = tlb_key_matches(old.key, tlb_key(a.v, pcid, r->page_shift));
    if (old.key && !(same_page && (old.data | TLB_D) == (data | TLB_D))) {
        mem_drop_range(cpu, tlb_entry_linear(&old).v, r->page_shift);
    }
    return data;
}

/* After a walk for a first write: an entry of another page size than the walk found would go on hiding it. */
static bool drop_other_size(struct cpu *cpu, lin_t a, unsigned pcid, unsigned page_shift)
{
    unsigned old_shift;
    return tlb_lookup(&cpu->tlb, a, pcid, &old_shift) && old_shift != page_shift &&
           tlb_invalidate_fault(&cpu->tlb, a, pcid);
}

static void drop_accelerators(struct cpu *cpu, lin_t a, bool large_dropped)
{
    if (large_dropped) {
        mem_drop_all(cpu);
    } else {
        mem_drop_page(cpu, a.v & ~(uint64_t)PAGE_MASK_BITS);
    }
}

/* An entry that refuses goes before the walk, with the tables that led to it, so that memory decides. An
 * address that the TLB does not know has no host entries either. */
static bool translate_by_walk(struct cpu *cpu, const struct paging *p, lin_t a, unsigned access,
                              struct place *out)
{
    unsigned pcid = mem_pcid(cpu), page_shift;
    const struct walk_memory memory = {walker_read, walker_update, cpu};
    struct walk_result r;
    unsigned first_note = cpu->access_count;
    const struct tlb_entry *e = tlb_lookup(&cpu->tlb, a, pcid, &page_shift);
    if (cpu->timing != NULL && cpu->access_waits && walk_waits(cpu, p, a, pcid, access, e)) {
        return false;
    }
    bool known = e != NULL, large_dropped = false;
    if (known && !walk_allows(p, access, e->data)) {
        large_dropped = tlb_invalidate_fault(&cpu->tlb, a, pcid);
    }
    bool good = psc_walk(&cpu->tlb, p, &memory, a, pcid, access, &r);
    trace_hit(&cpu->trace, TRACE_PAGE_WALK, cpu_now(cpu), a.v, access, good ? 0 : r.error, 0);
    large_dropped |= r.large_dropped;
    if (known) {
        large_dropped |= good && drop_other_size(cpu, a, pcid, r.page_shift);
        drop_accelerators(cpu, a, large_dropped);
    } else if (large_dropped) {
        mem_drop_all(cpu);
    }
    if (!good) {
        cpu->fetch.valid =
            false; /* a refusal that memory does not confirm leaves it: blocks go on without a look */
        return fault_page(cpu, a, r.error);
    }
    uint64_t data = fill(cpu, a, pcid, &r, known);
    *out = (struct place){walk_physical(data, r.page_shift, a), data, cpu->tlb.filled};
    timed_hold(cpu, first_note, out->slot);
    return true;
}

bool mem_translate_slow(struct cpu *cpu, lin_t a, unsigned access, struct place *out)
{
    struct paging p = mem_paging(cpu);
    if (p.mode == PAGING_NONE) {
        *out = (struct place){phys((uint32_t)a.v), TLB_W | TLB_U | TLB_D, TLB_ENTRIES};
        return true;
    }
    if (!lin_is_canonical(a)) {
        return fault_general(cpu);
    }
    return translate_by_walk(cpu, &p, a, access, out);
}

/* For observers: store_queue_load changes nothing, and device memory is not read. */
static uint64_t peek_read(void *target, phys_t a, unsigned size_bytes)
{
    const struct cpu *cpu = target;
    uint8_t bytes[8] = {0};
    if (ram_contains(&cpu->bus->ram, a, size_bytes)) {
        store_queue_load_bytes(cpu, a, bytes, size_bytes);
    }
    return load_le64(bytes);
}

bool mem_peek_translate(const struct cpu *cpu, lin_t a, phys_t *out)
{
    struct paging p = mem_paging(cpu);
    p.smap = false;
    if (p.mode == PAGING_NONE) {
        *out = phys((uint32_t)a.v);
        return true;
    }
    if (!lin_is_canonical(a)) {
        return false;
    }
    struct walk_result r;
    const struct tlb_entry *e = tlb_lookup(&cpu->tlb, a, mem_pcid(cpu), &r.page_shift);
    if (e) {
        r.data = e->data;
    } else if (!walk(&p, &(struct walk_memory){peek_read, NULL, (void *)(uintptr_t)cpu}, a, 0, &r)) {
        return false;
    }
    *out = walk_physical(r.data, r.page_shift, a);
    return true;
}

/* ---- what the caches have and memory has not
 * --------------------------------------------------------------------------------------------------------------- */

/* The table of a level that memory leads to; false: none. */
static bool table_in_memory(const struct cpu *cpu, lin_t a, unsigned level, uint64_t *table)
{
    uint64_t at = cpu->cr3 & TLB_ADDRESS;
    for (unsigned l = 4; l > level; l--) {
        uint64_t entry = peek_read((void *)(uintptr_t)cpu, phys(at + ((a.v >> (9 * l + 3)) & 511) * 8), 8);
        if (!(entry & PTE_P) || (l < 4 && (entry & PTE_PS))) {
            return false;
        }
        at = entry & TLB_ADDRESS;
    }
    *table = at;
    return true;
}

static bool table_is_stale(const struct cpu *cpu, const struct tlb_view *e)
{
    uint64_t table;
    unsigned level = 1 + (unsigned)(e->bank - TLB_BANK_PDE);
    return !table_in_memory(cpu, e->linear, level, &table) || table != (e->data & TLB_ADDRESS);
}

static bool page_is_stale(const struct cpu *cpu, const struct paging *p, const struct tlb_view *e)
{
    struct walk_result r;
    const struct walk_memory memory = {peek_read, NULL, (void *)(uintptr_t)cpu};
    if (!walk(p, &memory, e->linear, 0, &r) || r.page_shift < e->page_shift) {
        return true;
    }
    uint64_t more = (e->data & ~r.data & (TLB_W | TLB_U)) | (~e->data & r.data & TLB_XD);
    return more || walk_physical(r.data, r.page_shift, e->linear).v != (e->data & TLB_ADDRESS);
}

bool mem_next_stale(const struct cpu *cpu, unsigned *index, struct mem_stale *out)
{
    struct paging p = mem_paging(cpu);
    p.smap = false;
    while (p.mode == PAGING_4LEVEL && *index < TLB_ENTRIES) {
        struct tlb_view e;
        if (!tlb_view_entry(&cpu->tlb, (*index)++, &e) || !(e.global || e.pcid == mem_pcid(cpu))) {
            continue;
        }
        bool table = e.bank >= TLB_BANK_PDE;
        if (table ? table_is_stale(cpu, &e) : page_is_stale(cpu, &p, &e)) {
            *out = (struct mem_stale){e.linear, phys(e.data & TLB_ADDRESS), e.page_shift, table};
            return true;
        }
    }
    return false;
}

/* ---- fetch latch
 * ------------------------------------------------------------------------------------------------- */

bool mem_fetch_translate(struct cpu *cpu, lin_t a, phys_t *out)
{
    uint64_t lin_page = a.v & ~(uint64_t)PAGE_MASK_BITS;
    if (!cpu->fetch.valid || cpu->fetch.lin_page != lin_page) {
        struct place p;
        if (!mem_translate(cpu, a, mem_access(cpu, ACCESS_FETCH), &p)) {
            return false;
        }
        cpu->fetch = (struct fetch_latch){true, lin_page, p.at.v & ~(uint64_t)PAGE_MASK_BITS};
        cpu->fetch_slot = p.slot;
        timed_note(cpu, TIMING_FETCH, p.at, 1, p.slot);
    }
    *out = phys(cpu->fetch.phys_page | (a.v & PAGE_MASK_BITS));
    return true;
}

static void fetch_from_device(struct cpu *cpu, phys_t at, uint8_t *bytes, unsigned size_bytes)
{
    struct bus_cx cx = mem_bus_context(cpu);
    store_queue_drain(cpu);
    for (unsigned i = 0; i < size_bytes; i++) {
        bytes[i] = (uint8_t)bus_read(cpu->bus, &cx, phys(at.v + i), 1);
    }
    cpu_request_break(cpu);
}

bool mem_fetch(struct cpu *cpu, lin_t a, uint8_t *bytes, unsigned want_bytes, unsigned *got_bytes, phys_t *at)
{
    if (!mem_fetch_translate(cpu, a, at)) {
        return false;
    }
    unsigned room = PAGE_SIZE_BYTES - (unsigned)(a.v & PAGE_MASK_BITS);
    unsigned size_bytes = want_bytes < room ? want_bytes : room;
    if (ram_contains(&cpu->bus->ram, *at, size_bytes)) {
        store_queue_load_bytes(cpu, *at, bytes, size_bytes);
    } else {
        fetch_from_device(cpu, *at, bytes, size_bytes);
    }
    *got_bytes = size_bytes;
    return true;
}

/* ---- invalidation
 * ------------------------------------------------------------------------------------------------ */

/* Kinds of invalidation that a trace tells of, behind those of INVPCID. */
enum { INVALIDATION_INVLPG = 4, INVALIDATION_CR3, INVALIDATION_ALL };

static void tell_invalidation(struct cpu *cpu, uint64_t address, unsigned kind)
{
    trace_hit(&cpu->trace, TRACE_TLB_INVALIDATION, cpu_now(cpu), address, kind, 0, 0);
}

void mem_invlpg(struct cpu *cpu, lin_t a)
{
    tell_invalidation(cpu, a.v, INVALIDATION_INVLPG);
    cpu->fetch.valid = false;
    drop_accelerators(cpu, a, tlb_invlpg(&cpu->tlb, a, mem_pcid(cpu)));
}

void mem_invpcid(struct cpu *cpu, enum invpcid_type type, uint16_t pcid, lin_t a)
{
    tell_invalidation(cpu, a.v, type);
    cpu->fetch.valid = false;
    switch (type) {
    case INVPCID_ADDRESS:
        drop_accelerators(cpu, a, tlb_invalidate_address(&cpu->tlb, a, pcid));
        return;
    case INVPCID_SINGLE:
        tlb_invalidate_pcid(&cpu->tlb, pcid);
        break;
    case INVPCID_ALL_GLOBAL:
        tlb_invalidate_all(&cpu->tlb);
        break;
    case INVPCID_ALL:
        tlb_invalidate_local(&cpu->tlb);
        break;
    }
    mem_drop_all(cpu);
}

void mem_cr3_written(struct cpu *cpu, bool keep)
{
    cpu->cr3_kept = keep;
    cpu->fetch.valid = false;
    if (!keep) {
        tell_invalidation(cpu, 0, INVALIDATION_CR3);
        tlb_invalidate_pcid(&cpu->tlb, mem_pcid(cpu));
    }
    mem_drop_all(cpu);
}

void mem_flush_all(struct cpu *cpu)
{
    tell_invalidation(cpu, 0, INVALIDATION_ALL);
    cpu->fetch.valid = false;
    tlb_invalidate_all(&cpu->tlb);
    mem_drop_all(cpu);
}

void mem_tlb_evict(struct cpu *cpu, unsigned index)
{
    struct tlb_view view;
    if (tlb_view_entry(&cpu->tlb, index, &view)) {
        tlb_evict(&cpu->tlb, index);
        if (view.bank < TLB_PAGE_BANKS) {
            mem_drop_range(cpu, view.linear.v, view.page_shift);
        }
    }
}

bool mem_load_pdptes(struct cpu *cpu, uint64_t cr3)
{
    uint64_t pdpte[4];
    for (unsigned i = 0; i < 4; i++) {
        pdpte[i] = walker_read(cpu, phys((cr3 & UINT64_C(0xffffffe0)) + 8 * i), 8);
        if ((pdpte[i] & PTE_P) && (pdpte[i] & PDPTE_RESERVED)) {
            return fault_general(cpu);
        }
    }
    for (unsigned i = 0; i < 4; i++) {
        cpu->tlb.pdpte[i] = pdpte[i];
    }
    return true;
}

void mem_init(struct cpu *cpu)
{
    tlb_init(&cpu->tlb);
    store_queue_clear(cpu);
    cpu->fetch = (struct fetch_latch){0};
    mem_drop_all(cpu);
}

/* TLB_RAM is what host pointers rest on. */
static void require_ram(const struct cpu *cpu, struct visitor *v)
{
    for (unsigned i = 0; i < TLB_ENTRIES; i++) {
        struct tlb_view e;
        bool ram = tlb_view_entry(&cpu->tlb, i, &e) && e.bank < TLB_PAGE_BANKS && (e.data & TLB_RAM);
        phys_t first = phys(e.data & TLB_ADDRESS);
        visit_require(v, "tlb", !ram || ram_contains(&cpu->bus->ram, first, BIT(e.page_shift)));
    }
}

void mem_visit(struct cpu *cpu, struct visitor *v)
{
    struct fetch_latch *latch = &cpu->fetch;
    tlb_visit(&cpu->tlb, v);
    if (v->level >= VISIT_MACHINE) {
        visit_bool(v, "fetch_valid", &latch->valid);
        visit_u64(v, "fetch_lin_page", &latch->lin_page);
        visit_u64(v, "fetch_phys_page", &latch->phys_page);
    }
    store_queue_visit(cpu, v);
    if (v->loading) {
        require_ram(cpu, v);
        visit_require(v, "fetch", ((latch->lin_page | latch->phys_page) & PAGE_MASK_BITS) == 0);
        mem_drop_all(cpu);
    }
}
