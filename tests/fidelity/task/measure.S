/*
 * The stop-watch of the task: header, brackets, calibration, and the way in and out of an unrolled block. Times are ticks of
 * the time-stamp counter; LFENCE keeps what is before a bracket before it, RDTSCP waits for what is in it.
 */
#include "fidelity.h"

    .section .header, "awx"
task_base:
    .quad TASK_MAGIC
    .quad task_run
    .quad task_finished
    .quad block_give_up
    .quad task_jobs
    .quad task_job_count
    .quad task_blocks
    .quad task_outcome

    .macro ENTER
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    mov %rsp, stack_kept(%rip)
    sub $8, %rsp                /* aligned for what is called */
    .endm

    .macro LEAVE
    mov stack_kept(%rip), %rsp
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    .endm

    .macro START_WATCH
    lfence
    rdtsc
    lfence
    shl $32, %rdx
    or %rdx, %rax
    mov %rax, started(%rip)
    .endm

    .macro STOP_WATCH
    rdtscp
    lfence
    shl $32, %rdx
    or %rdx, %rax
    sub started(%rip), %rax
    .endm

    .text
/*
 * uint64_t timed(repetitions, memory, value): ticks of a call of the kernel that aim(code) has written into it; its RAX goes
 * to timed_result. In brackets no jump or call is indirect: predictions of its target would be in the figures.
 */
    .globl aim, timed
aim:
    lea timed_call_end(%rip), %rax
    sub %rax, %rdi
    mov %edi, -4(%rax)
    ret
timed:
    ENTER
    mov %rdx, %r10
    START_WATCH
    mov %r10, %rdx
    .byte 0xe8                  /* call */
    .long 0
timed_call_end:
    mov %rax, timed_result(%rip)
    STOP_WATCH
    cld
    LEAVE
    ret

    .macro ADDITIONS portions
    .rept \portions
    .rept 64
    add %rdi, %rax
    .endr
    .endr
    .endm

/*
 * uint64_t calibrated(number): ticks of 48 portions of 64 additions each of which needs the one before, less those of 12
 * portions: of CHAIN_CYCLES core cycles. Without a jump, so that no prediction enters.
 */
    .balign 64
    .globl calibrated
calibrated:
    ENTER
    START_WATCH
    ADDITIONS 12
    STOP_WATCH
    mov %rax, %r12
    START_WATCH
    ADDITIONS 48
    STOP_WATCH
    sub %r12, %rax
    LEAVE
    ret

/* uint64_t block_NAME(void): ticks of a form, which ends with a jump to block_end; UINT64_MAX: it was given up. */
    .macro BLOCK name, form
    .globl block_\name
block_\name:
    ENTER
    ldmxcsr block_mxcsr(%rip)
    mov $BLOCK_PAGE, %eax
    .irp number, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    movaps (%rax), %xmm\number
    .endr
    START_WATCH
    mov $BLOCK_WORD, %eax
    .irp register, rbx, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r11, r12, r13, r14, r15
    mov %rax, %\register
    .endr
    lea 0x200(%rax), %rsp
    test %rax, %rax
    jmp task_base + \form - TASK_BASE
    .endm
    BLOCK once, FORM_ONCE
    BLOCK twice, FORM_TWICE

    .globl block_end
block_end:
    STOP_WATCH
block_leave:
    cld
    ldmxcsr usual_mxcsr(%rip)
    LEAVE
    ret
block_give_up:
    mov $-1, %rax
    jmp block_leave

/* Where task_run returns to in a guest. */
task_finished:
    int $0x80
    hlt

    .data
    .balign 64
stack_kept: .quad 0
started: .quad 0
    .globl timed_result
timed_result: .quad 0
block_mxcsr: .long 0x9fc0       /* no exceptions, subnormal numbers are zero */
usual_mxcsr: .long 0x1f80

    .section .note.GNU-stack, "", @progbits
