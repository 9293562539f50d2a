#ifndef OS_KERNEL_MM_VM_H
#define OS_KERNEL_MM_VM_H

/*
 * Address spaces of processes: a page table and the sorted areas that say what may be where.
 *
 * Serialisation: every operation holds the space's gate from start to end, TLB flushes included. The gate is
 * not a spinlock: a waiter holds nothing and sleeps, or at least answers TLB shootdowns, and newcomers overtake it once
 * at most. So nothing here may be called in interrupt handlers or with a spinlock held; page faults are fine (they come
 * from user code or from user accesses of system calls that hold no gate).
 */

#include "abi/status.h"
#include "lib/list.h"
#include "lib/spinlock.h"
#include "mm/layout.h"
#include "mm/pagetable.h"
#include "mm/tlb.h"
#include "types.h"

#define VM_READ           0x1u
#define VM_WRITE          0x2u
#define VM_EXECUTE        0x4u
#define VM_PROTECTION_ALL 0x7u

#define VM_FIXED 0x10u /* at exactly the given address, else STATUS_ERR_EXISTS */

#define VM_MAX_AREAS    4096u
#define VM_POPULATE_MAX 8192u /* pages in one call */

enum vm_area_kind {
    VM_ANONYMOUS, /* zero pages on demand */
    VM_STACK,     /* the same; the page below it is its VM_GUARD */
    VM_GUARD,     /* never accessible: STATUS_ERR_GUARD */
    VM_DEVICE, /* physical range, mapped at once, no frame references; perhaps with a backing, which takes it away */
    VM_BACKED, /* pages of a struct vm_backing, on demand */
};

struct vm_backing;

/* Where the pages of VM_BACKED areas come from, and what VM_DEVICE areas can be taken away by. */
struct vm_backing_ops {
    /*
     * The frames of n pages from index on, which the areas cover; the mapping takes references of its own. *copy: a writer must
     * get a copy. Fails with what a fault there is answered with. Of a device only this is asked, with n 0. Under the gate of
     * a space.
     */
    status_t (*pages)(struct vm_backing *backing, uint64_t index, unsigned n, pfn_t *out, bool *copy);
    /* A fault was answered with what pages() failed with. Under the gate. */
    void (*denied)(struct vm_backing *backing, status_t why);
    /* The last area that used it is gone. Under a gate or not; must not wait. */
    void (*unused)(struct vm_backing *backing);
};

/* One mapping of something, and what became of it by splits and forks. */
struct vm_backing {
    const struct vm_backing_ops *ops;
    struct spinlock lock;
    struct list areas; /* that use it, in any space */
    uint64_t drain;    /* number of the last vm_backing_drain */
};

struct vm_area {
    struct list link;
    uint64_t start; /* bytes, page aligned */
    uint64_t end;
    uint32_t protection; /* VM_READ | VM_WRITE | VM_EXECUTE */
    enum vm_area_kind kind;
    uint64_t physical; /* VM_DEVICE: address of start; VM_BACKED: page of the backing at start */
    enum cache_policy cache;
    uint32_t allowed;           /* with a backing: protection that vm_protect may give */
    bool copy;                  /* VM_BACKED: a writer gets a copy of its own */
    uint64_t drained;           /* with a backing: last drain that has taken the pages out */
    struct vm_backing *backing; /* VM_BACKED, and VM_DEVICE that can be taken away; else null */
    struct list backing_link;
    struct address_space *space; /* with a backing: that it lies in */
};

struct vm_stats {
    uint64_t resident_pages; /* present 4 KiB leaves with a frame reference */
    uint64_t device_pages;
    uint64_t table_frames; /* page tables, root included */
    uint64_t area_bytes;   /* all areas but guards */
    uint64_t faults;
    uint64_t zero_fills;
    uint64_t cow_copies;     /* write faults that copied */
    uint64_t cow_takes;      /* last writer: page taken without a copy */
    uint64_t denied;         /* faults answered with an error */
    uint64_t migrated_pages; /* to another node */
};

