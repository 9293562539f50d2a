#ifndef ORRERY_CPU_MEM_H
#define ORRERY_CPU_MEM_H

/*
 * Linear memory access of a vCPU: paging, store commit stage, RAM or bus. Segmentation comes before it
 * (segment.h). Every function returns false when the access faults; cpu->fault then holds #PF (or #AC, #GP
 * for a non-canonical address made inside) and nothing was changed but A bits. Addresses are linear, any
 * alignment; an access that crosses a page is checked on both pages before anything is done.
 *
 * The plain functions use the privilege of CPL (and RFLAGS.AC under SMAP); the _system ones are implicit
 * supervisor accesses (descriptor tables, TSS, IDT, interrupt frames pushed to an inner level).
 */

#include "core/event.h"
#include "cpu/cpu.h"

/* size_bytes: 1, 2, 4 or 8. */
bool mem_read(struct cpu *cpu, lin_t a, unsigned size_bytes, uint64_t *out);
bool mem_write(struct cpu *cpu, lin_t a, unsigned size_bytes, uint64_t value);
bool mem_read_system(struct cpu *cpu, lin_t a, unsigned size_bytes, uint64_t *out);
bool mem_write_system(struct cpu *cpu, lin_t a, unsigned size_bytes, uint64_t value);

/* Blocks of up to 4096 bytes (16 for SSE, 512 FXSAVE, more XSAVE). */
bool mem_read_bytes(struct cpu *cpu, lin_t a, void *out, unsigned size_bytes);
bool mem_write_bytes(struct cpu *cpu, lin_t a, const void *bytes, unsigned size_bytes);

/* Would a write (read) of size_bytes at the current privilege succeed? Sets A (and for writes D), fills the
 * TLB. */
bool mem_probe_write(struct cpu *cpu, lin_t a, unsigned size_bytes);
bool mem_probe_read(struct cpu *cpu, lin_t a, unsigned size_bytes);

/* The part of an access that lies in one page. */
struct mem_piece {
    phys_t at;
    uint64_t data; /* of its TLB entry */
    uint32_t slot; /* of that, or TLB_ENTRIES */
    unsigned size_bytes;
};

/* Read-modify-write. begin checks write access and reads; commit cannot fault. locked drains the store queue
 * before and makes both one step. size_bytes 1, 2, 4, 8; 16 through old2/value2 (CMPXCHG16B), otherwise
 * NULL/0. */
struct mem_rmw {
    lin_t address;
    unsigned size_bytes;
    bool locked;
    uint64_t old, old2;
    struct mem_piece pieces[2]; /* begin's answer to commit */
};

bool mem_rmw_begin(struct cpu *cpu, lin_t a, unsigned size_bytes, bool locked, struct mem_rmw *rmw);
void mem_rmw_commit(struct cpu *cpu, const struct mem_rmw *rmw, uint64_t value, uint64_t value2);

/* Instruction fetch: up to 15 bytes from linear address a within its page (*got), through the fetch latch.
 * *page_phys is the physical address of the first byte. False: #PF at a. A second call fetches the next page.
 */
bool mem_fetch(struct cpu *cpu, lin_t a, uint8_t *bytes, unsigned want_bytes, unsigned *got_bytes,
               phys_t *at);

/* Translates for execution only (block lookup): sets the fetch latch, fills the TLB; false: #PF. */
bool mem_fetch_translate(struct cpu *cpu, lin_t a, phys_t *out);

/* Has this vCPU stores queued to the physical page? Its code must then be fetched by mem_fetch, which sees
 * them, and must not enter a cache that others share. */
bool mem_store_pending(const struct cpu *cpu, phys_t page);

/* Store commit stage: drain everything; the first entry (exploration); drain what is due at now. */
void mem_drain(struct cpu *cpu);
void mem_drain_one(struct cpu *cpu);
void mem_drain_due(struct cpu *cpu, uint64_t now_cycles);

/* Moment the first entry is due (or EVENT_NEVER). */
static inline uint64_t mem_drain_next(const struct cpu *cpu)
{
    return cpu->stores.count ? cpu->stores.entries[cpu->stores.head].due_cycles : EVENT_NEVER;
}

