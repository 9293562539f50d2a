/*
 * Integer instructions against the processor that runs this test: random instructions with random operands
 * must leave the same registers, flags and memory, run through the specialised handlers and through the plain
 * functions. Flags that the manual leaves undefined (the table's last column) are not compared. On a host
 * that is not x86-64 there is nothing to compare with.
 */

#define _GNU_SOURCE

#include "core_fixture.h"
#include "int_gen.h"

#include <Zydis/Mnemonic.h>
#include <sys/mman.h>

#define ROUNDS    60000u
#define CONTEXT   UINT64_C(0x10000000) /* one address for host and guest, so that pointers are equal */
#define STUB      UINT64_C(0x10010000)
#define DATA      UINT64_C(0x10200000)
#define DATA_SIZE 0x8000u
#define DATA_PHYS 0x200000u

#if defined(__x86_64__)

struct context {
    uint64_t gpr[16], rflags, host_rsp, saved[6];
};

#define AT(member) (CONTEXT + offsetof(struct context, member))

static uint8_t *put_32(uint8_t *p, uint64_t v)
{
    store_le32(p, (uint32_t)v);
    return p + 4;
}

/* mov between a register and an absolute address. */
static uint8_t *put_mov(uint8_t *p, bool store, unsigned reg, uint64_t address)
{
    *p++ = (uint8_t)(0x48 | (reg >> 3) << 2);
    *p++ = store ? 0x89 : 0x8b;
    *p++ = (uint8_t)((reg & 7) << 3 | 4);
    *p++ = 0x25;
    return put_32(p, address);
}

static uint8_t *put_bytes(uint8_t *p, const char *bytes, size_t size)
{
    memcpy(p, bytes, size);
    return p + size;
}

static const uint8_t callee_saved[] = {RBX, RBP, R12, R13, R14, R15};

/* A function that loads the context, runs the instruction, and stores the context. */
static void make_stub(const uint8_t *insn, unsigned size)
{
    uint8_t *p = (uint8_t *)(uintptr_t)STUB;
    for (unsigned i = 0; i < 6; i++) {
        p = put_mov(p, true, callee_saved[i], AT(saved) + 8 * i);
    }
    p = put_mov(p, true, RSP, AT(host_rsp));
    p = put_bytes(p, "\xff\x34\x25", 3); /* push [rflags]; popf */
    p = put_32(p, AT(rflags));
    *p++ = 0x9d;
    for (unsigned i = 0; i < 16; i++) {
        p = put_mov(p, false, i, AT(gpr) + 8 * i);
    }
    p = put_bytes(p, (const char *)insn, size);
    for (unsigned i = 0; i < 16; i++) {
        p = put_mov(p, true, i, AT(gpr) + 8 * i);
    }
    p = put_mov(p, false, RSP, AT(host_rsp));
    p = put_bytes(p, "\x9c\x8f\x04\x25", 4); /* pushf; pop [rflags]; cld */
    p = put_32(p, AT(rflags));
    *p++ = 0xfc;
    for (unsigned i = 0; i < 6; i++) {
        p = put_mov(p, false, callee_saved[i], AT(saved) + 8 * i);
    }
    *p = 0xc3;
}

