#ifndef ORRERY_TESTS_SYS_FIXTURE_H
#define ORRERY_TESTS_SYS_FIXTURE_H

/*
 * One vCPU with 4 MiB of RAM and a local APIC, for tests of system instructions. Programs are bytes at
 * CODE_AT; the helpers put the CPU into a mode with a flat GDT, without running any code for it.
 *
 *   0x0000 real-mode table   0x1000 GDT   0x1800 LDT   0x2000 IDT   0x3000 TSS   0x4000 PML4, PDPT (identity,
 * 1 GiB) 0x8000 code   0x10000 stack, 0x14000 RSP0, 0x18000 RSP1, 0x1c000 IST1   0x20000 data
 */

#include "apic/lapic.h"
#include "core/bus.h"
#include "cpu/block.h"
#include "cpu/control.h"
#include "cpu/cpuid.h"
#include "cpu/exception.h"
#include "cpu/flags.h"
#include "cpu/msr.h"
#include "cpu/segment.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define GDT_AT     0x1000u
#define LDT_AT     0x1800u
#define IDT_AT     0x2000u
#define TSS_AT     0x3000u
#define PML4_AT    0x4000u
#define PDPT_AT    0x5000u
#define CODE_AT    0x8000u
#define HANDLER_AT 0x9000u /* handler of vector v: 0x9000 + 16 * v, an HLT each */
#define STACK_AT   0x10000u
#define RSP0_AT    0x14000u
#define RSP1_AT    0x18000u
#define IST1_AT    0x1c000u
#define DATA_AT    0x20000u

/* Selectors of the flat GDT. */
enum {
    SEL_CODE32 = 0x08,
    SEL_CODE64 = 0x10,
    SEL_DATA = 0x18,
    SEL_UCODE32 = 0x20,
    SEL_UDATA = 0x28,
    SEL_UCODE64 = 0x30,
    SEL_TSS = 0x38, /* 16 bytes */
    SEL_LDT = 0x48, /* 16 bytes */
    SEL_CONFORMING = 0x58,
    SEL_CODE16 = 0x60,
    SEL_DATA16 = 0x68,
    SEL_CODE1 = 0x70,
    SEL_DATA1 = 0x78,
    SEL_FREE = 0x80 /* for the test, up to 0x100 */
};

#define ATTR_CODE32 0xcf9au
#define ATTR_CODE64 0xaf9au
#define ATTR_DATA   0xcf92u
#define ATTR_USER   0x60u

struct sys {
    struct bus bus;
    struct event_queue *events;
    struct lapic lapic;
    struct block_cache *blocks;
    struct cpuid_model model;
    struct cpu cpu;
};

static inline void poke(struct sys *s, uint64_t at, uint64_t value, unsigned size_bytes)
{
    uint8_t bytes[8];
    store_le64(bytes, value);
    assert_true(bus_load(&s->bus, phys(at), bytes, size_bytes));
}

static inline uint64_t peek(struct sys *s, uint64_t at, unsigned size_bytes)
{
    uint8_t bytes[8] = {0};
    assert_true(bus_peek(&s->bus, phys(at), bytes, size_bytes));
    return load_le64(bytes);
}

static inline uint64_t make_descriptor(uint32_t base, uint32_t limit, unsigned attr)
{
    return (limit & 0xffff) | (uint64_t)(base & 0xffffff) << 16 | (uint64_t)(attr & 0xf0ff) << 40 |
           (uint64_t)(limit >> 16 & 15) << 48 | (uint64_t)(base >> 24) << 56;
}

static inline void put_descriptor(struct sys *s, unsigned selector, uint32_t base, uint32_t limit,
                                  unsigned attr)
{
    poke(s, GDT_AT + (selector & ~7u), make_descriptor(base, limit, attr), 8);
}

static inline uint64_t make_gate(unsigned selector, uint32_t offset, unsigned attr, unsigned low_byte)
{
    return (offset & 0xffff) | (uint64_t)selector << 16 | (uint64_t)low_byte << 32 | (uint64_t)attr << 40 |
           (uint64_t)(offset >> 16) << 48;
}

/* An IDT entry: 8 bytes, or 16 in long mode. */
static inline void put_idt(struct sys *s, unsigned vector, unsigned selector, unsigned attr, unsigned ist)
{
    bool long_mode = (s->cpu.efer & EFER_LMA) != 0;
    uint64_t at = IDT_AT + vector * (long_mode ? 16u : 8u);
    poke(s, at, make_gate(selector, HANDLER_AT + 16 * vector, attr, ist), 8);
    if (long_mode) {
        poke(s, at + 8, 0, 8);
    }
}

