#ifndef OS_KERNEL_ARCH_X86_64_FRAME_H
#define OS_KERNEL_ARCH_X86_64_FRAME_H

/* Offsets that C and assembly share, and the register frame that every kernel entry builds. */

#define SELECTOR_KERNEL_CODE 0x08
#define SELECTOR_KERNEL_DATA 0x10
#define SELECTOR_USER_DATA   0x1b /* SYSRET takes CS = base + 16 and SS = base + 8 from STAR */
#define SELECTOR_USER_CODE   0x23
#define SELECTOR_TSS         0x28

#define CPU_SELF         0
#define CPU_KERNEL_STACK 8
#define CPU_USER_STACK   16
#define CPU_CURRENT      24
#define CPU_ID           64

#define CPU_SHOOTDOWN_PENDING 128

#define FRAME_R15    0
#define FRAME_R14    8
#define FRAME_R13    16
#define FRAME_R12    24
#define FRAME_R10    40
#define FRAME_R9     48
#define FRAME_R8     56
#define FRAME_RBP    80
#define FRAME_RDX    96
#define FRAME_VECTOR 120
#define FRAME_RIP    136
#define FRAME_CS     144
#define FRAME_SIZE   176

/* System calls that have a short way (abi/syscalls.def, asserted in ipc/fast.c). */
#define FRAME_SYS_IPC_CALL          43
#define FRAME_SYS_IPC_REPLY_RECEIVE 46

/* Value of the vector field of a frame that SYSCALL built. */
#define FRAME_VECTOR_SYSCALL 0x100

/* Flags with which a system call returns: IF, and those a program may have: status flags, TF, IF, DF, AC, ID. */
#define FRAME_RFLAGS_FORCED  0x200
#define FRAME_RFLAGS_ALLOWED 0x240dd5

/* Flags of a user thread that starts: interrupts on. */
#define FRAME_USER_RFLAGS 0x202

/* Of a frame that a user thread starts with: left by IRETQ, so that every register is what the frame says. */
#define FRAME_VECTOR_START 0x102

/* And of a frame that panic() built. */
#define FRAME_VECTOR_PANIC 0x101

#ifndef __ASSEMBLER__

#include <stddef.h>
#include <stdint.h>

struct frame {
    uint64_t r15;
    uint64_t r14;
    uint64_t r13;
    uint64_t r12;
    uint64_t r11;
    uint64_t r10;
    uint64_t r9;
    uint64_t r8;
    uint64_t rdi;
    uint64_t rsi;
    uint64_t rbp;
    uint64_t rbx;
    uint64_t rdx;
    uint64_t rcx;
    uint64_t rax;
    uint64_t vector; /* exception or interrupt vector, or FRAME_VECTOR_SYSCALL */
    uint64_t error;  /* error code, 0 where the processor pushes none */
    uint64_t rip;
    uint64_t cs;
    uint64_t rflags;
    uint64_t rsp;
    uint64_t ss;
};

_Static_assert(offsetof(struct frame, r15) == FRAME_R15 && offsetof(struct frame, r14) == FRAME_R14 &&
                   offsetof(struct frame, r13) == FRAME_R13 && offsetof(struct frame, r12) == FRAME_R12,
               "frame layout");
_Static_assert(offsetof(struct frame, r10) == FRAME_R10 && offsetof(struct frame, r9) == FRAME_R9 &&
                   offsetof(struct frame, r8) == FRAME_R8 && offsetof(struct frame, rdx) == FRAME_RDX,
               "frame layout");
_Static_assert(offsetof(struct frame, rip) == FRAME_RIP && offsetof(struct frame, cs) == FRAME_RIP + 8 &&
                   offsetof(struct frame, rflags) == FRAME_RIP + 16 &&
                   offsetof(struct frame, rsp) == FRAME_RIP + 24,
               "message_resume pops them one after the other");
_Static_assert(offsetof(struct frame, rbp) == FRAME_RBP, "frame layout");
_Static_assert(offsetof(struct frame, vector) == FRAME_VECTOR, "frame layout");
_Static_assert(offsetof(struct frame, cs) == FRAME_CS, "frame layout");
_Static_assert(sizeof(struct frame) == FRAME_SIZE, "frame layout");

static inline _Bool frame_from_user(const struct frame *frame)
{
    return (frame->cs & 3) == 3;
}

#endif
#endif
