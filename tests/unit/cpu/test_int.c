/* Integer instructions that the comparison with the host does not reach: faults, privileges, 16- and 32-bit
 * modes, branches, and results worked out by hand from the manual. */

#include "core_fixture.h"

/* Executes in 32-bit protected mode. */
static struct sys *protected_mode(void **state)
{
    struct sys *s = *state;
    cpu_reset(&s->cpu);
    enter_protected(s);
    return s;
}

static struct sys *real_mode(void **state)
{
    struct sys *s = *state;
    cpu_reset(&s->cpu);
    enter_real(s);
    return s;
}

#define RUNS(s, bytes) assert_int_equal(EXECUTE((s), bytes), FLOW_NEXT)

static void div_of_128_bits(void **state)
{
    struct sys *s = *state;
    s->cpu.gpr[RDX] = 5;
    s->cpu.gpr[RAX] = 7;
    s->cpu.gpr[RCX] = 10;
    RUNS(s, "\x48\xf7\xf1"); /* (5 * 2^64 + 7) / 10 */
    assert_int_equal(s->cpu.gpr[RAX], UINT64_C(0x8000000000000000));
    assert_int_equal(s->cpu.gpr[RDX], 7);
}

static void div_faults_when_the_quotient_does_not_fit(void **state)
{
    struct sys *s = *state;
    s->cpu.gpr[RDX] = 10;
    s->cpu.gpr[RCX] = 10;
    assert_fault(s, EXECUTE(s, "\x48\xf7\xf1"), VECTOR_DE, 0);
    s->cpu.gpr[RCX] = 0;
    assert_fault(s, EXECUTE(s, "\xf7\xf1"), VECTOR_DE, 0);
    s->cpu.gpr[RAX] = 0x1000;
    s->cpu.gpr[RBX] = 0x10;
    assert_fault(s, EXECUTE(s, "\xf6\xf3"), VECTOR_DE, 0); /* div bl: 0x100 */
    assert_int_equal(s->cpu.gpr[RAX], 0x1000);
}

static void idiv_truncates_towards_zero_and_faults_at_its_edges(void **state)
{
    struct sys *s = *state;
    s->cpu.gpr[RAX] = (uint64_t)-7;
    s->cpu.gpr[RDX] = UINT64_MAX;
    s->cpu.gpr[RCX] = 2;
    RUNS(s, "\x48\xf7\xf9");
    assert_int_equal(s->cpu.gpr[RAX], (uint64_t)-3);
    assert_int_equal(s->cpu.gpr[RDX], (uint64_t)-1);
    s->cpu.gpr[RAX] = BIT(63);
    s->cpu.gpr[RDX] = UINT64_MAX;
    s->cpu.gpr[RCX] = UINT64_MAX;
    assert_fault(s, EXECUTE(s, "\x48\xf7\xf9"), VECTOR_DE, 0); /* INT64_MIN / -1 */
    s->cpu.gpr[RAX] = 0;
    s->cpu.gpr[RDX] = BIT(63);
    assert_fault(s, EXECUTE(s, "\x48\xf7\xf9"), VECTOR_DE, 0); /* the lowest 128-bit number / -1 */
    s->cpu.gpr[RAX] = (uint16_t)-128;
    s->cpu.gpr[RCX] = 1;
    RUNS(s, "\xf6\xf9"); /* idiv cl */
    assert_int_equal(s->cpu.gpr[RAX], 0x80);
}

static void decimal_adjustments(void **state)
{
    struct sys *s = protected_mode(state);
    s->cpu.gpr[RAX] = 0x000f;
    flags_set(&s->cpu, 0);
    RUNS(s, "\x37"); /* aaa */
    assert_int_equal(s->cpu.gpr[RAX], 0x0105);
    assert_int_equal(flags_get(&s->cpu) & (RFLAGS_CF | RFLAGS_AF), RFLAGS_CF | RFLAGS_AF);
    s->cpu.gpr[RAX] = 0x0205;
    flags_set(&s->cpu, RFLAGS_AF);
    RUNS(s, "\x3f");                           /* aas */
    assert_int_equal(s->cpu.gpr[RAX], 0x000f); /* AX - 6 borrows from AH, which is then decremented */
    s->cpu.gpr[RAX] = 0x003f;
    RUNS(s, "\xd4\x0a"); /* aam: 63 */
    assert_int_equal(s->cpu.gpr[RAX], 0x0603);
    RUNS(s, "\xd5\x0a"); /* aad */
    assert_int_equal(s->cpu.gpr[RAX], 63);
    s->cpu.gpr[RAX] = 0xae; /* 79 + 35 = ae -> 14, carry */
    flags_set(&s->cpu, 0);
    RUNS(s, "\x27"); /* daa */
    assert_int_equal(s->cpu.gpr[RAX], 0x14);
    assert_true(flags_cf(&s->cpu) && flags_af(&s->cpu));
    s->cpu.gpr[RAX] = 0xee; /* 35 - 47 = ee -> 88, borrow (SDM's example) */
    flags_set(&s->cpu, RFLAGS_CF | RFLAGS_AF);
    RUNS(s, "\x2f"); /* das */
    assert_int_equal(s->cpu.gpr[RAX], 0x88);
    assert_true(flags_cf(&s->cpu) && flags_af(&s->cpu));
    assert_fault(s, EXECUTE(s, "\xd4\x00"), VECTOR_DE, 0);
}

