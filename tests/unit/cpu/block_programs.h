#ifndef ORRERY_TESTS_BLOCK_PROGRAMS_H
#define ORRERY_TESTS_BLOCK_PROGRAMS_H

/* Random programs for the block cache: straight pieces with jumps and calls, and a loop around everything. */

#include "core_fixture.h"
#include "int_gen.h"

#define PROGRAMS 400u
#define LENGTH   60u
#define FUNCTION 2560u /* offset of the function that programs call, mostly in another page */

struct program {
    uint8_t bytes[4096];
    unsigned size;
    uint64_t registers[GPR_COUNT], rflags;
};

/* A call of the function: direct, or through R8. */
static inline void put_call(struct rng *r, struct program *p)
{
    if (gen_below(r, 2) != 0) {
        memcpy(p->bytes + p->size, "\x4c\x8d\x05", 3); /* lea r8, [rip + n]; call r8 */
        store_le32(p->bytes + p->size + 3, FUNCTION - (p->size + 7));
        memcpy(p->bytes + p->size + 7, "\x41\xff\xd0", 3);
        p->size += 10;
    } else {
        p->bytes[p->size] = 0xe8;
        store_le32(p->bytes + p->size + 1, FUNCTION - (p->size + 5));
        p->size += 5;
    }
}

static inline void put_function(struct rng *r, struct program *p)
{
    unsigned at = FUNCTION;
    memset(p->bytes + p->size, 0xf4, FUNCTION - p->size);
    for (unsigned i = 0; i < 4; i++) {
        at += gen_insn(r, p->bytes + at, false);
    }
    p->bytes[at] = 0xc3;
    p->size = at + 1;
}

/* Straight pieces with short forward jumps and calls between them, and a loop around everything. */
static inline void make_program(struct rng *r, struct program *p)
{
    p->size = 0;
    for (unsigned i = 0; i < LENGTH; i++) {
        p->size += gen_insn(r, p->bytes + p->size, true);
        if (gen_below(r, 4) == 0) {
            uint8_t skipped[16];
            unsigned n = gen_insn(r, skipped, false);
            p->bytes[p->size++] = (uint8_t)(0x70 | gen_below(r, 16));
            p->bytes[p->size++] = (uint8_t)n;
            memcpy(p->bytes + p->size, skipped, n);
            p->size += n;
        }
        if (gen_below(r, 8) == 0) {
            put_call(r, p);
        }
    }
    assert_true(p->size < FUNCTION - 32);
    /* The loop counts in [rbx + 0x700]. */
    static const uint8_t end[] = {0xff, 0x8b, 0x00, 0x07,
                                  0x00, 0x00, 0x0f, 0x85}; /* dec dword [rbx+700]; jnz */
    memcpy(p->bytes + p->size, end, sizeof end);
    p->size += sizeof end;
    store_le32(p->bytes + p->size, 0u - (p->size + 4));
    p->size += 4;
    p->bytes[p->size++] = 0xf4;
    put_function(r, p);
    for (unsigned i = 0; i < GPR_COUNT; i++) {
        p->registers[i] = gen_value(r);
    }
    p->registers[RBX] = SCRATCH_AT + 0x1800 + 8 * gen_below(r, 64);
    p->registers[RSI] = SCRATCH_AT + 0x2f80 + gen_below(r, 256);
    p->registers[RDI] = SCRATCH_AT + 0x4f80 + gen_below(r, 256);
    p->registers[R12] = gen_below(r, 40);
    p->registers[RSP] = SCRATCH_AT + 0x7f00;
    p->registers[RBP] = SCRATCH_AT + 0x6000;
    p->registers[RCX] = gen_below(r, 20);
    p->rflags = rng_next(r) & (RFLAGS_STATUS | RFLAGS_DF);
}

/* The code starts so near to the end of a page that it crosses into the next. */
static inline void load_program(struct sys *s, const struct program *p, uint64_t at)
{
    core_load(s, at, p->bytes, p->size);
    for (unsigned i = 0; i < 0x2000; i += 4) {
        uint8_t word[4];
        store_le32(word, i * 2654435761u);
        assert_true(bus_load(&s->bus, phys(SCRATCH_AT + 4 * i), word, 4));
    }
    static const uint8_t rounds[4] = {4, 0, 0, 0};
    assert_true(bus_load(&s->bus, phys(p->registers[RBX] + 0x700), rounds, 4));
    memcpy(s->cpu.gpr, p->registers, sizeof p->registers);
    cpu_set_rflags(&s->cpu, p->rflags);
    s->cpu.seg[SEG_GS].base = 0x30;
    s->cpu.rip = at;
    s->cpu.activity = CPU_ACTIVE;
}

/* Pages of 4 KiB for the first 2 MiB, so that programs need several translations. */
static inline void map_small_pages(struct sys *s)
{
    poke(s, PDPT_AT, 0x6007, 8);
    poke(s, 0x6000, 0x7007, 8);
    for (unsigned i = 0; i < 512; i++) {
        poke(s, 0x7000 + 8 * i, i << PAGE_SHIFT | 7, 8);
    }
    mem_flush_all(&s->cpu);
}

/* Runs to the end in slices of slice_cycles (0: one). */
static inline void run_sliced(struct sys *s, uint64_t slice_cycles)
{
    uint64_t end = cpu_now(&s->cpu) + 20000;
    while (s->cpu.activity == CPU_ACTIVE && cpu_now(&s->cpu) < end) {
        uint64_t deadline = slice_cycles != 0 ? cpu_now(&s->cpu) + slice_cycles : end;
        run_alone(&s->cpu, deadline < end ? deadline : end);
    }
}

static inline void compare(struct sys *blocks, struct sys *oracle, unsigned program, const struct program *p)
{
    struct digest a = core_digest(blocks), b = core_digest(oracle);
    if (!digest_equal(a, b)) {
        print_message("program %u, %u bytes\n", program, p->size);
        core_print_difference(oracle, blocks);
    }
    assert_true(digest_equal(a, b));
}

static inline void reset_both(struct sys *blocks, struct sys *oracle)
{
    struct sys *both[] = {blocks, oracle};
    for (unsigned i = 0; i < 2; i++) {
        cpu_reset(&both[i]->cpu);
        enter_long(both[i]);
        map_small_pages(both[i]);
    }
}

#endif
