/*
 * Step blocks: a slice may begin and end at any instruction of a block, and what is left behind is what single steps
 * leave. The oracle is a vCPU without blocks, compared at every stop.
 */

#include "core_fixture.h"

/* Two vCPUs with the same program: in blocks, and one plain instruction at a time. */
struct pair {
    struct sys *blocks, *oracle;
};

static struct pair pair_create(void **state)
{
    void *other;
    struct pair p = {.blocks = *state};
    assert_int_equal(core_setup(&other), 0);
    p.oracle = other;
    p.oracle->cpu.single_step_blocks = true;
    return p;
}

static void pair_destroy(struct pair *p)
{
    void *other = p->oracle;
    sys_teardown(&other);
}

static void pair_load(struct pair *p, uint64_t at, const void *bytes, size_t size_bytes)
{
    core_load(p->blocks, at, bytes, size_bytes);
    core_load(p->oracle, at, bytes, size_bytes);
}

static void pair_start(struct pair *p, uint64_t rcx, uint64_t rbx)
{
    struct sys *both[] = {p->blocks, p->oracle};
    for (unsigned i = 0; i < 2; i++) {
        both[i]->cpu.gpr[RAX] = 0x1234;
        both[i]->cpu.gpr[RCX] = rcx;
        both[i]->cpu.gpr[RBX] = rbx;
        both[i]->cpu.gpr[RSI] = SCRATCH_AT;
        both[i]->cpu.rip = PROGRAM_AT;
        both[i]->cpu.activity = CPU_ACTIVE;
    }
}

/* Runs both to the same deadline; they must stand alike. */
static void pair_run(struct pair *p, uint64_t deadline)
{
    enum cpu_stop a = cpu_run(&p->blocks->cpu, deadline), b = cpu_run(&p->oracle->cpu, deadline);
    assert_int_equal(a, b);
    if (!digest_equal(core_digest(p->blocks), core_digest(p->oracle))) {
        core_print_difference(p->oracle, p->blocks);
        fail_msg("deadline %llu", (unsigned long long)deadline);
    }
}

/* Flags that live from one instruction to the next, memory, the stack, a string instruction; ends in a loop.
 *   0: add eax, ecx; adc [rsi], eax; cmp eax, [rsi + 8]; setb dl; push rax; imul rax, rcx, 77; shl eax, 3; pop rdx;
 *   lea rdi, [rsi + 0x100]; stosd; xchg [rsi + 16], eax; bt ecx, 0; sbb edx, edx; mov [rsi + 8], edx; test dl, 1;
 *   dec rcx; jnz 0; hlt */
static const char STRAIGHT[] =
    "\x01\xc8\x11\x06\x3b\x46\x08\x0f\x92\xc2\x50\x48\x6b\xc1\x4d\xc1\xe0\x03\x5a\x48\x8d\xbe"
    "\x00\x01\x00\x00\xab\x87\x46\x10\x0f\xba\xe1\x00\x19\xd2\x89\x56\x08\xf6\xc2\x01"
    "\x48\xff\xc9\x75\xd1\xf4";
#define STRAIGHT_INSNS 17u

static void check_all_slices(void **state, const struct cost_table *costs, uint64_t longest)
{
    struct pair p = pair_create(state);
    p.blocks->cpu.costs = costs;
    p.oracle->cpu.costs = costs;
    pair_load(&p, PROGRAM_AT, STRAIGHT, sizeof STRAIGHT - 1);
    for (uint64_t first = 0; first < longest; first++) {
        for (uint64_t second = 1; second < longest; second += 2) {
            uint64_t start = cpu_now(&p.blocks->cpu);
            pair_start(&p, 4, 0);
            pair_run(&p, start + first);
            pair_run(&p, start + first + second);
            pair_run(&p, start + first + second + 1);
        }
    }
    pair_destroy(&p);
}

static void a_slice_begins_and_ends_at_any_instruction_of_a_block(void **state)
{
    check_all_slices(state, &cost_fast, 2 * STRAIGHT_INSNS + 3);
}

