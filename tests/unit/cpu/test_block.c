/* The block cache: code that changes, data beside code, links, pages, memory that is not RAM. */

#include "core_fixture.h"

static uint64_t live(const struct sys *s)
{
    return block_cache_statistics(s->blocks).live;
}

static uint64_t made(const struct sys *s)
{
    return block_cache_statistics(s->blocks).made;
}

/* mov eax, imm32 at PROGRAM_AT + 0x80; ret */
static void put_function(struct sys *s, uint32_t value)
{
    uint8_t bytes[6] = {0xb8, 0, 0, 0, 0, 0xc3};
    store_le32(bytes + 1, value);
    core_load(s, PROGRAM_AT + 0x80, bytes, sizeof bytes);
}

static void blocks_are_made_once(void **state)
{
    struct sys *s = *state;
    s->cpu.gpr[RCX] = 1000;
    PROGRAM(s, "\x90\xff\xc9\x75\xfb\xf4"); /* nop; dec ecx; jnz; hlt */
    core_run(s, 100000);
    assert_int_equal(s->cpu.retired, 3001);
    assert_in_range(made(s), 2, 4);
}

static void store_into_a_later_instruction_of_the_running_block_is_seen(void **state)
{
    struct sys *s = *state;
    /* mov byte [rip + 2], 0x42; nop; nop; mov al, 1; hlt: the 1 becomes 0x42 */
    PROGRAM(s, "\xc6\x05\x03\x00\x00\x00\x42\x90\x90\xb0\x01\xf4");
    core_run(s, 1000);
    assert_int_equal(s->cpu.gpr[RAX] & 0xff, 0x42);
    assert_int_equal(s->cpu.retired, 5);
}

static void store_into_an_earlier_block_is_seen_when_it_runs_again(void **state)
{
    struct sys *s = *state;
    put_function(s, 1);
    /* call f; mov ebx, eax; mov dword [f + 1], 2; call f; hlt */
    PROGRAM(s,
            "\xe8\x7b\x00\x00\x00\x89\xc3\xc7\x05\x70\x00\x00\x00\x02\x00\x00\x00\xe8\x6a\x00\x00\x00\xf4");
    core_run(s, 1000);
    assert_int_equal(s->cpu.gpr[RBX], 1);
    assert_int_equal(s->cpu.gpr[RAX], 2);
}

static void stores_beside_code_do_not_drop_it(void **state)
{
    struct sys *s = *state;
    s->cpu.gpr[RCX] = 500;
    /* mov [rip + 0x100], ecx; dec ecx; jnz; hlt */
    PROGRAM(s, "\x89\x0d\xfa\x00\x00\x00\xff\xc9\x75\xf6\xf4");
    core_run(s, 100000);
    assert_int_equal(s->cpu.gpr[RCX], 0);
    assert_int_equal(peek(s, PROGRAM_AT + 0x100, 4), 1);
    assert_in_range(made(s), 2, 5);
}

static void code_written_each_time_round_runs_as_written(void **state)
{
    struct sys *s = *state;
    s->cpu.gpr[RCX] = 200;
    s->cpu.gpr[RAX] = 0;
    /* 0: mov [rip + 2], cl (the immediate below); nop; add eax, imm8; dec ecx; jnz 0; hlt */
    PROGRAM(s, "\x88\x0d\x03\x00\x00\x00\x90\x83\xc0\x00\xff\xc9\x75\xf2\xf4");
    core_run(s, 100000);
    uint32_t sum = 0;
    for (int i = 200; i > 0; i--) {
        sum = (uint32_t)(sum + bits_sext((uint64_t)i, 8));
    }
    assert_int_equal(s->cpu.gpr[RAX], sum);
}

static bool has_code_flag(const struct sys *s)
{
    return (s->bus.ram.flags[PROGRAM_AT >> 12] & PAGE_CODE) != 0;
}

