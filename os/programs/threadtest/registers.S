/* What C cannot say about registers: how a thread starts, and that nothing changes while others run. */
    .text

/* Entry of a thread: stores every register in thread_seen, ends with 0x5eed. */
    .globl thread_entry_probe
thread_entry_probe:
    movq %rdi, thread_seen+0
    movq %rsi, thread_seen+8
    movq %rdx, thread_seen+16
    movq %rcx, thread_seen+24
    movq %r8, thread_seen+32
    movq %r9, thread_seen+40
    movq %rax, thread_seen+48
    movq %rbx, thread_seen+56
    movq %rbp, thread_seen+64
    movq %r10, thread_seen+72
    movq %r11, thread_seen+80
    movq %r12, thread_seen+88
    movq %r13, thread_seen+96
    movq %r14, thread_seen+104
    movq %r15, thread_seen+112
    movq %rsp, thread_seen+120
    pushfq
    popq thread_seen+128
    stmxcsr thread_seen+136
    fnstcw thread_seen+140
    movups %xmm15, thread_seen+144
    movl $63, %eax              /* SYS_THREAD_EXIT */
    movl $0x5eed, %edi
    syscall
    ud2

/*
 * uint64_t thread_keep_registers(uint64_t seed, uint64_t rounds): fills all general registers, the x87 stack, XMM0..15, both
 * control words with patterns of the seed, counts down, and returns how many of them have changed.
 */
    .macro pattern number, register
    movq %rax, \register
    addq $\number, \register
    .endm
    .macro check number, register
    subq $\number, \register
    cmpq \register, (%rsp)
    setne %al
    movzbl %al, %eax
    addq %rax, 8(%rsp)
    .endm

    .globl thread_keep_registers
thread_keep_registers:
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    subq $56, %rsp
    movq %rdi, (%rsp)           /* seed */
    movq $0, 8(%rsp)            /* changes */
    movq %rsi, 16(%rsp)         /* rounds */
    stmxcsr 24(%rsp)
    fnstcw 28(%rsp)
    movl %edi, %eax             /* rounding: x87 bits 10..11, SSE bits 13..14 */
    andl $3, %eax
    movl %eax, %ecx
    shll $10, %eax
    orl $0x037f, %eax
    movw %ax, 32(%rsp)
    fldcw 32(%rsp)
    shll $13, %ecx
    orl $0x1f80, %ecx
    movl %ecx, 36(%rsp)
    ldmxcsr 36(%rsp)
    .irp n, 0,1,2,3,4,5,6,7
    leaq \n(%rdi), %rax
    shrq $2, %rax
    movq %rax, 40(%rsp)
    fildll 40(%rsp)
    .endr
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
    leaq \n(%rdi), %rax
    movq %rax, %xmm\n
    notq %rax
    movq %rax, 40(%rsp)
    movhps 40(%rsp), %xmm\n
    .endr
    movq %rdi, %rax
    pattern 1, %rbx
    pattern 2, %rcx
    pattern 3, %rdx
    pattern 4, %rsi
    pattern 5, %rdi
    pattern 6, %rbp
    pattern 7, %r8
    pattern 8, %r9
    pattern 9, %r10
    pattern 10, %r11
    pattern 11, %r12
    pattern 12, %r13
    pattern 13, %r14
    pattern 14, %r15
1:  subq $1, 16(%rsp)
    jnz 1b
    cmpq %rax, (%rsp)
    setne %al
    movzbl %al, %eax
    addq %rax, 8(%rsp)
    check 1, %rbx
    check 2, %rcx
    check 3, %rdx
    check 4, %rsi
    check 5, %rdi
    check 6, %rbp
    check 7, %r8
    check 8, %r9
    check 9, %r10
    check 10, %r11
    check 11, %r12
    check 12, %r13
    check 13, %r14
    check 14, %r15
    movq (%rsp), %rdi
    xorl %esi, %esi
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
    leaq \n(%rdi), %rax
    movq %xmm\n, %rcx
    cmpq %rax, %rcx
    setne %sil
    addq %rsi, 8(%rsp)
    movhps %xmm\n, 40(%rsp)
    notq %rax
    cmpq %rax, 40(%rsp)
    setne %sil
    addq %rsi, 8(%rsp)
    .endr
    .irp n, 7,6,5,4,3,2,1,0
    leaq \n(%rdi), %rax
    shrq $2, %rax
    fistpll 40(%rsp)
    cmpq %rax, 40(%rsp)
    setne %sil
    addq %rsi, 8(%rsp)
    .endr
    stmxcsr 40(%rsp)
    movl 40(%rsp), %eax
    andl $0xffc0, %eax          /* flags are the operations' */
    cmpl %eax, 36(%rsp)
    setne %sil
    addq %rsi, 8(%rsp)
    fnstcw 40(%rsp)
    movw 40(%rsp), %ax
    cmpw %ax, 32(%rsp)
    setne %sil
    addq %rsi, 8(%rsp)
    ldmxcsr 24(%rsp)
    fldcw 28(%rsp)
    movq 8(%rsp), %rax
    addq $56, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbp
    popq %rbx
    ret

    .bss
    .balign 16
    .globl thread_seen
thread_seen:
    .skip 160

    .section .note.GNU-stack, "", @progbits
