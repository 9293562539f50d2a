/* Delivery through the IDT and the real-mode table (sim/cpu/exception.c). */

#include "cpu/debug_regs.h"
#include "sys_fixture.h"

static enum flow raise(struct sys *s, unsigned vector)
{
    struct fault f = {.vector = (uint8_t)vector};
    return exception_deliver(&s->cpu, &f, EVENT_FAULT, s->cpu.rip);
}

static enum flow raise_code(struct sys *s, unsigned vector, uint32_t error)
{
    struct fault f = {.vector = (uint8_t)vector, .has_error = true, .error = error};
    return exception_deliver(&s->cpu, &f, EVENT_FAULT, s->cpu.rip);
}

static enum flow soft(struct sys *s, unsigned vector)
{
    struct fault f = {.vector = (uint8_t)vector, .soft = true};
    return exception_deliver(&s->cpu, &f, EVENT_SOFT, s->cpu.rip + 2);
}

static void assert_handler(struct sys *s, unsigned vector)
{
    assert_int_equal(s->cpu.rip, HANDLER_AT + 16 * vector);
}

static uint64_t slot(struct sys *s, unsigned n)
{
    return peek(s, s->cpu.gpr[RSP] + 8 * n, 8);
}

static void long_mode_frame_is_aligned_and_complete_at_the_same_level(void **state)
{
    struct sys *s = *state;
    enter_long(s);
    s->cpu.gpr[RSP] = STACK_AT - 5;
    cpu_set_rflags(&s->cpu, RFLAGS_ONE | RFLAGS_IF | RFLAGS_TF | RFLAGS_NT | RFLAGS_CF);
    assert_int_equal(raise_code(s, VECTOR_GP, 0x18), FLOW_JUMP);
    assert_handler(s, VECTOR_GP);
    assert_int_equal(s->cpu.gpr[RSP], STACK_AT - 16 - 48);
    assert_int_equal(slot(s, 0), 0x18);
    assert_int_equal(slot(s, 1), CODE_AT);
    assert_int_equal(slot(s, 2), SEL_CODE64);
    assert_int_equal(slot(s, 3), RFLAGS_ONE | RFLAGS_IF | RFLAGS_TF | RFLAGS_NT | RFLAGS_CF | RFLAGS_RF);
    assert_int_equal(slot(s, 4), STACK_AT - 5);
    assert_int_equal(slot(s, 5), SEL_DATA);
    assert_int_equal(cpu_rflags(&s->cpu), RFLAGS_ONE | RFLAGS_CF);
    assert_int_equal(s->cpu.seg[SEG_SS].selector, SEL_DATA);
}

static void long_mode_change_of_level_takes_rsp0_and_a_null_ss(void **state)
{
    struct sys *s = *state;
    enter_long(s);
    set_level(s, SEL_CODE64, 3);
    assert_int_equal(raise(s, VECTOR_UD), FLOW_JUMP);
    assert_int_equal(s->cpu.cpl, 0);
    assert_int_equal(s->cpu.gpr[RSP], RSP0_AT - 40);
    assert_int_equal(s->cpu.seg[SEG_SS].selector, 0);
    assert_int_equal(s->cpu.seg[SEG_SS].attr, 0);
    assert_int_equal(slot(s, 4), SEL_UDATA | 3);
    assert_int_equal(s->cpu.seg[SEG_DS].selector, SEL_UDATA | 3);
}

static void ist_is_used_without_a_change_of_level(void **state)
{
    struct sys *s = *state;
    enter_long(s);
    put_idt(s, 2, SEL_CODE64, 0x8e, 1);
    assert_int_equal(exception_interrupt(&s->cpu, 2, EVENT_NMI), FLOW_JUMP);
    assert_int_equal(s->cpu.gpr[RSP], IST1_AT - 40);
    assert_true(s->cpu.nmi_blocked);
    assert_int_equal(slot(s, 2) & RFLAGS_RF, 0);
}

static void trap_gate_keeps_if(void **state)
{
    struct sys *s = *state;
    enter_long(s);
    put_idt(s, 0x40, SEL_CODE64, 0x8f, 0);
    cpu_set_rflags(&s->cpu, RFLAGS_ONE | RFLAGS_IF);
    assert_int_equal(soft(s, 0x40), FLOW_JUMP);
    assert_int_equal(cpu_rflags(&s->cpu), RFLAGS_ONE | RFLAGS_IF);
    assert_int_equal(slot(s, 0), CODE_AT + 2);
}

