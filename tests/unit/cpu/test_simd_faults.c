/*
 * What vector instructions refuse, in which order, and that a refused one changes nothing; and that
 * insn_sse.def has a row for every MMX and SSE instruction that the decoder knows.
 */
#include "simd_fixture.h"
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { MEMORY_BYTES = 64 };

static struct cpu *cpu;
static uint8_t *memory; /* at DATA_AT */

/* Instructions as bytes; memory operands are (%rdi). */
static const uint8_t addps_rr[] = {0x0f, 0x58, 0xc1}, addps_rm[] = {0x0f, 0x58, 0x07},
                     movaps_rm[] = {0x0f, 0x28, 0x07}, movaps_mr[] = {0x0f, 0x29, 0x07},
                     movups_rm[] = {0x0f, 0x10, 0x07}, movss_rm[] = {0xf3, 0x0f, 0x10, 0x07},
                     paddb_mm[] = {0x0f, 0xfc, 0xc1}, paddb_mm_m[] = {0x0f, 0xfc, 0x07},
                     pxor_rm[] = {0x66, 0x0f, 0xef, 0x07},
                     pcmpistri_rm[] = {0x66, 0x0f, 0x3a, 0x63, 0x07, 0x0c},
                     lddqu_rm[] = {0xf2, 0x0f, 0xf0, 0x07}, movntdq_mr[] = {0x66, 0x0f, 0xe7, 0x07},
                     movntdqa_rm[] = {0x66, 0x0f, 0x38, 0x2a, 0x07}, divsd_rr[] = {0xf2, 0x0f, 0x5e, 0xc1},
                     ldmxcsr[] = {0x0f, 0xae, 0x17}, emms[] = {0x0f, 0x77}, movnti[] = {0x0f, 0xc3, 0x07},
                     prefetcht0[] = {0x0f, 0x18, 0x0f}, clflush[] = {0x0f, 0xae, 0x3f},
                     maskmovdqu[] = {0x66, 0x0f, 0xf7, 0xc1}, movdq2q[] = {0xf2, 0x0f, 0xd6, 0xc1},
                     cvtpi2ps_rr[] = {0x0f, 0x2a, 0xc1}, cvtpi2ps_rm[] = {0x0f, 0x2a, 0x07};

static int reset(void **state)
{
    (void)state;
    cpu = simd_cpu(&memory);
    for (unsigned i = 0; i < MEMORY_BYTES; i++) {
        memory[i] = (uint8_t)(i + 1);
    }
    cpu->gpr[RDI] = DATA_AT;
    for (unsigned i = 0; i < 16; i++) {
        cpu->xmm[i] = xmm_make(0x1111 * i, UINT64_C(0x3ff0000000000000) + i);
    }
    return 0;
}

static int done(void **state)
{
    (void)state;
    fixture_deinit(&simd_fixture);
    return 0;
}

static enum flow run(const uint8_t *bytes, unsigned size_bytes)
{
    uint8_t code[15] = {0};
    struct insn insn;
    memcpy(code, bytes, size_bytes);
    return cpu_execute(cpu, code, &insn);
}

#define RUN(code) run(code, sizeof(code))

static void expect_fault(const uint8_t *bytes, unsigned size_bytes, enum vector vector)
{
    static struct cpu before;
    before = *cpu;
    assert_int_equal(run(bytes, size_bytes), FLOW_FAULT);
    assert_int_equal(cpu->fault.vector, vector);
    assert_int_equal(cpu->fault.has_error, vector == VECTOR_GP || vector == VECTOR_PF);
    assert_memory_equal(before.xmm, cpu->xmm, sizeof cpu->xmm);
    assert_memory_equal(before.gpr, cpu->gpr, sizeof cpu->gpr);
    assert_memory_equal(&before.x87, &cpu->x87, sizeof cpu->x87);
}

#define EXPECT_FAULT(code, vector) expect_fault(code, sizeof(code), vector)
#define EXPECT_DONE(code)          assert_int_equal(RUN(code), FLOW_NEXT)

static void task_switched_gives_nm_to_both_register_files(void **state)
{
    (void)state;
    cpu->cr0 |= CR0_TS;
    EXPECT_FAULT(addps_rr, VECTOR_NM);
    EXPECT_FAULT(movaps_mr, VECTOR_NM);
    EXPECT_FAULT(paddb_mm, VECTOR_NM);
    EXPECT_FAULT(emms, VECTOR_NM);
    EXPECT_FAULT(ldmxcsr, VECTOR_NM);
    EXPECT_DONE(movnti);
    EXPECT_DONE(prefetcht0);
    EXPECT_DONE(clflush);
}

static void emulation_gives_ud_before_nm(void **state)
{
    (void)state;
    cpu->cr0 |= CR0_EM | CR0_TS;
    EXPECT_FAULT(addps_rr, VECTOR_UD);
    EXPECT_FAULT(paddb_mm, VECTOR_UD);
    EXPECT_FAULT(emms, VECTOR_UD);
    EXPECT_DONE(movnti);
}

