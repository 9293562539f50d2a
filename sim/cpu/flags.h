#ifndef ORRERY_CPU_FLAGS_H
#define ORRERY_CPU_FLAGS_H

/*
 * The six status flags, kept lazily as three words that an arithmetic instruction stores without looking at
 * them:
 *
 *   flag_zero    ZF = (flag_zero == 0)                                       the result
 *   flag_sign    SF = bit 63, PF = even parity of bits 7..0                  the result, sign-extended
 *   flag_carry   CF = bit 63, OF = bit 63 ^ bit 62, AF = bit 3               carries out of each bit
 *
 *    63   62   61                          4   3   2      0
 *   +----+----+-----------------------------+----+--------+
 *   | CF | CI |          (anything)         | AF |  (any) |   CI: carry into the sign bit
 *   +----+----+-----------------------------+----+--------+
 *
 * The carry vector of an addition or subtraction of w bits stands at the bottom of the word (where AF is bit
 * 3) and a second time at its top (where CF is bit 63): carries << (64 - w) | carries. The words differ from
 * one history to another with the same flags; only flags_get has a meaning at a boundary.
 *
 * Source: APM vol. 1, "Flags Register". Everything here is inline: w is a constant in the specialised
 * handlers.
 */

#include "cpu/cpu.h"

static inline bool flags_cf(const struct cpu *cpu)
{
    return cpu->flag_carry >> 63 != 0;
}

static inline bool flags_of(const struct cpu *cpu)
{
    return ((cpu->flag_carry >> 63) ^ (cpu->flag_carry >> 62 & 1)) != 0;
}

static inline bool flags_af(const struct cpu *cpu)
{
    return (cpu->flag_carry >> 3 & 1) != 0;
}

static inline bool flags_zf(const struct cpu *cpu)
{
    return cpu->flag_zero == 0;
}

static inline bool flags_sf(const struct cpu *cpu)
{
    return cpu->flag_sign >> 63 != 0;
}

static inline bool flags_pf(const struct cpu *cpu)
{
    return !__builtin_parity((unsigned)(cpu->flag_sign & 0xff));
}

/* CF, PF, AF, ZF, SF and OF as they stand in RFLAGS. */
static inline uint64_t flags_get(const struct cpu *cpu)
{
    return (flags_cf(cpu) ? RFLAGS_CF : 0) | (flags_pf(cpu) ? RFLAGS_PF : 0) |
           (flags_af(cpu) ? RFLAGS_AF : 0) | (flags_zf(cpu) ? RFLAGS_ZF : 0) |
           (flags_sf(cpu) ? RFLAGS_SF : 0) | (flags_of(cpu) ? RFLAGS_OF : 0);
}

/* CF, OF and AF, leaving the others. */
static inline void flags_set_carry(struct cpu *cpu, bool cf, bool of, bool af)
{
    cpu->flag_carry = (uint64_t)cf << 63 | (uint64_t)(cf != of) << 62 | (uint64_t)af << 3;
}

/* Sets all six from RFLAGS bits; other bits are ignored. */
static inline void flags_set(struct cpu *cpu, uint64_t rflags)
{
    cpu->flag_zero = (rflags & RFLAGS_ZF) == 0;
    cpu->flag_sign = ((rflags & RFLAGS_SF) != 0 ? BIT(63) : 0) | ((rflags & RFLAGS_PF) == 0);
    flags_set_carry(cpu, (rflags & RFLAGS_CF) != 0, (rflags & RFLAGS_OF) != 0, (rflags & RFLAGS_AF) != 0);
}

/* Replaces the flags named by mask (RFLAGS bits), keeping the others. */
static inline void flags_change(struct cpu *cpu, uint64_t mask, uint64_t rflags)
{
    flags_set(cpu, (flags_get(cpu) & ~mask) | (rflags & mask));
}

static inline void flags_set_cf(struct cpu *cpu, bool cf)
{
    flags_set_carry(cpu, cf, flags_of(cpu), flags_af(cpu));
}

/* ZF, SF and PF of a result of w bits (bits above w are ignored). */
static inline void flags_result(struct cpu *cpu, uint64_t result, unsigned w)
{
    uint64_t r = bits_sext(result, w);
    cpu->flag_zero = r;
    cpu->flag_sign = r;
}

/* AND, OR, XOR, TEST: CF = OF = AF = 0 (AF: undefined by the manual, 0 on the hardware). */
static inline void flags_logic(struct cpu *cpu, uint64_t result, unsigned w)
{
    flags_result(cpu, result, w);
    cpu->flag_carry = 0;
}

/* Carries of a + b (+ carry-in) = result; operands and result are zero-extended from w bits. */
static inline void flags_add(struct cpu *cpu, uint64_t a, uint64_t b, uint64_t result, unsigned w)
{
    uint64_t c = (a & b) | ((a | b) & ~result);
    flags_result(cpu, result, w);
    cpu->flag_carry = c << (64 - w) | c;
}

/* Borrows of a - b (- borrow-in) = result; operands and result are zero-extended from w bits. */
static inline void flags_sub(struct cpu *cpu, uint64_t a, uint64_t b, uint64_t result, unsigned w)
{
    uint64_t c = (~a & b) | (~(a ^ b) & result);
    flags_result(cpu, result, w);
    cpu->flag_carry = c << (64 - w) | c;
}

/* The condition of Jcc, SETcc and CMOVcc by the low four bits of the opcode. */
static inline bool flags_condition(const struct cpu *cpu, unsigned cc)
{
    bool v;
    switch (cc >> 1) {
    case 0:
        v = flags_of(cpu);
        break;
    case 1:
        v = flags_cf(cpu);
        break;
    case 2:
        v = flags_zf(cpu);
        break;
    case 3:
        v = flags_cf(cpu) || flags_zf(cpu);
        break;
    case 4:
        v = flags_sf(cpu);
        break;
    case 5:
        v = flags_pf(cpu);
        break;
    case 6:
        v = flags_sf(cpu) != flags_of(cpu);
        break;
    default:
        v = flags_zf(cpu) || flags_sf(cpu) != flags_of(cpu);
        break;
    }
    return v != ((cc & 1) != 0);
}

#endif
