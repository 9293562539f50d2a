/*
 * Between the vCPU and the timing model: notes, waits, drains, the clock. Source: docs/timing.md.
 */

#include "cpu/timed.h"

#include "base/check.h"
#include "cpu/mem.h"
#include "cpu/pending.h"
#include "cpu/store_queue.h"

void timed_note_access(struct cpu *cpu, enum timing_access_kind kind, phys_t at, unsigned size_bytes,
                       uint32_t slot)
{
    CHECK(cpu->access_count < TIMING_ACCESSES_MAX, "an instruction with more than %u accesses",
          TIMING_ACCESSES_MAX);
    bool translated = slot < TLB_ENTRIES;
    cpu->access_far = true;
    cpu->accesses[cpu->access_count++] = (struct timing_access){
        .at = at.v,
        .number = translated ? cpu->tlb.numbers[slot] : 0,
        .slot = translated ? (uint16_t)slot : 0,
        .size_bytes = (uint8_t)size_bytes,
        .kind = (uint8_t)kind,
    };
    cpu->access_stores += kind == TIMING_STORE;
}

/* ---- waits ---- */

static bool wait_until(struct cpu *cpu, uint64_t cycles, enum timing_wait reason, uint64_t line)
{
    cpu->fault = (struct fault){.wait_until = cycles};
    cpu->wait_reason = reason;
    cpu->wait_line = line;
    return true;
}

bool timed_wait_for_drain(struct cpu *cpu)
{
    struct store_queue *q = &cpu->stores;
    bool waits = cpu->timing != NULL && cpu->access_waits && q->count != 0;
    return waits && wait_until(cpu, store_queue_entry(q, q->count - 1)->due_cycles, TIMING_WAIT_EMPTY, 0);
}

bool timed_must_wait(struct cpu *cpu, const struct place *p, unsigned size_bytes, unsigned access)
{
    struct store_queue *q = &cpu->stores;
    if (q->count == 0 || cpu->access_stores != 0) {
        return false; /* after a store of its own it is too late */
    }
    if (!mem_is_ram(cpu, p, size_bytes) || mem_is_uncached(cpu, p->data)) {
        return timed_wait_for_drain(cpu);
    }
    unsigned most = cpu->store_room;
    if (!(access & ACCESS_WRITE) || q->count <= most) {
        return false;
    }
    return wait_until(cpu, store_queue_entry(q, q->count - most - 1)->due_cycles, TIMING_WAIT_ROOM, 0);
}

bool timed_wait_for_line(struct cpu *cpu, phys_t at)
{
    if (timed_wait_for_drain(cpu)) {
        return true;
    }
    uint64_t until = timing_lock(cpu->timing, at.v, cpu_now(cpu));
    return until > cpu_now(cpu) && wait_until(cpu, until, TIMING_WAIT_LINE, at.v);
}

bool timed_lock_waits(struct cpu *cpu, const struct mem_rmw *rmw)
{
    if (cpu->timing == NULL || !cpu->access_waits) {
        return false;
    }
    for (unsigned i = 0; i < 2 && rmw->pieces[i].size_bytes != 0; i++) {
        phys_t at = rmw->pieces[i].at;
        phys_t last = phys(at.v + rmw->pieces[i].size_bytes - 1);
        if (ram_contains(&cpu->bus->ram, at, rmw->pieces[i].size_bytes) &&
            (timed_wait_for_line(cpu, at) || timed_wait_for_line(cpu, last))) {
            return true;
        }
    }
    return false;
}

/* ---- drains ---- */

/* The moments at which queued stores are due, as the model has them now; the youngest `count`. */
static void take_commits(struct cpu *cpu, unsigned count)
{
    struct store_queue *q = &cpu->stores;
    for (unsigned n = 0; n < count && n < q->count; n++) {
        store_queue_entry(q, q->count - 1 - n)->due_cycles = timing_store_commit(cpu->timing, n);
    }
}

void timed_drain_one(struct cpu *cpu, uint64_t now_cycles)
{
    timing_land(cpu->timing, now_cycles);
    if (timing_drain(cpu->timing, cpu->stores.count, now_cycles)) {
        store_queue_drain_one(cpu);
    } else {
        take_commits(cpu, cpu->stores.count);
    }
}

