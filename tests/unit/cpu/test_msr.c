/* RDMSR, WRMSR and the registers of msr.def (sim/cpu/msr.c). */

#include "sys_fixture.h"

static void assert_write(struct sys *s, uint32_t number, uint64_t value, enum flow expected)
{
    s->cpu.fault = (struct fault){0};
    assert_int_equal(msr_write(&s->cpu, number, value), expected);
    if (expected == FLOW_FAULT) {
        assert_int_equal(s->cpu.fault.vector, VECTOR_GP);
        assert_int_equal(s->cpu.fault.error, 0);
    }
}

static uint64_t read_back(struct sys *s, uint32_t number)
{
    uint64_t value = 0;
    assert_int_equal(msr_read(&s->cpu, number, &value), FLOW_NEXT);
    return value;
}

static void rows_ascend_and_none_belongs_to_the_apic(void **state)
{
    (void)state;
    uint32_t last = 0;
    uint32_t number;
    unsigned i = 0;
    for (; msr_row_name(i, &number); i++) {
        assert_true(i == 0 || number > last);
        assert_false(lapic_has_msr(number));
        last = number;
    }
    assert_true(i > 40);
}

static void every_register_reads_after_reset(void **state)
{
    struct sys *s = *state;
    uint32_t number;
    s->model.words[CPUID_WORD_7_EBX] |= 2; /* TSC_ADJUST */
    for (unsigned i = 0; msr_row_name(i, &number); i++) {
        read_back(s, number);
    }
    assert_int_equal(read_back(s, 0x277), 0x0007040600070406);
    assert_int_equal(read_back(s, 0xfe), 0x508);
    assert_int_equal(read_back(s, MSR_APIC_BASE), LAPIC_BASE | APIC_BASE_EN | APIC_BASE_BSP);
}

static void unknown_registers_fault(void **state)
{
    struct sys *s = *state;
    uint64_t value;
    assert_int_equal(msr_read(&s->cpu, 0xdead, &value), FLOW_FAULT);
    assert_write(s, 0xdead, 0, FLOW_FAULT);
    assert_int_equal(msr_read(&s->cpu, 0x1a0, &value), FLOW_FAULT); /* the other vendor's MISC_ENABLE */
    assert_int_equal(msr_read(&s->cpu, 0x3b, &value), FLOW_FAULT);  /* TSC_ADJUST without its CPUID bit */
}

/* No banks are reported, nor MCG_CTL, nor what the registers named belong to. */
static void registers_that_cpuid_or_mcg_cap_deny_fault(void **state)
{
    static const uint32_t denied[] = {
        0xe7,       0xe8,                   /* MPERF, APERF */
        0x17b,      0x400,      0x401,      /* MCG_CTL, MC0_CTL, MC0_STATUS */
        0xc0000104, 0xc0000408,             /* TSC ratio, MC4_MISC1 */
        0xc0010044, 0xc0010061, 0xc0010064, /* MC0_CTL_MASK, P-states */
        0xc0010074,                         /* watchdog */
        0xc0010114, 0xc0010116, 0xc0010117, /* SVM: VM_CR, SMM_CTL, VM_HSAVE_PA */
        0xc0010140, 0xc0010141,             /* OSVW */
        0xc0010200, 0xc0010201, 0xc0010230, /* further counters */
        0xc0011019, 0xc0011030,             /* data breakpoint masks, IBS */
    };
    struct sys *s = *state;
    uint64_t value;
    assert_int_equal(read_back(s, 0x179), 0);
    for (unsigned i = 0; i < sizeof denied / sizeof denied[0]; i++) {
        assert_int_equal(msr_read(&s->cpu, denied[i], &value), FLOW_FAULT);
        assert_write(s, denied[i], 0, FLOW_FAULT);
    }
}

