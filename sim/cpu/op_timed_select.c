/* The choice of operations for the timing model (op_instance.h). */

#define OP_TIMED 1

#include "cpu/op_select.c"