static void drain_due(struct cpu *cpu, uint64_t now_cycles)
{
    while (mem_drain_next(cpu) <= now_cycles && cpu->stores.count != 0) {
        timed_drain_one(cpu, mem_drain_next(cpu));
    }
}

uint64_t timed_boundary(struct cpu *cpu, uint64_t now_cycles)
{
    drain_due(cpu, now_cycles);
    return timing_land(cpu->timing, now_cycles);
}

/* ---- the clock ---- */

static void set_clock(struct cpu *cpu, uint64_t now_cycles)
{
    cpu->left_cycles = (int64_t)(cpu->deadline_cycles - now_cycles);
}

/* The pages of a TLB entry go the slow way again, if it still is the one of this number. */
static void drop_entry(struct cpu *cpu, uint32_t slot, uint32_t number)
{
    struct tlb_view e;
    if (cpu->tlb.numbers[slot] == number && tlb_view_entry(&cpu->tlb, slot, &e)) {
        mem_drop_range(cpu, e.linear.v, e.page_shift);
    }
}

/* Host entries exist only of pages that the first-level TLB has, so that an access through one costs nothing there. */
static void drop_fallen(struct cpu *cpu)
{
    struct timing_core *t = cpu->timing;
    for (unsigned i = 0; i < t->fallen_count; i++) {
        drop_entry(cpu, t->fallen[i].slot, t->fallen[i].number);
    }
    t->fallen_count = 0;
}

/* The model is never told of these accesses, so it may not have their pages, but host entries may have been made. */
void timed_void(struct cpu *cpu)
{
    for (unsigned i = 0; i < cpu->access_count; i++) {
        if (cpu->accesses[i].number != 0) {
            drop_entry(cpu, cpu->accesses[i].slot, cpu->accesses[i].number);
        }
    }
    timed_forget(cpu);
}

/* ---- observers ---- */

static void add_stamps(const struct cpu *cpu, struct timing_record *r, uint64_t now_cycles)
{
    const struct timing_core *t = cpu->timing;
    r->cpu = cpu->number;
    r->dispatch = t->stamps.dispatch;
    r->start = t->stamps.start;
    r->end = t->stamps.end;
    r->retired = now_cycles;
    r->store_commit = t->store_commit;
    r->fetch_ready = t->fetch_ready;
    r->accesses = cpu->accesses;
    r->access_count = cpu->access_count;
    r->mode_bits = cpu->step_mode == MODE_LONG64 ? 64 : cpu->step_mode == MODE_PROT32 ? 32 : 16;
}

static void tell_step(struct cpu *cpu, const struct insn *insn, const struct timing_outcome *o,
                      uint64_t now_cycles)
{
    struct timing_record r = {
        .kind = o->goes_on ? TIMING_RECORD_ITERATION : TIMING_RECORD_STEP,
        .pc = o->pc,
        .next = o->next,
        .bytes = insn->bytes,
        .length = insn->length,
        .backward = o->backward,
        .keeps = o->keeps,
        .code = {o->code[0], o->code[1]},
        .code_bytes = {o->code_bytes[0], o->code_bytes[1]},
    };
    add_stamps(cpu, &r, now_cycles);
    cpu->on_timing(cpu->on_timing_target, &r);
}

void timed_tell(struct cpu *cpu, enum timing_record_kind kind, uint64_t time_cycles)
{
    if (cpu->timing != NULL && cpu->on_timing != NULL) {
        struct timing_record r = {
            .kind = kind, .pc = cpu_linear_rip(cpu), .wait = cpu->wait_reason, .line = cpu->wait_line};
        add_stamps(cpu, &r, time_cycles);
        cpu->on_timing(cpu->on_timing_target, &r);
    }
}

static void after(struct cpu *cpu, uint64_t now_cycles)
{
    unsigned stores = cpu->access_stores;
    timed_forget(cpu);
    set_clock(cpu, now_cycles);
    if (cpu->stores.capacity != 0 && stores != 0) {
        take_commits(cpu, stores);
    }
    drop_fallen(cpu);
    if (cpu->left_cycles > 0) {
        drain_due(cpu, now_cycles);
    }
}