static inline void put_flat_gdt(struct sys *s)
{
    put_descriptor(s, SEL_CODE32, 0, 0xfffff, ATTR_CODE32);
    put_descriptor(s, SEL_CODE64, 0, 0xfffff, ATTR_CODE64);
    put_descriptor(s, SEL_DATA, 0, 0xfffff, ATTR_DATA);
    put_descriptor(s, SEL_UCODE32, 0, 0xfffff, ATTR_CODE32 | ATTR_USER);
    put_descriptor(s, SEL_UDATA, 0, 0xfffff, ATTR_DATA | ATTR_USER);
    put_descriptor(s, SEL_UCODE64, 0, 0xfffff, ATTR_CODE64 | ATTR_USER);
    put_descriptor(s, SEL_TSS, TSS_AT, 0x87, 0x0089);
    put_descriptor(s, SEL_LDT, LDT_AT, 15, 0x0082);
    put_descriptor(s, SEL_CONFORMING, 0, 0xfffff, ATTR_CODE32 | 4);
    put_descriptor(s, SEL_CODE16, 0, 0xffff, 0x009a);
    put_descriptor(s, SEL_DATA16, 0, 0xffff, 0x0092);
    put_descriptor(s, SEL_CODE1, 0, 0xfffff, ATTR_CODE32 | 0x20);
    put_descriptor(s, SEL_DATA1, 0, 0xfffff, ATTR_DATA | 0x20);
}

static inline struct segment flat(unsigned selector, unsigned attr)
{
    return (struct segment){
        .limit = UINT32_MAX, .selector = (uint16_t)selector, .attr = (uint16_t)((attr & 0xf0ff) | 1)};
}

/* Flat segments of a privilege level; code is SEL_CODE32 or SEL_CODE64. */
static inline void set_level(struct sys *s, unsigned code, unsigned level)
{
    unsigned user = level == 3 ? ATTR_USER : 0;
    unsigned code_shift = level == 3 ? (code == SEL_CODE64 ? 0x20 : 0x18) : 0;
    s->cpu.seg[SEG_CS] =
        flat((code + code_shift) | level, (code == SEL_CODE64 ? ATTR_CODE64 : ATTR_CODE32) | user);
    for (unsigned i = SEG_ES; i < SEG_COUNT; i++) {
        if (i != SEG_CS) {
            s->cpu.seg[i] =
                flat((level == 3 ? (unsigned)SEL_UDATA : (unsigned)SEL_DATA) | level, ATTR_DATA | user);
        }
    }
    s->cpu.cpl = (uint8_t)level;
    cpu_update_mode(&s->cpu);
}

static inline void put_tss(struct sys *s, bool long_mode)
{
    if (long_mode) {
        poke(s, TSS_AT + 4, RSP0_AT, 8);
        poke(s, TSS_AT + 12, RSP1_AT, 8);
        poke(s, TSS_AT + 0x24, IST1_AT, 8);
    } else {
        poke(s, TSS_AT + 4, RSP0_AT, 4);
        poke(s, TSS_AT + 8, SEL_DATA, 2);
        poke(s, TSS_AT + 12, RSP1_AT, 4);
        poke(s, TSS_AT + 16, SEL_DATA1 | 1, 2);
    }
    poke(s, TSS_AT + 0x66, 0x68, 2);
    for (unsigned i = 0x68; i <= 0x87; i++) {
        poke(s, TSS_AT + i, 0xff, 1);
    }
    s->cpu.tr = (struct segment){.base = TSS_AT, .limit = 0x87, .selector = SEL_TSS, .attr = 0x8b};
}

static inline void set_tables(struct sys *s, unsigned code)
{
    bool long_mode = (s->cpu.efer & EFER_LMA) != 0;
    put_flat_gdt(s);
    s->cpu.gdtr = (struct table_reg){GDT_AT, 0xff};
    s->cpu.idtr = (struct table_reg){IDT_AT, 256u * (long_mode ? 16u : 8u) - 1};
    put_tss(s, long_mode);
    for (unsigned v = 0; v < 256; v++) {
        put_idt(s, v, code, 0x8e, 0);
        poke(s, HANDLER_AT + 16 * v, 0xf4, 1);
    }
    s->cpu.gpr[RSP] = STACK_AT;
    s->cpu.rip = CODE_AT;
}

