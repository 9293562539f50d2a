/*
 * Per-CPU caches of single frames: a stack of up to 64 frames of the CPU's own node, zone Normal. The lock is
 * the CPU's own and practically never contended; it exists so that any CPU can empty the cache of another,
 * which makes exhaustion and hotplug exact. Deviations: none.
 */

#include "lib/string.h"
#include "mm/frame_internal.h"

static struct frame_zone *local_zone(const struct frame_cpu *cpu)
{
    return &frame_manager.nodes[cpu->node].zones[FRAME_ZONE_NORMAL];
}

/* Fills an empty cache. Locked. */
static void refill(struct frame_cpu *cpu)
{
    struct frame_zone *zone = local_zone(cpu);
    unsigned got = zone_take_batch(zone, FRAME_CPU_BATCH, zone->min_mark, cpu->frames);
    for (unsigned i = 0; i < got; i++) {
        frame_table[cpu->frames[i]].state = FRAME_CACHED;
    }
    cpu->count = got;
    cpu->refills += got > 0 ? 1 : 0;
}

/* Gives the oldest n frames back to their zone. Locked. */
static void spill(struct frame_cpu *cpu, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        frame_table[cpu->frames[i]].state = FRAME_FREE;
    }
    for (unsigned i = 0; i < n; i++) {
        zone_give(cpu->frames[i], 1, false);
    }
    memmove(cpu->frames, cpu->frames + n, (cpu->count - n) * sizeof cpu->frames[0]);
    cpu->count -= n;
}

bool frame_cpu_take(pfn_t *pfn)
{
    uint64_t flags = arch_irq_save();
    struct frame_cpu *cpu = &frame_manager.cpus[arch_cpu_id()];
    spin_lock(&cpu->lock);
    if (cpu->count == 0) {
        refill(cpu);
    }
    bool done = cpu->count > 0;
    if (done) {
        *pfn = cpu->frames[--cpu->count];
        cpu->allocated++;
    }
    spin_unlock(&cpu->lock);
    arch_irq_restore(flags);
    return done;
}

bool frame_cpu_give(pfn_t pfn, struct page_frame *frame)
{
    uint64_t flags = arch_irq_save();
    struct frame_cpu *cpu = &frame_manager.cpus[arch_cpu_id()];
    bool local = frame->zone == FRAME_ZONE_NORMAL && frame->node == cpu->node;
    if (local) {
        spin_lock(&cpu->lock);
        if (cpu->count == FRAME_CPU_CAPACITY) {
            spill(cpu, FRAME_CPU_BATCH);
            cpu->spills++;
        }
        frame->state = FRAME_CACHED;
        cpu->frames[cpu->count++] = (uint32_t)pfn;
        cpu->freed++;
        spin_unlock(&cpu->lock);
    }
    arch_irq_restore(flags);
    return local;
}

void frame_cpu_drain(unsigned cpu_number)
{
    struct frame_cpu *cpu = &frame_manager_get()->cpus[cpu_number];
    uint64_t flags = spin_lock_irqsave(&cpu->lock);
    if (cpu->count > 0) {
        spill(cpu, cpu->count);
        cpu->drains++;
    }
    spin_unlock_irqrestore(&cpu->lock, flags);
}

void frame_cpu_drain_all(void)
{
    for (unsigned i = 0; i < frame_manager_get()->cpu_count; i++) {
        frame_cpu_drain(i);
    }
}

void frame_cpu_note_latency(bool is_free, uint64_t start)
{
    uint64_t took = frame_manager.timestamp() - start;
    unsigned bucket = took == 0 ? 0 : 63u - (unsigned)__builtin_clzll(took);
    bucket = bucket < FRAME_LATENCY_BUCKETS ? bucket : FRAME_LATENCY_BUCKETS - 1;
    uint64_t flags = arch_irq_save();
    struct frame_cpu *cpu = &frame_manager.cpus[arch_cpu_id()];
    (is_free ? cpu->free_latency : cpu->alloc_latency)[bucket]++;
    arch_irq_restore(flags);
}

void frame_cpu_note_failure(void)
{
    uint64_t flags = arch_irq_save();
    frame_manager.cpus[arch_cpu_id()].failures++;
    arch_irq_restore(flags);
}
