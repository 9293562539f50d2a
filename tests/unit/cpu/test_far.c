/* Far JMP, CALL, RET, call gates, IRET, SYSCALL and SYSENTER (sim/cpu/far.c, iret.c, syscall_insn.c). The
 * guest programs of tests/guest/sys run the ordinary paths; here are the checks and the state after a
 * refusal. */

#include "sys_fixture.h"

#define GATE_AT (GDT_AT + SEL_FREE)

/* JMP FAR and CALL FAR [disp32] of a pointer at DATA_AT. */
#define JMP_FAR64  "\xff\x2c\x25\x00\x00\x02\x00"
#define CALL_FAR64 "\xff\x1c\x25\x00\x00\x02\x00"
#define JMP_FAR32  "\xff\x2d\x00\x00\x02\x00"
#define CALL_FAR32 "\xff\x1d\x00\x00\x02\x00"

static void put_pointer(struct sys *s, uint32_t offset, unsigned selector)
{
    poke(s, DATA_AT, offset, 4);
    poke(s, DATA_AT + 4, selector, 2);
}

static void direct_jump_checks_the_code_segment(void **state)
{
    static const struct {
        const char *what;
        unsigned selector, attr;
        int vector;
        uint32_t error;
    } cases[] = {
        {"code", SEL_FREE, 0xc09a, 0, 0},
        {"RPL above CPL", SEL_FREE | 1, 0xc09a, VECTOR_GP, SEL_FREE},
        {"outer level", SEL_FREE, 0xc0fa, VECTOR_GP, SEL_FREE},
        {"conforming", SEL_FREE | 3, 0xc09e, 0, 0},
        {"conforming of an outer level", SEL_FREE, 0xc0fe, VECTOR_GP, SEL_FREE},
        {"data", SEL_FREE, 0xc092, VECTOR_GP, SEL_FREE},
        {"absent", SEL_FREE, 0xc01a, VECTOR_NP, SEL_FREE},
        {"interrupt gate", SEL_FREE, 0x008e, VECTOR_GP, SEL_FREE},
        {"LDT", SEL_FREE, 0x0082, VECTOR_GP, SEL_FREE},
        {"null", 3, 0, VECTOR_GP, 0},
        {"beyond", 0x200, 0, VECTOR_GP, 0x200},
    };
    struct sys *s = *state;
    enter_protected(s);
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        set_level(s, SEL_CODE32, 0);
        put_descriptor(s, SEL_FREE, 0, 0xfffff, cases[i].attr);
        put_pointer(s, 0x1234, cases[i].selector);
        enum flow flow = EXECUTE(s, JMP_FAR32);
        if (cases[i].vector == 0) {
            assert_int_equal(flow, FLOW_JUMP);
            assert_int_equal(s->cpu.rip, 0x1234);
            assert_int_equal(s->cpu.seg[SEG_CS].selector, SEL_FREE);
        } else if (flow != FLOW_FAULT || s->cpu.fault.vector != cases[i].vector) {
            fail_msg("%s", cases[i].what);
        } else {
            assert_int_equal(s->cpu.fault.error, cases[i].error);
            assert_int_equal(s->cpu.seg[SEG_CS].selector, SEL_CODE32);
        }
    }
}

static void offset_beyond_the_new_limit_is_gp_and_pushes_nothing_visible(void **state)
{
    struct sys *s = *state;
    enter_protected(s);
    put_descriptor(s, SEL_FREE, 0, 0xfff, 0x409a);
    put_pointer(s, 0x1000, SEL_FREE);
    assert_fault(s, EXECUTE(s, CALL_FAR32), VECTOR_GP, 0);
    assert_int_equal(s->cpu.gpr[RSP], STACK_AT);
}

static void task_switches_are_not_modelled_but_their_checks_are(void **state)
{
    struct sys *s = *state;
    enter_protected(s);
    put_pointer(s, 0, SEL_TSS);
    assert_int_equal(EXECUTE(s, JMP_FAR32), FLOW_STOP);
    put_pointer(s, 0, SEL_TSS | 3);
    assert_fault(s, EXECUTE(s, JMP_FAR32), VECTOR_GP, SEL_TSS);
    put_descriptor(s, SEL_TSS, TSS_AT, 0x87, 0x008b); /* busy */
    put_pointer(s, 0, SEL_TSS);
    assert_fault(s, EXECUTE(s, JMP_FAR32), VECTOR_GP, SEL_TSS);
    enter_long(s);
    put_pointer(s, 0, SEL_TSS);
    assert_fault(s, EXECUTE(s, JMP_FAR64), VECTOR_GP, SEL_TSS);
}

