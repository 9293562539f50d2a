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
};

/* Moves to the next entry beside die, which lies behind it in any file that is whole: a broken one could lead in circles. */
bool die_next_sibling(Dwarf_Die *die);

#endif
