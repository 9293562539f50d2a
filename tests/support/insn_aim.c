/* Aims an instruction: where its memory operands lie, and what its operands hold. */

#include "insn_aim.h"

#include "base/bits.h"
#include "insn_values.h"

#include <string.h>

/* Operands that Zydis lists for one instruction. */
#define WIDE_BYTES 64u

bool aim_register(struct aim *a, unsigned n, uint64_t value)
{
    if (n >= 16 || ((a->fixed | a->written) & 1u << n)) {
        return false;
    }
    a->c->in.gpr[n] = value;
    a->fixed |= 1u << n;
    return true;
}

void aim_plant(struct aim *a, uint64_t at, const void *bytes, unsigned size_bytes)
{
    const uint8_t *from = bytes;
    while (size_bytes) {
        unsigned offset;
        unsigned room = case_memory_find(at, &offset);
        unsigned n = room == 0 ? 1 : room < size_bytes ? room : size_bytes;
        if (room) {
            memcpy(a->c->in.memory + offset, from, n);
        }
        at += n;
        from += n;
        size_bytes -= n;
    }
}

void aim_plant_word(struct aim *a, uint64_t at, uint64_t value, unsigned size_bytes)
{
    uint8_t bytes[8];
    store_le64(bytes, value);
    aim_plant(a, at, bytes, size_bytes < 8 ? size_bytes : 8);
}

/* ---- where ---- */

static uint64_t wild_target(struct aim *a, unsigned bytes)
{
    static const uint64_t places[] = {
        CASE_DATA_AT + 0x2000,
        CASE_DATA_AT + 0x5000,
        CASE_CODE_AT + 0x100,
        CASE_CODE_AT + 0x2000,
        UINT64_C(0),
        UINT64_C(0xffff800000001000),
        UINT64_C(0x800000000000),
        UINT64_C(0xffff7ffffffffff0),
        UINT64_C(0xfffffffffffffff0),
        UINT64_C(0x7ffffffff000),
        CASE_READ_AT - 0x800,
        CASE_DATA2_AT - 8,
    };
    uint64_t place = places[draw(a->r, sizeof places / sizeof places[0])];
    return (bytes > 16 ? place & ~(CASE_PAGE - 1) : place) +
           draw(a->r, 16); /* large ones do not wrap around */
}

/* A place near the end of a page, before or across it. */
static uint64_t edge_target(struct aim *a, unsigned bytes)
{
    static const uint64_t edges[] = {
        CASE_DATA_AT,  CASE_DATA_AT + CASE_PAGE, CASE_DATA_AT + 2 * CASE_PAGE, CASE_DATA2_AT + CASE_PAGE,
        CASE_DATA2_AT, CASE_READ2_AT + CASE_PAGE};
    return edges[draw(a->r, 6)] - draw(a->r, bytes + 2);
}

static uint64_t data_target(struct aim *a, unsigned bytes)
{
    unsigned span = bytes < 0x800 ? bytes : 0x800;
    switch (draw(a->r, 10)) {
    case 0:
        return CASE_READ_AT + draw(a->r, 0x1000 - span);
    case 1:
        return CASE_READ2_AT + draw(a->r, 0x1000 - span);
    case 2:
    case 3:
        return CASE_DATA2_AT + draw(a->r, 0x1000 - span);
    default:
        return CASE_DATA_AT + draw(a->r, 0x2000 - span);
    }
}

static uint64_t choose_target(struct aim *a, unsigned bytes, unsigned address_bits, bool writes)
{
    unsigned what = draw(a->r, 100);
    if (address_bits == 16) {
        return CASE_LOW_AT + draw(a->r, 0x2000 - 64);
    }
    if (what < 4) {
        return wild_target(a, bytes);
    }
    if (what < 14) {
        return edge_target(a, bytes);
    }
    uint64_t target = writes && chance(a->r, 90) ? CASE_DATA_AT + draw(a->r, 0x1800) : data_target(a, bytes);
    unsigned align = bytes >= 512 ? 64 : bytes >= 16 ? 16 : bytes;
    if (align && (align & (align - 1)) == 0 && chance(a->r, bytes >= 16 ? 85 : 60)) {
        target &= ~(uint64_t)(align - 1);
    }
    return target;
}

