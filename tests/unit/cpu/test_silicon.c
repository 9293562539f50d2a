/*
 * Small points of the reference silicon that manuals leave open or tell in passing, found by the comparison with a host
 * CPU (tests/diff/test_insn_vs_host.c): encodings that mean something else than they seem to, and which of several
 * faults comes first. One test a point, so that hosts without that comparison keep them.
 */

#include "core_fixture.h"

#include <Zydis/Mnemonic.h>

#define MAPPED_END UINT64_C(0x40000000) /* enter_long maps the first GiB */

static enum decode_result decode(unsigned mode, const char *bytes, unsigned size, struct insn *in)
{
    return insn_decode(mode, (const uint8_t *)bytes, size, in);
}

#define DECODE(mode, bytes, in) decode((mode), (bytes), sizeof(bytes) - 1, (in))
#define RUNS(s, bytes)          assert_int_equal(EXECUTE((s), bytes), FLOW_NEXT)

static void assert_page_fault(struct sys *s, enum flow flow, uint64_t cr2)
{
    assert_int_equal(flow, FLOW_FAULT);
    assert_int_equal(s->cpu.fault.vector, VECTOR_PF);
    assert_int_equal(s->cpu.fault.cr2, cr2);
}

/* All state of x87 and SSE may be used. */
static struct sys *with_state(void **state)
{
    struct sys *s = *state;
    s->cpu.cr0 |= CR0_NE | CR0_MP;
    s->cpu.cr4 |= CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE;
    s->cpu.xcr0 = 3;
    x87_init(&s->cpu.x87);
    return s;
}

/* ---- encodings ---- */

static void prefetch_has_eight_encodings_in_memory_and_none_in_registers(void **state)
{
    struct insn in;
    (void)state;
    assert_int_equal(DECODE(MODE_LONG64, "\x0f\x0d\x38", &in), DECODE_OK);
    assert_int_equal(in.length, 3);
    assert_int_equal(DECODE(MODE_LONG64, "\x66\x48\x0f\x0d\x50\x10", &in), DECODE_OK);
    assert_int_equal(DECODE(MODE_LONG64, "\x0f\x0d\xc1", &in), DECODE_UD);
}

static void vex_is_undefined_in_real_mode_and_for_what_only_looks_like_popcnt(void **state)
{
    struct insn in;
    (void)state;
    assert_int_equal(DECODE(MODE_PROT16, "\xc4\xe2\x78\xf2\xc1", &in), DECODE_OK); /* andn */
    assert_int_equal(DECODE(MODE_REAL, "\xc4\xe2\x78\xf2\xc1", &in), DECODE_UD);
    assert_int_equal(DECODE(MODE_LONG64, "\xc4\xa1\xfa\xb8\xea", &in), DECODE_UD);
}

static void ud0_and_ud1_need_no_more_bytes(void **state)
{
    struct insn in;
    (void)state;
    assert_int_equal(DECODE(MODE_LONG64, "\x0f\xff", &in), DECODE_UD);
    assert_int_equal(DECODE(MODE_LONG64, "\x66\x0f\xb9", &in), DECODE_UD);
}

static void address_of_32_bits_without_base_ignores_rex_b_and_vex_b(void **state)
{
    struct insn in;
    (void)state;
    assert_int_equal(DECODE(MODE_LONG64, "\x67\x41\x8b\x04\x25\x11\x22\x33\x44", &in), DECODE_OK);
    assert_int_equal(in.length, 9);
    assert_int_equal(in.mem_base, REG_NONE);
    assert_int_equal(in.disp, 0x44332211);
    assert_int_equal(DECODE(MODE_LONG64, "\x67\xc4\xc2\x7b\xf7\x2c\x25\x11\x22\x33\x44", &in), DECODE_OK);
    assert_int_equal(in.length, 11);
    assert_int_equal(in.mem_base, REG_NONE);
}

static void pause_with_rex_b_is_an_exchange(void **state)
{
    struct insn in;
    (void)state;
    assert_int_equal(DECODE(MODE_LONG64, "\xf3\x49\x90", &in), DECODE_OK);
    assert_int_equal(in.mnemonic, ZYDIS_MNEMONIC_XCHG);
    assert_int_equal(DECODE(MODE_LONG64, "\xf3\x48\x90", &in), DECODE_OK);
    assert_int_equal(in.mnemonic, ZYDIS_MNEMONIC_PAUSE);
}

static void rex_w_overrules_the_operand_prefix_of_a_near_branch(void **state)
{
    struct insn in;
    (void)state;
    assert_int_equal(DECODE(MODE_LONG64, "\x66\x48\xe8\x01\x02\x03\x04", &in), DECODE_OK);
    assert_int_equal(in.operand_size_bytes, 8);
    assert_int_equal(in.length, 7);
}