struct address_space {
    struct page_table table;
    uint32_t gate;             /* one operation at a time */
    struct pid pid;            /* whose it is: the owner id of its frames */
    uint64_t cpu_mask;         /* CPUs that have it loaded; kept by the context switch, read by shootdown */
    uint64_t tlb_context;      /* number of this space for the TLB, never given twice, not 0 */
    uint32_t tlb_slot_hint;    /* where a CPU kept its translations last; below TLB_SLOTS */
    uint64_t tlb_generation;   /* flushes so far; raised before cpu_mask is read */
    uint64_t frame_limit;      /* resident pages + table frames allowed, 0: no limit */
    uint32_t pins;             /* of those that will enter the gate though they do not own the space */
    struct list areas;         /* struct vm_area, ascending */
    struct vm_area *last_area; /* found last, a hint */
    uint32_t area_count;
    struct vm_stats stats;
};

struct vm_hooks {
    void (*relax)(void); /* while waiting for another CPU; null: arch_pause */
    /* At a gate, and leaving one where somebody may wait (sched/gate.h); null: arch_pause, nobody sleeps. */
    bool (*wait)(const uint32_t *gate, bool overtaken);
    void (*leave)(uint32_t *gate);
};

/* Makes the area cache. kernel: its upper half is shared into every space (null: none). Both must live for
 * ever. */
MUST_CHECK status_t vm_init(const struct page_table *kernel, const struct vm_hooks *hooks);

/* An empty space in memory of the caller. STATUS_ERR_NO_MEMORY. */
MUST_CHECK status_t vm_space_init(struct address_space *space, struct pid pid);

/* Unmaps everything and frees every frame and table. No CPU may use the space any more. */
void vm_space_deinit(struct address_space *space);

/*
 * Anonymous memory: bytes (rounded up) at hint, or at the first gap at or above hint when VM_FIXED is not
 * given and hint is taken. flags: protection bits, VM_FIXED. Neighbours with equal properties are merged.
 * Fails: STATUS_ERR_ARGUMENT, _UNALIGNED (hint), _RANGE (outside the user half, 0 bytes), _WRITE_EXECUTE,
 * _EXISTS, _NO_MEMORY (heap or address space), _LIMIT (areas).
 */
MUST_CHECK status_t vm_map(struct address_space *space, vaddr_t hint, uint64_t bytes, uint32_t flags,
                           vaddr_t *out);

/* A stack of bytes that ends at top, with one guard page below it: [top-bytes-4096, top-bytes). As vm_map,
 * fixed. */
MUST_CHECK status_t vm_map_stack(struct address_space *space, vaddr_t top, uint64_t bytes);

/* The same at the first gap at or above hint; *top is its first byte after. */
MUST_CHECK status_t vm_map_stack_near(struct address_space *space, vaddr_t hint, uint64_t bytes,
                                      uint64_t *top);

/* Unmaps every stack with its guard page, but for those that hold the address a or b. */
void vm_drop_stacks(struct address_space *space, uint64_t a, uint64_t b);

struct vm_device {
    paddr_t physical; /* page aligned */
    enum cache_policy cache;
    struct vm_backing *backing; /* whose drain takes the pages out for good; null: they stay */
    uint32_t allowed;           /* with a backing: as of vm_map_backing */
};

/*
 * Device memory, mapped at once; rolled back whole on failure, the backing then unused. Never executable. A child of
 * vm_clone has it as well.
 */
MUST_CHECK status_t vm_map_device(struct address_space *space, vaddr_t hint, uint64_t bytes, uint32_t flags,
                                  const struct vm_device *device, vaddr_t *out);

void vm_backing_init(struct vm_backing *backing, const struct vm_backing_ops *ops);

/*
 * Maps pages of a backing from page `first` on, on demand, with a protection that vm_protect can raise to `allowed`. copy: its
 * writers get copies. Fails as vm_map; the backing then goes on unused.
 */
MUST_CHECK status_t vm_map_backing(struct address_space *space, vaddr_t hint, uint64_t bytes, uint32_t flags,
                                   enum cache_policy cache, struct vm_backing *backing, uint64_t first,
                                   uint32_t allowed, bool copy, vaddr_t *out);

/*
 * Takes out every page of a backing in every space. Returns after every CPU has dropped its entries. Pages come back by
 * faults as ops->pages allows from then on, those of devices never. The caller keeps the backing alive. Thread context,
 * no gate, no lock held.
 */
void vm_backing_drain(struct vm_backing *backing);

