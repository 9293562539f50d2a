#ifndef ORRERY_CPU_X87_STACK_H
#define ORRERY_CPU_X87_STACK_H

/* The primitives of the register stack that the files behind x87_ops.h share. */

#include "cpu/x87_ops.h"

/* Writes ST(i) and marks it in use. */
void x87_set(struct x87_state *x, unsigned i, struct f80 v);
void x87_push(struct x87_state *x, struct f80 v); /* no checks */
void x87_pop(struct x87_state *x);
/* Sets exception flags (FP_xx, FSW_SF) and derives ES and B. */
void x87_raise(struct x87_state *x, unsigned flags);
void x87_move_top(struct x87_state *x, int by);
void x87_set_c1(struct x87_state *x, bool on);
/* Stack faults: flags and C1; true when the masked response goes on with the default NaN. */
bool x87_underflow(struct x87_state *x);
bool x87_overflow(struct x87_state *x);
bool x87_push_would_overflow(const struct x87_state *x);

#endif