/* 32-bit protected mode without paging, level 0. */
static inline void enter_protected(struct sys *s)
{
    s->cpu.cr0 = CR0_PE | CR0_ET | CR0_NE;
    set_level(s, SEL_CODE32, 0);
    set_tables(s, SEL_CODE32);
}

/* 64-bit mode, level 0, identity mapping of the first GiB for everybody. */
static inline void enter_long(struct sys *s)
{
    poke(s, PML4_AT, PDPT_AT | 7, 8);
    poke(s, PDPT_AT, 0x87, 8);
    s->cpu.cr3 = PML4_AT;
    s->cpu.cr4 = CR4_PAE;
    s->cpu.efer = EFER_LME | EFER_LMA | EFER_SCE | EFER_NXE;
    s->cpu.cr0 = CR0_PE | CR0_PG | CR0_ET | CR0_NE | CR0_WP;
    mem_flush_all(&s->cpu);
    set_level(s, SEL_CODE64, 0);
    set_tables(s, SEL_CODE64);
}

/* Real mode with the table at 0: vector v at 0000:9000 + 16 v. */
static inline void enter_real(struct sys *s)
{
    s->cpu.seg[SEG_CS] = (struct segment){.limit = 0xffff, .attr = 0x9b};
    cpu_update_mode(&s->cpu);
    for (unsigned v = 0; v < 256; v++) {
        poke(s, 4 * v, HANDLER_AT + 16 * v, 4);
        poke(s, HANDLER_AT + 16 * v, 0xf4, 1);
    }
    s->cpu.seg[SEG_SS].base = STACK_AT - 0x8000;
    s->cpu.gpr[RSP] = 0x8000;
    s->cpu.rip = CODE_AT;
}

static inline int sys_setup(void **state)
{
    static const struct lapic_signals no_signals = {0};
    struct ram_range range = {.base = {0}, .size_bytes = 4u << 20};
    struct sys *s = calloc(1, sizeof *s);
    assert_non_null(s);
    bus_init(&s->bus);
    assert_true(ram_init(&s->bus.ram, &range, 1, NULL));
    s->events = event_queue_create();
    struct lapic_config lapic = {.bsp = true, .x2apic = true, .tsc_deadline = true, .bus_hz = LAPIC_BUS_HZ};
    lapic_init(&s->lapic, &lapic, &no_signals, s->events);
    assert_true(cpuid_model_init(&s->model, NULL, 1, NULL));
    s->blocks = block_cache_create(&s->bus.ram);
    struct cpu_config config = {.bus = &s->bus,
                                .lapic = &s->lapic,
                                .blocks = s->blocks,
                                .costs = &cost_fast,
                                .cpuid = &s->model,
                                .seed = 1};
    cpu_init(&s->cpu, &config);
    *state = s;
    return 0;
}

static inline int sys_teardown(void **state)
{
    struct sys *s = *state;
    cpu_deinit(&s->cpu);
    block_cache_destroy(s->blocks);
    event_queue_destroy(s->events);
    ram_deinit(&s->bus.ram);
    bus_deinit(&s->bus);
    free(s);
    return 0;
}

/* Decodes and executes the instruction given as bytes at CODE_AT, with its row checks; rip moves on as usual.
 */
static inline enum flow execute(struct sys *s, const char *bytes, unsigned size_bytes)
{
    struct insn insn;
    assert_true(bus_load(&s->bus, phys(CODE_AT), bytes, size_bytes));
    assert_int_equal(insn_decode(s->cpu.mode, (const uint8_t *)bytes, size_bytes, &insn), DECODE_OK);
    assert_int_equal(insn.length, size_bytes);
    s->cpu.rip = CODE_AT;
    s->cpu.exit_insn = &insn;
    enum flow flow = insn_check(&s->cpu, &insn);
    if (flow == FLOW_NEXT) {
        flow = insn_rows[insn.row].exec(&s->cpu, &insn);
    }
    if (flow == FLOW_NEXT) {
        s->cpu.rip += size_bytes;
    }
    return flow;
}

#define EXECUTE(s, bytes) execute((s), (bytes), sizeof(bytes) - 1)

#define assert_fault(s, flow, vector_, error_)              \
    do {                                                    \
        assert_int_equal((flow), FLOW_FAULT);               \
        assert_int_equal((s)->cpu.fault.vector, (vector_)); \
        assert_int_equal((s)->cpu.fault.error, (error_));   \
    } while (0)

#define SYS_TEST(f) cmocka_unit_test_setup_teardown((f), sys_setup, sys_teardown)

#endif
