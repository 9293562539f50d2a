/*
 * The translator: when blocks are translated, when their code is entered, and that it does what the handlers do, whatever the
 * length of blocks and wherever time is cut. Most tests of the block cache run in machine code as well (core_fixture.h).
 */

#include "block_programs.h"
#include "cpu/translate.h"

static struct translator *translator_of(struct sys *s, unsigned heat)
{
    assert_int_equal(block_cache_translate(s->blocks, &cost_fast, heat), TRANSLATE_HOST);
    return block_cache_translator(s->blocks);
}

static void a_block_is_translated_when_it_is_hot(void **state)
{
    struct sys *s = *state;
    const struct translator *t = translator_of(s, 10);
    if (t == NULL) {
        return;
    }
    PROGRAM(s, "\x48\xff\xc0\x48\xff\xc9\x75\xf8\xf4"); /* 1: inc rax; dec rcx; jnz 1b; hlt */
    s->cpu.gpr[RCX] = 9;
    core_run(s, 1000);
    assert_int_equal(translate_count(t), 0);
    s->cpu.activity = CPU_ACTIVE;
    s->cpu.rip = PROGRAM_AT;
    s->cpu.gpr[RCX] = 100;
    core_run(s, 1000);
    assert_int_equal(translate_count(t), 1);
    assert_int_equal(s->cpu.gpr[RAX], 109);
}

static void unequal_costs_are_not_for_machine_code(void **state)
{
    struct sys *s = *state;
    assert_false(block_cache_translate(s->blocks, &cost_flat, 1));
}

/* Stops before the first instruction that begins at or past each deadline, with all counts right. */
static void a_loop_in_machine_code_stops_at_every_deadline(void **state)
{
    struct sys *s = *state;
    translator_of(s, 1);
    PROGRAM(
        s,
        "\x48\xff\xc0\x48\x01\xc3\x48\xff\xc9\x75\xf5\xf4"); /* 1: inc rax; add rbx, rax; dec rcx; jnz 1b; hlt */
    s->cpu.gpr[RCX] = 1u << 20;
    for (unsigned i = 0; i < 2000; i++) {
        uint64_t now = cpu_now(&s->cpu), slice = 1 + i % 97, retired = s->cpu.retired;
        assert_int_equal(run_alone(&s->cpu, now + slice), CPU_STOP_DEADLINE);
        assert_int_equal(cpu_now(&s->cpu), now + slice);
        assert_int_equal(s->cpu.retired, retired + slice);
        uint64_t rounds = s->cpu.retired / 4, rest = s->cpu.retired % 4;
        assert_int_equal(s->cpu.gpr[RAX], rounds + (rest >= 1));
        assert_int_equal(s->cpu.gpr[RCX], (1u << 20) - rounds - (rest >= 3));
    }
}

/* The code of a block that another one writes over is not entered again, by whatever way it was tied. */
static void code_that_is_written_over_is_not_entered(void **state)
{
    struct sys *s = *state;
    translator_of(s, 1);
    /* 1: call f; mov [f + 1], bl; inc bl; dec ecx; jnz 1b; hlt; f: mov al, 0; add edx, eax; ret */
    static const char code[] =
        "\xe8\x0d\x00\x00\x00\x88\x1d\x08\x00\x00\x00\xfe\xc3\xff\xc9\x75\xef\xf4\xb0\x00\x01\xc2\xc3";
    core_load(s, PROGRAM_AT, code, sizeof code - 1);
    s->cpu.rip = PROGRAM_AT;
    s->cpu.gpr[RSP] = SCRATCH_AT + 0x1000;
    s->cpu.gpr[RAX] = s->cpu.gpr[RDX] = 0;
    s->cpu.gpr[RBX] = 1;
    s->cpu.gpr[RCX] = 100;
    core_run(s, 100000);
    assert_int_equal(s->cpu.gpr[RDX], 99 * 100 / 2);
}

