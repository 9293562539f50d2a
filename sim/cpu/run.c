/*
 * The run loop: what happens at boundaries between instructions, and between chains of blocks.
 *
 * At a boundary, in this order: deadline; step hook; INIT; debug traps of the instruction before; NMI; external
 * interrupt; instruction breakpoint; probe; the next instruction. When nothing of this can happen inside a
 * block, blocks run; when something might (trap flag, shadow, breakpoint, fewer cycles left than the block
 * costs, a queued store to the page), single instructions do.
 *
 * Source: APM vol. 2, "Priorities" of "Exceptions and Interrupts"; "Software-Debug Resources".
 * Deviations: a REP instruction under an interrupt shadow loses the shadow after its first iteration.
 */

#include "cpu/ahead.h"
#include "cpu/block.h"
#include "cpu/debug_regs.h"
#include "cpu/exception.h"
#include "cpu/fetch.h"
#include "cpu/op.h"
#include "cpu/pending.h"
#include "cpu/segment.h"
#include "cpu/store_queue.h"
#include "cpu/timed.h"

/* The furthest deadline, so that left_cycles cannot overflow. */
#define FAR_CYCLES (UINT64_C(1) << 61)

/* With fewer cycles left than this, whole blocks are not worth a look. */
#define STEP_CYCLES 32

/* What a part of the loop tells the loop. */
enum step { STEP_ON, STEP_AGAIN, STEP_STOP };

/* ---- time ---- */

/* Sets the end of the next stretch: the caller's deadline, or the moment a queued store is due. */
static void set_limit(struct cpu *cpu, uint64_t deadline)
{
    uint64_t now = cpu_now(cpu);
    uint64_t limit = deadline;
    if (cpu->timing != NULL) {
        if (now < deadline && timed_has_boundary(cpu, now)) {
            limit = least_of(limit, timed_boundary(cpu, now));
        }
        cpu->deadline_cycles = least_of(limit, now + FAR_CYCLES);
        cpu->left_cycles = (int64_t)(cpu->deadline_cycles - now);
        timed_look(cpu);
        return;
    }
    cpu->drain_limited = cpu->stores.count != 0;
    if (cpu->drain_limited) {
        uint64_t due = mem_drain_next(cpu);
        limit = due < limit ? due : limit;
    }
    if (limit > now + FAR_CYCLES) {
        limit = now + FAR_CYCLES;
    }
    cpu->deadline_cycles = limit;
    cpu->left_cycles = (int64_t)(limit - now);
}

static void spend(struct cpu *cpu, uint64_t cycles)
{
    cpu->left_cycles -= (int64_t)cycles;
}

/* ---- delivery ---- */

static enum step delivered(struct cpu *cpu, enum flow flow, bool interrupt, enum cpu_stop *stop)
{
    if (cpu->timing != NULL) {
        cpu->access_waits = true;
        timed_delivered(cpu, interrupt);
    } else {
        spend(cpu, cpu->costs->exception_cycles);
        timed_tell(cpu, interrupt ? TIMING_RECORD_INTERRUPT : TIMING_RECORD_EXCEPTION, cpu_now(cpu));
    }
    cpu->probe_passed = false;
    cpu->shadow = 0;
    if (flow == FLOW_STOP) {
        *stop = CPU_STOP_NOT_MODELLED;
        return STEP_STOP;
    }
    if (cpu->activity == CPU_SHUTDOWN) {
        *stop = CPU_STOP_SHUTDOWN;
        return STEP_STOP;
    }
    return STEP_AGAIN;
}

/* The instruction waits: its clock moves, nothing else has happened. */
static enum step wait_for(struct cpu *cpu, uint64_t until)
{
    timed_void(cpu);
    spend(cpu, until - least_of(until, cpu_now(cpu)));
    timed_tell(cpu, TIMING_RECORD_WAIT, cpu_now(cpu));
    return STEP_AGAIN;
}

/* May a delivery begin? Under the timing model the store queue has to be empty first. */
static bool delivery_waits(struct cpu *cpu)
{
    if (!timed_wait_for_drain(cpu)) {
        return false;
    }
    wait_for(cpu, cpu->fault.wait_until);
    return true;
}

