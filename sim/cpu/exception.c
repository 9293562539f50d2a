/*
 * Delivery of exceptions, interrupts and INT n, and the stack switch that call gates share with them.
 *
 * Source: AMD64 APM vol. 2, "Exceptions and Interrupts" ("Legacy Protected-Mode Interrupt Control
 * Transfers", "Long-Mode Interrupt Control Transfers", "Double-Fault Exception"); vol. 3, INT (pseudo
 * code).
 * Deviations: task gates are not modelled. RF in the image pushed by an interrupt between two iterations of
 * a repeated instruction is its value at that moment.
 *
 * A fault met during the delivery leaves the CPU's registers as they were before it: everything is read,
 * checked and pushed first, and one commit at the end changes the state. Only CR2 and DR6 are set before.
 */

#include "cpu/exception.h"

#include "base/check.h"
#include "cpu/debug_regs.h"
#include "cpu/mem.h"
#include "cpu/segment.h"

/* What is being delivered. */
struct delivery {
    uint8_t vector;
    bool soft;
    bool has_error;
    uint32_t error;
    uint64_t flags_image; /* RFLAGS as pushed */
    uint64_t return_rip;
};

/* A gate of the IDT, decoded. */
struct gate {
    uint16_t selector;
    unsigned type, ist;
    uint64_t offset;
};

/* What the commit will write. */
struct entry {
    struct segment cs;
    unsigned level;
    uint64_t rip;
    struct stack_frame stack;
    bool set_ss;
};

/* ---- stacks in the TSS ---- */

static lin_t tss_address(const struct cpu *cpu, uint32_t offset)
{
    uint64_t a = cpu->tr.base + offset;
    return lin(in_long_mode(cpu) ? a : (uint32_t)a);
}

static bool tss_check_limit(struct cpu *cpu, uint32_t last)
{
    return last <= cpu->tr.limit || segment_fault(cpu, VECTOR_TS, SELECTOR_ERROR(cpu->tr.selector));
}

bool tss_read_rsp(struct cpu *cpu, unsigned level, unsigned ist, uint64_t *rsp)
{
    uint32_t offset = ist ? 0x24 + 8 * (ist - 1) : 4 + 8 * level;
    return tss_check_limit(cpu, offset + 7) && mem_read_system(cpu, tss_address(cpu, offset), 8, rsp);
}

bool tss_read_stack(struct cpu *cpu, unsigned level, struct segment *ss, uint64_t *rsp)
{
    bool wide = (cpu->tr.attr & 8u) != 0;
    uint32_t offset = wide ? 4 + 8 * level : 2 + 4 * level;
    unsigned pointer_bytes = wide ? 4 : 2;
    uint64_t selector;
    if (!tss_check_limit(cpu, offset + pointer_bytes + 1) ||
        !mem_read_system(cpu, tss_address(cpu, offset), pointer_bytes, rsp) ||
        !mem_read_system(cpu, tss_address(cpu, offset + pointer_bytes), 2, &selector)) {
        return false;
    }
    if (SELECTOR_NULL(selector)) {
        return segment_fault(cpu, VECTOR_TS, 0);
    }
    return segment_read_stack(cpu, (uint16_t)selector, level, VECTOR_TS, ss);
}

/* ---- gates ---- */

bool gate_read_code(struct cpu *cpu, uint16_t selector, bool for_jump, struct segment *cs, unsigned *level)
{
    struct descriptor d;
    if (SELECTOR_NULL(selector)) {
        return segment_fault(cpu, VECTOR_GP, 0);
    }
    if (!descriptor_read(cpu, selector, VECTOR_GP, &d)) {
        return false;
    }
    unsigned attr = descriptor_attr(&d);
    bool conforming = attr_is_conforming(attr);
    bool inner = !conforming && attr_dpl(attr) < cpu->cpl;
    bool wrong_bits = in_long_mode(cpu) && (attr & (SEG_L | SEG_DB)) != SEG_L;
    if (!attr_is_code(attr) || attr_dpl(attr) > cpu->cpl || (for_jump && inner) || wrong_bits) {
        return segment_fault(cpu, VECTOR_GP, SELECTOR_ERROR(selector));
    }
    if (!(attr & SEG_P)) {
        return segment_fault(cpu, VECTOR_NP, SELECTOR_ERROR(selector));
    }
    *level = conforming ? cpu->cpl : attr_dpl(attr);
    if (!descriptor_set_type_bits(cpu, &d, TYPE_ACCESSED)) {
        return false;
    }
    *cs = descriptor_segment(&d, (uint16_t)((selector & ~SELECTOR_RPL) | *level));
    return true;
}

