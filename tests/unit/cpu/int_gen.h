#ifndef ORRERY_TESTS_INT_GEN_H
#define ORRERY_TESTS_INT_GEN_H

/*
 * Random integer instructions of 64-bit mode. They are kept from losing themselves: RBX, RSI and RDI point
 * into data (string instructions move the last two a little), R12 is a small index, RSP a stack; only the
 * other registers are written, so that every memory operand stays near the three pointers.
 */

#include "base/rng.h"
#include "cpu/regs.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum gen_kind {
    GEN_RM,   /* ModRM: register and register or memory */
    GEN_MEM,  /* ModRM: memory only */
    GEN_REG,  /* ModRM: registers only */
    GEN_PLUS, /* register in the opcode */
    GEN_ALONE /* no operand bytes but an immediate */
};

struct gen_row {
    const char *opcode; /* mandatory prefixes first */
    uint8_t size;
    uint8_t kind;
    uint8_t imm;  /* bytes; 4 becomes 2 under a 66 prefix, 8 is 4 without REX.W */
    int8_t digit; /* of the opcode extension, or -1: a register */
    bool bytes;   /* 8-bit operands: the high halves can be meant */
};

#define GEN_ALU(a, b, c, d, digit)                                                          \
    {a, 1, GEN_RM, 0, -1, true}, {b, 1, GEN_RM, 0, -1, false}, {c, 1, GEN_RM, 0, -1, true}, \
        {d, 1, GEN_RM, 0, -1, false}, {"\x80", 1, GEN_RM, 1, digit, true},                  \
        {"\x81", 1, GEN_RM, 4, digit, false},                                               \
    {                                                                                       \
        "\x83", 1, GEN_RM, 1, digit, false                                                  \
    }
#define GEN_SHIFT(digit)                                                           \
    {"\xc0", 1, GEN_RM, 1, digit, true}, {"\xc1", 1, GEN_RM, 1, digit, false},     \
        {"\xd0", 1, GEN_RM, 0, digit, true}, {"\xd1", 1, GEN_RM, 0, digit, false}, \
        {"\xd2", 1, GEN_RM, 0, digit, true},                                       \
    {                                                                              \
        "\xd3", 1, GEN_RM, 0, digit, false                                         \
    }
#define GEN_0F(op, kind, imm, digit)          \
    {                                         \
        "\x0f" op, 2, kind, imm, digit, false \
    }

