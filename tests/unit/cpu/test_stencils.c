/*
 * Every stencil against the plain execution functions: each handler that there is machine code of, with operands in registers that
 * have one of the host's and in such that have none, with operands that are the same register, with flags that are read and flags
 * that are not, and with every conditional jump behind it.
 */

#include "block_programs.h"

#define OPERANDS_AT (SCRATCH_AT + 0x800)

/* The two machines, and the program in the making. */
struct bench {
    struct sys *code, *oracle;
    uint8_t bytes[64];
    unsigned size;
    struct rng random;
    uint64_t cases;
};

static int setup(void **state)
{
    static struct bench bench;
    void *code, *oracle;
    assert_int_equal(core_setup_translated(&code) + core_setup(&oracle), 0);
    bench = (struct bench){.code = code, .oracle = oracle};
    bench.oracle->cpu.single_step_blocks = true;
    rng_init(&bench.random, 7, 0);
    *state = &bench;
    return 0;
}

static int teardown(void **state)
{
    struct bench *b = *state;
    void *code = b->code, *oracle = b->oracle;
    sys_teardown(&code);
    return sys_teardown(&oracle);
}

/* ---- making instructions ---- */

static void put(struct bench *b, unsigned byte)
{
    b->bytes[b->size++] = (uint8_t)byte;
}

static void put_immediate(struct bench *b, uint64_t value, unsigned size_bytes)
{
    for (unsigned i = 0; i < size_bytes; i++) {
        put(b, value >> (8 * i) & 0xff);
    }
}

/* Enough before the instruction that its block is worth translating. */
static void begin(struct bench *b)
{
    b->size = 0;
    for (unsigned i = 0; i < 14; i++) {
        put(b, 0x90);
    }
}

struct memory {
    unsigned base, index, scale; /* index RSP: none */
};

/* Prefixes and opcode; w is 8, 16, 32 or 64. map: 0 or 0x0f. */
static void put_opcode(struct bench *b, unsigned map, unsigned opcode, unsigned w, unsigned reg,
                       unsigned index, unsigned rm)
{
    if (w == 16) {
        put(b, 0x66);
    }
    put(b, 0x40u | (w == 64 ? 8u : 0) | reg >> 3 << 2 | index >> 3 << 1 | rm >> 3);
    if (map != 0) {
        put(b, map);
    }
    put(b, opcode);
}

static void put_registers(struct bench *b, unsigned map, unsigned opcode, unsigned w, unsigned reg,
                          unsigned rm)
{
    put_opcode(b, map, opcode, w, reg, 0, rm);
    put(b, 0xc0 | (reg & 7) << 3 | (rm & 7));
}

static void put_memory(struct bench *b, unsigned map, unsigned opcode, unsigned w, unsigned reg,
                       struct memory m)
{
    put_opcode(b, map, opcode, w, reg, m.index, m.base);
    put(b, 0x44 | (reg & 7) << 3); /* SIB, 8 bits of displacement */
    put(b, m.scale << 6 | (m.index & 7) << 3 | (m.base & 7));
    put(b, 0x08);
}

/* ---- running ---- */

static uint64_t random_value(struct bench *b)
{
    static const uint64_t corners[] = {
        0, 1, 0x7f, 0x80, 0xff, 0x7fffffff, 0x80000000, 0xffffffff, INT64_MAX, UINT64_C(1) << 63, UINT64_MAX};
    return gen_below(&b->random, 2) ? corners[gen_below(&b->random, 11)] : rng_next(&b->random);
}

static void prepare(struct sys *s, const struct bench *b, const uint64_t registers[GPR_COUNT],
                    uint64_t rflags, const uint8_t *data)
{
    core_load(s, PROGRAM_AT, b->bytes, b->size);
    assert_true(bus_load(&s->bus, phys(OPERANDS_AT), data, 64));
    memcpy(s->cpu.gpr, registers, GPR_COUNT * sizeof registers[0]);
    cpu_set_rflags(&s->cpu, rflags);
    s->cpu.rip = PROGRAM_AT;
    s->cpu.activity = CPU_ACTIVE;
}