static void soft_interrupt_checks_the_gates_level_and_blames_the_instruction(void **state)
{
    struct sys *s = *state;
    enter_long(s);
    set_level(s, SEL_CODE64, 3);
    assert_int_equal(soft(s, 0x40), FLOW_JUMP);
    assert_handler(s, VECTOR_GP);
    assert_int_equal(slot(s, 0), 0x40 * 8 + 2);
    assert_int_equal(slot(s, 1), CODE_AT);
    assert_int_equal(slot(s, 3) & RFLAGS_RF, RFLAGS_RF);
}

static void external_interrupt_ignores_the_gates_level(void **state)
{
    struct sys *s = *state;
    enter_long(s);
    set_level(s, SEL_CODE64, 3);
    assert_int_equal(exception_interrupt(&s->cpu, 0x40, EVENT_EXTERNAL), FLOW_JUMP);
    assert_handler(s, 0x40);
}

static void fault_in_the_delivery_of_an_interrupt_has_ext(void **state)
{
    struct sys *s = *state;
    enter_long(s);
    put_idt(s, 0x40, SEL_CODE64, 0x0e, 0);
    assert_int_equal(exception_interrupt(&s->cpu, 0x40, EVENT_EXTERNAL), FLOW_JUMP);
    assert_handler(s, VECTOR_NP);
    assert_int_equal(slot(s, 0), 0x40 * 8 + 3);
    enter_long(s);
    put_idt(s, 0x40, SEL_CODE64, 0x0e, 0);
    assert_int_equal(soft(s, 0x40), FLOW_JUMP);
    assert_int_equal(slot(s, 0), 0x40 * 8 + 2);
}

static void escalation_follows_the_table_of_the_manual(void **state)
{
    /* first, gate of first absent: #NP is the second; what is delivered then */
    static const struct {
        unsigned first, delivered;
    } cases[] = {
        {VECTOR_DE, VECTOR_DF}, {VECTOR_TS, VECTOR_DF}, {VECTOR_SS, VECTOR_DF}, {VECTOR_GP, VECTOR_DF},
        {VECTOR_PF, VECTOR_DF}, {VECTOR_UD, VECTOR_NP}, {VECTOR_NM, VECTOR_NP}, {VECTOR_MF, VECTOR_NP},
        {VECTOR_DB, VECTOR_NP}, {VECTOR_AC, VECTOR_NP}, {VECTOR_XM, VECTOR_NP},
    };
    struct sys *s = *state;
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        enter_long(s);
        put_idt(s, cases[i].first, SEL_CODE64, 0x0e, 0);
        assert_int_equal(raise(s, cases[i].first), FLOW_JUMP);
        assert_handler(s, cases[i].delivered);
        assert_int_equal(slot(s, 1), CODE_AT);
    }
}

static void page_fault_in_the_delivery_of_a_contributory_fault_comes_alone(void **state)
{
    struct sys *s = *state;
    enter_long(s);
    put_idt(s, VECTOR_GP, SEL_CODE64, 0x8e, 2); /* IST2: a page that is not there */
    poke(s, TSS_AT + 0x2c, 0x40000010, 8);
    assert_int_equal(raise_code(s, VECTOR_GP, 0), FLOW_JUMP);
    assert_handler(s, VECTOR_PF);
    assert_int_equal(s->cpu.cr2, 0x40000008);
}

static void triple_fault_shuts_down(void **state)
{
    struct sys *s = *state;
    enter_long(s);
    s->cpu.idtr.limit = 0;
    struct cpu before = s->cpu;
    assert_int_equal(raise(s, VECTOR_UD), FLOW_JUMP);
    assert_int_equal(s->cpu.activity, CPU_SHUTDOWN);
    assert_int_equal(s->cpu.rip, before.rip);
    assert_int_equal(s->cpu.gpr[RSP], before.gpr[RSP]);
}