static void page_is_free_for_fast_stores_some_stores_after_its_last_block_died(void **state)
{
    struct sys *s = *state;
    PROGRAM(s, "\x90\xf4");
    core_run(s, 100);
    assert_true(has_code_flag(s));
    assert_int_equal(live(s), 2); /* HLT is a block of its own */
    block_cache_invalidate(s->blocks, phys(PROGRAM_AT + 2), 100);
    assert_int_equal(live(s), 2);
    block_cache_invalidate(s->blocks, phys(PROGRAM_AT + 1), 1);
    assert_int_equal(live(s), 1);
    assert_true(has_code_flag(s));
    block_cache_invalidate(s->blocks, phys(PROGRAM_AT), 1);
    assert_int_equal(live(s), 0);
    unsigned stores = 0;
    for (; has_code_flag(s); stores++) {
        block_cache_invalidate(s->blocks, phys(PROGRAM_AT + 64), 8);
    }
    assert_in_range(stores, 2, 100);
}

/* Runs the function of put_function through a call, round after round with another immediate. */
static void code_patched_in_an_immediate_is_not_decoded_again(void **state)
{
    struct sys *s = *state;
    core_load(s, PROGRAM_AT, "\xe8\x7b\x00\x00\x00\xf4", 6);
    uint64_t before = 0;
    for (uint32_t round = 0; round < 50; round++) {
        put_function(s, 0x80000000u + round * 0x01010101u);
        s->cpu.rip = PROGRAM_AT;
        s->cpu.activity = CPU_ACTIVE;
        core_run(s, 1000);
        assert_int_equal(s->cpu.gpr[RAX], 0x80000000u + round * 0x01010101u);
        before = round == 0 ? made(s) : before;
    }
    assert_int_equal(made(s), before);
}

/* Each row patches one program into the next; it is what the bytes say that runs. */
static void patches_of_any_kind_run_as_written(void **state)
{
    static const struct {
        const char *bytes;
        uint64_t rax;
    } rows[] = {
        {"\x48\x83\xc0\x05\x90\xf4", 105},          /* add rax, 5; nop */
        {"\x48\x83\xc0\xff\x90\xf4", 99},           /* its immediate is sign-extended */
        {"\x48\x83\xe8\xff\x90\xf4", 101},          /* sub: another opcode in ModRM */
        {"\x48\x83\xc0\xff\x90\xf4", 99},           /* as it was two patches ago */
        {"\x66\x05\x34\x12\x90\xf4", 0x1234 + 100}, /* add ax, imm16: other lengths */
        {"\xeb\x01\xf4\xb0\x07\xf4", 7},            /* jmp over a HLT; mov al, 7 */
        {"\xeb\x00\xf4\xb0\x07\xf4", 100},          /* jmp to the HLT: a displacement changed */
        {"\xeb\x01\xf4\xb0\x09\xf4", 9},            /* and back; and the target's immediate */
        {"\x48\xb8\x01\x00\x00\x00\x00\x00\x00\x80\xf4", BIT(63) | 1}, /* mov rax, imm64 */
        {"\x48\xb8\x02\x00\x00\x00\x01\x00\x00\x40\xf4", BIT(62) | BIT(32) | 2},
        {"\xc8\x10\x00\x00\x90\xf4", 100}, /* enter 16, 0: two immediates */
        {"\xc8\x20\x00\x00\x90\xf4", 100},
    };
    struct sys *s = *state;
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (unsigned twice = 0; twice < 2; twice++) {
            core_load(s, PROGRAM_AT, rows[i].bytes, i == 8 || i == 9 ? 11 : 6);
            s->cpu.gpr[RAX] = 100;
            s->cpu.gpr[RSP] = STACK_AT;
            s->cpu.rip = PROGRAM_AT;
            s->cpu.activity = CPU_ACTIVE;
            core_run(s, 1000);
            assert_int_equal(s->cpu.gpr[RAX], rows[i].rax);
            assert_true(i < 10 || s->cpu.gpr[RSP] == STACK_AT - 8 - (i == 10 ? 16 : 32));
        }
    }
}