static void without_osfxsr_only_the_xmm_forms_are_undefined(void **state)
{
    (void)state;
    cpu->cr4 = 0;
    EXPECT_FAULT(addps_rr, VECTOR_UD);
    EXPECT_FAULT(ldmxcsr, VECTOR_UD);
    EXPECT_FAULT(movdq2q, VECTOR_UD);
    EXPECT_DONE(paddb_mm);
    EXPECT_DONE(movnti);
}

static void a_pending_x87_exception_stops_mmx_instructions_and_spares_xmm_ones(void **state)
{
    (void)state;
    cpu->x87.fsw = FSW_ES | FSW_B | 1;
    cpu->x87.fcw = 0x37e;
    EXPECT_FAULT(paddb_mm, VECTOR_MF);
    EXPECT_FAULT(emms, VECTOR_MF);
    EXPECT_FAULT(movdq2q, VECTOR_MF);
    EXPECT_FAULT(cvtpi2ps_rr, VECTOR_MF);
    EXPECT_DONE(cvtpi2ps_rm);
    EXPECT_DONE(addps_rr);
    cpu->gpr[RDI] = UNMAPPED_AT;
    EXPECT_FAULT(paddb_mm_m, VECTOR_MF);
    cpu->cr0 &= ~CR0_NE;
    assert_int_equal(RUN(paddb_mm), FLOW_STOP);
}

static void sixteen_byte_operands_must_be_aligned_except_where_the_manual_says(void **state)
{
    (void)state;
    cpu->gpr[RDI] += 8;
    EXPECT_FAULT(addps_rm, VECTOR_GP);
    EXPECT_FAULT(pxor_rm, VECTOR_GP);
    EXPECT_FAULT(movaps_rm, VECTOR_GP);
    EXPECT_FAULT(movaps_mr, VECTOR_GP);
    EXPECT_FAULT(movntdq_mr, VECTOR_GP);
    EXPECT_FAULT(movntdqa_rm, VECTOR_GP);
    cpu->gpr[RDI] += 1;
    EXPECT_DONE(movups_rm);
    assert_memory_equal(&cpu->xmm[0], memory + 9, 16);
    EXPECT_DONE(lddqu_rm);
    EXPECT_DONE(pcmpistri_rm);
    EXPECT_DONE(movss_rm);
}

static void a_memory_fault_changes_no_register(void **state)
{
    (void)state;
    cpu->gpr[RDI] = UNMAPPED_AT;
    EXPECT_FAULT(addps_rm, VECTOR_PF);
    EXPECT_FAULT(movups_rm, VECTOR_PF);
    EXPECT_FAULT(paddb_mm_m, VECTOR_PF);
    EXPECT_FAULT(ldmxcsr, VECTOR_PF);
    EXPECT_FAULT(clflush, VECTOR_PF);
    EXPECT_DONE(prefetcht0);
}

static void an_unmasked_float_exception_sets_its_flag_and_keeps_the_destination(void **state)
{
    (void)state;
    cpu->xmm[1] = xmm_make(0, 0);
    cpu->mxcsr = MXCSR_RESET & ~(FP_ZE << 7);
    EXPECT_FAULT(divsd_rr, VECTOR_XM);
    assert_int_equal(cpu->mxcsr, (MXCSR_RESET & ~(FP_ZE << 7)) | FP_ZE);
    cpu->cr4 &= ~CR4_OSXMMEXCPT;
    EXPECT_FAULT(divsd_rr, VECTOR_UD);
    cpu->mxcsr = MXCSR_RESET;
    EXPECT_DONE(divsd_rr);
    assert_true(cpu->xmm[0].u64[0] == UINT64_C(0x7ff0000000000000));
}

static void ldmxcsr_refuses_reserved_bits_and_keeps_the_old_value(void **state)
{
    (void)state;
    store_le32(memory, 0x10000);
    EXPECT_FAULT(ldmxcsr, VECTOR_GP);
    assert_int_equal(cpu->mxcsr, MXCSR_RESET);
    store_le32(memory, 0xffff);
    EXPECT_DONE(ldmxcsr);
    assert_int_equal(cpu->mxcsr, 0xffff);
}

static void a_masked_store_that_faults_has_stored_nothing(void **state)
{
    (void)state;
    uint8_t before[16];
    uint8_t *end = memory + PAGE_SIZE_BYTES - 15; /* the last byte of 16 lies on the unmapped page */
    memcpy(before, end, 15);
    cpu->gpr[RDI] = UNMAPPED_AT - 15;
    cpu->xmm[1] = xmm_make(UINT64_C(0x8000000000000000), 0x80);
    EXPECT_FAULT(maskmovdqu, VECTOR_PF);
    assert_memory_equal(before, end, 15);
    cpu->xmm[0] = xmm_make(0, 0x5a00);
    cpu->xmm[1] = xmm_make(0, 0x8000);
    EXPECT_FAULT(maskmovdqu, VECTOR_PF); /* the byte beyond is not selected: test_silicon.c */
    cpu->gpr[RDI] = UNMAPPED_AT - 16;
    EXPECT_DONE(maskmovdqu);
    before[0] = 0x5a;
    assert_memory_equal(before, end, 15);
}