static void *map_at(uint64_t address, size_t size, int protection)
{
    void *p = mmap((void *)(uintptr_t)address, size, protection,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    assert_ptr_equal(p, (void *)(uintptr_t)address);
    return p;
}

/* Guest: the data at DATA is physical DATA_PHYS, a 2 MiB page. */
static void map_guest(struct sys *s)
{
    poke(s, 0x6000, 0x87, 8);
    poke(s, 0x6000 + 8 * (DATA >> 21), DATA_PHYS | 0x87, 8);
    poke(s, PDPT_AT, 0x6007, 8);
    mem_flush_all(&s->cpu);
}

static void random_registers(struct rng *r, uint64_t *gpr)
{
    for (unsigned i = 0; i < 16; i++) {
        gpr[i] = gen_value(r);
    }
    gpr[RBX] = DATA + 0x1f00 + gen_below(r, 300);
    gpr[RSI] = DATA + 0x3f80 + gen_below(r, 200);
    gpr[RDI] = DATA + 0x5f80 + gen_below(r, 200);
    gpr[RSP] = DATA + 0x7000 + 8 * gen_below(r, 16);
    gpr[R12] = gen_below(r, 32);
    gpr[RCX] = gen_below(r, 4) != 0 ? gen_below(r, 70) : gpr[RCX];
}

/* Results that the manual does not define at all, and CMPXCHG16B, whose operand would have to be aligned. */
static bool is_unfit(const struct insn *in, const uint64_t *gpr)
{
    bool shift = in->mnemonic == ZYDIS_MNEMONIC_SHLD || in->mnemonic == ZYDIS_MNEMONIC_SHRD;
    uint64_t count = (in->op[2].kind == OPERAND_IMM ? in->imm : gpr[RCX]) & 31;
    return (shift && in->op[0].size_bytes == 2 && count > 16) ||
           (in->mnemonic == ZYDIS_MNEMONIC_BSWAP && in->op[0].size_bytes == 2) ||
           in->mnemonic == ZYDIS_MNEMONIC_CMPXCHG16B;
}

/* CF of SHL and SHR by more than the width is undefined as well. */
static uint64_t undefined_flags(const struct insn *in, const uint64_t *gpr)
{
    uint64_t undefined = insn_rows[in->row].undefined;
    bool shift = in->mnemonic == ZYDIS_MNEMONIC_SHL || in->mnemonic == ZYDIS_MNEMONIC_SHR;
    uint64_t count = (in->op[1].kind == OPERAND_IMM ? in->imm : gpr[RCX]) & 31;
    return shift && count >= insn_bits(in, 0) ? undefined | RFLAGS_CF : undefined;
}

static void run_guest(struct sys *s, const uint64_t *gpr, uint64_t rflags)
{
    memcpy(s->cpu.gpr, gpr, 16 * sizeof *gpr);
    cpu_set_rflags(&s->cpu, rflags);
    s->cpu.rip = PROGRAM_AT;
    s->cpu.activity = CPU_ACTIVE;
    assert_int_equal(core_run(s, 100000), CPU_STOP_BREAK);
}

struct trial {
    uint8_t bytes[16];
    unsigned size;
    struct insn insn;
    uint64_t gpr[16], rflags;
    uint8_t data[DATA_SIZE];
};

static bool new_trial(struct rng *r, struct trial *t)
{
    t->size = gen_insn(r, t->bytes, true);
    t->bytes[t->size] = 0xf4;
    random_registers(r, t->gpr);
    t->rflags = RFLAGS_IF | RFLAGS_ONE | (rng_next(r) & (RFLAGS_STATUS | RFLAGS_DF));
    if (insn_decode(MODE_LONG64, t->bytes, t->size, &t->insn) != DECODE_OK) {
        return false;
    }
    bool repeated = insn_rows[t->insn.row].flags & INSN_REP && t->insn.prefixes & (PREFIX_REP | PREFIX_REPNE);
    if (repeated) {
        t->gpr[RCX] = gen_below(r, 40);
    }
    return !is_unfit(&t->insn, t->gpr);
}

static void compare_with_host(struct sys *s, const struct trial *t, const struct context *host,
                              const void *memory)
{
    uint8_t guest[DATA_SIZE];
    uint64_t seen = (RFLAGS_STATUS | RFLAGS_DF) & ~undefined_flags(&t->insn, t->gpr);
    assert_true(bus_peek(&s->bus, phys(DATA_PHYS), guest, DATA_SIZE));
    bool same = memcmp(s->cpu.gpr, host->gpr, sizeof host->gpr) == 0 &&
                memcmp(guest, memory, DATA_SIZE) == 0 && ((cpu_rflags(&s->cpu) ^ host->rflags) & seen) == 0;
    if (!same) {
        print_message("%s:", insn_rows[t->insn.row].name);
        for (unsigned i = 0; i < t->size; i++) {
            print_message(" %02x", t->bytes[i]);
        }
        print_message("; flags in %lx, host %lx, guest %lx\n", (unsigned long)t->rflags,
                      (unsigned long)host->rflags, (unsigned long)cpu_rflags(&s->cpu));
        for (unsigned i = 0; i < 16; i++) {
            print_message("%2u: in %016lx host %016lx guest %016lx\n", i, (unsigned long)t->gpr[i],
                          (unsigned long)host->gpr[i], (unsigned long)s->cpu.gpr[i]);
        }
    }
    assert_true(same);
}

static void run_host(const struct trial *t, struct context *context, uint8_t *data)
{
    void (*stub)(void);
    uintptr_t address = (uintptr_t)STUB;
    memcpy(&stub, &address, sizeof stub);
    memcpy(data, t->data, DATA_SIZE);
    memcpy(context->gpr, t->gpr, sizeof t->gpr);
    context->rflags = t->rflags;
    make_stub(t->bytes, t->size);
    stub();
}

static void random_instructions_do_what_the_host_does(void **state)
{
    struct sys *s = *state;
    struct context *context = map_at(CONTEXT, 4096, PROT_READ | PROT_WRITE);
    void *code = map_at(STUB, 4096, PROT_READ | PROT_WRITE | PROT_EXEC);
    uint8_t *data = map_at(DATA, DATA_SIZE, PROT_READ | PROT_WRITE);
    static struct trial t;
    struct rng r;
    rng_init(&r, 1, 1);
    map_guest(s);
    for (unsigned i = 0; i < DATA_SIZE; i++) {
        t.data[i] = (uint8_t)rng_next(&r);
    }
    for (unsigned i = 0; i < ROUNDS; i++) {
        if (!new_trial(&r, &t)) {
            continue;
        }
        run_host(&t, context, data);
        s->cpu.single_step_blocks = i % 2 != 0;
        core_load(s, PROGRAM_AT, t.bytes, t.size + 1);
        assert_true(bus_load(&s->bus, phys(DATA_PHYS), t.data, DATA_SIZE));
        run_guest(s, t.gpr, t.rflags & ~RFLAGS_IF);
        compare_with_host(s, &t, context, data);
    }
    munmap(context, 4096);
    munmap(code, 4096);
    munmap(data, DATA_SIZE);
}

#else

static void random_instructions_do_what_the_host_does(void **state)
{
    (void)state;
    skip();
}

#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        CORE_TEST(random_instructions_do_what_the_host_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
