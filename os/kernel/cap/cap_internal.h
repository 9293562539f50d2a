#ifndef OS_KERNEL_CAP_CAP_INTERNAL_H
#define OS_KERNEL_CAP_CAP_INTERNAL_H

/*
 * Records, leaves and spaces. A leaf is one frame of 128 records; a space finds its leaves by slot, the derivation tree
 * by the leaf's number, which together with the slot in the leaf is a 31-bit reference.
 *
 * Who may change what:
 *   a record's links, and live to dead   the lock of the tree, chosen by the object's address
 *   free, revoked, reserved slots        the lock of the space, taken inside that of the tree
 *   a generation                         who has just taken the id out, with what that needs
 *   readers                              none: they read the generation, id and word, the generation again
 * A slot is reserved and then filled inside one read section, so a closed space needs one grace period to be at rest.
 */

#include "cap/cap.h"
#include "cap/cap_cpu.h"
#include "cap/cap_word.h"
#include "lib/list.h"
#include "lib/spinlock.h"
#include "mm/slab.h"

#define LEAF_SHIFT      7u
#define LEAF_SLOTS      (1u << LEAF_SHIFT)
#define SPACE_LEAVES    (CAP_MAX_SLOTS / LEAF_SLOTS)
#define LAST_GENERATION 0xffffu /* a slot that would get it is retired */
#define AUDIT_RECORDS   512u    /* the newest ones are kept */
#define COLLECT_STEP    8u      /* revoked slots that become free, interrupts off */

/* One end of a doubly linked ring. */
struct cap_link {
    uint32_t next;
    uint32_t prev;
};

/*
 * id           unique for ever, 0: the slot is empty. A move takes it along, so it may come back to a slot; a generation
 *              does not. CPUs take ids in blocks.
 * word         object, rights, type and flags (cap_word.h); of an empty slot 0 or FLAG_RESERVED
 * siblings     the parent's children, first to last. `next` of the last one is the parent with REF_CHILDREN, `prev` of the
 *              first one is the last one. Roots are a ring of their own, without a mark.
 * first_child  0: none
 * generation   of the slot; in one generation a slot is filled once at most. It goes up while the id is 0.
 * In a free slot `siblings.next` is the next free one of the leaf, LEAF_SLOTS at the end; in a revoked one `siblings` links slot
 * numbers of the space's revoked list, 0 at the ends.
 */
struct capability {
    uint64_t id;
    uint64_t word;
    struct cap_link siblings;
    uint32_t first_child;
    uint16_t generation;
    uint16_t reserved;
};

_Static_assert(LEAF_SLOTS <= UINT8_MAX, "struct cap_leaf counts a leaf's slots in bytes");
_Static_assert(sizeof(struct capability) == 32 && LEAF_SLOTS * sizeof(struct capability) == PAGE_SIZE,
               "one leaf, one frame");

#define REF_CHILDREN 0x80000000u /* no sibling but the parent: the end of its children */

struct cap_leaf {
    struct capability *records;
    struct cap_space *space;
    uint32_t number;    /* in the directory, never 0 */
    uint16_t index;     /* in the space: slots index * 128 .. + 127 */
    uint8_t used;       /* slots that are not free: reserved, live, revoked, retired */
    uint8_t free_first; /* LEAF_SLOTS: none */
    union {
        struct list node;    /* of the space's leaves that have a free slot; with none, of nothing */
        struct rcu_node rcu; /* of a leaf that has left its space, or whose space has ended */
    };
};

/* A word of a space's root: address of a leaf's records; or, without a leaf, generation << 1 | 1 of its slots to be; or 0. */
typedef uintptr_t root_word_t;

struct cap_space {
    /* What lookups read. */
    uint64_t stamp; /* new whenever something leaves a slot */
    root_word_t *root;
    uint32_t reach;         /* slots that the root covers: LEAF_SLOTS or CAP_MAX_SLOTS */
    root_word_t first_leaf; /* the root of a small space */
    /* What the lock covers. */
    struct spinlock lock;
    struct pid pid;
    uint32_t used; /* reserved, live and revoked slots */
    uint32_t limit;
    uint32_t free_count;
    struct list free_leaves; /* that have a free slot */
    uint32_t revoked_first;  /* oldest */
    uint32_t revoked_last;
    uint32_t revoked_count;
    uint32_t revoked_old; /* so many of the oldest have seen a pass of the collector */
    bool closed;
    uint32_t references;        /* atomic */
    struct list collector_node; /* under the collector's lock */
    struct rcu_node rcu;
};

static inline cap_handle_t handle_make(uint32_t slot, uint32_t generation)
{
    return (cap_handle_t){(uint64_t)generation << 32 | slot};
}

