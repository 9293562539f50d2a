/* Control and debug registers, descriptor tables, ports, and the other system instructions. */

#include "cpu/debug_regs.h"
#include "sys_fixture.h"

#define TO_CR0   "\x0f\x22\xc0" /* MOV CRn, RAX */
#define TO_CR3   "\x0f\x22\xd8"
#define TO_CR4   "\x0f\x22\xe0"
#define TO_CR8   "\x44\x0f\x22\xc0"
#define FROM_CR8 "\x44\x0f\x20\xc0"

static enum flow write_cr(struct sys *s, const char *bytes, unsigned size_bytes, uint64_t value)
{
    s->cpu.gpr[RAX] = value;
    return execute(s, bytes, size_bytes);
}

#define WRITE_CR(s, bytes, value) write_cr((s), (bytes), sizeof(bytes) - 1, (value))

static void cr0_refuses_impossible_combinations(void **state)
{
    struct sys *s = *state;
    enter_long(s);
    uint64_t cr0 = s->cpu.cr0;
    uint64_t refused[] = {cr0 & ~CR0_PE, cr0 | CR0_NW, cr0 & ~CR0_PG, cr0 | BIT(32)};
    for (unsigned i = 0; i < 4; i++) {
        assert_fault(s, WRITE_CR(s, TO_CR0, refused[i]), VECTOR_GP, 0);
        assert_int_equal(s->cpu.cr0, cr0);
    }
    assert_int_equal(WRITE_CR(s, TO_CR0, cr0 | CR0_NW | CR0_CD | BIT(6) | BIT(17)), FLOW_NEXT);
    assert_int_equal(s->cpu.cr0, cr0 | CR0_NW | CR0_CD);
    assert_int_equal(WRITE_CR(s, TO_CR0, cr0 & ~CR0_ET), FLOW_NEXT);
    assert_int_equal(s->cpu.cr0, cr0);
}

static void paging_under_lme_makes_long_mode(void **state)
{
    struct sys *s = *state;
    enter_protected(s);
    poke(s, PML4_AT, PDPT_AT | 7, 8);
    poke(s, PDPT_AT, 0x87, 8);
    s->cpu.cr3 = PML4_AT;
    s->cpu.efer = EFER_LME;
    assert_fault(s, WRITE_CR(s, TO_CR0, s->cpu.cr0 | CR0_PG), VECTOR_GP, 0); /* PAE clear */
    s->cpu.cr4 = CR4_PAE;
    s->cpu.seg[SEG_CS].attr |= SEG_L;
    assert_fault(s, WRITE_CR(s, TO_CR0, s->cpu.cr0 | CR0_PG), VECTOR_GP, 0); /* CS.L set */
    s->cpu.seg[SEG_CS].attr &= (uint16_t)~SEG_L;
    assert_int_equal(WRITE_CR(s, TO_CR0, s->cpu.cr0 | CR0_PG), FLOW_NEXT);
    assert_int_equal(s->cpu.efer, EFER_LME | EFER_LMA);
    assert_int_equal(s->cpu.mode, MODE_PROT32);
    assert_int_equal(WRITE_CR(s, TO_CR0, s->cpu.cr0 & ~CR0_PG), FLOW_NEXT);
    assert_int_equal(s->cpu.efer, EFER_LME);
}

static void legacy_pae_paging_checks_the_pdptes(void **state)
{
    struct sys *s = *state;
    enter_protected(s);
    s->cpu.cr3 = DATA_AT;
    s->cpu.cr4 = CR4_PAE;
    poke(s, DATA_AT, BIT(63) | 1, 8);
    assert_fault(s, WRITE_CR(s, TO_CR0, s->cpu.cr0 | CR0_PG), VECTOR_GP, 0);
    assert_int_equal(s->cpu.cr0 & CR0_PG, 0);
    poke(s, DATA_AT, DATA_AT | 1, 8);
    assert_int_equal(WRITE_CR(s, TO_CR0, s->cpu.cr0 | CR0_PG), FLOW_NEXT);
}