/* Unmaps [start, start+bytes); areas are cut or split; holes are allowed. Returns after every CPU has dropped
 * its entries. _UNALIGNED, _RANGE, _NO_MEMORY (a split needs an area record; nothing changed). */
MUST_CHECK status_t vm_unmap(struct address_space *space, vaddr_t start, uint64_t bytes);

/* Changes the protection of a range that is wholly inside areas (no guards, no device made executable).
 * STATUS_ERR_NOT_MAPPED when there is a hole, _WRITE_EXECUTE, _NO_MEMORY (nothing changed). */
MUST_CHECK status_t vm_protect(struct address_space *space, vaddr_t start, uint64_t bytes,
                               uint32_t protection);

/* Makes up to VM_POPULATE_MAX pages present (for writing when write is set), all or nothing: on a failure
 * every page this call added is taken out again (a copy-on-write page that it broke stays the writer's own).
 * Fails as vm_fault, _UNALIGNED, _RANGE. */
MUST_CHECK status_t vm_populate(struct address_space *space, vaddr_t start, uint64_t bytes, bool write);

/* vm_populate of a range that was mapped just now; when that fails, the range is unmapped again. */
MUST_CHECK status_t vm_populate_new(struct address_space *space, vaddr_t start, uint64_t bytes, bool write);

/*
 * Moves the pages of a range that are there to frames of a node, contents and protection kept; never to another one.
 * *moved: pages that changed their node. Stops at the first failure: STATUS_ERR_NO_LOCAL_MEMORY, _SHARED (a page that other
 * spaces share), _ARGUMENT (node), _UNALIGNED, _RANGE (more than VM_POPULATE_MAX pages).
 */
MUST_CHECK status_t vm_migrate(struct address_space *space, vaddr_t start, uint64_t bytes, unsigned node,
                               uint64_t *moved);

/* Area that holds va, a copy in *out. STATUS_ERR_NOT_FOUND. */
MUST_CHECK status_t vm_find_area(struct address_space *space, vaddr_t va, struct vm_area *out);

/* Page-fault error code bits (AMD64 APM volume 2, "#PF - Page-Fault Exception"). */
#define FAULT_PRESENT  0x01u
#define FAULT_WRITE    0x02u
#define FAULT_USER     0x04u
#define FAULT_RESERVED 0x08u
#define FAULT_FETCH    0x10u

/*
 * Serves a page fault on a user address. STATUS_OK: try again (also when another CPU served it first; the
 * caller's stale TLB entry of this page is then gone through the flush hook). Otherwise the access is an
 * error: STATUS_ERR_BAD_ADDRESS (no area), _GUARD, _PROTECTION, _NO_MEMORY, _LIMIT.
 */
MUST_CHECK status_t vm_fault(struct address_space *space, vaddr_t va, uint64_t error_code);

/*
 * Copy-on-write clone of parent into child (memory of the caller, not initialised before). Both see the same
 * pages, write-protected. On failure child does not exist and parent is as before, except that its pages may
 * be marked copy-on-write with one reference (the next write takes them without a copy).
 */
MUST_CHECK status_t vm_clone(struct address_space *parent, struct address_space *child, struct pid child_pid);

/* Physical address of a mapped byte. STATUS_ERR_NOT_MAPPED, _NON_CANONICAL, _BAD_ADDRESS (kernel half). */
MUST_CHECK status_t vm_translate(struct address_space *space, vaddr_t va, paddr_t *out);

/*
 * Copies kernel memory to a space (any, loaded or not) through the physmap, faulting pages in as the
 * user itself would: never a kernel fault, whatever the address. Fails as vm_fault; *done (may be null) says
 * how many bytes were copied before.
 */
MUST_CHECK status_t vm_copy_out(struct address_space *space, vaddr_t to, const void *from, uint64_t bytes,
                                uint64_t *done);

/* As vm_copy_out, also into read-only and executable areas (program loading). */
MUST_CHECK status_t vm_write_image(struct address_space *space, vaddr_t to, const void *from, uint64_t bytes);

/* A consistent copy of the statistics. */
void vm_stats_read(struct address_space *space, struct vm_stats *out);

/* Walks everything and compares with the statistics, the frame references and the areas. Number of
 * differences. */
uint64_t vm_check(struct address_space *space);

#endif