/* Does the gate type exist in the IDT of this mode? */
static bool idt_type_valid(const struct cpu *cpu, unsigned type)
{
    if (type == TYPE_INT_GATE32 || type == TYPE_TRAP_GATE32) {
        return true;
    }
    return !in_long_mode(cpu) &&
           (type == TYPE_INT_GATE16 || type == TYPE_TRAP_GATE16 || type == TYPE_TASK_GATE);
}

/*  Interrupt gate, legacy:  | offset 31:16 | P DPL 0 type | 0 | selector | offset 15:0 |
 *  long mode adds:          | reserved | offset 63:32 |, and IST in bits 34..32 of the first half. */
static bool idt_read(struct cpu *cpu, const struct delivery *d, struct gate *out)
{
    unsigned size_bytes = in_long_mode(cpu) ? 16 : 8;
    uint32_t offset = d->vector * size_bytes;
    uint32_t error = d->vector * 8u + 2u; /* the IDT bit */
    uint64_t raw;
    uint64_t raw_hi = 0;
    if (offset + size_bytes - 1 > cpu->idtr.limit) {
        return segment_fault(cpu, VECTOR_GP, error);
    }
    lin_t a = lin(cpu->idtr.base + offset);
    if (!in_long_mode(cpu)) {
        a = lin((uint32_t)a.v);
    }
    if (!mem_read_system(cpu, a, 8, &raw) ||
        (size_bytes == 16 && !mem_read_system(cpu, lin(a.v + 8), 8, &raw_hi))) {
        return false;
    }
    unsigned attr = (unsigned)(raw >> 40);
    if ((attr & SEG_S) || !idt_type_valid(cpu, attr_type(attr)) || (d->soft && attr_dpl(attr) < cpu->cpl)) {
        return segment_fault(cpu, VECTOR_GP, error);
    }
    if (!(attr & SEG_P)) {
        return segment_fault(cpu, VECTOR_NP, error);
    }
    out->type = attr_type(attr);
    out->selector = (uint16_t)(raw >> 16);
    out->ist = in_long_mode(cpu) ? (unsigned)(raw >> 32) & 7 : 0;
    out->offset = bits_get(raw, 15, 0) | bits_get(raw, 63, 48) << 16 | raw_hi << 32;
    if (out->type == TYPE_INT_GATE16 || out->type == TYPE_TRAP_GATE16) {
        out->offset &= 0xffff;
    }
    return true;
}

/* ---- the three forms of delivery ---- */

/* The stack that the handler will use, before anything is pushed. */
static bool entry_stack(struct cpu *cpu, unsigned ist, struct entry *e)
{
    bool inner = e->level < cpu->cpl;
    e->stack = frame_current(cpu);
    e->set_ss = inner;
    if (!in_long_mode(cpu)) {
        struct segment ss;
        uint64_t rsp;
        if (!inner) {
            return true;
        }
        if (!tss_read_stack(cpu, e->level, &ss, &rsp)) {
            return false;
        }
        e->stack = frame_inner(&ss, rsp, false);
        return true;
    }
    uint64_t rsp = cpu->gpr[RSP];
    if ((inner || ist) && !tss_read_rsp(cpu, e->level, ist, &rsp)) {
        return false;
    }
    struct segment ss = inner ? segment_null((uint16_t)e->level) : cpu->seg[SEG_SS];
    e->stack = frame_inner(&ss, align_down(rsp, 16), true);
    e->stack.system = e->level < 3;
    e->stack.error = 0;
    return true;
}

/* The whole frame of long mode at once, where the stack's page has a host pointer. False: nothing was done. */
static bool entry_push_fast(struct cpu *cpu, const struct delivery *d, struct entry *e)
{
    unsigned size_bytes = d->has_error ? 48 : 40;
    uint64_t low = e->stack.rsp - size_bytes;
    uint8_t *host =
        e->stack.system ? mem_host_write_system(cpu, low, size_bytes) : mem_host_write(cpu, low, size_bytes);
    if (host == NULL) {
        return false;
    }
    if (d->has_error) {
        store_le64(host, d->error);
        host += 8;
    }
    store_le64(host, d->return_rip);
    store_le64(host + 8, cpu->seg[SEG_CS].selector);
    store_le64(host + 16, d->flags_image);
    store_le64(host + 24, cpu->gpr[RSP]);
    store_le64(host + 32, cpu->seg[SEG_SS].selector);
    e->stack.rsp = low;
    return true;
}

