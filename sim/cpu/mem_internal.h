#ifndef ORRERY_CPU_MEM_INTERNAL_H
#define ORRERY_CPU_MEM_INTERNAL_H

/* What the files of the memory path share (mem.c, mem_translate.c, mem_host.c, store_queue.c); nobody else
 * includes it. The path of a TLB hit is inline here because every store of a TSO run takes it. */

#include "cpu/cpu.h"
#include "mmu/walk.h"

/* A translated access: physical address and the data word of the page. */
struct place {
    phys_t at;
    uint64_t data;
    uint32_t slot; /* of the TLB; TLB_ENTRIES: not translated */
};

static inline unsigned mem_pcid(const struct cpu *cpu)
{
    return (cpu->cr4 & CR4_PCIDE) ? (unsigned)(cpu->cr3 & 0xfff) : 0;
}

static inline struct paging mem_paging(const struct cpu *cpu)
{
    uint8_t mode = !(cpu->cr0 & CR0_PG)     ? PAGING_NONE
                   : (cpu->efer & EFER_LMA) ? PAGING_4LEVEL
                   : (cpu->cr4 & CR4_PAE)   ? PAGING_PAE
                                            : PAGING_32BIT;
    return (struct paging){.cr3 = cpu->cr3,
                           .pdpte = cpu->tlb.pdpte,
                           .mode = mode,
                           .wp = (cpu->cr0 & CR0_WP) != 0,
                           .pse = (cpu->cr4 & CR4_PSE) != 0,
                           .pge = (cpu->cr4 & CR4_PGE) != 0,
                           .nxe = (cpu->efer & EFER_NXE) != 0,
                           .smep = (cpu->cr4 & CR4_SMEP) != 0,
                           .smap = (cpu->cr4 & CR4_SMAP) != 0};
}

/* ACCESS_* of an explicit access at the current privilege. */
static inline unsigned mem_access(const struct cpu *cpu, unsigned kind)
{
    return kind | (cpu->cpl == 3 ? ACCESS_USER : 0) | ((cpu->rflags & RFLAGS_AC) ? ACCESS_AC : 0);
}

/* Misses, refusals, first writes to clean pages, and no paging at all. False: cpu->fault. */
bool mem_translate_slow(struct cpu *cpu, lin_t a, unsigned access, struct place *out);

/* Translates one address, whose page alone counts. False: cpu->fault. */
static inline bool mem_translate(struct cpu *cpu, lin_t a, unsigned access, struct place *out)
{
    if ((cpu->cr0 & CR0_PG) && lin_is_canonical(a)) {
        unsigned page_shift;
        const struct tlb_entry *e = tlb_lookup(&cpu->tlb, a, mem_pcid(cpu), &page_shift);
        struct paging p = mem_paging(cpu);
        if (e && walk_allows(&p, access, e->data) &&
            ((access & (ACCESS_WRITE | ACCESS_NO_DIRTY)) != ACCESS_WRITE || (e->data & TLB_D))) {
            *out = (struct place){walk_physical(e->data, page_shift, a), e->data,
                                  (uint32_t)(e - cpu->tlb.entries)};
            return true;
        }
    }
    return mem_translate_slow(cpu, a, access, out);
}

/* Is #AC in force for explicit accesses? */
static inline bool mem_checks_alignment(const struct cpu *cpu)
{
    return (cpu->rflags & RFLAGS_AC) && cpu->cpl == 3 && (cpu->cr0 & CR0_AM);
}

/* Does any debug register watch anything? */
static inline bool mem_watches(const struct cpu *cpu)
{
    return (cpu->dr7 & 0xff) != 0;
}

/* Is RAM behind the whole access? */
static inline bool mem_is_ram(const struct cpu *cpu, const struct place *p, unsigned size_bytes)
{
    return (p->data & TLB_RAM) || ram_contains(&cpu->bus->ram, p->at, size_bytes);
}

/* Uncached by the PAT entry of its page. */
static inline bool mem_is_uncached(const struct cpu *cpu, uint64_t data)
{
    unsigned type = (unsigned)(cpu->msrs.pat >> (8 * ((data & TLB_PAT) >> TLB_PAT_SHIFT))) & 7;
    return (type == 0 || type == 7) && (cpu->cr0 & CR0_PG);
}

/* Host-pointer entries of a mode, after an access of that mode to RAM at a has gone the slow way: an explicit one of
 * the current mode, or an implicit one of MEM_SUPERVISOR. */
void mem_host_fill_read(struct cpu *cpu, enum mem_mode mode, lin_t a, const struct place *p);
void mem_host_fill_write(struct cpu *cpu, enum mem_mode mode, lin_t a, const struct place *p);

/* Drops the host entries of a linear page in every mode; of it only the read tags; and its code entries
 * besides. */
void mem_host_drop_reads(struct cpu *cpu, uint64_t lin_page);
void mem_drop_page(struct cpu *cpu, uint64_t lin_page);
/* Host and code entries of all pages from linear address first to first + 2^shift - 1. */
void mem_drop_range(struct cpu *cpu, uint64_t first, unsigned shift);
/* All host and code entries. */
void mem_drop_all(struct cpu *cpu);

#endif
