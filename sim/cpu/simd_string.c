/*
 * SSE4.2 string comparison.
 *
 * Source: AMD64 Architecture Programmer's Manual volume 4, "PCMPESTRI", "PCMPESTRM", "PCMPISTRI", "PCMPISTRM"
 * and the section "String Compare Instructions" of chapter 1 (intermediate results IntRes1 and IntRes2).
 *
 * Deviations: none.
 *
 * The immediate:
 *
 *   | 6      | 5        | 4        | 3  2        | 1  0                              |
 *   | output | only     | negate   | aggregation | 0 u8, 1 u16, 2 s8, 3 s16 elements |
 *   |        | valid s  |          | see enum    |                                   |
 */
#include "cpu/simd_string.h"

#define IMM_WORDS        1u
#define IMM_SIGNED       2u
#define IMM_NEGATE       0x10u
#define IMM_NEGATE_VALID 0x20u
#define IMM_OUTPUT       0x40u

enum aggregation { EQUAL_ANY, RANGES, EQUAL_EACH, EQUAL_ORDERED };

/* One operand: its elements widened to a type in which the signed and unsigned order is right, and how many
 * count. */
struct string {
    int32_t element[16];
    unsigned length;
};

static unsigned elements(unsigned imm)
{
    return imm & IMM_WORDS ? 8 : 16;
}

static void widen(struct string *out, const union xmm *v, unsigned imm)
{
    for (unsigned i = 0; i < elements(imm); i++) {
        if (imm & IMM_WORDS) {
            out->element[i] = imm & IMM_SIGNED ? v->s16[i] : v->u16[i];
        } else {
            out->element[i] = imm & IMM_SIGNED ? v->s8[i] : v->u8[i];
        }
    }
}

static unsigned saturate(int64_t length, unsigned limit)
{
    uint64_t size = length < 0 ? 0 - (uint64_t)length : (uint64_t)length;
    return size < limit ? (unsigned)size : limit;
}

static unsigned up_to_zero(const struct string *v, unsigned limit)
{
    unsigned i = 0;
    while (i < limit && v->element[i] != 0) {
        i++;
    }
    return i;
}

/* Is c one of the characters of set? */
static bool equal_any(const struct string *set, int32_t c)
{
    bool found = false;
    for (unsigned i = 0; i < set->length; i++) {
        found |= set->element[i] == c;
    }
    return found;
}

/* Does c lie in one of the ranges whose bounds are the pairs of set? Half a pair is no range. */
static bool in_ranges(const struct string *set, int32_t c)
{
    bool found = false;
    for (unsigned i = 0; i + 1 < set->length; i += 2) {
        found |= c >= set->element[i] && c <= set->element[i + 1];
    }
    return found;
}

/* Elements at one position: equal, or both beyond their ends. */
static bool equal_at(const struct string *d, const struct string *s, unsigned i)
{
    bool d_valid = i < d->length, s_valid = i < s->length;
    return d_valid && s_valid ? d->element[i] == s->element[i] : d_valid == s_valid;
}

/* Does the needle start at position `at` of s? What sticks out of the register is taken as found. */
static bool starts_at(const struct string *needle, const struct string *s, unsigned at, unsigned limit)
{
    for (unsigned i = 0; i < needle->length && at + i < limit; i++) {
        if (at + i >= s->length || needle->element[i] != s->element[at + i]) {
            return false;
        }
    }
    return true;
}

static bool match(const struct string *d, const struct string *s, unsigned imm, unsigned i)
{
    switch ((imm >> 2) & 3) {
    case EQUAL_ANY:
        return i < s->length && equal_any(d, s->element[i]);
    case RANGES:
        return i < s->length && in_ranges(d, s->element[i]);
    case EQUAL_EACH:
        return equal_at(d, s, i);
    default: /* EQUAL_ORDERED */
        return starts_at(d, s, i, elements(imm));
    }
}

static struct simd_string compare(const struct string *d, const struct string *s, unsigned imm)
{
    unsigned count = elements(imm);
    uint32_t all = (1u << count) - 1, valid = (1u << s->length) - 1, found = 0;
    for (unsigned i = 0; i < count; i++) {
        found |= (uint32_t)match(d, s, imm, i) << i;
    }
    if (imm & IMM_NEGATE) {
        found ^= imm & IMM_NEGATE_VALID ? valid : all;
    }
    return (struct simd_string){.matches = found,
                                .cf = found != 0,
                                .zf = s->length < count,
                                .sf = d->length < count,
                                .of = found & 1};
}

struct simd_string simd_string_explicit(const union xmm *d, const union xmm *s, unsigned imm,
                                        int64_t d_length, int64_t s_length)
{
    struct string first, second;
    widen(&first, d, imm);
    widen(&second, s, imm);
    first.length = saturate(d_length, elements(imm));
    second.length = saturate(s_length, elements(imm));
    return compare(&first, &second, imm);
}

struct simd_string simd_string_implicit(const union xmm *d, const union xmm *s, unsigned imm)
{
    struct string first, second;
    widen(&first, d, imm);
    widen(&second, s, imm);
    first.length = up_to_zero(&first, elements(imm));
    second.length = up_to_zero(&second, elements(imm));
    return compare(&first, &second, imm);
}

uint32_t simd_string_index(const struct simd_string *result, unsigned imm)
{
    if (result->matches == 0) {
        return elements(imm);
    }
    return imm & IMM_OUTPUT ? 31 - (uint32_t)__builtin_clz(result->matches)
                            : (uint32_t)__builtin_ctz(result->matches);
}

union xmm simd_string_mask(const struct simd_string *result, unsigned imm)
{
    if (!(imm & IMM_OUTPUT)) {
        return xmm_make(0, result->matches);
    }
    union xmm mask = xmm_make(0, 0);
    for (unsigned i = 0; i < elements(imm); i++) {
        if (imm & IMM_WORDS) {
            mask.u16[i] = (result->matches >> i) & 1 ? 0xffff : 0;
        } else {
            mask.u8[i] = (result->matches >> i) & 1 ? 0xff : 0;
        }
    }
    return mask;
}