static void call_gate_to_an_inner_level_copies_parameters(void **state)
{
    struct sys *s = *state;
    enter_protected(s);
    set_level(s, SEL_CODE32, 3);
    poke(s, GATE_AT, make_gate(SEL_CODE32, 0x4321, 0xec, 2), 8);
    poke(s, STACK_AT - 8, 0x11, 4);
    poke(s, STACK_AT - 4, 0x22, 4);
    s->cpu.gpr[RSP] = STACK_AT - 8;
    put_pointer(s, 0xdead, SEL_FREE | 3);
    assert_int_equal(EXECUTE(s, CALL_FAR32), FLOW_JUMP);
    assert_int_equal(s->cpu.rip, 0x4321);
    assert_int_equal(s->cpu.cpl, 0);
    assert_int_equal(s->cpu.gpr[RSP], RSP0_AT - 24);
    static const uint32_t frame[] = {CODE_AT + 6, SEL_UCODE32 | 3, 0x11, 0x22, STACK_AT - 8, SEL_UDATA | 3};
    for (unsigned i = 0; i < 6; i++) {
        assert_int_equal(peek(s, RSP0_AT - 24 + 4 * i, 4), frame[i]);
    }
}

static void long_mode_call_gate_needs_64_bit_code_and_sixteen_bytes(void **state)
{
    struct sys *s = *state;
    enter_long(s);
    poke(s, GATE_AT, make_gate(SEL_CODE64, 0x4321, 0x8c, 0), 8);
    poke(s, GATE_AT + 8, 0x7fff, 8);
    put_pointer(s, 0, SEL_FREE);
    assert_int_equal(EXECUTE(s, CALL_FAR64), FLOW_JUMP);
    assert_int_equal(s->cpu.rip, 0x7fff00004321);
    assert_int_equal(s->cpu.gpr[RSP], STACK_AT - 16);
    poke(s, GATE_AT + 8, 0x8000, 8);
    assert_fault(s, EXECUTE(s, CALL_FAR64), VECTOR_GP, 0);
    poke(s, GATE_AT + 8, UINT64_C(0x010000000000), 8);
    assert_fault(s, EXECUTE(s, CALL_FAR64), VECTOR_GP, SEL_FREE);
    poke(s, GATE_AT, make_gate(SEL_CODE32, 0x4321, 0x8c, 0), 8);
    poke(s, GATE_AT + 8, 0, 8);
    assert_fault(s, EXECUTE(s, CALL_FAR64), VECTOR_GP, SEL_CODE32);
    poke(s, GATE_AT, make_gate(SEL_CODE64, 0x4321, 0x84, 0), 8); /* 16-bit gate */
    assert_fault(s, EXECUTE(s, CALL_FAR64), VECTOR_GP, SEL_FREE);
}

static void put_frame(struct sys *s, unsigned size_bytes, const uint64_t *values, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        poke(s, STACK_AT - 0x100 + i * size_bytes, values[i], size_bytes);
    }
    s->cpu.gpr[RSP] = STACK_AT - 0x100;
}

static void iretq_restores_everything_and_unblocks_nmi(void **state)
{
    struct sys *s = *state;
    enter_long(s);
    s->cpu.nmi_blocked = true;
    uint64_t frame[] = {0x123456, SEL_UCODE64 | 3, 0x3ed7 | RFLAGS_RF | RFLAGS_ID | RFLAGS_VM, 0x7ffffff0,
                        SEL_UDATA | 3};
    put_frame(s, 8, frame, 5);
    assert_int_equal(EXECUTE(s, "\x48\xcf"), FLOW_JUMP);
    assert_int_equal(s->cpu.rip, 0x123456);
    assert_int_equal(s->cpu.cpl, 3);
    assert_int_equal(s->cpu.mode, MODE_LONG64);
    assert_int_equal(s->cpu.gpr[RSP], 0x7ffffff0);
    assert_int_equal(cpu_rflags(&s->cpu), 0x3ed7 | RFLAGS_RF | RFLAGS_ID);
    assert_int_equal(s->cpu.seg[SEG_DS].attr, 0);
    assert_false(s->cpu.nmi_blocked);
}

