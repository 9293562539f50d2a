/*
 * CPUID: the feature table and the leaves.
 *
 * Source: AMD64 APM vol. 3, appendix E, "Obtaining Processor Information Via the CPUID Instruction"; cache
 * and TLB figures are those published for the Zen 4 class (family 19h, model 61h).
 * Deviations: leaves 15 and 16, which AMD processors lack, tell the exact frequencies, as does 4000_0010,
 * so that a kernel need not measure them; the TLB sizes reported are the reference silicon's, not the
 * model's.
 */

#include "cpu/cpuid.h"

#include "apic/lapic.h"
#include "base/check.h"
#include "core/clock.h"
#include "cpu/cpu.h"

#define BASIC_MAX       0x16u
#define BASIC_MAX_TCG72 0x0du
#define HYPERVISOR_BASE 0x40000000u
#define FREQUENCY_LEAF  0x40000010u
#define EXTENDED_BASE   0x80000000u
#define EXTENDED_MAX    0x80000021u

/* Family 19h, model 61h, stepping 2. */
#define SIGNATURE        0x00a60f12u
#define CACHE_LINE_BYTES 64u
#define XSAVE_AREA_BYTES 576u /* legacy region and header: x87 and SSE only */
#define XCR0_MASK        3u

const struct cpuid_feature_row cpuid_feature_rows[FEATURE_COUNT] = {
#define FEATURE(name_, word_, bit_, orrery_, tcg72_, switchable_, text_) \
    [FEATURE_##name_] = {#name_, CPUID_WORD_##word_, bit_, orrery_, tcg72_, switchable_, text_},
#include "cpu/cpuid.def"
#undef FEATURE
};

/* ---- models and names ---- */

static void set_feature(struct cpuid_model *m, int feature, bool on)
{
    const struct cpuid_feature_row *row = &cpuid_feature_rows[feature];
    uint32_t bit = UINT32_C(1) << row->bit;
    m->words[row->word] = on ? m->words[row->word] | bit : m->words[row->word] & ~bit;
}

static void set_model(struct cpuid_model *m, bool tcg72)
{
    m->name = tcg72 ? "tcg72" : "orrery";
    m->frequency_leaves = !tcg72;
    for (int i = 0; i < FEATURE_COUNT; i++) {
        set_feature(m, i, tcg72 ? cpuid_feature_rows[i].tcg72 : cpuid_feature_rows[i].orrery);
    }
}

static bool apply_item(struct cpuid_model *m, const char *item, size_t length, bool first, struct error *e)
{
    if (first && length == 6 && memcmp(item, "orrery", 6) == 0) {
        return true;
    }
    if (first && length == 5 && memcmp(item, "tcg72", 5) == 0) {
        set_model(m, true);
        return true;
    }
    if (length < 2 || (item[0] != '+' && item[0] != '-')) {
        return error_set(e, "--cpu: '%.*s' is neither a model (orrery, tcg72) nor +feature or -feature",
                         (int)length, item);
    }
    int feature = cpuid_feature_find(item + 1, length - 1);
    if (feature < 0) {
        return error_set(e, "--cpu: no feature '%.*s'", (int)length - 1, item + 1);
    }
    if (!cpuid_feature_rows[feature].switchable &&
        cpuid_model_has(m, (enum cpuid_feature)feature) != (item[0] == '+')) {
        return error_set(e, "--cpu: feature '%.*s' cannot be changed", (int)length - 1, item + 1);
    }
    set_feature(m, feature, item[0] == '+');
    return true;
}

bool cpuid_model_init(struct cpuid_model *m, const char *text, unsigned logical_cpus, struct error *e)
{
    CHECK(logical_cpus >= 1 && logical_cpus <= 256, "%u CPUs", logical_cpus);
    *m = (struct cpuid_model){.logical_cpus = logical_cpus};
    set_model(m, false);
    bool first = true;
    text = text && *text ? text : NULL;
    while (text) {
        size_t length = strcspn(text, ",");
        if (!apply_item(m, text, length, first, e)) {
            return false;
        }
        text = text[length] == ',' ? text + length + 1 : NULL;
        first = false;
    }
    return true;
}

bool cpuid_has(const struct cpu *cpu, enum cpuid_feature feature)
{
    return cpuid_model_has(cpu->cpuid, feature);
}

/* ---- leaves ---- */

static uint32_t apic_id(const struct cpu *cpu)
{
    return cpu->lapic ? lapic_initial_id(cpu->lapic) : cpu->number;
}

/* Bits of an APIC ID that number the CPUs of the one package. */
static unsigned id_bits(const struct cpu *cpu)
{
    unsigned bits = 0;
    while ((1u << bits) < cpu->cpuid->logical_cpus) {
        bits++;
    }
    return bits;
}

/* Twelve or sixteen characters as they lie in registers. */
static uint32_t text_word(const char *text, unsigned offset)
{
    return load_le32(text + offset);
}

static struct cpuid_values leaf_vendor(uint32_t max)
{
    static const char vendor[] = "AuthenticAMD";
    return (struct cpuid_values){max, text_word(vendor, 0), text_word(vendor, 8), text_word(vendor, 4)};
}

/* EDX of leaf 1, but for HTT: the local APIC is there while APIC_BASE enables it. */
static uint32_t base_features(const struct cpu *cpu)
{
    uint32_t edx = cpu->cpuid->words[CPUID_WORD_1_EDX];
    bool disabled = cpu->lapic && lapic_mode(cpu->lapic) == LAPIC_DISABLED;
    return disabled ? edx & ~(UINT32_C(1) << 9) : edx;
}

static struct cpuid_values leaf_1(const struct cpu *cpu)
{
    const struct cpuid_model *m = cpu->cpuid;
    uint32_t count = m->logical_cpus < 255 ? m->logical_cpus : 255;
    uint32_t ecx = m->words[CPUID_WORD_1_ECX];
    uint32_t edx = base_features(cpu);
    if (cpu->cr4 & CR4_OSXSAVE) {
        ecx |= UINT32_C(1) << 27;
    }
    if (count > 1) {
        edx |= UINT32_C(1) << 28; /* HTT: several logical processors in the package */
    }
    return (struct cpuid_values){SIGNATURE, apic_id(cpu) << 24 | count << 16 | CACHE_LINE_BYTES / 8 << 8, ecx,
                                 edx};
}

static struct cpuid_values leaf_5(const struct cpu *cpu)
{
    if (!cpuid_has(cpu, FEATURE_MONITOR)) {
        return (struct cpuid_values){0};
    }
    return (struct cpuid_values){CACHE_LINE_BYTES, CACHE_LINE_BYTES,
                                 1 /* this enumeration; no interrupt break */, 0};
}

static struct cpuid_values leaf_7(const struct cpu *cpu, uint32_t subleaf)
{
    const uint32_t *w = cpu->cpuid->words;
    if (subleaf != 0) {
        return (struct cpuid_values){0};
    }
    return (struct cpuid_values){0, w[CPUID_WORD_7_EBX], w[CPUID_WORD_7_ECX], 0};
}

/* Extended topology: one thread a core, all cores in one package. */
static struct cpuid_values leaf_b(const struct cpu *cpu, uint32_t subleaf)
{
    if (subleaf == 0) {
        return (struct cpuid_values){0, 1, 1 << 8, apic_id(cpu)};
    }
    if (subleaf == 1) {
        return (struct cpuid_values){id_bits(cpu), cpu->cpuid->logical_cpus, 2 << 8 | 1, apic_id(cpu)};
    }
    return (struct cpuid_values){0, 0, subleaf & 0xff, apic_id(cpu)};
}

/* Subleaf 1: the compacted area is as large as the plain one, since nothing follows the header. */
static struct cpuid_values leaf_d(const struct cpu *cpu, uint32_t subleaf)
{
    if (!cpuid_has(cpu, FEATURE_XSAVE) || subleaf > 1) {
        return (struct cpuid_values){0};
    }
    if (subleaf == 1) {
        return (struct cpuid_values){cpu->cpuid->words[CPUID_WORD_D1_EAX], XSAVE_AREA_BYTES, 0, 0};
    }
    return (struct cpuid_values){XCR0_MASK, XSAVE_AREA_BYTES, XSAVE_AREA_BYTES, 0};
}

/* TSC = crystal * EBX / EAX; the crystal is the input of the APIC timer. */
static struct cpuid_values leaf_15(void)
{
    return (struct cpuid_values){1, (uint32_t)(CLOCK_TSC_HZ / LAPIC_BUS_HZ), (uint32_t)LAPIC_BUS_HZ, 0};
}

static struct cpuid_values leaf_16(void)
{
    uint32_t mhz = (uint32_t)(CLOCK_TSC_HZ / 1000000);
    return (struct cpuid_values){mhz, mhz, 100, 0};
}

static struct cpuid_values leaf_basic(const struct cpu *cpu, uint32_t leaf, uint32_t subleaf)
{
    bool frequencies = cpu->cpuid->frequency_leaves;
    switch (leaf) {
    case 0:
        return leaf_vendor(frequencies ? BASIC_MAX : BASIC_MAX_TCG72);
    case 1:
        return leaf_1(cpu);
    case 5:
        return leaf_5(cpu);
    case 6:
        return (struct cpuid_values){cpu->cpuid->words[CPUID_WORD_6_EAX], 0, 0, 0};
    case 7:
        return leaf_7(cpu, subleaf);
    case 0xb:
        return leaf_b(cpu, subleaf);
    case 0xd:
        return leaf_d(cpu, subleaf);
    case 0x15:
        return frequencies ? leaf_15() : (struct cpuid_values){0};
    case 0x16:
        return frequencies ? leaf_16() : (struct cpuid_values){0};
    default:
        return (struct cpuid_values){0};
    }
}

static struct cpuid_values leaf_hypervisor(const struct cpu *cpu, uint32_t leaf)
{
    static const char signature[] = "OrreryOrrery";
    bool frequencies = cpu->cpuid->frequency_leaves;
    if (!cpuid_has(cpu, FEATURE_HYPERVISOR)) {
        return (struct cpuid_values){0};
    }
    if (leaf == HYPERVISOR_BASE) {
        return (struct cpuid_values){frequencies ? FREQUENCY_LEAF : HYPERVISOR_BASE, text_word(signature, 0),
                                     text_word(signature, 4), text_word(signature, 8)};
    }
    if (leaf == FREQUENCY_LEAF && frequencies) {
        return (struct cpuid_values){(uint32_t)(CLOCK_TSC_HZ / 1000), (uint32_t)(LAPIC_BUS_HZ / 1000), 0, 0};
    }
    return (struct cpuid_values){0};
}

static struct cpuid_values leaf_80000001(const struct cpu *cpu)
{
    const uint32_t *w = cpu->cpuid->words;
    uint32_t ecx = w[CPUID_WORD_80000001_ECX];
    if (cpu->cpuid->logical_cpus == 1) {
        ecx &= ~UINT32_C(2);
    }
    /* Bits that EDX shares with leaf 1: FPU..CX8, APIC, MTRR..PSE36, MMX, FXSR. */
    uint32_t shared = base_features(cpu) & 0x0183f3ffu;
    return (struct cpuid_values){SIGNATURE, 0, ecx, w[CPUID_WORD_80000001_EDX] | shared};
}

static struct cpuid_values leaf_brand(unsigned part)
{
    static const char brand[49] = "Orrery simulated processor (Zen 4 class)        ";
    unsigned o = part * 16;
    return (struct cpuid_values){text_word(brand, o), text_word(brand, o + 4), text_word(brand, o + 8),
                                 text_word(brand, o + 12)};
}

/* L1: entries and ways of the TLBs (EAX: 2 and 4 MiB, EBX: 4 KiB), then size, ways and line of the caches. */
static struct cpuid_values leaf_80000005(void)
{
    return (struct cpuid_values){0xff48ff40, 0xff48ff40, 0x20080140, 0x20080140};
}

/* L2 TLBs, L2 of 1 MiB in 8 ways, L3 of 32 MiB in 16 ways (unit 512 KiB). */
static struct cpuid_values leaf_80000006(void)
{
    return (struct cpuid_values){0x5c002200, 0x6c004200, 0x04006140, 0x01009140};
}

/* Address widths, and the number of CPUs with the width of their APIC IDs. */
static struct cpuid_values leaf_80000008(const struct cpu *cpu)
{
    uint32_t count = cpu->cpuid->logical_cpus - 1;
    return (struct cpuid_values){PHYS_BITS | LIN_BITS << 8, 0, (count & 0xff) | id_bits(cpu) << 12, 0};
}

struct cache_row {
    uint32_t type, level, ways, sets;
    bool shared; /* by all CPUs */
};

/* Cache topology; type 1 data, 2 instruction, 3 unified. */
static struct cpuid_values leaf_8000001d(const struct cpu *cpu, uint32_t subleaf)
{
    static const struct cache_row rows[] = {
        {1, 1, 8, 64, false}, {2, 1, 8, 64, false}, {3, 2, 8, 2048, false}, {3, 3, 16, 32768, true}};
    if (subleaf >= sizeof rows / sizeof rows[0]) {
        return (struct cpuid_values){0};
    }
    const struct cache_row *r = &rows[subleaf];
    uint32_t sharing = r->shared ? cpu->cpuid->logical_cpus - 1 : 0;
    return (struct cpuid_values){r->type | r->level << 5 | 1u << 8 | sharing << 14,
                                 (CACHE_LINE_BYTES - 1) | (r->ways - 1) << 22, r->sets - 1, 0};
}

static struct cpuid_values leaf_extended(const struct cpu *cpu, uint32_t leaf, uint32_t subleaf)
{
    switch (leaf) {
    case 0x80000000:
        return leaf_vendor(EXTENDED_MAX);
    case 0x80000001:
        return leaf_80000001(cpu);
    case 0x80000002:
    case 0x80000003:
    case 0x80000004:
        return leaf_brand(leaf - 0x80000002);
    case 0x80000005:
        return leaf_80000005();
    case 0x80000006:
        return leaf_80000006();
    case 0x80000007:
        return (struct cpuid_values){0, 0, 0, cpu->cpuid->words[CPUID_WORD_80000007_EDX]};
    case 0x80000008:
        return leaf_80000008(cpu);
    case 0x8000001d:
        return leaf_8000001d(cpu, subleaf);
    case 0x8000001e: /* APIC ID; core ID, one thread; node 0 of one */
        return (struct cpuid_values){apic_id(cpu), apic_id(cpu) & 0xff, 0, 0};
    case EXTENDED_MAX:
        return (struct cpuid_values){cpu->cpuid->words[CPUID_WORD_80000021_EAX], 0, 0, 0};
    default:
        return (struct cpuid_values){0};
    }
}

struct cpuid_values cpuid_query(const struct cpu *cpu, uint32_t leaf, uint32_t subleaf)
{
    if (leaf >= EXTENDED_BASE) {
        return leaf_extended(cpu, leaf, subleaf);
    }
    return leaf >= HYPERVISOR_BASE ? leaf_hypervisor(cpu, leaf) : leaf_basic(cpu, leaf, subleaf);
}
