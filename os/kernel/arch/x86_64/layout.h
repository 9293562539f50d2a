#ifndef OS_KERNEL_ARCH_X86_64_LAYOUT_H
#define OS_KERNEL_ARCH_X86_64_LAYOUT_H

/*
 * The part of the address-space layout that assembly and the linker script need, numbers without suffix;
 * mm/layout.h is the whole table, and kmap.c asserts that the two agree.
 */

#define LAYOUT_PHYSMAP_BASE 0xffff800000000000
#define LAYOUT_IMAGE_BASE   0xffffffff80000000

#endif
