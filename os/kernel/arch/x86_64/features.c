/*
 * Processor features. Sources: AMD64 APM volume 3, "Obtaining Processor Information Via the CPUID
 * Instruction"; volume 2, "System-Control Registers". Deviations: AVX and larger states are left off on
 * purpose (XCR0 = x87 + SSE).
 */
#include "arch/x86_64/features.h"

#include "arch/arch.h"
#include "panic.h"

#define CPUID_1_ECX_PCID         (1u << 17)
#define CPUID_1_ECX_X2APIC       (1u << 21)
#define CPUID_1_ECX_TSC_DEADLINE (1u << 24)
#define CPUID_1_ECX_XSAVE        (1u << 26)
#define CPUID_1_ECX_HYPERVISOR   (1u << 31)
#define CPUID_1_EDX_REQUIRED \
    ((1u << 0) | (1u << 4) | (1u << 5) | (1u << 6) | (1u << 9) | (1u << 13) | (1u << 24) | (1u << 26))
#define CPUID_7_EBX_SMEP    (1u << 7)
#define CPUID_7_EBX_INVPCID (1u << 10)
#define CPUID_7_EBX_SMAP    (1u << 20)
#define CPUID_7_ECX_UMIP    (1u << 2)
#define XCR0_X87_SSE        3u

struct smap_site {
    uint64_t address;
    uint64_t third_byte;
};

struct cpu_features features_detected;

static void detect_standard(void)
{
    struct cpuid one = cpuid_read(1, 0);
    if ((one.edx & CPUID_1_EDX_REQUIRED) != CPUID_1_EDX_REQUIRED) {
        panic("the processor lacks a required feature (CPUID 1 EDX %08x)", one.edx);
    }
    features_detected.pcid = (one.ecx & CPUID_1_ECX_PCID) != 0;
    features_detected.x2apic = (one.ecx & CPUID_1_ECX_X2APIC) != 0;
    features_detected.tsc_deadline = (one.ecx & CPUID_1_ECX_TSC_DEADLINE) != 0;
    features_detected.xsave = (one.ecx & CPUID_1_ECX_XSAVE) != 0;
    if (one.ecx & CPUID_1_ECX_HYPERVISOR) {
        features_detected.max_hypervisor_leaf = cpuid_read(0x40000000, 0).eax;
    }
}

void features_detect(void)
{
    features_detected.max_leaf = cpuid_read(0, 0).eax;
    detect_standard();
    if (features_detected.max_leaf >= 7) {
        struct cpuid seven = cpuid_read(7, 0);
        features_detected.smep = (seven.ebx & CPUID_7_EBX_SMEP) != 0;
        features_detected.invpcid = (seven.ebx & CPUID_7_EBX_INVPCID) != 0;
        features_detected.smap = (seven.ebx & CPUID_7_EBX_SMAP) != 0;
        features_detected.umip = (seven.ecx & CPUID_7_ECX_UMIP) != 0;
    }
    if (features_detected.xsave && features_detected.max_leaf >= 13) {
        features_detected.xsaveopt = (cpuid_read(13, 1).eax & 1) != 0;
    }
    features_detected.physical_bits = 36;
    if (cpuid_read(0x80000000, 0).eax >= 0x80000008) {
        features_detected.physical_bits = cpuid_read(0x80000008, 0).eax & 0xff;
    }
}

void features_enable_on_this_cpu(void)
{
    uint64_t cr4 = cr4_read() | CR4_PGE | CR4_OSFXSR | CR4_OSXMMEXCPT;
    cr4 |= features_detected.smep ? CR4_SMEP : 0;
    cr4 |= features_detected.smap ? CR4_SMAP : 0;
    cr4 |= features_detected.umip ? CR4_UMIP : 0;
    cr4 &= ~CR4_FSGSBASE; /* change.h */
    cr4 |= features_detected.xsave ? CR4_OSXSAVE : 0;
    cr4 |= features_detected.pcid ? CR4_PCIDE : 0; /* the tables in CR3 have PCID 0, and stay */
    cr4_write(cr4);
    cr0_write((cr0_read() | CR0_WP | CR0_MP | CR0_NE | CR0_TS) & ~CR0_EM); /* fpu.h */
    if (features_detected.xsave) {
        __asm__ volatile("xsetbv" : : "c"(0), "a"(XCR0_X87_SSE), "d"(0));
    }
    msr_write(MSR_EFER, msr_read(MSR_EFER) | EFER_SCE | EFER_NXE);
}

void features_patch_smap(uint64_t writable_alias)
{
    extern const struct smap_site smap_sites_start[];
    extern const struct smap_site smap_sites_end[];
    if (!features_detected.smap) {
        return;
    }
    for (const struct smap_site *site = smap_sites_start; site < smap_sites_end; site++) {
        volatile uint8_t *code = (volatile uint8_t *)(uintptr_t)(site->address + writable_alias);
        code[0] = 0x0f;
        code[1] = 0x01;
        code[2] = (uint8_t)site->third_byte;
    }
    cpuid_read(0, 0); /* serialises: the bytes are code now */
}