/* Nothing that the delivery accesses waits, and what the instruction has accessed is void. */
static void begin_delivery(struct cpu *cpu)
{
    cpu->access_waits = false;
    cpu->delivery_key = cpu_now(cpu);
    cpu->delivery_pc = cpu_linear_rip(cpu);
    timed_void(cpu);
}

static enum step deliver_fault(struct cpu *cpu, enum cpu_stop *stop)
{
    struct fault fault = cpu->fault;
    if (fault.wait_until != 0) {
        return wait_for(cpu, fault.wait_until);
    }
    timed_void(cpu);
    if (delivery_waits(cpu)) {
        return STEP_AGAIN;
    }
    begin_delivery(cpu);
    return delivered(cpu, exception_deliver(cpu, &fault, EVENT_FAULT, cpu->rip), false, stop);
}

/* INT n, INT3, INTO: the instruction completes by the delivery. */
static enum step deliver_soft(struct cpu *cpu, const struct insn *insn, enum cpu_stop *stop)
{
    struct fault fault = cpu->fault;
    if (cpu->timing == NULL) {
        spend(cpu, insn_cost(cpu->costs, insn));
        if (cpu->on_timing != NULL) {
            timed_tell_plain(cpu, insn, cpu_linear_rip(cpu), FLOW_NEXT);
        }
    }
    cpu->retired++;
    uint64_t key = cpu->delivery_key; /* it belongs to the step of its instruction (timed_soft) */
    begin_delivery(cpu);
    cpu->delivery_key = key;
    return delivered(cpu, exception_deliver(cpu, &fault, EVENT_SOFT, insn_next_rip(cpu, insn)), false, stop);
}

static enum step deliver_debug_trap(struct cpu *cpu, enum cpu_stop *stop)
{
    struct fault fault = {.vector = VECTOR_DB, .dr6 = cpu->pending_db};
    cpu->pending_db = 0;
    begin_delivery(cpu);
    return delivered(cpu, exception_deliver(cpu, &fault, EVENT_FAULT, cpu->rip), false, stop);
}

static enum step deliver_nmi(struct cpu *cpu, enum cpu_stop *stop)
{
    cpu->nmi_pending = false;
    begin_delivery(cpu);
    return delivered(cpu, exception_interrupt(cpu, VECTOR_NMI, EVENT_NMI), true, stop);
}

/* Takes the vector: the acknowledge cycle to the 8259 goes before the local APIC's own. */
static uint8_t acknowledge(struct cpu *cpu)
{
    uint64_t now = cpu_now(cpu);
    if (lapic_extint(cpu->lapic) && cpu->pic_acknowledge) {
        uint8_t vector = cpu->pic_acknowledge(cpu->pic_target, now);
        lapic_acknowledge_extint(cpu->lapic, now);
        return vector;
    }
    return lapic_acknowledge(cpu->lapic, now);
}

/* ---- the boundary ---- */

static enum step take_init(struct cpu *cpu, enum cpu_stop *stop)
{
    bool bootstrap = cpu->lapic ? lapic_is_bsp(cpu->lapic) : cpu->number == 0;
    cpu_init_signal(cpu, bootstrap);
    if (cpu->lapic) {
        lapic_init_reset(cpu->lapic, cpu_now(cpu));
    }
    if (cpu->timing != NULL) {
        timing_flush(cpu->timing, cpu_now(cpu));
    }
    timed_tell(cpu, TIMING_RECORD_RESET, cpu_now(cpu));
    *stop = CPU_STOP_BREAK;
    return STEP_STOP;
}

/* The bits of DR6 for enabled instruction breakpoints at rip. */
static uint64_t breakpoints_at(const struct cpu *cpu, uint64_t linear)
{
    uint64_t hit = 0;
    for (unsigned n = 0; n < 4; n++) {
        if (dr7_enabled(cpu->dr7, n) && dr7_type(cpu->dr7, n) == DR7_EXECUTE && cpu->dr[n] == linear) {
            hit |= BIT(n);
        }
    }
    return hit;
}

