/*
 * The table of stencils: which is for a handler, and a copy of it with its holes filled and its registers named.
 */

#include "cpu/stencil.h"
#include "base/check.h"
#include "cpu/op_table.h"

#include <stddef.h>

/* A register number in the code: three bits at `byte`, the fourth in the REX prefix. */
struct stencil_field {
    uint8_t byte, rex;
    uint8_t where; /* shift of the three; bit in REX << 3; operand << 5 */
};

struct stencil_hole {
    uint8_t at, kind, size_bytes;
    int8_t addend;
};

struct stencil_exit {
    uint8_t at, way;
};

struct stencil {
    uint32_t code, fields, holes, exits;
    uint8_t code_bytes, field_count, hole_count, exit_count;
    uint16_t
        uses; /* host registers that it needs besides its operands and RAX, RCX, RDX, and leaves as they were */
    uint8_t bases; /* operands that are a base without displacement, which RBP cannot be */
};

#include "cpu/stencils.inc"

_Static_assert((int)EXIT_NEXT == (int)WAY_NEXT && (int)EXIT_SLOW == (int)WAY_SLOW &&
                   (int)EXIT_LINK0 == (int)WAY_LINK0 && (int)EXIT_LINK1 == (int)WAY_LINK1 &&
                   (int)EXIT_LINK2 == (int)WAY_LINK2,
               "ways as the table has them");

#define HOST_RBP        5u
#define STENCIL_INDEXED 0x8000u

/* ---- the map ---- */

static unsigned variants(enum stencil_form form)
{
    switch (form) {
    case FORM_DST_SRC:
    case FORM_DST_BASE:
    case FORM_SRC_BASE:
    case FORM_DST_RCX:
    case FORM_SRC_RSP:
    case FORM_SRC_RSP_WIDE:
    case FORM_DST_RSP:
        return 2;
    case FORM_DST_BASE_INDEX:
        return 20;
    case FORM_DST:
    case FORM_DST_WIDE:
    case FORM_BASE:
    case FORM_SRC:
    case FORM_RSP:
    case FORM_RBP_RSP:
    case FORM_RAX:
    case FORM_RAX_RDX:
    case FORM_NOTHING:
    case FORM_RSP_TARGET:
    case FORM_TARGET:
    case FORMS:
    default:
        return 1;
    }
}

static unsigned slot_of(op_fn *handler)
{
    return (unsigned)((uintptr_t)handler >> 4 ^ (uintptr_t)handler >> 16) % STENCIL_SLOTS;
}

static void put(struct stencil_map *m, op_fn *handler, unsigned row)
{
    if (handler == NULL) {
        return;
    }
    unsigned slot = slot_of(handler);
    while (m->handlers[slot] != NULL && m->handlers[slot] != handler) {
        slot = (slot + 1) % STENCIL_SLOTS;
    }
    if (m->handlers[slot] == NULL) {
        m->handlers[slot] = handler;
        m->row_of[slot] = (uint16_t)row;
    }
}