/* Loads acquire and stores release, so a reader that finds one store finds what was stored before it. */
static inline uint64_t id_read(const struct capability *record)
{
    return __atomic_load_n(&record->id, __ATOMIC_ACQUIRE);
}

static inline void id_write(struct capability *record, uint64_t id)
{
    __atomic_store_n(&record->id, id, __ATOMIC_RELEASE);
}

static inline uint64_t word_read(const struct capability *record)
{
    return __atomic_load_n(&record->word, __ATOMIC_ACQUIRE);
}

static inline void word_write(struct capability *record, uint64_t word)
{
    __atomic_store_n(&record->word, word, __ATOMIC_RELEASE);
}

static inline uint32_t generation_read(const struct capability *record)
{
    return __atomic_load_n(&record->generation, __ATOMIC_ACQUIRE);
}

static inline void generation_write(struct capability *record, uint32_t generation)
{
    __atomic_store_n(&record->generation, (uint16_t)generation, __ATOMIC_RELEASE);
}

/* What a slot holds, of one moment. */
struct cap_found {
    uint64_t id; /* 0: nothing */
    uint64_t word;
    uint32_t generation;
};

/*
 * A generation never comes back, and in one a slot is filled once at most: equal before and after means that id and word
 * are of the same capability. Whose slot is being emptied has lost its id and may still have the old generation.
 */
static inline void record_find(const struct capability *record, struct cap_found *out)
{
    uint32_t before;
    uint32_t generation;
    uint64_t id;
    uint64_t word;
    do {
        before = generation_read(record);
        id = id_read(record);
        word = word_read(record);
        generation = generation_read(record);
    } while (__builtin_expect(generation != before, 0));
    *out = (struct cap_found){id, word, generation};
}

/* The record of a slot, null when its leaf does not exist. In a read section or with the space locked. */
static inline struct capability *slot_record(const struct cap_space *space, uint32_t slot)
{
    if (slot >= __atomic_load_n(&space->reach, __ATOMIC_ACQUIRE)) {
        return NULL;
    }
    root_word_t word = __atomic_load_n(&space->root[slot >> LEAF_SHIFT], __ATOMIC_ACQUIRE);
    return word == 0 || (word & 1) != 0 ? NULL : (struct capability *)word + slot % LEAF_SLOTS;
}

/* ---- leaf.c: frames of records and their numbers ---- */

/* The slab cache of leaves. STATUS_ERR_EXISTS. */
MUST_CHECK status_t leaf_system_init(void);

/* A leaf with all slots at `generation`, not yet in its space. Null: no memory. */
struct cap_leaf *leaf_create(struct cap_space *space, uint32_t index, uint32_t generation);

/* Frees a leaf that no slot and no link refers to any more, after a grace period. */
void leaf_free(struct cap_leaf *leaf);

struct cap_leaf *leaf_of(uint32_t reference);
struct capability *record_of(uint32_t reference);

/* The reference of a slot whose leaf exists. */
uint32_t slot_reference(const struct cap_space *space, uint32_t slot);

/* Leaves in existence. */
uint32_t leaf_count(void);

/* ---- slots.c: slots of a space ---- */

/* Makes the leaf of `index`; nothing if it is there. STATUS_ERR_NO_MEMORY. */
MUST_CHECK status_t space_add_leaf(struct cap_space *space, uint32_t index, uint32_t generation);

/* Room for one capability more, if slot_take said STATUS_ERR_AGAIN. STATUS_ERR_NO_MEMORY, STATUS_ERR_CAP_QUOTA. */
MUST_CHECK status_t space_grow(struct cap_space *space);

/* Root words for all leaves there can be. STATUS_ERR_NO_MEMORY. */
MUST_CHECK status_t space_widen(struct cap_space *space);

/*
 * Reserves a slot: `wanted`, a well-known one, or any when that is 0. In a read section. STATUS_ERR_AGAIN (space_grow
 * first), STATUS_ERR_CAP_QUOTA, STATUS_ERR_EXISTS, STATUS_ERR_DEAD.
 */
MUST_CHECK status_t slot_take(struct cap_space *space, uint32_t wanted, uint32_t *slot);

/* An empty slot of a leaf that no list knows becomes free, or is retired. */
void slot_make_free(struct cap_space *space, uint32_t slot);

/* The same for all slots of a leaf that nobody else knows yet but those whose bit is set. */
void slots_make_free(struct cap_space *space, struct cap_leaf *leaf, const uint64_t *except);

/* Gives back a slot that was reserved, or emptied by record_empty. */
void slot_give(struct cap_space *space, uint32_t slot);

/* Takes the capability out of its slot: the next generation, or retired. Its tree is locked, or it is revoked. */
void record_empty(struct capability *record);

/* Lookups that were remembered before are void. */
void space_restamp(struct cap_space *space);