static void complete(struct cpu *cpu, const struct insn *insn, const struct timing_insn *prepared,
                     uint64_t pc, const struct timed_code *code, enum flow flow)
{
    bool repeats = (insn_rows[insn->row].flags & INSN_REP) && (insn->prefixes & (PREFIX_REP | PREFIX_REPNE));
    uint64_t fall = cpu->mode == MODE_LONG64 ? pc + insn->length : (uint32_t)(pc + insn->length);
    const struct timing_outcome o = {
        .pc = pc,
        .fall = fall,
        .next = flow == FLOW_NEXT ? fall : cpu_linear_rip(cpu),
        .code = {code->at.v, code->rest.v},
        .code_bytes = {(uint8_t)code->size_bytes, (uint8_t)code->rest_bytes},
        .repeats = repeats,
        .goes_on = flow == FLOW_REPEAT,
        .backward = (cpu->rflags & RFLAGS_DF) != 0,
        .keeps = insn->uop.class == COST_CR3 && cpu->cr3_kept,
    };
    uint64_t now = timing_instruction(cpu->timing, prepared, &o, cpu->accesses, cpu->access_count,
                                      cpu->stores.capacity != 0, cpu_now(cpu));
    if (OP_UNLIKELY(cpu->on_timing != NULL)) {
        tell_step(cpu, insn, &o, now);
    }
    after(cpu, now);
}

void timed_complete(struct cpu *cpu, const struct insn *insn, uint64_t pc, const struct timed_code *code,
                    enum flow flow)
{
    struct timing_insn prepared;
    timing_prepare(cpu->timing->shared, &insn->uop, &prepared);
    complete(cpu, insn, &prepared, pc, code, flow);
}

void timed_prepare(const struct cpu *cpu, struct block *b)
{
    for (unsigned i = 0; i < b->count; i++) {
        uint64_t first = b->at.v + b->cold[i].offset_bytes, last = first + b->insns[i].length - 1;
        timing_prepare(cpu->timing->shared, &b->insns[i].uop, &b->timed[i]);
        bool one_line = first >> TIMING_LINE_SHIFT == last >> TIMING_LINE_SHIFT;
        b->timed[i].code_line =
            one_line && timing_is_quick(&b->timed[i]) ? (first >> TIMING_LINE_SHIFT) + 1 : UINT64_MAX;
    }
}

void timed_delivered(struct cpu *cpu, bool interrupt)
{
    const uint32_t *v = cpu->timing->shared->params.value;
    unsigned cycles = v[interrupt ? TIMING_interrupt_cycles : TIMING_exception_cycles];
    uint64_t now = timing_delivery(cpu->timing, cycles, cpu->accesses, cpu->access_count,
                                   cpu->stores.capacity != 0, cpu_now(cpu));
    timed_tell(cpu, interrupt ? TIMING_RECORD_INTERRUPT : TIMING_RECORD_EXCEPTION, now);
    after(cpu, now);
}

/* ---- blocks ---- */

/* Must the run loop look before the next instruction? */
static bool must_leave(const struct cpu *cpu, const struct block *b)
{
    return cpu->left_cycles <= 0 || cpu->chain_break || cpu->chain_cut || b->dead || cpu_interrupt_waits(cpu);
}

/* Leaves at the boundary after the instruction of op. */
static const struct op *leave(struct cpu *cpu, const struct block *b, const struct op *op, enum flow flow)
{
    cpu->exit_flow = (uint8_t)flow;
    cpu->exit_insn = &b->insns[op->number];
    cpu->step_block = NULL;
    if (flow == FLOW_NEXT && !b->dead && op->number + 1u < b->count) {
        cpu->step_block = b;
        cpu->step_number = op->number + 1u;
        cpu->step_rip = cpu->rip;
    }
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
    timed_complete(cpu, insn, pc, &code, flow);
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
    timed_latch(cpu, j->block);
    OP_DISPATCH(j->block->ops);
}