/* Traps, NMI, interrupts. A shadow of MOV SS holds all of them off, one of STI the external interrupts. */
static enum step take_events(struct cpu *cpu, enum cpu_stop *stop)
{
    if (cpu->init_pending) {
        return take_init(cpu, stop);
    }
    if (cpu->shadow & SHADOW_MOV_SS) {
        return STEP_ON;
    }
    bool nmi = cpu->nmi_pending && !cpu->nmi_blocked;
    bool external = !(cpu->shadow & SHADOW_STI) && cpu_interrupt_waits(cpu);
    if ((cpu->pending_db != 0 || nmi || external) && delivery_waits(cpu)) {
        return STEP_AGAIN;
    }
    if (cpu->pending_db != 0) {
        return deliver_debug_trap(cpu, stop);
    }
    if (nmi) {
        return deliver_nmi(cpu, stop);
    }
    if (external) {
        uint8_t vector = acknowledge(cpu);
        begin_delivery(cpu);
        return delivered(cpu, exception_interrupt(cpu, vector, EVENT_EXTERNAL), true, stop);
    }
    return STEP_ON;
}

/* What comes before one particular instruction: its breakpoint, its probe. */
static enum step before_instruction(struct cpu *cpu, enum cpu_stop *stop)
{
    uint64_t linear = cpu_linear_rip(cpu);
    uint64_t hit = cpu->rflags & RFLAGS_RF || cpu->shadow & SHADOW_MOV_SS ? 0 : breakpoints_at(cpu, linear);
    if (hit != 0 && delivery_waits(cpu)) {
        return STEP_AGAIN;
    }
    if (hit != 0) {
        struct fault fault = {.vector = VECTOR_DB, .dr6 = hit};
        begin_delivery(cpu);
        return delivered(cpu, exception_deliver(cpu, &fault, EVENT_FAULT, cpu->rip), false, stop);
    }
    bool passed = cpu->probe_passed && cpu->probe_rip == linear;
    cpu->probe_passed = false;
    if (!passed && block_cache_probed(cpu->blocks, lin(linear))) {
        cpu->probe_passed = true;
        cpu->probe_rip = linear;
        *stop = CPU_STOP_PROBE;
        return STEP_STOP;
    }
    return STEP_ON;
}

/* The step hook. When it stalled the vCPU, its time is looked at before anything else happens here. */
static enum step call_step_hook(struct cpu *cpu)
{
    if (cpu->step_hook) {
        cpu->step_hook(cpu, cpu->step_hook_target);
    }
    return cpu->stall_cycles != 0 ? STEP_AGAIN : STEP_ON;
}

/* ---- one instruction ---- */

/* Executes insn with the clock at its beginning; the boundary after it in cpu->rip. RF lasts for one
 * instruction, so it is cleared before (IRET may load it anew) and comes back when the instruction did not
 * complete. */
static enum flow run_insn(struct cpu *cpu, const struct insn *insn, const struct timed_code *code)
{
    uint64_t rflags = cpu->rflags, pending_db = cpu->pending_db, pc = cpu_linear_rip(cpu);
    uint8_t shadow = cpu->shadow;
    cpu->shadow = 0;
    cpu->rflags &= ~RFLAGS_RF;
    cpu->exit_insn = insn;
    cpu->step_mode = cpu->mode;
    enum flow flow = insn_execute(cpu, insn);
    if (flow != FLOW_NEXT && flow != FLOW_JUMP) {
        cpu->rflags |= rflags & RFLAGS_RF;
    }
    if (flow == FLOW_FAULT || flow == FLOW_STOP) {
        cpu->shadow = shadow;
        cpu->pending_db = pending_db; /* an access before the one that faulted is no trap */
        timed_soft(cpu, insn, pc, code, flow);
        return flow;
    }
    if (cpu->timing != NULL) {
        timed_complete(cpu, insn, pc, code, flow);
    } else {
        spend(cpu, insn_cost(cpu->costs, insn));
        if (OP_UNLIKELY(cpu->on_timing != NULL)) {
            timed_tell_plain(cpu, insn, pc, flow);
        }
    }
    if (flow == FLOW_NEXT) {
        cpu->rip = insn_next_rip(cpu, insn);
    }
    cpu->retired += flow != FLOW_REPEAT;
    bool steps = (rflags & RFLAGS_TF) && !(insn_rows[insn->row].flags & INSN_OWN_STEP);
    if (steps && !(cpu->shadow & SHADOW_MOV_SS)) {
        cpu->pending_db |= DR6_BS; /* a load of SS has no single-step trap of its own */
    }
    return flow;
}

