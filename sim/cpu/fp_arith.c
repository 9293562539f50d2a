/*
 * SSE arithmetic: add, subtract, multiply, divide, square root, dot products, and the end of an instruction.
 *
 * Source: AMD64 APM volume 1, "SSE Floating-Point Exceptions" (causes, priorities, masked responses); Intel
 * SDM volume 1, "SSE and SSE2 SIMD Floating-Point Exceptions", "Operating on SNaNs and QNaNs". Deviations:
 * none known. Clever part: where PE is masked and already set, operands are normal and rounding is to
 * nearest, the host's own operation gives the result; when that is a normal number above the smallest one, no
 * flag can change.
 */

#include "cpu/fp_sse.h"

#include "base/bits.h"
#include "cpu/fp_host.h"

#define QUIET_BIT BIT(62)

enum binary_op { OP_ADD, OP_SUB, OP_MUL, OP_DIV };

bool fp_env_finish(const struct fp_env *e, uint32_t *mxcsr)
{
    unsigned unmasked = e->raised & ~(unsigned)e->masks;
    unsigned report = e->raised;
    if (unmasked & (FP_IE | FP_DE | FP_ZE)) {
        report &= FP_IE | FP_DE | FP_ZE;
    }
    *mxcsr |= e->sticky | report;
    return unmasked != 0;
}

struct fp_num fp_sse_operand(const struct fp_env *e, struct fp_num a)
{
    if (a.denormal && e->daz) {
        return (struct fp_num){.class_of = FP_ZERO, .sign = a.sign};
    }
    return a;
}

struct fp_rounded fp_sse_nan(struct fp_env *e, const struct fp_num *a, const struct fp_num *b)
{
    const struct fp_num *chosen = fp_is_nan(a) ? a : b;
    if (a->class_of == FP_SNAN || b->class_of == FP_SNAN) {
        e->raised |= FP_IE;
    }
    return (struct fp_rounded){
        .class_of = FP_QNAN, .sign = chosen->sign, .significand = chosen->significand | QUIET_BIT};
}

struct fp_rounded fp_sse_invalid(struct fp_env *e)
{
    e->raised |= FP_IE;
    return (struct fp_rounded){.class_of = FP_QNAN, .sign = true, .significand = BIT(63) | QUIET_BIT};
}

/* When underflow or overflow is not masked, PE tells of the rounding that the exponent's range did not
 * disturb. */
struct fp_rounded fp_sse_deliver(struct fp_env *e, const struct fp_wide *w, const struct fp_format *format)
{
    struct fp_rounded r = fp_round(w, format, e->rounding);
    bool underflow_masked = (e->masks & FP_UE) != 0;
    if (r.tiny && underflow_masked && e->ftz) {
        e->raised |= FP_UE | FP_PE;
        return (struct fp_rounded){.class_of = FP_ZERO, .sign = r.sign};
    }
    if (r.tiny && (r.inexact || !underflow_masked)) {
        e->raised |= FP_UE;
    }
    if (r.overflow) {
        e->raised |= FP_OE;
    }
    bool trapped = (r.tiny && !underflow_masked) || (r.overflow && !(e->masks & FP_OE));
    bool inexact = trapped ? fp_round_unbounded(w, format->precision, e->rounding).inexact : r.inexact;
    if (inexact) {
        e->raised |= FP_PE;
    }
    return r;
}

static struct fp_rounded infinity(bool sign)
{
    return (struct fp_rounded){.class_of = FP_INF, .sign = sign};
}

static struct fp_rounded zero(bool sign)
{
    return (struct fp_rounded){.class_of = FP_ZERO, .sign = sign};
}

static void note_denormals(struct fp_env *e, const struct fp_num *a, const struct fp_num *b)
{
    if (a->denormal || b->denormal) {
        e->raised |= FP_DE;
    }
}

static struct fp_rounded sum(struct fp_env *e, const struct fp_num *a, const struct fp_num *b,
                             const struct fp_format *format)
{
    if (a->class_of == FP_INF && b->class_of == FP_INF && a->sign != b->sign) {
        return fp_sse_invalid(e);
    }
    note_denormals(e, a, b);
    if (a->class_of == FP_INF || b->class_of == FP_INF) {
        return infinity(a->class_of == FP_INF ? a->sign : b->sign);
    }
    struct fp_wide w = fp_core_add(a, b, e->rounding);
    return fp_sse_deliver(e, &w, format);
}

static struct fp_rounded product(struct fp_env *e, const struct fp_num *a, const struct fp_num *b,
                                 const struct fp_format *format)
{
    bool sign = a->sign != b->sign;
    bool any_infinity = a->class_of == FP_INF || b->class_of == FP_INF;
    bool any_zero = a->class_of == FP_ZERO || b->class_of == FP_ZERO;
    if (any_infinity && any_zero) {
        return fp_sse_invalid(e);
    }
    note_denormals(e, a, b);
    if (any_infinity || any_zero) {
        return any_infinity ? infinity(sign) : zero(sign);
    }
    struct fp_wide w = fp_core_mul(a, b);
    return fp_sse_deliver(e, &w, format);
}

static struct fp_rounded quotient(struct fp_env *e, const struct fp_num *a, const struct fp_num *b,
                                  const struct fp_format *format)
{
    bool sign = a->sign != b->sign;
    if (a->class_of == b->class_of && a->class_of != FP_FINITE) {
        return fp_sse_invalid(e);
    }
    if (b->class_of == FP_ZERO && a->class_of == FP_FINITE) {
        e->raised |= FP_ZE;
        return infinity(sign);
    }
    note_denormals(e, a, b);
    if (a->class_of == FP_INF || b->class_of == FP_ZERO) {
        return infinity(sign);
    }
    if (a->class_of == FP_ZERO || b->class_of == FP_INF) {
        return zero(sign);
    }
    struct fp_wide w = fp_core_div(a, b);
    return fp_sse_deliver(e, &w, format);
}

