#ifndef OS_KERNEL_ARCH_X86_64_FEATURES_H
#define OS_KERNEL_ARCH_X86_64_FEATURES_H

/* What CPUID says of the processor, read once on the boot processor. */

#include <stdbool.h>
#include <stdint.h>

#define CR0_WP (1ull << 16)
#define CR0_MP (1ull << 1)
#define CR0_EM (1ull << 2)
#define CR0_TS (1ull << 3)
#define CR0_NE (1ull << 5)

#define CR4_PGE        (1ull << 7)
#define CR4_OSFXSR     (1ull << 9)
#define CR4_OSXMMEXCPT (1ull << 10)
#define CR4_UMIP       (1ull << 11)
#define CR4_FSGSBASE   (1ull << 16)
#define CR4_PCIDE      (1ull << 17)
#define CR4_OSXSAVE    (1ull << 18)
#define CR4_SMEP       (1ull << 20)
#define CR4_SMAP       (1ull << 21)

#define EFER_SCE (1ull << 0)
#define EFER_LME (1ull << 8)
#define EFER_NXE (1ull << 11)

#define MSR_APIC_BASE      0x1b
#define MSR_TSC_DEADLINE   0x6e0
#define MSR_PAT            0x277
#define MSR_EFER           0xc0000080
#define MSR_STAR           0xc0000081
#define MSR_LSTAR          0xc0000082
#define MSR_SFMASK         0xc0000084
#define MSR_FS_BASE        0xc0000100
#define MSR_GS_BASE        0xc0000101
#define MSR_KERNEL_GS_BASE 0xc0000102

struct cpu_features {
    bool smep;
    bool smap;
    bool umip;
    bool pcid;
    bool invpcid;
    bool x2apic;
    bool tsc_deadline;
    bool xsave;
    bool xsaveopt;
    uint32_t max_leaf;
    uint32_t max_hypervisor_leaf;
    uint32_t physical_bits;
};

/* Reads CPUID. Call once, on the boot processor, before anything that asks. */
void features_detect(void);

extern struct cpu_features features_detected;

static inline const struct cpu_features *features(void)
{
    return &features_detected;
}

/* Sets the control registers and EFER of this CPU to what the kernel uses. */
void features_enable_on_this_cpu(void);

/* Turns the CLAC and STAC sites on when SMAP is there. `writable_alias` is added to a text address to write
 * to it. */
void features_patch_smap(uint64_t writable_alias);

#endif
