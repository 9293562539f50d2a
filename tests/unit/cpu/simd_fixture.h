#ifndef ORRERY_TESTS_SIMD_FIXTURE_H
#define ORRERY_TESTS_SIMD_FIXTURE_H

/*
 * One CPU with the rows of insn_sse.def and a memory that is the host's own: a linear address is a host
 * address, and one forbidden range faults. Include once, in a test's .c file: it defines what the vector
 * instructions call.
 */

#include "cpu/segment.h"
#include "cpu/simd_exec.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <Zydis/Zydis.h>

/* An access that touches [forbidden, forbidden + 4096) is #PF. */
static uint64_t forbidden = UINT64_MAX;

static bool allowed(struct cpu *cpu, uint64_t a, unsigned size_bytes)
{
    bool hit = a + size_bytes > forbidden && a < forbidden + PAGE_SIZE_BYTES;
    if (hit) {
        cpu_fault_code(cpu, VECTOR_PF, 0);
        cpu->fault.cr2 = a;
    }
    return !hit;
}

enum flow cpu_fault(struct cpu *cpu, enum vector vector)
{
    cpu->fault = (struct fault){.vector = (uint8_t)vector};
    return FLOW_FAULT;
}

enum flow cpu_fault_code(struct cpu *cpu, enum vector vector, uint32_t error)
{
    cpu->fault = (struct fault){.vector = (uint8_t)vector, .has_error = true, .error = error};
    return FLOW_FAULT;
}

enum flow cpu_not_modelled(struct cpu *cpu, const char *what)
{
    snprintf(cpu->stop_text, sizeof cpu->stop_text, "%s", what);
    return FLOW_STOP;
}

bool segment_linear(struct cpu *cpu, enum seg_reg s, uint64_t offset, unsigned size_bytes, bool write,
                    lin_t *out)
{
    (void)size_bytes;
    (void)write;
    *out = lin(cpu->seg[s].base + offset);
    return true;
}

bool mem_read(struct cpu *cpu, lin_t a, unsigned size_bytes, uint64_t *out)
{
    if (!allowed(cpu, a.v, size_bytes)) {
        return false;
    }
    *out = load_le((const void *)(uintptr_t)a.v, size_bytes);
    return true;
}

bool mem_write(struct cpu *cpu, lin_t a, unsigned size_bytes, uint64_t value)
{
    if (!allowed(cpu, a.v, size_bytes)) {
        return false;
    }
    store_le((void *)(uintptr_t)a.v, value, size_bytes);
    return true;
}

bool mem_read_bytes(struct cpu *cpu, lin_t a, void *out, unsigned size_bytes)
{
    if (!allowed(cpu, a.v, size_bytes)) {
        return false;
    }
    memcpy(out, (const void *)(uintptr_t)a.v, size_bytes);
    return true;
}

bool mem_write_bytes(struct cpu *cpu, lin_t a, const void *bytes, unsigned size_bytes)
{
    if (!allowed(cpu, a.v, size_bytes)) {
        return false;
    }
    memcpy((void *)(uintptr_t)a.v, bytes, size_bytes);
    return true;
}

bool mem_probe_write(struct cpu *cpu, lin_t a, unsigned size_bytes)
{
    return allowed(cpu, a.v, size_bytes);
}

bool mem_probe_read(struct cpu *cpu, lin_t a, unsigned size_bytes)
{
    return allowed(cpu, a.v, size_bytes);
}

/* No vector instruction reads, modifies and writes memory. */
bool mem_rmw_begin(struct cpu *cpu, lin_t a, unsigned size_bytes, bool locked, struct mem_rmw *rmw)
{
    (void)cpu, (void)a, (void)size_bytes, (void)locked, (void)rmw;
    abort();
}

void mem_rmw_commit(struct cpu *cpu, const struct mem_rmw *rmw, uint64_t value, uint64_t value2)
{
    (void)cpu, (void)rmw, (void)value, (void)value2;
    abort();
}

enum flow exec_nop(struct cpu *cpu, const struct insn *insn)
{
    (void)cpu;
    (void)insn;
    return FLOW_NEXT;
}

#define INSN(mnemonic, exec, cost, flags, undefined) \
    {#mnemonic, exec, ZYDIS_MNEMONIC_##mnemonic, flags, COST_##cost, undefined},
#define INSN_0F(mnemonic, exec, cost, flags, undefined) INSN(mnemonic, exec, cost, flags, undefined)
const struct insn_row insn_rows[] = {
    {"(no row)", NULL, ZYDIS_MNEMONIC_INVALID, 0, COST_ALU, 0},
#include "cpu/insn_sse.def"
};
#undef INSN
#undef INSN_0F

enum { SIMD_ROWS = sizeof insn_rows / sizeof insn_rows[0] };

unsigned insn_row_find(unsigned mnemonic, enum insn_form form)
{
    (void)form;
    for (unsigned i = 1; i < SIMD_ROWS; i++) {
        if (insn_rows[i].mnemonic == mnemonic) {
            return i;
        }
    }
    return INSN_ROW_NONE;
}

/* A CPU that may execute everything, in 64-bit mode, exceptions masked. */
static void cpu_make_ready(struct cpu *cpu)
{
    memset(cpu, 0, sizeof *cpu);
    cpu->mode = MODE_LONG64;
    cpu->cr0 = CR0_PE | CR0_PG | CR0_NE | CR0_MP;
    cpu->cr4 = CR4_OSFXSR | CR4_OSXMMEXCPT;
    cpu->mxcsr = MXCSR_RESET;
    cpu->x87.fcw = FCW_INIT;
}

/* Decodes and executes the instruction at code. */
static enum flow cpu_execute(struct cpu *cpu, const uint8_t *code, struct insn *insn)
{
    if (insn_decode(cpu->mode, code, 15, insn) != DECODE_OK || insn->row == INSN_ROW_NONE) {
        return cpu_not_modelled(cpu, "no row");
    }
    return insn_rows[insn->row].exec(cpu, insn);
}

#endif
