#ifndef OS_KERNEL_MM_VM_INTERNAL_H
#define OS_KERNEL_MM_VM_INTERNAL_H

/*
 * What vm.c, vm_area.c, vm_backing.c, fault.c, clone.c, migrate.c and vm_copy.c share. "Gated": the caller holds the
 * space's gate.
 */

#include "mm/frame.h"
#include "mm/slab.h"
#include "mm/vm.h"

/* In a loop that waits for another thread, nothing held but a gate: lets others run. */
void vm_relax(void);

/* The gate: one operation on a space at a time; waiters hold nothing and sleep. */
void vm_gate_enter(struct address_space *space);
void vm_gate_leave(struct address_space *space);

/* vm_map of an area with other properties, whose pages come by faults as well. */
MUST_CHECK status_t vm_map_area(struct address_space *space, vaddr_t hint, uint64_t bytes, uint32_t flags,
                                const struct vm_area *properties, vaddr_t *out);

/* ---- vm_area.c; all gated ---- */

MUST_CHECK status_t vm_area_start(void);
struct vm_area *vm_area_find(struct address_space *space, uint64_t address);
/* First area that ends above address, null when none does. */
struct vm_area *vm_area_first(struct address_space *space, uint64_t address);
/* Makes an area (in no list), null when memory is out; frees one. */
struct vm_area *vm_area_new(const struct vm_area *properties);
void vm_area_free(struct vm_area *area);
/* Links an area at its place; merges with equal neighbours; counts it. */
void vm_area_insert(struct address_space *space, struct vm_area *area);
/* Unlinks and frees. */
void vm_area_drop(struct address_space *space, struct vm_area *area);
/* Cuts areas so that none crosses start or end. All or nothing: STATUS_ERR_NO_MEMORY, STATUS_ERR_LIMIT. */
MUST_CHECK status_t vm_area_cut(struct address_space *space, uint64_t start, uint64_t end);
/* Joins equal neighbours in and around [start, end). */
void vm_area_join(struct address_space *space, uint64_t start, uint64_t end);
/* First gap of bytes at or above hint, 0 when there is none. */
uint64_t vm_area_gap(struct address_space *space, uint64_t hint, uint64_t bytes);

/* ---- vm_backing.c ---- */

/* An area begins, ends to use its backing. Gated. */
void vm_backing_join(struct address_space *space, struct vm_area *area);
void vm_backing_leave(struct vm_area *area);
/* Makes the page at address present. Gated. */
MUST_CHECK status_t vm_backing_page_in(struct address_space *space, const struct vm_area *area,
                                       uint64_t address);
/* Frames of n pages from address on, with a reference each, and the flags for all. False: vm_backing_page_in tells why. Gated. */
bool vm_backing_frames(const struct vm_area *area, uint64_t address, unsigned n, pfn_t *frames,
                       page_flags_t *flags);
/* Whether the page at address is one that all who map it see; else a writer has, or gets, a copy. Gated. */
bool vm_backing_shares(const struct vm_area *area, uint64_t address, const struct pt_leaf *leaf);
/* What the fault on a page of a VM_DEVICE area with a backing, of which all were there at first, is answered with. Gated. */
MUST_CHECK status_t vm_backing_device_fault(const struct vm_area *area);
/* Waits until nobody will enter the gate from outside any more. The space has no areas. */
void vm_backing_unpinned(const struct address_space *space);

/* ---- pages; all gated ---- */

/* Leaf flags of a page of an area: writable only when the area is and cow is false. */
page_flags_t vm_leaf_flags(const struct vm_area *area, bool cow);

/* True when `frames` more resident pages and tables are allowed. */
bool vm_may_grow(const struct address_space *space, uint64_t frames);

/* Makes the page at address present, and writable when write is set. *added (may be null): a page came to be.
 */
MUST_CHECK status_t vm_page_in(struct address_space *space, const struct vm_area *area, uint64_t address,
                               bool write, bool *added);

/* Takes every page of [start, end) out; flushes and frees. */
void vm_pages_out(struct address_space *space, uint64_t start, uint64_t end);

#endif