/* A capability that has left its tree stays in its slot as revoked. Its tree is locked. */
void slot_bury(uint32_t reference);

/* Empties a revoked slot if it still has that id. */
MUST_CHECK status_t slot_unbury(struct cap_space *space, uint32_t slot, uint64_t id);

/* Frees at most `limit` of the oldest revoked slots; returns how many. */
uint32_t space_collect(struct cap_space *space, uint32_t limit);

/* ---- revoke.c: removals that others may have to wait for ---- */

/* One that has taken a capability of the object out of its tree and has not told the users yet. Lives on a stack. */
struct cap_removal {
    struct list node;
    const struct object *object;
    uint64_t number; /* in order of the beginnings */
};

void removals_init(void);

/* Before the first capability is taken, the object's tree locked; and when all users have been told, without locks. */
void removal_begin(struct cap_removal *removal, const struct object *object);
void removal_end(struct cap_removal *removal);

/* ---- space.c ---- */

/* The slab cache of spaces. STATUS_ERR_EXISTS. */
MUST_CHECK status_t space_system_init(void);

/* ---- collector.c ---- */

/* The space has revoked slots. Space locked. */
void collector_add(struct cap_space *space);
void collector_remove(struct cap_space *space);

/* ---- cap_tree.c: derivation trees ---- */

#define CAP_TREE_LOCKS 64u

void cap_tree_init(void);

/* Which of the locks is that of the object's tree. */
unsigned cap_tree_number(const struct object *object);
uint64_t cap_tree_lock(const struct object *object);
void cap_tree_unlock(const struct object *object, uint64_t irq);

/* How often the lock of the object's tree has been taken, modulo 65,536. Locked. */
uint16_t cap_tree_turn(const struct object *object);

/* Somebody begins, or has ended, to revoke capabilities of the object. */
void cap_tree_revoker(const struct object *object, bool comes);

/* Who has derived one, or copied, lets who revokes others of the object go first, for a bounded time. No locks, no read section. */
void cap_tree_give_way(const struct object *object);

/* Links of a record that is not in a tree yet: a root by itself. */
void cap_tree_root(uint32_t reference);

/* Tree locked for all that follow. What is added has no links yet, and no children. */
void cap_tree_add_child(uint32_t parent, uint32_t child);
void cap_tree_add_sibling(uint32_t of, uint32_t sibling);
void cap_tree_replace(uint32_t old, uint32_t by);

/* Takes a record out; its children take its place. */
void cap_tree_remove(uint32_t reference);

/* First child, 0 when there is none. */
uint32_t cap_tree_first_child(uint32_t reference);

/* ---- cap.c ---- */

/* An id for a new capability. In a read section. */
uint64_t cap_id_new(void);

/*
 * Reads a slot. In a read section. STATUS_ERR_CAP_INVALID, _CAP_GENERATION; _CAP_REVOKED, with *out set.
 */
MUST_CHECK status_t record_read(const struct cap_space *space, cap_handle_t handle, struct cap_found *out);

/* A live record under its tree's lock, in a read section. */
struct cap_locked {
    struct capability *record;
    struct object *object;
    uint32_t reference;
    uint64_t id;
    uint64_t word;
    uint64_t irq;
};

/* Finds a live capability and locks its tree; nothing is locked on failure, which is as cap_lookup's. In a read section. */
MUST_CHECK status_t record_lock(struct cap_space *space, cap_handle_t handle, uint32_t rights,
                                struct cap_locked *out);
void record_unlock(const struct cap_locked *locked);

/* Who is told of what has come or gone. No lock held. */
void tell_added(struct object *object, uint32_t rights);
void tell_removed(struct object *object, uint64_t id, uint64_t word, status_t why);

/* ---- audit.c ---- */

MUST_CHECK status_t audit_init(void);
/* actor and holder: process numbers, who did it and in whose space. What does not matter for the event is 0. */
void audit_note(enum cap_event event, struct pid actor, struct pid holder, cap_handle_t handle, uint64_t id,
                uint64_t parent, uint64_t word, status_t status);

/* Records overwritten before anybody read them. */
uint64_t audit_lost(void);

/* ---- stats.c ---- */

void cap_count(enum cap_counter counter, uint64_t by);

#if __STDC_HOSTED__
struct cap_cpu *cap_cpu_this(void);
struct cap_cpu *cap_cpu_of(unsigned cpu); /* null: no such CPU */
#else

#include "arch/x86_64/percpu.h"

static inline struct cap_cpu *cap_cpu_this(void)
{
    return &cpu_this()->caps;
}

static inline struct cap_cpu *cap_cpu_of(unsigned cpu)
{
    return cpu_table[cpu] != NULL ? &cpu_table[cpu]->caps : NULL;
}

#endif

#endif
