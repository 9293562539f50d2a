/* Where each feature of sim/cpu/cpuid.def shows, as the manuals print it: APM vol. 3, appendix E, "Obtaining Processor
 * Information Via the CPUID Instruction"; SDM vol. 2, CPUID, for those that Intel defined. */

#include "sys_fixture.h"

#include <stdio.h>

enum output { EAX, EBX, ECX, EDX };

static const struct feature_case {
    enum cpuid_feature feature;
    uint32_t leaf, subleaf;
    enum output output;
    unsigned bit;
    bool orrery, tcg72;
} cases[] = {
    {FEATURE_FPU, 1, 0, EDX, 0, true, true},
    {FEATURE_DE, 1, 0, EDX, 2, true, true},
    {FEATURE_PSE, 1, 0, EDX, 3, true, true},
    {FEATURE_TSC, 1, 0, EDX, 4, true, true},
    {FEATURE_MSR, 1, 0, EDX, 5, true, true},
    {FEATURE_PAE, 1, 0, EDX, 6, true, true},
    {FEATURE_MCE, 1, 0, EDX, 7, true, true},
    {FEATURE_CX8, 1, 0, EDX, 8, true, true},
    {FEATURE_APIC, 1, 0, EDX, 9, true, true},
    {FEATURE_SEP, 1, 0, EDX, 11, true, true},
    {FEATURE_MTRR, 1, 0, EDX, 12, true, true},
    {FEATURE_PGE, 1, 0, EDX, 13, true, true},
    {FEATURE_MCA, 1, 0, EDX, 14, true, true},
    {FEATURE_CMOV, 1, 0, EDX, 15, true, true},
    {FEATURE_PAT, 1, 0, EDX, 16, true, true},
    {FEATURE_PSE36, 1, 0, EDX, 17, true, true},
    {FEATURE_CLFLUSH, 1, 0, EDX, 19, true, true},
    {FEATURE_MMX, 1, 0, EDX, 23, true, true},
    {FEATURE_FXSR, 1, 0, EDX, 24, true, true},
    {FEATURE_SSE, 1, 0, EDX, 25, true, true},
    {FEATURE_SSE2, 1, 0, EDX, 26, true, true},
    {FEATURE_SSE3, 1, 0, ECX, 0, true, true},
    {FEATURE_MONITOR, 1, 0, ECX, 3, true, true},
    {FEATURE_SSSE3, 1, 0, ECX, 9, true, true},
    {FEATURE_CX16, 1, 0, ECX, 13, true, true},
    {FEATURE_PCID, 1, 0, ECX, 17, true, false},
    {FEATURE_SSE4_1, 1, 0, ECX, 19, true, true},
    {FEATURE_SSE4_2, 1, 0, ECX, 20, true, true},
    {FEATURE_X2APIC, 1, 0, ECX, 21, true, false},
    {FEATURE_MOVBE, 1, 0, ECX, 22, true, true},
    {FEATURE_POPCNT, 1, 0, ECX, 23, true, true},
    {FEATURE_TSC_DEADLINE, 1, 0, ECX, 24, true, false},
    {FEATURE_XSAVE, 1, 0, ECX, 26, true, true},
    {FEATURE_RDRAND, 1, 0, ECX, 30, true, true},
    {FEATURE_HYPERVISOR, 1, 0, ECX, 31, true, true},
    {FEATURE_ARAT, 6, 0, EAX, 2, true, true},
    {FEATURE_FSGSBASE, 7, 0, EBX, 0, true, true},
    {FEATURE_TSC_ADJUST, 7, 0, EBX, 1, false, false},
    {FEATURE_BMI1, 7, 0, EBX, 3, true, true},
    {FEATURE_SMEP, 7, 0, EBX, 7, true, true},
    {FEATURE_BMI2, 7, 0, EBX, 8, true, true},
    {FEATURE_ERMS, 7, 0, EBX, 9, true, true},
    {FEATURE_INVPCID, 7, 0, EBX, 10, true, false},
    {FEATURE_RDSEED, 7, 0, EBX, 18, true, true},
    {FEATURE_ADX, 7, 0, EBX, 19, true, true},
    {FEATURE_SMAP, 7, 0, EBX, 20, true, true},
    {FEATURE_CLFLUSHOPT, 7, 0, EBX, 23, true, true},
    {FEATURE_CLWB, 7, 0, EBX, 24, true, true},
    {FEATURE_UMIP, 7, 0, ECX, 2, true, true},
    {FEATURE_RDPID, 7, 0, ECX, 22, true, true},
    {FEATURE_XSAVEOPT, 0xd, 1, EAX, 0, true, true},
    {FEATURE_XSAVEC, 0xd, 1, EAX, 1, true, true},
    {FEATURE_LAHF_LM, 0x80000001, 0, ECX, 0, true, true},
    {FEATURE_CMP_LEGACY, 0x80000001, 0, ECX, 1, true, true},
    {FEATURE_ABM, 0x80000001, 0, ECX, 5, true, true},
    {FEATURE_SSE4A, 0x80000001, 0, ECX, 6, true, true},
    {FEATURE_PREFETCHW, 0x80000001, 0, ECX, 8, true, true},
    {FEATURE_TOPOEXT, 0x80000001, 0, ECX, 22, true, true},
    {FEATURE_SYSCALL, 0x80000001, 0, EDX, 11, true, true},
    {FEATURE_NX, 0x80000001, 0, EDX, 20, true, true},
    {FEATURE_PDPE1GB, 0x80000001, 0, EDX, 26, true, true},
    {FEATURE_RDTSCP, 0x80000001, 0, EDX, 27, true, true},
    {FEATURE_LM, 0x80000001, 0, EDX, 29, true, true},
    {FEATURE_INVARIANT_TSC, 0x80000007, 0, EDX, 8, true, true},
    {FEATURE_LFENCE_SERIALISING, 0x80000021, 0, EAX, 2, true, true},
    {FEATURE_NULL_CLEARS_BASE, 0x80000021, 0, EAX, 6, true, true},
};