static void pusha_pushes_the_old_stack_pointer_and_popa_skips_it(void **state)
{
    struct sys *s = protected_mode(state);
    for (unsigned r = RAX; r <= RDI; r++) {
        s->cpu.gpr[r] = r == RSP ? STACK_AT : 0x11111111u * (r + 1);
    }
    RUNS(s, "\x60");
    assert_int_equal(s->cpu.gpr[RSP], STACK_AT - 32);
    assert_int_equal(peek(s, STACK_AT - 4, 4), 0x11111111);
    assert_int_equal(peek(s, STACK_AT - 20, 4), STACK_AT);
    assert_int_equal(peek(s, STACK_AT - 32, 4), 0x88888888);
    s->cpu.gpr[RAX] = s->cpu.gpr[RDI] = 0;
    poke(s, STACK_AT - 20, 0xdead, 4);
    RUNS(s, "\x61");
    assert_int_equal(s->cpu.gpr[RAX], 0x11111111);
    assert_int_equal(s->cpu.gpr[RDI], 0x88888888);
    assert_int_equal(s->cpu.gpr[RSP], STACK_AT);
}

static void enter_builds_a_display_and_leave_drops_it(void **state)
{
    struct sys *s = *state;
    s->cpu.gpr[RSP] = STACK_AT;
    s->cpu.gpr[RBP] = STACK_AT + 0x100;
    poke(s, STACK_AT + 0x100 - 8, 0xabcd, 8);
    RUNS(s, "\xc8\x20\x00\x02"); /* enter 32, 2 */
    assert_int_equal(s->cpu.gpr[RBP], STACK_AT - 8);
    assert_int_equal(s->cpu.gpr[RSP], STACK_AT - 24 - 32);
    assert_int_equal(peek(s, STACK_AT - 8, 8), STACK_AT + 0x100);
    assert_int_equal(peek(s, STACK_AT - 16, 8), 0xabcd);
    assert_int_equal(peek(s, STACK_AT - 24, 8), STACK_AT - 8);
    RUNS(s, "\xc9");
    assert_int_equal(s->cpu.gpr[RSP], STACK_AT);
    assert_int_equal(s->cpu.gpr[RBP], STACK_AT + 0x100);
}

/* Also of a store in the queue nothing is left, which nobody could take back when it is memory. */
static void failing_enter_changes_nothing(void **state)
{
    struct sys *s = *state;
    const uint64_t unmapped = 0x40000000, old = UINT64_C(0x1122334455667788);
    const struct {
        uint64_t rsp, rbp;
        const char *bytes;
    } cases[] = {
        {STACK_AT, unmapped + 0x100, "\xc8\x10\x00\x03"}, /* enter 16, 3: an outer frame that is not there */
        {STACK_AT, STACK_AT + 0x100, "\xc8\x00\x00\x1f"}, /* all of it is */
        {unmapped + 8, STACK_AT, "\xc8\x10\x00\x00"},     /* the first push */
        {unmapped + 0x10, STACK_AT + 0x100, "\xc8\x00\x00\x02"},
    };
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        s->cpu.gpr[RSP] = cases[i].rsp;
        s->cpu.gpr[RBP] = cases[i].rbp;
        poke(s, STACK_AT - 8, old, 8);
        bool good = i == 1;
        assert_int_equal(execute(s, cases[i].bytes, 4), good ? FLOW_NEXT : FLOW_FAULT);
        assert_int_equal(peek(s, STACK_AT - 8, 8), good ? STACK_AT + 0x100 : old);
        if (!good) {
            assert_int_equal(s->cpu.gpr[RSP], cases[i].rsp);
            assert_int_equal(s->cpu.gpr[RBP], cases[i].rbp);
        }
    }
}

