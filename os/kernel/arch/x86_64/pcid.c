/*
 * Address spaces on a CPU. Sources: AMD64 APM volume 2, "Process Context Identifiers", "TLB Management"; volume 3,
 * INVPCID, INVLPG; Intel SDM volume 3A, "Invalidation of TLBs and Paging-Structure Caches".
 *
 * With PCID, a CPU keeps the translations of the last TLB_SLOTS spaces it ran. A flush of a space raises its
 * tlb_generation and interrupts only CPUs that have it loaded; a CPU whose slot is behind drops everything of the
 * slot before it uses it again. No flush can be missed: the initiator changes the tables, raises the generation,
 * then reads the CPU mask; a CPU sets its bit in the mask, then reads the generation; all are locked operations.
 * So either the initiator sees the bit and sends an interrupt, or the CPU sees the generation. A space's
 * tlb_context is never given twice, so a slot cannot be taken for that of a later space in the same memory.
 *
 * Kernel mappings are global: INVLPG drops them whatever the PCID. Paging-structure entries are not; when a kernel
 * table is freed, everything goes. Without PCID every load of CR3 drops what is not global.
 */
#include "arch/x86_64/pcid.h"

#include "arch/arch.h"
#include "arch/x86_64/features.h"
#include "arch/x86_64/kmap.h"
#include "arch/x86_64/percpu.h"
#include "mm/tlb.h"
#include "mm/vm.h"

#define INVPCID_ALL_CONTEXTS 2ull /* and global translations */

void arch_tlb_flush_all(void)
{
    if (features()->invpcid) {
        const uint64_t descriptor[2] = {0, 0};
        __asm__ volatile("invpcid %0, %1" : : "m"(descriptor), "r"(INVPCID_ALL_CONTEXTS) : "memory");
        return;
    }
    uint64_t cr4 = cr4_read();
    if (cr4 & CR4_PGE) {
        cr4_write(cr4 & ~CR4_PGE);
        cr4_write(cr4);
    } else {
        cr3_write(cr3_read());
    }
}

/* The slot of a space; when it has none, the one that was taken longest ago, emptied for it. */
static __attribute__((noinline)) unsigned find_slot(struct cpu *cpu, uint64_t context)
{
    for (unsigned i = 0; i < TLB_SLOTS; i++) {
        if (cpu->tlb_slots[i].context == context) {
            return i;
        }
    }
    unsigned taken = cpu->tlb_next_slot;
    cpu->tlb_next_slot = (taken + 1) % TLB_SLOTS;
    cpu->tlb_slots[taken] = (struct tlb_slot){.context = context, .generation = UINT64_MAX};
    return taken;
}

/* A space often has the same slot on each CPU, and mostly the one of last time. */
static unsigned slot_for(struct cpu *cpu, struct address_space *space)
{
    unsigned number = __atomic_load_n(&space->tlb_slot_hint, __ATOMIC_RELAXED);
    if (__builtin_expect(cpu->tlb_slots[number].context != space->tlb_context, 0)) {
        number = find_slot(cpu, space->tlb_context);
        __atomic_store_n(&space->tlb_slot_hint, number, __ATOMIC_RELAXED);
    }
    return number;
}

static void load_with_pcid(struct cpu *cpu, struct address_space *space)
{
    if (space == NULL) {
        cr3_write(paddr_number(kmap_table()->root) | CR3_KEEP);
        return;
    }
    unsigned number = slot_for(cpu, space);
    struct tlb_slot *slot = &cpu->tlb_slots[number];
    uint64_t generation = __atomic_load_n(&space->tlb_generation, __ATOMIC_SEQ_CST);
    bool keep = slot->generation == generation;
    slot->generation = generation;
    cpu->tlb_slot = number;
    cpu->tlb_loads_kept += keep;
    cr3_write(paddr_number(space->table.root) | (number + 1) | (keep ? CR3_KEEP : 0));
}

void arch_space_load(struct cpu *cpu, struct address_space *space)
{
    struct address_space *old = cpu->space;
    if (old == space) {
        return;
    }
    uint64_t bit = 1ull << cpu->id;
    if (space != NULL) {
        __atomic_or_fetch(&space->cpu_mask, bit, __ATOMIC_SEQ_CST);
    }
    cpu->space = space;
    if (features()->pcid) {
        load_with_pcid(cpu, space);
    } else {
        cr3_write(paddr_number(space != NULL ? space->table.root : kmap_table()->root));
    }
    if (old != NULL) {
        __atomic_and_fetch(&old->cpu_mask, ~bit, __ATOMIC_SEQ_CST);
    }
}

static void flush_pages(const struct tlb_gather *gather)
{
    for (uint32_t i = 0; i < gather->page_count; i++) {
        arch_tlb_flush_page(gather->pages[i]);
    }
}

static void flush_kernel_half(const struct tlb_gather *gather)
{
    if (gather->full || (gather->tables_freed && features()->pcid)) {
        arch_tlb_flush_all();
    } else {
        flush_pages(gather);
    }
}

/* Page by page only when this is the one flush that the slot has not seen. */
static void flush_loaded_space(struct cpu *cpu, const struct tlb_gather *gather, uint64_t generation)
{
    struct tlb_slot *slot = &cpu->tlb_slots[cpu->tlb_slot];
    if (features()->pcid && slot->generation >= generation) {
        return; /* the space was loaded after it */
    }
    bool pages = !gather->full && (!features()->pcid || slot->generation + 1 == generation);
    if (pages) {
        slot->generation = generation;
        flush_pages(gather);
    } else {
        slot->generation = __atomic_load_n(&gather->space->tlb_generation, __ATOMIC_SEQ_CST);
        cr3_write(cr3_read()); /* bit 63 clear: everything of this PCID */
    }
}

void arch_tlb_gather_flush(struct cpu *cpu, const struct tlb_gather *gather, uint64_t generation)
{
    if (gather->space == NULL) {
        flush_kernel_half(gather);
    } else if (gather->space == cpu->space) {
        flush_loaded_space(cpu, gather, generation);
    }
}
