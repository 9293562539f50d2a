/*
 * IRET in every direction: real mode, protected mode to the same or an outer level, 64-bit mode to 64-bit
 * and compatibility mode, with operands of 16, 32 and 64 bits.
 *
 * Source: AMD64 APM vol. 3, IRET (pseudo code); vol. 2, "Long-Mode Interrupt Control Transfers".
 * Deviations: task returns (NT = 1 in legacy mode) and returns to virtual-8086 mode are not modelled.
 */

#include "cpu/flags.h"
#include "cpu/mem.h"
#include "cpu/segment.h"
#include "cpu/sys_insn.h"

/* The popped frame. */
struct iret_frame {
    uint64_t rip, cs, flags;
    uint64_t rsp, ss; /* where they are popped */
    struct segment code;
    struct stack_frame stack; /* after the pop of the first three */
};

/* Flags that IRET may change at this privilege and operand size. */
static uint64_t iret_flags_mask(const struct cpu *cpu, unsigned size_bytes)
{
    uint64_t mask = RFLAGS_STATUS | RFLAGS_TF | RFLAGS_DF | RFLAGS_NT;
    unsigned iopl = (unsigned)(cpu->rflags & RFLAGS_IOPL) >> 12;
    if (size_bytes > 2) {
        mask |= RFLAGS_RF | RFLAGS_AC | RFLAGS_ID;
    }
    if (cpu->cpl <= iopl) {
        mask |= RFLAGS_IF;
    }
    if (cpu->cpl == 0) {
        mask |= RFLAGS_IOPL | (size_bytes > 2 && (cpu->cr0 & CR0_PE) ? RFLAGS_VIF | RFLAGS_VIP : 0);
    }
    return mask;
}

static uint64_t iret_flags(const struct cpu *cpu, uint64_t popped, unsigned size_bytes)
{
    uint64_t mask = iret_flags_mask(cpu, size_bytes);
    return (cpu_rflags(cpu) & ~mask) | (popped & mask);
}

/* The frame of 64-bit mode at once, where the stack's page has a host pointer. False: nothing was read. */
static bool pop_frame_fast(struct cpu *cpu, struct iret_frame *f)
{
    const uint8_t *host = mem_host_read(cpu, cpu->gpr[RSP], 40);
    if (host == NULL) {
        return false;
    }
    f->rip = load_le64(host);
    f->cs = load_le64(host + 8);
    f->flags = load_le64(host + 16);
    f->rsp = load_le64(host + 24);
    f->ss = load_le64(host + 32);
    return true;
}

/* In the order of the reference silicon: flags, CS, RIP. */
static bool pop_frame(struct cpu *cpu, struct iret_frame *f, unsigned size_bytes)
{
    f->stack = frame_current(cpu);
    bool ok = frame_peek(cpu, &f->stack, 2 * size_bytes, size_bytes, &f->flags) &&
              frame_peek(cpu, &f->stack, size_bytes, size_bytes, &f->cs) &&
              frame_peek(cpu, &f->stack, 0, size_bytes, &f->rip);
    frame_adjust(&f->stack, 3 * size_bytes);
    return ok;
}

/* SS, then RSP, which are read before CS is checked. */
static bool pop_stack(struct cpu *cpu, struct iret_frame *f, unsigned size_bytes)
{
    return frame_peek(cpu, &f->stack, size_bytes, size_bytes, &f->ss) &&
           frame_peek(cpu, &f->stack, 0, size_bytes, &f->rsp);
}

/* The caller derives the mode at its end. */
static void iret_commit(struct cpu *cpu, const struct iret_frame *f, uint64_t rflags)
{
    cpu->seg[SEG_CS] = f->code;
    cpu->rip = f->rip;
    flags_set(cpu, rflags);
    cpu->rflags = (rflags & ~RFLAGS_STATUS) | RFLAGS_ONE;
    cpu_note_masked(cpu);
    cpu->nmi_blocked = false;
}

static enum flow iret_real(struct cpu *cpu, unsigned size_bytes)
{
    struct iret_frame f;
    if (!pop_frame(cpu, &f, size_bytes)) {
        return FLOW_FAULT;
    }
    f.code = cpu->seg[SEG_CS];
    f.code.selector = (uint16_t)f.cs;
    f.code.base = (f.cs & 0xffff) << 4;
    if (!segment_check_rip(cpu, &f.code, f.rip)) {
        return FLOW_FAULT;
    }
    cpu->gpr[RSP] = f.stack.rsp;
    iret_commit(cpu, &f, iret_flags(cpu, f.flags, size_bytes));
    cpu_update_mode(cpu);
    return FLOW_JUMP;
}

