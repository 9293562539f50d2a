#ifndef OS_KERNEL_MM_REGION_H
#define OS_KERNEL_MM_REGION_H

/*
 * Inventory of physical memory before any allocator exists: one sorted, disjoint, typed list made of every
 * map source.
 *
 * Overlap rule: each byte gets the strongest type that any source claims for it, strength being the row order
 * of region_types.def; the order of the sources does not matter. Neighbours of one type are merged. Bytes are
 * conserved: the list covers exactly the union of its sources. A USABLE stretch that does not begin or end on
 * a page boundary loses the broken page to a SLIVER, so USABLE regions are whole frames. Zero-length sources
 * vanish.
 */

#include "abi/handoff.h"
#include "abi/status.h"
#include "types.h"

enum region_type {
#define REGION_TYPE(id, name, region_class, owner) REGION_##id,
#include "mm/region_types.def"
#undef REGION_TYPE
    REGION_TYPE_COUNT
};

/* region_types.def says what they are. */
enum region_class {
    REGION_CLASS_FREE,
    REGION_CLASS_RECLAIM,
    REGION_CLASS_HELD,
    REGION_CLASS_KEPT,
    REGION_CLASS_OUTSIDE
};

/* Two boundaries a descriptor plus the other sources: the list of a legal handoff cannot overflow. */
#define REGION_MAX (2u * HANDOFF_MAX_DESCRIPTORS + 256u)

struct region {
    uint64_t base; /* bytes */
    uint64_t end;  /* first byte after */
    enum region_type type;
};

struct region_list {
    uint32_t count;
    struct region regions[REGION_MAX]; /* ascending, disjoint */
};

const char *region_type_name(enum region_type type);
enum region_class region_type_class(enum region_type type);

/* How many types there are whose frames are anybody's, now or after the boot. They are the weakest (region.c). */
enum {
    REGION_TYPES_FOR_ALL = 0
#define REGION_TYPE(id, name, region_class, owner) +(REGION_CLASS_##region_class <= REGION_CLASS_RECLAIM)
#include "mm/region_types.def"
#undef REGION_TYPE
};

static inline bool region_type_is_for_all(enum region_type type)
{
    return (unsigned)type < REGION_TYPES_FOR_ALL;
}

/* Type for an EFI_MEMORY_TYPE; numbers of 15 and above (OEM, OS) are RESERVED. */
enum region_type region_type_from_efi(uint32_t efi_type);

void region_list_init(struct region_list *list);

/*
 * Adds [base, base+size) with the overlap rule above.
 * Fails with STATUS_ERR_OVERFLOW when the range wraps or ends above 2^52, STATUS_ERR_LIMIT when the list is
 * full (the list is then unchanged). Bound: O(count).
 */
MUST_CHECK status_t region_list_add(struct region_list *list, uint64_t base, uint64_t size,
                                    enum region_type type);

/* Region that holds the byte, null when none does. Bound: O(log count). */
const struct region *region_list_find(const struct region_list *list, uint64_t address);

/* Bytes of one type, and of all types. */
uint64_t region_list_bytes(const struct region_list *list, enum region_type type);
uint64_t region_list_total(const struct region_list *list);

/*
 * How the validator and the inventory reach physical memory: returns a readable pointer to [base, base+size)
 * or null when any byte is outside of what is mapped. On the kernel side: the early physmap window.
 */
struct handoff_reader {
    const void *(*reach)(void *context, uint64_t base, uint64_t size);
    void *context;
};

/*
 * Checks a handoff block and everything it points to; touches only what the reader says it can reach and
 * never more than `available` bytes of the block. block may be any pointer alignment; a misaligned one is
 * refused. Fails with one of STATUS_ERR_HANDOFF_*. After STATUS_OK region_list_build cannot fault.
 */
MUST_CHECK status_t handoff_validate(const void *block, size_t available,
                                     const struct handoff_reader *reader);

/*
 * Whether a validated block at block_address and what it speaks of lie where they can: framebuffer, image, temporary
 * heap, block, map, command line and modules apart from each other (else STATUS_ERR_HANDOFF_OVERLAP), and all but the
 * framebuffer in memory that the map says may be used now or after the boot (else STATUS_ERR_HANDOFF_NOT_RAM).
 * The list is overwritten. Otherwise fails as region_list_add does.
 */
MUST_CHECK status_t handoff_check_places(struct region_list *scratch, const struct handoff *block,
                                         uint64_t block_address, const struct handoff_reader *reader);

/*
 * Inventory pass over a validated block: memory map, kernel image, temporary heap, framebuffer, handoff block
 * itself (at block_address), memory map, command line, modules. Frame 0 is always made RESERVED-like
 * (SLIVER). Fails as region_list_add does.
 */
MUST_CHECK status_t region_list_build(struct region_list *list, const struct handoff *block,
                                      uint64_t block_address, const struct handoff_reader *reader);

#endif
