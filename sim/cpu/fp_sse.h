#ifndef ORRERY_CPU_FP_SSE_H
#define ORRERY_CPU_FP_SSE_H

/* What the files behind fp.h share: the SSE rules for operands, NaNs and exceptions on unpacked numbers. */

#include "cpu/fp_core.h"

/* Applies DAZ: a denormal becomes a zero of its sign. */
struct fp_num fp_sse_operand(const struct fp_env *e, struct fp_num a);

/* The result when a or b is a NaN: the first of them that is one, made quiet; IE when either is signalling.
 */
struct fp_rounded fp_sse_nan(struct fp_env *e, const struct fp_num *a, const struct fp_num *b);

/* Raises IE; the default NaN. */
struct fp_rounded fp_sse_invalid(struct fp_env *e);

/* Rounds an exact result to its destination, raising OE, UE and PE and applying FTZ. */
struct fp_rounded fp_sse_deliver(struct fp_env *e, const struct fp_wide *w, const struct fp_format *format);

#endif
