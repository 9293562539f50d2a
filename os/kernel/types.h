#ifndef OS_KERNEL_TYPES_H
#define OS_KERNEL_TYPES_H

/* Addresses, and numbers of processes and threads, are distinct one-member structs: mixing does not compile. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A body that belongs to its callers: the compiler would rather share it. For paths that are counted in cycles. */
#define ALWAYS_INLINE static inline __attribute__((always_inline))
/* Of a function that may be called where every register is in use (arch/x86_64/message.h). */
#define KEEPS_REGISTERS __attribute__((no_caller_saved_registers))

#define PAGE_SHIFT           12u
#define PAGE_SIZE            (1ull << PAGE_SHIFT)
#define PAGE_MASK            (PAGE_SIZE - 1)
#define HUGE_PAGE_SHIFT      21u
#define HUGE_PAGE_SIZE       (1ull << HUGE_PAGE_SHIFT)
#define HUGE_PAGE_MASK       (HUGE_PAGE_SIZE - 1)
#define FRAMES_PER_HUGE_PAGE (HUGE_PAGE_SIZE / PAGE_SIZE)

typedef struct paddr {
    uint64_t number; /* bytes */
} paddr_t;

typedef struct vaddr {
    uint64_t number; /* bytes */
} vaddr_t;

/* Never reused; 0 is "none", and the kernel itself. */
struct pid {
    uint32_t number;
};

struct tid {
    uint32_t number;
};

/* Number of a 4 KiB physical frame: physical address >> 12. */
typedef uint64_t pfn_t;

static inline paddr_t paddr_make(uint64_t number)
{
    return (paddr_t){number};
}

static inline uint64_t paddr_number(paddr_t address)
{
    return address.number;
}

static inline pfn_t paddr_pfn(paddr_t address)
{
    return address.number >> PAGE_SHIFT;
}

static inline uint64_t paddr_offset(paddr_t address)
{
    return address.number & PAGE_MASK;
}

static inline paddr_t paddr_from_pfn(pfn_t pfn)
{
    return (paddr_t){pfn << PAGE_SHIFT};
}

static inline paddr_t paddr_add(paddr_t address, uint64_t bytes)
{
    return (paddr_t){address.number + bytes};
}

static inline bool paddr_aligned(paddr_t address, uint64_t power_of_two)
{
    return (address.number & (power_of_two - 1)) == 0;
}

static inline vaddr_t vaddr_make(uint64_t number)
{
    return (vaddr_t){number};
}

static inline vaddr_t vaddr_from_pointer(const void *pointer)
{
    return (vaddr_t){(uint64_t)(uintptr_t)pointer};
}

static inline void *vaddr_pointer(vaddr_t address)
{
    return (void *)(uintptr_t)address.number;
}

static inline uint64_t vaddr_number(vaddr_t address)
{
    return address.number;
}

/* Virtual page number: address >> 12. */
static inline uint64_t vaddr_page(vaddr_t address)
{
    return address.number >> PAGE_SHIFT;
}

static inline uint64_t vaddr_offset(vaddr_t address)
{
    return address.number & PAGE_MASK;
}

static inline vaddr_t vaddr_add(vaddr_t address, uint64_t bytes)
{
    return (vaddr_t){address.number + bytes};
}

static inline bool vaddr_aligned(vaddr_t address, uint64_t power_of_two)
{
    return (address.number & (power_of_two - 1)) == 0;
}

/* Canonical with 48-bit virtual addresses: bits 63..47 all equal. */
static inline bool vaddr_canonical(vaddr_t address)
{
    uint64_t top = address.number >> 47;
    return top == 0 || top == 0x1ffff;
}

static inline uint64_t align_down(uint64_t value, uint64_t power_of_two)
{
    return value & ~(power_of_two - 1);
}

/* Bound: the caller ensures value + power_of_two - 1 does not wrap. */
static inline uint64_t align_up(uint64_t value, uint64_t power_of_two)
{
    return (value + power_of_two - 1) & ~(power_of_two - 1);
}

#endif
