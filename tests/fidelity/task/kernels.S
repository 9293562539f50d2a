/*
 * Tier 1: what single instructions cost. _lat: each needs the result of the one before; _tp: none does. Figures are cycles
 * an operation, of the second half of twice as many repetitions, so that what surrounds the loop is not in them.
 */
#include "jobs.inc"

    .macro ONES from, to        /* doubles that are not round */
    mov $0x3ff8000000000001, %rax
    movq %rax, %xmm\from
    movq %rax, %xmm\to
    .endm

/* Integers */
    KERNEL add_lat, 1, 64, 160, "mov $3, %ebx", "add %rbx, %rax"
    KERNEL add_tp, 8, 16, 200, "", "add %rsi, %rax; add %rsi, %rbx; add %rsi, %rcx; add %rsi, %rdx; add %rsi, %r8; \
        add %rsi, %r9; add %rsi, %r10; add %rsi, %r11"
    KERNEL addimm_lat, 1, 64, 160, "", "add $1, %rax"
    KERNEL logic_tp, 6, 16, 240, "", "and %rsi, %rax; or %rsi, %rbx; xor %rsi, %rcx; and %rsi, %r8; or %rsi, %r9; \
        xor %rsi, %r10"
    KERNEL adc_lat, 1, 64, 160, "mov $3, %ebx", "adc %rbx, %rax"
    KERNEL neg_lat, 2, 32, 160, "", "neg %rax; not %rax"
    KERNEL shl_lat, 1, 64, 160, "", "shl $3, %rax"
    KERNEL shl_tp, 4, 32, 160, "", "shl $3, %rax; shl $5, %rbx; shl $3, %rcx; shl $5, %r8"
    KERNEL shlcl_lat, 1, 64, 120, "mov $5, %ecx", "shl %cl, %rax"
    KERNEL rol_lat, 1, 64, 160, "", "rol $7, %rax"
    KERNEL shld_lat, 1, 64, 60, "mov %rsi, %rbx", "shld $7, %rbx, %rax"
    KERNEL imul_lat, 1, 64, 60, "mov $5, %ebx", "imul %rbx, %rax"
    KERNEL imul_tp, 6, 16, 120, "mov $5, %ebx", "imul %rbx, %rax; imul %rbx, %rcx; imul %rbx, %rdx; imul %rbx, %r8; \
        imul %rbx, %r9; imul %rbx, %r10"
    KERNEL mul64_lat, 1, 64, 60, "mov $5, %ebx", "mul %rbx"
    KERNEL div32_lat, 1, 16, 50, "mov $0x10001, %ecx; mov $0x50000000, %r8d", "xor %edx, %edx; div %ecx; add %r8d, %eax"
    KERNEL div64_lat, 1, 16, 50, "mov $0x10001, %ecx; mov $0x5000000000000000, %r8", "xor %edx, %edx; div %rcx; \
        add %r8, %rax"
    KERNEL idiv64_lat, 1, 16, 50, "mov $0x10001, %ecx; mov $0x5000000000000000, %r8", "cqo; idiv %rcx; add %r8, %rax"
    KERNEL div32_tp, 1, 16, 60, "mov $0x10001, %ecx", "mov $0x50000000, %eax; xor %edx, %edx; div %ecx"
    KERNEL lea_lat, 1, 64, 160, "mov $3, %ebx", "lea (%rax,%rbx), %rax"
    KERNEL lea3_lat, 1, 64, 120, "mov $3, %ebx", "lea 9(%rax,%rbx,4), %rax"
    KERNEL lea_tp, 4, 32, 160, "", "lea 8(%rsi), %rax; lea 16(%rsi), %rbx; lea 24(%rsi), %rcx; lea 32(%rsi), %rdx"
    KERNEL popcnt_lat, 1, 64, 80, "", "popcnt %rax, %rax"
    KERNEL popcnt_tp, 4, 32, 100, "", "popcnt %rsi, %rax; popcnt %rsi, %rbx; popcnt %rsi, %rcx; popcnt %rsi, %rdx"
    KERNEL bsf_lat, 1, 64, 80, "mov $1, %eax; mov $1, %ebx", "bsf %rax, %rax; or %rbx, %rax"
    KERNEL lzcnt_lat, 1, 64, 80, "", "lzcnt %rax, %rax"
    KERNEL tzcnt_tp, 4, 32, 100, "", "tzcnt %rsi, %rax; tzcnt %rsi, %rbx; tzcnt %rsi, %rcx; tzcnt %rsi, %rdx"
    KERNEL bt_setc_lat, 1, 64, 80, "xor %eax, %eax", "bt $3, %eax; setc %al"
    KERNEL cmov_lat, 1, 64, 120, "mov %rsi, %rbx; test %rsi, %rsi", "cmovnz %rbx, %rax; cmovz %rax, %rbx"
    KERNEL setcc_tp, 4, 32, 100, "test %rsi, %rsi", "setnz %al; setz %bl; setnz %cl; setz %dl"
    KERNEL bswap_lat, 1, 64, 120, "", "bswap %rax"
    KERNEL xchg_lat, 1, 64, 80, "", "xchg %rax, %rbx; xchg %rbx, %rcx"

