/*
 * Fused pairs: every arithmetic operation that may be fused with a conditional jump, in every shape and
 * width, with every condition and operands at the edges, takes the branch and leaves the flags that the two
 * instructions do alone.
 */

#include "core_fixture.h"

static const uint64_t edges[] = {0,          1,          2,         0x7f,    0x80,      0xff,
                                 0x7fffffff, 0x80000000, INT64_MAX, BIT(63), UINT64_MAX};

#define EDGES (sizeof edges / sizeof edges[0])

/* Operations on operands eax and ecx, or [rbx] for a memory operand. %w: a REX.W prefix may come before. */
struct pair {
    const char *name;
    uint8_t bytes[3];
    uint8_t size;
    bool byte;
};

static const struct pair pairs[] = {
    {"cmp eax, ecx", {0x39, 0xc8}, 2, false},
    {"cmp al, cl", {0x38, 0xc8}, 2, true},
    {"cmp eax, 1", {0x83, 0xf8, 0x01}, 3, false},
    {"cmp al, -128", {0x3c, 0x80}, 2, true},
    {"cmp eax, [rbx]", {0x3b, 0x03}, 2, false},
    {"cmp [rbx], eax", {0x39, 0x03}, 2, false},
    {"cmp al, [rbx]", {0x3a, 0x03}, 2, true},
    {"cmp [rbx], al", {0x38, 0x03}, 2, true},
    {"cmp [rbx+rdx], 1", {0x83, 0x3c, 0x13}, 3, false},
    {"cmp eax, [rbx+rdx]", {0x3b, 0x04, 0x13}, 3, false},
    {"test eax, ecx", {0x85, 0xc8}, 2, false},
    {"test al, cl", {0x84, 0xc8}, 2, true},
    {"test [rbx], eax", {0x85, 0x03}, 2, false},
    {"sub eax, ecx", {0x29, 0xc8}, 2, false},
    {"sub eax, 1", {0x83, 0xe8, 0x01}, 3, false},
    {"add eax, ecx", {0x01, 0xc8}, 2, false},
    {"add eax, 1", {0x83, 0xc0, 0x01}, 3, false},
    {"and eax, ecx", {0x21, 0xc8}, 2, false},
    {"and eax, -128", {0x83, 0xe0, 0x80}, 3, false},
    {"inc eax", {0xff, 0xc0}, 2, false},
    {"dec eax", {0xff, 0xc8}, 2, false},
};

/* The operation; jcc over an inc of r8; hlt. A nop in front, so that the pair is not the head of its block.
 */
static void load_pair(struct sys *s, const struct pair *p, bool wide, unsigned cc)
{
    uint8_t code[32];
    unsigned n = 0;
    code[n++] = 0x90;
    if (wide) {
        code[n++] = 0x48;
    }
    memcpy(code + n, p->bytes, p->size);
    n += p->size;
    if (p->bytes[0] == 0x83 && p->bytes[1] == 0x3c) {
        code[n++] = 0x01; /* the immediate behind a SIB byte */
    }
    code[n++] = (uint8_t)(0x70 | cc);
    code[n++] = 3;
    memcpy(code + n, "\x49\xff\xc0\xf4", 4);
    core_load(s, PROGRAM_AT, code, n + 4);
}

struct outcome {
    uint64_t rax, r8, rflags, retired;
};

static struct outcome run_pair(struct sys *s, uint64_t a, uint64_t b)
{
    uint64_t before = s->cpu.retired;
    s->cpu.gpr[RAX] = a;
    s->cpu.gpr[RCX] = b;
    s->cpu.gpr[RDX] = 0;
    s->cpu.gpr[R8] = 0;
    s->cpu.gpr[RBX] = SCRATCH_AT;
    poke(s, SCRATCH_AT, b, 8);
    cpu_set_rflags(&s->cpu, RFLAGS_CF);
    s->cpu.rip = PROGRAM_AT;
    s->cpu.activity = CPU_ACTIVE;
    core_run(s, 100);
    return (struct outcome){s->cpu.gpr[RAX], s->cpu.gpr[R8], cpu_rflags(&s->cpu), s->cpu.retired - before};
}

static void compare_values(struct sys *fused, struct sys *alone, const struct pair *p, unsigned cc)
{
    for (unsigned i = 0; i < EDGES * EDGES; i++) {
        uint64_t a = edges[i / EDGES], b = edges[i % EDGES];
        struct outcome x = run_pair(fused, a, b), y = run_pair(alone, a, b);
        if (memcmp(&x, &y, sizeof x) != 0) {
            print_message("%s, condition %u, %lx %lx\n", p->name, cc, (unsigned long)a, (unsigned long)b);
        }
        assert_memory_equal(&x, &y, sizeof x);
    }
}

static void fused_pairs_do_what_the_two_instructions_do_alone(void **state)
{
    struct sys *fused = *state;
    void *other;
    assert_int_equal(core_setup(&other), 0);
    struct sys *alone = other;
    alone->cpu.single_step_blocks = true;
    for (unsigned k = 0; k < sizeof pairs / sizeof pairs[0]; k++) {
        for (unsigned cc = 0; cc < 16; cc++) {
            for (unsigned wide = 0; wide < (pairs[k].byte ? 1u : 2u); wide++) {
                load_pair(fused, &pairs[k], wide != 0, cc);
                load_pair(alone, &pairs[k], wide != 0, cc);
                compare_values(fused, alone, &pairs[k], cc);
            }
        }
    }
    sys_teardown(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CORE_TEST(fused_pairs_do_what_the_two_instructions_do_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