/* Vector instructions by their set that other tables hold (insn_sse.def names them). */
static bool is_elsewhere(ZydisMnemonic mnemonic)
{
    static const ZydisMnemonic elsewhere[] = {
        ZYDIS_MNEMONIC_CRC32,  ZYDIS_MNEMONIC_POPCNT,  ZYDIS_MNEMONIC_FISTTP,   ZYDIS_MNEMONIC_LFENCE,
        ZYDIS_MNEMONIC_MFENCE, ZYDIS_MNEMONIC_SFENCE,  ZYDIS_MNEMONIC_MONITOR,  ZYDIS_MNEMONIC_MWAIT,
        ZYDIS_MNEMONIC_FXSAVE, ZYDIS_MNEMONIC_FXRSTOR, ZYDIS_MNEMONIC_FXSAVE64, ZYDIS_MNEMONIC_FXRSTOR64,
        ZYDIS_MNEMONIC_PAUSE,
    };
    for (unsigned i = 0; i < sizeof elsewhere / sizeof elsewhere[0]; i++) {
        if (elsewhere[i] == mnemonic) {
            return true;
        }
    }
    return false;
}

static bool is_vector_set(ZydisISAExt extension)
{
    return extension == ZYDIS_ISA_EXT_MMX || extension == ZYDIS_ISA_EXT_SSE ||
           extension == ZYDIS_ISA_EXT_SSE2 || extension == ZYDIS_ISA_EXT_SSE3 ||
           extension == ZYDIS_ISA_EXT_SSSE3 || extension == ZYDIS_ISA_EXT_SSE4 ||
           extension == ZYDIS_ISA_EXT_SSE4A;
}

static unsigned check_encoding(const ZydisDecoder *decoder, const uint8_t *code, unsigned size_bytes)
{
    ZydisDecodedInstruction z;
    if (ZYAN_FAILED(ZydisDecoderDecodeInstruction(decoder, NULL, code, size_bytes, &z)) ||
        !is_vector_set(z.meta.isa_ext) || is_elsewhere(z.mnemonic)) {
        return 0;
    }
    if (insn_row_find(z.mnemonic, FORM_PLAIN) == INSN_ROW_NONE) {
        fail_msg("no row for %s", ZydisMnemonicGetString(z.mnemonic));
    }
    return 1;
}

static void every_vector_instruction_of_the_decoder_has_a_row(void **state)
{
    (void)state;
    static const uint8_t prefixes[] = {0x90, 0x66, 0xf2, 0xf3};
    ZydisDecoder decoder;
    unsigned found = 0;
    ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    for (unsigned n = 0; n < 4 * 2 * 3 * 256 * 256; n++) {
        unsigned opcode = n & 0xff, modrm = n >> 8 & 0xff, prefix = n >> 16 & 3, rex = n >> 18 & 1,
                 map = n >> 19;
        uint8_t code[15] = {0};
        unsigned at = 0;
        if (prefix) {
            code[at++] = prefixes[prefix];
        }
        code[at++] = rex ? 0x48 : 0x40;
        code[at++] = 0x0f;
        if (map) {
            code[at++] = map == 1 ? 0x38 : 0x3a;
        }
        code[at++] = (uint8_t)opcode;
        code[at] = (uint8_t)modrm;
        found += check_encoding(&decoder, code, sizeof code);
    }
    assert_true(found > 50000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(task_switched_gives_nm_to_both_register_files, reset, done),
        cmocka_unit_test_setup_teardown(emulation_gives_ud_before_nm, reset, done),
        cmocka_unit_test_setup_teardown(without_osfxsr_only_the_xmm_forms_are_undefined, reset, done),
        cmocka_unit_test_setup_teardown(a_pending_x87_exception_stops_mmx_instructions_and_spares_xmm_ones,
                                        reset, done),
        cmocka_unit_test_setup_teardown(sixteen_byte_operands_must_be_aligned_except_where_the_manual_says,
                                        reset, done),
        cmocka_unit_test_setup_teardown(a_memory_fault_changes_no_register, reset, done),
        cmocka_unit_test_setup_teardown(an_unmasked_float_exception_sets_its_flag_and_keeps_the_destination,
                                        reset, done),
        cmocka_unit_test_setup_teardown(ldmxcsr_refuses_reserved_bits_and_keeps_the_old_value, reset, done),
        cmocka_unit_test_setup_teardown(a_masked_store_that_faults_has_stored_nothing, reset, done),
        cmocka_unit_test_setup_teardown(every_vector_instruction_of_the_decoder_has_a_row, reset, done),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
