/*
 * Blocks under the timing model: the instruction of each operation is executed, takes its time, and the next one follows if the
 * vCPU may go on. What is simple (timing/pipeline.h) takes its time here, the rest in timing/core.c. Source: docs/timing.md.
 */

#include "cpu/ahead.h"
#include "cpu/mem.h"
#include "cpu/pending.h"
#include "cpu/store_queue.h"
#include "cpu/timed.h"
#include "timing/branch.h"

/* Must the run loop look before the next instruction? */
static bool must_leave(const struct cpu *cpu, const struct block *b)
{
    return cpu->left_cycles <= 0 || cpu->chain_break || cpu->chain_cut || b->dead || cpu_interrupt_waits(cpu);
}

/* The next slice begins at operation `number` of b. */
static void stand_at(struct cpu *cpu, const struct block *b, unsigned number)
{
    cpu->step_block = b;
    cpu->step_number = number;
    cpu->step_rip = cpu->rip;
}

/* It begins with the block at rip, if that is known. */
static void stand_at_block(struct cpu *cpu)
{
    const struct jump_entry *j = &cpu->jumps[op_jump_slot(cpu->rip)];
    if (op_jump_known(cpu, j, cpu->rip) && (j->block->mode & 3) == (uint32_t)cpu->mode) {
        stand_at(cpu, j->block, 0);
    }
}

/* Leaves at the boundary after the instruction of op. */
static const struct op *leave(struct cpu *cpu, const struct block *b, const struct op *op, enum flow flow)
{
    cpu->exit_flow = (uint8_t)flow;
    cpu->exit_insn = &b->insns[op->number];
    cpu->step_block = NULL;
    if (b->dead) {
        return NULL;
    }
    if (flow == FLOW_NEXT && op->number + 1u < b->count) {
        stand_at(cpu, b, op->number + 1u);
    } else if (flow == FLOW_NEXT || flow == FLOW_JUMP) {
        stand_at_block(cpu);
    }
    return NULL;
}

/* Leaves before the instruction of op, which has to wait for its turn. */
static const struct op *leave_to_wait(struct cpu *cpu, const struct block *b, const struct op *op)
{
    cpu->rip = b->rip + b->cold[op->number].offset_bytes;
    cpu->exit_flow = FLOW_JUMP;
    stand_at(cpu, b, op->number);
    return NULL;
}

static struct timed_code code_of(const struct block *b, const struct op *op)
{
    return (struct timed_code){.at = phys(b->at.v + b->cold[op->number].offset_bytes),
                               .size_bytes = b->insns[op->number].length};
}

/* Executes the instruction of op and takes its time. */
static enum flow execute(struct cpu *cpu, const struct block *b, const struct op *op)
{
    const struct insn *insn = &b->insns[op->number];
    uint64_t pc = b->rip + b->cold[op->number].offset_bytes;
    cpu->rip = pc;
    cpu->step_mode = cpu->mode;
    enum flow flow = insn_execute(cpu, insn);
    op_refresh(cpu);
    struct timed_code code = code_of(b, op);
    if (flow == FLOW_FAULT || flow == FLOW_STOP) {
        timed_soft(cpu, insn, pc, &code, flow);
        return flow;
    }
    timed_take(cpu, insn, &b->timed[op->number], pc, &code, flow);
    cpu->retired += flow != FLOW_REPEAT;
    cpu->rip = flow == FLOW_NEXT ? pc + insn->length : cpu->rip;
    return flow;
}

/* Goes on in the block at rip, if it is known; else leaves. */
static const struct op *follow(struct cpu *cpu, const struct op *op)
{
    const struct jump_entry *j = &cpu->jumps[op_jump_slot(cpu->rip)];
    if (!op_jump_known(cpu, j, cpu->rip) || (j->block->mode & 3) != (uint32_t)cpu->mode) {
        return leave(cpu, op_block(op), op, FLOW_JUMP);
    }
    if (cpu->ahead && OP_UNLIKELY(!ahead_fetch(cpu, j->block))) {
        return leave_to_wait(cpu, j->block, j->block->ops);
    }
    timed_latch(cpu, j->block);
    OP_DISPATCH(j->block->ops);
}

