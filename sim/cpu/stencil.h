#ifndef ORRERY_CPU_STENCIL_H
#define ORRERY_CPU_STENCIL_H

/*
 * Stencils: machine code of handlers, made by scripts/make-stencils from the rows of stencil.def, and how to find and copy it.
 * docs/translator.md tells what is in it.
 */

#include "cpu/op.h"

/* What the operands of a row are, by the fields of its operation, in the order of the stencil's registers. */
enum stencil_form {
    FORM_DST_SRC,
    FORM_DST,
    FORM_DST_WIDE, /* the immediate is imm64 */
    FORM_DST_BASE,
    FORM_SRC_BASE,
    FORM_BASE,
    FORM_DST_BASE_INDEX,
    FORM_DST_RCX,
    FORM_SRC,
    FORM_RSP,
    FORM_SRC_RSP,
    FORM_SRC_RSP_WIDE,
    FORM_DST_RSP,
    FORM_RBP_RSP,
    FORM_RAX,
    FORM_RAX_RDX,
    FORM_NOTHING,
    FORM_RSP_TARGET, /* a call: the immediate is the return address */
    FORM_TARGET,     /* a branch to another page: the immediate is where */
    FORMS
};

enum stencil_access { ACCESS_NONE, ACCESS_READ, ACCESS_WRITTEN, ACCESS_CHANGED };
enum stencil_immediate {
    IMMEDIATE_NONE,
    IMMEDIATE_S32,
    IMMEDIATE_U32,
    IMMEDIATE_U32_LOADED,
    IMMEDIATE_U16,
    IMMEDIATE_U8,
    IMMEDIATE_SHIFT32,
    IMMEDIATE_SHIFT64,
    IMMEDIATE_WIDE
};

/* Rows by name. */
enum stencil_row_id {
#define STENCIL(handler, find, form, immediate, access, flags) STENCIL_##handler,
#define INDEXED(find)
#include "cpu/stencil.def"
#undef STENCIL
#undef INDEXED
    STENCIL_ROWS
};

struct stencil_row {
    uint16_t first; /* of its stencils */
    uint8_t form, immediate, access;
    bool indexed; /* as found: its address is base + index << scale + disp */
};

#define STENCIL_SLOTS 8192u

struct stencil_map {
    struct stencil_row rows[STENCIL_ROWS];
    op_fn *handlers[STENCIL_SLOTS];
    uint16_t row_of[STENCIL_SLOTS]; /* and STENCIL_INDEXED */
};

void stencil_map_init(struct stencil_map *m);

/* The row for a handler; false: there is none. */
bool stencil_find(const struct stencil_map *m, op_fn *handler, struct stencil_row *row);

/* Operands of a form that has a variant for each way in which they are the same. */
#define STENCIL_OPERANDS_MAX 3u

/* Numbers of the registers of op's operands, with the addresses as they are before indexing; returns how many. */
unsigned stencil_operands(enum stencil_form form, const struct op *op,
                          uint8_t registers[STENCIL_OPERANDS_MAX]);

/* What is put into the holes. */
struct stencil_values {
    int64_t immediate, disp;
};

/* How a copy goes on. WAY_NEXT is no exit: it falls through. */
enum stencil_way {
    WAY_NEXT,
    WAY_SLOW,
    WAY_LINK0,
    WAY_LINK1,
    WAY_LINK2,
    WAY_REFUSED /* not of stencils: too few cycles are left */
};

#define STENCIL_EXITS_MAX 8u

struct stencil_copy {
    unsigned size_bytes, exits;
    struct {
        uint8_t at, way; /* a 32-bit distance to be put at byte `at`, from its end; enum stencil_way */
    } exit[STENCIL_EXITS_MAX];
};

/* Copies the variant of a row for operands in these host registers (of DST_BASE_INDEX: of this scale) to `to`. False: there is no
 * code for them. */
bool stencil_copy(const struct stencil_row *row, unsigned operands, const uint8_t hosts[STENCIL_OPERANDS_MAX],
                  unsigned scale, const struct stencil_values *values, uint8_t *to,
                  struct stencil_copy *copy);

#define STENCIL_BYTES_MAX 255u

#endif