static void pop_to_memory_addresses_with_the_moved_stack_pointer(void **state)
{
    struct sys *s = *state;
    s->cpu.gpr[RSP] = STACK_AT;
    poke(s, STACK_AT, 0x1234, 8);
    RUNS(s, "\x8f\x44\x24\x10"); /* pop [rsp + 16] */
    assert_int_equal(peek(s, STACK_AT + 8 + 16, 8), 0x1234);
}

static void failing_pop_leaves_the_stack_pointer(void **state)
{
    struct sys *s = *state;
    s->cpu.gpr[RSP] = STACK_AT;
    s->cpu.gpr[RBX] = 0x40000000;
    assert_int_equal(EXECUTE(s, "\x8f\x03"), FLOW_FAULT);
    assert_int_equal(s->cpu.fault.vector, VECTOR_PF);
    assert_int_equal(s->cpu.gpr[RSP], STACK_AT);
}

static void popf_changes_iopl_at_level_0_only_and_if_within_iopl(void **state)
{
    struct sys *s = *state;
    s->cpu.gpr[RSP] = STACK_AT;
    poke(s, STACK_AT, RFLAGS_IF | RFLAGS_IOPL | RFLAGS_CF | RFLAGS_RF | RFLAGS_VM | RFLAGS_VIP, 8);
    cpu_set_rflags(&s->cpu, 0);
    RUNS(s, "\x9d");
    assert_int_equal(cpu_rflags(&s->cpu), RFLAGS_IF | RFLAGS_IOPL | RFLAGS_CF | RFLAGS_ONE);
    set_level(s, SEL_CODE64, 3);
    cpu_set_rflags(&s->cpu, RFLAGS_IF);
    s->cpu.gpr[RSP] = STACK_AT;
    poke(s, STACK_AT, RFLAGS_IOPL | RFLAGS_ZF, 8);
    RUNS(s, "\x9d");
    assert_int_equal(cpu_rflags(&s->cpu), RFLAGS_IF | RFLAGS_ZF | RFLAGS_ONE);
    cpu_set_rflags(&s->cpu, RFLAGS_IF | RFLAGS_IOPL);
    s->cpu.gpr[RSP] = STACK_AT;
    RUNS(s, "\x9d");
    assert_int_equal(cpu_rflags(&s->cpu), RFLAGS_IOPL | RFLAGS_ZF | RFLAGS_ONE);
}

static void popf_of_16_bits_keeps_the_upper_flags(void **state)
{
    struct sys *s = *state;
    cpu_set_rflags(&s->cpu, RFLAGS_ID | RFLAGS_AC);
    s->cpu.gpr[RSP] = STACK_AT;
    poke(s, STACK_AT, RFLAGS_DF, 2);
    RUNS(s, "\x66\x9d");
    assert_int_equal(cpu_rflags(&s->cpu), RFLAGS_ID | RFLAGS_AC | RFLAGS_DF | RFLAGS_ONE);
    assert_int_equal(s->cpu.gpr[RSP], STACK_AT + 2);
}

static void jump_to_a_non_canonical_address_faults_before_it(void **state)
{
    struct sys *s = *state;
    s->cpu.gpr[RAX] = BIT(48);
    s->cpu.gpr[RSP] = STACK_AT;
    assert_fault(s, EXECUTE(s, "\xff\xe0"), VECTOR_GP, 0); /* jmp rax */
    assert_fault(s, EXECUTE(s, "\xff\xd0"), VECTOR_GP, 0); /* call rax */
    assert_int_equal(s->cpu.gpr[RSP], STACK_AT);
    poke(s, STACK_AT, BIT(48), 8);
    assert_fault(s, EXECUTE(s, "\xc3"), VECTOR_GP, 0);
    assert_int_equal(s->cpu.gpr[RSP], STACK_AT);
    assert_int_equal(s->cpu.rip, CODE_AT);
}

static void jump_beyond_the_code_segment_faults(void **state)
{
    struct sys *s = protected_mode(state);
    s->cpu.seg[SEG_CS].limit = 0xffff;
    s->cpu.gpr[RAX] = 0x10000;
    assert_fault(s, EXECUTE(s, "\xff\xe0"), VECTOR_GP, 0);
    s->cpu.gpr[RAX] = 0xffff;
    assert_int_equal(EXECUTE(s, "\xff\xe0"), FLOW_JUMP);
}