/* ---- how to get there ---- */

static uint64_t segment_base(const struct aim *a, ZydisRegister segment)
{
    return segment == ZYDIS_REGISTER_FS   ? a->c->in.fs_base
           : segment == ZYDIS_REGISTER_GS ? a->c->in.gs_base
                                          : 0;
}

static bool is_known(const struct aim *a, unsigned reg)
{
    return reg == 16 || (a->fixed & ~a->written & 1u << reg) != 0;
}

static bool is_free(const struct aim *a, unsigned reg)
{
    return reg < 16 && ((a->fixed | a->written) & 1u << reg) == 0;
}

/* A value of which the address uses the low bits only. */
static uint64_t spread(struct aim *a, uint64_t value, unsigned bits)
{
    uint64_t junk = chance(a->r, 70) ? 0 : rng_next(a->r);
    return bits == 64 ? value : (value & ((UINT64_C(1) << bits) - 1)) | junk << bits;
}

/* The operand's place in the instruction's address arithmetic. */
struct place {
    unsigned base, index, scale, bits;
    bool has_field;        /* a displacement of 32 bits or more, or of 16 with addresses of 16 */
    uint64_t displacement; /* as it stands */
};

static struct place place_of(const struct insn_text *t, const ZydisDecodedOperand *op)
{
    struct place p = {.base = op->mem.base ? text_gpr(t, op->mem.base) : 16,
                      .index = op->mem.index ? text_gpr(t, op->mem.index) : 16,
                      .scale = op->mem.scale ? op->mem.scale : 1,
                      .bits = t->z.address_width,
                      .displacement = (uint64_t)op->mem.disp.value};
    bool visible = op->visibility == ZYDIS_OPERAND_VISIBILITY_EXPLICIT;
    p.has_field = visible && t->z.raw.disp.size >= (p.bits == 16 ? 16 : 32);
    return p;
}

static uint64_t address_mask(const struct place *p)
{
    return p->bits == 64 ? UINT64_MAX : (UINT64_C(1) << p->bits) - 1;
}

/* Where the operand is; outside 64-bit mode a linear address has 32 bits. */
static uint64_t linear_of(const struct aim *a, const struct insn_text *t, const struct place *p,
                          const ZydisDecodedOperand *op, uint64_t offset)
{
    uint64_t linear = (offset & address_mask(p)) + segment_base(a, op->mem.segment);
    return t->z.machine_mode == ZYDIS_MACHINE_MODE_LONG_64 ? linear : (uint32_t)linear;
}

static void patch_displacement(struct insn_text *t, uint64_t value)
{
    text_patch(t, t->z.raw.disp.offset, t->z.raw.disp.size, value);
}

/* One register, times a factor: its value, and what the address comes to. */
static bool solve_product(struct aim *a, const struct place *p, unsigned reg, unsigned factor, uint64_t *want)
{
    uint64_t value = (*want - p->displacement) / factor;
    *want = value * factor + p->displacement;
    return aim_register(a, reg, spread(a, value, p->bits));
}

/* Gives the registers of an address their values so that it comes to *want, or near it: then *want tells. False: they
 * are not free to choose. */
static bool solve(struct aim *a, struct insn_text *t, const struct place *p, uint64_t *want)
{
    if (p->index < 16 && p->index == p->base && is_free(a, p->base)) {
        return solve_product(a, p, p->base, 1 + p->scale, want);
    }
    if (p->base == 16 && p->index < 16 && is_free(a, p->index)) {
        return solve_product(a, p, p->index, p->scale, want);
    }
    if (p->index < 16 && is_free(a, p->index)) {
        aim_register(a, p->index,
                     spread(a, chance(a->r, 80) ? draw(a->r, 64) - 32u : value_integer(a->r), p->bits));
    }
    if (!is_known(a, p->index)) {
        return false;
    }
    uint64_t index = p->index < 16 ? a->c->in.gpr[p->index] * p->scale : 0;
    if (is_free(a, p->base)) {
        return aim_register(a, p->base, spread(a, *want - index - p->displacement, p->bits));
    }
    if (!is_known(a, p->base) || !p->has_field) {
        return false;
    }
    patch_displacement(t, *want - index - (p->base < 16 ? a->c->in.gpr[p->base] : 0));
    return true;
}