static void failed_delivery_changes_nothing_but_cr2(void **state)
{
    struct sys *s = *state;
    enter_long(s);
    set_level(s, SEL_CODE64, 3);
    put_idt(s, VECTOR_DF, SEL_CODE64, 0x8e, 1);
    poke(s, TSS_AT + 4, UINT64_C(0x8000000000000000), 8);
    assert_int_equal(raise_code(s, VECTOR_GP, 0), FLOW_JUMP);
    assert_handler(s, VECTOR_DF); /* #SS(0) on the way in, contributory */
    assert_int_equal(slot(s, 0), 0);
    assert_int_equal(slot(s, 2), SEL_UCODE64 | 3);
    assert_int_equal(slot(s, 4), STACK_AT);
    assert_int_equal(slot(s, 5), SEL_UDATA | 3);
}

static void tss_too_small_is_ts(void **state)
{
    struct sys *s = *state;
    enter_long(s);
    set_level(s, SEL_CODE64, 3);
    put_idt(s, VECTOR_TS, SEL_CODE64, 0x8e, 1);
    s->cpu.tr.limit = 10;
    assert_int_equal(exception_interrupt(&s->cpu, 0x40, EVENT_EXTERNAL), FLOW_JUMP);
    assert_int_equal(s->cpu.activity, CPU_SHUTDOWN); /* #TS needs a stack too, and so does #DF */
    uint64_t rsp;
    assert_false(tss_read_rsp(&s->cpu, 0, 0, &rsp));
    assert_int_equal(s->cpu.fault.vector, VECTOR_TS);
    assert_int_equal(s->cpu.fault.error, SEL_TSS);
}

static void debug_exception_sets_dr6_and_clears_general_detect(void **state)
{
    struct sys *s = *state;
    enter_long(s);
    s->cpu.dr7 = DR7_ONES | DR7_GD;
    struct fault trap = {.vector = VECTOR_DB, .dr6 = DR6_BS | 1};
    assert_int_equal(exception_deliver(&s->cpu, &trap, EVENT_FAULT, CODE_AT), FLOW_JUMP);
    assert_int_equal(s->cpu.dr6, DR6_ONES | DR6_BS | 1);
    assert_int_equal(s->cpu.dr7, DR7_ONES);
    assert_int_equal(slot(s, 2) & RFLAGS_RF, 0);
}

static void protected_mode_switches_to_ss0_esp0(void **state)
{
    struct sys *s = *state;
    enter_protected(s);
    set_level(s, SEL_CODE32, 3);
    assert_int_equal(raise_code(s, VECTOR_GP, 0x1234), FLOW_JUMP);
    assert_int_equal(s->cpu.seg[SEG_SS].selector, SEL_DATA);
    assert_int_equal(s->cpu.gpr[RSP], RSP0_AT - 24);
    assert_int_equal(peek(s, RSP0_AT - 24, 4), 0x1234);
    assert_int_equal(peek(s, RSP0_AT - 20, 4), CODE_AT);
    assert_int_equal(peek(s, RSP0_AT - 8, 4), STACK_AT);
    assert_int_equal(peek(s, RSP0_AT - 4, 4), SEL_UDATA | 3);
}

static void protected_mode_same_level_pushes_three_words(void **state)
{
    struct sys *s = *state;
    enter_protected(s);
    assert_int_equal(raise(s, VECTOR_UD), FLOW_JUMP);
    assert_int_equal(s->cpu.gpr[RSP], STACK_AT - 12);
}

static void new_stack_segment_is_checked_as_ts(void **state)
{
    static const struct {
        unsigned selector, vector, error;
    } cases[] = {
        {0, VECTOR_TS, 0},
        {0x1000, VECTOR_TS, 0x1000},
        {SEL_DATA | 3, VECTOR_TS, SEL_DATA},
        {SEL_UDATA, VECTOR_TS, SEL_UDATA},
        {SEL_CODE32, VECTOR_TS, SEL_CODE32},
        {SEL_FREE, VECTOR_SS, SEL_FREE},
    };
    struct sys *s = *state;
    enter_protected(s);
    set_level(s, SEL_CODE32, 3);
    put_descriptor(s, SEL_FREE, 0, 0xfffff, 0xc012);
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct segment ss;
        uint64_t rsp;
        poke(s, TSS_AT + 8, cases[i].selector, 2);
        assert_false(tss_read_stack(&s->cpu, 0, &ss, &rsp));
        assert_int_equal(s->cpu.fault.vector, cases[i].vector);
        assert_int_equal(s->cpu.fault.error, cases[i].error);
    }
}