/* A link into a block that died and came back with another target must not lead to the old one. */
static void a_revived_block_is_linked_anew(void **state)
{
    struct sys *s = *state;
    core_load(s, PROGRAM_AT, "\x90\xeb\x10", 3);        /* nop; jmp 0x13 */
    core_load(s, PROGRAM_AT + 0x13, "\xb0\x01\xf4", 3); /* mov al, 1; hlt */
    core_load(s, PROGRAM_AT + 0x23, "\xb0\x02\xf4", 3); /* mov al, 2; hlt */
    for (unsigned round = 0; round < 12; round++) {
        bool second = (round / 3 & 1) != 0;
        if (round % 3 == 0) {
            core_load(s, PROGRAM_AT + 2, second ? "\x20" : "\x10", 1);
        }
        s->cpu.rip = PROGRAM_AT;
        s->cpu.activity = CPU_ACTIVE;
        core_run(s, 1000);
        assert_int_equal(s->cpu.gpr[RAX] & 0xff, second ? 2 : 1);
    }
}

static void write_pointers_to_a_page_die_when_it_gets_code(void **state)
{
    struct sys *s = *state;
    /* Writes to the page of f first, so that it has a write entry; then runs f, and writes into f. */
    uint64_t f = SCRATCH_AT + 0x10;
    s->cpu.gpr[RDI] = SCRATCH_AT;
    core_load(s, f, "\xb0\x01\xc3", 3);
    /* mov [rdi], eax (twice, the second is fast); lea rbx,[rdi+10]; call rbx; mov byte [rdi+11], 7; call rbx;
     * hlt */
    PROGRAM(s, "\x89\x07\x89\x07\x48\x8d\x5f\x10\xff\xd3\xc6\x47\x11\x07\xff\xd3\xf4");
    core_run(s, 1000);
    assert_int_equal(s->cpu.gpr[RAX] & 0xff, 7);
}

static void same_physical_code_at_two_addresses_is_two_blocks(void **state)
{
    struct sys *s = *state;
    /* Two 2 MiB views of the same physical memory: linear 0 and linear 0x200000. */
    poke(s, 0x6000, 0x87, 8);
    poke(s, 0x6008, 0x87, 8);
    poke(s, PDPT_AT, 0x6007, 8);
    mem_flush_all(&s->cpu);
    PROGRAM(s, "\x48\x8d\x05\x00\x00\x00\x00\xf4"); /* lea rax, [rip]; hlt */
    core_run(s, 100);
    assert_int_equal(s->cpu.gpr[RAX], PROGRAM_AT + 7);
    s->cpu.activity = CPU_ACTIVE;
    s->cpu.rip = 0x200000 + PROGRAM_AT;
    core_run(s, 100);
    assert_int_equal(s->cpu.gpr[RAX], 0x200000 + PROGRAM_AT + 7);
    core_load(s, PROGRAM_AT + 3, "\x10", 1);
    s->cpu.activity = CPU_ACTIVE;
    s->cpu.rip = 0x200000 + PROGRAM_AT;
    core_run(s, 100);
    assert_int_equal(s->cpu.gpr[RAX], 0x200000 + PROGRAM_AT + 0x17);
}

/* Maps linear 0x200000 + page n to the physical pages given, 4 KiB each; identity below. */
static void map_two_pages(struct sys *s, uint64_t first, uint64_t second)
{
    poke(s, 0x6000, 0x87, 8);
    poke(s, 0x6008, 0x7007, 8);
    poke(s, 0x7000, first | 7, 8);
    poke(s, 0x7008, second | 7, 8);
    poke(s, PDPT_AT, 0x6007, 8);
}

