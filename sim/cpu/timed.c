/*
 * Between the vCPU and the timing model: notes, waits, drains, the clock. Source: docs/timing.md.
 */

#include "cpu/timed.h"

#include "base/check.h"
#include "cpu/ahead.h"
#include "cpu/mem.h"
#include "cpu/pending.h"
#include "cpu/store_queue.h"

static struct timing_access *next_access(struct cpu *cpu)
{
    CHECK(cpu->access_count < TIMING_ACCESSES_MAX, "an instruction with more than %u accesses",
          TIMING_ACCESSES_MAX);
    return &cpu->accesses[cpu->access_count++];
}

void timed_hold(struct cpu *cpu, unsigned from, uint32_t slot)
{
    for (unsigned i = from; i < cpu->access_count; i++) {
        CHECK(cpu->held_count < TIMING_HELD_MAX, "an instruction with more than %u reads of tables",
              TIMING_HELD_MAX);
        cpu->held[cpu->held_count] = cpu->accesses[i];
        cpu->held[cpu->held_count++].slot = (uint16_t)slot;
    }
    cpu->access_count = from;
}

/* The walks for entry `slot` come now. */
static void release(struct cpu *cpu, uint32_t slot)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < cpu->held_count; i++) {
        if (cpu->held[i].slot == slot) {
            struct timing_access *a = next_access(cpu);
            *a = cpu->held[i];
            a->slot = 0;
        } else {
            cpu->held[kept++] = cpu->held[i];
        }
    }
    cpu->held_count = kept;
}

void timed_note_access(struct cpu *cpu, enum timing_access_kind kind, phys_t at, unsigned size_bytes,
                       uint32_t slot)
{
    bool translated = slot < TLB_ENTRIES;
    cpu->access_far = true;
    if (cpu->held_count != 0 && translated) {
        release(cpu, slot);
    }
    *next_access(cpu) = (struct timing_access){
        .at = at.v,
        .number = translated ? cpu->tlb.numbers[slot] : 0,
        .slot = translated ? (uint16_t)slot : 0,
        .size_bytes = (uint8_t)size_bytes,
        .kind = (uint8_t)kind,
    };
    cpu->access_stores += kind == TIMING_STORE;
}

/* ---- waits ---- */

static bool wait_until(struct cpu *cpu, uint64_t cycles, enum timing_wait reason, phys_t first, phys_t last)
{
    cpu->fault = (struct fault){.wait_until = cycles};
    cpu->wait_reason = reason;
    cpu->wait_line[0] = first.v;
    cpu->wait_line[1] = last.v;
    return true;
}

/* For the store queue: until its n-th entry is memory. */
static bool wait_for_entry(struct cpu *cpu, unsigned n, enum timing_wait reason)
{
    return wait_until(cpu, store_queue_entry(&cpu->stores, n)->due_cycles, reason, phys(0), phys(0));
}

bool timed_wait_for_drain(struct cpu *cpu)
{
    struct store_queue *q = &cpu->stores;
    bool waits = cpu->timing != NULL && cpu->access_waits && q->count != 0;
    return waits && wait_for_entry(cpu, q->count - 1, TIMING_WAIT_EMPTY);
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
    return wait_for_entry(cpu, q->count - most - 1, TIMING_WAIT_ROOM);
}

/* Until the queue is empty and the lines of both bytes are this vCPU's alone. */
static bool wait_for_lines(struct cpu *cpu, phys_t first, phys_t last)
{
    if (timed_wait_for_drain(cpu)) {
        return true;
    }
    uint64_t until = timing_lock(cpu->timing, first.v, last.v, cpu_now(cpu));
    if (until <= cpu_now(cpu)) {
        return false;
    }
    bool one = first.v >> TIMING_LINE_SHIFT == last.v >> TIMING_LINE_SHIFT;
    return wait_until(cpu, until, TIMING_WAIT_LINE, first, one ? first : last);
}

bool timed_update_waits(struct cpu *cpu, phys_t at)
{
    return wait_for_lines(cpu, at, at);
}

void timed_updated(struct cpu *cpu, phys_t at)
{
    wait_until(cpu, timing_update(cpu->timing, at.v, cpu_now(cpu)), TIMING_WAIT_UPDATE, at, at);
}

bool timed_lock_waits(struct cpu *cpu, const struct mem_rmw *rmw)
{
    if (cpu->timing == NULL || !cpu->access_waits) {
        return false;
    }
    const struct mem_piece *end = &rmw->pieces[rmw->pieces[1].size_bytes != 0 ? 1 : 0];
    for (const struct mem_piece *p = rmw->pieces; p <= end; p++) {
        if (!ram_contains(&cpu->bus->ram, p->at, p->size_bytes)) {
            return false; /* a device has no lines */
        }
    }
    return wait_for_lines(cpu, rmw->pieces[0].at, phys(end->at.v + end->size_bytes - 1));
}

/* ---- drains ---- */

void timed_take_commits(struct cpu *cpu, unsigned count)
{
    struct store_queue *q = &cpu->stores;
    for (unsigned n = 0; n < count && n < q->count; n++) {
        store_queue_entry(q, q->count - 1 - n)->due_cycles = timing_store_commit(cpu->timing, n);
    }
    timed_look(cpu);
}