static void reserved_bits_of_counters_are_dropped(void **state)
{
    struct sys *s = *state;
    for (uint32_t i = 0; i < PERF_COUNTERS; i++) {
        assert_write(s, 0xc0010000 + i, ~BIT(22), FLOW_NEXT);
        assert_int_equal(read_back(s, 0xc0010000 + i), 0x30fff97ffff);
        assert_write(s, 0xc0010004 + i, UINT64_MAX - i, FLOW_NEXT);
        assert_int_equal(read_back(s, 0xc0010004 + i), 0xffffffffffff - i);
    }
}

static void reserved_bits_types_and_addresses_are_checked(void **state)
{
    static const struct {
        uint32_t number;
        uint64_t value;
        enum flow expected;
    } cases[] = {
        {0xc0000082, UINT64_C(1) << 47, FLOW_FAULT},
        {0xc0000082, 0xffff800000000000, FLOW_NEXT},
        {0xc0000084, 0xffffffff, FLOW_NEXT},
        {0xc0000100, UINT64_C(1) << 63, FLOW_FAULT},
        {0x277, 2, FLOW_FAULT},
        {0x277, 0x0706050401000606, FLOW_NEXT},
        {0x2ff, 0xc06, FLOW_NEXT},
        {0x2ff, 0xc02, FLOW_FAULT},
        {0x2ff, 0x1000, FLOW_FAULT},
        {0x200, 0xf0000006, FLOW_NEXT},
        {0x200, UINT64_C(1) << 46, FLOW_FAULT},
        {0x200, 0x100, FLOW_FAULT},
        {0x201, 0xfff00800, FLOW_NEXT},
        {0x201, 0x400, FLOW_FAULT},
        {0x250, 0x0606060606060606, FLOW_NEXT},
        {0x250, 0x06060606060606ff, FLOW_FAULT},
        {0x8b, 0, FLOW_FAULT},
        {0xfe, 0, FLOW_FAULT},
        {0x179, 0, FLOW_FAULT},
        {0x1d9, 1, FLOW_STOP},
        {0x1d9, 0x40, FLOW_FAULT},
        {0xc0010015, 0x1000010, FLOW_NEXT},
        {0xc0010015, 0x1000410, FLOW_STOP},
        {0xc0010010, 0x40000, FLOW_STOP},
        {0xc0010000, 0x4300c0, FLOW_STOP}, /* EN */
        {0xc001001f, 1, FLOW_STOP},
        {0xc0010022, 0x100, FLOW_STOP},
        {0xc0010055, BIT(28), FLOW_STOP},
        {0xc0010113, 0xff800001, FLOW_STOP}, /* AValid */
        {0xc0010113, 0xff800002, FLOW_STOP}, /* TValid */
        {0xc0011029, BIT(9), FLOW_STOP},
        {0xc0010017, 0xfffffff00800, FLOW_FAULT},
        {0xc0010017, 0x3ffffff00800, FLOW_NEXT},
        {0xc001001a, 0x3fffff800000, FLOW_NEXT},
    };
    struct sys *s = *state;
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t before = read_back(s, cases[i].number);
        assert_write(s, cases[i].number, cases[i].value, cases[i].expected);
        assert_int_equal(read_back(s, cases[i].number),
                         cases[i].expected == FLOW_NEXT ? cases[i].value : before);
    }
}

/* APM vol. 2, "Extended Feature Enable Register": a write that would change LMA is a #GP. */
static void efer_keeps_lma_and_guards_lme(void **state)
{
    struct sys *s = *state;
    assert_write(s, 0xc0000080, EFER_SCE | EFER_LME | EFER_NXE | EFER_LMA, FLOW_FAULT);
    assert_write(s, 0xc0000080, EFER_SCE | EFER_LME | EFER_NXE, FLOW_NEXT);
    assert_int_equal(s->cpu.efer, EFER_SCE | EFER_LME | EFER_NXE);
    assert_write(s, 0xc0000080, BIT(12), FLOW_FAULT); /* SVME: no SVM */
    enter_long(s);
    assert_write(s, 0xc0000080, EFER_LMA, FLOW_FAULT);
    assert_write(s, 0xc0000080, EFER_LME, FLOW_FAULT);
    assert_write(s, 0xc0000080, EFER_LME | EFER_LMA | EFER_NXE, FLOW_NEXT);
    assert_int_equal(s->cpu.efer, EFER_LME | EFER_LMA | EFER_NXE);
    assert_int_equal(s->cpu.mode, MODE_LONG64);
}

