/* Descriptors, segment loads, linear addresses and stacks (sim/cpu/segment.c). */

#include "sys_fixture.h"

static void load_of_a_data_segment_scales_the_limit_and_sets_the_accessed_bit(void **state)
{
    struct sys *s = *state;
    enter_protected(s);
    put_descriptor(s, SEL_FREE, 0x12345678, 0x1ff, 0x8092);
    assert_true(segment_load(&s->cpu, SEG_FS, SEL_FREE));
    assert_int_equal(s->cpu.seg[SEG_FS].base, 0x12345678);
    assert_int_equal(s->cpu.seg[SEG_FS].limit, 0x1fffff);
    assert_int_equal(s->cpu.seg[SEG_FS].attr, 0x8093);
    assert_int_equal(peek(s, GDT_AT + SEL_FREE + 5, 1), 0x93);
}

static void loads_refuse_what_the_manual_refuses(void **state)
{
    static const struct {
        const char *what;
        enum seg_reg seg;
        unsigned selector, attr;
        int vector; /* 0: accepted */
    } cases[] = {
        {"DS data", SEG_DS, SEL_FREE, 0xc092, 0},
        {"DS read-only data", SEG_DS, SEL_FREE, 0xc090, 0},
        {"DS readable code", SEG_DS, SEL_FREE, 0xc09a, 0},
        {"DS execute-only code", SEG_DS, SEL_FREE, 0xc098, VECTOR_GP},
        {"DS system", SEG_DS, SEL_FREE, 0x0089, VECTOR_GP},
        {"DS RPL above DPL", SEG_DS, SEL_FREE | 1, 0xc092, VECTOR_GP},
        {"DS conforming code, RPL above DPL", SEG_DS, SEL_FREE | 3, 0xc09e, 0},
        {"DS absent", SEG_DS, SEL_FREE, 0xc012, VECTOR_NP},
        {"SS data", SEG_SS, SEL_FREE, 0xc092, 0},
        {"SS read-only data", SEG_SS, SEL_FREE, 0xc090, VECTOR_GP},
        {"SS code", SEG_SS, SEL_FREE, 0xc09a, VECTOR_GP},
        {"SS RPL not CPL", SEG_SS, SEL_FREE | 3, 0xc0f2, VECTOR_GP},
        {"SS DPL not CPL", SEG_SS, SEL_FREE, 0xc0f2, VECTOR_GP},
        {"SS absent", SEG_SS, SEL_FREE, 0xc012, VECTOR_SS},
    };
    struct sys *s = *state;
    enter_protected(s);
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        put_descriptor(s, SEL_FREE, 0, 0xfffff, cases[i].attr);
        struct segment before = s->cpu.seg[cases[i].seg];
        bool ok = segment_load(&s->cpu, cases[i].seg, (uint16_t)cases[i].selector);
        if (ok != (cases[i].vector == 0)) {
            fail_msg("%s", cases[i].what);
        }
        if (!ok) {
            assert_int_equal(s->cpu.fault.vector, cases[i].vector);
            assert_int_equal(s->cpu.fault.error, SEL_FREE);
            assert_int_equal(s->cpu.seg[cases[i].seg].selector, before.selector);
            assert_int_equal(peek(s, GDT_AT + SEL_FREE + 5, 1), cases[i].attr & 0xff);
        }
    }
}

static void selector_beyond_the_table_or_in_a_missing_ldt_is_gp(void **state)
{
    struct sys *s = *state;
    enter_protected(s);
    assert_false(segment_load(&s->cpu, SEG_DS, 0x100));
    assert_int_equal(s->cpu.fault.error, 0x100);
    s->cpu.ldtr = segment_null(0);
    assert_false(segment_load(&s->cpu, SEG_DS, 0x0c));
    assert_int_equal(s->cpu.fault.vector, VECTOR_GP);
    assert_int_equal(s->cpu.fault.error, 0x0c);
    s->cpu.ldtr = (struct segment){.base = LDT_AT, .limit = 15, .attr = 0x82};
    poke(s, LDT_AT + 8, make_descriptor(0x5000, 0xfff, 0x4092), 8);
    assert_true(segment_load(&s->cpu, SEG_DS, 0x0c));
    assert_int_equal(s->cpu.seg[SEG_DS].base, 0x5000);
}

static void null_selector_clears_base_and_presence(void **state)
{
    struct sys *s = *state;
    enter_long(s);
    s->cpu.seg[SEG_GS].base = 0x123456789000;
    assert_true(segment_load(&s->cpu, SEG_GS, 3));
    assert_int_equal(s->cpu.seg[SEG_GS].base, 0);
    assert_int_equal(s->cpu.seg[SEG_GS].attr & SEG_P, 0);
    assert_int_equal(s->cpu.seg[SEG_GS].selector, 3);
}

