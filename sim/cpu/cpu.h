#ifndef ORRERY_CPU_CPU_H
#define ORRERY_CPU_CPU_H

/* One virtual CPU: its state, and the results that its parts hand to each other. Which file does what: docs/architecture.md,
 * "The rooms of sim/cpu". */

#include "base/rng.h"
#include "base/types.h"
#include "base/visit.h"
#include "core/bus.h"
#include "core/trace.h"
#include "cpu/regs.h"
#include "cpu/x87.h"
#include "cpu/xmm.h"
#include "mmu/tlb.h"
#include "timing/cost.h"
#include "timing/model.h"
#include "timing/record.h"

struct lapic;
struct block;
struct block_cache;
struct op;
struct insn;
struct cpuid_model;

/* A segment register. attr holds bits 55..40 of the descriptor without the limit: type(3:0) S(4) DPL(6:5) P(7)
 * AVL(12) L(13) D/B(14) G(15). limit is in bytes, already scaled by G. A null selector has P = 0. */
struct segment {
    uint64_t base;
    uint32_t limit;
    uint16_t selector;
    uint16_t attr;
};

#define SEG_TYPE 0x000fu
#define SEG_S    0x0010u
#define SEG_DPL  0x0060u
#define SEG_P    0x0080u
#define SEG_AVL  0x1000u
#define SEG_L    0x2000u
#define SEG_DB   0x4000u
#define SEG_G    0x8000u

struct table_reg {
    uint64_t base;
    uint32_t limit;
};

/* A guest fault: made where it is found, delivered in exception.c and nowhere else. */
struct fault {
    uint8_t vector;
    bool has_error;
    bool soft; /* INT n, INT3, INTO, INT1: rip pushed is the next instruction's */
    bool int1; /* INT1: soft, but no gate privilege guards it */
    uint32_t error;
    uint64_t cr2; /* #PF: the linear address */
    uint64_t dr6; /* #DB: bits to set */
    uint64_t
        wait_until; /* no fault: the instruction waits until then, and is tried again (timed.h); 0: a fault */
};

/* What an instruction's execution leads to. */
enum flow {
    FLOW_NEXT,   /* done; go on at rip + length */
    FLOW_JUMP,   /* done; cpu->rip is already the target */
    FLOW_REPEAT, /* one iteration of a repeated instruction is done; rip stays */
    FLOW_FAULT,  /* nothing was changed; cpu->fault says what to deliver */
    FLOW_STOP    /* not modelled; cpu->stop_text says what; nothing was changed */
};

/* Why cpu_run came back. */
enum cpu_stop {
    CPU_STOP_DEADLINE, /* the clock reached the deadline, or the moment at which a queued store is due */
    CPU_STOP_BREAK,    /* something outside must be looked at (event queue changed, request raised, halt) */
    CPU_STOP_PROBE,    /* before the instruction at a probed address */
    CPU_STOP_SHUTDOWN, /* triple fault */
    CPU_STOP_NOT_MODELLED /* stop_text, rip and the bytes there say what */
};

enum cpu_activity {
    CPU_ACTIVE,
    CPU_HALTED,        /* HLT: waits for an interrupt */
    CPU_MWAIT,         /* MWAIT: waits for an interrupt or a store to the monitored line */
    CPU_WAIT_FOR_SIPI, /* after INIT on an application processor */
    CPU_SHUTDOWN
};

enum cpu_mode {
    MODE_REAL,
    MODE_PROT16,
    MODE_PROT32,
    MODE_LONG64
}; /* compatibility mode counts as PROT16/32 */

/* Shadows: interrupts (and, for MOV SS, #DB) are held off until after the next instruction. */
#define SHADOW_STI    1u
#define SHADOW_MOV_SS 2u

/* A host-pointer entry: a pure accelerator of the TLB for one linear page in one privilege mode. tag is the linear page
 * address, or HOST_TAG_NONE; host address = addend + linear address. */
