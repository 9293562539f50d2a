/*
 * Port input and output: IN, OUT, INS, OUTS, with IOPL, the TSS's I/O permission bitmap and I/O
 * breakpoints.
 *
 * Source: AMD64 APM vol. 3, IN, INS, OUT, OUTS; vol. 2, "I/O-Permission Bitmap", "Breakpoint Conditions".
 * Deviations: none known. Each access asks the run loop to stop after it, since a device may have changed
 * what is due.
 */

#include "base/check.h"
#include "core/bus.h"
#include "cpu/debug_regs.h"
#include "cpu/mem.h"
#include "cpu/segment.h"
#include "cpu/sys_insn.h"

#define TSS_IO_MAP_BASE 0x66u /* offset of the bitmap's own offset */

static bool tss_read(struct cpu *cpu, uint32_t offset, uint64_t *out)
{
    uint64_t a = cpu->tr.base + offset;
    return mem_read_system(cpu, lin(in_long_mode(cpu) ? a : (uint32_t)a), 2, out);
}

/* The bit of every port touched must be clear; the two bytes read must lie within the TSS. */
static bool bitmap_allows(struct cpu *cpu, uint16_t port, unsigned size_bytes)
{
    uint64_t map;
    uint64_t bits;
    unsigned type = attr_type(cpu->tr.attr);
    bool wide = (cpu->tr.attr & SEG_P) && (type == TYPE_TSS32 || type == TYPE_TSS32_BUSY);
    if (!wide || cpu->tr.limit < TSS_IO_MAP_BASE + 1) {
        cpu_fault_code(cpu, VECTOR_GP, 0);
        return false;
    }
    if (!tss_read(cpu, TSS_IO_MAP_BASE, &map)) {
        return false;
    }
    uint32_t offset = (uint32_t)map + port / 8u;
    if (offset + 1 > cpu->tr.limit) {
        cpu_fault_code(cpu, VECTOR_GP, 0);
        return false;
    }
    if (!tss_read(cpu, offset, &bits)) {
        return false;
    }
    if (bits >> (port % 8) & bits_mask(size_bytes)) {
        cpu_fault_code(cpu, VECTOR_GP, 0);
        return false;
    }
    return true;
}

static bool port_allowed(struct cpu *cpu, uint16_t port, unsigned size_bytes)
{
    bool checked = (cpu->cr0 & CR0_PE) && cpu->cpl > bits_get(cpu->rflags, 13, 12);
    return !checked || bitmap_allows(cpu, port, size_bytes);
}

/* Breakpoints on ports are traps: reported after the instruction. */
static void port_breakpoints(struct cpu *cpu, uint16_t port, unsigned size_bytes)
{
    if (!(cpu->cr4 & CR4_DE)) {
        return;
    }
    for (unsigned n = 0; n < 4; n++) {
        if (dr7_enabled(cpu->dr7, n) && dr7_type(cpu->dr7, n) == DR7_IO &&
            dr_matches(cpu->dr7, n, cpu->dr[n], port, size_bytes)) {
            cpu->pending_db |= BIT(n);
        }
    }
}

static uint64_t port_read(struct cpu *cpu, uint16_t port, unsigned size_bytes)
{
    struct bus_cx cx = mem_bus_context(cpu);
    port_breakpoints(cpu, port, size_bytes);
    cpu_request_break(cpu);
    uint64_t value = bus_port_read(cpu->bus, &cx, port, size_bytes) & bits_size_mask(size_bytes);
    trace_hit(&cpu->trace, TRACE_PORT_READ, cx.now_cycles, port, size_bytes, value, 0);
    return value;
}

static void port_write(struct cpu *cpu, uint16_t port, uint64_t value, unsigned size_bytes)
{
    struct bus_cx cx = mem_bus_context(cpu);
    port_breakpoints(cpu, port, size_bytes);
    cpu_request_break(cpu);
    value &= bits_size_mask(size_bytes);
    trace_hit(&cpu->trace, TRACE_PORT_WRITE, cx.now_cycles, port, size_bytes, value, 0);
    bus_port_write(cpu->bus, &cx, port, value, size_bytes);
}

/* The port of IN and OUT: an immediate byte or DX. */
static uint16_t port_operand(const struct cpu *cpu, const struct insn *insn, unsigned n)
{
    return insn->op[n].kind == OPERAND_IMM ? (uint8_t)insn->imm : (uint16_t)cpu->gpr[RDX];
}