static void near_branches_of_16_bits_cut_the_target(void **state)
{
    struct sys *s = *state;
    s->cpu.gpr[RSP] = STACK_AT;
    assert_int_equal(EXECUTE(s, "\x66\xe8\x10\x00"), FLOW_JUMP);
    assert_int_equal(s->cpu.rip, CODE_AT + 4 + 16);
    assert_int_equal(s->cpu.gpr[RSP], STACK_AT - 2);
    assert_int_equal(peek(s, STACK_AT - 2, 2), CODE_AT + 4);
    s = real_mode(state);
    assert_int_equal(EXECUTE(s, "\xe9\xfd\x7f"), FLOW_JUMP); /* 0x8003 + 0x7ffd wraps to 0 */
    assert_int_equal(s->cpu.rip, 0);
}

static void ret_with_a_count_drops_arguments(void **state)
{
    struct sys *s = *state;
    s->cpu.gpr[RSP] = STACK_AT;
    poke(s, STACK_AT, 0x9000, 8);
    assert_int_equal(EXECUTE(s, "\xc2\x18\x00"), FLOW_JUMP);
    assert_int_equal(s->cpu.rip, 0x9000);
    assert_int_equal(s->cpu.gpr[RSP], STACK_AT + 8 + 24);
}

static void loop_counts_in_the_address_size_and_keeps_flags(void **state)
{
    struct sys *s = *state;
    s->cpu.gpr[RCX] = UINT64_C(0x500000001);
    flags_set(&s->cpu, RFLAGS_ZF | RFLAGS_CF);
    assert_int_equal(EXECUTE(s, "\xe2\x10"), FLOW_JUMP);
    assert_int_equal(s->cpu.gpr[RCX], UINT64_C(0x500000000));
    s->cpu.gpr[RCX] = UINT64_C(0x500000001);
    RUNS(s, "\x67\xe2\x10"); /* ecx: 1 -> 0, falls through; the upper half is cleared */
    assert_int_equal(s->cpu.gpr[RCX], 0);
    s->cpu.gpr[RCX] = 5;
    assert_int_equal(EXECUTE(s, "\xe1\x10"), FLOW_JUMP); /* loope */
    RUNS(s, "\xe0\x10");                                 /* loopne */
    assert_int_equal(s->cpu.gpr[RCX], 3);
    assert_int_equal(flags_get(&s->cpu), RFLAGS_ZF | RFLAGS_CF);
    s->cpu.gpr[RCX] = BIT(32);
    RUNS(s, "\xe3\x10");
    assert_int_equal(EXECUTE(s, "\x67\xe3\x10"), FLOW_JUMP); /* jecxz */
}

static void bmi_results(void **state)
{
    struct sys *s = *state;
    s->cpu.gpr[RAX] = 0xff00;
    s->cpu.gpr[RCX] = 0x12345678;
    RUNS(s, "\xc4\xe2\xf8\xf2\xd1"); /* andn rdx, rax, rcx */
    assert_int_equal(s->cpu.gpr[RDX], 0x12340078);
    s->cpu.gpr[RAX] = 0x0804;
    RUNS(s, "\xc4\xe2\xf8\xf7\xd1"); /* bextr rdx, rcx, rax: 8 bits from 4 */
    assert_int_equal(s->cpu.gpr[RDX], 0x67);
    s->cpu.gpr[RAX] = 0xf0f0;
    RUNS(s, "\xc4\xe2\xf2\xf5\xd0"); /* pext rdx, rcx, rax */
    assert_int_equal(s->cpu.gpr[RDX], 0x57);
    RUNS(s, "\xc4\xe2\xf3\xf5\xd0"); /* pdep rdx, rcx, rax */
    assert_int_equal(s->cpu.gpr[RDX], 0x7080);
    s->cpu.gpr[RDX] = UINT64_MAX;
    s->cpu.gpr[RCX] = UINT64_MAX;
    RUNS(s, "\xc4\xe2\xfb\xf6\xc1"); /* mulx rax, rax, rcx: the high half stays */
    assert_int_equal(s->cpu.gpr[RAX], UINT64_MAX - 1);
    s->cpu.gpr[RCX] = 0x80;
    RUNS(s, "\xc4\xe2\xf0\xf3\xd9"); /* blsi rcx, rcx */
    assert_int_equal(s->cpu.gpr[RCX], 0x80);
    RUNS(s, "\xc4\xe3\xfb\xf0\xd1\x04"); /* rorx rdx, rcx, 4 */
    assert_int_equal(s->cpu.gpr[RDX], 8);
}

