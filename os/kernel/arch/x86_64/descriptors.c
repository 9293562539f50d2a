/*
 * Segment and interrupt descriptor tables. Source: AMD64 APM volume 2, "Segmented Virtual Memory", "64-Bit
 * Task State Segment", "Long-Mode Interrupt Control Transfers", "SYSCALL and SYSRET". Interrupt gates
 * everywhere: interrupts stay off until the handler says otherwise.
 */
#include "arch/x86_64/descriptors.h"

#include "arch/arch.h"
#include "arch/x86_64/features.h"
#include "arch/x86_64/percpu.h"

#define GATE_PRESENT   0x8000u
#define GATE_INTERRUPT 0x0e00u
#define GATE_USER      0x6000u

#define RFLAGS_TF (1ull << 8)
#define RFLAGS_DF (1ull << 10)
#define RFLAGS_NT (1ull << 14)
#define RFLAGS_RF (1ull << 16)
#define RFLAGS_AC (1ull << 18)

#define DESCRIPTOR_KERNEL_CODE 0x00af9b000000ffffull
#define DESCRIPTOR_KERNEL_DATA 0x00cf93000000ffffull
#define DESCRIPTOR_USER_DATA   0x00cff3000000ffffull
#define DESCRIPTOR_USER_CODE   0x00affb000000ffffull

struct gate {
    uint16_t offset_low;
    uint16_t selector;
    uint16_t attributes; /* bits 0..2 IST */
    uint16_t offset_middle;
    uint32_t offset_high;
    uint32_t reserved;
};

struct __attribute__((packed)) table_pointer {
    uint16_t limit;
    uint64_t base;
};

extern char trap_vectors[];
extern char syscall_entry[];

static struct gate idt[256];

static uint16_t ist_of_vector(unsigned vector)
{
    switch (vector) {
    case 1:
        return IST_DEBUG + 1;
    case 2:
        return IST_NMI + 1;
    case 8:
        return IST_DOUBLE_FAULT + 1;
    case 18:
        return IST_MACHINE_CHECK + 1;
    default:
        return 0;
    }
}

void idt_init(void)
{
    for (unsigned vector = 0; vector < 256; vector++) {
        uint64_t target = (uint64_t)(uintptr_t)trap_vectors + 16u * vector;
        uint16_t user = (vector == 3 || vector == 4) ? GATE_USER : 0; /* INT3 and INTO are for everybody */
        idt[vector] = (struct gate){
            .offset_low = (uint16_t)target,
            .selector = SELECTOR_KERNEL_CODE,
            .attributes = (uint16_t)(GATE_PRESENT | GATE_INTERRUPT | user | ist_of_vector(vector)),
            .offset_middle = (uint16_t)(target >> 16),
            .offset_high = (uint32_t)(target >> 32),
        };
    }
}

static void gdt_fill(struct cpu *cpu)
{
    uint64_t tss = (uint64_t)(uintptr_t)&cpu->tss;
    cpu->gdt[0] = 0;
    cpu->gdt[SELECTOR_KERNEL_CODE / 8] = DESCRIPTOR_KERNEL_CODE;
    cpu->gdt[SELECTOR_KERNEL_DATA / 8] = DESCRIPTOR_KERNEL_DATA;
    cpu->gdt[SELECTOR_USER_DATA / 8] = DESCRIPTOR_USER_DATA;
    cpu->gdt[SELECTOR_USER_CODE / 8] = DESCRIPTOR_USER_CODE;
    cpu->gdt[SELECTOR_TSS / 8] =
        (sizeof(struct tss) - 1) | ((tss & 0xffffff) << 16) | (0x89ull << 40) | (((tss >> 24) & 0xff) << 56);
    cpu->gdt[SELECTOR_TSS / 8 + 1] = tss >> 32;
    cpu->tss.io_map_base = sizeof(struct tss);
}

static void syscall_registers_load(void)
{
    uint64_t star = ((uint64_t)(SELECTOR_KERNEL_DATA | 3) << 48) | ((uint64_t)SELECTOR_KERNEL_CODE << 32);
    msr_write(MSR_STAR, star);
    msr_write(MSR_LSTAR, (uint64_t)(uintptr_t)syscall_entry);
    msr_write(MSR_SFMASK, RFLAGS_IF | RFLAGS_TF | RFLAGS_DF | RFLAGS_NT | RFLAGS_RF | RFLAGS_AC);
}

void descriptors_load(struct cpu *cpu)
{
    gdt_fill(cpu);
    struct table_pointer gdt_pointer = {sizeof(cpu->gdt) - 1, (uint64_t)(uintptr_t)cpu->gdt};
    struct table_pointer idt_pointer = {sizeof(idt) - 1, (uint64_t)(uintptr_t)idt};
    __asm__ volatile("lgdt %0\n\t"
                     "pushq %1\n\t"
                     "leaq 1f(%%rip), %%rax\n\t"
                     "pushq %%rax\n\t"
                     "lretq\n"
                     "1:\n\t"
                     "movl %2, %%eax\n\t"
                     "movl %%eax, %%ss\n\t"
                     "xorl %%eax, %%eax\n\t"
                     "movl %%eax, %%ds\n\t"
                     "movl %%eax, %%es\n\t"
                     "movl %%eax, %%fs\n\t"
                     "movl %%eax, %%gs\n\t"
                     :
                     : "m"(gdt_pointer), "i"(SELECTOR_KERNEL_CODE), "i"(SELECTOR_KERNEL_DATA)
                     : "rax", "memory");
    msr_write(MSR_GS_BASE, (uint64_t)(uintptr_t)cpu);
    msr_write(MSR_KERNEL_GS_BASE, 0);
    __asm__ volatile("lidt %0" : : "m"(idt_pointer));
    __asm__ volatile("ltr %w0" : : "r"(SELECTOR_TSS));
    syscall_registers_load();
}

void descriptors_set_ist(struct cpu *cpu)
{
    for (unsigned i = 0; i < IST_COUNT; i++) {
        /* The two top words: the area, and padding that keeps the frame 16-byte aligned. */
        uint64_t top = cpu->ist_top[i] - 16;
        *(uint64_t *)(uintptr_t)top = (uint64_t)(uintptr_t)cpu;
        cpu->tss.ist_low_high[2 * i] = (uint32_t)top;
        cpu->tss.ist_low_high[2 * i + 1] = (uint32_t)(top >> 32);
    }
}