static void jump_into_a_remapped_page_sees_the_new_page_after_invlpg(void **state)
{
    struct sys *s = *state;
    map_two_pages(s, SCRATCH_AT, SCRATCH_AT + 0x1000);
    mem_flush_all(&s->cpu);
    core_load(s, SCRATCH_AT, "\xb0\x01\xc3", 3);          /* mov al, 1; ret */
    core_load(s, SCRATCH_AT + 0x1000, "\xb0\x02\xc3", 3); /* mov al, 2; ret */
    s->cpu.gpr[RBX] = 0x200000;
    s->cpu.gpr[RDX] = (SCRATCH_AT + 0x1000) | 7;
    s->cpu.gpr[RDI] = 0x7000;
    /* call rbx x3; mov ecx, eax; mov [rdi], rdx; call rbx (stale: still 1); mov esi, eax; invlpg [rbx]; call
     * rbx; hlt */
    PROGRAM(s, "\xff\xd3\xff\xd3\xff\xd3\x89\xc1\x48\x89\x17\xff\xd3\x89\xc6\x0f\x01\x3b\xff\xd3\xf4");
    s->cpu.gpr[RAX] = 0;
    core_run(s, 1000);
    assert_int_equal(s->cpu.gpr[RCX], 1);
    assert_int_equal(s->cpu.gpr[RSI], 1);
    assert_int_equal(s->cpu.gpr[RAX], 2);
}

static void jump_into_a_page_that_lost_its_right_faults_there(void **state)
{
    struct sys *s = *state;
    map_two_pages(s, SCRATCH_AT, SCRATCH_AT + 0x1000);
    mem_flush_all(&s->cpu);
    core_load(s, SCRATCH_AT, "\xc3", 1);
    s->cpu.gpr[RBX] = 0x200000;
    s->cpu.gpr[RDX] = BIT(63) | SCRATCH_AT | 7;
    s->cpu.gpr[RDI] = 0x7000;
    /* call rbx; call rbx; mov [rdi], rdx; invlpg [rbx]; call rbx; hlt */
    PROGRAM(s, "\xff\xd3\xff\xd3\x48\x89\x17\x0f\x01\x3b\xff\xd3\xf4");
    core_run(s, 1000);
    assert_int_equal(s->cpu.rip, HANDLER_AT + 16 * VECTOR_PF + 1);
    assert_int_equal(s->cpu.cr2, 0x200000);
    assert_int_equal(peek(s, s->cpu.gpr[RSP], 8) & PF_I, PF_I);
}

static void flush_forgets_all_and_the_run_goes_on(void **state)
{
    struct sys *s = *state;
    s->cpu.gpr[RCX] = 1000;
    PROGRAM(s, "\x90\xff\xc9\x75\xfb\xf4");
    cpu_run(&s->cpu, 500);
    block_cache_flush(s->blocks);
    assert_int_equal(live(s), 0);
    core_run(s, 100000);
    assert_int_equal(s->cpu.retired, 3001);
}

static void block_ends_before_an_instruction_that_crosses_the_page(void **state)
{
    struct sys *s = *state;
    uint64_t at = PROGRAM_AT + 0xff0;
    core_load(s, at, "\x90\x90\x90\x90\x90\x90\x90\x90\x90\x90\x90\x90\x90\x90\x90\xb8\x11\x22\x33\x44\xf4",
              21);
    s->cpu.rip = at;
    core_run(s, 1000);
    assert_int_equal(s->cpu.gpr[RAX], 0x44332211);
    assert_int_equal(s->cpu.retired, 17);
}

static void crossing_instruction_is_seen_changed_in_its_second_page(void **state)
{
    struct sys *s = *state;
    uint64_t at = PROGRAM_AT + 0xffe;
    core_load(s, at, "\xb8\x11\x22\x33\x44\xf4", 6);
    s->cpu.rip = at;
    core_run(s, 1000);
    poke(s, PROGRAM_AT + 0x1001, 0x55, 1);
    s->cpu.activity = CPU_ACTIVE;
    s->cpu.rip = at;
    core_run(s, 1000);
    assert_int_equal(s->cpu.gpr[RAX], 0x44552211);
}

static void probes_beyond_the_limit_are_refused(void **state)
{
    struct sys *s = *state;
    for (unsigned i = 0; i < BLOCK_PROBES_MAX; i++) {
        assert_true(block_cache_probe_add(s->blocks, lin(i * 16)));
    }
    assert_false(block_cache_probe_add(s->blocks, lin(1)));
    assert_true(block_cache_probed(s->blocks, lin(32)));
    assert_false(block_cache_probed(s->blocks, lin(33)));
    block_cache_probe_remove(s->blocks, lin(32));
    assert_false(block_cache_probed(s->blocks, lin(32)));
    assert_true(block_cache_probed(s->blocks, lin(48)));
}