static const struct gen_row gen_rows[] = {
    GEN_ALU("\x00", "\x01", "\x02", "\x03", 0),
    GEN_ALU("\x08", "\x09", "\x0a", "\x0b", 1),
    GEN_ALU("\x10", "\x11", "\x12", "\x13", 2),
    GEN_ALU("\x18", "\x19", "\x1a", "\x1b", 3),
    GEN_ALU("\x20", "\x21", "\x22", "\x23", 4),
    GEN_ALU("\x28", "\x29", "\x2a", "\x2b", 5),
    GEN_ALU("\x30", "\x31", "\x32", "\x33", 6),
    GEN_ALU("\x38", "\x39", "\x3a", "\x3b", 7),
    GEN_SHIFT(0),
    GEN_SHIFT(1),
    GEN_SHIFT(2),
    GEN_SHIFT(3),
    GEN_SHIFT(4),
    GEN_SHIFT(5),
    GEN_SHIFT(7),
    {"\x05", 1, GEN_ALONE, 4, -1, false},
    {"\x3c", 1, GEN_ALONE, 1, -1, false},
    {"\xa8", 1, GEN_ALONE, 1, -1, false},
    {"\xa9", 1, GEN_ALONE, 4, -1, false},
    {"\x84", 1, GEN_RM, 0, -1, true},
    {"\x85", 1, GEN_RM, 0, -1, false},
    {"\x86", 1, GEN_RM, 0, -1, true},
    {"\x87", 1, GEN_RM, 0, -1, false},
    {"\x88", 1, GEN_RM, 0, -1, true},
    {"\x89", 1, GEN_RM, 0, -1, false},
    {"\x8a", 1, GEN_RM, 0, -1, true},
    {"\x8b", 1, GEN_RM, 0, -1, false},
    {"\x8d", 1, GEN_MEM, 0, -1, false},
    {"\x63", 1, GEN_RM, 0, -1, false},
    {"\xc6", 1, GEN_RM, 1, 0, true},
    {"\xc7", 1, GEN_RM, 4, 0, false},
    {"\xb0", 1, GEN_PLUS, 1, -1, true},
    {"\xb8", 1, GEN_PLUS, 8, -1, false},
    {"\xf6", 1, GEN_RM, 1, 0, true},
    {"\xf7", 1, GEN_RM, 4, 0, false},
    {"\xf6", 1, GEN_RM, 0, 2, true},
    {"\xf7", 1, GEN_RM, 0, 2, false},
    {"\xf6", 1, GEN_RM, 0, 3, true},
    {"\xf7", 1, GEN_RM, 0, 3, false},
    {"\xf6", 1, GEN_RM, 0, 4, true},
    {"\xf7", 1, GEN_RM, 0, 4, false},
    {"\xf6", 1, GEN_RM, 0, 5, true},
    {"\xf7", 1, GEN_RM, 0, 5, false},
    {"\xfe", 1, GEN_RM, 0, 0, true},
    {"\xff", 1, GEN_RM, 0, 0, false},
    {"\xfe", 1, GEN_RM, 0, 1, true},
    {"\xff", 1, GEN_RM, 0, 1, false},
    {"\x69", 1, GEN_RM, 4, -1, false},
    {"\x6b", 1, GEN_RM, 1, -1, false},
    GEN_0F("\xaf", GEN_RM, 0, -1),
    {"\x98", 1, GEN_ALONE, 0, -1, false},
    {"\x99", 1, GEN_ALONE, 0, -1, false},
    {"\x9e", 1, GEN_ALONE, 0, -1, false},
    {"\x9f", 1, GEN_ALONE, 0, -1, false},
    {"\xf5", 1, GEN_ALONE, 0, -1, false},
    {"\xf8", 1, GEN_ALONE, 0, -1, false},
    {"\xf9", 1, GEN_ALONE, 0, -1, false},
    {"\x90", 1, GEN_ALONE, 0, -1, false},
    {"\xa4", 1, GEN_ALONE, 0, -1, false},
    {"\xa5", 1, GEN_ALONE, 0, -1, false},
    {"\xa6", 1, GEN_ALONE, 0, -1, false},
    {"\xa7", 1, GEN_ALONE, 0, -1, false},
    {"\xaa", 1, GEN_ALONE, 0, -1, false},
    {"\xab", 1, GEN_ALONE, 0, -1, false},
    {"\xac", 1, GEN_ALONE, 0, -1, false},
    {"\xad", 1, GEN_ALONE, 0, -1, false},
    {"\xae", 1, GEN_ALONE, 0, -1, false},
    {"\xaf", 1, GEN_ALONE, 0, -1, false},
    {"\x50", 1, GEN_PLUS, 0, -1, false},
    {"\x58", 1, GEN_PLUS, 0, -1, false},
    {"\x68", 1, GEN_ALONE, 4, -1, false},
    {"\x6a", 1, GEN_ALONE, 1, -1, false},
    {"\xff", 1, GEN_MEM, 0, 6, false},
    {"\x8f", 1, GEN_MEM, 0, 0, false},
    GEN_0F("\xa3", GEN_REG, 0, -1),
    GEN_0F("\xab", GEN_REG, 0, -1),
    GEN_0F("\xb3", GEN_REG, 0, -1),
    GEN_0F("\xbb", GEN_REG, 0, -1),
    GEN_0F("\xba", GEN_RM, 1, 4),
    GEN_0F("\xba", GEN_RM, 1, 5),
    GEN_0F("\xba", GEN_RM, 1, 6),
    GEN_0F("\xba", GEN_RM, 1, 7),
    GEN_0F("\xa4", GEN_RM, 1, -1),
    GEN_0F("\xa5", GEN_RM, 0, -1),
    GEN_0F("\xac", GEN_RM, 1, -1),
    GEN_0F("\xad", GEN_RM, 0, -1),
    {"\x0f\xb0", 2, GEN_RM, 0, -1, true},
    GEN_0F("\xb1", GEN_RM, 0, -1),
    {"\x0f\xb6", 2, GEN_RM, 0, -1, false},
    GEN_0F("\xb7", GEN_RM, 0, -1),
    {"\x0f\xbe", 2, GEN_RM, 0, -1, false},
    GEN_0F("\xbf", GEN_RM, 0, -1),
    {"\x0f\xc0", 2, GEN_RM, 0, -1, true},
    GEN_0F("\xc1", GEN_RM, 0, -1),
    GEN_0F("\xbc", GEN_RM, 0, -1),
    GEN_0F("\xbd", GEN_RM, 0, -1),
    GEN_0F("\xc7", GEN_MEM, 0, 1),
    GEN_0F("\xc8", GEN_PLUS, 0, -1),
    {"\xf3\x0f\xbc", 3, GEN_RM, 0, -1, false},
    {"\xf3\x0f\xbd", 3, GEN_RM, 0, -1, false},
    {"\xf3\x0f\xb8", 3, GEN_RM, 0, -1, false},
    {"\x0f\x38\xf0", 3, GEN_MEM, 0, -1, false},
    {"\x0f\x38\xf1", 3, GEN_MEM, 0, -1, false},
    {"\xf2\x0f\x38\xf0", 4, GEN_RM, 0, -1, false},
    {"\xf2\x0f\x38\xf1", 4, GEN_RM, 0, -1, false},
    {"\x66\x0f\x38\xf6", 4, GEN_RM, 0, -1, false},
    {"\xf3\x0f\x38\xf6", 4, GEN_RM, 0, -1, false},
    GEN_0F("\x40", GEN_RM, 0, -1),
    GEN_0F("\x42", GEN_RM, 0, -1),
    GEN_0F("\x44", GEN_RM, 0, -1),
    GEN_0F("\x47", GEN_RM, 0, -1),
    GEN_0F("\x4a", GEN_RM, 0, -1),
    GEN_0F("\x4c", GEN_RM, 0, -1),
    GEN_0F("\x4f", GEN_RM, 0, -1),
    {"\x0f\x91", 2, GEN_RM, 0, 0, true},
    {"\x0f\x92", 2, GEN_RM, 0, 0, true},
    {"\x0f\x94", 2, GEN_RM, 0, 0, true},
    {"\x0f\x96", 2, GEN_RM, 0, 0, true},
    {"\x0f\x98", 2, GEN_RM, 0, 0, true},
    {"\x0f\x9b", 2, GEN_RM, 0, 0, true},
    {"\x0f\x9d", 2, GEN_RM, 0, 0, true},
    {"\x0f\x9e", 2, GEN_RM, 0, 0, true},
};

