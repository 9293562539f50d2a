/*
 * Pairs of operations with one handler, values that are compared at once, bytes AH to BH and one-operand instructions in
 * memory: short random sequences of just these, over few registers so that they depend on each other in every way, end
 * as they do one by one. Now and then a load of a pair faults.
 */

#include "core_fixture.h"

#include "base/rng.h"

#define SEQUENCES 6000u
#define LENGTH    12u
#define BAD_AT    UINT64_C(0x50000000) /* beyond what is mapped */

struct code {
    uint8_t bytes[256];
    unsigned size;
};

static void put(struct code *c, const char *bytes, unsigned size)
{
    memcpy(c->bytes + c->size, bytes, size);
    c->size += size;
}

static void put_byte(struct code *c, unsigned byte)
{
    c->bytes[c->size++] = (uint8_t)byte;
}

static unsigned reg_of(struct rng *r)
{
    return (unsigned)rng_below(r, 4); /* RAX RCX RDX RBX */
}

/* REX.W opcode ModRM of two registers. */
static void put_rr(struct rng *r, struct code *c, const char *opcode, unsigned size)
{
    put_byte(c, 0x48);
    put(c, opcode, size);
    put_byte(c, 0xc0 | reg_of(r) << 3 | reg_of(r));
}

static void put_arithmetic(struct rng *r, struct code *c)
{
    static const char rr[] = {0x01, 0x29, 0x31, 0x09, 0x21, (char)0x89, 0x39, (char)0x85};
    unsigned n = (unsigned)rng_below(r, 13);
    if (n < 8) {
        put_rr(r, c, &rr[n], 1);
    } else if (n == 8) {
        put_rr(r, c, "\x0f\xaf", 2); /* imul */
    } else {
        static const unsigned digits[] = {0, 4, 5, 1}; /* add and sub cmp... by immediate; or */
        put_byte(c, 0x48);
        put_byte(c, 0x83);
        put_byte(c, 0xc0 | digits[n - 9] << 3 | reg_of(r));
        put_byte(c, (unsigned)rng_below(r, 256));
    }
}

static void put_shift(struct rng *r, struct code *c)
{
    static const unsigned digits[] = {4, 5, 0, 7, 1};
    put_byte(c, 0x48);
    put_byte(c, 0xc1);
    put_byte(c, 0xc0 | digits[rng_below(r, 5)] << 3 | reg_of(r));
    put_byte(c, (unsigned)rng_below(r, 70));
}

/* LEA, or a load through RSI (at times one that faults, through RDI). */
static void put_address(struct rng *r, struct code *c)
{
    bool lea = rng_below(r, 2) != 0, index = rng_below(r, 2) != 0;
    if (!lea && rng_below(r, 40) == 0) {
        put(c, "\x48\x8b\x07", 3); /* mov rax, [rdi] */
        return;
    }
    put_byte(c, 0x48);
    put_byte(c, lea ? 0x8d : 0x8b);
    put_byte(c, 0x40 | reg_of(r) << 3 | (index ? 4 : lea ? reg_of(r) : 6));
    if (index) { /* LEA takes any register, a load R9, which is small */
        unsigned base = lea ? reg_of(r) : 6;
        put_byte(c, (lea ? reg_of(r) : 5) << 3 | (unsigned)rng_below(r, 4) << 6 | base);
    }
    put_byte(c, (unsigned)rng_below(r, 120));
}

