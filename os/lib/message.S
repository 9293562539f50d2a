/*
 * int64_t syscall_message(uint64_t number, handle_t handle, struct ipc_registers *registers): loads the registers of a
 * message, calls, stores what came back.
 */
    .text
    .globl syscall_message
    .type syscall_message, @function
syscall_message:
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    pushq %rdx
    movq %rdi, %rax
    movq %rsi, %rdi
    movq %rdx, %r11
    movq 0(%r11), %rdx
    movq 8(%r11), %r10
    movq 16(%r11), %r8
    movq 24(%r11), %r9
    movq 32(%r11), %r12
    movq 40(%r11), %r13
    movq 48(%r11), %r14
    movq 56(%r11), %r15
    movq 64(%r11), %rsi
    movq 72(%r11), %rbx
    syscall
    popq %r11
    movq %rdx, 0(%r11)
    movq %r10, 8(%r11)
    movq %r8, 16(%r11)
    movq %r9, 24(%r11)
    movq %r12, 32(%r11)
    movq %r13, 40(%r11)
    movq %r14, 48(%r11)
    movq %r15, 56(%r11)
    movq %rsi, 64(%r11)
    movq %rbx, 72(%r11)
    movq %rdi, 80(%r11)
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    ret
    .size syscall_message, . - syscall_message

    .section .note.GNU-stack, "", @progbits