static void crc32_of_the_check_string(void **state)
{
    struct sys *s = *state;
    static const char text[] = "123456789";
    s->cpu.gpr[RAX] = UINT32_MAX;
    for (unsigned i = 0; i < 9; i++) {
        s->cpu.gpr[RCX] = (uint8_t)text[i];
        RUNS(s, "\xf2\x0f\x38\xf0\xc1");
    }
    assert_int_equal((uint32_t)~s->cpu.gpr[RAX], 0xe3069283);
}

static void cmpxchg16b_wants_alignment_and_exchanges_both_halves(void **state)
{
    struct sys *s = *state;
    s->cpu.gpr[RSI] = DATA_AT + 8;
    assert_fault(s, EXECUTE(s, "\x48\x0f\xc7\x0e"), VECTOR_GP, 0);
    s->cpu.gpr[RSI] = DATA_AT;
    poke(s, DATA_AT, 1, 8);
    poke(s, DATA_AT + 8, 2, 8);
    s->cpu.gpr[RAX] = 1;
    s->cpu.gpr[RDX] = 2;
    s->cpu.gpr[RBX] = 3;
    s->cpu.gpr[RCX] = 4;
    RUNS(s, "\xf0\x48\x0f\xc7\x0e");
    assert_true(flags_zf(&s->cpu));
    assert_int_equal(peek(s, DATA_AT, 8), 3);
    assert_int_equal(peek(s, DATA_AT + 8, 8), 4);
    RUNS(s, "\xf0\x48\x0f\xc7\x0e");
    assert_false(flags_zf(&s->cpu));
    assert_int_equal(s->cpu.gpr[RAX], 3);
    assert_int_equal(s->cpu.gpr[RDX], 4);
}

static void bound_faults_outside_its_limits(void **state)
{
    struct sys *s = protected_mode(state);
    s->cpu.gpr[RBX] = DATA_AT;
    poke(s, DATA_AT, (uint32_t)-5, 4);
    poke(s, DATA_AT + 4, 5, 4);
    s->cpu.gpr[RAX] = (uint32_t)-5;
    RUNS(s, "\x62\x03");
    s->cpu.gpr[RAX] = 6;
    assert_fault(s, EXECUTE(s, "\x62\x03"), VECTOR_BR, 0);
}

static void undefined_instructions_fault(void **state)
{
    struct sys *s = *state;
    assert_fault(s, EXECUTE(s, "\x0f\x0b"), VECTOR_UD, 0);
}

static void mov_to_cs_is_undefined_and_from_a_segment_is_zero_extended(void **state)
{
    struct sys *s = *state;
    struct insn in;
    assert_int_equal(insn_decode(MODE_LONG64, (const uint8_t *)"\x8e\xc8", 2, &in), DECODE_UD);
    s->cpu.gpr[RAX] = UINT64_MAX;
    RUNS(s, "\x48\x8c\xd8"); /* mov rax, ds */
    assert_int_equal(s->cpu.gpr[RAX], SEL_DATA);
    s->cpu.gpr[RAX] = UINT64_MAX;
    RUNS(s, "\x66\x8c\xd8"); /* mov ax, ds */
    assert_int_equal(s->cpu.gpr[RAX], UINT64_C(0xffffffffffff0000) | SEL_DATA);
}

static void string_in_16_bit_mode_wraps_at_64_kib_and_uses_the_override(void **state)
{
    struct sys *s = real_mode(state);
    s->cpu.seg[SEG_FS].base = DATA_AT;
    s->cpu.seg[SEG_ES].base = DATA_AT + 0x20000;
    poke(s, DATA_AT + 0xffff, 0xaa, 1);
    s->cpu.gpr[RSI] = UINT64_C(0x1234ffff);
    s->cpu.gpr[RDI] = 0x10;
    RUNS(s, "\x64\xa4"); /* fs movsb */
    assert_int_equal(peek(s, DATA_AT + 0x20010, 1), 0xaa);
    assert_int_equal(s->cpu.gpr[RSI], 0x12340000);
    assert_int_equal(s->cpu.gpr[RDI], 0x11);
}