void timed_drain_one(struct cpu *cpu, uint64_t now_cycles)
{
    timing_land(cpu->timing, now_cycles);
    if (timing_drain(cpu->timing, cpu->stores.count, now_cycles)) {
        cpu->drain_key = now_cycles;
        store_queue_drain_one(cpu);
        cpu->drain_key = 0;
    } else {
        timed_take_commits(cpu, cpu->stores.count);
    }
}

void timed_drain_due(struct cpu *cpu, uint64_t now_cycles)
{
    if (OP_UNLIKELY(cpu->ahead)) {
        if (mem_drain_next(cpu) <= now_cycles) {
            ahead_pass_due(cpu);
        }
    } else {
        while (mem_drain_next(cpu) <= now_cycles && cpu->stores.count != 0) {
            timed_drain_one(cpu, mem_drain_next(cpu));
        }
    }
    timed_look(cpu);
}

uint64_t timed_boundary(struct cpu *cpu, uint64_t now_cycles)
{
    timed_drain_due(cpu, now_cycles);
    return timing_land(cpu->timing, now_cycles);
}

/* ---- the clock ---- */

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
    if (cpu->timing != NULL && cpu->stores.capacity != 0) {
        store_queue_take_back(cpu, cpu->access_stores); /* the model would never say when they are due */
    }
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
    r->retired = now_cycles;
    r->stack = cpu->gpr[RSP];
    r->space = cpu->cr3;
    r->privilege = cpu->cpl;
    if (t != NULL) {
        r->dispatch = t->stamps.dispatch;
        r->start = t->stamps.start;
        r->end = t->stamps.end;
        r->store_commit = t->store_commit;
        r->fetch_ready = t->fetch_ready;
    }
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
    if (cpu->on_timing != NULL) {
        bool delivery = kind == TIMING_RECORD_EXCEPTION || kind == TIMING_RECORD_INTERRUPT;
        struct timing_record r = {
            .kind = kind,
            .pc = delivery ? cpu->delivery_pc : cpu_linear_rip(cpu),
            .next = cpu_linear_rip(cpu),
            .wait = cpu->wait_reason,
            .line = {cpu->wait_line[0], cpu->wait_line[1]},
        };
        add_stamps(cpu, &r, time_cycles);
        cpu->on_timing(cpu->on_timing_target, &r);
    }
}

void timed_tell_plain(struct cpu *cpu, const struct insn *insn, uint64_t pc, enum flow flow)
{
    uint64_t fall = cpu->mode == MODE_LONG64 ? pc + insn->length : (uint32_t)(pc + insn->length);
    const struct timing_outcome o = {
        .pc = pc,
        .next = flow == FLOW_NEXT ? fall : cpu_linear_rip(cpu),
        .goes_on = flow == FLOW_REPEAT,
    };
    tell_step(cpu, insn, &o, cpu_now(cpu));
}

static void after(struct cpu *cpu, uint64_t now_cycles)
{
    unsigned stores = cpu->access_stores;
    timed_forget(cpu);
    timed_set_clock(cpu, now_cycles);
    if (cpu->stores.capacity != 0 && stores != 0) {
        timed_take_commits(cpu, stores);
    }
    drop_fallen(cpu);
    if (cpu->left_cycles > 0) {
        timed_drain_due(cpu, now_cycles);
    }
}

void timed_take(struct cpu *cpu, const struct insn *insn, const struct timing_insn *prepared, uint64_t pc,
                const struct timed_code *code, enum flow flow)
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
    timed_take(cpu, insn, &prepared, pc, code, flow);
}

void timed_prepare(const struct cpu *cpu, struct block *b)
{
    for (unsigned i = 0; i < b->count; i++) {
        uint64_t first = b->at.v + b->cold[i].offset_bytes, last = first + b->insns[i].length - 1;
        struct timing_insn *t = &b->timed[i];
        timing_prepare(cpu->timing->shared, &b->insns[i].uop, t);
        uint64_t line = (first >> TIMING_LINE_SHIFT) + 1;
        bool one_line = line == (last >> TIMING_LINE_SHIFT) + 1, quick = timing_is_quick(t);
        t->code_line = one_line && quick ? line : UINT64_MAX;
        t->simple_line = t->simple ? t->code_line : UINT64_MAX;
        t->two_lines = !one_line && quick;
    }
    *timed_site(b) = predictor_site(&cpu->timing->predictor, b->rip + b->cold[b->count - 1].offset_bytes);
}

void timed_delivered(struct cpu *cpu, bool interrupt)
{
    const uint32_t *v = cpu->timing->shared->params.value;
    unsigned cycles = v[interrupt ? TIMING_interrupt_cycles : TIMING_exception_cycles];
    uint64_t now = timing_delivery(cpu->timing, cycles, cpu->accesses, cpu->access_count,
                                   cpu->stores.capacity != 0, cpu->delivery_key, cpu_now(cpu));
    timed_tell(cpu, interrupt ? TIMING_RECORD_INTERRUPT : TIMING_RECORD_EXCEPTION, now);
    after(cpu, now);
}
