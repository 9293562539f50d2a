#ifndef ORRERY_CPU_SEM_H
#define ORRERY_CPU_SEM_H

/*
 * One body a meaning: integer operations on values, used by the execution functions (w known at run time) and
 * by the specialised handlers (w a constant). Operands are zero-extended from w bits (8, 16, 32, 64); so are
 * results. With `flags` false the status flags are left alone: the caller knows that nobody reads them.
 *
 * Source: APM vol. 3, the pages of the instructions. Flags that the manual leaves undefined follow the
 * hardware where it is deterministic (tests compare with the host); the rows of insn_int.def list them.
 */

#include "base/u128.h"
#include "cpu/flags.h"

static inline uint64_t sem_mask(uint64_t v, unsigned w)
{
    return v & bits_mask(w);
}

static inline uint64_t sem_add(struct cpu *cpu, uint64_t a, uint64_t b, unsigned w, bool flags)
{
    uint64_t r = sem_mask(a + b, w);
    if (flags) {
        flags_add(cpu, r, b, w);
    }
    return r;
}

static inline uint64_t sem_sub(struct cpu *cpu, uint64_t a, uint64_t b, unsigned w, bool flags)
{
    uint64_t r = sem_mask(a - b, w);
    if (flags) {
        flags_sub(cpu, a, b, w);
    }
    return r;
}

static inline uint64_t sem_adc(struct cpu *cpu, uint64_t a, uint64_t b, unsigned w, bool flags)
{
    uint64_t r = sem_mask(a + b + flags_cf(cpu), w);
    if (flags) {
        flags_add_carry(cpu, a, b, r, w);
    }
    return r;
}

static inline uint64_t sem_sbb(struct cpu *cpu, uint64_t a, uint64_t b, unsigned w, bool flags)
{
    uint64_t r = sem_mask(a - b - flags_cf(cpu), w);
    if (flags) {
        flags_sub_borrow(cpu, a, b, r, w);
    }
    return r;
}

static inline uint64_t sem_and(struct cpu *cpu, uint64_t a, uint64_t b, unsigned w, bool flags)
{
    if (flags) {
        flags_logic(cpu, a & b, w);
    }
    return a & b;
}

static inline uint64_t sem_or(struct cpu *cpu, uint64_t a, uint64_t b, unsigned w, bool flags)
{
    if (flags) {
        flags_logic(cpu, a | b, w);
    }
    return a | b;
}

static inline uint64_t sem_xor(struct cpu *cpu, uint64_t a, uint64_t b, unsigned w, bool flags)
{
    if (flags) {
        flags_logic(cpu, a ^ b, w);
    }
    return a ^ b;
}

static inline uint64_t sem_inc(struct cpu *cpu, uint64_t a, unsigned w, bool flags)
{
    uint64_t r = sem_mask(a + 1, w);
    if (flags) {
        flags_inc(cpu, r, w);
    }
    return r;
}

static inline uint64_t sem_dec(struct cpu *cpu, uint64_t a, unsigned w, bool flags)
{
    uint64_t r = sem_mask(a - 1, w);
    if (flags) {
        flags_dec(cpu, a, w);
    }
    return r;
}

static inline uint64_t sem_neg(struct cpu *cpu, uint64_t a, unsigned w, bool flags)
{
    return sem_sub(cpu, 0, a, w, flags);
}

static inline uint64_t sem_not(struct cpu *cpu, uint64_t a, unsigned w, bool flags)
{
    (void)cpu;
    (void)flags;
    return sem_mask(~a, w);
}

/* Shift counts are taken modulo 32, or 64 for 64-bit operands. */
static inline unsigned sem_count(uint64_t count, unsigned w)
{
    return (unsigned)count & (w == 64 ? 63u : 31u);
}

/* AF is undefined after a shift; the hardware sets it. */
static inline uint64_t sem_shl(struct cpu *cpu, uint64_t a, uint64_t count, unsigned w, bool flags)
{
    unsigned n = sem_count(count, w);
    uint64_t r = sem_mask(a << n, w);
    if (flags && n != 0) {
        bool cf = n <= w && (a >> (w - n) & 1) != 0;
        flags_shift(cpu, r, w, cf, cf != ((r >> (w - 1)) & 1));
    }
    return r;
}

