/*
 * Kernel entry and exit: exceptions, interrupts, SYSCALL, context switch.
 * Sources: AMD64 Architecture Programmer's Manual volume 2, "Long-Mode Interrupt Control Transfers"; volume 3, SYSCALL,
 * SYSRET, SWAPGS. Entries on IST stacks (NMI, #DB, #DF, #MC) do not trust GS: they load it from the top of their stack.
 * CLAC sites are three-byte no-operations until features_patch_smap() finds SMAP (section .smap_sites).
 */
#include "arch/x86_64/frame.h"

#define MSR_GS_BASE 0xc0000101

.macro smap_clear
771: .byte 0x0f, 0x1f, 0x00
    .pushsection .smap_sites, "a", @progbits
    .quad 771b
    .quad 0xca                  /* third byte of CLAC */
    .popsection
.endm

.macro smap_set
771: .byte 0x0f, 0x1f, 0x00
    .pushsection .smap_sites, "a", @progbits
    .quad 771b
    .quad 0xcb                  /* third byte of STAC */
    .popsection
.endm

.macro push_registers
    pushq %rax
    pushq %rcx
    pushq %rdx
    pushq %rbx
    pushq %rbp
    pushq %rsi
    pushq %rdi
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
.endm

.macro pop_registers
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %r11
    popq %r10
    popq %r9
    popq %r8
    popq %rdi
    popq %rsi
    popq %rbp
    popq %rbx
    popq %rdx
    popq %rcx
    popq %rax
.endm

/*
 * The frame of a call that may go the short way (ipc/fast.h): without the words of its message, which stay in their registers
 * (arch/x86_64/message.h). Their places in the frame, and that of R11, which is lost to the user, keep what they had.
 */
.macro push_but_message
    pushq %rax
    pushq %rcx
    subq $8, %rsp
    pushq %rbx
    pushq %rbp
    pushq %rsi
    pushq %rdi
    subq $64, %rsp
    movq %rdx, %r11             /* RDX is not to be had: a time-stamp is read into it */
.endm

/* And the rest of it, when the short way is none. */
.macro store_message
    movq %r11, FRAME_RDX(%rsp)
    movq %r10, FRAME_R10(%rsp)
    movq %r8, FRAME_R8(%rsp)
    movq %r9, FRAME_R9(%rsp)
    movq %r12, FRAME_R12(%rsp)
    movq %r13, FRAME_R13(%rsp)
    movq %r14, FRAME_R14(%rsp)
    movq %r15, FRAME_R15(%rsp)
.endm

/* The kernel runs with no user values in the registers it does not expect. */
.macro clear_registers
    xorl %eax, %eax
    xorl %ebx, %ebx
    xorl %ecx, %ecx
    xorl %edx, %edx
    xorl %r8d, %r8d
    xorl %r9d, %r9d
    xorl %r10d, %r10d
    xorl %r11d, %r11d
    xorl %r12d, %r12d
    xorl %r13d, %r13d
    xorl %r14d, %r14d
    xorl %r15d, %r15d
.endm

    .section .text.entry, "ax", @progbits

/* 256 entry points of 16 bytes: push an error code where the processor does not, then the vector. */
    .balign 16
    .globl trap_vectors
trap_vectors:
.set vector, 0
.rept 256
    .balign 16
    .if vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || vector == 29 || vector == 30
    .else
    pushq $0
    .endif
    pushq $vector
    .if vector == 1 || vector == 2 || vector == 8 || vector == 18
    jmp trap_ist
    .else
    jmp trap_common
    .endif
.set vector, vector + 1
.endr

    .balign 16
trap_common:
    testb $3, 24(%rsp)          /* CS under vector, error, RIP */
    jz 1f
    swapgs
1:  smap_clear
    cld
    push_registers
    clear_registers
    movq %rsp, %rdi
    xorl %ebp, %ebp
    call trap_dispatch
    .globl trap_dispatch_return
trap_dispatch_return:

