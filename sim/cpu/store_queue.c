/*
 * The store commit stage: x86-TSO's FIFO store buffer of one vCPU.
 *
 * Source: Intel SDM vol. 3A, "Memory Ordering in P6 and More Recent Processor Families"; AMD64 APM vol. 2,
 * "Memory Ordering" (write buffering); the abstract machine x86-TSO of Sewell et al.
 *
 * Deviations: a store of more than 8 bytes is several entries, so another vCPU may see one part first, which
 * the manuals allow. An access that covers two granules of memory commits as one step.
 *
 * The clever part: nothing that happens here depends on accelerators, since the queue is part of the
 * machine's digest. An access that might take a host pointer does not drain what is due; a store that queues
 * always does. Two counters per bucket answer the common question "no store of mine there": by 8-byte granule
 * for loads, by page for host entries.
 */

#include "cpu/store_queue.h"

#include "base/bits.h"
#include "base/check.h"
#include "core/event.h"
#include "cpu/mem.h"
#include "cpu/mem_internal.h"

#include <string.h>

/* Counts an entry in (+1) or out (-1) of the buckets. */
static void count_granules(struct cpu *cpu, const struct store_entry *e, int delta)
{
    uint8_t *granules = cpu->tlb.granules;
    unsigned first = store_queue_granule(e->address.v);
    unsigned last = store_queue_granule(e->address.v + e->size_bytes - 1);
    granules[first] = (uint8_t)(granules[first] + delta);
    granules[last] = (uint8_t)(granules[last] + delta);
}

static void count_in(struct cpu *cpu, const struct store_entry *e)
{
    struct tlb_alias *alias = store_queue_alias(cpu, e->address);
    if (alias->pending++ == 0 && cpu->timing == NULL) {
        mem_host_drop_reads(cpu, alias->lin_page); /* what is timed looks at the granules itself */
    }
    count_granules(cpu, e, 1);
}

void store_queue_drain_one(struct cpu *cpu)
{
    struct store_queue *q = &cpu->stores;
    CHECK(q->count > 0, "draining an empty store queue");
    struct store_entry e = q->entries[q->head];
    q->head = store_queue_slot(q, 1);
    q->count--;
    store_queue_alias(cpu, e.address)->pending--;
    count_granules(cpu, &e, -1);
    bus_write_ram(cpu->bus, e.address, e.value, e.size_bytes);
}

void store_queue_take_back(struct cpu *cpu, unsigned count)
{
    struct store_queue *q = &cpu->stores;
    CHECK(count <= q->count, "taking back %u stores of %u", count, q->count);
    for (; count > 0; count--) {
        const struct store_entry *e = store_queue_entry(q, --q->count);
        store_queue_alias(cpu, e->address)->pending--;
        count_granules(cpu, e, -1);
    }
}

void store_queue_drain(struct cpu *cpu)
{
    while (cpu->stores.count) {
        store_queue_drain_one(cpu);
    }
}

static void make_room(struct cpu *cpu, uint64_t now_cycles)
{
    struct store_queue *q = &cpu->stores;
    bool due = cpu->timing == NULL; /* else the model says when */
    while (q->count && ((due && q->entries[q->head].due_cycles <= now_cycles) || q->count == q->capacity)) {
        if (cpu->timing != NULL) {
            timing_note_unasked(cpu->timing, q->entries[q->head].address.v, now_cycles);
        }
        store_queue_drain_one(cpu);
    }
}

/* Own code is fetched with own stores in view: leave the blocks that were decoded without them. */
static void note_code(struct cpu *cpu, phys_t a)
{
    if (cpu->bus->ram.flags[a.v >> PAGE_SHIFT] & PAGE_CODE) {
        cpu_drop_code(cpu);
        cpu->chain_cut = true;
        cpu->stores.no_code = 0;
    }
}

void store_queue_push(struct cpu *cpu, phys_t a, unsigned size_bytes, uint64_t value)
{
    struct store_queue *q = &cpu->stores;
    uint64_t now_cycles = cpu_now(cpu);
    make_room(cpu, now_cycles);
    uint64_t due_cycles = cpu->timing ? EVENT_NEVER : now_cycles + q->drain_cycles;
    if (q->count && store_queue_entry(q, q->count - 1)->due_cycles > due_cycles) {
        due_cycles = store_queue_entry(q, q->count - 1)->due_cycles;
    }
    struct store_entry *e = store_queue_entry(q, q->count++);
    *e = (struct store_entry){a, value & bits_size_mask(size_bytes), due_cycles, (uint8_t)size_bytes};
    count_in(cpu, e);
    note_code(cpu, a);
}