struct host_entry {
    uint64_t tag;
    uintptr_t addend;
};

#define HOST_TAG_NONE UINT64_C(1)
#define HOST_ENTRIES  256u

/* Reads and writes have entries of their own, so that a copy between pages of one slot does not evict its source. */
struct host_table {
    struct host_entry read[HOST_ENTRIES], write[HOST_ENTRIES];
};

/* A code entry: the same for instruction fetch, one linear page in one privilege (0 supervisor, 1 user). It lets a
 * jump into another page go on without a TLB lookup, so it must die whenever the TLB entry it came from does, as
 * host entries must (cpu_drop_code_page, cpu_drop_code). */
struct code_entry {
    uint64_t tag; /* linear page address, or HOST_TAG_NONE */
    uint64_t phys_page;
    uint32_t slot; /* of the TLB entry */
};

#define CODE_ENTRIES 256u

/* Target of an indirect or page-crossing jump: the block to go on with, if the page's code entry still stands. It was
 * seen to stand when code_stamp was `stamp`, which moves whenever a code entry goes. */
struct jump_entry {
    _Alignas(32) uint64_t rip;
    uint64_t stamp; /* 0: never seen */
    struct block *block;
};

#define JUMP_ENTRIES 1024u

/* Privilege modes of data accesses; each has its own host-pointer table. */
enum mem_mode { MEM_SUPERVISOR, MEM_SUPERVISOR_AC, MEM_USER, MEM_MODE_COUNT };

#define STORE_QUEUE_MAX 64u

/* A store that has been translated and faulted, and waits to be seen by the others. */
struct store_entry {
    phys_t address;
    uint64_t value;
    uint64_t due_cycles; /* drains at this moment at the latest */
    uint8_t size_bytes;
};

struct store_queue {
    struct store_entry entries[STORE_QUEUE_MAX];
    uint32_t head, count;  /* ring */
    uint32_t capacity;     /* 0: sequentially consistent, stores commit at once */
    uint32_t drain_cycles; /* delay bound of the timed drain policy */
    uint64_t no_code; /* 1 + ram.code_pages when no entry was to a page with PAGE_CODE; 0: look; no state */
};

/* Front-end latch: the translation of the page instructions are being fetched from. Set on entering a page;
 * dies with the page, with any TLB invalidation and any change of paging mode or privilege; replacement in the
 * TLB does not touch it. Architectural: the same with and without a block cache. */
struct fetch_latch {
    bool valid;
    uint64_t lin_page, phys_page;
};

#define PERF_COUNTERS 4u /* that every AMD64 processor has */

/* Model-specific registers that are plain storage; the rest live where they act. Rows in msr.def. */
struct cpu_msrs {
    uint64_t star, lstar, cstar, sfmask, kernel_gs_base, tsc_aux, tsc_adjust;
    uint64_t sysenter_cs, sysenter_esp, sysenter_eip;
    uint64_t pat, mtrr_def_type, mtrr_fixed[11], mtrr_phys_base[8], mtrr_phys_mask[8];
    uint64_t microcode, debugctl, mcg_status, mcg_cap, syscfg, hwcr;
    uint64_t last_branch_from, last_branch_to, last_int_from, last_int_to;
    uint64_t perf_evt_sel[PERF_COUNTERS], perf_ctr[PERF_COUNTERS];
    uint64_t iorr_base[2], iorr_mask[2], top_mem, top_mem2;
    uint64_t mc_excep_redir, smm_base, smm_addr, smm_mask, nb_cfg, int_pending, de_cfg;
};

/* Slots behind the general registers, for the addresses of cached operations: "no register", always 0, and copies of
 * the bases of FS and GS, fresh while a chain of blocks runs. */
#define GPR_NONE  GPR_COUNT
#define GPR_FS    (GPR_COUNT + 1)
#define GPR_GS    (GPR_COUNT + 2)
#define GPR_SLOTS (GPR_COUNT + 3)