static void a_slice_begins_and_ends_at_any_instruction_when_costs_differ(void **state)
{
    check_all_slices(state, &cost_flat, 60);
}

static void a_stop_gives_back_what_the_rest_of_the_block_was_charged(void **state)
{
    struct sys *s = *state;
    core_load(s, PROGRAM_AT, STRAIGHT, sizeof STRAIGHT - 1);
    s->cpu.gpr[RSI] = SCRATCH_AT;
    s->cpu.gpr[RCX] = 100;
    for (uint64_t deadline = 1; deadline < 5 * STRAIGHT_INSNS; deadline++) {
        assert_int_equal(cpu_run(&s->cpu, deadline), CPU_STOP_DEADLINE);
        assert_int_equal(cpu_now(&s->cpu), deadline);
        assert_int_equal(s->cpu.retired, deadline);
    }
}

static void one_cycle_slices_make_no_block_for_each_instruction(void **state)
{
    struct sys *s = *state;
    core_load(s, PROGRAM_AT, STRAIGHT, sizeof STRAIGHT - 1);
    s->cpu.gpr[RSI] = SCRATCH_AT;
    s->cpu.gpr[RCX] = 100;
    for (uint64_t deadline = 1; deadline < 200; deadline++) {
        cpu_run(&s->cpu, deadline);
    }
    assert_in_range(block_cache_statistics(s->blocks).made, 1, 3);
}

/* A stop operation must not stay behind: a longer slice goes past where a shorter one ended. */
static void a_long_slice_passes_where_a_short_one_stopped(void **state)
{
    struct sys *s = *state;
    core_load(s, PROGRAM_AT, STRAIGHT, sizeof STRAIGHT - 1);
    s->cpu.gpr[RSI] = SCRATCH_AT;
    s->cpu.gpr[RCX] = 100;
    cpu_run(&s->cpu, 3);
    cpu_run(&s->cpu, 3 + 20);
    assert_int_equal(s->cpu.retired, 23);
    s->cpu.rip = PROGRAM_AT;
    cpu_run(&s->cpu, 23 + 5);
    cpu_run(&s->cpu, 23 + 5 + 31);
    assert_int_equal(s->cpu.retired, 23 + 36);
}

static void a_probe_within_a_block_stops_every_slicing(void **state)
{
    struct sys *s = *state;
    uint64_t now = 0;
    for (uint64_t slice = 1; slice < 40; slice += 3) {
        unsigned hits = 0;
        core_load(s, PROGRAM_AT, STRAIGHT, sizeof STRAIGHT - 1);
        s->cpu.gpr[RSI] = SCRATCH_AT;
        s->cpu.gpr[RCX] = 5;
        s->cpu.rip = PROGRAM_AT;
        s->cpu.activity = CPU_ACTIVE;
        assert_true(block_cache_probe_add(s->blocks, lin(PROGRAM_AT + 7)));
        for (; s->cpu.activity == CPU_ACTIVE; now += slice) {
            enum cpu_stop stop;
            while ((stop = cpu_run(&s->cpu, now)) == CPU_STOP_PROBE) {
                assert_int_equal(s->cpu.rip, PROGRAM_AT + 7);
                hits++;
            }
        }
        assert_int_equal(hits, 5);
        block_cache_probe_remove(s->blocks, lin(PROGRAM_AT + 7));
    }
}

static void a_probe_put_where_a_step_block_stands_is_hit_at_once(void **state)
{
    struct sys *s = *state;
    core_load(s, PROGRAM_AT, STRAIGHT, sizeof STRAIGHT - 1);
    s->cpu.gpr[RSI] = SCRATCH_AT;
    s->cpu.gpr[RCX] = 5;
    cpu_run(&s->cpu, 3);
    assert_int_equal(s->cpu.rip, PROGRAM_AT + 7);
    assert_true(block_cache_probe_add(s->blocks, lin(PROGRAM_AT + 7)));
    assert_int_equal(cpu_run(&s->cpu, 4), CPU_STOP_PROBE);
    assert_int_equal(cpu_now(&s->cpu), 3);
    assert_int_equal(cpu_run(&s->cpu, 4), CPU_STOP_DEADLINE);
    assert_int_equal(s->cpu.rip, PROGRAM_AT + 10);
}