static void an_access_that_faults_leaves_the_block_before_it(void **state)
{
    struct sys *s = *state;
    translator_of(s, 1);
    map_small_pages(s);
    PROGRAM(
        s,
        "\x48\xff\xc0\x48\x8b\x1f\x48\x83\xc7\x08\xeb\xf4"); /* 1: inc rax; mov rbx, [rdi]; add rdi, 8; jmp 1b */
    s->cpu.gpr[RDI] = SCRATCH_AT;
    s->cpu.gpr[RAX] = 0;
    s->cpu.idtr.limit = 0; /* the fault ends in a shutdown */
    core_run(s, 100u << 20);
    assert_int_equal(s->cpu.activity, CPU_SHUTDOWN);
    assert_int_equal(s->cpu.gpr[RDI], s->cpu.cr2);
    assert_int_equal(s->cpu.gpr[RAX], (s->cpu.cr2 - SCRATCH_AT) / 8 + 1);
    assert_int_equal(s->cpu.rip, PROGRAM_AT + 3);
}

/* ---- against the oracle, at every cut ---- */

static void compare_registers(struct sys *code, struct sys *oracle, unsigned program)
{
    struct cpu *a = &code->cpu, *b = &oracle->cpu;
    bool same = memcmp(a->gpr, b->gpr, GPR_COUNT * sizeof a->gpr[0]) == 0 && a->rip == b->rip &&
                cpu_rflags(a) == cpu_rflags(b) && a->retired == b->retired && cpu_now(a) == cpu_now(b);
    if (!same) {
        print_message("program %u\n", program);
        core_print_difference(oracle, code);
    }
    assert_true(same);
}

static void run_in_step(struct sys *code, struct sys *oracle, uint64_t slice_cycles, unsigned program)
{
    uint64_t end = cpu_now(&code->cpu) + 4000;
    while (code->cpu.activity == CPU_ACTIVE && cpu_now(&code->cpu) < end) {
        uint64_t deadline = cpu_now(&code->cpu) + slice_cycles;
        run_alone(&code->cpu, deadline);
        run_alone(&oracle->cpu, deadline);
        compare_registers(code, oracle, program);
    }
    assert_int_equal(code->cpu.activity, oracle->cpu.activity);
}

static void run_blocks_of(unsigned length, unsigned store_capacity)
{
    static const uint64_t slices[] = {1, 33, 47, 100, 333, 4000};
    void *a, *b;
    struct program p;
    struct rng r;
    rng_init(&r, length, store_capacity);
    assert_int_equal(core_setup_translated(&a) + core_setup(&b), 0);
    struct sys *code = a, *oracle = b;
    oracle->cpu.single_step_blocks = true;
    code->cpu.stores.capacity = oracle->cpu.stores.capacity = store_capacity;
    code->cpu.stores.drain_cycles = oracle->cpu.stores.drain_cycles = 37;
    block_cache_limit(code->blocks, length);
    map_small_pages(code);
    map_small_pages(oracle);
    for (unsigned i = 0; i < 150; i++) {
        make_program(&r, &p);
        uint64_t at = PROGRAM_AT + 0x1000 - gen_below(&r, 600);
        load_program(code, &p, at);
        load_program(oracle, &p, at);
        run_in_step(code, oracle, slices[i % 6], i);
        compare(code, oracle, i, &p);
        if (code->cpu.activity == CPU_SHUTDOWN) {
            reset_both(code, oracle);
        }
    }
    sys_teardown(&a);
    sys_teardown(&b);
}

static void programs_agree_at_every_cut_in_blocks_of_1_20_and_48(void **state)
{
    static const unsigned lengths[] = {1, 20, 48};
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        run_blocks_of(lengths[i], 0);
    }
}

static void programs_agree_at_every_cut_with_a_store_queue(void **state)
{
    static const unsigned lengths[] = {1, 20, 48};
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        run_blocks_of(lengths[i], 8);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CORE_TEST_BY_HANDLERS(a_block_is_translated_when_it_is_hot),
        CORE_TEST_BY_HANDLERS(unequal_costs_are_not_for_machine_code),
        CORE_TEST_BY_HANDLERS(a_loop_in_machine_code_stops_at_every_deadline),
        CORE_TEST_BY_HANDLERS(code_that_is_written_over_is_not_entered),
        CORE_TEST_BY_HANDLERS(an_access_that_faults_leaves_the_block_before_it),
        CORE_TEST_BY_HANDLERS(programs_agree_at_every_cut_in_blocks_of_1_20_and_48),
        CORE_TEST_BY_HANDLERS(programs_agree_at_every_cut_with_a_store_queue),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