struct cpu {
    /* ---- hot ---- */
    uint64_t gpr[GPR_SLOTS]; /* architectural: the first GPR_COUNT */
    struct host_table *host; /* host_tables[mode of the current privilege] */
    /* The lazy status flags (flags.h) are kept apart from each other: neighbours would be stored as one vector, which
     * costs more. */
    uint64_t flag_left;
    int64_t left_cycles; /* deadline_cycles - clock; blocks charge it on entry */
    uint64_t flag_right;
    uint64_t retired; /* instructions completed */
    uint64_t flag_fix;
    uint64_t near_check, near_addend; /* twice the usual addend of host entries (mem_host.c) */
    uint64_t rip;                     /* offset in CS of the instruction at the boundary */
    bool chain_break;                 /* come back from cpu_run after this instruction */
    bool chain_cut;                   /* leave the chain of blocks after this instruction, cpu_run goes on */

    /* ---- architectural ---- */
    uint64_t rflags; /* without RFLAGS_STATUS, which is lazy */
    struct segment seg[SEG_COUNT], ldtr, tr;
    struct table_reg gdtr, idtr;
    uint64_t cr0, cr2, cr3, cr4, efer, xcr0;
    uint64_t dr[4], dr6, dr7;
    uint8_t cpl;
    uint8_t mode;     /* enum cpu_mode, derived (cpu_update_mode) */
    uint8_t mem_mode; /* enum mem_mode, derived */
    struct x87_state x87;
    union xmm xmm[16];
    uint32_t mxcsr;
    struct cpu_msrs msrs;
    struct rng random; /* RDRAND, RDSEED */
    uint8_t activity;  /* enum cpu_activity */
    uint8_t shadow;    /* SHADOW_* for the next instruction */
    bool nmi_blocked, nmi_pending, init_pending;
    uint16_t sipi_vector; /* 0x100 | vector when one is pending, else 0 */
    uint64_t pending_db;  /* DR6 bits of traps to report at the next boundary */
    bool monitor_armed;
    phys_t monitor_line;

    /* ---- machine level ---- */
    uint64_t deadline_cycles; /* clock = deadline_cycles - left_cycles at a boundary */
    struct tlb tlb;
    struct fetch_latch fetch;
    struct store_queue stores;
    uint64_t stall_cycles; /* added to the clock at the next boundary (the effect STALL) */

    /* ---- results handed between the parts; meaningless at a boundary ---- */
    struct fault fault;
    int64_t refund_cycles; /* charged for this block beyond the current instruction */
    char stop_text[96];