static bool overlaps(const struct store_entry *e, phys_t a, unsigned size_bytes)
{
    return e->address.v < a.v + size_bytes && a.v < e->address.v + e->size_bytes;
}

static bool covers(const struct store_entry *e, phys_t a, unsigned size_bytes)
{
    return e->address.v <= a.v && a.v + size_bytes <= e->address.v + e->size_bytes;
}

static void patch(const struct store_entry *e, phys_t a, uint8_t *out, unsigned size_bytes)
{
    for (unsigned i = 0; i < e->size_bytes; i++) {
        uint64_t at = e->address.v + i - a.v;
        if (at < size_bytes) {
            out[at] = (uint8_t)(e->value >> (8 * i));
        }
    }
}

void store_queue_load_bytes(const struct cpu *cpu, phys_t a, uint8_t *out, unsigned size_bytes)
{
    const struct store_queue *q = &cpu->stores;
    memcpy(out, ram_at(&cpu->bus->ram, a), size_bytes);
    for (unsigned i = 0; i < q->count; i++) {
        const struct store_entry *e = &q->entries[store_queue_slot(q, i)];
        if (overlaps(e, a, size_bytes)) {
            patch(e, a, out, size_bytes);
        }
    }
}

static uint64_t assemble(const struct cpu *cpu, phys_t a, unsigned size_bytes)
{
    uint8_t bytes[8] = {0};
    store_queue_load_bytes(cpu, a, bytes, size_bytes);
    return load_le64(bytes);
}

uint64_t store_queue_load(struct cpu *cpu, phys_t a, unsigned size_bytes)
{
    const uint8_t *granules = cpu->tlb.granules;
    if (granules[store_queue_granule(a.v)] | granules[store_queue_granule(a.v + size_bytes - 1)]) {
        for (unsigned i = cpu->stores.count; i-- > 0;) {
            const struct store_entry *e = store_queue_entry(&cpu->stores, i);
            if (covers(e, a, size_bytes)) {
                return e->value >> (8 * (a.v - e->address.v)) & bits_size_mask(size_bytes);
            }
            if (overlaps(e, a, size_bytes)) {
                return assemble(cpu, a, size_bytes);
            }
        }
    }
    return load_le(ram_at(&cpu->bus->ram, a), size_bytes);
}

void store_queue_clear(struct cpu *cpu)
{
    cpu->stores.head = 0;
    cpu->stores.count = 0;
    cpu->stores.no_code = 0;
    for (unsigned i = 0; i < TLB_ALIAS_BUCKETS; i++) {
        cpu->tlb.aliases[i].pending = 0;
    }
    memset(cpu->tlb.granules, 0, sizeof cpu->tlb.granules);
}

static bool is_store(const struct cpu *cpu, const struct store_entry *e)
{
    bool size = e->size_bytes == 1 || e->size_bytes == 2 || e->size_bytes == 4 || e->size_bytes == 8;
    return size && (e->address.v & PAGE_MASK_BITS) + e->size_bytes <= PAGE_SIZE_BYTES &&
           ram_contains(&cpu->bus->ram, e->address, e->size_bytes);
}

static void visit_entry(const struct cpu *cpu, struct store_entry *e, struct visitor *v)
{
    visit_u64(v, "address", &e->address.v);
    visit_u64(v, "value", &e->value);
    visit_u64(v, "due", &e->due_cycles);
    visit_u8(v, "size", &e->size_bytes);
    visit_require(v, "store", is_store(cpu, e));
}

void store_queue_visit(struct cpu *cpu, struct visitor *v)
{
    struct store_queue *q = &cpu->stores;
    if (v->level < VISIT_MACHINE) {
        return;
    }
    uint32_t count = q->count;
    visit_count(v, "stores", &count, q->capacity);
    if (v->loading) {
        store_queue_clear(cpu);
    }
    for (unsigned i = 0; i < count; i++) {
        visit_entry(cpu, store_queue_entry(q, i), v);
        if (v->loading && !v->failed) {
            count_in(cpu, &q->entries[i]);
            q->count++;
        }
    }
}