const struct op *op_timed(struct cpu *cpu, const struct op *op)
{
    const struct block *b = op_block(op);
    if (OP_UNLIKELY(cpu->ahead)) {
        return leave_to_wait(cpu, b, op);
    }
    enum flow flow = execute(cpu, b, op);
    if (flow != FLOW_NEXT || must_leave(cpu, b)) {
        return leave(cpu, b, op, flow);
    }
    OP_NEXT;
}

const struct op *op_timed_end(struct cpu *cpu, const struct op *op)
{
    const struct block *b = op_block(op);
    if (OP_UNLIKELY(cpu->ahead)) {
        return leave_to_wait(cpu, b, op);
    }
    for (;;) {
        enum flow flow = execute(cpu, b, op);
        if (flow == FLOW_FAULT || flow == FLOW_STOP || must_leave(cpu, b)) {
            return leave(cpu, b, op, flow);
        }
        if (flow != FLOW_REPEAT) {
            break;
        }
    }
    /* Others may change what the next boundary has to look at. */
    const struct insn *insn = &b->insns[op->number];
    bool plain = (insn->uop.flags & UOP_BRANCH) || (insn_rows[insn->row].flags & INSN_REP);
    if (!plain) {
        return leave(cpu, b, op, FLOW_JUMP);
    }
    OP_GOTO(follow);
}

const struct op *op_timed_exit(struct cpu *cpu, const struct op *op)
{
    const struct block *b = op_block(op);
    cpu->rip = b->rip + b->size_bytes;
    cpu->exit_insn = NULL;
    const struct jump_entry *j = &cpu->jumps[op_jump_slot(cpu->rip)];
    if (!op_jump_known(cpu, j, cpu->rip)) {
        cpu->exit_flow = FLOW_JUMP;
        cpu->step_block = NULL;
        return NULL;
    }
    if (cpu->ahead && OP_UNLIKELY(!ahead_fetch(cpu, j->block))) {
        return leave_to_wait(cpu, j->block, j->block->ops);
    }
    timed_latch(cpu, j->block);
    OP_DISPATCH(j->block->ops);
}

/* ---- time ---- */

/* The instruction of op takes its time, whatever it is. */
static void take_time(struct cpu *cpu, const struct block *b, const struct op *op, enum flow flow)
{
    struct timed_code code = code_of(b, op);
    uint64_t pc = b->rip + b->cold[op->number].offset_bytes;
    cpu->step_mode = MODE_LONG64;
    timed_take(cpu, &b->insns[op->number], &b->timed[op->number], pc, &code, flow);
}

/* After a step whose accesses were all near. */
static inline void quick_after(struct cpu *cpu, uint64_t now)
{
    unsigned stores = cpu->access_stores;
    timed_forget(cpu);
    timed_set_clock(cpu, now);
    if (stores != 0 && cpu->stores.capacity != 0) {
        timed_take_commits(cpu, stores);
    }
    if (cpu->left_cycles > 0 && cpu->look_cycles <= now) {
        timed_drain_due(cpu, now);
    }
}

/* May the instruction take the short way: are its accesses near, and does it lie in the line that was fetched last, or in the
 * one that L1I used last in its set, so that fetching it costs nothing? */
static inline bool is_quick(const struct cpu *cpu, const struct timing_insn *insn)
{
    struct timing_core *t = cpu->timing;
    if (OP_UNLIKELY(cpu->access_far)) {
        return false;
    }
    if (insn->code_line != t->fetched_line) {
        if (OP_UNLIKELY(!cache_is_recent(&t->l1i, insn->code_line - 1))) {
            return false;
        }
        t->fetched_line = insn->code_line;
    }
    return true;
}

static inline const struct timing_insn *insn_of(const struct op *op)
{
    return (const struct timing_insn *)((uintptr_t)op + (uintptr_t)(intptr_t)op->delta);
}