/* Leaves the kernel through the frame at the stack pointer. Interrupts are off. */
    .globl trap_return
trap_return:
    cmpq $FRAME_VECTOR_SYSCALL, FRAME_VECTOR(%rsp)
    je syscall_return
    testb $3, FRAME_CS(%rsp)
    jz 2f
    swapgs
2:  pop_registers
    addq $16, %rsp
    .globl trap_iret
trap_iret:
    iretq

/* IST entry: the word at the top of the stack is the per-CPU area; the interrupted GS base is kept in RBX. */
    .balign 16
trap_ist:
    smap_clear
    cld
    push_registers
    movl $MSR_GS_BASE, %ecx
    rdmsr
    shlq $32, %rdx
    orq %rdx, %rax
    movq %rax, %rbx
    movq FRAME_SIZE(%rsp), %rax
    movq %rax, %rdx
    shrq $32, %rdx
    wrmsr
    movq %rsp, %rdi
    xorl %ebp, %ebp
    call trap_dispatch_ist
    .globl trap_ist_return
trap_ist_return:
    movl $MSR_GS_BASE, %ecx
    movq %rbx, %rax
    movq %rbx, %rdx
    shrq $32, %rdx
    wrmsr
    pop_registers
    addq $16, %rsp
    iretq

/* SYSCALL: RCX = user RIP, R11 = user RFLAGS, interrupts off by SFMASK, still on the user stack. */
    .balign 16
    .globl syscall_entry
syscall_entry:
    swapgs
    movq %rsp, %gs:CPU_USER_STACK
    movq %gs:CPU_KERNEL_STACK, %rsp
    pushq $SELECTOR_USER_DATA
    pushq %gs:CPU_USER_STACK
    pushq %r11
    pushq $SELECTOR_USER_CODE
    pushq %rcx
    pushq $0
    pushq $FRAME_VECTOR_SYSCALL
#ifdef MESSAGE_REGISTERS
    cmpq $FRAME_SYS_IPC_CALL, %rax
    je 2f
    cmpq $FRAME_SYS_IPC_REPLY_RECEIVE, %rax
    je 3f
#endif
    push_registers
1:  clear_registers
    movq %rsp, %rdi
    xorl %ebp, %ebp
    call syscall_dispatch
    jmp trap_return
#ifdef MESSAGE_REGISTERS
2:  push_but_message            /* a message that goes the short way leaves the kernel as its partner; others go on */
    movq %rsp, %rdi
    xorl %ebp, %ebp
    call ipc_fast_call
    jmp 4f
3:  push_but_message
    movq %rsp, %rdi
    xorl %ebp, %ebp
    call ipc_fast_reply
4:  store_message
    movl %eax, %edi
    call ipc_count
    jmp 1b
#endif

/*
 * SYSRET with the frame of a system call. RIP was checked to lie below the user end (a non-canonical RIP would fault
 * in kernel mode on some processors), so only RCX and R11 are lost to the user.
 */
    .globl syscall_return
syscall_return:
    pop_registers
    movq 16(%rsp), %rcx         /* RIP */
    movq 32(%rsp), %r11         /* RFLAGS */
    movq 40(%rsp), %rsp         /* user RSP: from here to SYSRETQ only an IST entry may come */
    swapgs
    sysretq

/*
 * void switch_context(uint64_t load_stack, uint64_t *save_stack): stores the callee-saved registers and the stack
 * pointer of this thread, continues the other one. Called with interrupts off.
 * void arch_stack_resume(uint64_t saved_stack): its second half.
 */
    .balign 16
    .globl switch_context
switch_context:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rsi)
    .globl arch_stack_resume
arch_stack_resume:
    movq %rdi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret

/*
 * message_resume (arch/x86_64/message.h): RDX = frame, RCX = lock, RDI, RSI and RBX as the user gets them, the words in their
 * registers. Releases the lock when its stack is left.
 */
    .balign 16
    .globl message_resume