static const uint8_t gen_free[] = {RAX, RCX, RDX, R8, R9, R10, R11, R13, R14, R15};

static inline unsigned gen_below(struct rng *r, unsigned bound)
{
    return (unsigned)rng_below(r, bound);
}

/* ModRM and SIB with a displacement of 8 bits; returns the bytes used, adds to *rex. */
static inline unsigned gen_memory(struct rng *r, uint8_t *out, unsigned reg, uint8_t *rex)
{
    static const uint8_t bases[] = {RBX, RSI, RDI};
    unsigned base = bases[gen_below(r, 3)];
    if (gen_below(r, 2) != 0) {
        out[0] = (uint8_t)(0x40 | (reg & 7) << 3 | base);
        out[1] = (uint8_t)rng_next(r);
        return 2;
    }
    *rex |= 0x42; /* index R12 */
    out[0] = (uint8_t)(0x44 | (reg & 7) << 3);
    out[1] = (uint8_t)(gen_below(r, 4) << 6 | (R12 & 7) << 3 | base);
    out[2] = (uint8_t)rng_next(r);
    return 3;
}

/* A register field: a free register, or one of AH, CH, DH, which exist without REX only. */
static inline unsigned gen_register(struct rng *r, bool high, uint8_t *rex, uint8_t rex_bit)
{
    static const uint8_t halves[] = {4, 5, 6};
    if (high) {
        return halves[gen_below(r, 3)];
    }
    unsigned reg = gen_free[gen_below(r, sizeof gen_free)];
    if (reg >= 8) {
        *rex |= (uint8_t)(0x40 | rex_bit);
    }
    return reg;
}

