#ifndef ORRERY_CPU_CPUID_H
#define ORRERY_CPU_CPUID_H

/* What CPUID reports, and therefore what the CPU honours. Source: APM vol. 3, appendix E, "Obtaining
 * Processor Information Via the CPUID Instruction". */

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

struct cpu;

enum cpuid_word {
    CPUID_WORD_1_ECX,
    CPUID_WORD_1_EDX,
    CPUID_WORD_6_EAX,
    CPUID_WORD_7_EBX,
    CPUID_WORD_7_ECX,
    CPUID_WORD_D1_EAX,
    CPUID_WORD_80000001_ECX,
    CPUID_WORD_80000001_EDX,
    CPUID_WORD_80000007_EDX,
    CPUID_WORD_80000021_EAX,
    CPUID_WORD_COUNT
};

enum cpuid_feature {
#define FEATURE(name, word, bit, orrery, tcg72, switchable, text) FEATURE_##name,
#include "cpu/cpuid.def"
#undef FEATURE
    FEATURE_COUNT
};

/* One kind of CPU, in a machine with logical_cpus of them. Never changes after cpuid_model_init. */
struct cpuid_model {
    const char *name;
    uint32_t words[CPUID_WORD_COUNT];
    unsigned logical_cpus;
    bool frequency_leaves; /* 15, 16 and 4000_0010 tell the frequencies */
};

/* A row of cpuid.def for those who list or look up features. */
struct cpuid_feature_row {
    const char *name; /* as in the enum: upper case, '_' */
    enum cpuid_word word;
    uint8_t bit;
    bool orrery, tcg72, switchable;
    const char *text;
};

extern const struct cpuid_feature_row cpuid_feature_rows[FEATURE_COUNT];

/* The row named as a person types it ("x2apic", "tsc-deadline"; any case, '-', '_' and '.' alike), or -1. */
int cpuid_feature_find(const char *name, size_t length);

/* Fills a model from the argument of --cpu: items between commas, an optional model name ("orrery", the
 * default, or "tcg72") first, then +feature or -feature. NULL and "" mean the default. logical_cpus is 1 to
 * 256. False: a message about the first item that cannot be had. */
bool cpuid_model_init(struct cpuid_model *m, const char *text, unsigned logical_cpus, struct error *e);

static inline bool cpuid_model_has(const struct cpuid_model *m, enum cpuid_feature feature)
{
    const struct cpuid_feature_row *row = &cpuid_feature_rows[feature];
    return (m->words[row->word] >> row->bit & 1) != 0;
}

bool cpuid_has(const struct cpu *cpu, enum cpuid_feature feature);

/* The values of EAX, EBX, ECX, EDX; state of the CPU (OSXSAVE, APIC enabled, XCR0) shows in some of them. A
 * leaf that does not exist is all zeros, as on AMD processors. */
struct cpuid_values {
    uint32_t eax, ebx, ecx, edx;
};

struct cpuid_values cpuid_query(const struct cpu *cpu, uint32_t leaf, uint32_t subleaf);

#endif