static enum flow run_uncached(struct cpu *cpu)
{
    struct insn insn;
    struct timed_code code;
    enum flow flow = fetch_insn(cpu, &insn, &code);
    if (flow != FLOW_NEXT) {
        cpu->exit_insn = NULL;
        return flow;
    }
    return run_insn(cpu, &insn, &code);
}

/* ---- blocks ---- */

/* Translates rip for fetching, through the latch. */
static bool translate_rip(struct cpu *cpu, phys_t *out)
{
    lin_t a;
    if (!segment_fetch(cpu, cpu->rip, &a)) {
        return false;
    }
    uint64_t page = align_down(a.v, PAGE_SIZE_BYTES);
    if (cpu->fetch.valid && cpu->fetch.lin_page == page) {
        *out = phys(cpu->fetch.phys_page | (a.v & PAGE_MASK_BITS));
        return true;
    }
    if (!mem_fetch_translate(cpu, a, out)) {
        return false;
    }
    struct code_entry *e = &cpu->code_tables[cpu->cpl == 3][(page >> PAGE_SHIFT) % CODE_ENTRIES];
    uint64_t phys_page = align_down(out->v, PAGE_SIZE_BYTES);
    cpu->code_stamp += e->tag != HOST_TAG_NONE && (e->tag != page || e->phys_page != phys_page);
    *e = (struct code_entry){page, phys_page, cpu->fetch_slot};
    return true;
}

/* The block to run at rip, or NULL: then FLOW_FAULT (fetch) or FLOW_NEXT (cannot be cached). */
static struct block *find_block(struct cpu *cpu, unsigned max_insns, enum flow *flow)
{
    phys_t at;
    *flow = FLOW_NEXT;
    if (!translate_rip(cpu, &at)) {
        *flow = FLOW_FAULT;
        cpu->exit_insn = NULL;
        return NULL;
    }
    /* A queued store to the page of code would be missed by the cache: the instruction is fetched through the
     * queue. */
    if (cpu->stores.count != 0 && mem_store_pending(cpu, phys(align_down(at.v, PAGE_SIZE_BYTES)))) {
        return NULL;
    }
    struct block *b = block_find(cpu->blocks, cpu, at, max_insns);
    if (b != NULL && cpu->mode != MODE_LONG64 && cpu->rip + b->size_bytes - 1 > cpu->seg[SEG_CS].limit) {
        return NULL;
    }
    return b;
}

static enum flow run_single(struct cpu *cpu)
{
    enum flow flow;
    const struct block *b = find_block(cpu, 1, &flow);
    if (b != NULL) {
        const struct timed_code code = {.at = b->at, .size_bytes = b->insns[0].length};
        return run_insn(cpu, &b->insns[0], &code);
    }
    return flow == FLOW_FAULT ? flow : run_uncached(cpu);
}

/* The link just left by, if any, goes straight to b from now on: whole blocks to whole ones, step blocks to step
 * blocks. */
static void link_to(struct cpu *cpu, struct block *b)
{
    const struct op *from = cpu->link_from;
    cpu->link_from = NULL;
    if (from == NULL || from->target != b->rip || cpu->mode != MODE_LONG64) {
        return;
    }
    struct block *source = op_block(from);
    bool same_page = align_down(source->rip, PAGE_SIZE_BYTES) == align_down(b->rip, PAGE_SIZE_BYTES);
    if (same_page && source->phys_page == b->phys_page && source->mode == b->mode) {
        block_link_to(cpu->blocks, source, &source->ops[from->number], b);
    }
}

/* Does the code entry of a block's page stand, so that the table of jumps may lead to it? */
static bool code_entry_stands(const struct cpu *cpu, const struct block *b)
{
    const struct code_entry *e = &cpu->code[(b->lin_page >> PAGE_SHIFT) % CODE_ENTRIES];
    return e->tag == b->lin_page && e->phys_page == b->phys_page;
}

/* A block that the table of jumps knows, and whose page still is where it was. */
static struct block *known_block(struct cpu *cpu)
{
    struct jump_entry *j = &cpu->jumps[op_jump_slot(cpu->rip)];
    if (j->block == NULL || j->rip != cpu->rip || !code_entry_stands(cpu, j->block)) {
        return NULL;
    }
    j->stamp = cpu->code_stamp;
    return j->block;
}