message_resume:
    movq %rdx, %rsp
    movl $-1, 4(%rcx)           /* holder: none */
    incw (%rcx)                 /* serving: only who holds the lock writes it */
    movl %esi, %eax
    andl $15, %eax              /* words that count; the others arrive as 0 */
    cmpl $8, %eax
    jne 2f
1:  movq %r11, %rdx
    addq $FRAME_RBP, %rsp
    popq %rbp
    addq $FRAME_RIP - FRAME_RBP - 8, %rsp
    popq %rcx
    popq %r11                   /* CS */
    popq %r11
    andl $FRAME_RFLAGS_ALLOWED, %r11d
    orl $FRAME_RFLAGS_FORCED, %r11d
    popq %rsp                   /* as in syscall_return */
    xorl %eax, %eax             /* STATUS_OK */
    swapgs
    sysretq
2:  xorl %r15d, %r15d
    .set remaining, 8
.irp word, r14d, r13d, r12d, r9d, r8d, r10d, r11d
    .set remaining, remaining - 1
    cmpl $remaining, %eax
    je 1b
    xorl %\word, %\word
.endr
    jmp 1b

/* Where a thread goes on that waited with nothing on its stack but the frame of a system call. */
    .balign 16
    .globl thread_bare
thread_bare:
    xorl %ebp, %ebp
    call thread_started
    movq %rsp, %rdi
    call syscall_continue
    jmp trap_return

/* First instruction of every new thread: R12 = function or 0, R13 = its argument; a frame lies above for user threads. */
    .balign 16
    .globl thread_first
thread_first:
    xorl %ebp, %ebp
    call thread_started
    testq %r12, %r12
    jz 1f
    movq %r13, %rdi
    call *%r12
    call sched_exit
1:  cli
    jmp trap_return

/*
 * size_t user_copy_raw(void *to, const void *from, size_t bytes): returns the bytes NOT copied; a fault at either side
 * ends the copy (exception table). The caller has checked that the user side lies in user space.
 */
    .balign 16
    .globl user_copy_raw
user_copy_raw:
    pushq %rbp
    movq %rsp, %rbp
    movq %rdx, %rcx
    smap_set
    testb $7, %cl
    jnz 1f
    shrq $3, %rcx
10: rep movsq
    smap_clear
    xorl %eax, %eax
    popq %rbp
    ret
1:
11: rep movsb
12: smap_clear
    movq %rcx, %rax
    popq %rbp
    ret
13: shlq $3, %rcx               /* words left to bytes left */
    jmp 12b
    .pushsection .exception_table, "a", @progbits
    .quad 10b, 13b
    .quad 11b, 12b
    .popsection

/* int user_load_raw(uint32_t *to, const uint32_t *from): one aligned access to user memory; 1 when it faults. */
    .balign 16
    .globl user_load_raw
user_load_raw:
    smap_set
20: movl (%rsi), %eax
    smap_clear
    movl %eax, (%rdi)
    xorl %eax, %eax
    ret
21: smap_clear
    movl $1, %eax
    ret
    .pushsection .exception_table, "a", @progbits
    .quad 20b, 21b
    .popsection

/*
 * void panic(const char *format, ...): builds a frame of the registers as they are at the call, for panic_captured(frame,
 * arguments on the stack). RIP is the return address, RBP and RSP are the caller's.
 */
    .balign 16
    .globl panic
    .type panic, @function
panic:
    pushq %rbp
    movq %rsp, %rbp
    pushq $SELECTOR_KERNEL_DATA
    pushq %rbp
    pushfq
    cli
    addq $16, 8(%rsp)
    pushq $SELECTOR_KERNEL_CODE
    pushq 8(%rbp)
    pushq $0
    pushq $FRAME_VECTOR_PANIC
    push_registers
    movq (%rbp), %rax
    movq %rax, FRAME_RBP(%rsp)
    movq %rsp, %rdi
    leaq 16(%rbp), %rsi
    call panic_captured
    .size panic, . - panic

    .section .note.GNU-stack, "", @progbits