/* SS of an outer return. Null is for 64-bit code that is not user code. */
static bool return_stack(struct cpu *cpu, uint16_t selector, const struct segment *code, struct segment *out)
{
    unsigned level = code->selector & SELECTOR_RPL;
    if (SELECTOR_NULL(selector)) {
        if (!in_long_mode(cpu) || !(code->attr & SEG_L) || level == 3) {
            return segment_fault(cpu, VECTOR_GP, 0);
        }
        *out = segment_null(selector);
        return true;
    }
    return segment_read_stack(cpu, selector, level, VECTOR_GP, out);
}

/* The outer stack of a return whose frame held rsp and selector. */
static bool outer_stack(struct cpu *cpu, uint64_t rsp, uint16_t selector, const struct segment *code,
                        struct stack_frame *to)
{
    struct segment ss;
    if (!return_stack(cpu, selector, code, &ss)) {
        return false;
    }
    bool long64 = in_long_mode(cpu) && (code->attr & SEG_L);
    *to = frame_inner(&ss, cpu->gpr[RSP], long64);
    /* A 16-bit stack segment takes SP only; the rest of RSP stays. */
    uint64_t mask = to->width_bytes == 2 ? 0xffff : ~UINT64_C(0);
    to->rsp = (to->rsp & ~mask) | (rsp & mask & (long64 ? ~UINT64_C(0) : UINT32_MAX));
    return true;
}

bool far_return_stack(struct cpu *cpu, struct stack_frame *from, const struct segment *code,
                      unsigned size_bytes, struct stack_frame *to)
{
    uint64_t rsp;
    uint64_t selector;
    return frame_pop(cpu, from, size_bytes, &rsp) && frame_pop(cpu, from, size_bytes, &selector) &&
           outer_stack(cpu, rsp, (uint16_t)selector, code, to);
}

static enum flow iret_protected(struct cpu *cpu, unsigned size_bytes)
{
    struct iret_frame f = {.stack = frame_current(cpu)};
    bool from64 = cpu->mode == MODE_LONG64;
    bool fast = from64 && size_bytes == 8 && pop_frame_fast(cpu, &f);
    if (!fast && !pop_frame(cpu, &f, size_bytes)) {
        return FLOW_FAULT;
    }
    if ((f.flags & RFLAGS_VM) && size_bytes == 4 && cpu->cpl == 0 && !in_long_mode(cpu)) {
        return cpu_not_modelled(cpu, "IRET to virtual-8086 mode");
    }
    unsigned level = f.cs & SELECTOR_RPL;
    bool pops_stack = from64 || level != cpu->cpl;
    if ((pops_stack && !fast && !pop_stack(cpu, &f, size_bytes)) ||
        !segment_read_code_return(cpu, (uint16_t)f.cs, &f.code)) {
        return FLOW_FAULT;
    }
    struct stack_frame to = f.stack;
    if (!segment_check_rip(cpu, &f.code, f.rip) ||
        (pops_stack && !outer_stack(cpu, f.rsp, (uint16_t)f.ss, &f.code, &to))) {
        return FLOW_FAULT;
    }
    uint64_t rflags = iret_flags(cpu, f.flags, size_bytes); /* by the privilege before */
    bool outer = level != cpu->cpl;
    if (pops_stack) {
        cpu->seg[SEG_SS] = to.ss;
    }
    cpu->gpr[RSP] = to.rsp;
    cpu->cpl = (uint8_t)level;
    iret_commit(cpu, &f, rflags);
    if (outer) {
        segment_drop_inner(cpu);
    }
    cpu_update_mode(cpu);
    return FLOW_JUMP;
}

enum flow exec_iret(struct cpu *cpu, const struct insn *insn)
{
    if (cpu->mode == MODE_REAL) {
        return iret_real(cpu, insn->operand_size_bytes);
    }
    if (cpu->rflags & RFLAGS_NT) {
        return in_long_mode(cpu) ? cpu_fault_code(cpu, VECTOR_GP, 0)
                                 : cpu_not_modelled(cpu, "IRET with NT (task return)");
    }
    return iret_protected(cpu, insn->operand_size_bytes);
}