/* The same after is_quick has said no: does it lie in another line that L1I has, or in two that it has? */
static bool becomes_quick(const struct cpu *cpu, const struct op *op)
{
    const struct timing_insn *insn = insn_of(op);
    struct timing_core *t = cpu->timing;
    if (cpu->access_far) {
        return false;
    }
    if (insn->two_lines) {
        return timing_fetch_hits_two(t, code_of(op_block(op), op).at.v >> TIMING_LINE_SHIFT);
    }
    bool hits = timing_fetch_hits(t, insn->code_line - 1);
    t->fetched_line = hits ? insn->code_line : t->fetched_line;
    return hits;
}

/* The handlers below are kept out of line so that each saves only the registers that it needs. */
#define OUT_OF_LINE __attribute__((noinline)) static const struct op *

/* Goes on behind the instruction of op, which has taken its time, if the vCPU may. */
OUT_OF_LINE go_on(struct cpu *cpu, const struct op *op)
{
    cpu->retired++;
    if (OP_UNLIKELY(cpu->left_cycles <= 0)) {
        const struct block *b = op_block(op);
        cpu->rip = b->rip + b->cold[op->number + 1].offset_bytes;
        return leave(cpu, b, op, FLOW_NEXT);
    }
    OP_NEXT;
}

static inline const struct op *go_on_branch(struct cpu *cpu, const struct op *op)
{
    cpu->retired++;
    if (OP_UNLIKELY(cpu->left_cycles <= 0)) {
        return leave(cpu, op_block(op), op, FLOW_JUMP);
    }
    OP_GOTO(follow);
}

OUT_OF_LINE time_quick(struct cpu *cpu, const struct op *op)
{
    const struct timing_insn *insn = insn_of(op);
    quick_after(cpu, timing_quick(cpu->timing, insn, cpu->accesses, cpu->access_count,
                                  cpu->stores.capacity != 0, timed_now(cpu)));
    OP_GOTO(go_on);
}

/* Own stores are due, or the stretch ends here. */
OUT_OF_LINE look(struct cpu *cpu, const struct op *op)
{
    if (cpu->left_cycles > 0) {
        timed_drain_due(cpu, timed_now(cpu));
    }
    OP_GOTO(go_on);
}

/* The clock is now after a simple instruction. */
#define SIMPLE_DONE(now)                        \
    cpu->timing->repeating = 0;                 \
    timed_set_clock(cpu, now);                  \
    if (OP_UNLIKELY(cpu->look_cycles <= now)) { \
        OP_GOTO(look);                          \
    }                                           \
    cpu->retired++;                             \
    OP_NEXT

/* It is dispatched, but does not start at once. */
OUT_OF_LINE time_later(struct cpu *cpu, const struct op *op)
{
    const struct timing_insn *insn = insn_of(op);
    uint64_t end = timing_start_later(cpu->timing, insn);
    uint64_t now = timing_finish(cpu->timing, insn, end, timed_now(cpu));
    SIMPLE_DONE(now);
}

/* ---- with one load ---- */

#define LOAD_DONE(end)                                                              \
    uint64_t now = timing_load_ends(cpu->timing, insn_of(op), end, timed_now(cpu)); \
    cpu->access_count = 0;                                                          \
    SIMPLE_DONE(now)

/* The value is there at t->load_start. */
OUT_OF_LINE time_loaded(struct cpu *cpu, const struct op *op)
{
    struct timing_core *t = cpu->timing;
    const struct timing_insn *insn = insn_of(op);
    uint64_t ready = timing_loaded_may_start(t, insn, t->load_start);
    LOAD_DONE(timing_take_port(t, &insn->op, ready) + insn->op.latency);
}

/* The load has started then. */
OUT_OF_LINE time_any_started(struct cpu *cpu, const struct op *op)
{
    struct timing_core *t = cpu->timing;
    t->load_start = timing_near_load(t, insn_of(op), cpu->accesses, timed_now(cpu), t->load_start);
    OP_GOTO(time_loaded);
}

