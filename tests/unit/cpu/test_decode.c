/* Decoding: operands, prefixes, forms, absent and too long instructions. */

#include "core_fixture.h"

#include <Zydis/Mnemonic.h>

static struct insn decode(unsigned mode, const char *bytes, unsigned size)
{
    struct insn in;
    assert_int_equal(insn_decode(mode, (const uint8_t *)bytes, size, &in), DECODE_OK);
    assert_int_equal(in.length, size);
    return in;
}

#define DECODE(mode, bytes)        decode((mode), (bytes), sizeof(bytes) - 1)
#define DECODE_RESULT(mode, bytes) decode_result((mode), (bytes), sizeof(bytes) - 1)

static enum decode_result decode_result(unsigned mode, const char *bytes, unsigned size)
{
    struct insn in;
    return insn_decode(mode, (const uint8_t *)bytes, size, &in);
}

static void memory_operand_has_base_index_scale_and_displacement(void **state)
{
    (void)state;
    struct insn in = DECODE(MODE_LONG64, "\x4c\x8b\x5c\xd5\xf0"); /* mov r11, [rbp + rdx*8 - 16] */
    assert_int_equal(in.mnemonic, ZYDIS_MNEMONIC_MOV);
    assert_int_equal(in.op[0].kind, OPERAND_GPR);
    assert_int_equal(in.op[0].reg, R11);
    assert_int_equal(in.op[1].kind, OPERAND_MEM);
    assert_int_equal(in.op[1].size_bytes, 8);
    assert_int_equal(in.mem_base, RBP);
    assert_int_equal(in.mem_index, RDX);
    assert_int_equal(in.mem_scale, 8);
    assert_int_equal(in.disp, -16);
    assert_int_equal(in.mem_seg, SEG_SS);
    assert_int_equal(in.modrm, 0x5c);
}

static void rip_relative_and_absolute_addresses_have_their_marks(void **state)
{
    (void)state;
    assert_int_equal(DECODE(MODE_LONG64, "\x8b\x05\x10\x00\x00\x00").mem_base, REG_RIP);
    struct insn in = DECODE(MODE_LONG64, "\x8b\x04\x25\x10\x00\x00\x80");
    assert_int_equal(in.mem_base, REG_NONE);
    assert_int_equal(in.mem_index, REG_NONE);
    assert_int_equal(in.disp, (int64_t)INT32_MIN + 16);
    assert_int_equal(DECODE(MODE_LONG64, "\x48\xa1\x01\x02\x03\x04\x05\x06\x07\x08").disp,
                     0x0807060504030201);
}

static void high_byte_registers_exist_only_without_rex(void **state)
{
    (void)state;
    struct insn in = DECODE(MODE_LONG64, "\x88\xe0"); /* mov al, ah */
    assert_int_equal(in.op[1].kind, OPERAND_HIGH8);
    assert_int_equal(in.op[1].reg, RAX);
    in = DECODE(MODE_LONG64, "\x40\x88\xe0"); /* mov al, spl */
    assert_int_equal(in.op[1].kind, OPERAND_GPR);
    assert_int_equal(in.op[1].reg, RSP);
}

static void immediates_are_sign_extended_to_the_operand(void **state)
{
    (void)state;
    struct insn in = DECODE(MODE_LONG64, "\x48\x83\xc0\xff"); /* add rax, -1 */
    assert_int_equal(in.imm, UINT64_MAX);
    assert_int_equal(in.op[1].kind, OPERAND_IMM);
    assert_int_equal(in.op[1].size_bytes, 8);
    in = DECODE(MODE_LONG64, "\xc8\x34\x12\x03"); /* enter 0x1234, 3 */
    assert_int_equal(in.imm, 0x1234);
    assert_int_equal(in.imm2, 3);
}

static void segment_overrides_apply_to_string_sources_too(void **state)
{
    (void)state;
    assert_int_equal(DECODE(MODE_LONG64, "\x64\xac").mem_seg, SEG_FS);
    assert_int_equal(DECODE(MODE_LONG64, "\x2e\xac").mem_seg, SEG_DS);
    assert_int_equal(DECODE(MODE_PROT32, "\x2e\xac").mem_seg, SEG_CS);
    assert_int_equal(DECODE(MODE_LONG64, "\x65\x8b\x00").mem_seg, SEG_GS);
    assert_int_equal(DECODE(MODE_LONG64, "\x26\x8b\x00").mem_seg, SEG_DS);
}

static void last_of_two_repeat_prefixes_rules(void **state)
{
    (void)state;
    assert_int_equal(DECODE(MODE_LONG64, "\xf2\xf3\xa6").prefixes, PREFIX_REP);
    assert_int_equal(DECODE(MODE_LONG64, "\xf3\xf2\xa6").prefixes, PREFIX_REPNE);
    assert_int_equal(DECODE(MODE_LONG64, "\xf3\x48\xa5").prefixes, PREFIX_REP | PREFIX_REX_W);
    assert_int_equal(DECODE(MODE_LONG64, "\xf0\x48\x01\x00").prefixes, PREFIX_LOCK | PREFIX_REX_W);
}

