#ifndef ORRERY_CPU_TIMED_H
#define ORRERY_CPU_TIMED_H

/*
 * The vCPU under the timing model (docs/timing.md): what instructions note for it, what makes them wait, and how they run.
 *
 * An instruction notes its accesses in cpu->accesses as it makes them; when it has completed, the model is asked for the new
 * clock. An instruction that has to wait (for the store queue, for a line) changes nothing and says so as one that faults
 * does, with cpu->fault.wait_until.
 */

#include "cpu/block.h"
#include "cpu/mem_internal.h"
#include "cpu/op.h"

#define TIMED_ROOM_STORES 8u /* places that an instruction which stores finds free (docs/timing.md, 3) */

void timed_note_access(struct cpu *cpu, enum timing_access_kind kind, phys_t at, unsigned size_bytes,
                       uint32_t slot);

/* An access to at, translated by entry `slot` of the TLB (TLB_ENTRIES: not translated). */
static inline void timed_note(struct cpu *cpu, enum timing_access_kind kind, phys_t at, unsigned size_bytes,
                              uint32_t slot)
{
    if (cpu->timing != NULL) {
        timed_note_access(cpu, kind, at, size_bytes, slot);
    }
}

/* Must the instruction wait before an access that has been translated? For room in the store queue, or before a device for
 * the queue to be empty. */
bool timed_must_wait(struct cpu *cpu, const struct place *p, unsigned size_bytes, unsigned access);
static inline bool timed_waits(struct cpu *cpu, const struct place *p, unsigned size_bytes, unsigned access)
{
    return cpu->timing != NULL && cpu->access_waits && timed_must_wait(cpu, p, size_bytes, access);
}

/* The walks noted from number `from` on have made entry `slot` of the TLB: they are put before the first access through it. */
void timed_hold(struct cpu *cpu, unsigned from, uint32_t slot);

/* Must it wait until the store queue is empty? */
bool timed_wait_for_drain(struct cpu *cpu);
/* A locked read-modify-write: until the queue is empty and its lines are this vCPU's alone. */
bool timed_lock_waits(struct cpu *cpu, const struct mem_rmw *rmw);
/* The same for an entry of a page table that a walk sets bits in. When it has set them, the instruction is tried again. */
bool timed_update_waits(struct cpu *cpu, phys_t at);
void timed_updated(struct cpu *cpu, phys_t at);

/* The oldest queued store drains at now, or is put off. */
void timed_drain_one(struct cpu *cpu, uint64_t now_cycles);

/* ---- the run loop's part ---- */

/* At a boundary, before anything else: own stores that are due drain, copies of lines that are lost go. Returns the moment
 * at which it has to be called again. */
uint64_t timed_boundary(struct cpu *cpu, uint64_t now_cycles);

/* Is there anything for timed_boundary to do or to tell? */
static inline bool timed_has_boundary(const struct cpu *cpu, uint64_t now_cycles)
{
    return cpu->timing->landing_count != 0 || mem_drain_next(cpu) <= now_cycles;
}

/* Where the bytes of an instruction are: in one piece, or (over a page boundary) in two. */
struct timed_code {
    phys_t at, rest;
    unsigned size_bytes, rest_bytes;
};

/* An instruction has completed with flow (NEXT, JUMP, REPEAT); pc is its linear address; rip is set already, but for NEXT. Moves
 * the clock. */
void timed_complete(struct cpu *cpu, const struct insn *insn, uint64_t pc, const struct timed_code *code,
                    enum flow flow);

/* The same when the instruction was INT n or its kind, whose flow is that of a fault. */
static inline void timed_soft(struct cpu *cpu, const struct insn *insn, uint64_t pc,
                              const struct timed_code *code, enum flow flow)
{
    if (cpu->timing != NULL && flow == FLOW_FAULT && cpu->fault.soft && !timed_wait_for_drain(cpu)) {
        cpu->delivery_key = cpu_now(cpu);
        timed_complete(cpu, insn, pc, code, FLOW_NEXT);
    }
}

/* An exception or interrupt has been delivered. */
void timed_delivered(struct cpu *cpu, bool interrupt);

/* Tells an observer of anything but a step. */
void timed_tell(struct cpu *cpu, enum timing_record_kind kind, uint64_t time_cycles);

/* An instruction has completed without a model, as timed_complete says, and its time is spent: tells the observer, which is there. */
void timed_tell_plain(struct cpu *cpu, const struct insn *insn, uint64_t pc, enum flow flow);

/* What was noted is void: a fault, a wait. */
void timed_void(struct cpu *cpu);

/* What was noted has been told, or was near. */
static inline void timed_forget(struct cpu *cpu)
{
    cpu->access_count = 0;
    cpu->access_stores = 0;
    cpu->held_count = 0;
    cpu->access_far = cpu->on_timing != NULL;
}

/* ---- for op_time.c ---- */

/* The clock: under the timing model nothing is charged beforehand. */
static inline uint64_t timed_now(const struct cpu *cpu)
{
    return cpu->deadline_cycles - (uint64_t)cpu->left_cycles;
}

static inline void timed_set_clock(struct cpu *cpu, uint64_t now_cycles)
{
    cpu->left_cycles = (int64_t)(cpu->deadline_cycles - now_cycles);
}

/* What the handlers look at has changed: the deadline, or when queued stores are due. */
static inline void timed_look(struct cpu *cpu)
{
    uint64_t due = mem_drain_next(cpu);
    cpu->look_cycles = due < cpu->deadline_cycles ? due : cpu->deadline_cycles;
}

/* timed_complete with what the model has to know of the instruction. */
void timed_take(struct cpu *cpu, const struct insn *insn, const struct timing_insn *prepared, uint64_t pc,
                const struct timed_code *code, enum flow flow);

/* The moments at which queued stores are due, as the model has them now; the youngest `count`. */
void timed_take_commits(struct cpu *cpu, unsigned count);

/* Own stores that are due by now drain. */
void timed_drain_due(struct cpu *cpu, uint64_t now_cycles);

/* What the predictor knows the last instruction of a block by. */
static inline struct predictor_site *timed_site(const struct block *b)
{
    return (struct predictor_site *)(b->timed + b->count);
}

/* Fills in what the model has to know of a block's instructions. */
void timed_prepare(const struct cpu *cpu, struct block *b);

/* Moves the fetch latch to the page of a block whose code entry stands. */
void timed_latch(struct cpu *cpu, const struct block *to);

#endif
