/* Every row of sim/cpu/msr.def by its number: value after reset, a value it takes, and one it refuses. APM vol. 2, appendix A,
 * "MSR Cross-Reference", and the sections it leads to. */

#include "sys_fixture.h"

#define HIGH UINT64_C(0xffff800000000000) /* the lowest canonical address of the upper half */

static const struct msr_case {
    uint32_t number;
    uint64_t reset;
    bool writable;
    uint64_t taken;
    bool refuses;
    uint64_t refused;
} cases[] = {
    {0x10, 0, true, 77, false, 0},                                  /* TSC */
    {0x3b, 0, true, 77, false, 0},                                  /* TSC_ADJUST */
    {0x8b, 0x0a601203, false, 0, true, 0},                          /* PATCH_LEVEL */
    {0xfe, 0x508, false, 0, true, 0},                               /* MTRRCAP */
    {0x174, 0, true, 8, true, BIT(32)},                             /* SYSENTER_CS */
    {0x175, 0, true, 0x11111111, false, 0},                         /* SYSENTER_ESP */
    {0x176, 0, true, 0x22222222, false, 0},                         /* SYSENTER_EIP */
    {0x179, 0, false, 0, true, 0},                                  /* MCG_CAP */
    {0x17a, 0, true, 7, true, 8},                                   /* MCG_STATUS */
    {0x1d9, 0, true, 0, true, 0x40},                                /* DEBUGCTL */
    {0x1db, 0, false, 0, true, 0},                                  /* LAST_BRANCH_FROM_IP */
    {0x1dc, 0, false, 0, true, 1},                                  /* LAST_BRANCH_TO_IP */
    {0x1dd, 0, false, 0, true, 0},                                  /* LAST_INT_FROM_IP */
    {0x1de, 0, false, 0, true, 1},                                  /* LAST_INT_TO_IP */
    {0x200, 0, true, 0xf0000006, true, BIT(46)},                    /* MTRR_PHYS_BASE0 */
    {0x201, 0, true, 0xfff00800, true, 0x400},                      /* MTRR_PHYS_MASK0 */
    {0x202, 0, true, 0xf0001006, true, BIT(46)},                    /* MTRR_PHYS_BASE1 */
    {0x203, 0, true, 0xfff01800, true, 0x400},                      /* MTRR_PHYS_MASK1 */
    {0x204, 0, true, 0xf0002006, true, BIT(46)},                    /* MTRR_PHYS_BASE2 */
    {0x205, 0, true, 0xfff02800, true, 0x400},                      /* MTRR_PHYS_MASK2 */
    {0x206, 0, true, 0xf0003006, true, BIT(46)},                    /* MTRR_PHYS_BASE3 */
    {0x207, 0, true, 0xfff03800, true, 0x400},                      /* MTRR_PHYS_MASK3 */
    {0x208, 0, true, 0xf0004006, true, BIT(46)},                    /* MTRR_PHYS_BASE4 */
    {0x209, 0, true, 0xfff04800, true, 0x400},                      /* MTRR_PHYS_MASK4 */
    {0x20a, 0, true, 0xf0005006, true, BIT(46)},                    /* MTRR_PHYS_BASE5 */
    {0x20b, 0, true, 0xfff05800, true, 0x400},                      /* MTRR_PHYS_MASK5 */
    {0x20c, 0, true, 0xf0006006, true, BIT(46)},                    /* MTRR_PHYS_BASE6 */
    {0x20d, 0, true, 0xfff06800, true, 0x400},                      /* MTRR_PHYS_MASK6 */
    {0x20e, 0, true, 0xf0007006, true, BIT(46)},                    /* MTRR_PHYS_BASE7 */
    {0x20f, 0, true, 0xfff07800, true, 0x400},                      /* MTRR_PHYS_MASK7 */
    {0x250, 0, true, 0x606060606060600, true, 2},                   /* MTRR_FIX_64K_00000 */
    {0x258, 0, true, 0x606060606060106, true, 2},                   /* MTRR_FIX_16K_80000 */
    {0x259, 0, true, 0x606060606040606, true, 2},                   /* MTRR_FIX_16K_A0000 */
    {0x268, 0, true, 0x606060605060606, true, 2},                   /* MTRR_FIX_4K_C0000 */
    {0x269, 0, true, 0x606060006060606, true, 2},                   /* MTRR_FIX_4K_C8000 */
    {0x26a, 0, true, 0x606010606060606, true, 2},                   /* MTRR_FIX_4K_D0000 */
    {0x26b, 0, true, 0x604060606060606, true, 2},                   /* MTRR_FIX_4K_D8000 */
    {0x26c, 0, true, 0x506060606060606, true, 2},                   /* MTRR_FIX_4K_E0000 */
    {0x26d, 0, true, 0x606060000060600, true, 2},                   /* MTRR_FIX_4K_E8000 */
    {0x26e, 0, true, 0x606060000060106, true, 2},                   /* MTRR_FIX_4K_F0000 */
    {0x26f, 0, true, 0x606060000040606, true, 2},                   /* MTRR_FIX_4K_F8000 */
    {0x277, 0x0007040600070406, true, 0x0706050401000606, true, 2}, /* PAT */
    {0x2ff, 0, true, 0xc06, true, 0x1000},                          /* MTRR_DEF_TYPE */
    {0xc0000080, 0, true, EFER_SCE | EFER_NXE, true, BIT(12)},      /* EFER */
    {0xc0000081, 0, true, UINT64_MAX, false, 0},                    /* STAR */
    {0xc0000082, 0, true, HIGH + 3, true, BIT(47)},                 /* LSTAR */
    {0xc0000083, 0, true, HIGH + 4, true, BIT(47)},                 /* CSTAR */
    {0xc0000084, 0, true, 0xfffffff1, false, 0},                    /* SFMASK */
    {0xc0000100, 0, true, HIGH + 5, true, BIT(63)},                 /* FS_BASE */
    {0xc0000101, 0, true, HIGH + 6, true, BIT(63)},                 /* GS_BASE */
    {0xc0000102, 0, true, HIGH + 7, true, BIT(63)},                 /* KERNEL_GS_BASE */
    {0xc0000103, 0, true, 0xfffffff2, false, 0},                    /* TSC_AUX */
    {0xc0010000, 0, true, 0x30000130000, false, 0},                 /* PERF_EVT_SEL0 */
    {0xc0010001, 0, true, 0x30000130011, false, 0},                 /* PERF_EVT_SEL1 */
    {0xc0010002, 0, true, 0x30000130022, false, 0},                 /* PERF_EVT_SEL2 */
    {0xc0010003, 0, true, 0x30000130033, false, 0},                 /* PERF_EVT_SEL3 */
    {0xc0010004, 0, true, 0xfffffffffff0, false, 0},                /* PERF_CTR0 */
    {0xc0010005, 0, true, 0xfffffffffff1, false, 0},                /* PERF_CTR1 */
    {0xc0010006, 0, true, 0xfffffffffff2, false, 0},                /* PERF_CTR2 */
    {0xc0010007, 0, true, 0xfffffffffff3, false, 0},                /* PERF_CTR3 */
    {0xc0010010, 0, true, 0, true, 1},                              /* SYSCFG */
    {0xc0010015, 0x1000010, true, 0x3040010, true, BIT(28)},        /* HWCR */
    {0xc0010016, 0, true, 0xa0000018, true, 4},                     /* IORR_BASE0 */
    {0xc0010017, 0, true, 0xffff0800, true, 0x400},                 /* IORR_MASK0 */
    {0xc0010018, 0, true, 0xb0000010, true, BIT(46)},               /* IORR_BASE1 */
    {0xc0010019, 0, true, 0xfffe0800, true, BIT(46)},               /* IORR_MASK1 */
    {0xc001001a, 0, true, 0xc0000000, true, BIT(22)},               /* TOP_MEM */
    {0xc001001d, 0, true, 0x180800000, true, BIT(46)},              /* TOP_MEM2 */
    {0xc001001f, 0, true, BIT(46), false, 0},                       /* NB_CFG */
    {0xc0010022, 0, true, 0, true, BIT(10)},                        /* MC_EXCEP_REDIR */
    {0xc0010055, 0, true, 0, false, 0},                             /* INT_PENDING */
    {0xc0010111, 0x30000, true, 0x7ff80000, true, BIT(32)},         /* SMM_BASE */
    {0xc0010112, 0, true, 0x7fe20000, true, BIT(16)},               /* SMM_ADDR */
    {0xc0010113, 0, true, 0xff80773c, true, 0x40},                  /* SMM_MASK */
    {0xc0011029, 2, true, 0, false, 0},                             /* DE_CFG */
};