static bool entry_push(struct cpu *cpu, const struct delivery *d, struct entry *e, unsigned size_bytes)
{
    if (in_long_mode(cpu) && entry_push_fast(cpu, d, e)) {
        return true;
    }
    if (e->set_ss || in_long_mode(cpu)) {
        if (!frame_push(cpu, &e->stack, cpu->seg[SEG_SS].selector, size_bytes) ||
            !frame_push(cpu, &e->stack, cpu->gpr[RSP], size_bytes)) {
            return false;
        }
    }
    return frame_push(cpu, &e->stack, d->flags_image, size_bytes) &&
           frame_push(cpu, &e->stack, cpu->seg[SEG_CS].selector, size_bytes) &&
           frame_push(cpu, &e->stack, d->return_rip, size_bytes) &&
           (!d->has_error || frame_push(cpu, &e->stack, d->error, size_bytes));
}

static void entry_commit(struct cpu *cpu, const struct entry *e, uint64_t clear_flags)
{
    cpu->seg[SEG_CS] = e->cs;
    cpu->rip = e->rip;
    cpu->gpr[RSP] = e->stack.rsp;
    if (e->set_ss) {
        cpu->seg[SEG_SS] = e->stack.ss;
    }
    cpu->cpl = (uint8_t)e->level;
    cpu->rflags &= ~clear_flags; /* none of them is a status flag */
    cpu_note_masked(cpu);
    cpu_update_mode(cpu);
}

static enum flow deliver_protected(struct cpu *cpu, const struct delivery *d)
{
    struct gate gate;
    struct entry e;
    if (!idt_read(cpu, d, &gate)) {
        return FLOW_FAULT;
    }
    if (gate.type == TYPE_TASK_GATE) {
        return cpu_not_modelled(cpu, "task gate in the IDT (hardware task switch)");
    }
    if (!gate_read_code(cpu, gate.selector, false, &e.cs, &e.level) || !entry_stack(cpu, gate.ist, &e)) {
        return FLOW_FAULT;
    }
    unsigned size_bytes = in_long_mode(cpu) ? 8 : (gate.type & 8u) ? 4 : 2;
    if (!entry_push(cpu, d, &e, size_bytes) || !segment_check_rip(cpu, &e.cs, gate.offset)) {
        return FLOW_FAULT;
    }
    e.rip = gate.offset;
    bool interrupt_gate = gate.type == TYPE_INT_GATE32 || gate.type == TYPE_INT_GATE16;
    entry_commit(cpu, &e, RFLAGS_TF | RFLAGS_NT | RFLAGS_RF | RFLAGS_VM | (interrupt_gate ? RFLAGS_IF : 0));
    return FLOW_JUMP;
}

/* The real-mode table: four bytes a vector, IP and CS. No error codes. */
static enum flow deliver_real(struct cpu *cpu, const struct delivery *d)
{
    uint32_t offset = d->vector * 4u;
    uint64_t pointer;
    if (offset + 3 > cpu->idtr.limit) {
        return cpu_fault_code(cpu, VECTOR_GP, 0);
    }
    if (!mem_read_system(cpu, lin((uint32_t)(cpu->idtr.base + offset)), 4, &pointer)) {
        return FLOW_FAULT;
    }
    struct entry e = {.cs = cpu->seg[SEG_CS], .rip = pointer & 0xffff, .stack = frame_current(cpu)};
    e.cs.selector = (uint16_t)(pointer >> 16);
    e.cs.base = (uint64_t)e.cs.selector << 4;
    if (!frame_push(cpu, &e.stack, d->flags_image, 2) ||
        !frame_push(cpu, &e.stack, cpu->seg[SEG_CS].selector, 2) ||
        !frame_push(cpu, &e.stack, d->return_rip, 2) || !segment_check_rip(cpu, &e.cs, e.rip)) {
        return FLOW_FAULT;
    }
    entry_commit(cpu, &e, RFLAGS_IF | RFLAGS_TF | RFLAGS_RF | RFLAGS_AC);
    return FLOW_JUMP;
}

/* ---- classes, escalation ---- */

enum exception_class { CLASS_BENIGN, CLASS_CONTRIBUTORY, CLASS_PAGE_FAULT };

static enum exception_class exception_class(unsigned vector)
{
    if (vector == VECTOR_PF) {
        return CLASS_PAGE_FAULT;
    }
    return vector == VECTOR_DE || (vector >= VECTOR_TS && vector <= VECTOR_GP) ? CLASS_CONTRIBUTORY
                                                                               : CLASS_BENIGN;
}

static bool makes_double_fault(unsigned first, unsigned second)
{
    enum exception_class a = exception_class(first);
    enum exception_class b = exception_class(second);
    return (a == CLASS_CONTRIBUTORY && b == CLASS_CONTRIBUTORY) ||
           (a == CLASS_PAGE_FAULT && b != CLASS_BENIGN);
}

