#ifndef ORRERY_TESTS_SIMD_FIXTURE_H
#define ORRERY_TESTS_SIMD_FIXTURE_H

/* A vCPU in 64-bit mode that may execute every vector instruction, one page of memory, and none behind it. */

#include "cpu/flags.h"
#include "cpu/simd_exec.h"
#include "mem_fixture.h"

#include <Zydis/Zydis.h>

#define DATA_AT     UINT64_C(0x400000) /* the page's linear address */
#define DATA_PHYS   UINT64_C(0x300000)
#define UNMAPPED_AT (DATA_AT + PAGE_SIZE_BYTES)

static struct fixture simd_fixture;

/* Resets what vector instructions look at. */
static void cpu_make_ready(struct cpu *cpu)
{
    cpu->cr0 = CR0_PE | CR0_PG | CR0_WP | CR0_NE | CR0_MP;
    cpu->cr4 = CR4_PAE | CR4_PGE | CR4_OSFXSR | CR4_OSXMMEXCPT;
    cpu->mxcsr = MXCSR_RESET;
    memset(&cpu->x87, 0, sizeof cpu->x87);
    cpu->x87.fcw = FCW_INIT;
}

/* The vCPU; *memory is the page's host address. */
static struct cpu *simd_cpu(uint8_t **memory)
{
    fixture_init(&simd_fixture, 0, 0);
    fixture_map(&simd_fixture, DATA_AT, DATA_PHYS, PTE_P | PTE_W);
    *memory = ram_at(&simd_fixture.bus.ram, phys(DATA_PHYS));
    cpu_make_ready(simd_fixture.cpu[0]);
    return simd_fixture.cpu[0];
}

/* Decodes and executes the instruction at code. */
static enum flow cpu_execute(struct cpu *cpu, const uint8_t *code, struct insn *insn)
{
    assert_int_equal(insn_decode(cpu->mode, code, 15, insn), DECODE_OK);
    assert_int_not_equal(insn->row, INSN_ROW_NONE);
    return insn_rows[insn->row].exec(cpu, insn);
}

#endif