/* The whole block at rip: through the table of jumps, or found and entered there. NULL as find_block. */
static struct block *next_block(struct cpu *cpu, unsigned max_insns, enum flow *flow)
{
    if (cpu->mode != MODE_LONG64) {
        return find_block(cpu, max_insns, flow);
    }
    /* A page that holds a block has no queued store here (code_store_queued). */
    struct block *known = known_block(cpu);
    if (known != NULL) {
        timed_latch(cpu, known);
        return known;
    }
    struct block *b = find_block(cpu, max_insns, flow);
    if (b != NULL) {
        uint64_t stamp = code_entry_stands(cpu, b) ? cpu->code_stamp : 0;
        cpu->jumps[op_jump_slot(b->rip)] = (struct jump_entry){b->rip, stamp, b};
    }
    return b;
}

/* While a store to some page of code is queued, blocks must not lead into that page unseen. */
static bool code_store_queued(struct cpu *cpu)
{
    if (cpu->stores.no_code == cpu->bus->ram.code_pages + 1) {
        return false;
    }
    for (uint32_t i = 0; i < cpu->stores.count; i++) {
        const struct store_entry *e = &cpu->stores.entries[store_queue_slot(&cpu->stores, i)];
        if (cpu->bus->ram.flags[e->address.v >> PAGE_SHIFT] & PAGE_CODE) {
            return true;
        }
    }
    cpu->stores.no_code = cpu->bus->ram.code_pages + 1;
    return false;
}

static enum flow enter(struct cpu *cpu, const struct block *b)
{
    cpu->left_cycles -= b->cost_cycles;
    cpu->retired += b->count;
    op_run_chain(cpu, b->ops);
    return (enum flow)cpu->exit_flow;
}

/* Runs a step block from operation `first` for as many instructions as begin while cycles are left. The rest of the
 * block is charged on entry as always; the operation behind the last one is op_stop meanwhile, which gives back. */
static enum flow run_steps(struct cpu *cpu, const struct block *b, unsigned first)
{
    const struct block_cold *cold = b->cold;
    int64_t end = cold[first].refund_cycles - cpu->left_cycles; /* the next one begins at or past the limit */
    unsigned stop = first + 1;
    while (stop < b->count && cold[stop].refund_cycles > end) {
        stop++;
    }
    cpu->step_block = NULL;
    cpu->left_cycles -= cold[first].refund_cycles;
    cpu->retired += b->count - first;
    op_fn *run = b->ops[stop].run;
    if (stop < b->count) {
        b->ops[stop].run = op_stop;
    }
    op_run_chain(cpu, &b->ops[first]);
    b->ops[stop].run = run;
    return (enum flow)cpu->exit_flow;
}

/* Few cycles are left: instructions run one after the other until they are spent. */
static enum flow run_short(struct cpu *cpu)
{
    enum flow flow;
    if (cpu->mode != MODE_LONG64) {
        return run_single(cpu);
    }
    struct block *b = find_block(cpu, BLOCK_STEP, &flow);
    if (b != NULL) {
        link_to(cpu, b);
        return run_steps(cpu, b, 0);
    }
    return flow == FLOW_FAULT ? flow : run_uncached(cpu);
}

/* The vCPU stands at an operation of a step block, whose page is still translated as it was. At its beginning, a probe
 * may stand as well. */
static inline bool stands_in_step_block(struct cpu *cpu)
{
    return cpu->step_block != NULL && cpu->rip == cpu->step_rip && cpu->mode == MODE_LONG64 &&
           cpu->fetch.valid && cpu->fetch.lin_page == align_down(cpu->rip, PAGE_SIZE_BYTES) &&
           cpu->fetch.phys_page == cpu->step_block->phys_page &&
           (cpu->step_number != 0 || !block_cache_has_probes(cpu->blocks)) &&
           (cpu->stores.count == 0 || !code_store_queued(cpu));
}

/* Blocks of 64-bit code under the timing model, from operation `first` of b on. */
static enum flow enter_timed(struct cpu *cpu, const struct block *b, unsigned first)
{
    cpu->step_block = NULL;
    op_run_chain(cpu, &b->ops[first]);
    return (enum flow)cpu->exit_flow;
}