/* AH to BH with an immediate; MOVZX of one; INC, DEC, NEG, NOT in memory. */
static void put_rare(struct rng *r, struct code *c)
{
    unsigned kind = (unsigned)rng_below(r, 4), high = 4 + reg_of(r);
    if (kind == 0) {
        put_byte(c, 0x80);
        put_byte(c, 0xc0 | (unsigned)rng_below(r, 8) << 3 | high);
        put_byte(c, (unsigned)rng_below(r, 256));
    } else if (kind == 1) {
        put_byte(c, 0xf6); /* test */
        put_byte(c, 0xc0 | high);
        put_byte(c, (unsigned)rng_below(r, 256));
    } else if (kind == 2) {
        put(c, "\x0f\xb6", 2);
        put_byte(c, 0xc0 | reg_of(r) << 3 | high);
    } else {
        static const char *const memory[] = {"\x48\xff\x46\x08", "\xff\x4e\x0c", "\xf6\x5e\x11",
                                             "\x48\xf7\x54\xee\x20"};
        unsigned n = (unsigned)rng_below(r, 4);
        put(c, memory[n], n == 0 ? 4 : n < 3 ? 3 : 5);
    }
}

/* The optional prefix REX.W. */
static void put_width(struct code *c, bool wide)
{
    if (wide) {
        put_byte(c, 0x48);
    }
}

/* opcode reg, [rsi + n] or [rsi + rbp * 2 + n]; rarely [rdi + n], which faults. */
static void put_access(struct rng *r, struct code *c, bool wide, unsigned opcode, unsigned reg)
{
    bool bad = rng_below(r, 60) == 0, index = rng_below(r, 2) != 0;
    put_width(c, wide);
    put_byte(c, opcode);
    put_byte(c, (bad ? 0x47 : index ? 0x44 : 0x46) | reg << 3);
    if (index && !bad) {
        put_byte(c, 0x6e);
    }
    put_byte(c, (unsigned)rng_below(r, 100));
}

/* What makes the value of reg: a load, maybe after an addition; an addition; LEA. */
static void put_maker(struct rng *r, struct code *c, bool wide, unsigned reg)
{
    unsigned kind = (unsigned)rng_below(r, 7);
    if (kind == 0) {
        put(c, "\x48\x83\xc5\x01", 4); /* add rbp, 1 */
    }
    if (kind < 3) {
        put_access(r, c, wide, 0x8b, reg);
    } else if (kind == 3) {
        put_width(c, wide);
        put_byte(c, 0x83);
        put_byte(c, (rng_below(r, 2) != 0 ? 0xc0 : 0xe8) | reg); /* add, sub */
        put_byte(c, (unsigned)rng_below(r, 256));
    } else if (kind == 4) {
        put_width(c, wide);
        put_byte(c, 0xff);
        put_byte(c, (rng_below(r, 2) != 0 ? 0xc0 : 0xc8) | reg); /* inc, dec */
    } else if (kind == 5) {
        put_rr(r, c, "\x01", 1);
    } else {
        put_byte(c, 0x48);
        put_byte(c, 0x8d);
        put_byte(c, 0x40 | reg << 3 | reg_of(r));
        put_byte(c, (unsigned)rng_below(r, 256));
    }
}

/* A value that is compared at once: CMP with a register or an immediate, or TEST; jcc over an INC of R8. */
static void put_compared(struct rng *r, struct code *c)
{
    unsigned reg = reg_of(r), other = reg_of(r), kind = (unsigned)rng_below(r, 4);
    bool wide = rng_below(r, 2) != 0;
    put_maker(r, c, wide, reg);
    put_width(c, wide);
    if (kind < 2) {
        put_byte(c, 0x39);
        put_byte(c, 0xc0 | (kind == 0 ? other << 3 | reg : reg << 3 | other));
    } else if (kind == 2) {
        put_byte(c, 0x83);
        put_byte(c, 0xf8 | reg);
        put_byte(c, (unsigned)rng_below(r, 256));
    } else {
        put_byte(c, 0x85);
        put_byte(c, 0xc0 | reg << 3 | reg);
    }
    put_byte(c, 0x70 | (unsigned)rng_below(r, 16));
    put(c, "\x03\x49\xff\xc0", 4);
}