static void iret_at_level_3_cannot_change_iopl_or_if(void **state)
{
    struct sys *s = *state;
    enter_long(s);
    set_level(s, SEL_CODE64, 3);
    cpu_set_rflags(&s->cpu, RFLAGS_ONE | RFLAGS_IF);
    uint64_t frame[] = {0x100, SEL_UCODE64 | 3, 0x3000, STACK_AT, SEL_UDATA | 3};
    put_frame(s, 8, frame, 5);
    assert_int_equal(EXECUTE(s, "\x48\xcf"), FLOW_JUMP);
    assert_int_equal(cpu_rflags(&s->cpu), RFLAGS_ONE | RFLAGS_IF);
}

static void iret_to_16_bit_stack_keeps_the_upper_half_of_rsp(void **state)
{
    struct sys *s = *state;
    enter_protected(s);
    put_descriptor(s, SEL_FREE, 0, 0xffff, 0x00f2);
    uint64_t frame[] = {0x100, SEL_UCODE32 | 3, 2, 0x99998888, SEL_FREE | 3};
    put_frame(s, 4, frame, 5);
    assert_int_equal(EXECUTE(s, "\xcf"), FLOW_JUMP);
    assert_int_equal(s->cpu.gpr[RSP], ((STACK_AT - 0x100) & 0xffff0000u) | 0x8888);
}

static void refused_iret_leaves_the_cpu_as_it_was(void **state)
{
    static const struct {
        uint64_t frame[5];
        unsigned vector;
        uint32_t error;
    } cases[] = {
        {{0x100, 0, 2, 0, SEL_UDATA | 3}, VECTOR_GP, 0},
        {{0x100, SEL_UCODE64, 2, 0, SEL_DATA}, VECTOR_GP, SEL_UCODE64}, /* RPL not DPL */
        {{0x100, SEL_DATA, 2, 0, SEL_DATA}, VECTOR_GP, SEL_DATA},
        {{0x100, SEL_UCODE64 | 3, 2, 0, SEL_DATA}, VECTOR_GP, SEL_DATA},
        {{0x100, SEL_UCODE64 | 3, 2, 0, 0}, VECTOR_GP, 0},
        {{0x100, SEL_UCODE32 | 3, 2, 0, 3}, VECTOR_GP, 0},
        {{UINT64_C(1) << 47, SEL_UCODE64 | 3, 2, 0, SEL_UDATA | 3}, VECTOR_GP, 0},
        {{UINT64_C(1) << 32, SEL_UCODE32 | 3, 2, 0, SEL_UDATA | 3}, VECTOR_GP, 0},
    };
    struct sys *s = *state;
    enter_long(s);
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        s->cpu.nmi_blocked = true;
        put_frame(s, 8, cases[i].frame, 5);
        assert_fault(s, EXECUTE(s, "\x48\xcf"), cases[i].vector, cases[i].error);
        assert_int_equal(s->cpu.gpr[RSP], STACK_AT - 0x100);
        assert_int_equal(s->cpu.seg[SEG_CS].selector, SEL_CODE64);
        assert_int_equal(s->cpu.seg[SEG_SS].selector, SEL_DATA);
        assert_int_equal(s->cpu.cpl, 0);
        assert_true(s->cpu.nmi_blocked);
    }
}

static void task_return_and_virtual_8086_mode_are_not_modelled(void **state)
{
    struct sys *s = *state;
    enter_protected(s);
    uint64_t frame[] = {0x100, SEL_CODE32, RFLAGS_VM | 2};
    put_frame(s, 4, frame, 3);
    assert_int_equal(EXECUTE(s, "\xcf"), FLOW_STOP);
    s->cpu.rflags |= RFLAGS_NT;
    assert_int_equal(EXECUTE(s, "\xcf"), FLOW_STOP);
    assert_int_equal(s->cpu.gpr[RSP], STACK_AT - 0x100);
}

static void far_return_drops_parameters_on_both_stacks(void **state)
{
    struct sys *s = *state;
    enter_protected(s);
    uint64_t frame[] = {0x100, SEL_UCODE32 | 3, 0xaa, 0xbb, 0x9000, SEL_UDATA | 3};
    put_frame(s, 4, frame, 6);
    assert_int_equal(EXECUTE(s, "\xca\x08\x00"), FLOW_JUMP);
    assert_int_equal(s->cpu.gpr[RSP], 0x9008);
    assert_int_equal(s->cpu.cpl, 3);
}