static enum flow run_timed(struct cpu *cpu)
{
    enum flow flow;
    if (cpu->mode != MODE_LONG64) {
        return run_single(cpu);
    }
    struct block *b = next_block(cpu, BLOCK_STEP, &flow);
    if (b != NULL) {
        return enter_timed(cpu, b, 0);
    }
    return flow == FLOW_FAULT ? flow : run_uncached(cpu);
}

static enum flow run_blocks(struct cpu *cpu)
{
    if (code_store_queued(cpu)) {
        return run_single(cpu);
    }
    if (cpu->timing != NULL) {
        return run_timed(cpu);
    }
    if (cpu->left_cycles < STEP_CYCLES) {
        return run_short(cpu);
    }
    enum flow flow;
    struct block *b = next_block(cpu, BLOCK_INSNS_MAX, &flow);
    if (b == NULL) {
        return flow == FLOW_FAULT ? flow : run_uncached(cpu);
    }
    link_to(cpu, b);
    return b->cost_cycles > cpu->left_cycles ? run_short(cpu) : enter(cpu, b);
}

/* ---- the loop ---- */

/* True when the next boundary needs a look, or the next instruction has to be alone; probes apart. Without branches:
 * vCPUs that take turns ask before every instruction. */
static inline bool is_special(const struct cpu *cpu)
{
    unsigned events = cpu->init_pending | (cpu->pending_db != 0) | (cpu->nmi_pending & !cpu->nmi_blocked);
    unsigned alone = cpu->shadow | ((cpu->rflags & (RFLAGS_TF | RFLAGS_RF)) != 0) | ((cpu->dr7 & 0xff) != 0) |
                     cpu->single_step_blocks;
    return (events | alone | (cpu->step_hook != NULL) | cpu_interrupt_waits(cpu)) != 0;
}

/* True when the instruction at rip must be run alone (blocks may follow it). */
static bool must_be_alone(const struct cpu *cpu, bool probed)
{
    return probed || cpu->shadow != 0 || (cpu->rflags & (RFLAGS_TF | RFLAGS_RF)) != 0 ||
           (cpu->dr7 & 0xff) != 0 || cpu->single_step_blocks || cpu->step_hook != NULL;
}

/* Goes on where the last slice stopped. */
static enum flow resume_steps(struct cpu *cpu)
{
    cpu->probe_passed = false;
    return cpu->timing != NULL ? enter_timed(cpu, cpu->step_block, cpu->step_number)
                               : run_steps(cpu, cpu->step_block, cpu->step_number);
}

/* From one boundary to the next one that the loop sees. */
static enum step run_stretch(struct cpu *cpu, enum flow *flow, enum cpu_stop *stop)
{
    if (!is_special(cpu)) {
        if ((cpu->left_cycles < STEP_CYCLES || cpu->timing != NULL) && stands_in_step_block(cpu)) {
            *flow = resume_steps(cpu);
            return STEP_ON;
        }
        if (!block_cache_has_probes(cpu->blocks)) {
            *flow = run_blocks(cpu);
            return STEP_ON;
        }
    }
    enum step step = call_step_hook(cpu);
    if (step == STEP_ON) {
        step = take_events(cpu, stop);
    }
    if (step != STEP_ON) {
        return step;
    }
    bool probed = block_cache_probed(cpu->blocks, lin(cpu_linear_rip(cpu)));
    step = before_instruction(cpu, stop);
    if (step != STEP_ON) {
        return step;
    }
    *flow = must_be_alone(cpu, probed) ? run_single(cpu) : run_blocks(cpu);
    return STEP_ON;
}

/* What the last instruction came to. */
static enum step finish(struct cpu *cpu, enum flow flow, enum cpu_stop *stop)
{
    if (flow == FLOW_STOP) {
        *stop = CPU_STOP_NOT_MODELLED;
        return STEP_STOP;
    }
    if (flow == FLOW_FAULT) {
        bool soft = cpu->fault.soft && cpu->exit_insn != NULL;
        return soft ? deliver_soft(cpu, cpu->exit_insn, stop) : deliver_fault(cpu, stop);
    }
    return STEP_AGAIN;
}