static void repeat_prefix_chooses_the_condition_of_loope_and_loopne(void **state)
{
    struct sys *s = *state;
    s->cpu.gpr[RCX] = 9;
    flags_set(&s->cpu, RFLAGS_ZF);
    assert_int_equal(EXECUTE(s, "\xe1\x10"), FLOW_JUMP);
    assert_int_equal(EXECUTE(s, "\xf2\xe1\x10"), FLOW_NEXT);
    assert_int_equal(EXECUTE(s, "\xe0\x10"), FLOW_NEXT);
    assert_int_equal(EXECUTE(s, "\xf3\xe0\x10"), FLOW_JUMP);
}

/* ---- results ---- */

static void double_shift_of_16_bits_by_more_clears_carry(void **state)
{
    struct sys *s = *state;
    s->cpu.gpr[RDX] = 0xffff;
    s->cpu.gpr[RAX] = 0xffff;
    RUNS(s, "\x66\x0f\xac\xd0\x10"); /* shrd ax, dx, 16 */
    assert_true(flags_cf(&s->cpu));
    RUNS(s, "\x66\x0f\xac\xd0\x11");
    assert_false(flags_cf(&s->cpu));
    RUNS(s, "\x66\x0f\xa4\xd0\x1f"); /* shld */
    assert_false(flags_cf(&s->cpu));
}

static void fstpnce_of_an_empty_register_only_pops(void **state)
{
    struct sys *s = with_state(state);
    RUNS(s, "\xd9\xda"); /* to ST(2) */
    assert_int_equal(s->cpu.x87.fsw, 1 << FSW_TOP_SHIFT);
    assert_int_equal(s->cpu.x87.in_use, 0);
}

static void far_call_to_compatibility_mode_uses_32_bits_of_the_stack_pointer(void **state)
{
    struct sys *s = *state;
    poke(s, DATA_AT, CODE_AT, 4);
    poke(s, DATA_AT + 4, SEL_CODE32, 2);
    s->cpu.gpr[RSI] = DATA_AT;
    s->cpu.gpr[RSP] = UINT64_C(0x5aeb326000000000) | STACK_AT;
    assert_int_equal(EXECUTE(s, "\xff\x1e"), FLOW_JUMP);
    assert_int_equal(s->cpu.gpr[RSP], STACK_AT - 8);
}

/* ---- which fault, and where ---- */

static void repeated_string_output_of_nothing_checks_the_port(void **state)
{
    struct sys *s = *state;
    set_level(s, SEL_CODE64, 3);
    s->cpu.gpr[RCX] = 0;
    s->cpu.tr.limit = 0x67;
    poke(s, TSS_AT + 0x66, 0xffff, 2);
    assert_fault(s, EXECUTE(s, "\xf3\x6e"), VECTOR_GP, 0);
    assert_fault(s, EXECUTE(s, "\xf3\x6c"), VECTOR_GP, 0);
}

static void privilege_comes_before_the_absence_of_dr5_and_sysexit(void **state)
{
    struct sys *s = *state;
    s->cpu.cr4 |= CR4_DE;
    set_level(s, SEL_CODE64, 3);
    assert_fault(s, EXECUTE(s, "\x0f\x23\xe9"), VECTOR_GP, 0);
    assert_fault(s, EXECUTE(s, "\x0f\x35"), VECTOR_GP, 0);
}

static void arpl_that_raises_nothing_does_not_write(void **state)
{
    struct sys *s = *state;
    cpu_reset(&s->cpu);
    enter_protected(s);
    s->cpu.seg[SEG_DS].attr &= (uint16_t)~TYPE_WRITABLE;
    poke(s, DATA_AT, 3, 2);
    s->cpu.gpr[RAX] = DATA_AT;
    s->cpu.gpr[RCX] = 1;
    RUNS(s, "\x63\x08");
    poke(s, DATA_AT, 0, 2);
    assert_fault(s, EXECUTE(s, "\x63\x08"), VECTOR_GP, 0);
}

static void masked_store_checks_all_of_its_operand(void **state)
{
    struct sys *s = with_state(state);
    s->cpu.gpr[RDI] = MAPPED_END;
    memset(s->cpu.xmm, 0, sizeof s->cpu.xmm);
    assert_page_fault(s, EXECUTE(s, "\x66\x0f\xf7\xca"), MAPPED_END);
    s->cpu.gpr[RDI] = MAPPED_END - 8;
    assert_page_fault(s, EXECUTE(s, "\x66\x0f\xf7\xca"), MAPPED_END);
    s->cpu.x87.fsw = 1 << FSW_TOP_SHIFT;
    s->cpu.gpr[RDI] = MAPPED_END;
    assert_page_fault(s, EXECUTE(s, "\x0f\xf7\xca"), MAPPED_END);
    assert_int_equal(s->cpu.x87.fsw, 0); /* MMX state is entered all the same */
}

