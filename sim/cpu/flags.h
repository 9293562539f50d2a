#ifndef ORRERY_CPU_FLAGS_H
#define ORRERY_CPU_FLAGS_H

/*
 * The six status flags, kept lazily as three words that an arithmetic instruction stores without looking at them. They
 * are those of a subtraction, left - right, of operands of w bits that stand at the top of their words:
 *
 *   flag_left, flag_right   the operands << (64 - w)
 *   flag_fix                what is different:
 *
 *      63          22 21   16    12                   11 .. 0
 *     +--------------+-------+-----+---------------------------------------------+
 *     |              | 64 - w| SUM | flags that are inverted, where RFLAGS has them |
 *     +--------------+-------+-----+---------------------------------------------+
 *
 * Logic is a subtraction of 0 from the result. An addition a + b = r has the carries of r - b = a, but its result is
 * r: that is SUM. Whatever else there is inverts some flags. The words differ from one history to another with the
 * same flags; only flags_get has a meaning at a boundary.
 *
 * Source: APM vol. 1, "Flags Register". Everything here is inline: w is a constant in the specialised handlers.
 */

#include "cpu/cpu.h"

#define FLAG_FIX_SUM   BIT(12)
#define FLAG_FIX_SHIFT 16

#define FLAGS_CARRIES (RFLAGS_CF | RFLAGS_OF | RFLAGS_AF)

static inline uint64_t flags_fix_of(unsigned w)
{
    return (uint64_t)(64 - w) << FLAG_FIX_SHIFT;
}

static inline unsigned flags_shift_of(const struct cpu *cpu)
{
    return (unsigned)(cpu->flag_fix >> FLAG_FIX_SHIFT);
}

static inline bool flags_fixed(const struct cpu *cpu, uint64_t flag)
{
    return (cpu->flag_fix & flag) != 0;
}

/* The result at the top of its word. */
static inline uint64_t flags_outcome(const struct cpu *cpu)
{
    return cpu->flag_left - (flags_fixed(cpu, FLAG_FIX_SUM) ? 0 : cpu->flag_right);
}

static inline bool flags_cf(const struct cpu *cpu)
{
    return (cpu->flag_left < cpu->flag_right) != flags_fixed(cpu, RFLAGS_CF);
}

static inline bool flags_of(const struct cpu *cpu)
{
    uint64_t a = cpu->flag_left, b = cpu->flag_right;
    return (((a ^ b) & (a ^ (a - b))) >> 63 != 0) != flags_fixed(cpu, RFLAGS_OF);
}

static inline bool flags_af(const struct cpu *cpu)
{
    uint64_t a = cpu->flag_left, b = cpu->flag_right;
    return (((a ^ b ^ (a - b)) >> flags_shift_of(cpu) & 16) != 0) != flags_fixed(cpu, RFLAGS_AF);
}

static inline bool flags_zf(const struct cpu *cpu)
{
    return (flags_outcome(cpu) == 0) != flags_fixed(cpu, RFLAGS_ZF);
}

static inline bool flags_sf(const struct cpu *cpu)
{
    return (flags_outcome(cpu) >> 63 != 0) != flags_fixed(cpu, RFLAGS_SF);
}

static inline bool flags_pf(const struct cpu *cpu)
{
    unsigned low = (unsigned)(flags_outcome(cpu) >> flags_shift_of(cpu)) & 0xff;
    return !__builtin_parity(low) != flags_fixed(cpu, RFLAGS_PF);
}

/* CF, PF, AF, ZF, SF and OF as they stand in RFLAGS. */
static inline uint64_t flags_get(const struct cpu *cpu)
{
    return (flags_cf(cpu) ? RFLAGS_CF : 0) | (flags_pf(cpu) ? RFLAGS_PF : 0) |
           (flags_af(cpu) ? RFLAGS_AF : 0) | (flags_zf(cpu) ? RFLAGS_ZF : 0) |
           (flags_sf(cpu) ? RFLAGS_SF : 0) | (flags_of(cpu) ? RFLAGS_OF : 0);
}

/* Sets all six from RFLAGS bits; other bits are ignored. What 0 - 0 gives is ZF and PF. */
static inline void flags_set(struct cpu *cpu, uint64_t rflags)
{
    cpu->flag_left = 0;
    cpu->flag_right = 0;
    cpu->flag_fix = (rflags & RFLAGS_STATUS) ^ (RFLAGS_ZF | RFLAGS_PF);
}

/* Replaces the flags named by mask (RFLAGS bits), keeping the others. */
static inline void flags_change(struct cpu *cpu, uint64_t mask, uint64_t rflags)
{
    cpu->flag_fix ^= (flags_get(cpu) ^ rflags) & mask & RFLAGS_STATUS;
}

static inline void flags_set_cf(struct cpu *cpu, bool cf)
{
    cpu->flag_fix ^= flags_cf(cpu) != cf ? RFLAGS_CF : 0;
}

/* Rotates, and what else changes CF and OF only. */
static inline void flags_set_cf_of(struct cpu *cpu, bool cf, bool of)
{
    flags_set_cf(cpu, cf);
    cpu->flag_fix ^= flags_of(cpu) != of ? RFLAGS_OF : 0;
}

