/* Program start: the kernel leaves argc, argv, 0, envp, 0 at the stack pointer. */
    .text
    .globl _start
_start:
    xorl %ebp, %ebp
    movq (%rsp), %rdi
    leaq 8(%rsp), %rsi
    leaq 8(%rsi,%rdi,8), %rdx
    andq $-16, %rsp
    call main
    movl %eax, %edi
    xorl %eax, %eax             /* SYS_EXIT */
    syscall
    ud2
    .section .note.GNU-stack, "", @progbits