/* Faults set RF in the pushed image; traps, interrupts and an instruction breakpoint push it as it is. */
static bool sets_rf(const struct fault *f, enum event_source source)
{
    if (source != EVENT_FAULT || f->soft || f->vector == VECTOR_MC) {
        return false;
    }
    return f->vector == VECTOR_DB ? (f->dr6 & DR6_BD) != 0 : f->vector != VECTOR_BP && f->vector != VECTOR_OF;
}

/* Registers that tell the handler more; set before the delivery, whatever comes of it. */
static void note_registers(struct cpu *cpu, const struct fault *f, enum event_source source)
{
    if (source != EVENT_FAULT) {
        return;
    }
    if (f->vector == VECTOR_PF) {
        cpu->cr2 = f->cr2;
    }
    if (f->vector == VECTOR_DB) {
        cpu->dr6 |= f->dr6;
        cpu->dr7 &= ~DR7_GD;
    }
}

static void tell(struct cpu *cpu, const struct fault *f, enum event_source source, uint64_t return_rip)
{
    if (source == EVENT_EXTERNAL || source == EVENT_NMI) {
        trace_hit(&cpu->trace, TRACE_INTERRUPT, cpu_now(cpu), f->vector, source == EVENT_NMI, return_rip, 0);
    } else {
        uint64_t address = f->vector == VECTOR_PF && source == EVENT_FAULT ? f->cr2 : 0;
        trace_hit(&cpu->trace, TRACE_EXCEPTION, cpu_now(cpu), f->vector, f->error, address, return_rip);
    }
}

/* RFLAGS as pushed: RF keeps a fault's instruction from its breakpoint; a software interrupt has completed. */
static uint64_t flags_image(const struct cpu *cpu, const struct fault *f, enum event_source source)
{
    uint64_t rflags = cpu_rflags(cpu) & ~(f->soft ? RFLAGS_RF : 0);
    return rflags | (sets_rf(f, source) ? RFLAGS_RF : 0);
}

static enum flow deliver_once(struct cpu *cpu, const struct fault *f, enum event_source source,
                              uint64_t return_rip)
{
    struct delivery d = {
        .vector = f->vector,
        .soft = source == EVENT_SOFT,
        .has_error = f->has_error,
        .error = f->error,
        .flags_image = flags_image(cpu, f, source),
        .return_rip = return_rip,
    };
    note_registers(cpu, f, source);
    enum flow flow = (cpu->cr0 & CR0_PE) ? deliver_protected(cpu, &d) : deliver_real(cpu, &d);
    if (flow != FLOW_FAULT) {
        tell(cpu, f, source, return_rip);
    }
    return flow;
}

/* The fault that follows when delivering first met cpu->fault. */
static struct fault escalate(const struct cpu *cpu, const struct fault *first, enum event_source source)
{
    struct fault second = cpu->fault;
    if (source == EVENT_FAULT && makes_double_fault(first->vector, second.vector)) {
        return (struct fault){.vector = VECTOR_DF, .has_error = true};
    }
    if (source != EVENT_SOFT && second.vector >= VECTOR_TS && second.vector <= VECTOR_GP) {
        second.error |= 1; /* EXT */
    }
    return second;
}

static enum flow shut_down(struct cpu *cpu)
{
    cpu->activity = CPU_SHUTDOWN;
    cpu_request_break(cpu);
    return FLOW_JUMP;
}

enum flow exception_deliver(struct cpu *cpu, const struct fault *fault, enum event_source source,
                            uint64_t return_rip)
{
    struct fault f = *fault;
    if (f.soft) {
        source = f.int1 ? EVENT_FAULT : EVENT_SOFT;
    }
    if (source == EVENT_NMI) {
        cpu->nmi_blocked = true;
    }
    for (;;) {
        enum flow flow = deliver_once(cpu, &f, source, return_rip);
        if (flow != FLOW_FAULT) {
            return flow;
        }
        if (source == EVENT_FAULT && f.vector == VECTOR_DF) {
            if (cpu->fault.vector == VECTOR_PF) {
                cpu->cr2 = cpu->fault.cr2;
            }
            return shut_down(cpu);
        }
        if (cpu->fault.vector == VECTOR_PF) {
            cpu->cr2 = cpu->fault.cr2; /* also when it becomes part of a #DF */
        }
        f = escalate(cpu, &f, source);
        source = EVENT_FAULT;
        return_rip = cpu->rip;
    }
}

enum flow exception_interrupt(struct cpu *cpu, uint8_t vector, enum event_source source)
{
    CHECK(source == EVENT_EXTERNAL || source == EVENT_NMI, "source %d is no interrupt", (int)source);
    struct fault f = {.vector = vector};
    return exception_deliver(cpu, &f, source, cpu->rip);
}