static void null_ss_is_for_64_bit_code_below_level_3(void **state)
{
    struct sys *s = *state;
    enter_long(s);
    assert_true(segment_load(&s->cpu, SEG_SS, 0));
    set_level(s, SEL_CODE64, 3);
    assert_false(segment_load(&s->cpu, SEG_SS, 0));
    assert_int_equal(s->cpu.fault.vector, VECTOR_GP);
    assert_int_equal(s->cpu.fault.error, 0);
    set_level(s, SEL_CODE32, 0);
    assert_false(segment_load(&s->cpu, SEG_SS, 0));
}

static void real_mode_load_keeps_limit_and_attributes(void **state)
{
    struct sys *s = *state;
    s->cpu.seg[SEG_DS].limit = UINT32_MAX;
    assert_true(segment_load(&s->cpu, SEG_DS, 0xabcd));
    assert_int_equal(s->cpu.seg[SEG_DS].base, 0xabcd0);
    assert_int_equal(s->cpu.seg[SEG_DS].limit, UINT32_MAX);
}

static bool reaches(struct sys *s, enum seg_reg seg, uint64_t offset, unsigned size_bytes, bool write)
{
    lin_t a;
    s->cpu.fault = (struct fault){0};
    return segment_linear(&s->cpu, seg, offset, size_bytes, write, &a);
}

static void expand_up_limit_counts_the_last_byte(void **state)
{
    struct sys *s = *state;
    enter_protected(s);
    s->cpu.seg[SEG_DS].limit = 0xfff;
    assert_true(reaches(s, SEG_DS, 0xffc, 4, true));
    assert_false(reaches(s, SEG_DS, 0xffd, 4, true));
    assert_int_equal(s->cpu.fault.vector, VECTOR_GP);
    s->cpu.seg[SEG_SS].limit = 0xfff;
    assert_false(reaches(s, SEG_SS, 0x1000, 1, false));
    assert_int_equal(s->cpu.fault.vector, VECTOR_SS);
    s->cpu.seg[SEG_DS].limit = UINT32_MAX;
    assert_true(reaches(s, SEG_DS, 0xfffffffc, 4, true));
    assert_false(reaches(s, SEG_DS, 0xfffffffd, 4, true));
}

static void expand_down_limit_is_the_first_invalid_offset(void **state)
{
    struct sys *s = *state;
    enter_protected(s);
    s->cpu.seg[SEG_DS].limit = 0xfff;
    s->cpu.seg[SEG_DS].attr = 0x4097;
    assert_false(reaches(s, SEG_DS, 0xfff, 1, false));
    assert_true(reaches(s, SEG_DS, 0x1000, 1, false));
    assert_true(reaches(s, SEG_DS, 0xfffffffc, 4, false));
    s->cpu.seg[SEG_DS].attr = 0x0097; /* 16-bit: the upper bound is ffff */
    assert_true(reaches(s, SEG_DS, 0xfffc, 4, false));
    assert_false(reaches(s, SEG_DS, 0xfffd, 4, false));
}

static void types_are_checked_outside_64_bit_mode_only(void **state)
{
    struct sys *s = *state;
    enter_protected(s);
    assert_false(reaches(s, SEG_CS, 0, 1, true));
    assert_true(reaches(s, SEG_CS, 0, 1, false));
    s->cpu.seg[SEG_DS].attr &= (uint16_t)~TYPE_WRITABLE;
    assert_false(reaches(s, SEG_DS, 0, 1, true));
    s->cpu.seg[SEG_DS] = segment_null(0);
    assert_false(reaches(s, SEG_DS, 0, 1, false));
    enter_long(s);
    s->cpu.seg[SEG_DS] = segment_null(0);
    assert_true(reaches(s, SEG_DS, 0, 1, true));
}

static void only_fs_and_gs_have_bases_in_64_bit_mode(void **state)
{
    struct sys *s = *state;
    lin_t a;
    enter_long(s);
    for (unsigned i = 0; i < SEG_COUNT; i++) {
        s->cpu.seg[i].base = 0x1000;
    }
    assert_true(segment_linear(&s->cpu, SEG_DS, 0x10, 8, false, &a));
    assert_int_equal(a.v, 0x10);
    assert_true(segment_linear(&s->cpu, SEG_GS, 0x10, 8, false, &a));
    assert_int_equal(a.v, 0x1010);
    s->cpu.seg[SEG_FS].base = 0xffff800000000000;
    assert_true(segment_linear(&s->cpu, SEG_FS, UINT64_C(0) + 8, 8, false, &a));
    assert_int_equal(a.v, 0xffff800000000008);
}