static void cr4_accepts_only_what_cpuid_reports(void **state)
{
    struct sys *s = *state;
    enter_long(s);
    assert_fault(s, WRITE_CR(s, TO_CR4, 0), VECTOR_GP, 0); /* PAE in long mode */
    uint64_t refused[] = {CR4_VME, CR4_PVI, BIT(12), BIT(13), BIT(22), BIT(23), BIT(63)};
    for (unsigned i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        assert_fault(s, WRITE_CR(s, TO_CR4, CR4_PAE | refused[i]), VECTOR_GP, 0);
    }
    assert_int_equal(WRITE_CR(s, TO_CR4, CR4_PAE | CR4_SMEP | CR4_SMAP | CR4_UMIP | CR4_OSXSAVE), FLOW_NEXT);
    assert_true(cpuid_model_init(&s->model, "-smep", 1, NULL));
    assert_fault(s, WRITE_CR(s, TO_CR4, CR4_PAE | CR4_SMEP), VECTOR_GP, 0);
}

static void pcide_needs_long_mode_and_pcid_0(void **state)
{
    struct sys *s = *state;
    enter_protected(s);
    assert_fault(s, WRITE_CR(s, TO_CR4, CR4_PAE | CR4_PCIDE), VECTOR_GP, 0);
    enter_long(s);
    s->cpu.cr3 |= 8;
    assert_fault(s, WRITE_CR(s, TO_CR4, CR4_PAE | CR4_PCIDE), VECTOR_GP, 0);
    s->cpu.cr3 = PML4_AT;
    assert_int_equal(WRITE_CR(s, TO_CR4, CR4_PAE | CR4_PCIDE), FLOW_NEXT);
    assert_int_equal(WRITE_CR(s, TO_CR3, PML4_AT | BIT(63) | 5), FLOW_NEXT);
    assert_int_equal(s->cpu.cr3, PML4_AT | 5);
    assert_fault(s, WRITE_CR(s, TO_CR3, BIT(46)), VECTOR_GP, 0);
    assert_int_equal(WRITE_CR(s, TO_CR4, CR4_PAE), FLOW_NEXT);
    assert_fault(s, WRITE_CR(s, TO_CR3, PML4_AT | BIT(63)), VECTOR_GP, 0);
}

static void cr8_is_the_task_priority(void **state)
{
    struct sys *s = *state;
    enter_long(s);
    assert_int_equal(WRITE_CR(s, TO_CR8, 9), FLOW_NEXT);
    assert_int_equal(lapic_cr8(&s->lapic), 9);
    assert_true(s->cpu.chain_break);
    assert_int_equal(EXECUTE(s, FROM_CR8), FLOW_NEXT);
    assert_int_equal(s->cpu.gpr[RAX], 9);
    assert_fault(s, WRITE_CR(s, TO_CR8, 16), VECTOR_GP, 0);
}

static void lmsw_sets_pe_and_cannot_clear_it(void **state)
{
    struct sys *s = *state;
    s->cpu.gpr[RAX] = 0xffff;
    assert_int_equal(EXECUTE(s, "\x0f\x01\xf0"), FLOW_NEXT);
    assert_int_equal(s->cpu.cr0 & 0x1f, 0x1f);
    s->cpu.gpr[RAX] = 0;
    assert_int_equal(EXECUTE(s, "\x0f\x01\xf0"), FLOW_NEXT);
    assert_int_equal(s->cpu.cr0 & 0x1f, 0x11);
}

static void debug_registers_keep_their_fixed_bits(void **state)
{
    struct sys *s = *state;
    enter_long(s);
    s->cpu.gpr[RAX] = 0xffffffff & ~DR7_GD;
    assert_int_equal(EXECUTE(s, "\x0f\x23\xf8"), FLOW_NEXT); /* DR7 */
    assert_int_equal(s->cpu.dr7, 0xffff07ff);
    s->cpu.gpr[RAX] = 0;
    assert_int_equal(EXECUTE(s, "\x0f\x23\xf0"), FLOW_NEXT); /* DR6 */
    assert_int_equal(EXECUTE(s, "\x0f\x21\xe1"), FLOW_NEXT); /* RCX = DR4 = DR6 */
    assert_int_equal(s->cpu.gpr[RCX], 0xffff0ff0);
    s->cpu.gpr[RAX] = BIT(32);
    assert_fault(s, EXECUTE(s, "\x0f\x23\xf0"), VECTOR_GP, 0);
    s->cpu.cr4 |= CR4_DE;
    assert_fault(s, EXECUTE(s, "\x0f\x21\xe1"), VECTOR_UD, 0);
    s->cpu.dr7 |= DR7_GD;
    assert_fault(s, EXECUTE(s, "\x0f\x21\xc1"), VECTOR_DB, 0);
    assert_int_equal(s->cpu.fault.dr6, DR6_BD);
}