/* ---- what is there ---- */

static unsigned make_operand(struct aim *a, const ZydisDecodedOperand *op, uint8_t *out)
{
    unsigned bytes = op->size / 8 < WIDE_BYTES ? op->size / 8 : WIDE_BYTES;
    switch ((unsigned)op->element_type) {
    case ZYDIS_ELEMENT_TYPE_FLOAT80:
        value_float80(a->r, out);
        return bytes;
    case ZYDIS_ELEMENT_TYPE_LONGBCD:
        value_bcd(a->r, out);
        return bytes;
    case ZYDIS_ELEMENT_TYPE_FLOAT32:
        for (unsigned i = 0; i < bytes; i += 4) {
            store_le32(out + i, value_float32(a->r));
        }
        return bytes;
    case ZYDIS_ELEMENT_TYPE_FLOAT64:
        for (unsigned i = 0; i < bytes; i += 8) {
            store_le64(out + i, value_float64(a->r));
        }
        return bytes;
    default:
        if (bytes >= 16) {
            for (unsigned i = 0; i + 16 <= bytes; i += 16) {
                value_vector(a->r, out + i);
            }
            return bytes & ~15u;
        }
        store_le64(out, value_integer(a->r));
        return bytes < 8 ? bytes : 8;
    }
}

/* An environment or image: several accesses, unlike a vector. */
static bool is_image(const ZydisDecodedOperand *op)
{
    return op->size > 80 && op->size != 128;
}

/* Offsets that are not asked for. */
static bool is_open_question(const struct aim *a, const struct place *p, const ZydisDecodedOperand *op,
                             uint64_t offset)
{
    bool segment = op->mem.segment == ZYDIS_REGISTER_FS || op->mem.segment == ZYDIS_REGISTER_GS;
    if (segment && a->rebased) {
        return true;
    }
    /* An environment or image that wraps around or passes the segment's limit: found out when half of it is done. */
    uint64_t limit = address_mask(p);
    return is_image(op) && p->bits < 64 && (offset & limit) + op->size / 8 > limit;
}

/* Aims one memory operand; false: it cannot be, and the instruction had better not run. target: where it lies, 0 when
 * that is not known. */
static bool aim_memory(struct aim *a, struct insn_text *t, uint64_t at, const ZydisDecodedOperand *op,
                       uint64_t *target)
{
    uint8_t bytes[WIDE_BYTES];
    struct place p = place_of(t, op);
    bool writes = (op->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0;
    uint64_t chosen = choose_target(a, op->size / 8, p.bits, writes);
    uint64_t offset = chosen - segment_base(a, op->mem.segment);
    *target = 0;
    if (is_open_question(a, &p, op, offset)) {
        return false;
    }
    if (op->mem.base == ZYDIS_REGISTER_RIP || op->mem.base == ZYDIS_REGISTER_EIP) {
        patch_displacement(t, offset - at - t->length);
    } else if (!solve(a, t, &p, &offset)) {
        bool stack = op->visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN && p.base == RSP; /* moved by pushes */
        bool changed = (a->written & (1u << p.base | 1u << p.index)) != 0;
        return !is_image(op) && (stack || !changed || chance(a->r, 30));
    }
    *target = linear_of(a, t, &p, op, offset);
    if ((op->actions & ZYDIS_OPERAND_ACTION_MASK_READ) && chance(a->r, 75)) {
        unsigned size_bytes = make_operand(a, op, bytes);
        aim_plant(a, *target, bytes, size_bytes);
    }
    return true;
}

bool aim_insn(struct aim *a, struct insn_text *t, uint64_t at)
{
    uint64_t target = 0;
    for (unsigned i = 0; i < t->z.operand_count; i++) {
        uint64_t place = 0;
        if (t->op[i].type == ZYDIS_OPERAND_TYPE_MEMORY && !aim_memory(a, t, at, &t->op[i], &place)) {
            return false;
        }
        target = target ? target : place;
    }
    return aim_special(a, t, at, target);
}