static void code_changed_where_a_step_block_stands_runs_as_changed(void **state)
{
    struct sys *s = *state;
    PROGRAM(s, "\x90\x90\x90\xb0\x01\x90\x90\xf4"); /* nop x3; mov al, 1; nop; nop; hlt */
    cpu_run(&s->cpu, 2);
    core_load(s, PROGRAM_AT + 4, "\x42", 1); /* as another vCPU would */
    cpu_run(&s->cpu, 3);
    cpu_run(&s->cpu, 4);
    assert_int_equal(s->cpu.gpr[RAX] & 0xff, 0x42);
}

static void a_store_into_the_step_block_that_runs_is_seen(void **state)
{
    struct sys *s = *state;
    for (uint64_t slice = 1; slice < 6; slice++) {
        /* mov byte [rip + 3], 0x42; nop; nop; mov al, 1; hlt */
        PROGRAM(s, "\xc6\x05\x03\x00\x00\x00\x42\x90\x90\xb0\x01\xf4");
        s->cpu.activity = CPU_ACTIVE;
        s->cpu.gpr[RAX] = 0;
        while (s->cpu.activity == CPU_ACTIVE) {
            cpu_run(&s->cpu, cpu_now(&s->cpu) + slice);
        }
        assert_int_equal(s->cpu.gpr[RAX] & 0xff, 0x42);
    }
}

static void an_interrupt_is_taken_where_a_step_block_stands(void **state)
{
    struct sys *s = *state;
    struct apic_message m = {.destination = 0, .vector = 0x41, .delivery = APIC_FIXED};
    PROGRAM(s, "\x90\x90\x90\x90\x90\x90\xf4");
    cpu_set_rflags(&s->cpu, RFLAGS_IF);
    lapic_reset(&s->lapic, 0);
    lapic_write(&s->lapic, LAPIC_SVR, LAPIC_SVR_ENABLE | 0xff, 0);
    cpu_run(&s->cpu, 2);
    lapic_deliver(&s->lapic, &m, 2);
    assert_int_equal(cpu_run(&s->cpu, 3), CPU_STOP_DEADLINE);
    assert_int_equal(s->cpu.rip, HANDLER_AT + 16 * 0x41);
    assert_int_equal(peek(s, s->cpu.gpr[RSP], 8), PROGRAM_AT + 2);
}

/* Linear 2 MiB and the page after it both show the physical page `at`; identity below. */
static void map_aliases(struct sys *s, uint64_t at)
{
    poke(s, PDPT_AT, 0x6007, 8);
    poke(s, 0x6000, 0x87, 8);
    poke(s, 0x6008, 0x7007, 8);
    poke(s, 0x7000, at | 7, 8);
    poke(s, 0x7008, at | 7, 8);
    mem_flush_all(&s->cpu);
}

static void a_page_unmapped_where_a_step_block_stands_faults_there(void **state)
{
    struct sys *s = *state;
    map_aliases(s, SCRATCH_AT);
    core_load(s, SCRATCH_AT, "\x90\x90\x90\x90\xf4", 5);
    s->cpu.rip = 0x200000;
    cpu_run(&s->cpu, 2);
    poke(s, 0x7000, 0, 8);
    mem_invlpg(&s->cpu, lin(0x200000));
    cpu_run(&s->cpu, 3);
    assert_int_equal(s->cpu.rip, HANDLER_AT + 16 * VECTOR_PF);
    assert_int_equal(s->cpu.cr2, 0x200002);
}