static void compare_ends(struct bench *b)
{
    struct cpu *x = &b->code->cpu, *y = &b->oracle->cpu;
    bool same = memcmp(x->gpr, y->gpr, GPR_COUNT * sizeof x->gpr[0]) == 0 && x->rip == y->rip &&
                cpu_rflags(x) == cpu_rflags(y) && x->retired == y->retired && cpu_now(x) == cpu_now(y) &&
                memcmp(ram_at(&b->code->bus.ram, phys(OPERANDS_AT - 64)),
                       ram_at(&b->oracle->bus.ram, phys(OPERANDS_AT - 64)), 256) == 0;
    if (!same) {
        print_message("case %llu:", (unsigned long long)b->cases);
        for (unsigned i = 14; i < b->size; i++) {
            print_message(" %02x", b->bytes[i]);
        }
        print_message("\n");
        core_print_difference(b->oracle, b->code);
    }
    assert_true(same);
}

/* Runs what has been put, which ends with HLT, three times with other values; registers of `pointers` (bits) point to the data,
 * those of `indexes` are small. */
static void run_case(struct bench *b, unsigned pointers, unsigned indexes)
{
    put(b, 0xf4);
    for (unsigned round = 0; round < 3; round++) {
        uint64_t registers[GPR_COUNT], rflags = rng_next(&b->random) & RFLAGS_STATUS;
        uint8_t data[64];
        for (unsigned i = 0; i < sizeof data; i++) {
            data[i] = (uint8_t)rng_next(&b->random);
        }
        for (unsigned i = 0; i < GPR_COUNT; i++) {
            registers[i] = pointers >> i & 1  ? OPERANDS_AT
                           : indexes >> i & 1 ? gen_below(&b->random, 3)
                                              : random_value(b);
        }
        if (!(pointers >> RSP & 1)) {
            registers[RSP] = SCRATCH_AT + 0x4000;
        }
        struct sys *both[] = {b->code, b->oracle};
        for (unsigned i = 0; i < 2; i++) {
            prepare(both[i], b, registers, rflags, data);
            core_run(both[i], 1000);
        }
        b->cases++;
        compare_ends(b);
    }
}

/* What may stand behind an instruction: nothing; what overwrites its flags; each conditional jump (over INC R15). */
#define FOLLOWERS 18u

static void put_follower(struct bench *b, unsigned which)
{
    if (which == 1) {
        put_registers(b, 0, 0x31, 32, R15, R15); /* xor r15d, r15d */
    } else if (which >= 2) {
        put(b, 0x70 | (which - 2));
        put(b, 3);
        put(b, 0x49);
        put(b, 0xff);
        put(b, 0xc7);
    }
}

/* Registers of an instruction: with one of the host's or not, different or the same. */
static const struct pair {
    uint8_t a, b;
} pairs[] = {{RAX, RCX}, {RDX, RDX}, {RSI, R9}, {R10, RDI}, {R11, R13}, {R8, R8}, {RBP, RBX}, {RSP, RAX}};
#define PAIRS (sizeof pairs / sizeof pairs[0])

static const struct memory places[] = {{RBX, RSP, 0}, {RBP, RSP, 0}, {R12, RSP, 0}, {RSI, RDI, 2},
                                       {R9, RCX, 1},  {RDX, R10, 3}, {R13, R11, 0}};
#define PLACES (sizeof places / sizeof places[0])

static const unsigned widths[] = {8, 32, 64};

/* ---- arithmetic ---- */

static unsigned immediate_bytes(unsigned w)
{
    return w == 8 ? 1 : w == 16 ? 2 : 4;
}

static void run_memory_case(struct bench *b, const struct memory *m, unsigned follower)
{
    put_follower(b, follower);
    run_case(b, 1u << m->base, m->index == RSP ? 0 : 1u << m->index);
}

