/*
 * TLB shootdown with acknowledgement. Each CPU owns one request record; a set bit n in cpu->shootdown_pending
 * says "CPU n's request waits for you". The target invalidates, then clears its bit in the initiator's
 * `waiting` mask.
 *
 * Why no CPU can be missed: pcid.c. Why no deadlock: whoever waits here serves others meanwhile, and arch_pause
 * does so in every spin loop.
 */
#include "smp/ipi.h"

#include "arch/x86_64/lapic.h"
#include "arch/x86_64/pcid.h"
#include "arch/x86_64/percpu.h"
#include "arch/x86_64/vectors.h"
#include "mm/tlb.h"
#include "mm/vm.h"

struct request {
    const struct tlb_gather *gather;
    uint64_t generation; /* of the gather's space, after this flush */
    uint64_t waiting;    /* CPUs that have not acknowledged */
} __attribute__((aligned(64)));

static struct request requests[ARCH_MAX_CPUS];

void shootdown_serve(void)
{
    struct cpu *cpu = cpu_this();
    uint64_t pending = __atomic_exchange_n(&cpu->shootdown_pending, 0, __ATOMIC_ACQUIRE);
    for (; pending != 0; pending &= pending - 1) {
        struct request *request = &requests[__builtin_ctzll(pending)];
        arch_tlb_gather_flush(cpu, request->gather, request->generation);
        cpu->shootdowns_served++;
        __atomic_and_fetch(&request->waiting, ~(1ull << cpu->id), __ATOMIC_RELEASE);
    }
}

void ipi_handle_shootdown(void)
{
    shootdown_serve();
}

static void send(struct cpu *self, const struct tlb_gather *gather, uint64_t generation, uint64_t targets)
{
    struct request *request = &requests[self->id];
    request->gather = gather;
    request->generation = generation;
    __atomic_store_n(&request->waiting, targets, __ATOMIC_RELEASE);
    for (uint64_t left = targets; left != 0; left &= left - 1) {
        struct cpu *target = cpu_table[__builtin_ctzll(left)];
        __atomic_or_fetch(&target->shootdown_pending, 1ull << self->id, __ATOMIC_SEQ_CST);
        lapic_send(target->apic_id, VECTOR_SHOOTDOWN);
    }
    self->shootdowns_sent++;
    while (__atomic_load_n(&request->waiting, __ATOMIC_ACQUIRE) != 0) {
        shootdown_serve();
        arch_pause();
    }
}

void shootdown_flush(const struct tlb_gather *gather)
{
    uint64_t flags = arch_irq_save();
    struct cpu *self = cpu_this();
    __atomic_thread_fence(__ATOMIC_SEQ_CST); /* the tables were changed before the masks are read */
    uint64_t targets = cpu_online_mask();
    uint64_t generation = 0;
    if (gather->space != NULL) {
        generation = __atomic_add_fetch(&gather->space->tlb_generation, 1, __ATOMIC_SEQ_CST);
        targets &= __atomic_load_n(&gather->space->cpu_mask, __ATOMIC_SEQ_CST);
    }
    arch_tlb_gather_flush(self, gather, generation);
    targets &= ~(1ull << self->id);
    if (targets != 0) {
        send(self, gather, generation, targets);
    }
    arch_irq_restore(flags);
}