const struct op *op_timed(struct cpu *cpu, const struct op *op)
{
    const struct block *b = op_block(op);
    enum flow flow = execute(cpu, b, op);
    if (flow != FLOW_NEXT || must_leave(cpu, b)) {
        return leave(cpu, b, op, flow);
    }
    OP_NEXT;
}

const struct op *op_timed_end(struct cpu *cpu, const struct op *op)
{
    const struct block *b = op_block(op);
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
    timed_latch(cpu, j->block);
    OP_DISPATCH(j->block->ops);
}

/* The instruction of op takes its time, whatever it is. */
static void take_time(struct cpu *cpu, const struct block *b, const struct op *op, enum flow flow)
{
    struct timed_code code = code_of(b, op);
    uint64_t pc = b->rip + b->cold[op->number].offset_bytes;
    cpu->step_mode = MODE_LONG64;
    complete(cpu, &b->insns[op->number], &b->timed[op->number], pc, &code, flow);
}

/* After a step whose accesses were all near. */
static inline void quick_after(struct cpu *cpu, uint64_t now)
{
    unsigned stores = cpu->access_stores;
    timed_forget(cpu);
    set_clock(cpu, now);
    if (stores != 0 && cpu->stores.capacity != 0) {
        take_commits(cpu, stores);
    }
    if (cpu->left_cycles > 0 && mem_drain_next(cpu) <= now) {
        drain_due(cpu, now);
    }
}

/* May the instruction take the short way: are its accesses near, and does it lie in the line that was fetched last, or in one
 * that L1I has and used last in its set, so that fetching it changes nothing? */
static inline bool is_quick(struct cpu *cpu, const struct timing_insn *insn)
{
    struct timing_core *t = cpu->timing;
    if (OP_UNLIKELY(cpu->access_far)) {
        return false;
    }
    if (insn->code_line != t->fetched_line) {
        if (!cache_is_recent(&t->l1i, insn->code_line - 1)) {
            return false;
        }
        t->fetched_line = insn->code_line;
    }
    return true;
}

const struct op *op_time(struct cpu *cpu, const struct op *op)
{
    const struct block *b = op_block(op);
    const struct timing_insn *insn = &b->timed[op->number];
    if (is_quick(cpu, insn)) {
        quick_after(cpu, timing_quick(cpu->timing, insn, cpu->accesses, cpu->access_count,
                                      cpu->stores.capacity != 0, cpu_now(cpu)));
    } else {
        take_time(cpu, b, op, FLOW_NEXT);
    }
    cpu->retired++;
    if (OP_UNLIKELY(cpu->left_cycles <= 0)) {
        cpu->rip = b->rip + b->cold[op->number + 1].offset_bytes;
        return leave(cpu, b, op, FLOW_NEXT);
    }
    OP_NEXT;
}

const struct op *op_time_branch(struct cpu *cpu, const struct op *op)
{
    const struct block *b = op_block(op);
    const struct timing_insn *insn = &b->timed[op->number];
    if (is_quick(cpu, insn)) {
        struct timing_outcome o;
        o.pc = b->rip + b->cold[op->number].offset_bytes;
        o.fall = b->rip + b->cold[op->number + 1].offset_bytes;
        o.next = cpu->rip;
        quick_after(cpu, timing_quick_branch(cpu->timing, insn, &o, cpu->accesses, cpu->access_count,
                                             cpu->stores.capacity != 0, cpu_now(cpu)));
    } else {
        take_time(cpu, b, op, FLOW_JUMP);
    }
    cpu->retired++;
    if (OP_UNLIKELY(cpu->left_cycles <= 0)) {
        return leave(cpu, b, op, FLOW_JUMP);
    }
    OP_GOTO(follow);
}

void timed_latch(struct cpu *cpu, const struct block *to)
{
    if (!cpu->fetch.valid || cpu->fetch.lin_page != to->lin_page) {
        const struct code_entry *e = &cpu->code[(to->lin_page >> PAGE_SHIFT) % CODE_ENTRIES];
        op_jump_latch(cpu, to);
        timed_note(cpu, TIMING_FETCH, phys(to->phys_page), 1, e->slot);
    }
}
