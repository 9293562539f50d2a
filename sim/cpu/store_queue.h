#ifndef ORRERY_CPU_STORE_QUEUE_H
#define ORRERY_CPU_STORE_QUEUE_H

/*
 * The store commit stage (struct store_queue): a FIFO of stores that have been translated and faulted.
 * Capacity 0 never queues anything. Entries lie in RAM, each within one page.
 */

#include "cpu/cpu.h"

/* Bucket of a physical page in tlb.aliases, and of a physical address in tlb.granules. */
static inline struct tlb_alias *store_queue_alias(struct cpu *cpu, phys_t a)
{
    return &cpu->tlb.aliases[(a.v >> PAGE_SHIFT) % TLB_ALIAS_BUCKETS];
}

static inline unsigned store_queue_granule(uint64_t a)
{
    return (unsigned)(a >> 3) % TLB_GRANULE_BUCKETS;
}

/* Where the i-th oldest entry lies. */
static inline unsigned store_queue_slot(const struct store_queue *q, unsigned i)
{
    return (q->head + i) % STORE_QUEUE_MAX;
}

static inline struct store_entry *store_queue_entry(struct store_queue *q, unsigned i)
{
    return &q->entries[store_queue_slot(q, i)];
}

/* Queues a store (1, 2, 4 or 8 bytes). Entries that are due by now drain first, and the head of a full queue
 * does. The vCPU's host read entries of the page go. */
void store_queue_push(struct cpu *cpu, phys_t a, unsigned size_bytes, uint64_t value);

/* The youngest `count` stores were never made: their instruction has faulted. */
void store_queue_take_back(struct cpu *cpu, unsigned count);

/* Commits the oldest entry; the queue must not be empty. */
void store_queue_drain_one(struct cpu *cpu);
void store_queue_drain(struct cpu *cpu);

/* RAM as this vCPU sees it, its own queued stores included: 1, 2, 4 or 8 bytes within a page, or any number.
 */
uint64_t store_queue_load(struct cpu *cpu, phys_t a, unsigned size_bytes);
void store_queue_load_bytes(const struct cpu *cpu, phys_t a, uint8_t *out, unsigned size_bytes);

/* Empties the queue without committing (reset). */
void store_queue_clear(struct cpu *cpu);

/* Entries oldest first, at VISIT_MACHINE. */
void store_queue_visit(struct cpu *cpu, struct visitor *v);

#endif
