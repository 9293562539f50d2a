#ifndef ORRERY_OBSERVE_SYMBOLS_INTERNAL_H
#define ORRERY_OBSERVE_SYMBOLS_INTERNAL_H

/* Shared by symbols.c, types.c and inlined.c. */

#include "observe/symbols.h"

#include <libelf.h>

struct symbol {
    uint64_t address, size_bytes;
    const char *name; /* in the ELF file's string table */
    bool untyped;     /* a label of assembly code */
    bool absolute;    /* a constant, no address: covers nothing */
};

/* An untyped label names at most this many bytes after it. */
#define SYMBOL_REACH_BYTES 65536u

struct variable {
    const char *name;
    Dwarf_Off die;
};

/* An inlined subroutine entry, and the one around it (INLINED_NONE: a function that is there as such), which stands before it. */
struct inlined_entry {
    Dwarf_Off die;
    uint32_t outer;
};

#define INLINED_NONE UINT32_MAX

/* Instructions of such an entry; enclosing: the range around these, which stands before them. */
struct inlined_range {
    struct code_range code;
    uint32_t entry, enclosing;
};

struct inlined_index {
    struct inlined_entry *entries; /* as they stand in the file, so outer ones first */
    struct inlined_range *ranges;  /* by address, outer ones first */
    size_t entry_count, entry_capacity, range_count, range_capacity;
    bool made;
};

struct symbols {
    uint8_t *bytes;
    Elf *elf;
    Dwarf *dwarf; /* NULL without debug information */
    struct symbol *by_address;
    const struct symbol **by_name;
    size_t count, capacity;
    struct variable *variables; /* file-level variables, types and enumerators, made at the first question */
    size_t variable_count, variable_capacity;
    bool indexed;
    struct inlined_index inlined; /* made at the first question */
};

/* Moves to the next entry beside die, which lies behind it in any file that is whole: a broken one could lead in circles. */
bool die_next_sibling(Dwarf_Die *die);

void inlined_index_free(struct inlined_index *x);

#endif