/* CF, OF and AF, leaving the others. */
static inline void flags_set_carry(struct cpu *cpu, bool cf, bool of, bool af)
{
    flags_set_cf_of(cpu, cf, of);
    cpu->flag_fix ^= flags_af(cpu) != af ? RFLAGS_AF : 0;
}

/* All six: ZF, SF and PF of a result of w bits (bits above w are ignored), the carries as RFLAGS bits. */
static inline void flags_result_carries(struct cpu *cpu, uint64_t result, unsigned w, uint64_t carries)
{
    cpu->flag_left = result << (64 - w);
    cpu->flag_right = 0;
    cpu->flag_fix = flags_fix_of(w) | carries;
}

/* ZF, SF and PF of a result, leaving the others. */
static inline void flags_result(struct cpu *cpu, uint64_t result, unsigned w)
{
    flags_result_carries(cpu, result, w, flags_get(cpu) & FLAGS_CARRIES);
}

/* AND, OR, XOR, TEST: CF = OF = AF = 0 (AF: undefined by the manual, 0 on the hardware). */
static inline void flags_logic(struct cpu *cpu, uint64_t result, unsigned w)
{
    flags_result_carries(cpu, result, w, 0);
}

/* Shifts: AF is undefined by the manual; the hardware sets it. */
static inline void flags_shift(struct cpu *cpu, uint64_t result, unsigned w, bool cf, bool of)
{
    flags_result_carries(cpu, result, w, (cf ? RFLAGS_CF : 0) | (of ? RFLAGS_OF : 0) | RFLAGS_AF);
}

/* What a - b gives. */
static inline void flags_sub(struct cpu *cpu, uint64_t a, uint64_t b, unsigned w)
{
    cpu->flag_left = a << (64 - w);
    cpu->flag_right = b << (64 - w);
    cpu->flag_fix = flags_fix_of(w);
}

/* What an addition of b (without a carry-in) gives, with its result. */
static inline void flags_add(struct cpu *cpu, uint64_t result, uint64_t b, unsigned w)
{
    cpu->flag_left = result << (64 - w);
    cpu->flag_right = b << (64 - w);
    cpu->flag_fix = flags_fix_of(w) | FLAG_FIX_SUM;
}

/* INC with its result and DEC of a keep CF: it is inverted if 1 would have changed it. */
static inline void flags_inc(struct cpu *cpu, uint64_t result, unsigned w)
{
    uint64_t cf = flags_cf(cpu) != (result == 0);
    flags_add(cpu, result, 1, w);
    cpu->flag_fix |= cf;
}

static inline void flags_dec(struct cpu *cpu, uint64_t a, unsigned w)
{
    uint64_t cf = flags_cf(cpu) != (a == 0);
    flags_sub(cpu, a, 1, w);
    cpu->flag_fix |= cf;
}

/* All six after a result and the carries out of each bit of it. */
static inline void flags_carry_vector(struct cpu *cpu, uint64_t result, uint64_t carries, unsigned w)
{
    uint64_t top = carries >> (w - 2);
    bool cf = (top & 2) != 0, of = top == 1 || top == 2, af = (carries & 8) != 0;
    flags_result_carries(cpu, result, w, (cf ? RFLAGS_CF : 0) | (of ? RFLAGS_OF : 0) | (af ? RFLAGS_AF : 0));
}

/* Carries of a + b + carry-in = result; operands and result are zero-extended from w bits. */
static inline void flags_add_carry(struct cpu *cpu, uint64_t a, uint64_t b, uint64_t result, unsigned w)
{
    flags_carry_vector(cpu, result, (a & b) | ((a | b) & ~result & bits_mask(w)), w);
}

/* Borrows of a - b - borrow-in = result; operands and result are zero-extended from w bits. */
static inline void flags_sub_borrow(struct cpu *cpu, uint64_t a, uint64_t b, uint64_t result, unsigned w)
{
    flags_carry_vector(cpu, result, (~a & b) | (~(a ^ b) & result), w);
}

/* Condition cc after left - right, without going through the flags. */
static inline bool flags_condition_plain(const struct cpu *cpu, unsigned cc)
{
    uint64_t a = cpu->flag_left, b = cpu->flag_right;
    bool v;
    switch (cc >> 1) {
    case 1:
        v = a < b;
        break;
    case 2:
        v = a == b;
        break;
    case 3:
        v = a <= b;
        break;
    case 4:
        v = (a - b) >> 63 != 0;
        break;
    case 6:
        v = (int64_t)a < (int64_t)b;
        break;
    default:
        v = (int64_t)a <= (int64_t)b;
        break;
    }
    return v != ((cc & 1) != 0);
}

/* The condition of Jcc, SETcc and CMOVcc by the low four bits of the opcode. */
static inline bool flags_condition(const struct cpu *cpu, unsigned cc)
{
    bool plain = (uint16_t)cpu->flag_fix == 0;
    if (cc >> 1 != 0 && cc >> 1 != 5 && __builtin_expect(plain, 1)) {
        return flags_condition_plain(cpu, cc);
    }
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