static void sixteen_bit_gate_pushes_words(void **state)
{
    struct sys *s = *state;
    enter_protected(s);
    put_idt(s, 0x40, SEL_CODE32, 0x86, 0);
    assert_int_equal(soft(s, 0x40), FLOW_JUMP);
    assert_int_equal(s->cpu.gpr[RSP], STACK_AT - 6);
    assert_int_equal(peek(s, STACK_AT - 6, 2), CODE_AT + 2);
}

static void task_gate_is_not_modelled(void **state)
{
    struct sys *s = *state;
    enter_protected(s);
    put_idt(s, 0x40, SEL_TSS, 0x85, 0);
    assert_int_equal(soft(s, 0x40), FLOW_STOP);
    assert_true(s->cpu.stop_text[0] != 0);
    assert_int_equal(s->cpu.rip, CODE_AT);
}

static void gate_types_of_the_mode_only(void **state)
{
    static const struct {
        bool long_mode;
        unsigned attr;
    } cases[] = {{true, 0x86}, {true, 0x87},  {true, 0x85}, {true, 0x8c},
                 {true, 0x9e}, {false, 0x8c}, {false, 0x92}};
    struct sys *s = *state;
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cases[i].long_mode ? enter_long(s) : enter_protected(s);
        put_idt(s, 0x40, cases[i].long_mode ? SEL_CODE64 : SEL_CODE32, cases[i].attr, 0);
        assert_int_equal(soft(s, 0x40), FLOW_JUMP);
        assert_handler(s, VECTOR_GP);
        cpu_reset(&s->cpu);
    }
}

static void real_mode_uses_the_table_and_pushes_no_error_code(void **state)
{
    struct sys *s = *state;
    enter_real(s);
    cpu_set_rflags(&s->cpu, RFLAGS_ONE | RFLAGS_IF | RFLAGS_TF | RFLAGS_AC);
    poke(s, 4 * VECTOR_GP + 2, 0x0100, 2);
    assert_int_equal(raise_code(s, VECTOR_GP, 0), FLOW_JUMP);
    assert_int_equal(s->cpu.seg[SEG_CS].selector, 0x0100);
    assert_int_equal(s->cpu.seg[SEG_CS].base, 0x1000);
    assert_handler(s, VECTOR_GP);
    assert_int_equal(s->cpu.gpr[RSP], 0x8000 - 6);
    assert_int_equal(peek(s, STACK_AT - 6, 2), CODE_AT);
    assert_int_equal(cpu_rflags(&s->cpu), RFLAGS_ONE);
}

static void real_mode_vector_beyond_the_table_shuts_down_in_the_end(void **state)
{
    struct sys *s = *state;
    enter_real(s);
    s->cpu.idtr.limit = 4 * 8 - 1; /* #DF and beyond are outside */
    assert_int_equal(soft(s, 0x60), FLOW_JUMP);
    assert_int_equal(s->cpu.activity, CPU_SHUTDOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SYS_TEST(long_mode_frame_is_aligned_and_complete_at_the_same_level),
        SYS_TEST(long_mode_change_of_level_takes_rsp0_and_a_null_ss),
        SYS_TEST(ist_is_used_without_a_change_of_level),
        SYS_TEST(trap_gate_keeps_if),
        SYS_TEST(soft_interrupt_checks_the_gates_level_and_blames_the_instruction),
        SYS_TEST(external_interrupt_ignores_the_gates_level),
        SYS_TEST(fault_in_the_delivery_of_an_interrupt_has_ext),
        SYS_TEST(escalation_follows_the_table_of_the_manual),
        SYS_TEST(page_fault_in_the_delivery_of_a_contributory_fault_comes_alone),
        SYS_TEST(triple_fault_shuts_down),
        SYS_TEST(failed_delivery_changes_nothing_but_cr2),
        SYS_TEST(tss_too_small_is_ts),
        SYS_TEST(debug_exception_sets_dr6_and_clears_general_detect),
        SYS_TEST(protected_mode_switches_to_ss0_esp0),
        SYS_TEST(protected_mode_same_level_pushes_three_words),
        SYS_TEST(new_stack_segment_is_checked_as_ts),
        SYS_TEST(sixteen_bit_gate_pushes_words),
        SYS_TEST(task_gate_is_not_modelled),
        SYS_TEST(gate_types_of_the_mode_only),
        SYS_TEST(real_mode_uses_the_table_and_pushes_no_error_code),
        SYS_TEST(real_mode_vector_beyond_the_table_shuts_down_in_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
