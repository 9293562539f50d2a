/* Models, feature strings and leaves (sim/cpu/cpuid.c). */

#include "sys_fixture.h"

static bool model(struct cpuid_model *m, const char *text, struct error *e)
{
    return cpuid_model_init(m, text, 4, e);
}

static void rows_do_not_share_a_bit(void **state)
{
    (void)state;
    uint32_t seen[CPUID_WORD_COUNT] = {0};
    for (unsigned i = 0; i < FEATURE_COUNT; i++) {
        const struct cpuid_feature_row *r = &cpuid_feature_rows[i];
        assert_int_equal(seen[r->word] >> r->bit & 1, 0);
        seen[r->word] |= UINT32_C(1) << r->bit;
    }
}

static void tcg72_lacks_what_qemu_7_2_lacks(void **state)
{
    (void)state;
    struct cpuid_model m;
    assert_true(model(&m, "tcg72", NULL));
    assert_false(cpuid_model_has(&m, FEATURE_PCID));
    assert_false(cpuid_model_has(&m, FEATURE_INVPCID));
    assert_false(cpuid_model_has(&m, FEATURE_X2APIC));
    assert_false(cpuid_model_has(&m, FEATURE_TSC_DEADLINE));
    assert_true(cpuid_model_has(&m, FEATURE_SMEP));
    assert_true(model(&m, "", NULL));
    assert_string_equal(m.name, "orrery");
    assert_true(cpuid_model_has(&m, FEATURE_X2APIC));
}

static void features_are_switched_by_name_in_any_spelling(void **state)
{
    (void)state;
    struct cpuid_model m;
    assert_true(model(&m, "tcg72,+X2APIC,+tsc_deadline,-smep", NULL));
    assert_true(cpuid_model_has(&m, FEATURE_X2APIC));
    assert_true(cpuid_model_has(&m, FEATURE_TSC_DEADLINE));
    assert_false(cpuid_model_has(&m, FEATURE_SMEP));
    assert_true(model(&m, "-pcid", NULL));
    assert_false(cpuid_model_has(&m, FEATURE_PCID));
    assert_int_equal(cpuid_feature_find("sse4.1", 6), FEATURE_SSE4_1);
    assert_int_equal(cpuid_feature_find("sse", 3), FEATURE_SSE);
}

static void what_cannot_be_had_is_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *text, *part;
    } cases[] = {{"+avx", "avx"},      {"-sse2", "sse2"}, {"zen4", "zen4"},
                 {"x2apic", "x2apic"}, {"+", "+"},        {"orrery,tcg72", "tcg72"}};
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct cpuid_model m;
        struct error e = {{0}};
        assert_false(model(&m, cases[i].text, &e));
        assert_non_null(strstr(e.text, cases[i].part));
    }
    struct cpuid_model m;
    assert_true(model(&m, "+sse2", NULL)); /* no change, no error */
}

static void vendor_and_limits(void **state)
{
    struct sys *s = *state;
    struct cpuid_values v = cpuid_query(&s->cpu, 0, 0);
    char vendor[13] = {0};
    store_le32(vendor, v.ebx);
    store_le32(vendor + 4, v.edx);
    store_le32(vendor + 8, v.ecx);
    assert_string_equal(vendor, "AuthenticAMD");
    assert_int_equal(v.eax, 0x16);
    v = cpuid_query(&s->cpu, 0x80000000, 0);
    assert_int_equal(v.eax, 0x80000021);
    v = cpuid_query(&s->cpu, 0x17, 0);
    assert_int_equal(v.eax | v.ebx | v.ecx | v.edx, 0);
    v = cpuid_query(&s->cpu, 0x80000022, 0);
    assert_int_equal(v.eax | v.ebx | v.ecx | v.edx, 0);
}

static void leaf_1_follows_the_state_of_the_cpu(void **state)
{
    struct sys *s = *state;
    assert_int_equal(cpuid_query(&s->cpu, 1, 0).ecx >> 27 & 1, 0);
    s->cpu.cr4 |= CR4_OSXSAVE;
    assert_int_equal(cpuid_query(&s->cpu, 1, 0).ecx >> 27 & 1, 1);
    assert_int_equal(cpuid_query(&s->cpu, 1, 0).edx >> 9 & 1, 1);
    assert_int_equal(cpuid_query(&s->cpu, 0x80000001, 0).edx >> 9 & 1, 1);
    assert_int_equal(msr_write(&s->cpu, MSR_APIC_BASE, LAPIC_BASE | APIC_BASE_BSP), FLOW_NEXT);
    assert_int_equal(cpuid_query(&s->cpu, 0x80000001, 0).edx >> 9 & 1, 0);
    assert_int_equal(cpuid_query(&s->cpu, 1, 0).edx >> 9 & 1, 0);
    assert_int_equal(cpuid_query(&s->cpu, 1, 0).eax, 0x00a60f12);
}