/* It is dispatched. */
OUT_OF_LINE time_any_load(struct cpu *cpu, const struct op *op)
{
    struct timing_core *t = cpu->timing;
    t->load_start = timing_take_port(t, &t->load_op, timing_load_may_start(t, insn_of(op)));
    OP_GOTO(time_any_started);
}

/* Almost all start at once, have their value in L1D, and execute at once. */
OUT_OF_LINE time_load(struct cpu *cpu, const struct op *op)
{
    struct timing_core *t = cpu->timing;
    const struct timing_insn *insn = insn_of(op);
    timing_dispatch_one(t, timing_near_room(t, true, false));
    uint64_t start = timing_load_may_start(t, insn);
    if (OP_UNLIKELY(!timing_take_first(t, &t->load_op, start))) {
        OP_GOTO(time_any_load);
    }
    if (OP_UNLIKELY(!timing_load_hits(t, cpu->accesses) ||
                    timing_may_forward(t, cpu->accesses, start) != 0)) {
        t->load_start = start;
        OP_GOTO(time_any_started);
    }
    timing_count(t, TIMING_COUNT_LOADS);
    uint64_t value = start + insn->hit_cycles, ready = timing_loaded_may_start(t, insn, value);
    if (OP_UNLIKELY(!timing_take_first(t, &insn->op, ready))) {
        t->load_start = value;
        OP_GOTO(time_loaded);
    }
    LOAD_DONE(ready + insn->op.latency);
}

/* ---- with stores ---- */

/* The accesses are constants of each way. */
static inline __attribute__((always_inline)) uint64_t store_step(struct cpu *cpu,
                                                                 const struct timing_insn *insn,
                                                                 const struct timing_access *load,
                                                                 const struct timing_access *store)
{
    uint64_t end, now = timing_step(cpu->timing, insn, load, store, true, true, timed_now(cpu), &end);
    uint64_t due = cpu->timing->store_commit;
    cpu->access_count = 0;
    cpu->access_stores = 0;
    store_queue_entry(&cpu->stores, cpu->stores.count - 1)->due_cycles = due;
    cpu->look_cycles = due < cpu->look_cycles ? due : cpu->look_cycles;
    return now;
}

OUT_OF_LINE time_store(struct cpu *cpu, const struct op *op)
{
    uint64_t now = store_step(cpu, insn_of(op), NULL, cpu->accesses);
    SIMPLE_DONE(now);
}

OUT_OF_LINE time_update(struct cpu *cpu, const struct op *op)
{
    uint64_t now = store_step(cpu, insn_of(op), cpu->accesses, cpu->accesses + 1);
    SIMPLE_DONE(now);
}

/* ---- ways to these ---- */

/* It is simple, and its accesses are near: one load, one store that is queued, a load and then the store, or something else. */
OUT_OF_LINE time_memory(struct cpu *cpu, const struct op *op)
{
    bool queued = cpu->stores.capacity != 0;
    if (cpu->access_stores == 0 && cpu->access_count == 1) {
        OP_GOTO(time_load);
    }
    if (cpu->access_stores == 1 && cpu->access_count == 1 && queued) {
        OP_GOTO(time_store);
    }
    if (cpu->access_stores == 1 && cpu->access_count == 2 && cpu->accesses[0].kind == TIMING_LOAD && queued) {
        OP_GOTO(time_update);
    }
    OP_GOTO(time_quick);
}

OUT_OF_LINE time_any(struct cpu *cpu, const struct op *op)
{
    const struct timing_insn *insn = insn_of(op);
    if (!becomes_quick(cpu, op)) {
        take_time(cpu, op_block(op), op, FLOW_NEXT);
        OP_GOTO(go_on);
    }
    if (!insn->simple) {
        OP_GOTO(time_quick);
    }
    if (cpu->access_count != 0) {
        OP_GOTO(time_memory);
    }
    timing_dispatch_one(cpu->timing, 0);
    OP_GOTO(time_later);
}