/* A jump between two linear pages of one physical page is a jump into another page. */
static void a_jump_to_an_alias_of_its_own_page_sees_the_alias_remapped(void **state)
{
    struct sys *s = *state;
    map_aliases(s, SCRATCH_AT);
    core_load(s, SCRATCH_AT, "\xe9\x1b\x10\x00\x00", 5);  /* jmp to 0x20 of the next page */
    core_load(s, SCRATCH_AT + 0x20, "\xb0\x01\xf4", 3);   /* mov al, 1; hlt */
    core_load(s, SCRATCH_AT + 0x1020, "\xb0\x02\xf4", 3); /* mov al, 2; hlt */
    for (unsigned round = 0; round < 4; round++) {
        if (round == 3) {
            poke(s, 0x7008, (SCRATCH_AT + 0x1000) | 7, 8);
            mem_invlpg(&s->cpu, lin(0x201000));
        }
        s->cpu.rip = 0x200000;
        s->cpu.activity = CPU_ACTIVE;
        core_run(s, 1000);
        assert_int_equal(s->cpu.gpr[RAX] & 0xff, round == 3 ? 2 : 1);
    }
}

/* Jumps of every kind between two pages, round and round: at the deadline behind a jump the fetch latch is still that
 * of the page it came from.
 *   page 0: 0: call rbx; call [rsi + 0x18]; call page1; lea rdi, [rip + 6]; jmp page1 + 0x20; nop; dec ecx; jnz 0; hlt
 *   page 1: ret; 0x20: jmp rdi; 0x30: ret */
static void the_fetch_latch_stays_behind_at_a_jump_on_a_deadline(void **state)
{
    struct pair p = pair_create(state);
    static const char page0[] =
        "\xff\xd3\xff\x56\x18\xe8\xf6\x0f\x00\x00\x48\x8d\x3d\x06\x00\x00\x00\xe9\x0a\x10\x00\x00"
        "\x90\xff\xc9\x75\xe5\xf4";
    uint8_t pointer[8];
    store_le64(pointer, PROGRAM_AT + 0x1030);
    pair_load(&p, PROGRAM_AT, page0, sizeof page0 - 1);
    pair_load(&p, PROGRAM_AT + 0x1000, "\xc3", 1);
    pair_load(&p, PROGRAM_AT + 0x1020, "\xff\xe7", 2);
    pair_load(&p, PROGRAM_AT + 0x1030, "\xc3", 1);
    pair_load(&p, SCRATCH_AT + 0x18, pointer, 8);
    for (uint64_t slice = 1; slice < 80; slice++) {
        uint64_t start = cpu_now(&p.blocks->cpu);
        pair_start(&p, 60, PROGRAM_AT + 0x1000);
        for (unsigned i = 1; i < 8; i++) {
            pair_run(&p, start + i * slice);
        }
    }
    pair_destroy(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CORE_TEST(a_slice_begins_and_ends_at_any_instruction_of_a_block),
        CORE_TEST(a_slice_begins_and_ends_at_any_instruction_when_costs_differ),
        CORE_TEST(a_stop_gives_back_what_the_rest_of_the_block_was_charged),
        CORE_TEST(one_cycle_slices_make_no_block_for_each_instruction),
        CORE_TEST(a_long_slice_passes_where_a_short_one_stopped),
        CORE_TEST(a_probe_within_a_block_stops_every_slicing),
        CORE_TEST(a_probe_put_where_a_step_block_stands_is_hit_at_once),
        CORE_TEST(code_changed_where_a_step_block_stands_runs_as_changed),
        CORE_TEST(a_store_into_the_step_block_that_runs_is_seen),
        CORE_TEST(an_interrupt_is_taken_where_a_step_block_stands),
        CORE_TEST(a_page_unmapped_where_a_step_block_stands_faults_there),
        CORE_TEST(a_jump_to_an_alias_of_its_own_page_sees_the_alias_remapped),
        CORE_TEST(the_fetch_latch_stays_behind_at_a_jump_on_a_deadline),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
