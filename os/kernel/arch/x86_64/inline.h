#ifndef OS_KERNEL_ARCH_X86_64_INLINE_H
#define OS_KERNEL_ARCH_X86_64_INLINE_H

/* Inline bodies of arch/arch.h for x86-64, and the privileged instructions the rest of arch/x86_64 uses. */

#include <stdbool.h>
#include <stdint.h>

#include "arch/x86_64/frame.h"
#include "arch/x86_64/layout.h"
#include "types.h"

#define RFLAGS_IF (1ull << 9)

static inline uint64_t arch_irq_save(void)
{
    uint64_t flags;
    __asm__ volatile("pushfq\n\tpopq %0\n\tcli" : "=r"(flags) : : "memory");
    return flags;
}

static inline void arch_irq_restore(uint64_t state)
{
    if (state & RFLAGS_IF) {
        __asm__ volatile("sti" : : : "memory");
    }
}

static inline bool arch_irq_enabled(void)
{
    uint64_t flags;
    __asm__ volatile("pushfq\n\tpopq %0" : "=r"(flags));
    return (flags & RFLAGS_IF) != 0;
}

static inline void arch_irq_enable(void)
{
    __asm__ volatile("sti" : : : "memory");
}

/* One instruction, and stores are seen in their order. Source: AMD64 APM volume 2, "Memory Access Ordering". */
static inline void arch_step16(uint16_t *number)
{
    __asm__ volatile("incw %0" : "+m"(*number) : : "memory", "cc");
}

static inline void arch_step32(uint32_t *number)
{
    __asm__ volatile("incl %0" : "+m"(*number) : : "memory", "cc");
}

static inline void arch_irq_disable(void)
{
    __asm__ volatile("cli" : : : "memory");
}

KEEPS_REGISTERS void shootdown_serve(void);

/*
 * Every spin loop answers TLB shootdowns, so that a CPU that spins with interrupts off cannot hold up another
 * one that holds what it spins for.
 */
static inline void arch_pause(void)
{
    uint64_t pending;
    __asm__ volatile("pause\n\tmovq %%gs:%c1, %0" : "=r"(pending) : "i"(CPU_SHOOTDOWN_PENDING) : "memory");
    if (__builtin_expect(pending != 0, 0)) {
        uint64_t flags = arch_irq_save();
        shootdown_serve();
        arch_irq_restore(flags);
    }
}

/* Of the per-CPU area that GS points at (struct cpu, which asserts the offset). */
static inline unsigned arch_cpu_id(void)
{
    unsigned id;
    __asm__ volatile("movl %%gs:%c1, %0" : "=r"(id) : "i"(CPU_ID));
    return id;
}

static inline void *arch_phys_to_virt(paddr_t address)
{
    return (void *)(uintptr_t)(address.number + LAYOUT_PHYSMAP_BASE);
}

static inline paddr_t arch_virt_to_phys(const void *pointer)
{
    return paddr_make((uint64_t)(uintptr_t)pointer - LAYOUT_PHYSMAP_BASE);
}

static inline void arch_tlb_flush_page(vaddr_t address)
{
    __asm__ volatile("invlpg (%0)" : : "r"(address.number) : "memory");
}

void arch_tlb_flush_all(void); /* pcid.c */

static inline uint64_t arch_cycles(void)
{
    uint32_t low;
    uint32_t high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return ((uint64_t)high << 32) | low;
}

static inline uint64_t cr0_read(void)
{
    uint64_t value;
    __asm__ volatile("movq %%cr0, %0" : "=r"(value));
    return value;
}

static inline void cr0_write(uint64_t value)
{
    __asm__ volatile("movq %0, %%cr0" : : "r"(value) : "memory");
}

static inline uint64_t cr2_read(void)
{
    uint64_t value;
    __asm__ volatile("movq %%cr2, %0" : "=r"(value));
    return value;
}

static inline uint64_t cr3_read(void)
{
    uint64_t value;
    __asm__ volatile("movq %%cr3, %0" : "=r"(value) : : "memory");
    return value;
}

static inline void cr3_write(uint64_t value)
{
    __asm__ volatile("movq %0, %%cr3" : : "r"(value) : "memory");
}

static inline uint64_t cr4_read(void)
{
    uint64_t value;
    __asm__ volatile("movq %%cr4, %0" : "=r"(value));
    return value;
}

static inline void cr4_write(uint64_t value)
{
    __asm__ volatile("movq %0, %%cr4" : : "r"(value) : "memory");
}

static inline uint64_t msr_read(uint32_t number)
{
    uint32_t low;
    uint32_t high;
    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(number));
    return ((uint64_t)high << 32) | low;
}

static inline void msr_write(uint32_t number, uint64_t value)
{
    __asm__ volatile("wrmsr" : : "c"(number), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)) : "memory");
}

struct cpuid {
    uint32_t eax;
    uint32_t ebx;
    uint32_t ecx;
    uint32_t edx;
};

static inline struct cpuid cpuid_read(uint32_t leaf, uint32_t subleaf)
{
    struct cpuid r;
    __asm__ volatile("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx) : "a"(leaf), "c"(subleaf));
    return r;
}

static inline void port_write8(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint8_t port_read8(uint16_t port)
{
    uint8_t value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline void port_write16(uint16_t port, uint16_t value)
{
    __asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint16_t port_read16(uint16_t port)
{
    uint16_t value;
    __asm__ volatile("inw %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline void port_write32(uint16_t port, uint32_t value)
{
    __asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint32_t port_read32(uint16_t port)
{
    uint32_t value;
    __asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

#endif
