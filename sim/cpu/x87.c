/*
 * Initial values of the x87 unit, and the list of its state.
 *
 * Source: AMD64 APM volume 2, "Processor Initialization State"; volume 5, FINIT.
 * Deviations: none known.
 */

#include "cpu/x87.h"

#include <string.h>

#include "base/visit.h"

void x87_init(struct x87_state *x)
{
    x->fcw = FCW_INIT;
    x->fsw = 0;
    x->in_use = 0;
    x->fop = 0;
    x->fip = 0;
    x->fdp = 0;
    x->fcs = 0;
    x->fds = 0;
}

void x87_reset(struct x87_state *x)
{
    memset(x, 0, sizeof *x);
    x->fcw = FCW_ONE;
    x->in_use = 0xff;
}

void x87_visit(struct x87_state *x, struct visitor *v)
{
    visit_array(v, "significand", x->significand, 8, 8);
    visit_array(v, "sign_exponent", x->sign_exponent, 2, 8);
    visit_u16(v, "fcw", &x->fcw);
    visit_u16(v, "fsw", &x->fsw);
    visit_u16(v, "fop", &x->fop);
    visit_u64(v, "fip", &x->fip);
    visit_u64(v, "fdp", &x->fdp);
    visit_u16(v, "fcs", &x->fcs);
    visit_u16(v, "fds", &x->fds);
    visit_u8(v, "in_use", &x->in_use);
}
