/* Tier 4: the table of the programs. */
#include "jobs.inc"

    .irp name, hash, crc, search, json, automaton, lz, varint, compare, sort, tree, table, heap, list, ring, allocator, \
        copy, matrix, bodies, sieve, bignum, bits, interpreter
    JOB 4, "\name", program_\name, 0, 0x200000, 0, 0, 1, 3, 0
    .endr

    .section .note.GNU-stack, "", @progbits
