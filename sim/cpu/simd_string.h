#ifndef ORRERY_CPU_SIMD_STRING_H
#define ORRERY_CPU_SIMD_STRING_H

/* The string comparisons of SSE4.2: PCMPESTRI, PCMPESTRM, PCMPISTRI, PCMPISTRM. Pure functions. */

#include "cpu/xmm.h"
#include <stdbool.h>

/* What a comparison finds. Of the flags AF and PF are always cleared. */
struct simd_string {
    uint32_t matches; /* IntRes2: one bit an element, 8 or 16 bits */
    bool cf, zf, sf, of;
};

/*
 * Compares d (first operand) with s (second) as the immediate asks. The explicit form takes the lengths in
 * elements, signed, from RAX and RDX (already sign-extended from 32 bits without REX.W): the absolute value
 * counts, at most 8 words or 16 bytes. The implicit form ends each string before its first zero element.
 */
struct simd_string simd_string_explicit(const union xmm *d, const union xmm *s, unsigned imm,
                                        int64_t d_length, int64_t s_length);
struct simd_string simd_string_implicit(const union xmm *d, const union xmm *s, unsigned imm);

/* ECX of the index forms: the lowest match, or with imm[6] the highest; the number of elements if there is
 * none. */
uint32_t simd_string_index(const struct simd_string *result, unsigned imm);

/* XMM0 of the mask forms: the bits zero-extended, or with imm[6] a byte or word of ones for each. */
union xmm simd_string_mask(const struct simd_string *result, unsigned imm);

#endif
