/*
 * SSE minimum, maximum and comparison.
 *
 * Source: AMD64 APM volume 4, MINSS, MAXSS, CMPSS, COMISS, UCOMISS; the table "Immediate Operand Values for
 * Compare Operations" of CMPPS. Deviations: none known.
 */

#include "cpu/fp_sse.h"

/* Orders a and b after DAZ; quiet NaNs raise IE only when signalling. */
static enum fp_order compare(struct fp_env *e, struct fp_num a, struct fp_num b, bool signalling)
{
    a = fp_sse_operand(e, a);
    b = fp_sse_operand(e, b);
    if (fp_is_nan(&a) || fp_is_nan(&b)) {
        if (signalling || a.class_of == FP_SNAN || b.class_of == FP_SNAN) {
            e->raised |= FP_IE;
        }
        return FP_UNORDERED;
    }
    if (a.denormal || b.denormal) {
        e->raised |= FP_DE;
    }
    return fp_core_compare(&a, &b);
}

static bool holds(enum fp_order order, unsigned predicate)
{
    bool result = false;
    switch (predicate & 3) {
    case 0:
        result = order == FP_EQUAL;
        break;
    case 1:
        result = order == FP_LESS;
        break;
    case 2:
        result = order == FP_LESS || order == FP_EQUAL;
        break;
    default:
        result = order == FP_UNORDERED;
        break;
    }
    return result != ((predicate & 4) != 0);
}

/* LT, LE, NLT and NLE signal on quiet NaNs. */
static bool predicate_signals(unsigned predicate)
{
    return (predicate & 3) == 1 || (predicate & 3) == 2;
}

bool fp_f32_cmp(struct fp_env *e, uint32_t a, uint32_t b, unsigned predicate)
{
    return holds(fp_f32_compare(e, a, b, predicate_signals(predicate)), predicate);
}

bool fp_f64_cmp(struct fp_env *e, uint64_t a, uint64_t b, unsigned predicate)
{
    return holds(fp_f64_compare(e, a, b, predicate_signals(predicate)), predicate);
}

enum fp_order fp_f32_compare(struct fp_env *e, uint32_t a, uint32_t b, bool signalling)
{
    return compare(e, fp_unpack_f32(a), fp_unpack_f32(b), signalling);
}

enum fp_order fp_f64_compare(struct fp_env *e, uint64_t a, uint64_t b, bool signalling)
{
    return compare(e, fp_unpack_f64(a), fp_unpack_f64(b), signalling);
}

/* A denormal that DAZ makes a zero is delivered as that zero. */
static uint32_t delivered_f32(const struct fp_env *e, uint32_t v)
{
    return e->daz && (v & 0x7f800000) == 0 ? v & 0x80000000 : v;
}

static uint64_t delivered_f64(const struct fp_env *e, uint64_t v)
{
    return e->daz && (v & UINT64_C(0x7ff0000000000000)) == 0 ? v & UINT64_C(0x8000000000000000) : v;
}

uint32_t fp_f32_min(struct fp_env *e, uint32_t a, uint32_t b)
{
    return delivered_f32(e, fp_f32_compare(e, a, b, true) == FP_LESS ? a : b);
}

uint32_t fp_f32_max(struct fp_env *e, uint32_t a, uint32_t b)
{
    return delivered_f32(e, fp_f32_compare(e, a, b, true) == FP_GREATER ? a : b);
}

uint64_t fp_f64_min(struct fp_env *e, uint64_t a, uint64_t b)
{
    return delivered_f64(e, fp_f64_compare(e, a, b, true) == FP_LESS ? a : b);
}

uint64_t fp_f64_max(struct fp_env *e, uint64_t a, uint64_t b)
{
    return delivered_f64(e, fp_f64_compare(e, a, b, true) == FP_GREATER ? a : b);
}