static void queued_store_to_code_is_executed_before_it_drains(void **state)
{
    struct sys *s = *state;
    s->cpu.stores.capacity = 16;
    s->cpu.stores.drain_cycles = 1000;
    mem_flush_all(&s->cpu);
    /* mov byte [rip + 3], 0x42; nop; nop; mov al, 1; hlt */
    PROGRAM(s, "\xc6\x05\x03\x00\x00\x00\x42\x90\x90\xb0\x01\xf4");
    core_run(s, 100);
    assert_int_equal(s->cpu.gpr[RAX] & 0xff, 0x42);
}

/* At SCRATCH_AT: mov al, 1; jmp rcx. At PROGRAM_AT: lea rcx, [rip + 2]; jmp rbx, three times, then
 * mov byte [rbx + 1], 7 and two times again. By then the jumps go through the jump table. */
static void put_jumps_to_changing_code(struct sys *s)
{
    static const char jump[] = "\x48\x8d\x0d\x02\x00\x00\x00\xff\xe3";
    uint64_t at = PROGRAM_AT;
    s->cpu.gpr[RBX] = SCRATCH_AT;
    core_load(s, SCRATCH_AT, "\xb0\x01\xff\xe1", 4);
    core_load(s, at, "\x88\x83\x00\x01\x00\x00", 6); /* mov [rbx + 0x100], al: sets the page's D bit early */
    at += 6;
    for (unsigned i = 0; i < 5; i++) {
        if (i == 3) {
            core_load(s, at, "\xc6\x43\x01\x07\x90\x90", 6);
            at += 6;
        }
        core_load(s, at, jump, 9);
        at += 9;
    }
    core_load(s, at, "\xf4", 1);
    s->cpu.rip = PROGRAM_AT;
}

static void changed_code_of_another_page_is_not_reached_through_the_jump_table(void **state)
{
    struct sys *s = *state;
    put_jumps_to_changing_code(s);
    core_run(s, 500);
    assert_int_equal(s->cpu.gpr[RAX] & 0xff, 7);
}

static void queued_store_to_code_of_another_page_is_executed_before_it_drains(void **state)
{
    struct sys *s = *state;
    s->cpu.stores.capacity = 16;
    s->cpu.stores.drain_cycles = 1000;
    mem_flush_all(&s->cpu);
    put_jumps_to_changing_code(s);
    core_run(s, 500);
    assert_int_equal(s->cpu.gpr[RAX] & 0xff, 7);
}

static void dropped_block_is_not_reached_through_a_link(void **state)
{
    struct sys *s = *state;
    s->cpu.gpr[RAX] = 0;
    s->cpu.gpr[RCX] = 4;
    /* 0: dec ecx; jz end; jmp 0x40; end: hlt. 0x40: add eax, 1 (later 5); mov byte [0x42], 5; jmp 0 */
    PROGRAM(s, "\xff\xc9\x74\x02\xeb\x3a\xf4");
    uint8_t body[] = {0x83, 0xc0, 0x01, 0xc6, 0x04, 0x25, 0, 0, 0, 0, 0x05, 0xeb, 0};
    store_le32(body + 6, PROGRAM_AT + 0x42);
    body[12] = (uint8_t)(0u - (0x40 + sizeof body));
    core_load(s, PROGRAM_AT + 0x40, body, sizeof body);
    core_run(s, 500);
    assert_int_equal(s->cpu.gpr[RAX], 1 + 5 + 5);
}

struct drain_log {
    struct sys *s;
    uint64_t at_cycles;
    unsigned count;
};

static void log_drain(void *target, phys_t a, unsigned size_bytes)
{
    struct drain_log *log = target;
    block_cache_invalidate(log->s->blocks, a, size_bytes);
    log->at_cycles = cpu_now(&log->s->cpu);
    log->count++;
}