static void topology_counts_the_cpus(void **state)
{
    struct sys *s = *state;
    s->model.logical_cpus = 6;
    s->lapic.config.apic_id = 5;
    struct cpuid_values v = cpuid_query(&s->cpu, 1, 0);
    assert_int_equal(v.ebx, 5u << 24 | 6u << 16 | 8u << 8);
    assert_int_equal(v.edx >> 28 & 1, 1);
    v = cpuid_query(&s->cpu, 0xb, 0);
    assert_int_equal(v.eax, 0);
    assert_int_equal(v.ebx, 1);
    v = cpuid_query(&s->cpu, 0xb, 1);
    assert_int_equal(v.eax, 3);
    assert_int_equal(v.ebx, 6);
    assert_int_equal(v.ecx, 0x201);
    assert_int_equal(v.edx, 5);
    v = cpuid_query(&s->cpu, 0x80000008, 0);
    assert_int_equal(v.eax, 46 | 48 << 8);
    assert_int_equal(v.ecx, 5 | 3 << 12);
    v = cpuid_query(&s->cpu, 0x8000001d, 3);
    assert_int_equal(v.eax, 3 | 3 << 5 | 1 << 8 | 5 << 14);
}

static void cache_leaves_agree_with_each_other(void **state)
{
    struct sys *s = *state;
    static const uint32_t sizes[] = {32768, 32768, 1u << 20, 32u << 20};
    for (uint32_t i = 0; i < 4; i++) {
        struct cpuid_values v = cpuid_query(&s->cpu, 0x8000001d, i);
        uint32_t bytes = ((v.ebx >> 22) + 1) * ((v.ebx & 0xfff) + 1) * (v.ecx + 1);
        assert_int_equal(bytes, sizes[i]);
    }
    assert_int_equal(cpuid_query(&s->cpu, 0x8000001d, 4).eax, 0);
    assert_int_equal(cpuid_query(&s->cpu, 0x80000005, 0).ecx >> 24, 32);
    assert_int_equal(cpuid_query(&s->cpu, 0x80000006, 0).ecx >> 16, 1024);
}

static void frequencies_are_told_unless_the_model_hides_them(void **state)
{
    struct sys *s = *state;
    struct cpuid_values v = cpuid_query(&s->cpu, 0x15, 0);
    assert_int_equal((uint64_t)v.ecx * v.ebx / v.eax, 3000000000);
    assert_int_equal(cpuid_query(&s->cpu, 0x40000000, 0).eax, 0x40000010);
    assert_int_equal(cpuid_query(&s->cpu, 0x40000010, 0).eax, 3000000);
    assert_true(cpuid_model_init(&s->model, "tcg72", 1, NULL));
    assert_int_equal(cpuid_query(&s->cpu, 0x15, 0).eax, 0);
    assert_int_equal(cpuid_query(&s->cpu, 0x40000010, 0).eax, 0);
    assert_true(cpuid_model_init(&s->model, "-hypervisor", 1, NULL));
    assert_int_equal(cpuid_query(&s->cpu, 0x40000000, 0).eax, 0);
}

static void monitor_and_xsave_leaves_go_with_their_features(void **state)
{
    struct sys *s = *state;
    assert_int_equal(cpuid_query(&s->cpu, 5, 0).ebx, 64);
    assert_int_equal(cpuid_query(&s->cpu, 0xd, 0).ebx, 576);
    assert_int_equal(cpuid_query(&s->cpu, 0xd, 0).eax, 3);
    assert_true(cpuid_model_init(&s->model, "-monitor,-xsave", 1, NULL));
    assert_int_equal(cpuid_query(&s->cpu, 5, 0).ebx, 0);
    assert_int_equal(cpuid_query(&s->cpu, 0xd, 0).ebx, 0);
}

static void brand_is_48_characters(void **state)
{
    struct sys *s = *state;
    char brand[49] = {0};
    for (uint32_t i = 0; i < 3; i++) {
        struct cpuid_values v = cpuid_query(&s->cpu, 0x80000002 + i, 0);
        store_le32(brand + 16 * i, v.eax);
        store_le32(brand + 16 * i + 4, v.ebx);
        store_le32(brand + 16 * i + 8, v.ecx);
        store_le32(brand + 16 * i + 12, v.edx);
    }
    assert_int_equal(strlen(brand), 48);
    assert_non_null(strstr(brand, "Orrery"));
}

static void extended_leaf_1_repeats_the_shared_bits(void **state)
{
    struct sys *s = *state;
    uint32_t low = cpuid_query(&s->cpu, 1, 0).edx;
    struct cpuid_values v = cpuid_query(&s->cpu, 0x80000001, 0);
    assert_int_equal(v.edx & 0x0183f3ff, low & 0x0183f3ff);
    assert_int_equal(v.edx >> 29 & 1, 1);
    assert_int_equal(v.ecx & 2, 0); /* one CPU: no CmpLegacy */
    s->model.logical_cpus = 2;
    assert_int_equal(cpuid_query(&s->cpu, 0x80000001, 0).ecx & 2, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_do_not_share_a_bit),
        cmocka_unit_test(tcg72_lacks_what_qemu_7_2_lacks),
        cmocka_unit_test(features_are_switched_by_name_in_any_spelling),
        cmocka_unit_test(what_cannot_be_had_is_refused_by_name),
        SYS_TEST(vendor_and_limits),
        SYS_TEST(leaf_1_follows_the_state_of_the_cpu),
        SYS_TEST(topology_counts_the_cpus),
        SYS_TEST(cache_leaves_agree_with_each_other),
        SYS_TEST(frequencies_are_told_unless_the_model_hides_them),
        SYS_TEST(monitor_and_xsave_leaves_go_with_their_features),
        SYS_TEST(brand_is_48_characters),
        SYS_TEST(extended_leaf_1_repeats_the_shared_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
