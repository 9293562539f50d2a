#ifndef OS_KERNEL_ARCH_X86_64_VECTORS_H
#define OS_KERNEL_ARCH_X86_64_VECTORS_H

/* Interrupt vectors. Exceptions own 0..31; a higher number is a higher priority for the local APIC. */

#define VECTOR_DEBUG        1u
#define VECTOR_NMI          2u
#define VECTOR_DOUBLE_FAULT 8u
#define VECTOR_PAGE_FAULT   14u
#define VECTOR_ISA_BASE     0x30u /* ISA interrupt n arrives at 0x30 + n */
#define VECTOR_RESCHEDULE   0xf0u
#define VECTOR_CALL         0xf1u
#define VECTOR_SHOOTDOWN    0xf2u
#define VECTOR_TIMER        0xf3u
#define VECTOR_SPURIOUS     0xffu

#endif
