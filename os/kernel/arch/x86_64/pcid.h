#ifndef OS_KERNEL_ARCH_X86_64_PCID_H
#define OS_KERNEL_ARCH_X86_64_PCID_H

/* The address space of a CPU, and what its TLB holds of others (process-context identifiers). */

#include <stdint.h>

#include "types.h"

struct address_space;
struct cpu;
struct tlb_gather;

/* Spaces of which a CPU keeps translations while they are not loaded. Slot n has PCID n + 1; the kernel's own
 * tables have PCID 0. */
#define TLB_SLOTS 8u

#define CR3_KEEP (1ull << 63) /* keep what the TLB holds of the PCID that is loaded */

struct tlb_slot {
    uint64_t context;    /* address_space.tlb_context, 0: empty */
    uint64_t generation; /* flushes of that space that this CPU has done or needs not do */
};

/*
 * Loads an address space (null: the kernel's own tables) and keeps its CPU mask right. What this CPU holds of the
 * space from an earlier time is used again unless something of it was flushed since. Interrupts off.
 */
KEEPS_REGISTERS void arch_space_load(struct cpu *cpu, struct address_space *space);

/*
 * This CPU's part of a flush: drops the gathered translations, of the kernel half or of the space that is loaded.
 * `generation` is the space's at the flush. Of a space that is not loaded nothing is done: it is dropped when it
 * is loaded the next time. Interrupts off.
 */
void arch_tlb_gather_flush(struct cpu *cpu, const struct tlb_gather *gather, uint64_t generation);

#endif