/* A store that is due ends the slice as well: its drain has a place among the steps of others, which the caller knows. */
static bool time_is_up(struct cpu *cpu, uint64_t deadline)
{
    if (cpu->stall_cycles != 0) {
        spend(cpu, cpu->stall_cycles);
        cpu->stall_cycles = 0;
        timed_tell(cpu, TIMING_RECORD_CLOCK, cpu_now(cpu));
    }
    set_limit(cpu, deadline);
    return cpu->left_cycles <= 0;
}

/* A short slice that goes on where the last one stopped, before anything else is looked at: what vCPUs that take turns
 * spend their time with. False: nothing was done. */
static inline bool step_on(struct cpu *cpu, uint64_t deadline, enum flow *flow)
{
    uint64_t now = cpu_now(cpu);
    bool far = deadline - now - 1 >= (cpu->timing ? FAR_CYCLES : STEP_CYCLES);
    if (far || cpu->stall_cycles != 0 || is_special(cpu) || !stands_in_step_block(cpu)) {
        return false;
    }
    set_limit(cpu, deadline);
    if (cpu->left_cycles <= 0) {
        return false;
    }
    cpu->chain_cut = false;
    *flow = resume_steps(cpu);
    return true;
}

/* After step_on: is this the end of the slice, and nothing else? */
static inline bool stepped_to_the_end(const struct cpu *cpu, enum flow flow, uint64_t deadline)
{
    return (flow == FLOW_NEXT || flow == FLOW_JUMP) && cpu_now(cpu) >= deadline && !cpu->chain_break &&
           cpu->activity == CPU_ACTIVE && cpu->stall_cycles == 0;
}

enum cpu_stop cpu_run(struct cpu *cpu, uint64_t deadline_cycles)
{
    enum cpu_stop stop = CPU_STOP_BREAK;
    enum flow flow = FLOW_NEXT;
    cpu->chain_break = false;
    if (cpu->activity != CPU_ACTIVE) {
        return cpu->activity == CPU_SHUTDOWN ? CPU_STOP_SHUTDOWN : CPU_STOP_BREAK;
    }
    bool ran = step_on(cpu, deadline_cycles, &flow);
    if (ran && stepped_to_the_end(cpu, flow, deadline_cycles)) {
        return CPU_STOP_DEADLINE;
    }
    for (;;) {
        enum step step = STEP_ON;
        if (!ran) {
            cpu->chain_cut = false;
            flow = FLOW_NEXT;
            if (time_is_up(cpu, deadline_cycles)) {
                return CPU_STOP_DEADLINE;
            }
            step = run_stretch(cpu, &flow, &stop);
        }
        ran = false;
        if (step == STEP_ON) {
            step = finish(cpu, flow, &stop);
        }
        if (step == STEP_STOP) {
            return stop;
        }
        if (cpu->chain_break || cpu->activity != CPU_ACTIVE) {
            return CPU_STOP_BREAK;
        }
    }
}

/* ---- before its turn ---- */

/* Stands it where instructions can run that ask nobody for anything, and with nobody watching? */
static bool may_run_ahead(struct cpu *cpu, uint64_t others_cycles)
{
    return cpu->activity == CPU_ACTIVE && cpu->stall_cycles == 0 && cpu->on_timing == NULL &&
           !is_special(cpu) && !block_cache_has_probes(cpu->blocks) && stands_in_step_block(cpu) &&
           timing_may_run_ahead(cpu->timing, others_cycles) && ahead_fetch(cpu, cpu->step_block);
}

bool cpu_run_ahead(struct cpu *cpu, uint64_t others_cycles, uint64_t deadline_cycles)
{
    uint64_t now = cpu_now(cpu);
    timing_settle(cpu->timing, now);
    if (!may_run_ahead(cpu, others_cycles)) {
        return false;
    }
    uint64_t end = ahead_begin(cpu, deadline_cycles);
    if (now < end) {
        cpu->deadline_cycles = end;
        cpu->left_cycles = (int64_t)(end - now);
        timed_look(cpu);
        cpu->chain_cut = false;
        resume_steps(cpu);
        cpu->timing->ahead_until = least_of(end, cpu_now(cpu));
    }
    ahead_end(cpu);
    return cpu_now(cpu) >= deadline_cycles;
}