/* What leaves the flags alone: moves of 32 and 64 bits, constants, LEA, loads, stores, PUSH and POP. */
static void put_neighbour(struct rng *r, struct code *c)
{
    bool wide = rng_below(r, 2) != 0;
    unsigned reg = reg_of(r);
    switch (rng_below(r, 8)) {
    case 0:
        put_width(c, wide);
        put_byte(c, 0x89);
        put_byte(c, 0xc0 | reg << 3 | reg_of(r));
        break;
    case 1: /* mov reg, imm32 */
        put_byte(c, 0x48);
        put_byte(c, 0xc7);
        put_byte(c, 0xc0 | reg);
        put(c, "\x85\x83\x82\x81", 4);
        break;
    case 2:
        put_byte(c, 0xb8 | reg);
        put(c, "\x85\x83\x82\x81", 4);
        break;
    case 3:
        put_byte(c, 0x31); /* xor reg, reg */
        put_byte(c, 0xc0 | reg << 3 | reg_of(r));
        break;
    case 4:
        put_byte(c, 0x50 | reg);
        break;
    case 5:
        put_byte(c, 0x58 | reg);
        break;
    default:
        put_access(r, c, wide, rng_below(r, 2) != 0 ? 0x8b : 0x89, reg);
        break;
    }
}

static void make_sequence(struct rng *r, struct code *c)
{
    c->size = 0;
    for (unsigned i = 0; i < LENGTH; i++) {
        switch (rng_below(r, 11)) {
        case 0:
        case 1:
        case 2:
            put_arithmetic(r, c);
            break;
        case 3:
        case 4:
            put_shift(r, c);
            break;
        case 5:
            put_address(r, c);
            break;
        case 6:
            put_rare(r, c);
            break;
        case 7:
            put_compared(r, c);
            break;
        default:
            put_neighbour(r, c);
            break;
        }
    }
    put_byte(c, 0xf4);
}

static void run_sequence(struct sys *s, const struct code *c, uint64_t seed, uint64_t slice_cycles)
{
    struct rng r;
    rng_init(&r, seed, 1);
    core_load(s, PROGRAM_AT, c->bytes, c->size);
    for (unsigned i = 0; i < GPR_COUNT; i++) {
        s->cpu.gpr[i] = rng_below(&r, 3) != 0 ? rng_next(&r) : rng_below(&r, 4);
    }
    for (unsigned i = 0; i < 64; i++) {
        poke(s, SCRATCH_AT + 8 * i, rng_below(&r, 2) != 0 ? rng_next(&r) : s->cpu.gpr[i % 4], 8);
    }
    s->cpu.gpr[RSI] = SCRATCH_AT;
    s->cpu.gpr[RDI] = BAD_AT;
    s->cpu.gpr[RBP] = rng_below(&r, 8);
    s->cpu.gpr[RSP] = STACK_AT;
    cpu_set_rflags(&s->cpu, rng_next(&r) & RFLAGS_STATUS);
    s->cpu.rip = PROGRAM_AT;
    s->cpu.activity = CPU_ACTIVE;
    for (unsigned i = 0; i < 400 && s->cpu.activity == CPU_ACTIVE; i++) {
        cpu_run(&s->cpu, cpu_now(&s->cpu) + slice_cycles);
    }
    assert_int_not_equal(s->cpu.activity, CPU_ACTIVE);
}

static void sequences_end_alike_in_pairs_and_one_by_one(void **state)
{
    struct sys *blocks = *state;
    void *other;
    struct code c;
    struct rng r;
    assert_int_equal(core_setup(&other), 0);
    struct sys *oracle = other;
    oracle->cpu.single_step_blocks = true;
    rng_init(&r, 3, 0);
    for (unsigned i = 0; i < SEQUENCES; i++) {
        make_sequence(&r, &c);
        run_sequence(blocks, &c, i, i % 3 == 0 ? 5 : 1000);
        run_sequence(oracle, &c, i, 1000);
        if (!digest_equal(core_digest(blocks), core_digest(oracle))) {
            core_print_difference(oracle, blocks);
            fail_msg("sequence %u", i);
        }
    }
    sys_teardown(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CORE_TEST(sequences_end_alike_in_pairs_and_one_by_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