static struct fp_rounded binary(struct fp_env *e, enum binary_op op, struct fp_num a, struct fp_num b,
                                const struct fp_format *format)
{
    a = fp_sse_operand(e, a);
    b = fp_sse_operand(e, b);
    if (fp_is_nan(&a) || fp_is_nan(&b)) {
        return fp_sse_nan(e, &a, &b);
    }
    switch (op) {
    case OP_SUB:
        b.sign = !b.sign;
        return sum(e, &a, &b, format);
    case OP_MUL:
        return product(e, &a, &b, format);
    case OP_DIV:
        return quotient(e, &a, &b, format);
    case OP_ADD:
    default:
        return sum(e, &a, &b, format);
    }
}

static uint32_t binary_f32(struct fp_env *e, enum binary_op op, uint32_t a, uint32_t b)
{
    struct fp_rounded r = binary(e, op, fp_unpack_f32(a), fp_unpack_f32(b), &fp_format_f32);
    return fp_pack_f32(&r);
}

static uint64_t binary_f64(struct fp_env *e, enum binary_op op, uint64_t a, uint64_t b)
{
    struct fp_rounded r = binary(e, op, fp_unpack_f64(a), fp_unpack_f64(b), &fp_format_f64);
    return fp_pack_f64(&r);
}

/* Inexactness would change nothing and the host rounds the same way. */
static bool host_may_compute(const struct fp_env *e)
{
    return e->rounding == FP_RNE && (e->sticky & e->masks & FP_PE);
}

/* Normal operand: 1 <= exponent field <= 254 (2046). */
static bool normal_f32(uint32_t v)
{
    return (v >> 23 & 0xff) - 1 < 0xfe;
}

static bool normal_f64(uint64_t v)
{
    return (v >> 52 & 0x7ff) - 1 < 0x7fe;
}

/* A result that was certainly neither tiny nor too large before or after rounding. */
static bool safe_f32(uint32_t v)
{
    return (v >> 23 & 0xff) - 2 < 0xfd;
}

static bool safe_f64(uint64_t v)
{
    return (v >> 52 & 0x7ff) - 2 < 0x7fd;
}

#define BINARY(name, op)                                             \
    uint32_t fp_f32_##name(struct fp_env *e, uint32_t a, uint32_t b) \
    {                                                                \
        if (host_may_compute(e) && normal_f32(a) && normal_f32(b)) { \
            uint32_t r = fp_host_f32_##name(a, b);                   \
            if (safe_f32(r)) {                                       \
                return r;                                            \
            }                                                        \
        }                                                            \
        return binary_f32(e, op, a, b);                              \
    }                                                                \
    uint64_t fp_f64_##name(struct fp_env *e, uint64_t a, uint64_t b) \
    {                                                                \
        if (host_may_compute(e) && normal_f64(a) && normal_f64(b)) { \
            uint64_t r = fp_host_f64_##name(a, b);                   \
            if (safe_f64(r)) {                                       \
                return r;                                            \
            }                                                        \
        }                                                            \
        return binary_f64(e, op, a, b);                              \
    }

BINARY(add, OP_ADD)
BINARY(sub, OP_SUB)
BINARY(mul, OP_MUL)
BINARY(div, OP_DIV)

static struct fp_rounded root(struct fp_env *e, struct fp_num a, const struct fp_format *format)
{
    a = fp_sse_operand(e, a);
    if (fp_is_nan(&a)) {
        return fp_sse_nan(e, &a, &a);
    }
    if (a.class_of == FP_ZERO) {
        return zero(a.sign);
    }
    if (a.sign) {
        return fp_sse_invalid(e);
    }
    note_denormals(e, &a, &a);
    if (a.class_of == FP_INF) {
        return infinity(false);
    }
    struct fp_wide w = fp_core_sqrt(&a);
    return fp_sse_deliver(e, &w, format);
}

uint32_t fp_f32_sqrt(struct fp_env *e, uint32_t a)
{
    struct fp_rounded r = root(e, fp_unpack_f32(a), &fp_format_f32);
    return fp_pack_f32(&r);
}

uint64_t fp_f64_sqrt(struct fp_env *e, uint64_t a)
{
    struct fp_rounded r = root(e, fp_unpack_f64(a), &fp_format_f64);
    return fp_pack_f64(&r);
}

/* Ends a stage of a dot product: true when an unmasked exception stops the rest. */
static bool stage_stops(struct fp_env *e)
{
    if (e->raised & ~(unsigned)e->masks) {
        return true;
    }
    e->sticky |= e->raised;
    e->raised = 0;
    return false;
}

uint32_t fp_f32_dot4(struct fp_env *e, const uint32_t a[4], const uint32_t b[4], unsigned select)
{
    uint32_t p[4];
    for (unsigned i = 0; i < 4; i++) {
        p[i] = select >> i & 1 ? fp_f32_mul(e, a[i], b[i]) : 0;
    }
    if (stage_stops(e)) {
        return 0;
    }
    uint32_t low = fp_f32_add(e, p[0], p[1]);
    uint32_t high = fp_f32_add(e, p[2], p[3]);
    return stage_stops(e) ? 0 : fp_f32_add(e, low, high);
}

uint64_t fp_f64_dot2(struct fp_env *e, const uint64_t a[2], const uint64_t b[2], unsigned select)
{
    uint64_t p[2];
    for (unsigned i = 0; i < 2; i++) {
        p[i] = select >> i & 1 ? fp_f64_mul(e, a[i], b[i]) : 0;
    }
    return stage_stops(e) ? 0 : fp_f64_add(e, p[0], p[1]);
}