/* It is not simple, or lies in another line than the one before. */
OUT_OF_LINE time_other(struct cpu *cpu, const struct op *op)
{
    const struct timing_insn *insn = insn_of(op);
    if (OP_UNLIKELY(!is_quick(cpu, insn))) {
        OP_GOTO(time_any);
    }
    if (!insn->simple) {
        OP_GOTO(time_quick);
    }
    if (cpu->access_count != 0) {
        OP_GOTO(time_memory);
    }
    OP_GOTO(op_time);
}

/* Is it simple, in the line that was fetched last, and all that it has accessed near? */
static inline bool is_simple(const struct cpu *cpu, const struct op *op)
{
    return insn_of(op)->simple_line == cpu->timing->fetched_line && !cpu->access_far;
}

const struct op *op_time(struct cpu *cpu, const struct op *op)
{
    if (OP_UNLIKELY(!is_simple(cpu, op))) {
        OP_GOTO(time_other);
    }
    const struct timing_insn *insn = insn_of(op);
    uint64_t end;
    if (OP_UNLIKELY(!timing_start_at_once(cpu->timing, insn, &end))) {
        OP_GOTO(time_later);
    }
    uint64_t now = timing_finish(cpu->timing, insn, end, timed_now(cpu));
    SIMPLE_DONE(now);
}

const struct op *op_time_load(struct cpu *cpu, const struct op *op)
{
    if (OP_UNLIKELY(!is_simple(cpu, op))) {
        OP_GOTO(time_other);
    }
    OP_GOTO(time_load);
}

const struct op *op_time_store(struct cpu *cpu, const struct op *op)
{
    if (OP_UNLIKELY(!is_simple(cpu, op) || cpu->stores.capacity == 0)) {
        OP_GOTO(time_other);
    }
    OP_GOTO(time_store);
}

const struct op *op_time_update(struct cpu *cpu, const struct op *op)
{
    if (OP_UNLIKELY(!is_simple(cpu, op) || cpu->stores.capacity == 0)) {
        OP_GOTO(time_other);
    }
    OP_GOTO(time_update);
}

/* ---- branches ---- */

static inline const struct predictor_site *site_of(const struct op *op)
{
    return (const struct predictor_site *)(insn_of(op) + 1); /* a branch is the last of its block */
}

/* All that a near branch is asked for. */
static inline struct timing_outcome outcome_of(const struct cpu *cpu, const struct op *op)
{
    const struct block *b = op_block(op);
    const struct block_cold *cold = &b->cold[op->number];
    return (struct timing_outcome){
        .pc = b->rip + cold[0].offset_bytes, .fall = b->rip + cold[1].offset_bytes, .next = cpu->rip};
}

static void take_branch(struct cpu *cpu, const struct op *op)
{
    const struct timing_outcome o = outcome_of(cpu, op);
    quick_after(cpu, timing_quick_branch(cpu->timing, insn_of(op), site_of(op), &o, cpu->accesses,
                                         cpu->access_count, cpu->stores.capacity != 0, timed_now(cpu)));
}

/* Its clock is now. */
static inline void branch_done(struct cpu *cpu, uint64_t now)
{
    cpu->timing->repeating = 0;
    timed_set_clock(cpu, now);
    if (OP_UNLIKELY(cpu->look_cycles <= now) && cpu->left_cycles > 0) {
        timed_drain_due(cpu, now);
    }
}

static inline void take_simple_branch(struct cpu *cpu, const struct op *op)
{
    const struct timing_outcome o = outcome_of(cpu, op);
    const struct timing_insn *insn = insn_of(op);
    uint64_t end, now = timing_step(cpu->timing, insn, NULL, NULL, true, true, timed_now(cpu), &end);
    timing_branch(cpu->timing, &insn->uop, site_of(op), &o, end);
    branch_done(cpu, now);
}

