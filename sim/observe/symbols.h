#ifndef ORRERY_OBSERVE_SYMBOLS_H
#define ORRERY_OBSERVE_SYMBOLS_H

/*
 * What the simulator knows of a guest program, learnt from its ELF file: symbols, source lines, variables and types.
 * Read-only after opening. The file is hostile: libelf and libdw parse it, and every failure is a "not found".
 */

#include "base/status.h"

#include <elfutils/libdw.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct symbols;

/* Opens a copy of the ELF file's bytes. NULL with a message when it is no ELF file; a file without symbols or DWARF
 * opens, and finds nothing. */
struct symbols *symbols_open(const char *name, const uint8_t *file, size_t size, struct error *e);
void symbols_close(struct symbols *s);

/* The bytes that the file puts into its first executable segment, and where; they live as long as s. */
bool symbols_code(const struct symbols *s, uint64_t *address, const uint8_t **bytes, size_t *size);

/* Address and size of a symbol by its exact name; of several local ones the lowest address. */
bool symbols_find(const struct symbols *s, const char *name, uint64_t *address, uint64_t *size_bytes);

/* The function or object that covers an address: its name and the offset inside. */
bool symbols_cover(const struct symbols *s, uint64_t address, const char **name, uint64_t *offset);

/* Source position of a code address. The file name lives as long as s. */
bool symbols_line(const struct symbols *s, uint64_t address, const char **file, int *line);

/* Writes "name+0x12 (file.c:34)", as much of it as is known, or the bare address. */
void symbols_describe(const struct symbols *s, uint64_t address, char *text, size_t size);

/* Instructions first..end - 1. */
struct code_range {
    uint64_t first, end;
};

/*
 * Where the compiler put the body of a function into its callers: up to capacity ranges, ascending; the result is how many
 * there are in all. 0: it was never inlined, or there is no DWARF. Bound: O(entries of the DWARF).
 */
size_t symbols_inlined(const struct symbols *s, const char *function, struct code_range *out,
                       size_t capacity);

/* A function whose body the compiler has put into another one, and where its source has it (file NULL, line 0: not known).
 * Two with one origin are the same function. Names live as long as s. */
struct inlined_function {
    const char *name, *file;
    int line;
    uint64_t origin;
};

#define SYMBOLS_INLINED_MAX 64u

/*
 * The inlined functions whose bodies the instruction at an address is part of, outermost first; the result is how many. What a
 * broken file nests deeper than SYMBOLS_INLINED_MAX is not looked at. Bound: O(entries of the DWARF) for the first question,
 * O(log ranges + nesting) for others.
 */
size_t symbols_inlined_at(struct symbols *s, uint64_t address,
                          struct inlined_function out[SYMBOLS_INLINED_MAX]);

/* ---- types ---- */

enum type_kind {
    TYPE_UNKNOWN,
    TYPE_INTEGER, /* also bool, char, enum */
    TYPE_POINTER,
    TYPE_STRUCT, /* also union */
    TYPE_ARRAY
};

/* A place in guest memory with a type. */
struct place {
    uint64_t address;
    Dwarf_Die type; /* qualifiers and typedefs removed */
    enum type_kind kind;
    uint64_t size_bytes;
    bool is_signed;
    unsigned bit_offset, bit_size; /* a bit-field: bit_size != 0 */
};

/* A global or static variable; among several of one name the first in the file. */
bool symbols_variable(struct symbols *s, const char *name, struct place *out);

/* A place of a named struct type ("frame_zone") at an address. */
bool symbols_type_at(struct symbols *s, const char *type_name, uint64_t address, struct place *out);

/* A member of a struct or union, members of anonymous ones included. */
bool place_member(const struct place *p, const char *member, struct place *out);

/* The n-th member's name, or NULL past the last. For listing. */
const char *place_member_name(const struct place *p, unsigned n);

/* An element of an array; count tells how many there are (0: unknown, any index is taken). */
bool place_element(const struct place *p, uint64_t index, struct place *out);
uint64_t place_count(const struct place *p);

/* What a pointer of this type points at, given the value it holds. False for pointers to void or functions. A struct that is
 * only declared where the pointer is gets the members of the first definition of its name. */
bool place_target(struct symbols *s, const struct place *p, uint64_t value, struct place *out);

/* The value of an enumerator found anywhere in the file. */
bool symbols_enumerator(struct symbols *s, const char *name, int64_t *value);

#endif