void stencil_map_init(struct stencil_map *m)
{
    unsigned first = 0, row = 0;
    memset(m, 0, sizeof *m);
#define STENCIL(handler, find, form_, immediate_, access_, flags)            \
    m->rows[row] = (struct stencil_row){.first = (uint16_t)first,            \
                                        .form = FORM_##form_,                \
                                        .immediate = IMMEDIATE_##immediate_, \
                                        .access = ACCESS_##access_};         \
    put(m, find, row);                                                       \
    first += variants(FORM_##form_);                                         \
    row++;
#define INDEXED(find) put(m, find, (row - 1) | STENCIL_INDEXED);
#include "cpu/stencil.def"
#undef STENCIL
#undef INDEXED
    CHECK(first == STENCIL_COUNT, "%u stencils in the table, %u by the rows", STENCIL_COUNT, first);
}

bool stencil_find(const struct stencil_map *m, op_fn *handler, struct stencil_row *row)
{
    for (unsigned slot = slot_of(handler); m->handlers[slot] != NULL; slot = (slot + 1) % STENCIL_SLOTS) {
        if (m->handlers[slot] == handler) {
            *row = m->rows[m->row_of[slot] & ~STENCIL_INDEXED];
            row->indexed = (m->row_of[slot] & STENCIL_INDEXED) != 0;
            return true;
        }
    }
    return false;
}

/* ---- operands ---- */

static unsigned two(uint8_t registers[STENCIL_OPERANDS_MAX], uint8_t a, uint8_t b)
{
    registers[0] = a;
    registers[1] = b;
    return 2;
}

unsigned stencil_operands(enum stencil_form form, const struct op *op,
                          uint8_t registers[STENCIL_OPERANDS_MAX])
{
    switch (form) {
    case FORM_DST_SRC:
        return two(registers, op->dst, op->src);
    case FORM_DST_BASE:
        return two(registers, op->dst, op->base);
    case FORM_SRC_BASE:
        return two(registers, op->src, op->base);
    case FORM_DST_BASE_INDEX:
        registers[2] = op->index;
        return two(registers, op->dst, op->base) + 1;
    case FORM_DST_RCX:
        return two(registers, op->dst, RCX);
    case FORM_SRC_RSP:
    case FORM_SRC_RSP_WIDE:
        return two(registers, op->src, RSP);
    case FORM_DST_RSP:
        return two(registers, op->dst, RSP);
    case FORM_RBP_RSP:
        return two(registers, RBP, RSP);
    case FORM_RAX_RDX:
        return two(registers, RAX, RDX);
    case FORM_DST:
    case FORM_DST_WIDE:
        registers[0] = op->dst;
        return 1;
    case FORM_BASE:
        registers[0] = op->base;
        return 1;
    case FORM_SRC:
        registers[0] = op->src;
        return 1;
    case FORM_RSP:
    case FORM_RSP_TARGET:
        registers[0] = RSP;
        return 1;
    case FORM_RAX:
        registers[0] = RAX;
        return 1;
    case FORM_NOTHING:
    case FORM_TARGET:
    case FORMS:
    default:
        return 0;
    }
}

/* Which of the variants of a row: by the operands that are the same register. */
static unsigned variant_of(enum stencil_form form, const uint8_t hosts[STENCIL_OPERANDS_MAX], unsigned scale)
{
    if (form == FORM_DST_BASE_INDEX) {
        bool base = hosts[0] == hosts[1], index = hosts[0] == hosts[2];
        unsigned same = base && index ? 4 : base ? 1 : index ? 2 : hosts[1] == hosts[2] ? 3 : 0;
        return 5 * scale + same;
    }
    return variants(form) == 2 && hosts[0] == hosts[1];
}

/* ---- copying ---- */

/* The host register of the operand that field f is of: those that are the same have the first one's. */
static uint8_t host_of(const struct stencil_field *f, const uint8_t hosts[STENCIL_OPERANDS_MAX])
{
    return hosts[f->where >> 5];
}

static void name_registers(const struct stencil *s, const uint8_t hosts[STENCIL_OPERANDS_MAX], uint8_t *code)
{
    for (unsigned i = 0; i < s->field_count; i++) {
        const struct stencil_field *f = &stencil_fields[s->fields + i];
        unsigned shift = f->where & 7, bit = f->where >> 3 & 3, host = host_of(f, hosts);
        code[f->byte] = (uint8_t)((code[f->byte] & ~(7u << shift)) | (host & 7) << shift);
        code[f->rex] = (uint8_t)((code[f->rex] & ~(1u << bit)) | host >> 3 << bit);
    }
}

static uint64_t value_of(unsigned kind, const struct stencil_values *v)
{
    switch (kind) {
    case HOLE_S32:
    case HOLE_WIDE:
    case HOLE_SHIFT32:
    case HOLE_SHIFT64:
        return (uint64_t)v->immediate;
    case HOLE_U32:
        return (uint32_t)v->immediate;
    case HOLE_U16:
        return (uint16_t)v->immediate;
    case HOLE_U8:
        return (uint8_t)v->immediate;
    case HOLE_DISP:
        return (uint64_t)v->disp;
    case HOLE_JUMPS:
        return offsetof(struct cpu, jumps);
    case HOLE_CODE_STAMP:
        return offsetof(struct cpu, code_stamp);
    case HOLE_FETCH_VALID:
        return offsetof(struct cpu, fetch.valid);
    case HOLE_FETCH_LIN_PAGE:
        return offsetof(struct cpu, fetch.lin_page);
    case HOLE_FETCH_PHYS_PAGE:
        return offsetof(struct cpu, fetch.phys_page);
    default:
        CHECK(false, "hole of kind %u", kind);
        return 0;
    }
}

static void fill_holes(const struct stencil *s, const struct stencil_values *values, uint8_t *code)
{
    for (unsigned i = 0; i < s->hole_count; i++) {
        const struct stencil_hole *h = &stencil_holes[s->holes + i];
        uint64_t v = value_of(h->kind, values) + (uint64_t)(int64_t)h->addend;
        memcpy(code + h->at, &v, h->size_bytes);
    }
}

/* Can the operands be where they are? */
static bool fits(const struct stencil *s, unsigned operands, const uint8_t hosts[STENCIL_OPERANDS_MAX])
{
    for (unsigned i = 0; i < operands; i++) {
        if ((s->uses >> hosts[i] & 1) != 0 || (hosts[i] == HOST_RBP && (s->bases >> i & 1) != 0)) {
            return false;
        }
    }
    return true;
}

bool stencil_copy(const struct stencil_row *row, unsigned operands, const uint8_t hosts[STENCIL_OPERANDS_MAX],
                  unsigned scale, const struct stencil_values *values, uint8_t *to, struct stencil_copy *copy)
{
    const struct stencil *s = &stencils[row->first + variant_of((enum stencil_form)row->form, hosts, scale)];
    if (!fits(s, operands, hosts)) {
        return false;
    }
    memcpy(to, stencil_code + s->code, s->code_bytes);
    name_registers(s, hosts, to);
    fill_holes(s, values, to);
    copy->size_bytes = s->code_bytes;
    copy->exits = s->exit_count;
    CHECK(s->exit_count <= STENCIL_EXITS_MAX, "%u exits", s->exit_count);
    for (unsigned i = 0; i < s->exit_count; i++) {
        copy->exit[i].at = stencil_exits[s->exits + i].at;
        copy->exit[i].way = stencil_exits[s->exits + i].way;
    }
    return true;
}