static void string_and_sse_instructions_of_one_name_have_their_own_rows(void **state)
{
    (void)state;
    struct insn string = DECODE(MODE_LONG64, "\xa5"), sse = DECODE(MODE_LONG64, "\xf2\x0f\x10\xc1");
    assert_int_equal(string.mnemonic, sse.mnemonic);
    assert_int_not_equal(string.row, sse.row);
    assert_true((insn_rows[string.row].flags & INSN_REP) != 0);
    assert_false((insn_rows[sse.row].flags & INSN_REP) != 0);
}

static void forms_of_mov_and_far_transfers_have_their_own_rows(void **state)
{
    (void)state;
    unsigned plain = DECODE(MODE_LONG64, "\x89\xc0").row;
    unsigned segment = DECODE(MODE_LONG64, "\x8e\xd8").row;
    unsigned control = DECODE(MODE_LONG64, "\x0f\x22\xd8").row;
    unsigned debug = DECODE(MODE_LONG64, "\x0f\x23\xf8").row;
    assert_true(plain != segment && plain != control && plain != debug && control != debug);
    assert_int_equal(DECODE(MODE_LONG64, "\x8c\xd8").row, plain); /* from a segment register */
    assert_int_not_equal(DECODE(MODE_LONG64, "\xc3").row, DECODE(MODE_LONG64, "\xcb").row);
    assert_true((insn_rows[segment].flags & INSN_END) != 0);
}

static void near_branches_with_an_operand_prefix_are_16_bits_as_amd_has_it(void **state)
{
    (void)state;
    struct insn in = DECODE(MODE_LONG64, "\x66\xe9\x10\x00");
    assert_int_equal(in.operand_size_bytes, 2);
    assert_int_equal(in.op[0].kind, OPERAND_REL);
    assert_int_equal(in.imm, 0x10);
    assert_int_equal(DECODE(MODE_LONG64, "\x66\xff\xd0").operand_size_bytes, 2);
    assert_int_equal(DECODE(MODE_LONG64, "\x66\xc3").operand_size_bytes, 2);
    assert_int_equal(DECODE(MODE_LONG64, "\xe9\x10\x00\x00\x00").operand_size_bytes, 8);
}

static void address_and_operand_sizes_follow_the_mode(void **state)
{
    (void)state;
    struct insn in = DECODE(MODE_PROT16, "\x8b\x46\x80"); /* mov ax, [bp - 128] */
    assert_int_equal(in.operand_size_bytes, 2);
    assert_int_equal(in.address_size_bytes, 2);
    assert_int_equal(in.mem_seg, SEG_SS);
    assert_int_equal(DECODE(MODE_REAL, "\x66\x89\xc0").operand_size_bytes, 4);
    assert_int_equal(DECODE(MODE_PROT32, "\x67\x8b\x07").address_size_bytes, 2);
    assert_int_equal(DECODE(MODE_LONG64, "\x67\x8b\x07").address_size_bytes, 4);
}

static void absent_extensions_are_undefined_and_lock_is_checked(void **state)
{
    (void)state;
    assert_int_equal(DECODE_RESULT(MODE_LONG64, "\xc5\xf8\x77"), DECODE_UD);         /* vzeroupper */
    assert_int_equal(DECODE_RESULT(MODE_LONG64, "\x0f\x0f\xc0\x9e"), DECODE_UD);     /* pfadd */
    assert_int_equal(DECODE_RESULT(MODE_LONG64, "\x66\x0f\x38\xdc\xc0"), DECODE_UD); /* aesenc */
    assert_int_equal(DECODE_RESULT(MODE_LONG64, "\x0f\x38\xc8\xc1"), DECODE_UD);     /* sha1nexte */
    assert_int_equal(DECODE_RESULT(MODE_LONG64, "\xf0\x01\xc0"), DECODE_UD);         /* lock add eax, eax */
    assert_int_equal(DECODE_RESULT(MODE_LONG64, "\xd4\x0a"), DECODE_UD);             /* aam */
    assert_int_equal(DECODE_RESULT(MODE_LONG64, "\x06"), DECODE_UD);                 /* push es */
}

static void bmi_and_adx_are_present(void **state)
{
    (void)state;
    assert_int_equal(DECODE(MODE_LONG64, "\xc4\xe2\xf8\xf2\xc1").mnemonic, ZYDIS_MNEMONIC_ANDN);
    assert_int_equal(DECODE(MODE_LONG64, "\xc4\xe2\xfb\xf6\xc1").mnemonic, ZYDIS_MNEMONIC_MULX);
    assert_int_equal(DECODE(MODE_LONG64, "\x66\x48\x0f\x38\xf6\xc1").mnemonic, ZYDIS_MNEMONIC_ADCX);
    assert_int_equal(DECODE(MODE_LONG64, "\xf3\x0f\x1e\xfa").mnemonic, ZYDIS_MNEMONIC_NOP);
}