static void lgdt_truncates_the_base_to_24_bits_with_a_word_operand(void **state)
{
    struct sys *s = *state;
    enter_real(s);
    poke(s, DATA_AT, 0x12345678abcd, 6);
    s->cpu.seg[SEG_DS].base = DATA_AT;
    assert_int_equal(EXECUTE(s, "\x0f\x01\x16\x00\x00"), FLOW_NEXT);
    assert_int_equal(s->cpu.gdtr.limit, 0xabcd);
    assert_int_equal(s->cpu.gdtr.base, 0x345678);
    assert_int_equal(EXECUTE(s, "\x66\x0f\x01\x16\x00\x00"), FLOW_NEXT);
    assert_int_equal(s->cpu.gdtr.base, 0x12345678);
}

static void ltr_marks_the_tss_busy_and_takes_a_64_bit_base(void **state)
{
    struct sys *s = *state;
    enter_long(s);
    poke(s, GDT_AT + SEL_TSS + 8, 0xffff8000, 8);
    s->cpu.gpr[RAX] = SEL_TSS;
    assert_int_equal(EXECUTE(s, "\x0f\x00\xd8"), FLOW_NEXT);
    assert_int_equal(s->cpu.tr.base, 0xffff800000003000);
    assert_int_equal(peek(s, GDT_AT + SEL_TSS + 5, 1), 0x8b);
    assert_fault(s, EXECUTE(s, "\x0f\x00\xd8"), VECTOR_GP, SEL_TSS);
    s->cpu.gpr[RAX] = SEL_LDT;
    assert_fault(s, EXECUTE(s, "\x0f\x00\xd8"), VECTOR_GP, SEL_LDT);
    put_descriptor(s, SEL_LDT, LDT_AT, 15, 0x0002);
    assert_fault(s, EXECUTE(s, "\x0f\x00\xd0"), VECTOR_NP, SEL_LDT); /* LLDT */
    poke(s, GDT_AT + SEL_LDT + 8, 0x8000, 8);
    put_descriptor(s, SEL_LDT, LDT_AT, 15, 0x0082);
    assert_fault(s, EXECUTE(s, "\x0f\x00\xd0"), VECTOR_GP, SEL_LDT); /* base not canonical */
}

static void umip_hides_the_tables_from_level_3(void **state)
{
    struct sys *s = *state;
    enter_long(s);
    s->cpu.cr4 |= CR4_UMIP;
    s->cpu.gpr[RAX] = DATA_AT;
    assert_int_equal(EXECUTE(s, "\x0f\x01\x00"), FLOW_NEXT); /* SGDT [RAX] */
    assert_int_equal(peek(s, DATA_AT, 2), 0xff);
    assert_int_equal(peek(s, DATA_AT + 2, 8), GDT_AT);
    set_level(s, SEL_CODE64, 3);
    assert_fault(s, EXECUTE(s, "\x0f\x01\x00"), VECTOR_GP, 0); /* SGDT */
    assert_fault(s, EXECUTE(s, "\x0f\x01\x08"), VECTOR_GP, 0); /* SIDT */
    assert_fault(s, EXECUTE(s, "\x0f\x00\xc0"), VECTOR_GP, 0); /* SLDT */
    assert_fault(s, EXECUTE(s, "\x0f\x00\xc8"), VECTOR_GP, 0); /* STR */
    assert_fault(s, EXECUTE(s, "\x0f\x01\xe0"), VECTOR_GP, 0); /* SMSW */
}