static void queued_store_drains_at_the_boundary_of_its_moment_inside_a_chain(void **state)
{
    struct sys *s = *state;
    struct drain_log log = {.s = s};
    s->cpu.stores.capacity = 16;
    s->cpu.stores.drain_cycles = 40;
    s->bus.on_special_write = log_drain;
    s->bus.on_special_write_target = &log;
    mem_flush_all(&s->cpu);
    s->bus.ram.flags[SCRATCH_AT >> PAGE_SHIFT] |= PAGE_MONITOR;
    s->cpu.gpr[RBX] = SCRATCH_AT;
    s->cpu.gpr[RCX] = 100;
    PROGRAM(s, "\x90\x90\x88\x03\xff\xc9\x75\xfc\xf4"); /* nop; nop; mov [rbx], al; 0: dec ecx; jnz 0; hlt */
    core_run(s, 1000);                                  /* the first time links the loop to itself */
    assert_int_equal(log.count, 1);
    uint64_t start = cpu_now(&s->cpu);
    s->cpu.gpr[RCX] = 100;
    s->cpu.rip = PROGRAM_AT;
    s->cpu.activity = CPU_ACTIVE;
    core_run(s, 1000);
    assert_int_equal(log.count, 2);
    assert_int_equal(log.at_cycles, start + 2 + 40);
}

static void overlapping_rep_movs_spreads_the_first_byte(void **state)
{
    struct sys *s = *state;
    for (unsigned size = 1; size <= 4; size *= 4) {
        s->cpu.gpr[RSI] = SCRATCH_AT + 0x10;
        s->cpu.gpr[RDI] = SCRATCH_AT + 0x10 + size;
        s->cpu.gpr[RCX] = 100;
        s->cpu.activity = CPU_ACTIVE;
        poke(s, SCRATCH_AT + 0x10, 0x11223344, 4);
        if (size == 1) {
            PROGRAM(s, "\x88\x07\x88\x06\xf3\xa4\xf4"); /* writes make both pages fast; rep movsb; hlt */
            s->cpu.gpr[RAX] = 0x44;
        } else {
            PROGRAM(s, "\x90\xf3\xa5\xf4");
        }
        core_run(s, 1000);
        assert_int_equal(s->cpu.gpr[RCX], 0);
        assert_int_equal(peek(s, SCRATCH_AT + 0x10 + 100 * size, size), size == 1 ? 0x44 : 0x11223344);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CORE_TEST(blocks_are_made_once),
        CORE_TEST(store_into_a_later_instruction_of_the_running_block_is_seen),
        CORE_TEST(store_into_an_earlier_block_is_seen_when_it_runs_again),
        CORE_TEST(stores_beside_code_do_not_drop_it),
        CORE_TEST(code_written_each_time_round_runs_as_written),
        CORE_TEST(page_is_free_for_fast_stores_some_stores_after_its_last_block_died),
        CORE_TEST(code_patched_in_an_immediate_is_not_decoded_again),
        CORE_TEST(patches_of_any_kind_run_as_written),
        CORE_TEST(a_revived_block_is_linked_anew),
        CORE_TEST(write_pointers_to_a_page_die_when_it_gets_code),
        CORE_TEST(same_physical_code_at_two_addresses_is_two_blocks),
        CORE_TEST(jump_into_a_remapped_page_sees_the_new_page_after_invlpg),
        CORE_TEST(jump_into_a_page_that_lost_its_right_faults_there),
        CORE_TEST(flush_forgets_all_and_the_run_goes_on),
        CORE_TEST(block_ends_before_an_instruction_that_crosses_the_page),
        CORE_TEST(crossing_instruction_is_seen_changed_in_its_second_page),
        CORE_TEST(probes_beyond_the_limit_are_refused),
        CORE_TEST(queued_store_to_code_is_executed_before_it_drains),
        CORE_TEST(changed_code_of_another_page_is_not_reached_through_the_jump_table),
        CORE_TEST(queued_store_to_code_of_another_page_is_executed_before_it_drains),
        CORE_TEST(dropped_block_is_not_reached_through_a_link),
        CORE_TEST(queued_store_drains_at_the_boundary_of_its_moment_inside_a_chain),
        CORE_TEST(overlapping_rep_movs_spreads_the_first_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