/* TLB maintenance by instructions: each also drops host-pointer entries and the fetch latch. */
void mem_invlpg(struct cpu *cpu, lin_t a);
enum invpcid_type { INVPCID_ADDRESS, INVPCID_SINGLE, INVPCID_ALL_GLOBAL, INVPCID_ALL };
void mem_invpcid(struct cpu *cpu, enum invpcid_type type, uint16_t pcid, lin_t a);
void mem_cr3_written(struct cpu *cpu, bool keep); /* keep: bit 63 of the source was set under PCIDE */
void mem_flush_all(struct cpu *cpu);              /* CR0.PG, CR4.PAE/PGE/PCIDE/SMEP..., EFER.NXE changes */
void mem_drop_host_entries(struct cpu *cpu);      /* all three tables, all tags */

/* Replaces TLB entry index (below TLB_ENTRIES) by nothing, as the processor may at any time (exploration). */
void mem_tlb_evict(struct cpu *cpu, unsigned index);

/* Legacy PAE paging: loads the PDPTE registers from the table at cr3. To be called before a MOV CR3 is
 * committed, and a MOV CR0 or CR4 that changes PG, CD, NW, PAE, PGE, PSE or SMEP, when PG and PAE will be set
 * and LMA clear. False: a present entry has reserved bits; cpu->fault is #GP(0) and the registers are as they
 * were. */
bool mem_load_pdptes(struct cpu *cpu, uint64_t cr3);

/* CPL or RFLAGS.AC changed (end of cpu_update_mode): the user's host entries die when alignment is to be
 * checked. */
void mem_mode_changed(struct cpu *cpu);

/* Empties TLB, latch, store queue (keeping its capacity and delay) and accelerators, as a reset does. */
void mem_init(struct cpu *cpu);

/* TLB, fetch latch, queued stores. Host entries are dropped, since what is visited may have been loaded. */
void mem_visit(struct cpu *cpu, struct visitor *v);

/* Debugger's view: translates without side effects for a supervisor read; false: not mapped. */
bool mem_peek_translate(const struct cpu *cpu, lin_t a, phys_t *out);

/* A translation that a vCPU has cached and memory does not have. */
struct mem_stale {
    lin_t linear;    /* first address of the page, or of what the table covers */
    phys_t physical; /* of the page or the table */
    unsigned page_shift;
    bool table;
};

/*
 * For observers: the next entry of the translation caches, from *index on (0 at first), that the vCPU could use as its registers
 * are, and for which the tables in memory lead elsewhere, nowhere, or grant less. False: there are no more. Only of 4-level
 * paging; accessed and dirty bits do not count. Moves *index on.
 */
bool mem_next_stale(const struct cpu *cpu, unsigned *index, struct mem_stale *out);

/* MONITOR: arms the cache line of a (a read access); a store to it by anyone wakes MWAIT. */
bool mem_monitor(struct cpu *cpu, lin_t a);

/* Who asks the bus, and when. */
static inline struct bus_cx mem_bus_context(const struct cpu *cpu)
{
    return (struct bus_cx){.now_cycles = cpu_now(cpu), .cpu = cpu->number};
}

/* Fast paths: the host address of an access within one page, or NULL when the slow path must be taken (always where accesses
 * are timed: it notes them). The comparison
 * of the last byte's page covers page crossings. */
static inline uint8_t *mem_host_at(const struct host_entry *entries, uint64_t a, unsigned size_bytes)
{
    const struct host_entry *e = &entries[(a >> PAGE_SHIFT) % HOST_ENTRIES];
    uint64_t page = (a + size_bytes - 1) & ~(uint64_t)PAGE_MASK_BITS;
    return __builtin_expect(e->tag == page, 1) ? (uint8_t *)(e->addend + a) : NULL;
}

static inline const uint8_t *mem_host_read(const struct cpu *cpu, uint64_t a, unsigned size_bytes)
{
    return cpu->timing ? NULL : mem_host_at(cpu->host->read, a, size_bytes);
}

static inline uint8_t *mem_host_write(const struct cpu *cpu, uint64_t a, unsigned size_bytes)
{
    return cpu->timing ? NULL : mem_host_at(cpu->host->write, a, size_bytes);
}

/* The same for implicit supervisor accesses, whatever the privilege. */
static inline const uint8_t *mem_host_read_system(const struct cpu *cpu, uint64_t a, unsigned size_bytes)
{
    return cpu->timing ? NULL : mem_host_at(cpu->host_tables[MEM_SUPERVISOR].read, a, size_bytes);
}

static inline uint8_t *mem_host_write_system(const struct cpu *cpu, uint64_t a, unsigned size_bytes)
{
    return cpu->timing ? NULL : mem_host_at(cpu->host_tables[MEM_SUPERVISOR].write, a, size_bytes);
}

#endif