static void lsl_with_a_word_operand_keeps_the_upper_bits(void **state)
{
    struct sys *s = *state;
    enter_protected(s);
    s->cpu.gpr[RAX] = 0x99999999;
    s->cpu.gpr[RCX] = SEL_DATA;
    assert_int_equal(EXECUTE(s, "\x66\x0f\x03\xc1"), FLOW_NEXT);
    assert_int_equal(s->cpu.gpr[RAX], 0x9999ffff);
    assert_true(flags_zf(&s->cpu));
    s->cpu.gpr[RCX] = 0x200; /* beyond the table: no fault */
    assert_int_equal(EXECUTE(s, "\x66\x0f\x03\xc1"), FLOW_NEXT);
    assert_false(flags_zf(&s->cpu));
}

static void system_type_sets_of_lar_differ_by_mode(void **state)
{
    static const struct {
        unsigned type;
        bool legacy_mode, long_mode;
    } cases[] = {{1, true, false},  {2, true, true}, {3, true, false}, {4, true, false}, {5, true, false},
                 {6, false, false}, {9, true, true}, {11, true, true}, {12, true, true}, {14, false, false}};
    struct sys *s = *state;
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (unsigned mode = 0; mode < 2; mode++) {
            mode ? enter_long(s) : enter_protected(s);
            put_descriptor(s, SEL_FREE, 0, 0, 0x80 | cases[i].type);
            s->cpu.gpr[RCX] = SEL_FREE;
            assert_int_equal(EXECUTE(s, "\x0f\x02\xc1"), FLOW_NEXT);
            assert_int_equal(flags_zf(&s->cpu), mode ? cases[i].long_mode : cases[i].legacy_mode);
            s->cpu.efer = s->cpu.cr0 = 0;
        }
    }
}

static void lar_in_long_mode_looks_at_the_upper_half_of_a_system_descriptor(void **state)
{
    struct sys *s = *state;
    enter_long(s);
    put_descriptor(s, SEL_FREE, 0, 0, 0x8c);
    s->cpu.gpr[RCX] = SEL_FREE;
    poke(s, GDT_AT + SEL_FREE + 8, BIT(40), 8);
    assert_int_equal(EXECUTE(s, "\x0f\x02\xc1"), FLOW_NEXT);
    assert_false(flags_zf(&s->cpu));
    poke(s, GDT_AT + SEL_FREE + 8, 0, 8);
    assert_int_equal(EXECUTE(s, "\x0f\x02\xc1"), FLOW_NEXT);
    assert_true(flags_zf(&s->cpu));
    s->cpu.gdtr.limit = SEL_FREE + 7;
    assert_int_equal(EXECUTE(s, "\x0f\x02\xc1"), FLOW_NEXT);
    assert_false(flags_zf(&s->cpu));
}

static void io_bitmap_reads_two_bytes_within_the_limit(void **state)
{
    struct sys *s = *state;
    enter_long(s);
    set_level(s, SEL_CODE64, 3);
    poke(s, TSS_AT + 0x68, 0, 2); /* ports 0..15 */
    s->cpu.gpr[RDX] = 15;
    assert_int_equal(EXECUTE(s, "\xec"), FLOW_NEXT);
    assert_int_equal(s->cpu.gpr[RAX] & 0xff, 0xff); /* nobody there */
    assert_true(s->cpu.chain_break);
    assert_fault(s, EXECUTE(s, "\x66\xed"), VECTOR_GP, 0); /* 15 and 16 */
    s->cpu.gpr[RDX] = 0xf8; /* its byte is the last of the TSS: the second byte is not there */
    poke(s, TSS_AT + 0x87, 0, 1);
    assert_fault(s, EXECUTE(s, "\xec"), VECTOR_GP, 0);
    s->cpu.rflags |= RFLAGS_IOPL;
    assert_int_equal(EXECUTE(s, "\xec"), FLOW_NEXT);
}

