/* The handlers of op_mov.c for the timing model (op_instance.h). */

#define OP_TIMED 1

#include "cpu/op_mov.c"