/* 1 for the even opcodes, else 2 or 4 by the operand size (REX.W does not count). */
static unsigned io_size_bytes(const struct insn *insn)
{
    return !(insn->opcode & 1) ? 1 : insn->operand_size_bytes == 2 ? 2 : 4;
}

enum flow exec_in(struct cpu *cpu, const struct insn *insn)
{
    unsigned size_bytes = io_size_bytes(insn);
    uint16_t port = port_operand(cpu, insn, 1);
    if (!port_allowed(cpu, port, size_bytes)) {
        return FLOW_FAULT;
    }
    gpr_write(cpu, RAX, port_read(cpu, port, size_bytes), size_bytes);
    return FLOW_NEXT;
}

enum flow exec_out(struct cpu *cpu, const struct insn *insn)
{
    unsigned size_bytes = io_size_bytes(insn);
    uint16_t port = port_operand(cpu, insn, 0);
    if (!port_allowed(cpu, port, size_bytes)) {
        return FLOW_FAULT;
    }
    port_write(cpu, port, cpu->gpr[RAX], size_bytes);
    return FLOW_NEXT;
}

/* ---- strings ---- */

static bool repeats(const struct insn *insn)
{
    return (insn->prefixes & (PREFIX_REP | PREFIX_REPNE)) != 0;
}

static bool count_is_zero(const struct cpu *cpu, const struct insn *insn)
{
    return repeats(insn) && gpr_read(cpu, RCX, insn->address_size_bytes) == 0;
}

/* One iteration is done: moves the index register on and counts. */
static enum flow iterated(struct cpu *cpu, const struct insn *insn, unsigned reg, unsigned size_bytes)
{
    uint64_t step = (cpu->rflags & RFLAGS_DF) ? 0 - (uint64_t)size_bytes : size_bytes;
    gpr_write(cpu, reg, cpu->gpr[reg] + step, insn->address_size_bytes);
    if (!repeats(insn)) {
        return FLOW_NEXT;
    }
    gpr_write(cpu, RCX, cpu->gpr[RCX] - 1, insn->address_size_bytes);
    return gpr_read(cpu, RCX, insn->address_size_bytes) ? FLOW_REPEAT : FLOW_NEXT;
}

/* #AC of the store to come; mem_probe_write does not look at the alignment. */
static bool misaligned(const struct cpu *cpu, lin_t a, unsigned size_bytes)
{
    return cpu->cpl == 3 && (cpu->cr0 & CR0_AM) && (cpu->rflags & RFLAGS_AC) && a.v % size_bytes != 0;
}

/* The destination is proven writable before the port is read: a device must not lose data to a fault. */
enum flow exec_ins(struct cpu *cpu, const struct insn *insn)
{
    unsigned size_bytes = io_size_bytes(insn);
    uint16_t port = (uint16_t)cpu->gpr[RDX];
    lin_t a;
    if (!port_allowed(cpu, port, size_bytes)) { /* even when nothing is to be done */
        return FLOW_FAULT;
    }
    if (count_is_zero(cpu, insn)) {
        return FLOW_NEXT;
    }
    if (!segment_linear(cpu, SEG_ES, gpr_read(cpu, RDI, insn->address_size_bytes), size_bytes, true, &a) ||
        !mem_probe_write(cpu, a, size_bytes)) {
        return FLOW_FAULT;
    }
    if (misaligned(cpu, a, size_bytes)) {
        return cpu_fault_code(cpu, VECTOR_AC, 0);
    }
    bool written = mem_write(cpu, a, size_bytes, port_read(cpu, port, size_bytes));
    CHECK(written, "INS to a page that was writable a moment ago");
    return iterated(cpu, insn, RDI, size_bytes);
}

enum flow exec_outs(struct cpu *cpu, const struct insn *insn)
{
    unsigned size_bytes = io_size_bytes(insn);
    uint16_t port = (uint16_t)cpu->gpr[RDX];
    uint64_t offset = gpr_read(cpu, RSI, insn->address_size_bytes);
    uint64_t value;
    lin_t a;
    if (!port_allowed(cpu, port, size_bytes)) {
        return FLOW_FAULT;
    }
    if (count_is_zero(cpu, insn)) {
        return FLOW_NEXT;
    }
    if (!segment_linear(cpu, (enum seg_reg)insn->mem_seg, offset, size_bytes, false, &a) ||
        !mem_read(cpu, a, size_bytes, &value)) {
        return FLOW_FAULT;
    }
    port_write(cpu, port, value, size_bytes);
    return iterated(cpu, insn, RSI, size_bytes);
}