static void rep_ins_is_one_iteration_a_call_and_proves_the_page_first(void **state)
{
    struct sys *s = *state;
    enter_long(s);
    s->cpu.gpr[RCX] = 2;
    s->cpu.gpr[RDI] = DATA_AT;
    assert_int_equal(EXECUTE(s, "\xf3\x6c"), FLOW_REPEAT);
    assert_int_equal(s->cpu.gpr[RDI], DATA_AT + 1);
    assert_int_equal(EXECUTE(s, "\xf3\x6c"), FLOW_NEXT);
    assert_int_equal(s->cpu.gpr[RCX], 0);
    assert_int_equal(peek(s, DATA_AT, 2), 0xffff);
    assert_int_equal(EXECUTE(s, "\xf3\x6c"), FLOW_NEXT);
    assert_int_equal(s->cpu.gpr[RDI], DATA_AT + 2);
    s->cpu.gpr[RCX] = 1;
    s->cpu.gpr[RDI] = 0x40000000;
    s->cpu.chain_break = false;
    assert_fault(s, EXECUTE(s, "\xf3\x6c"), VECTOR_PF, PF_W);
    assert_false(s->cpu.chain_break); /* the port was not read */
}

static void ins_checks_alignment_before_it_reads_the_port(void **state)
{
    struct sys *s = *state;
    enter_long(s);
    set_level(s, SEL_CODE64, 3);
    s->cpu.cr0 |= CR0_AM;
    s->cpu.rflags |= RFLAGS_AC | RFLAGS_IOPL;
    cpu_update_mode(&s->cpu);
    s->cpu.gpr[RDI] = DATA_AT + 1;
    s->cpu.chain_break = false;
    assert_fault(s, EXECUTE(s, "\x66\x6d"), VECTOR_AC, 0);
    assert_false(s->cpu.chain_break);
    assert_int_equal(EXECUTE(s, "\x6c"), FLOW_NEXT);
}

static void io_breakpoint_needs_cr4_de_and_an_overlap(void **state)
{
    struct sys *s = *state;
    enter_long(s);
    s->cpu.dr[3] = 0x71;
    s->cpu.dr7 = DR7_ONES | BIT(6) | UINT64_C(2) << 28;
    assert_int_equal(EXECUTE(s, "\xe7\x70"), FLOW_NEXT); /* ports 70..73 */
    assert_int_equal(s->cpu.pending_db, 0);
    s->cpu.cr4 |= CR4_DE;
    assert_int_equal(EXECUTE(s, "\xe6\x70"), FLOW_NEXT);
    assert_int_equal(s->cpu.pending_db, 0);
    assert_int_equal(EXECUTE(s, "\xe7\x70"), FLOW_NEXT);
    assert_int_equal(s->cpu.pending_db, 8);
}

static void sti_shadows_only_when_if_was_clear(void **state)
{
    struct sys *s = *state;
    enter_long(s);
    assert_int_equal(EXECUTE(s, "\xfb"), FLOW_NEXT);
    assert_int_equal(s->cpu.shadow, SHADOW_STI);
    s->cpu.shadow = 0;
    assert_int_equal(EXECUTE(s, "\xfb"), FLOW_NEXT);
    assert_int_equal(s->cpu.shadow, 0);
    set_level(s, SEL_CODE64, 3);
    assert_fault(s, EXECUTE(s, "\xfa"), VECTOR_GP, 0);
    s->cpu.rflags |= RFLAGS_IOPL;
    assert_int_equal(EXECUTE(s, "\xfa"), FLOW_NEXT);
    assert_int_equal(s->cpu.rflags & RFLAGS_IF, 0);
}

static void hlt_and_armed_mwait_stop_the_cpu(void **state)
{
    struct sys *s = *state;
    enter_long(s);
    assert_int_equal(EXECUTE(s, "\x0f\x01\xc9"), FLOW_NEXT); /* MWAIT, not armed */
    assert_int_equal(s->cpu.activity, CPU_ACTIVE);
    s->cpu.gpr[RAX] = DATA_AT;
    assert_int_equal(EXECUTE(s, "\x0f\x01\xc8"), FLOW_NEXT); /* MONITOR */
    assert_int_equal(EXECUTE(s, "\x0f\x01\xc9"), FLOW_NEXT);
    assert_int_equal(s->cpu.activity, CPU_MWAIT);
    s->cpu.activity = CPU_ACTIVE;
    s->cpu.chain_break = false;
    assert_int_equal(EXECUTE(s, "\xf4"), FLOW_NEXT);
    assert_int_equal(s->cpu.activity, CPU_HALTED);
    assert_true(s->cpu.chain_break);
    s->cpu.activity = CPU_ACTIVE;
    s->cpu.gpr[RCX] = 1;
    assert_fault(s, EXECUTE(s, "\x0f\x01\xc9"), VECTOR_GP, 0);
    set_level(s, SEL_CODE64, 3);
    assert_fault(s, EXECUTE(s, "\x0f\x01\xc8"), VECTOR_UD, 0);
}

