#ifndef PROGRAMS_H
#define PROGRAMS_H

/*
 * Tier 4: programs of the usual kinds, fixed before any parameter of a machine was set and never used to set one. Each
 * makes its own input by the seed, does its work and returns a checksum, which both sides must agree on.
 */

#include <stddef.h>
#include <stdint.h>

#define PROGRAM(name) uint64_t name(uint64_t seed, void *memory)

/* In programs_text.c */
PROGRAM(program_hash);
PROGRAM(program_crc);
PROGRAM(program_search);
PROGRAM(program_json);
PROGRAM(program_automaton);
PROGRAM(program_lz);
PROGRAM(program_varint);
PROGRAM(program_compare);

/* In programs_data.c */
PROGRAM(program_sort);
PROGRAM(program_tree);
PROGRAM(program_table);
PROGRAM(program_heap);
PROGRAM(program_list);
PROGRAM(program_ring);
PROGRAM(program_allocator);
PROGRAM(program_copy);

/* In programs_number.c */
PROGRAM(program_matrix);
PROGRAM(program_bodies);
PROGRAM(program_sieve);
PROGRAM(program_bignum);
PROGRAM(program_bits);
PROGRAM(program_interpreter);

static inline uint32_t program_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33);
}
#endif
