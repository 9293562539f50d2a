#ifndef OS_KERNEL_ARCH_X86_64_DESCRIPTORS_H
#define OS_KERNEL_ARCH_X86_64_DESCRIPTORS_H

/* GDT, TSS and IDT. */

struct cpu;

/* Fills the IDT that all CPUs share. Once, on the boot processor. */
void idt_init(void);

/*
 * Loads GDT, TSS, IDT and the SYSCALL registers of this CPU; GS base is set to `cpu`, whose IST stacks are set.
 */
void descriptors_load(struct cpu *cpu);

/* Writes the IST stacks of cpu->ist_top into the TSS, and the area's address at their tops. */
void descriptors_set_ist(struct cpu *cpu);

#endif
