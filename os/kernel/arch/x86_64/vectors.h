#ifndef OS_KERNEL_ARCH_X86_64_VECTORS_H
#define OS_KERNEL_ARCH_X86_64_VECTORS_H

/* Interrupt vectors. Exceptions own 0..31; a higher number is a higher priority for the local APIC. */

enum vector {
    VECTOR_DEBUG = 1,
    VECTOR_NMI = 2,
    VECTOR_NO_FPU = 7,
    VECTOR_DOUBLE_FAULT = 8,
    VECTOR_PAGE_FAULT = 14,
    VECTOR_LINE_BASE = 0x30, /* line n arrives at 0x30 + n (arch/x86_64/ioapic.h) */
    VECTOR_RESCHEDULE = 0xf0,
    VECTOR_CALL = 0xf1,
    VECTOR_SHOOTDOWN = 0xf2,
    VECTOR_TIMER = 0xf3,
    VECTOR_SPURIOUS = 0xff,
};

#endif