static void bit_string_reaches_below_and_beyond_its_operand(void **state)
{
    struct sys *s = *state;
    s->cpu.gpr[RBX] = DATA_AT + 0x100;
    s->cpu.gpr[RAX] = (uint64_t)-1;
    RUNS(s, "\x48\x0f\xab\x03"); /* bts [rbx], rax: bit -1 */
    assert_int_equal(peek(s, DATA_AT + 0xf8, 8), BIT(63));
    s->cpu.gpr[RAX] = 1000;
    RUNS(s, "\x48\x0f\xab\x03");
    assert_int_equal(peek(s, DATA_AT + 0x100 + 120, 8), BIT(1000 % 64));
    assert_false(flags_cf(&s->cpu));
    RUNS(s, "\x48\x0f\xb3\x03");
    assert_true(flags_cf(&s->cpu));
    assert_int_equal(peek(s, DATA_AT + 0x100 + 120, 8), 0);
}

static void xlat_and_salc(void **state)
{
    struct sys *s = protected_mode(state);
    s->cpu.gpr[RBX] = DATA_AT;
    s->cpu.gpr[RAX] = 0x12345603;
    poke(s, DATA_AT + 3, 0x77, 1);
    RUNS(s, "\xd7");
    assert_int_equal(s->cpu.gpr[RAX], 0x12345677);
    flags_set(&s->cpu, RFLAGS_CF);
    RUNS(s, "\xd6");
    assert_int_equal(s->cpu.gpr[RAX], 0x123456ff);
}

static void cmov_reads_its_memory_and_clears_the_upper_half_even_when_false(void **state)
{
    struct sys *s = *state;
    flags_set(&s->cpu, 0);
    s->cpu.gpr[RBX] = 0x40000000;
    assert_int_equal(EXECUTE(s, "\x0f\x44\x03"), FLOW_FAULT); /* cmovz eax, [rbx] */
    s->cpu.gpr[RAX] = UINT64_MAX;
    RUNS(s, "\x0f\x44\xc1");
    assert_int_equal(s->cpu.gpr[RAX], UINT32_MAX);
}

static void not_modelled_instruction_stops_with_its_name(void **state)
{
    struct sys *s = *state;
    struct insn in = {.row = INSN_ROW_NONE};
    assert_int_equal(exec_not_modelled(&s->cpu, &in), FLOW_STOP);
    assert_true(s->cpu.stop_text[0] != '\0');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CORE_TEST(div_of_128_bits),
        CORE_TEST(div_faults_when_the_quotient_does_not_fit),
        CORE_TEST(idiv_truncates_towards_zero_and_faults_at_its_edges),
        CORE_TEST(decimal_adjustments),
        CORE_TEST(pusha_pushes_the_old_stack_pointer_and_popa_skips_it),
        CORE_TEST(enter_builds_a_display_and_leave_drops_it),
        CORE_TEST(pop_to_memory_addresses_with_the_moved_stack_pointer),
        CORE_TEST(failing_pop_leaves_the_stack_pointer),
        CORE_TEST(failing_enter_changes_nothing),
        CORE_TEST(popf_changes_iopl_at_level_0_only_and_if_within_iopl),
        CORE_TEST(popf_of_16_bits_keeps_the_upper_flags),
        CORE_TEST(jump_to_a_non_canonical_address_faults_before_it),
        CORE_TEST(jump_beyond_the_code_segment_faults),
        CORE_TEST(near_branches_of_16_bits_cut_the_target),
        CORE_TEST(ret_with_a_count_drops_arguments),
        CORE_TEST(loop_counts_in_the_address_size_and_keeps_flags),
        CORE_TEST(bmi_results),
        CORE_TEST(crc32_of_the_check_string),
        CORE_TEST(cmpxchg16b_wants_alignment_and_exchanges_both_halves),
        CORE_TEST(bound_faults_outside_its_limits),
        CORE_TEST(undefined_instructions_fault),
        CORE_TEST(mov_to_cs_is_undefined_and_from_a_segment_is_zero_extended),
        CORE_TEST(string_in_16_bit_mode_wraps_at_64_kib_and_uses_the_override),
        CORE_TEST(bit_string_reaches_below_and_beyond_its_operand),
        CORE_TEST(xlat_and_salc),
        CORE_TEST(cmov_reads_its_memory_and_clears_the_upper_half_even_when_false),
        CORE_TEST(not_modelled_instruction_stops_with_its_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