    /* ---- wiring and accelerators: never visited ---- */
    unsigned number;
    struct trace trace;
    struct bus *bus;
    struct lapic *lapic;
    struct block_cache *blocks;
    const struct cost_table *costs;
    /* The timing model's core, or NULL: instructions take what costs says. What the instruction has accessed so far. */
    struct timing_core *timing;
    struct timing_access accesses[TIMING_ACCESSES_MAX];
    unsigned access_count, access_stores;
    bool access_far; /* some were noted with all that the model may ask, or an observer wants to know */
    struct timing_access held[TIMING_HELD_MAX]; /* put aside by timed_hold */
    unsigned held_count;
    uint32_t
        store_room; /* with more stores queued, one that stores takes the slow way, and may have to wait */
    uint32_t fetch_slot;         /* of the TLB entry that the fetch latch came from, while it is being set */
    timing_record_fn *on_timing; /* an observer, or NULL */
    void *on_timing_target;
    enum timing_wait wait_reason; /* of fault.wait_until */
    uint64_t wait_line[2];
    uint64_t look_cycles;  /* within a stretch: its end, or when the oldest queued store is due; or sooner */
    uint64_t drain_key;    /* when the store drains that is being written to memory; 0: none is */
    uint64_t delivery_key; /* the clock at which what is being delivered began */
    uint64_t delivery_pc;  /* linear: the instruction that raised it, or before which it came */
    uint8_t step_mode;     /* enum cpu_mode before the instruction */
    bool cr3_kept;         /* the last load of CR3 kept the entries of its PCID */
    bool access_waits;     /* an access may make the instruction wait; not while an exception is delivered */
    bool ahead;            /* instructions run before their turn: cpu/ahead.h */
    uint64_t ahead_due;    /* meanwhile, when not 0: the moment at which the oldest queued store is due */
    const struct access_watches *watches; /* observers of accesses, or NULL */
    const struct cpuid_model *cpuid;
    /* The acknowledge cycle of an ExtINT interrupt: the 8259's vector. NULL on boards without one. */
    uint8_t (*pic_acknowledge)(void *target, uint64_t now_cycles);
    void *pic_target;
    /* Every vCPU must drop its host-pointer write entries: a page's flags gained a bit. Wired by the machine. */
    void (*drop_all_write_pointers)(void *target);
    void *machine_target;
    /* Where short slices go on: op step_number of the step block (block.h), while rip is step_rip. NULL: nowhere. */
    const struct block *step_block;
    uint64_t step_rip;
    unsigned step_number;
    const struct op *link_from; /* link that left the chain for want of a target (op.h) */
    const struct op *chain_op;  /* where a chain goes on that has left machine code (translate.c) */
    uint64_t chain_sum;         /* retired + left_cycles, while machine code runs */
    uint8_t exit_flow;          /* enum flow that the chain of blocks ended with */
    const struct insn
        *exit_insn; /* the instruction that ended it, if one did; valid until the next one runs */
    bool masked;    /* RFLAGS.IF was clear when it was last looked at (cpu_note_masked) */
    uint64_t masked_since, masked_cycles;
    bool drain_limited; /* left_cycles ends where the first queued store is due */
    bool probe_passed;  /* cpu_run stopped here for a probe: go on */
    uint64_t probe_rip;
    bool
        single_step_blocks; /* every block one instruction, plain execution functions: the oracle of the rest */
    /* When set: called at every boundary before events are taken, so more than once for an instruction that they hold up. */
    void (*step_hook)(struct cpu *cpu, void *target);
    void *step_hook_target;
    const struct code_entry *code; /* code_tables[user] */
    struct jump_entry *jumps;      /* jump_tables[user] */
    uint64_t code_stamp;           /* number of times that a code entry went, from 1 */
    uint64_t last_addend;          /* of the newest host entry */
    struct host_table host_tables[MEM_MODE_COUNT];
    struct code_entry code_tables[2][CODE_ENTRIES];
    struct jump_entry jump_tables[2][JUMP_ENTRIES];
};

struct cpu_config {
    unsigned number;
    struct bus *bus;
    struct lapic *lapic;
    struct block_cache *blocks; /* shared by all vCPUs of a machine */
    const struct cost_table *costs;
    struct timing_core *timing; /* or NULL */
    const struct cpuid_model *cpuid;
    uint64_t seed;           /* of RDRAND */
    uint32_t store_capacity; /* 0 = sc; else tso, at most STORE_QUEUE_MAX */
    uint32_t drain_cycles;
};

void cpu_init(struct cpu *cpu, const struct cpu_config *config);
void cpu_deinit(struct cpu *cpu);

/* Power-on state (APM vol. 2, "Processor Initialization State"): real mode at f000:fff0. */
void cpu_reset(struct cpu *cpu);
/* INIT: as reset, but keeps caches, FPU, MSRs where the manual says so; an AP then waits for SIPI. */
void cpu_init_signal(struct cpu *cpu, bool bootstrap);

/* Runs until the first boundary at which the clock is >= deadline_cycles, or another stop. Takes pending
 * interrupts at boundaries. Leaves stores that are due to the caller, who knows their order among the steps of others
 * (mem_drain_due), and does nothing until they are drained. The CPU must be CPU_ACTIVE (or about to wake, see cpu_wake). */
enum cpu_stop cpu_run(struct cpu *cpu, uint64_t deadline_cycles);