static void access_across_the_canonical_boundary_faults(void **state)
{
    struct sys *s = *state;
    enter_long(s);
    assert_true(reaches(s, SEG_DS, 0x7ffffffffff8, 8, false));
    assert_false(reaches(s, SEG_DS, 0x7ffffffffff9, 8, false));
    assert_int_equal(s->cpu.fault.vector, VECTOR_GP);
    assert_false(reaches(s, SEG_SS, 0xffff7fffffffffff, 1, false));
    assert_int_equal(s->cpu.fault.vector, VECTOR_SS);
    assert_true(reaches(s, SEG_DS, 0xffff800000000000, 8, false));
}

static void addresses_wrap_at_4_gib_outside_64_bit_mode(void **state)
{
    struct sys *s = *state;
    lin_t a;
    enter_protected(s);
    s->cpu.seg[SEG_DS].base = 0xfffff000;
    assert_true(segment_linear(&s->cpu, SEG_DS, 0x2000, 4, false, &a));
    assert_int_equal(a.v, 0x1000);
    assert_true(segment_fetch(&s->cpu, 0x2000, &a));
    s->cpu.seg[SEG_CS].limit = 0xffff;
    assert_false(segment_fetch(&s->cpu, 0x10000, &a));
    assert_int_equal(s->cpu.fault.vector, VECTOR_GP);
}

static void sixteen_bit_stack_wraps_and_keeps_the_upper_half(void **state)
{
    struct sys *s = *state;
    uint64_t value;
    enter_protected(s);
    s->cpu.seg[SEG_SS].attr &= (uint16_t)~SEG_DB;
    s->cpu.seg[SEG_SS].base = 0x10000;
    cpu_update_mode(&s->cpu);
    s->cpu.gpr[RSP] = 0x12340000;
    assert_int_equal(segment_stack_bytes(&s->cpu), 2);
    assert_true(stack_push(&s->cpu, 0xbeef, 2));
    assert_int_equal(s->cpu.gpr[RSP], 0x1234fffe);
    assert_int_equal(peek(s, 0x1fffe, 2), 0xbeef);
    assert_true(stack_pop(&s->cpu, 2, &value));
    assert_int_equal(value, 0xbeef);
    assert_int_equal(s->cpu.gpr[RSP], 0x12340000);
}

static void failed_push_leaves_the_stack_pointer(void **state)
{
    struct sys *s = *state;
    enter_protected(s);
    s->cpu.seg[SEG_SS].limit = 0x0fff;
    s->cpu.gpr[RSP] = 0x1002;
    assert_false(stack_push(&s->cpu, 0, 4));
    assert_int_equal(s->cpu.fault.vector, VECTOR_SS);
    assert_int_equal(s->cpu.gpr[RSP], 0x1002);
}

static void outer_return_drops_segments_of_the_inner_level_only(void **state)
{
    struct sys *s = *state;
    enter_protected(s);
    s->cpu.seg[SEG_ES] = flat(SEL_UDATA | 3, ATTR_DATA | ATTR_USER);
    s->cpu.seg[SEG_FS] = flat(SEL_CONFORMING, ATTR_CODE32 | TYPE_CONFORMING);
    s->cpu.cpl = 3;
    segment_drop_inner(&s->cpu);
    assert_int_equal(s->cpu.seg[SEG_DS].attr, 0);
    assert_int_equal(s->cpu.seg[SEG_DS].selector, 0);
    assert_int_equal(s->cpu.seg[SEG_ES].selector, SEL_UDATA | 3);
    assert_int_equal(s->cpu.seg[SEG_FS].selector, SEL_CONFORMING);
    assert_int_equal(s->cpu.seg[SEG_SS].selector, SEL_DATA);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SYS_TEST(load_of_a_data_segment_scales_the_limit_and_sets_the_accessed_bit),
        SYS_TEST(loads_refuse_what_the_manual_refuses),
        SYS_TEST(selector_beyond_the_table_or_in_a_missing_ldt_is_gp),
        SYS_TEST(null_selector_clears_base_and_presence),
        SYS_TEST(null_ss_is_for_64_bit_code_below_level_3),
        SYS_TEST(real_mode_load_keeps_limit_and_attributes),
        SYS_TEST(expand_up_limit_counts_the_last_byte),
        SYS_TEST(expand_down_limit_is_the_first_invalid_offset),
        SYS_TEST(types_are_checked_outside_64_bit_mode_only),
        SYS_TEST(only_fs_and_gs_have_bases_in_64_bit_mode),
        SYS_TEST(access_across_the_canonical_boundary_faults),
        SYS_TEST(addresses_wrap_at_4_gib_outside_64_bit_mode),
        SYS_TEST(sixteen_bit_stack_wraps_and_keeps_the_upper_half),
        SYS_TEST(failed_push_leaves_the_stack_pointer),
        SYS_TEST(outer_return_drops_segments_of_the_inner_level_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