/* opcode: of the form r/m, r; of 8 bits. digit: of the form with an immediate. */
static void run_two_operands(struct bench *b, unsigned opcode, unsigned reversed, unsigned immediate,
                             unsigned digit)
{
    for (unsigned n = 0; n < 3 * FOLLOWERS; n++) {
        unsigned w = widths[n / FOLLOWERS], follower = n % FOLLOWERS, wide = w != 8;
        for (unsigned i = 0; i < PAIRS; i++) {
            begin(b);
            put_registers(b, 0, opcode + wide, w, pairs[i].b, pairs[i].a);
            put_follower(b, follower);
            run_case(b, 0, 0);
            begin(b);
            put_registers(b, 0, immediate + wide, w, digit, pairs[i].a);
            put_immediate(b, random_value(b), immediate_bytes(w));
            put_follower(b, follower);
            run_case(b, 0, 0);
        }
        for (unsigned i = 0; i < PLACES; i++) {
            const struct memory *m = &places[i];
            unsigned regs[] = {RAX, R14, m->base};
            for (unsigned k = 0; k < 3; k++) {
                begin(b);
                put_memory(b, 0, opcode + wide, w, regs[k], *m);
                run_memory_case(b, m, follower);
                begin(b);
                put_memory(b, 0, reversed + wide, w, regs[k], *m);
                run_memory_case(b, m, follower);
            }
            begin(b);
            put_memory(b, 0, immediate + wide, w, digit, *m);
            put_immediate(b, random_value(b), immediate_bytes(w));
            run_memory_case(b, m, follower);
        }
    }
}

static void arithmetic_with_two_operands(void **state)
{
    struct bench *b = *state;
    for (unsigned alu = 0; alu < 8; alu++) {
        run_two_operands(b, alu << 3, alu << 3 | 2, 0x80, alu);
    }
    run_two_operands(b, 0x84, 0x84, 0xf6, 0); /* TEST */
}

static void arithmetic_with_one_operand(void **state)
{
    struct bench *b = *state;
    static const struct {
        uint8_t opcode, digit;
    } rows[] = {{0xfe, 0}, {0xfe, 1}, {0xf6, 2}, {0xf6, 3}}; /* INC, DEC, NOT, NEG */
    for (unsigned n = 0; n < 4 * 3 * FOLLOWERS; n++) {
        unsigned row = n % 4, w = widths[n / 4 % 3], follower = n / 12, wide = w != 8;
        for (unsigned i = 0; i < PAIRS; i++) {
            begin(b);
            put_registers(b, 0, rows[row].opcode + wide, w, rows[row].digit, pairs[i].a);
            put_follower(b, follower);
            run_case(b, 0, 0);
        }
        for (unsigned i = 0; i < PLACES; i++) {
            begin(b);
            put_memory(b, 0, rows[row].opcode + wide, w, rows[row].digit, places[i]);
            run_memory_case(b, &places[i], follower);
        }
    }
}

static void shifts(void **state)
{
    struct bench *b = *state;
    static const uint8_t digits[] = {0, 1, 4, 5, 7}, counts[] = {0, 1, 5, 31, 32, 33, 63};
    for (unsigned n = 0; n < 5 * 3 * FOLLOWERS; n++) {
        unsigned digit = digits[n % 5], w = widths[n / 5 % 3], follower = n / 15;
        for (unsigned i = 0; i < PAIRS; i++) {
            for (unsigned k = 0; k < 7; k++) {
                begin(b);
                put_registers(b, 0, 0xc0 + (w != 8), w, digit, pairs[i].a);
                put(b, counts[k]);
                put_follower(b, follower);
                run_case(b, 0, 0);
            }
            for (unsigned k = 0; k < 2; k++) {
                begin(b);
                put_registers(b, 0, 0xd2 + (w != 8), w, digit, k == 0 ? pairs[i].a : pairs[i].b); /* by CL */
                put_follower(b, follower);
                run_case(b, 0, 0);
            }
        }
    }
}

static void products(void **state)
{
    struct bench *b = *state;
    for (unsigned n = 0; n < 2 * FOLLOWERS; n++) {
        unsigned w = n % 2 ? 64 : 32, follower = n / 2;
        for (unsigned i = 0; i < PAIRS; i++) {
            begin(b);
            put_registers(b, 0x0f, 0xaf, w, pairs[i].a, pairs[i].b);
            put_follower(b, follower);
            run_case(b, 0, 0);
            begin(b);
            put_registers(b, 0, 0x69, w, pairs[i].a, pairs[i].b);
            put_immediate(b, random_value(b), 4);
            put_follower(b, follower);
            run_case(b, 0, 0);
        }
        for (unsigned i = 0; i < PLACES; i++) {
            for (unsigned k = 0; k < 2; k++) {
                begin(b);
                put_memory(b, 0x0f, 0xaf, w, k == 0 ? R8 : places[i].base, places[i]);
                run_memory_case(b, &places[i], follower);
            }
        }
    }
}