static void tsc_counts_from_what_was_written(void **state)
{
    struct sys *s = *state;
    s->model.words[CPUID_WORD_7_EBX] |= 2;
    cpu_set_clock(&s->cpu, 1000);
    assert_write(s, 0x10, 5000, FLOW_NEXT);
    cpu_set_clock(&s->cpu, 1500);
    assert_int_equal(read_back(s, 0x10), 5500);
    assert_int_equal(read_back(s, 0x3b), 4000);
    assert_int_equal(s->lapic.tsc_offset, 4000);
    assert_write(s, 0x3b, 0, FLOW_NEXT);
    assert_int_equal(msr_tsc(&s->cpu), 1500);
    assert_true(s->cpu.chain_break);
}

static void apic_registers_go_to_the_apic_and_ask_for_a_break(void **state)
{
    struct sys *s = *state;
    uint64_t value;
    s->cpu.chain_break = false;
    assert_int_equal(msr_read(&s->cpu, 0x802, &value), FLOW_FAULT); /* xAPIC mode */
    assert_write(s, MSR_APIC_BASE, LAPIC_BASE | APIC_BASE_EN | APIC_BASE_BSP | APIC_BASE_EXTD, FLOW_NEXT);
    assert_true(s->cpu.chain_break);
    assert_int_equal(read_back(s, 0x802), 0);
    assert_write(s, 0x808, 0x50, FLOW_NEXT);
    assert_int_equal(lapic_cr8(&s->lapic), 5);
}

static void moving_the_apic_is_not_modelled(void **state)
{
    struct sys *s = *state;
    assert_write(s, MSR_APIC_BASE, 0xfee10000 | APIC_BASE_EN | APIC_BASE_BSP, FLOW_STOP);
}

static void instructions_use_edx_eax_and_need_level_0(void **state)
{
    struct sys *s = *state;
    enter_long(s);
    s->cpu.gpr[RCX] = UINT64_C(0xffffffffc0000081);
    s->cpu.gpr[RAX] = UINT64_C(0x1111111122222222);
    s->cpu.gpr[RDX] = UINT64_C(0x3333333344444444);
    assert_int_equal(EXECUTE(s, "\x0f\x30"), FLOW_NEXT);
    assert_int_equal(s->cpu.msrs.star, 0x4444444422222222);
    assert_int_equal(EXECUTE(s, "\x0f\x32"), FLOW_NEXT);
    assert_int_equal(s->cpu.gpr[RAX], 0x22222222);
    assert_int_equal(s->cpu.gpr[RDX], 0x44444444);
    set_level(s, SEL_CODE64, 3);
    assert_fault(s, EXECUTE(s, "\x0f\x32"), VECTOR_GP, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SYS_TEST(rows_ascend_and_none_belongs_to_the_apic),
        SYS_TEST(every_register_reads_after_reset),
        SYS_TEST(unknown_registers_fault),
        SYS_TEST(registers_that_cpuid_or_mcg_cap_deny_fault),
        SYS_TEST(reserved_bits_of_counters_are_dropped),
        SYS_TEST(reserved_bits_types_and_addresses_are_checked),
        SYS_TEST(efer_keeps_lma_and_guards_lme),
        SYS_TEST(tsc_counts_from_what_was_written),
        SYS_TEST(apic_registers_go_to_the_apic_and_ask_for_a_break),
        SYS_TEST(moving_the_apic_is_not_modelled),
        SYS_TEST(instructions_use_edx_eax_and_need_level_0),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
