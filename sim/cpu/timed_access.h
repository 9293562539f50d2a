#ifndef ORRERY_CPU_TIMED_ACCESS_H
#define ORRERY_CPU_TIMED_ACCESS_H

/* Accesses of specialised handlers under the timing model: p is the host address of plain RAM whose page has a host entry, so
 * that the first-level TLB has it. They see and go through the store queue. */

#include "cpu/store_queue.h"
#include "cpu/timed.h"

static inline void timed_note_near(struct cpu *cpu, enum timing_access_kind kind, uint64_t at,
                                   unsigned size_bytes)
{
    struct timing_access *a = &cpu->accesses[cpu->access_count++];
    a->at = at;
    a->number = 0;
    a->size_bytes = (uint8_t)size_bytes;
    a->kind = (uint8_t)kind;
    a->rest = false;
}

static inline uint64_t timed_load(struct cpu *cpu, const uint8_t *p, unsigned w)
{
    uint64_t at = (uint64_t)(p - cpu->bus->ram.base), v = 0;
    const uint8_t *granules = cpu->tlb.granules;
    timed_note_near(cpu, TIMING_LOAD, at, w / 8);
    if (OP_UNLIKELY((granules[store_queue_granule(at)] | granules[store_queue_granule(at + w / 8 - 1)]) !=
                    0)) {
        return store_queue_load(cpu, phys(at), w / 8);
    }
    memcpy(&v, p, w / 8);
    return v;
}

static inline void timed_store(struct cpu *cpu, uint8_t *p, uint64_t v, unsigned w)
{
    uint64_t at = (uint64_t)(p - cpu->bus->ram.base);
    timed_note_near(cpu, TIMING_STORE, at, w / 8);
    cpu->access_stores++;
    if (cpu->stores.capacity != 0) {
        store_queue_push(cpu, phys(at), w / 8, v);
    } else {
        memcpy(p, &v, w / 8);
    }
}

#endif
