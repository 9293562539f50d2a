#ifndef ORRERY_TESTS_STATE_FIELDS_H
#define ORRERY_TESTS_STATE_FIELDS_H

/* The fields of a struct as the compiler laid them out, read from the DWARF of the running test program: every member
 * down to scalars, without padding. So a test can ask about each field, also about one that was added yesterday. */

#include <stdbool.h>
#include <stddef.h>

enum state_field_kind { STATE_FIELD_NUMBER, STATE_FIELD_BOOL, STATE_FIELD_ENUM, STATE_FIELD_POINTER };

struct state_field {
    char path[200]; /* "cpu.seg[2].base" */
    size_t offset, size;
    enum state_field_kind kind;
};

struct state_fields {
    struct state_field *list;
    size_t count;
};

/* A member that is left out with all below it: its path without indices ("cpu.seg.base") or with them. */
struct state_exclusion {
    const char *path, *why;
    bool used;
};

/* Fills f with the fields of a struct, whose paths begin with root. Of a long array only some elements are taken, the first
 * and the last among them. Fails the test when there is no such struct. */
void state_fields_read(struct state_fields *f, const char *struct_name, const char *root,
                       struct state_exclusion *excluded, size_t excluded_count);
void state_fields_free(struct state_fields *f);

#endif