/* Of AH, CH, DH and BH; no REX prefix. */
static void high_bytes(void **state)
{
    struct bench *b = *state;
    for (unsigned n = 0; n < 9 * 4 * FOLLOWERS; n++) {
        unsigned alu = n % 9, reg = n / 9 % 4, follower = n / 36;
        begin(b);
        put(b, alu == 8 ? 0xf6 : 0x80);
        put(b, 0xc4u | (alu == 8 ? 0 : alu) << 3 | reg);
        put(b, rng_next(&b->random) & 0xff);
        put_follower(b, follower);
        run_case(b, 0, 0);
        begin(b);
        put(b, 0x0f); /* movzx reg, high */
        put(b, 0xb6);
        put(b, 0xc4u | (follower & 7) << 3 | reg);
        run_case(b, 0, 0);
    }
}

/* ---- moves ---- */

static void moves(void **state)
{
    struct bench *b = *state;
    static const unsigned all[] = {8, 16, 32, 64};
    for (unsigned n = 0; n < 4; n++) {
        unsigned w = all[n], wide = w != 8;
        for (unsigned i = 0; i < PAIRS; i++) {
            begin(b);
            put_registers(b, 0, 0x88 + wide, w, pairs[i].a, pairs[i].b);
            run_case(b, 0, 0);
            begin(b);
            put_opcode(b, 0, (w == 8 ? 0xb0 : 0xb8) | (pairs[i].a & 7), w, 0, 0, pairs[i].a);
            put_immediate(b, random_value(b), w / 8);
            run_case(b, 0, 0);
        }
        for (unsigned i = 0; i < PLACES; i++) {
            unsigned regs[] = {RDI, R15, places[i].base};
            for (unsigned k = 0; k < 3; k++) {
                begin(b);
                put_memory(b, 0, 0x88 + wide, w, regs[k], places[i]);
                run_memory_case(b, &places[i], 0);
                begin(b);
                put_memory(b, 0, 0x8a + wide, w, regs[k], places[i]);
                run_memory_case(b, &places[i], 0);
            }
            begin(b);
            put_memory(b, 0, 0xc6 + wide, w, 0, places[i]);
            put_immediate(b, random_value(b), immediate_bytes(w));
            run_memory_case(b, &places[i], 0);
        }
    }
}

static void extensions(void **state)
{
    struct bench *b = *state;
    static const struct {
        uint8_t map, opcode;
    } rows[] = {{0x0f, 0xb6}, {0x0f, 0xb7}, {0x0f, 0xbe}, {0x0f, 0xbf}, {0, 0x63}};
    for (unsigned n = 0; n < 5 * 2; n++) {
        unsigned row = n % 5, w = n / 5 ? 64 : 32;
        for (unsigned i = 0; i < PAIRS; i++) {
            begin(b);
            put_registers(b, rows[row].map, rows[row].opcode, w, pairs[i].a, pairs[i].b);
            run_case(b, 0, 0);
        }
        for (unsigned i = 0; i < PLACES; i++) {
            for (unsigned k = 0; k < 2; k++) {
                begin(b);
                put_memory(b, rows[row].map, rows[row].opcode, w, k == 0 ? R14 : places[i].base, places[i]);
                run_memory_case(b, &places[i], 0);
            }
        }
    }
}

static void addresses(void **state)
{
    struct bench *b = *state;
    for (unsigned n = 0; n < 2 * 4; n++) {
        unsigned w = n % 2 ? 64 : 32, scale = n / 2;
        for (unsigned i = 0; i < PLACES; i++) {
            struct memory m = {places[i].base, places[i].index == RSP ? RSP : places[i].index, scale};
            unsigned dst[] = {RAX, R8, m.base, m.index == RSP ? RBX : m.index};
            for (unsigned k = 0; k < 4; k++) {
                begin(b);
                put_memory(b, 0, 0x8d, w, dst[k], m);
                run_case(b, 0, 0);
            }
            unsigned twice = m.base == R12 ? RBP : m.base;
            begin(b);
            put_memory(b, 0, 0x8d, w, RCX, (struct memory){twice, twice, scale});
            run_case(b, 0, 0);
            begin(b);
            put_memory(b, 0, 0x8d, w, twice, (struct memory){twice, twice, scale});
            run_case(b, 0, 0);
        }
    }
}

