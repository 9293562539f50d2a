/*
 * Per-CPU caches of single frames: a stack of up to 64 frames of the CPU's own node, zone Normal, and one of up to 32 that hold
 * nothing but zeros, as a page table does when it has lost its last entry. The lock is the CPU's own and practically never
 * contended; it exists so that any CPU can empty the cache of another, which makes exhaustion and hotplug exact.
 * Deviations: none.
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

/* Gives the oldest n frames of a stack back to their zone. Locked. */
static void spill(struct frame_cpu *cpu, uint32_t *frames, uint32_t *count, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        frame_table[frames[i]].state = FRAME_FREE;
    }
    zone_give_batch(local_zone(cpu), frames, n);
    memmove(frames, frames + n, (*count - n) * sizeof frames[0]);
    *count -= n;
}

/* Zeroed frames go to who wants zeros, to others when nothing else is left. */
bool frame_cpu_take(pfn_t *pfn, bool *zeroed)
{
    uint64_t flags = arch_irq_save();
    struct frame_cpu *cpu = &frame_manager.cpus[arch_cpu_id()];
    spin_lock(&cpu->lock);
    bool good = *zeroed && cpu->zeroed_count > 0;
    if (!good && cpu->count == 0) {
        refill(cpu);
        good = cpu->count == 0 && cpu->zeroed_count > 0;
    }
    bool done = good || cpu->count > 0;
    if (done) {
        *pfn = good ? cpu->zeroed[--cpu->zeroed_count] : cpu->frames[--cpu->count];
        cpu->allocated++;
    }
    *zeroed = good;
    spin_unlock(&cpu->lock);
    arch_irq_restore(flags);
    return done;
}

/* Up to n frames of the stack, which is refilled when it is empty: how many. Locked. */
static unsigned pop(struct frame_cpu *cpu, pfn_t *frames, unsigned n)
{
    if (n != 0 && cpu->count == 0) {
        refill(cpu);
    }
    unsigned got = n < cpu->count ? n : cpu->count;
    for (unsigned i = 0; i < got; i++) {
        frames[i] = cpu->frames[--cpu->count];
    }
    return got;
}

/* Interrupts come between refills, and the thread may go to another CPU: zeroed frames are of the first one only. */
unsigned frame_cpu_take_some(pfn_t *frames, unsigned n, unsigned *zeroed)
{
    const bool wants_zeroed = *zeroed != 0;
    unsigned got = 0;
    unsigned before;
    do {
        uint64_t flags = arch_irq_save();
        struct frame_cpu *cpu = &frame_manager.cpus[arch_cpu_id()];
        before = got;
        spin_lock(&cpu->lock);
        while (before == 0 && wants_zeroed && got < n && cpu->zeroed_count > 0) {
            frames[got++] = cpu->zeroed[--cpu->zeroed_count];
        }
        *zeroed = before == 0 ? got : *zeroed;
        got += pop(cpu, frames + got, n - got);
        cpu->allocated += got - before;
        spin_unlock(&cpu->lock);
        arch_irq_restore(flags);
    } while (got < n && got != before);
    return got;
}

/*
 * Gives the oldest n frames of a stack back, a few at a time, so that interrupts are off for short; how many. The CPU may use
 * its cache meanwhile: each of the frames goes back or is taken by it, what it pushes stays.
 */
static unsigned give_back(struct frame_cpu *cpu, uint32_t *frames, uint32_t *count, uint32_t n)
{
    uint32_t left = n;
    while (left > 0) {
        uint64_t flags = spin_lock_irqsave(&cpu->lock);
        n -= left > *count ? left - *count : 0;
        left = left < *count ? left : *count;
        uint32_t step = left < FRAME_CPU_STEP ? left : FRAME_CPU_STEP;
        spill(cpu, frames, count, step);
        spin_unlock_irqrestore(&cpu->lock, flags);
        left -= step;
    }
    return n;
}

/* True: room had to be made, and there should be more of it. Locked. */
static bool push(struct frame_cpu *cpu, pfn_t pfn, bool zeroed)
{
    if (zeroed && cpu->zeroed_count < FRAME_CPU_ZEROED) {
        cpu->zeroed[cpu->zeroed_count++] = (uint32_t)pfn;
        return false;
    }
    bool full = cpu->count == FRAME_CPU_CAPACITY;
    if (full) {
        spill(cpu, cpu->frames, &cpu->count, FRAME_CPU_STEP);
        cpu->spills++;
    }
    cpu->frames[cpu->count++] = (uint32_t)pfn;
    return full;
}

bool frame_cpu_give(pfn_t pfn, struct page_frame *frame, bool zeroed)
{
    uint64_t flags = arch_irq_save();
    struct frame_cpu *cpu = &frame_manager.cpus[arch_cpu_id()];
    bool local = frame->zone == FRAME_ZONE_NORMAL && frame->node == cpu->node;
    bool full = false;
    if (local) {
        spin_lock(&cpu->lock);
        frame->state = FRAME_CACHED;
        full = push(cpu, pfn, zeroed);
        cpu->freed++;
        spin_unlock(&cpu->lock);
    }
    arch_irq_restore(flags);
    if (__builtin_expect(full, 0)) {
        give_back(cpu, cpu->frames, &cpu->count, FRAME_CPU_BATCH - FRAME_CPU_STEP);
    }
    return local;
}

void frame_cpu_drain(unsigned cpu_number)
{
    struct frame_cpu *cpu = &frame_manager_get()->cpus[cpu_number];
    uint32_t cached = __atomic_load_n(&cpu->count, __ATOMIC_RELAXED);
    uint32_t zeroed = __atomic_load_n(&cpu->zeroed_count, __ATOMIC_RELAXED);
    unsigned given = give_back(cpu, cpu->frames, &cpu->count, cached);
    given += give_back(cpu, cpu->zeroed, &cpu->zeroed_count, zeroed);
    __atomic_fetch_add(&cpu->drains, given > 0 ? 1 : 0, __ATOMIC_RELAXED);
}

void frame_cpu_drain_all(void)
{
    for (unsigned i = 0; i < frame_manager_get()->cpu_count; i++) {
        frame_cpu_drain(i);
    }
}

uint64_t frame_cpu_stamp(bool is_free)
{
    const struct frame_cpu *cpu = &frame_manager.cpus[arch_cpu_id()];
    uint64_t calls = is_free ? cpu->freed : cpu->allocated;
    return calls % FRAME_TIMED_ONE_IN == 0 && frame_manager.timestamp ? frame_manager.timestamp() : 0;
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