/* Moves, and what a renamer does away with */
    KERNEL mov_lat, 2, 32, 160, "", "mov %rax, %rbx; mov %rbx, %rax"
    KERNEL mov_tp, 4, 32, 160, "", "mov %rsi, %rax; mov %rsi, %rbx; mov %rsi, %rcx; mov %rsi, %rdx"
    KERNEL movzx_lat, 2, 32, 160, "", "movzbl %al, %ebx; movzbl %bl, %eax"
    KERNEL movsxd_lat, 1, 64, 160, "", "movslq %eax, %rax"
    KERNEL zero_tp, 4, 32, 160, "", "xor %eax, %eax; xor %ebx, %ebx; xor %ecx, %ecx; xor %edx, %edx"
    KERNEL sub_zero_tp, 4, 32, 160, "", "sub %eax, %eax; sub %ebx, %ebx; sub %ecx, %ecx; sub %edx, %edx"
    KERNEL movimm_tp, 4, 32, 160, "", "mov $1, %eax; mov $2, %ebx; mov $3, %ecx; mov $4, %edx"
    KERNEL nop_tp, 1, 64, 240, "", "nop"

/* Memory in the first cache */
    KERNEL load_lat, 1, 64, 60, "mov %rsi, (%rsi); mfence; mov %rsi, %rax", "mov (%rax), %rax"
    KERNEL load_index_lat, 1, 64, 60, "movq $0, (%rsi); mfence; xor %eax, %eax", "mov (%rsi,%rax,8), %rax"
    KERNEL load_byte_lat, 1, 64, 60, "movq $0, (%rsi); mfence; xor %eax, %eax", "movzbl (%rsi,%rax), %eax"
    KERNEL load_tp, 1, 64, 200, "", "mov offset(%rsi), %rax; .set offset, (offset + 72) & 2047"
    KERNEL add_load_tp, 1, 64, 160, "", "add offset(%rsi), %rax; .set offset, (offset + 72) & 2047"
    KERNEL store_tp, 1, 64, 160, "", "mov %rax, offset(%rsi); .set offset, (offset + 8) & 2047"
    KERNEL store_byte_tp, 1, 64, 160, "", "mov %al, offset(%rsi); .set offset, (offset + 1) & 2047"
    KERNEL load_store_tp, 2, 32, 160, "", "mov offset(%rsi), %rax; mov %rbx, 2048 + offset(%rsi); \
        .set offset, (offset + 8) & 2047"
    KERNEL forward_lat, 1, 64, 30, "mov %rsi, (%rsi); mfence; mov %rsi, %rax", "mov %rax, (%rax); mov (%rax), %rax"
    KERNEL forward_same_lat, 1, 64, 40, "", "mov %rax, 64(%rsi); mov 64(%rsi), %rax"
    KERNEL rmw_lat, 1, 64, 40, "mov $3, %ebx", "add %rbx, 64(%rsi)"
    KERNEL rmw_tp, 4, 16, 100, "", "incl (%rsi); incl 64(%rsi); incl 128(%rsi); incl 192(%rsi)"
    KERNEL push_pop_lat, 1, 64, 60, "", "push %rax; pop %rax"
    KERNEL push_tp, 16, 8, 100, "", ".rept 16; push %rax; .endr; add $128, %rsp"