#define CASE_COUNT (sizeof cases / sizeof cases[0])

static bool shows(struct sys *s, const struct feature_case *c)
{
    struct cpuid_values v = cpuid_query(&s->cpu, c->leaf, c->subleaf);
    const uint32_t outputs[] = {v.eax, v.ebx, v.ecx, v.edx};
    return (outputs[c->output] >> c->bit & 1) != 0;
}

static void every_row_has_a_case(void **state)
{
    (void)state;
    assert_int_equal(CASE_COUNT, FEATURE_COUNT);
    for (unsigned i = 0; i < CASE_COUNT; i++) {
        assert_int_equal(cases[i].feature, i);
    }
}

static void every_feature_shows_at_its_bit_in_both_models(void **state)
{
    struct sys *s = *state;
    for (unsigned i = 0; i < CASE_COUNT; i++) {
        assert_true(cpuid_model_init(&s->model, "orrery", 4, NULL));
        assert_int_equal(shows(s, &cases[i]), cases[i].orrery);
        assert_int_equal(cpuid_has(&s->cpu, cases[i].feature), cases[i].orrery);
        assert_true(cpuid_model_init(&s->model, "tcg72", 4, NULL));
        assert_int_equal(shows(s, &cases[i]), cases[i].tcg72);
    }
}

/* A switch moves one bit: all others stay where they were. */
static void a_switch_changes_its_own_bit_alone(void **state)
{
    struct sys *s = *state;
    for (unsigned i = 0; i < CASE_COUNT; i++) {
        const struct cpuid_feature_row *row = &cpuid_feature_rows[cases[i].feature];
        if (!row->switchable) {
            continue;
        }
        char text[32];
        snprintf(text, sizeof text, "%c%s", cases[i].orrery ? '-' : '+', row->name);
        assert_true(cpuid_model_init(&s->model, text, 4, NULL));
        for (unsigned k = 0; k < CASE_COUNT; k++) {
            assert_int_equal(cpuid_has(&s->cpu, cases[k].feature), cases[k].orrery != (k == i));
        }
        assert_int_equal(shows(s, &cases[i]), !cases[i].orrery);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_has_a_case),
        SYS_TEST(every_feature_shows_at_its_bit_in_both_models),
        SYS_TEST(a_switch_changes_its_own_bit_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