/* A branch that is fetched already. */
OUT_OF_LINE time_fetched_branch(struct cpu *cpu, const struct op *op)
{
    if (insn_of(op)->simple && cpu->access_count == 0) {
        take_simple_branch(cpu, op);
    } else {
        take_branch(cpu, op);
    }
    OP_GOTO(go_on_branch);
}

OUT_OF_LINE time_any_branch(struct cpu *cpu, const struct op *op)
{
    if (becomes_quick(cpu, op)) {
        OP_GOTO(time_fetched_branch);
    }
    take_time(cpu, op_block(op), op, FLOW_JUMP);
    OP_GOTO(go_on_branch);
}

OUT_OF_LINE time_quick_branch(struct cpu *cpu, const struct op *op)
{
    take_branch(cpu, op);
    OP_GOTO(go_on_branch);
}

const struct op *op_time_branch(struct cpu *cpu, const struct op *op)
{
    const struct timing_insn *insn = insn_of(op);
    if (OP_UNLIKELY(!is_quick(cpu, insn))) {
        OP_GOTO(time_any_branch);
    }
    if (!insn->simple || cpu->access_count != 0) {
        OP_GOTO(time_quick_branch);
    }
    take_simple_branch(cpu, op);
    OP_GOTO(go_on_branch);
}

/* Own stores are due, or the stretch ends here. */
OUT_OF_LINE look_branch(struct cpu *cpu, const struct op *op)
{
    if (cpu->left_cycles > 0) {
        timed_drain_due(cpu, timed_now(cpu));
    }
    return go_on_branch(cpu, op);
}

#define CONDITION_DONE(end)                                            \
    struct timing_core *t = cpu->timing;                               \
    uint64_t now = timing_finish(t, insn_of(op), end, timed_now(cpu)); \
    timing_predicted(t, t->branch, end);                               \
    t->repeating = 0;                                                  \
    timed_set_clock(cpu, now);                                         \
    if (OP_UNLIKELY(cpu->look_cycles <= now)) {                        \
        OP_GOTO(look_branch);                                          \
    }                                                                  \
    cpu->retired++;                                                    \
    OP_GOTO(follow)

/* Dispatched and predicted, but it does not start at once. */
OUT_OF_LINE time_condition_later(struct cpu *cpu, const struct op *op)
{
    uint64_t end = timing_start_later(cpu->timing, insn_of(op));
    CONDITION_DONE(end);
}

/* Predicted. */
OUT_OF_LINE time_condition(struct cpu *cpu, const struct op *op)
{
    uint64_t end;
    if (OP_UNLIKELY(!timing_start_at_once(cpu->timing, insn_of(op), &end))) {
        OP_GOTO(time_condition_later);
    }
    CONDITION_DONE(end);
}

OUT_OF_LINE time_condition_new(struct cpu *cpu, const struct op *op)
{
    struct timing_core *t = cpu->timing;
    predictor_allocate(&t->predictor, t->branch & TIMING_BRANCH_TAKEN);
    OP_GOTO(time_condition);
}

const struct op *op_time_condition(struct cpu *cpu, const struct op *op)
{
    if (OP_UNLIKELY(!is_simple(cpu, op))) {
        OP_GOTO(op_time_branch);
    }
    struct timing_core *t = cpu->timing;
    bool taken = cpu->rip != op_behind(op, 1)->target;
    t->branch = timing_predict(t, site_of(op), taken, cpu->rip);
    if (OP_UNLIKELY(t->branch & PREDICTOR_ALLOCATE)) {
        OP_GOTO(time_condition_new);
    }
    OP_GOTO(time_condition);
}

void timed_latch(struct cpu *cpu, const struct block *to)
{
    if (!cpu->fetch.valid || cpu->fetch.lin_page != to->lin_page) {
        const struct code_entry *e = &cpu->code[(to->lin_page >> PAGE_SHIFT) % CODE_ENTRIES];
        op_jump_latch(cpu, to);
        timed_note(cpu, TIMING_FETCH, phys(to->phys_page), 1, e->slot);
    }
}