static void cut_instructions_ask_for_more_and_long_ones_are_refused(void **state)
{
    (void)state;
    assert_int_equal(DECODE_RESULT(MODE_LONG64, "\x48\xb8\x01\x02"), DECODE_SHORT);
    assert_int_equal(DECODE_RESULT(MODE_LONG64, "\x66"), DECODE_SHORT);
    assert_int_equal(
        DECODE_RESULT(MODE_LONG64, "\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x90"),
        DECODE_LONG);
}

static void every_row_has_a_function_and_its_own_place(void **state)
{
    (void)state;
    for (unsigned i = 1; i < insn_row_count; i++) {
        assert_non_null(insn_rows[i].exec);
        assert_true(insn_rows[i].mnemonic <= ZYDIS_MNEMONIC_MAX_VALUE);
        assert_true(insn_rows[i].cost < COST_CLASS_COUNT);
        assert_int_equal(insn_rows[i].undefined & ~RFLAGS_STATUS, 0);
    }
}

static void only_a_single_immediate_at_the_end_is_marked(void **state)
{
    (void)state;
    assert_int_equal(DECODE(MODE_LONG64, "\xb8\x01\x02\x03\x04").imm_bytes, 4);       /* mov eax, imm32 */
    assert_int_equal(DECODE(MODE_LONG64, "\x48\xb8\1\2\3\4\5\6\7\x88").imm_bytes, 8); /* mov rax, imm64 */
    assert_int_equal(DECODE(MODE_LONG64, "\x48\x83\xc0\xff").imm_bytes, 1);           /* add rax, -1 */
    assert_int_equal(DECODE(MODE_LONG64, "\xe9\x01\x02\x03\x84").imm_bytes, 4);       /* jmp */
    assert_int_equal(DECODE(MODE_LONG64, "\xc8\x10\x00\x00").imm_bytes, 0);           /* enter 16, 0 */
    assert_int_equal(DECODE(MODE_LONG64, "\x8b\x05\x10\x00\x00\x00").imm_bytes, 0);   /* mov eax, [rip + n] */
    assert_int_equal(DECODE(MODE_LONG64, "\x48\xa1\1\2\3\4\5\6\7\x08").imm_bytes, 0); /* mov rax, [n] */
    assert_int_equal(DECODE(MODE_PROT32, "\xea\x10\x00\x00\x00\x08\x00").imm_bytes, 0); /* jmp far */
}

/* What insn_immediate reads is all that other immediate bytes change. */
static void nothing_but_the_immediate_depends_on_its_bytes(void **state)
{
    (void)state;
    struct rng r;
    unsigned seen = 0;
    rng_init(&r, 11, 0);
    for (unsigned i = 0; i < 400000; i++) {
        struct insn a, b;
        uint8_t bytes[15];
        unsigned mode = MODE_PROT16 + i % 3;
        for (unsigned n = 0; n < sizeof bytes; n++) {
            bytes[n] = (uint8_t)rng_next(&r);
        }
        if (insn_decode(mode, bytes, sizeof bytes, &a) != DECODE_OK || a.imm_bytes == 0) {
            continue;
        }
        for (unsigned n = a.length - a.imm_bytes; n < a.length; n++) {
            bytes[n] = (uint8_t)rng_next(&r);
        }
        assert_int_equal(insn_decode(mode, bytes, sizeof bytes, &b), DECODE_OK);
        a.imm = insn_immediate(&a, bytes);
        memcpy(a.bytes, bytes, a.length);
        assert_memory_equal(&a, &b, sizeof a);
        seen++;
    }
    assert_true(seen > 10000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_operand_has_base_index_scale_and_displacement),
        cmocka_unit_test(rip_relative_and_absolute_addresses_have_their_marks),
        cmocka_unit_test(high_byte_registers_exist_only_without_rex),
        cmocka_unit_test(immediates_are_sign_extended_to_the_operand),
        cmocka_unit_test(segment_overrides_apply_to_string_sources_too),
        cmocka_unit_test(last_of_two_repeat_prefixes_rules),
        cmocka_unit_test(string_and_sse_instructions_of_one_name_have_their_own_rows),
        cmocka_unit_test(forms_of_mov_and_far_transfers_have_their_own_rows),
        cmocka_unit_test(near_branches_with_an_operand_prefix_are_16_bits_as_amd_has_it),
        cmocka_unit_test(address_and_operand_sizes_follow_the_mode),
        cmocka_unit_test(absent_extensions_are_undefined_and_lock_is_checked),
        cmocka_unit_test(bmi_and_adx_are_present),
        cmocka_unit_test(cut_instructions_ask_for_more_and_long_ones_are_refused),
        cmocka_unit_test(every_row_has_a_function_and_its_own_place),
        cmocka_unit_test(only_a_single_immediate_at_the_end_is_marked),
        cmocka_unit_test(nothing_but_the_immediate_depends_on_its_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