static void absent_features_are_ud(void **state)
{
    struct sys *s = *state;
    enter_long(s);
    assert_true(
        cpuid_model_init(&s->model, "-monitor,-rdrand,-rdseed,-rdtscp,-rdpid,-smap,-invpcid", 1, NULL));
    assert_fault(s, EXECUTE(s, "\x0f\x01\xc8"), VECTOR_UD, 0);         /* MONITOR */
    assert_fault(s, EXECUTE(s, "\x0f\xc7\xf0"), VECTOR_UD, 0);         /* RDRAND */
    assert_fault(s, EXECUTE(s, "\x0f\xc7\xf8"), VECTOR_UD, 0);         /* RDSEED */
    assert_fault(s, EXECUTE(s, "\x0f\x01\xf9"), VECTOR_UD, 0);         /* RDTSCP */
    assert_fault(s, EXECUTE(s, "\x0f\x01\xca"), VECTOR_UD, 0);         /* CLAC */
    assert_fault(s, EXECUTE(s, "\x66\x0f\x38\x82\x08"), VECTOR_UD, 0); /* INVPCID */
    assert_fault(s, EXECUTE(s, "\x0f\xaa"), VECTOR_UD, 0);             /* RSM */
}

static void invpcid_checks_its_descriptor(void **state)
{
    struct sys *s = *state;
    enter_long(s);
    s->cpu.gpr[RAX] = DATA_AT;
    static const struct {
        uint64_t type, low, high;
        bool ok;
    } cases[] = {{0, 0, 0x1000, true}, {0, 1, 0x1000, false}, {0, 0, UINT64_C(1) << 47, false},
                 {1, 0, 0, true},      {1, 1, 0, false},      {2, 1, UINT64_C(1) << 47, true},
                 {3, 0, 0, true},      {4, 0, 0, false},      {2, 0x1000, 0, false}};
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        s->cpu.gpr[RCX] = cases[i].type;
        poke(s, DATA_AT, cases[i].low, 8);
        poke(s, DATA_AT + 8, cases[i].high, 8);
        assert_int_equal(EXECUTE(s, "\x66\x0f\x38\x82\x08"), cases[i].ok ? FLOW_NEXT : FLOW_FAULT);
    }
}

static void random_numbers_follow_the_seed_and_set_cf_alone(void **state)
{
    struct sys *s = *state;
    struct rng expected = s->cpu.random;
    enter_long(s);
    cpu_set_rflags(&s->cpu, RFLAGS_ONE | RFLAGS_STATUS);
    assert_int_equal(EXECUTE(s, "\x48\x0f\xc7\xf1"), FLOW_NEXT);
    assert_true(s->cpu.gpr[RCX] == rng_next(&expected));
    assert_int_equal(flags_get(&s->cpu), RFLAGS_CF);
    s->cpu.gpr[RCX] = ~UINT64_C(0);
    assert_int_equal(EXECUTE(s, "\x66\x0f\xc7\xf1"), FLOW_NEXT);
    assert_true(s->cpu.gpr[RCX] == (0xffffffffffff0000 | (rng_next(&expected) & 0xffff)));
}

static void int1_is_soft_and_no_gate_guards_it(void **state)
{
    struct sys *s = *state;
    enter_long(s);
    set_level(s, SEL_CODE64, 3);
    assert_fault(s, EXECUTE(s, "\xf1"), VECTOR_DB, 0);
    assert_true(s->cpu.fault.soft && s->cpu.fault.int1);
}