/* Under a timing model: goes on before its turn, up to deadline_cycles, with instructions that ask no other vCPU for anything;
 * others act at others_cycles at the soonest. False: it stands before one that has to wait for its turn. Stores that are due
 * are left to the caller. */
bool cpu_run_ahead(struct cpu *cpu, uint64_t others_cycles, uint64_t deadline_cycles);

/* True when a halted CPU has something to wake for; if so makes it active with clock >= now_cycles. */
bool cpu_wake(struct cpu *cpu, uint64_t now_cycles);

/* The clock. At a boundary it is the CPU's time; inside an instruction (exec functions, MMIO) it is the time of
 * that instruction. The framework keeps refund_cycles right in both cases. */
static inline uint64_t cpu_now(const struct cpu *cpu)
{
    return cpu->deadline_cycles - (uint64_t)(cpu->left_cycles + cpu->refund_cycles);
}

/* The linear address of the instruction at rip: 64-bit mode knows no base of CS, elsewhere addresses have 32 bits. */
static inline uint64_t cpu_linear_rip(const struct cpu *cpu)
{
    return cpu->mode == MODE_LONG64 ? cpu->rip : (uint32_t)(cpu->seg[SEG_CS].base + cpu->rip);
}

/* Moves the clock at a boundary (start phase, wake-up, stall). */
void cpu_set_clock(struct cpu *cpu, uint64_t now_cycles);

/* Asks that cpu_run come back with CPU_STOP_BREAK after the current instruction. */
static inline void cpu_request_break(struct cpu *cpu)
{
    cpu->chain_break = true;
}

/* Full RFLAGS, and setting it (the caller has masked what it may not change). */
uint64_t cpu_rflags(const struct cpu *cpu);
void cpu_set_rflags(struct cpu *cpu, uint64_t rflags);

/* Cycles with RFLAGS.IF clear. A step that changes IF counts as it leaves it; time before a start-up does not count. */
static inline uint64_t cpu_masked_cycles(const struct cpu *cpu)
{
    return cpu->masked_cycles + (cpu->masked ? cpu_now(cpu) - cpu->masked_since : 0);
}

static inline void cpu_settle_masked(struct cpu *cpu)
{
    cpu->masked_cycles = cpu_masked_cycles(cpu);
    cpu->masked_since = cpu_now(cpu);
    cpu->masked = !(cpu->rflags & RFLAGS_IF);
}

/* After RFLAGS.IF changed. */
static inline void cpu_note_masked(struct cpu *cpu)
{
    if (cpu->masked == ((cpu->rflags & RFLAGS_IF) != 0)) {
        cpu_settle_masked(cpu);
    }
}

/* After CR0, CR4, EFER, CS, SS, CPL or RFLAGS.AC changed: derives mode, mem_mode and host. */
void cpu_update_mode(struct cpu *cpu);

/* Drops every host-pointer write entry (after ram_digest, or when a page's flags gained a bit). */
void cpu_drop_write_pointers(struct cpu *cpu);

/* Drops the host-pointer write entries of one page of RAM, whatever linear pages they are for. */
void cpu_drop_write_page(struct cpu *cpu, phys_t page);

/* Drops the code entries of a linear page (any privilege), or all: whenever a TLB entry goes, with its host entries. */
void cpu_drop_code_page(struct cpu *cpu, uint64_t lin_page);
void cpu_drop_code(struct cpu *cpu);

/* Fault constructors: fill cpu->fault and return FLOW_FAULT. */
enum flow cpu_fault(struct cpu *cpu, enum vector vector);
enum flow cpu_fault_code(struct cpu *cpu, enum vector vector, uint32_t error);
/* "Legal by the manual, not built": fills stop_text and returns FLOW_STOP. */
enum flow cpu_not_modelled(struct cpu *cpu, const char *what);

/* All of the CPU's state, by level; the local APIC visits itself. */
void cpu_visit(struct cpu *cpu, struct visitor *v);

#endif
