#ifndef ORRERY_CPU_OP_INSTANCE_H
#define ORRERY_CPU_OP_INSTANCE_H

/*
 * The specialised handlers exist twice, made from the same files: op_*.c as they are, and, included by op_timed_*.c with OP_TIMED
 * defined, for the timing model. There a handler notes its accesses, goes through the store queue, and takes its time (op_time)
 * before the next operation; none is fused, and all flags are live. What has a name for the linker has another one then.
 */

#ifdef OP_TIMED

#define op_build             op_build_timed
#define op_build_plain       op_timed_build_plain
#define op_find_last_pair    op_timed_find_last_pair
#define op_find_alu          op_timed_find_alu
#define op_find_alu_high     op_timed_find_alu_high
#define op_find_unary        op_timed_find_unary
#define op_find_unary_memory op_timed_find_unary_memory
#define op_find_shift        op_timed_find_shift
#define op_find_imul         op_timed_find_imul
#define op_find_mov          op_timed_find_mov
#define op_find_extend       op_timed_find_extend
#define op_find_zero_high    op_timed_find_zero_high
#define op_find_lea          op_timed_find_lea
#define op_find_setcc        op_timed_find_setcc
#define op_find_cmov         op_timed_find_cmov
#define op_find_jcc          op_timed_find_jcc
#define op_nop               op_timed_nop
#define op_cdqe              op_timed_cdqe
#define op_cdq               op_timed_cdq
#define op_cqo               op_timed_cqo
#define op_push_r            op_timed_push_r
#define op_push_i            op_timed_push_i
#define op_pop_r             op_timed_pop_r
#define op_leave_frame       op_timed_leave_frame
#define op_jmp               op_timed_jmp
#define op_call              op_timed_call
#define op_ret               op_timed_ret
#define op_jmp_r             op_timed_jmp_r
#define op_call_r            op_timed_call_r
#define op_jmp_m_b           op_timed_jmp_m_b
#define op_jmp_m_x           op_timed_jmp_m_x
#define op_call_m_b          op_timed_call_m_b
#define op_call_m_x          op_timed_call_m_x
#define op_generic           op_timed
#define op_generic_end       op_timed_end
#define OP_BLOCK_LEAVE       op_timed_exit
#define OP_BLOCK_EXIT        op_timed_exit
#define OP_ONE_BY_ONE        true

#else

/* How a block without a branch ends: in any mode, in 64-bit code; and is each instruction an operation of its own? */
#define OP_BLOCK_LEAVE op_leave
#define OP_BLOCK_EXIT  op_jmp
#define OP_ONE_BY_ONE  false

#endif

#endif