static void store_that_an_unmasked_exception_prevents_is_checked(void **state)
{
    struct sys *s = with_state(state);
    s->cpu.x87.fcw &= (uint16_t)~1u;
    s->cpu.gpr[RDI] = MAPPED_END - 4;
    assert_page_fault(s, EXECUTE(s, "\xdf\x3f"), MAPPED_END); /* fistp qword of an empty ST(0) */
    s->cpu.gpr[RDI] = DATA_AT;
    RUNS(s, "\xdf\x3f");
    assert_true(s->cpu.x87.fsw & FSW_ES);
}

static void areas_fault_at_their_last_byte(void **state)
{
    struct sys *s = with_state(state);
    s->cpu.gpr[RDI] = MAPPED_END - 0x30;
    assert_page_fault(s, EXECUTE(s, "\xdd\x37"), MAPPED_END - 0x30 + 107); /* fnsave */
    assert_page_fault(s, EXECUTE(s, "\xdd\x27"), MAPPED_END - 0x30 + 107); /* frstor */
    s->cpu.gpr[RDI] = MAPPED_END - 0x10;
    assert_page_fault(s, EXECUTE(s, "\xd9\x37"), MAPPED_END - 0x10 + 27); /* fnstenv */
    s->cpu.gpr[RDI] = MAPPED_END - 2;
    assert_page_fault(s, EXECUTE(s, "\xd9\x37"), MAPPED_END); /* its first word */
    s->cpu.gpr[RDI] = MAPPED_END - 0x40;
    assert_page_fault(s, EXECUTE(s, "\x0f\xae\x07"), MAPPED_END - 0x40 + 511); /* fxsave */
    assert_page_fault(s, EXECUTE(s, "\x0f\xae\x0f"), MAPPED_END - 0x40 + 511); /* fxrstor */
    s->cpu.gpr[RDI] = MAPPED_END - 0x200;
    s->cpu.gpr[RAX] = 3;
    s->cpu.gpr[RDX] = 0;
    assert_page_fault(s, EXECUTE(s, "\x0f\xae\x27"), MAPPED_END + 0x3f); /* xsave */
    assert_page_fault(s, EXECUTE(s, "\x0f\xae\x2f"), MAPPED_END);        /* xrstor: the header */
}

static void misaligned_operand_is_gp_even_where_the_address_is_ss(void **state)
{
    struct sys *s = with_state(state);
    s->cpu.gpr[RBP] = UINT64_C(0x800000000008);
    assert_fault(s, EXECUTE(s, "\x66\x0f\xdb\x45\x00"), VECTOR_GP, 0); /* pand xmm0, [rbp] */
    assert_fault(s, EXECUTE(s, "\x48\x0f\xc7\x4d\x00"), VECTOR_GP, 0); /* cmpxchg16b [rbp] */
    assert_fault(s, EXECUTE(s, "\x0f\xae\x65\x00"), VECTOR_GP, 0);     /* xsave [rbp] */
    s->cpu.gpr[RBP] = UINT64_C(0x800000000000);
    assert_fault(s, EXECUTE(s, "\x66\x0f\xdb\x45\x00"), VECTOR_SS, 0);
}

static void alignment_check_reaches_areas_and_the_probe_of_enter(void **state)
{
    struct sys *s = with_state(state);
    s->cpu.cr0 |= CR0_AM;
    set_level(s, SEL_CODE64, 3);
    cpu_set_rflags(&s->cpu, RFLAGS_ONE | RFLAGS_AC);
    cpu_update_mode(&s->cpu);
    s->cpu.gpr[RDI] = DATA_AT + 1;
    assert_fault(s, EXECUTE(s, "\xd9\x37"), VECTOR_AC, 0);     /* fnstenv */
    assert_fault(s, EXECUTE(s, "\x0f\xae\x07"), VECTOR_AC, 0); /* fxsave */
    s->cpu.gpr[RDI] = DATA_AT + 4;
    assert_fault(s, EXECUTE(s, "\x0f\xae\x07"), VECTOR_GP, 0);
    s->cpu.gpr[RSP] = STACK_AT;
    s->cpu.gpr[RBP] = STACK_AT;
    assert_fault(s, EXECUTE(s, "\xc8\x04\x00\x00"), VECTOR_AC, 0);
    assert_int_equal(s->cpu.gpr[RSP], STACK_AT);
}