static void conditions(void **state)
{
    struct bench *b = *state;
    for (unsigned n = 0; n < 16 * PAIRS; n++) {
        unsigned cc = n % 16;
        const struct pair *p = &pairs[n / 16];
        for (unsigned w = 32; w <= 64; w += 32) {
            begin(b);
            put_registers(b, 0x0f, 0x40 | cc, w, p->a, p->b);
            run_case(b, 0, 0);
            begin(b);
            put_registers(b, 0, 0x39, 64, R14, R15); /* cmp r15, r14: flags of a subtraction */
            put_registers(b, 0x0f, 0x40 | cc, w, p->a, p->b);
            run_case(b, 0, 0);
        }
        begin(b);
        put_registers(b, 0x0f, 0x90 | cc, 32, 0, p->a);
        run_case(b, 0, 0);
        begin(b);
        put_registers(b, 0, 0x01, 32, R14, R15); /* add r15d, r14d */
        put_registers(b, 0x0f, 0x90 | cc, 32, 0, p->a);
        put(b, 0x70 | cc);
        put(b, 1);
        put(b, 0x90);
        run_case(b, 0, 0);
    }
}

static void the_accumulator_and_the_stack(void **state)
{
    struct bench *b = *state;
    static const char *const texts[] = {
        "\x48\x98",
        "\x99",
        "\x48\x99", /* cdqe; cdq; cqo */
        "\x6a\x85",
        "\x68\x01\x02\x03\x84",
        "\xc9", /* push; push; leave */
        "\x50\x41\x59",
        "\x54\x58",
        "\x41\x56\x5c",
        "\x54\x5c",
        "\x41\x54\x41\x5f",     /* push, pop */
        "\xe8\x01\x01\x01\x01", /* call, made short below */
    };
    static const uint8_t sizes[] = {2, 1, 2, 2, 5, 1, 3, 2, 3, 2, 4, 5};
    for (unsigned i = 0; i < 12; i++) {
        begin(b);
        memcpy(b->bytes + b->size, texts[i], sizes[i]);
        if (texts[i][0] == '\xe8') {
            memset(b->bytes + b->size + 1, 0, 4);
        }
        b->size += sizes[i];
        run_case(b, i == 5 ? 1u << RBP : i == 8 ? 1u << R14 : 0, 0);
    }
}

/* Calls and jumps through registers and memory, and back. */
static void ways_through_registers(void **state)
{
    struct bench *b = *state;
    for (unsigned n = 0; n < 4 * 16; n++) {
        unsigned reg = n % 16, way = n / 16;
        if (reg == RSP) {
            continue;
        }
        begin(b);
        put_opcode(b, 0, 0x8d, 64, reg, 0, 0); /* lea reg, [rip + n]: behind what follows */
        put(b, 0x05 | (reg & 7) << 3);
        put_immediate(b, way < 2 ? 3 : 13, 4);
        if (way >= 2) { /* mov [rsp - 16], reg */
            put_opcode(b, 0, 0x89, 64, reg, 0, RSP);
            put(b, 0x44 | (reg & 7) << 3);
            put(b, 0x24);
            put(b, 0xf0);
        }
        unsigned start = b->size;
        if (way < 2) {
            put_registers(b, 0, 0xff, 32, way == 0 ? 2 : 4, reg);
        } else {
            put_opcode(b, 0, 0xff, 32, 0, 0, RSP);
            put(b, way == 2 ? 0x54 : 0x64);
            put(b, 0x24);
            put(b, 0xf0);
        }
        while (b->size < start + (way < 2 ? 3 : 8)) {
            put(b, 0x90);
        }
        put(b, 0xff); /* inc ecx */
        put(b, 0xc1);
        if (way % 2 == 0) {
            put(b, 0x5a); /* pop rdx */
        }
        run_case(b, 0, 0);
    }
}

#define TEST_OF_STENCILS(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_OF_STENCILS(arithmetic_with_two_operands),
        TEST_OF_STENCILS(arithmetic_with_one_operand),
        TEST_OF_STENCILS(shifts),
        TEST_OF_STENCILS(products),
        TEST_OF_STENCILS(high_bytes),
        TEST_OF_STENCILS(moves),
        TEST_OF_STENCILS(extensions),
        TEST_OF_STENCILS(addresses),
        TEST_OF_STENCILS(conditions),
        TEST_OF_STENCILS(the_accumulator_and_the_stack),
        TEST_OF_STENCILS(ways_through_registers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
