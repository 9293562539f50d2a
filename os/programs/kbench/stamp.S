/*
 * int64_t stamped_message(uint64_t number, handle_t handle, uint64_t tag, struct stamped *out): a message call between two
 * readings of the time-stamp counter, which frame nothing but it. The first word sent is the first reading; what came back
 * in its place is out->word. stamped_nothing is the same without the call: what the readings themselves cost.
 */
    .text

.macro STAMPED name, instruction:vararg
    .globl \name
    .type \name, @function
\name:
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    pushq %rcx
    movq %rdi, %r11
    movq %rsi, %rdi
    movq %rdx, %rsi
    movq $-1, %rbx              /* patience without end */
    rdtsc
    shlq $32, %rdx
    orq %rax, %rdx
    movq %rdx, %rbp
    movq %r11, %rax
    \instruction
    movq %rax, %rbx
    movq %rdx, %rcx
    rdtsc
    shlq $32, %rdx
    orq %rax, %rdx
    popq %r11
    movq %rbp, 0(%r11)
    movq %rdx, 8(%r11)
    movq %rcx, 16(%r11)
    movq %rbx, %rax
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbp
    popq %rbx
    ret
    .size \name, . - \name
.endm

    STAMPED stamped_message, syscall
    STAMPED stamped_nothing

    .section .note.GNU-stack, "", @progbits