static void call_checks_the_stack_before_its_target(void **state)
{
    struct sys *s = *state;
    s->cpu.gpr[RAX] = UINT64_C(0x800000000000);
    s->cpu.gpr[RSP] = MAPPED_END + 16;
    assert_page_fault(s, EXECUTE(s, "\xff\xd0"), MAPPED_END + 8);
    s->cpu.gpr[RSP] = STACK_AT;
    assert_fault(s, EXECUTE(s, "\xff\xd0"), VECTOR_GP, 0);
}

static void far_return_reads_the_selectors_first(void **state)
{
    struct sys *s = *state;
    s->cpu.gpr[RSP] = MAPPED_END - 4;
    assert_page_fault(s, EXECUTE(s, "\x48\xcb"), MAPPED_END + 4); /* CS, not the offset */
    set_level(s, SEL_CODE64, 3);
    s->cpu.gpr[RSP] = STACK_AT;
    poke(s, STACK_AT, CODE_AT, 8);
    poke(s, STACK_AT + 8, SEL_CODE64,
         8); /* an inner level: refused, but only when the outer stack has been read */
    assert_fault(s, EXECUTE(s, "\x48\xcb"), VECTOR_GP, SEL_CODE64);
    poke(s, PDPT_AT, 0, 8);
    mem_flush_all(&s->cpu);
    assert_int_equal(EXECUTE(s, "\x48\xcb"), FLOW_FAULT);
    assert_int_equal(s->cpu.fault.vector, VECTOR_PF);
}

static void iret_reads_flags_cs_and_rip_then_ss_and_rsp(void **state)
{
    struct sys *s = *state;
    s->cpu.gpr[RSP] = MAPPED_END - 8;
    assert_page_fault(s, EXECUTE(s, "\x48\xcf"), MAPPED_END + 8); /* flags, not CS */
    s->cpu.gpr[RSP] = MAPPED_END - 16;
    assert_page_fault(s, EXECUTE(s, "\x48\xcf"), MAPPED_END);
    s->cpu.gpr[RSP] = MAPPED_END - 24;
    assert_page_fault(s, EXECUTE(s, "\x48\xcf"), MAPPED_END + 8); /* SS, not RSP, before CS is checked */
    s->cpu.gpr[RSP] = MAPPED_END - 12;
    assert_page_fault(s, EXECUTE(s, "\xcf"), MAPPED_END + 4);
}

static void iret_checks_the_target_before_the_stack_segment(void **state)
{
    struct sys *s = *state;
    s->cpu.gpr[RSP] = STACK_AT;
    poke(s, STACK_AT, UINT64_C(0x800000000000), 8);
    poke(s, STACK_AT + 8, SEL_CODE64, 8);
    poke(s, STACK_AT + 32, SEL_CODE64, 8);
    assert_fault(s, EXECUTE(s, "\x48\xcf"), VECTOR_GP, 0);
    poke(s, STACK_AT, CODE_AT, 8);
    assert_fault(s, EXECUTE(s, "\x48\xcf"), VECTOR_GP, SEL_CODE64);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CORE_TEST(prefetch_has_eight_encodings_in_memory_and_none_in_registers),
        CORE_TEST(vex_is_undefined_in_real_mode_and_for_what_only_looks_like_popcnt),
        CORE_TEST(ud0_and_ud1_need_no_more_bytes),
        CORE_TEST(address_of_32_bits_without_base_ignores_rex_b_and_vex_b),
        CORE_TEST(pause_with_rex_b_is_an_exchange),
        CORE_TEST(rex_w_overrules_the_operand_prefix_of_a_near_branch),
        CORE_TEST(repeat_prefix_chooses_the_condition_of_loope_and_loopne),
        CORE_TEST(double_shift_of_16_bits_by_more_clears_carry),
        CORE_TEST(fstpnce_of_an_empty_register_only_pops),
        CORE_TEST(far_call_to_compatibility_mode_uses_32_bits_of_the_stack_pointer),
        CORE_TEST(repeated_string_output_of_nothing_checks_the_port),
        CORE_TEST(privilege_comes_before_the_absence_of_dr5_and_sysexit),
        CORE_TEST(arpl_that_raises_nothing_does_not_write),
        CORE_TEST(masked_store_checks_all_of_its_operand),
        CORE_TEST(store_that_an_unmasked_exception_prevents_is_checked),
        CORE_TEST(areas_fault_at_their_last_byte),
        CORE_TEST(misaligned_operand_is_gp_even_where_the_address_is_ss),
        CORE_TEST(alignment_check_reaches_areas_and_the_probe_of_enter),
        CORE_TEST(call_checks_the_stack_before_its_target),
        CORE_TEST(far_return_reads_the_selectors_first),
        CORE_TEST(iret_reads_flags_cs_and_rip_then_ss_and_rsp),
        CORE_TEST(iret_checks_the_target_before_the_stack_segment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
