/*
 * Instructions that a program may not execute, or not on such an address (rdi): whoever looks at a fault's record knows by the
 * label which one it was. violations.c says what each is to meet.
 */
    .text

    .macro violation name, instruction:vararg
    .globl violation_\name
violation_\name:
    \instruction
    ret
    .endm

    violation load, movq (%rdi), %rax
    violation store, movb $1, (%rdi)
    violation jump, jmp *%rdi
    violation add, lock addq $1, (%rdi)
    violation cli, cli
    violation hlt, hlt
    violation out, outb %al, $0xf4
    violation read_cr3, movq %cr3, %rax
    violation write_cr4, movq %rdi, %cr4
    violation wrmsr, wrmsr
    violation swapgs, swapgs
    violation invlpg, invlpg (%rdi)
    violation selector, movw %di, %ds
    violation ud2, ud2

/* To the end of the stack. */
    .globl violation_push
violation_push:
    pushq %rdi
    jmp violation_push

    .globl violation_divide, violation_divide_itself
violation_divide:
    xorl %edx, %edx
    movl $1, %eax
    xorl %ecx, %ecx
violation_divide_itself:
    divl %ecx
    ret

/* A trap: the record names what comes after it. */
    .globl violation_int3, violation_int3_after
violation_int3:
    int3
violation_int3_after:
    ret

    .section .note.GNU-stack, "", @progbits
