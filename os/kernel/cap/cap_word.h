#ifndef OS_KERNEL_CAP_CAP_WORD_H
#define OS_KERNEL_CAP_CAP_WORD_H

/*
 * The word of a capability: bits 47..4 of its object's address, its rights, its type and its flags, together, so that one
 * load or store has them all. Deviation: object addresses of 57 bits (LA57) have no place.
 */

#include "abi/abi.h"
#include "object/object.h"
#include "types.h"

#define WORD_TYPE_SHIFT   5u  /* below: flags */
#define WORD_RIGHTS_SHIFT 10u /* below: type */
#define WORD_OBJECT_SHIFT 20u /* below: rights */

#define WORD_FLAGS  ((UINT64_C(1) << WORD_TYPE_SHIFT) - 1)
#define WORD_TYPE   (((UINT64_C(1) << WORD_RIGHTS_SHIFT) - 1) & ~WORD_FLAGS)
#define WORD_RIGHTS (((UINT64_C(1) << WORD_OBJECT_SHIFT) - 1) & ~WORD_TYPE & ~WORD_FLAGS)

/* An address has its sign in bits 63..47 and zeros in these. */
#define WORD_ADDRESS_ZEROS 4u

/* Flags of the kernel's own, above those of programs. */
#define FLAG_REVOKED  CAP_FLAG_REVOKED
#define FLAG_RESERVED 0x10u /* of an empty slot that somebody is about to fill */

_Static_assert((CAP_FLAGS_ALL & (FLAG_REVOKED | FLAG_RESERVED)) == 0 && FLAG_REVOKED != FLAG_RESERVED &&
                   (CAP_FLAGS_ALL | FLAG_REVOKED | FLAG_RESERVED) <= WORD_FLAGS,
               "flags apart, and in their field");
_Static_assert(CAP_TYPE_COUNT - 1 <= WORD_TYPE >> WORD_TYPE_SHIFT, "every type in its field");
_Static_assert(RIGHTS_ALL <= WORD_RIGHTS >> WORD_RIGHTS_SHIFT, "every right in its field");
_Static_assert(_Alignof(struct object) >= 1u << WORD_ADDRESS_ZEROS, "no bit of an address is lost");

static inline uint64_t cap_word_make(const struct object *object, enum cap_type type, uint32_t rights,
                                     uint32_t flags)
{
    return (uint64_t)(uintptr_t)object << (WORD_OBJECT_SHIFT - WORD_ADDRESS_ZEROS) |
           (uint64_t)rights << WORD_RIGHTS_SHIFT | (uint64_t)type << WORD_TYPE_SHIFT | flags;
}

static inline struct object *cap_word_object(uint64_t word)
{
    uint64_t field = word & ~(WORD_RIGHTS | WORD_TYPE | WORD_FLAGS);
    return (struct object *)(uintptr_t)((int64_t)field >> (WORD_OBJECT_SHIFT - WORD_ADDRESS_ZEROS));
}

static inline uint32_t cap_word_rights(uint64_t word)
{
    return (uint32_t)((word & WORD_RIGHTS) >> WORD_RIGHTS_SHIFT);
}

static inline enum cap_type cap_word_type(uint64_t word)
{
    return (enum cap_type)((word & WORD_TYPE) >> WORD_TYPE_SHIFT);
}

/* Has it the type and all of the rights? CAP_NONE: of any type. */
static inline bool cap_word_passes(uint64_t word, enum cap_type type, uint32_t rights)
{
    uint64_t mask = (uint64_t)rights << WORD_RIGHTS_SHIFT | (type != CAP_NONE ? WORD_TYPE : 0);
    return (word & mask) == cap_word_make(NULL, type, rights, 0);
}

#endif