/* Control */
    KERNEL call_ret_tp, 1, 32, 60, "", "call 2f; jmp 3f; .balign 32; 2: ret; .balign 32; 3:"
    KERNEL jmp_tp, 1, 32, 160, "", "jmp 2f; .balign 32; 2:"
    KERNEL jcc_not_taken_tp, 2, 32, 160, "test %rsi, %rsi", "jz 2f; jz 2f; 2:"
    KERNEL cmp_jcc_tp, 1, 32, 200, "", "cmp %rsi, %rdi; je 2f; 2:"
    KERNEL jcc_taken_tp, 1, 32, 160, "test %rsi, %rsi", "jnz 2f; .balign 32; 2:"

/* Locked operations, fences, the clock */
    KERNEL lock_xadd_lat, 1, 32, 40, "mov $1, %eax", "lock xadd %rax, (%rsi)"
    KERNEL lock_add, 1, 32, 40, "mov $1, %eax", "lock add %rax, (%rsi)"
    KERNEL lock_cmpxchg, 1, 32, 40, "xor %eax, %eax; mov %rax, (%rsi)", "lock cmpxchg %rbx, (%rsi)"
    KERNEL xchg_mem, 1, 32, 40, "", "xchg %rax, (%rsi)"
    KERNEL mfence, 1, 16, 40, "", "mov %rax, (%rsi); mfence"
    KERNEL rdtsc, 1, 16, 40, "", "rdtsc"

/* Floating point and vectors */
    KERNEL addsd_lat, 1, 64, 60, "ONES 0, 1", "addsd %xmm1, %xmm0"
    KERNEL addsd_tp, 8, 16, 80, "ONES 0, 1", "addsd %xmm1, %xmm0; addsd %xmm1, %xmm2; addsd %xmm1, %xmm3; \
        addsd %xmm1, %xmm4; addsd %xmm1, %xmm5; addsd %xmm1, %xmm6; addsd %xmm1, %xmm7; addsd %xmm1, %xmm8"
    KERNEL mulsd_lat, 1, 64, 50, "ONES 0, 1; mov $0x3ff0000000000000, %rax; movq %rax, %xmm1", "mulsd %xmm1, %xmm0"
    KERNEL mulpd_tp, 8, 16, 80, "pxor %xmm0, %xmm0; pxor %xmm1, %xmm1", "mulpd %xmm1, %xmm0; mulpd %xmm1, %xmm2; \
        mulpd %xmm1, %xmm3; mulpd %xmm1, %xmm4; mulpd %xmm1, %xmm5; mulpd %xmm1, %xmm6; mulpd %xmm1, %xmm7; \
        mulpd %xmm1, %xmm8"
    KERNEL divsd_lat, 1, 16, 50, "ONES 0, 2; mov $0x3ff0000000000001, %rax; movq %rax, %xmm1", "divsd %xmm1, %xmm0"
    KERNEL divsd_tp, 4, 8, 50, "ONES 0, 1; movsd %xmm0, %xmm9; mov $0x3ff3333333333333, %rax; \
        movq %rax, %xmm1", "movaps %xmm9, %xmm0; divsd %xmm1, %xmm0; movaps %xmm9, %xmm2; divsd %xmm1, %xmm2; \
        movaps %xmm9, %xmm3; divsd %xmm1, %xmm3; movaps %xmm9, %xmm4; divsd %xmm1, %xmm4"
    KERNEL sqrt_mul_lat, 1, 16, 40, "ONES 0, 1", "sqrtsd %xmm0, %xmm0; mulsd %xmm1, %xmm0"
    KERNEL paddd_lat, 1, 64, 160, "", "paddd %xmm1, %xmm0"
    KERNEL pxor_tp, 4, 32, 120, "", "por %xmm9, %xmm0; por %xmm9, %xmm1; por %xmm9, %xmm2; por %xmm9, %xmm3"
    KERNEL pmuludq_lat, 1, 64, 40, "", "pmuludq %xmm1, %xmm0"
    KERNEL pshufd_lat, 1, 64, 120, "", "pshufd $0x1b, %xmm0, %xmm0"
    KERNEL pshufb_lat, 1, 64, 120, "", "pshufb %xmm1, %xmm0"
    KERNEL movaps_lat, 2, 32, 120, "", "movaps %xmm0, %xmm1; movaps %xmm1, %xmm0"
    KERNEL movq_round_lat, 1, 64, 40, "", "movq %rax, %xmm0; movq %xmm0, %rax"
    KERNEL cvt_round_lat, 1, 32, 40, "mov $7, %eax; pxor %xmm0, %xmm0", "cvtsi2sd %rax, %xmm0; cvttsd2si %xmm0, %rax"
    KERNEL cvtss2sd_lat, 1, 32, 40, "ONES 0, 1", "cvtsd2ss %xmm0, %xmm0; cvtss2sd %xmm0, %xmm0"
    KERNEL pmovmskb_lat, 1, 32, 60, "", "movd %eax, %xmm0; pcmpeqb %xmm1, %xmm0; pmovmskb %xmm0, %eax"
    KERNEL load_vector_lat, 1, 32, 40, "mov %rsi, (%rsi); mfence; mov %rsi, %rax", "movups (%rax), %xmm0; movq %xmm0, %rax"
    KERNEL load_vector_tp, 1, 64, 160, "", "movaps offset(%rsi), %xmm0; .set offset, (offset + 16) & 2047"
    KERNEL store_vector_tp, 1, 64, 160, "", "movaps %xmm0, offset(%rsi); .set offset, (offset + 16) & 2047"