static void int3_and_into_are_soft(void **state)
{
    struct sys *s = *state;
    enter_protected(s);
    assert_fault(s, EXECUTE(s, "\xcc"), VECTOR_BP, 0);
    assert_true(s->cpu.fault.soft);
    assert_int_equal(EXECUTE(s, "\xce"), FLOW_NEXT);
    flags_set(&s->cpu, RFLAGS_OF);
    assert_fault(s, EXECUTE(s, "\xce"), VECTOR_OF, 0);
    assert_fault(s, EXECUTE(s, "\xcd\x80"), 0x80, 0);
    assert_true(s->cpu.fault.soft);
}

static void load_of_a_far_pointer_is_all_or_nothing(void **state)
{
    struct sys *s = *state;
    enter_protected(s);
    poke(s, DATA_AT, 0x11223344, 4);
    poke(s, DATA_AT + 4, SEL_DATA, 2);
    assert_int_equal(EXECUTE(s, "\xc4\x0d\x00\x00\x02\x00"), FLOW_NEXT); /* LES ECX */
    assert_int_equal(s->cpu.gpr[RCX], 0x11223344);
    assert_int_equal(s->cpu.seg[SEG_ES].selector, SEL_DATA);
    s->cpu.gpr[RCX] = 5;
    poke(s, DATA_AT + 4, SEL_TSS, 2);
    assert_fault(s, EXECUTE(s, "\xc4\x0d\x00\x00\x02\x00"), VECTOR_GP, SEL_TSS);
    assert_int_equal(s->cpu.gpr[RCX], 5);
}

static void xcr0_takes_x87_alone_or_with_sse(void **state)
{
    struct sys *s = *state;
    enter_long(s);
    s->cpu.cr4 |= CR4_OSXSAVE;
    s->cpu.gpr[RCX] = s->cpu.gpr[RDX] = 0;
    for (uint64_t value = 0; value < 8; value++) {
        s->cpu.gpr[RAX] = value;
        assert_int_equal(EXECUTE(s, "\x0f\x01\xd1"), value == 1 || value == 3 ? FLOW_NEXT : FLOW_FAULT);
    }
    assert_int_equal(s->cpu.xcr0, 3);
    s->cpu.gpr[RCX] = 1;
    assert_fault(s, EXECUTE(s, "\x0f\x01\xd0"), VECTOR_GP, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SYS_TEST(cr0_refuses_impossible_combinations),
        SYS_TEST(paging_under_lme_makes_long_mode),
        SYS_TEST(legacy_pae_paging_checks_the_pdptes),
        SYS_TEST(cr4_accepts_only_what_cpuid_reports),
        SYS_TEST(pcide_needs_long_mode_and_pcid_0),
        SYS_TEST(cr8_is_the_task_priority),
        SYS_TEST(lmsw_sets_pe_and_cannot_clear_it),
        SYS_TEST(debug_registers_keep_their_fixed_bits),
        SYS_TEST(lgdt_truncates_the_base_to_24_bits_with_a_word_operand),
        SYS_TEST(ltr_marks_the_tss_busy_and_takes_a_64_bit_base),
        SYS_TEST(umip_hides_the_tables_from_level_3),
        SYS_TEST(lsl_with_a_word_operand_keeps_the_upper_bits),
        SYS_TEST(system_type_sets_of_lar_differ_by_mode),
        SYS_TEST(lar_in_long_mode_looks_at_the_upper_half_of_a_system_descriptor),
        SYS_TEST(io_bitmap_reads_two_bytes_within_the_limit),
        SYS_TEST(rep_ins_is_one_iteration_a_call_and_proves_the_page_first),
        SYS_TEST(ins_checks_alignment_before_it_reads_the_port),
        SYS_TEST(io_breakpoint_needs_cr4_de_and_an_overlap),
        SYS_TEST(sti_shadows_only_when_if_was_clear),
        SYS_TEST(hlt_and_armed_mwait_stop_the_cpu),
        SYS_TEST(absent_features_are_ud),
        SYS_TEST(invpcid_checks_its_descriptor),
        SYS_TEST(random_numbers_follow_the_seed_and_set_cf_alone),
        SYS_TEST(int1_is_soft_and_no_gate_guards_it),
        SYS_TEST(int3_and_into_are_soft),
        SYS_TEST(load_of_a_far_pointer_is_all_or_nothing),
        SYS_TEST(xcr0_takes_x87_alone_or_with_sse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
