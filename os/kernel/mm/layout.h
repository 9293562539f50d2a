#ifndef OS_KERNEL_MM_LAYOUT_H
#define OS_KERNEL_MM_LAYOUT_H

/*
 * The virtual address space, one table. Everything outside it is never mapped.
 *
 *   from                 size      what
 *   0x0000000000001000   128 TiB   user half (page 0 and the page before the canonical hole stay unmapped)
 *   0xffff800000000000    64 TiB   physmap: all managed RAM, write-back, NX; the kernel heap lives in it
 *   0xffffc00000000000   512 GiB   frame_table: 12 bytes a frame, backed only where there is RAM
 *   0xffffc08000000000   512 GiB   block_table: one record per 2 MiB of RAM, backed only where there is RAM
 *   0xffffc10000000000   512 GiB   kernel map: stacks with guard pages, MMIO windows
 *   0xffffffff80000000     2 GiB   kernel image
 */

#include "mm/limits.h"

#define USER_BASE 0x0000000000001000ull
#define USER_END  0x00007ffffffff000ull /* first byte after the last user page */

#define PHYSMAP_BASE      0xffff800000000000ull
#define PHYSMAP_SIZE      (64ull << 40)
#define FRAME_TABLE_BASE  0xffffc00000000000ull
#define FRAME_TABLE_SIZE  (512ull << 30)
#define BLOCK_TABLE_BASE  0xffffc08000000000ull
#define BLOCK_TABLE_SIZE  (512ull << 30)
#define KERNEL_MAP_BASE   0xffffc10000000000ull
#define KERNEL_MAP_SIZE   (512ull << 30)
#define KERNEL_IMAGE_BASE 0xffffffff80000000ull

_Static_assert(PHYSMAP_BASE + PHYSMAP_SIZE == FRAME_TABLE_BASE,
               "layout: physmap ends where the frame table starts");
_Static_assert(FRAME_TABLE_BASE + FRAME_TABLE_SIZE == BLOCK_TABLE_BASE, "layout: tables are neighbours");
_Static_assert(BLOCK_TABLE_BASE + BLOCK_TABLE_SIZE == KERNEL_MAP_BASE, "layout: kernel map follows");

/* Where user memory goes that the program does not care to place. */
#define MAP_BASE 0x0000100000000000ull

#endif