/* String instructions: cycles of one of 64, 1024 and 2048 bytes */
    KERNEL rep_movsb_64, 1, 4, 40, "mov %rsi, %rbx; cld", "mov %rbx, %rsi; lea 2048(%rbx), %rdi; mov $64, %ecx; rep movsb"
    KERNEL rep_movsq_1024, 1, 4, 40, "mov %rsi, %rbx; cld", "mov %rbx, %rsi; lea 2048(%rbx), %rdi; mov $128, %ecx; rep movsq"
    KERNEL rep_stosb_64, 1, 4, 40, "mov %rsi, %rbx; cld", "mov %rbx, %rdi; mov $64, %ecx; rep stosb"
    KERNEL rep_stosq_2048, 1, 4, 40, "mov %rsi, %rbx; cld", "mov %rbx, %rdi; mov $256, %ecx; rep stosq"

/* Mixtures */
    KERNEL mix_integer, 8, 16, 100, "mov $5, %ebx", "add %rbx, %rax; imul %rbx, %rcx; shl $3, %r8; xor %rax, %r9; \
        lea 8(%r9,%rax), %r10; sub %r8, %r11; popcnt %r11, %r12; or %r12, %r13"
    KERNEL mix_memory, 7, 16, 80, "mov %rsi, %rbx", "mov (%rbx), %rax; add 64(%rbx), %rax; mov %rax, 128(%rbx); \
        mov 192(%rbx), %rcx; inc %rcx; mov %rcx, 256(%rbx); add %rax, %r8"
    KERNEL mix_branches, 7, 8, 160, "", "mov (%rsi), %rax; cmp %rax, %rdi; je 2f; add %rax, %rbx; 2: test %rsi, %rsi; \
        jz 3f; inc %rcx; 3:"
    KERNEL mix_double, 6, 16, 60, "ONES 0, 1; pxor %xmm2, %xmm2; pxor %xmm3, %xmm3; \
        pxor %xmm4, %xmm4", "movsd (%rsi), %xmm5; mulsd %xmm1, %xmm5; addsd %xmm5, %xmm2; movsd 8(%rsi), %xmm6; \
        mulsd %xmm1, %xmm6; addsd %xmm6, %xmm3"

    .section .note.GNU-stack, "", @progbits