struct gen_draft {
    uint8_t operands[4];
    unsigned operand_bytes;
    uint8_t rex, plus;
};

static inline void gen_operands(struct rng *r, const struct gen_row *row, bool high, struct gen_draft *d)
{
    if (row->kind == GEN_PLUS) {
        d->plus = gen_register(r, high, &d->rex, 1) & 7;
    } else if (row->kind != GEN_ALONE) {
        unsigned reg = row->digit >= 0 ? (unsigned)row->digit : gen_register(r, high, &d->rex, 4);
        bool memory = row->kind == GEN_MEM || (row->kind == GEN_RM && !high && gen_below(r, 2) != 0);
        if (memory) {
            d->operand_bytes = gen_memory(r, d->operands, reg, &d->rex);
        } else {
            unsigned rm = gen_register(r, high, &d->rex, 1);
            d->operands[0] = (uint8_t)(0xc0 | (reg & 7) << 3 | (rm & 7));
            d->operand_bytes = 1;
        }
    }
}

static inline bool gen_is_string(const struct gen_row *row)
{
    uint8_t op = (uint8_t)row->opcode[0];
    return row->size == 1 && ((op >= 0xa4 && op <= 0xa7) || (op >= 0xaa && op <= 0xaf));
}

/* One instruction of at most 15 bytes; returns its length. rep: string instructions may repeat. */
static inline unsigned gen_insn(struct rng *r, uint8_t *out, bool rep)
{
    const struct gen_row *row = &gen_rows[gen_below(r, sizeof gen_rows / sizeof gen_rows[0])];
    bool high = row->bytes && gen_below(r, 4) == 0;
    bool wide = !high && gen_below(r, 2) != 0, half = !high && !wide && gen_below(r, 4) == 0;
    struct gen_draft d = {.rex = wide ? 0x48 : 0};
    unsigned n = 0, k = 0;
    gen_operands(r, row, high, &d);
    if (gen_below(r, 8) == 0) {
        out[n++] = 0x65; /* GS: its base is 0 on the host, and what a test makes it elsewhere */
    }
    if (half) {
        out[n++] = 0x66;
    }
    if (rep && gen_is_string(row) && gen_below(r, 2) != 0) {
        out[n++] = gen_below(r, 2) != 0 ? 0xf3 : 0xf2;
    }
    while (row->size > 2 && ((uint8_t)row->opcode[k] == 0xf2 || (uint8_t)row->opcode[k] == 0xf3 ||
                             (uint8_t)row->opcode[k] == 0x66)) {
        out[n++] = (uint8_t)row->opcode[k++];
    }
    if (d.rex != 0) {
        out[n++] = d.rex;
    }
    memcpy(out + n, row->opcode + k, row->size - k);
    n += row->size - k;
    out[n - 1] = (uint8_t)(out[n - 1] + d.plus);
    memcpy(out + n, d.operands, d.operand_bytes);
    n += d.operand_bytes;
    unsigned imm = row->imm == 8 ? (wide ? 8 : half ? 2 : 4) : row->imm == 4 && half ? 2 : row->imm;
    for (unsigned i = 0; i < imm; i++) {
        out[n++] = (uint8_t)rng_next(r);
    }
    return n;
}

/* A value that is interesting for flags as often as not. */
static inline uint64_t gen_value(struct rng *r)
{
    switch (gen_below(r, 8)) {
    case 0:
        return 0;
    case 1:
        return UINT64_MAX;
    case 2:
        return BIT(gen_below(r, 64));
    case 3:
        return BIT(gen_below(r, 64)) - 1;
    case 4:
        return gen_below(r, 256);
    case 5:
        return (uint64_t)(int64_t)(int32_t)rng_next(r);
    default:
        return rng_next(r);
    }
}

#endif