static inline uint64_t sem_shr(struct cpu *cpu, uint64_t a, uint64_t count, unsigned w, bool flags)
{
    unsigned n = sem_count(count, w);
    uint64_t r = a >> n;
    if (flags && n != 0) {
        bool of = ((r << 1 ^ r) >> (w - 1) & 1) != 0;
        flags_shift(cpu, r, w, (a >> (n - 1) & 1) != 0, of);
    }
    return r;
}

static inline uint64_t sem_sar(struct cpu *cpu, uint64_t a, uint64_t count, unsigned w, bool flags)
{
    unsigned n = sem_count(count, w);
    int64_t s = (int64_t)bits_sext(a, w);
    uint64_t r = sem_mask((uint64_t)(s >> n), w);
    if (flags && n != 0) {
        flags_shift(cpu, r, w, (s >> (n - 1) & 1) != 0, false);
    }
    return r;
}

/* Rotates change CF and OF only. */
static inline uint64_t sem_rol(struct cpu *cpu, uint64_t a, uint64_t count, unsigned w, bool flags)
{
    unsigned n = sem_count(count, w), k = n & (w - 1);
    uint64_t r = k != 0 ? sem_mask(a << k | a >> (w - k), w) : a;
    if (flags && n != 0) {
        bool cf = (r & 1) != 0;
        flags_set_cf_of(cpu, cf, cf != (r >> (w - 1) & 1));
    }
    return r;
}

static inline uint64_t sem_ror(struct cpu *cpu, uint64_t a, uint64_t count, unsigned w, bool flags)
{
    unsigned n = sem_count(count, w), k = n & (w - 1);
    uint64_t r = k != 0 ? sem_mask(a >> k | a << (w - k), w) : a;
    if (flags && n != 0) {
        flags_set_cf_of(cpu, (r >> (w - 1) & 1) != 0, ((r ^ r << 1) >> (w - 1) & 1) != 0);
    }
    return r;
}

/* Rotates through CF: w + 1 bits, so 8- and 16-bit counts are taken modulo 9 and 17. */
static inline uint64_t sem_rcl(struct cpu *cpu, uint64_t a, uint64_t count, unsigned w, bool flags)
{
    unsigned n = sem_count(count, w) % (w + 1);
    uint64_t c = flags_cf(cpu), r = a;
    if (sem_count(count, w) == 0) {
        return a;
    }
    if (n != 0) {
        r = sem_mask((n < 64 ? a << n : 0) | c << (n - 1) | (n > 1 ? a >> (w + 1 - n) : 0), w);
    }
    if (flags) {
        bool cf = n != 0 ? (a >> (w - n) & 1) != 0 : c != 0;
        flags_set_cf_of(cpu, cf, cf != (r >> (w - 1) & 1));
    }
    return r;
}

static inline uint64_t sem_rcr(struct cpu *cpu, uint64_t a, uint64_t count, unsigned w, bool flags)
{
    unsigned n = sem_count(count, w) % (w + 1);
    uint64_t c = flags_cf(cpu), r = a;
    if (sem_count(count, w) == 0) {
        return a;
    }
    if (n != 0) {
        r = sem_mask((n < 64 ? a >> n : 0) | c << (w - n) | (n > 1 ? a << (w + 1 - n) : 0), w);
    }
    if (flags) {
        bool of = ((r ^ r << 1) >> (w - 1) & 1) != 0;
        flags_set_cf_of(cpu, n != 0 ? (a >> (n - 1) & 1) != 0 : c != 0, of);
    }
    return r;
}

/* Signed product of two operands, truncated; CF = OF = the truncation lost something. */
static inline uint64_t sem_imul(struct cpu *cpu, uint64_t a, uint64_t b, unsigned w, bool flags)
{
    uint64_t r = sem_mask(a * b, w);
    if (flags) {
        s128_t p = s128_mul64((int64_t)bits_sext(a, w), (int64_t)bits_sext(b, w));
        bool lost = p != (int64_t)bits_sext(r, w);
        flags_set_cf_of(cpu, lost, lost);
    }
    return r;
}

static inline uint64_t sem_bswap(uint64_t v, unsigned w)
{
    return w == 64   ? __builtin_bswap64(v)
           : w == 32 ? __builtin_bswap32((uint32_t)v)
                     : __builtin_bswap16((uint16_t)v);
}

#endif
