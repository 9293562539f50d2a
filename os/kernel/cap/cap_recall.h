#ifndef OS_KERNEL_CAP_CAP_RECALL_H
#define OS_KERNEL_CAP_CAP_RECALL_H

/* What a CPU remembers of lookups, for who cannot afford a call: the first half of cap_lookup, inline. */

#include "cap/cap_internal.h"

static inline uint64_t cap_space_stamp(const struct cap_space *space)
{
    return __atomic_load_n(&space->stamp, __ATOMIC_ACQUIRE);
}

/* Where a lookup is remembered. Equal handles of two spaces, as parent and child have them, seldom meet: stamps differ. */
static inline struct cap_cache_entry *cap_cache_place(struct cap_cpu *cpu, uint64_t stamp,
                                                      cap_handle_t handle)
{
    return &cpu->cache[(stamp + handle.word) % CAP_CACHE_ENTRIES];
}

/*
 * The entry of a lookup that passes, null when this CPU does not remember one: then cap_lookup tells. What it says is true
 * as long as the space has the entry's stamp; the object stays until the end of the read section. In a read section, or
 * with interrupts off. Bound: O(1).
 */
static inline const struct cap_cache_entry *cap_recall(struct cap_cpu *cpu, const struct cap_space *space,
                                                       cap_handle_t handle, enum cap_type type,
                                                       uint32_t rights)
{
    uint64_t stamp = cap_space_stamp(space);
    const struct cap_cache_entry *entry = cap_cache_place(cpu, stamp, handle);
    if (__builtin_expect(entry->stamp == stamp, 1) && __builtin_expect(entry->handle == handle.word, 1) &&
        __builtin_expect(cap_word_passes(entry->word, type, rights), 1)) {
        cpu->counters[CAP_COUNT_HIT]++;
        return entry;
    }
    return NULL;
}

#endif