static void real_mode_far_call_and_return(void **state)
{
    struct sys *s = *state;
    enter_real(s);
    assert_int_equal(EXECUTE(s, "\x9a\x34\x12\x00\x20"), FLOW_JUMP);
    assert_int_equal(s->cpu.seg[SEG_CS].base, 0x20000);
    assert_int_equal(s->cpu.rip, 0x1234);
    assert_int_equal(s->cpu.gpr[RSP], 0x7ffc);
    s->cpu.seg[SEG_CS].base = 0;
    assert_int_equal(EXECUTE(s, "\xcb"), FLOW_JUMP);
    assert_int_equal(s->cpu.rip, CODE_AT + 5);
    assert_int_equal(s->cpu.gpr[RSP], 0x8000);
}

static void syscall_in_legacy_mode_uses_star(void **state)
{
    struct sys *s = *state;
    enter_protected(s);
    s->cpu.efer = EFER_SCE;
    set_level(s, SEL_CODE32, 3);
    s->cpu.msrs.star = UINT64_C(0x0023001b00004321);
    s->cpu.gpr[R11] = 7;
    cpu_set_rflags(&s->cpu, RFLAGS_ONE | RFLAGS_IF | RFLAGS_DF);
    assert_int_equal(EXECUTE(s, "\x0f\x05"), FLOW_JUMP);
    assert_int_equal(s->cpu.rip, 0x4321);
    assert_int_equal(s->cpu.gpr[RCX], CODE_AT + 2);
    assert_int_equal(s->cpu.gpr[R11], 7);
    assert_int_equal(s->cpu.seg[SEG_CS].selector, 0x18);
    assert_int_equal(s->cpu.seg[SEG_SS].selector, 0x20);
    assert_int_equal(cpu_rflags(&s->cpu), RFLAGS_ONE | RFLAGS_DF);
    assert_int_equal(EXECUTE(s, "\x0f\x07"), FLOW_JUMP);
    assert_int_equal(s->cpu.rip, CODE_AT + 2);
    assert_int_equal(s->cpu.cpl, 3);
    assert_int_equal(cpu_rflags(&s->cpu), RFLAGS_ONE | RFLAGS_DF | RFLAGS_IF);
}

static void sysret_keeps_the_hidden_part_of_ss(void **state)
{
    struct sys *s = *state;
    enter_long(s);
    s->cpu.msrs.star = UINT64_C(0x0020) << 48;
    s->cpu.seg[SEG_SS] = segment_null(0);
    s->cpu.gpr[RCX] = 0x7000;
    s->cpu.gpr[R11] = ~UINT64_C(0);
    assert_int_equal(EXECUTE(s, "\x48\x0f\x07"), FLOW_JUMP);
    assert_int_equal(s->cpu.seg[SEG_SS].selector, 0x28);
    assert_int_equal(s->cpu.seg[SEG_SS].attr, 0);
    assert_int_equal(s->cpu.seg[SEG_CS].selector, 0x33);
    assert_int_equal(cpu_rflags(&s->cpu) & (RFLAGS_RF | RFLAGS_VM), 0);
}

static void syscall_in_real_mode_is_not_modelled(void **state)
{
    struct sys *s = *state;
    enter_real(s);
    assert_fault(s, EXECUTE(s, "\x0f\x05"), VECTOR_UD, 0);
    s->cpu.efer = EFER_SCE;
    assert_int_equal(EXECUTE(s, "\x0f\x05"), FLOW_STOP);
    assert_fault(s, EXECUTE(s, "\x0f\x07"), VECTOR_GP, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SYS_TEST(direct_jump_checks_the_code_segment),
        SYS_TEST(offset_beyond_the_new_limit_is_gp_and_pushes_nothing_visible),
        SYS_TEST(task_switches_are_not_modelled_but_their_checks_are),
        SYS_TEST(call_gate_to_an_inner_level_copies_parameters),
        SYS_TEST(long_mode_call_gate_needs_64_bit_code_and_sixteen_bytes),
        SYS_TEST(iretq_restores_everything_and_unblocks_nmi),
        SYS_TEST(iret_at_level_3_cannot_change_iopl_or_if),
        SYS_TEST(iret_to_16_bit_stack_keeps_the_upper_half_of_rsp),
        SYS_TEST(refused_iret_leaves_the_cpu_as_it_was),
        SYS_TEST(task_return_and_virtual_8086_mode_are_not_modelled),
        SYS_TEST(far_return_drops_parameters_on_both_stacks),
        SYS_TEST(real_mode_far_call_and_return),
        SYS_TEST(syscall_in_legacy_mode_uses_star),
        SYS_TEST(sysret_keeps_the_hidden_part_of_ss),
        SYS_TEST(syscall_in_real_mode_is_not_modelled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