#define CASE_COUNT (sizeof cases / sizeof cases[0])

static uint64_t value_of(struct sys *s, const struct msr_case *c)
{
    uint64_t value = 0;
    assert_int_equal(msr_read(&s->cpu, c->number, &value), FLOW_NEXT);
    return value;
}

static void every_row_has_a_case(void **state)
{
    (void)state;
    uint32_t number;
    unsigned i = 0;
    for (; msr_row_name(i, &number); i++) {
        assert_true(i < CASE_COUNT);
        assert_int_equal(cases[i].number, number);
    }
    assert_int_equal(i, CASE_COUNT);
}

static void every_register_has_its_reset_value(void **state)
{
    struct sys *s = *state;
    s->model.words[CPUID_WORD_7_EBX] |= 2; /* TSC_ADJUST */
    for (unsigned i = 0; i < CASE_COUNT; i++) {
        assert_int_equal(value_of(s, &cases[i]), cases[i].reset);
    }
}

static void every_register_keeps_what_it_takes_and_no_other_gets_it(void **state)
{
    struct sys *s = *state;
    s->model.words[CPUID_WORD_7_EBX] |= 2;
    for (unsigned i = 0; i < CASE_COUNT; i++) {
        if (cases[i].writable) {
            assert_int_equal(msr_write(&s->cpu, cases[i].number, cases[i].taken), FLOW_NEXT);
        }
    }
    for (unsigned i = 0; i < CASE_COUNT; i++) {
        assert_int_equal(value_of(s, &cases[i]), cases[i].writable ? cases[i].taken : cases[i].reset);
    }
}

static void what_a_register_refuses_is_a_fault_and_changes_nothing(void **state)
{
    struct sys *s = *state;
    s->model.words[CPUID_WORD_7_EBX] |= 2;
    for (unsigned i = 0; i < CASE_COUNT; i++) {
        if (!cases[i].refuses) {
            continue;
        }
        s->cpu.fault = (struct fault){0};
        assert_int_equal(msr_write(&s->cpu, cases[i].number, cases[i].refused), FLOW_FAULT);
        assert_int_equal(s->cpu.fault.vector, VECTOR_GP);
        assert_int_equal(value_of(s, &cases[i]), cases[i].reset);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_has_a_case),
        SYS_TEST(every_register_has_its_reset_value),
        SYS_TEST(every_register_keeps_what_it_takes_and_no_other_gets_it),
        SYS_TEST(what_a_register_refuses_is_a_fault_and_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
