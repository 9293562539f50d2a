#ifndef OS_KERNEL_ARCH_X86_64_KMAP_H
#define OS_KERNEL_ARCH_X86_64_KMAP_H

/* The kernel half of the page tables: its root, device windows, kernel stacks between guard pages. */

#include "abi/status.h"
#include "mm/pagetable.h"
#include "types.h"

#define KERNEL_STACK_PAGES 4u
#define KERNEL_STACK_BYTES (KERNEL_STACK_PAGES * PAGE_SIZE)

/* The kernel's page table. Changes under the lock of kmap.c. */
struct page_table *kmap_table(void);

/* From now on tables of the kernel half come from the frame manager, those of the boot go back to it when
 * empty. */
void kmap_use_frame_manager(void);

/*
 * Maps device registers uncached, for good; address page aligned, bytes a page multiple. The window region is
 * 1 GiB. Fails as pt_map_range, STATUS_ERR_LIMIT.
 */
MUST_CHECK status_t kmap_device(paddr_t address, uint64_t bytes, void **out);

/* A kernel stack with unmapped pages below and above; *top is its first byte after. STATUS_ERR_NO_MEMORY,
 * _LIMIT. */
MUST_CHECK status_t kmap_stack_alloc(uint64_t *top);

/*
 * Frees `count` stacks by their tops. Returns after every CPU has dropped its translations; must be called
 * with interrupts on and no spinlock held.
 */
void kmap_stacks_free(const uint64_t *tops, unsigned count);

/* True for an address in the guard page below a kernel stack. */
bool kmap_is_stack_guard(uint64_t address);

#endif
