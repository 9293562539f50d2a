#ifndef OS_KERNEL_ARCH_X86_64_MESSAGE_H
#define OS_KERNEL_ARCH_X86_64_MESSAGE_H

/*
 * The words of a message on the short way (ipc/fast.h). From the sender's SYSCALL to the receiver's user mode they lie in
 *
 *     m0..m7 = R11 R10 R8 R9 R12 R13 R14 R15
 *
 * where its program put them, but for m0, which comes in RDX. No instruction on the way may use these registers: ipc/fast.c is
 * compiled without them (os.mk, MESSAGE_REGISTERS) and is the only file that may include this one. What it calls out of line
 * KEEPS_REGISTERS, or the words were stored before. A compiler that cannot leave registers alone builds a kernel in which
 * every message goes the long way.
 */

#include <stdint.h>

#include "types.h"

struct frame;
struct spinlock;

/* Copies all eight to memory, for a partner that has more to do before it is in user mode. */
ALWAYS_INLINE void message_store(uint64_t words[8])
{
    __asm__ volatile("movq %%r11, 0(%0)\n\tmovq %%r10, 8(%0)\n\tmovq %%r8, 16(%0)\n\tmovq %%r9, 24(%0)\n\t"
                     "movq %%r12, 32(%0)\n\tmovq %%r13, 40(%0)\n\tmovq %%r14, 48(%0)\n\tmovq %%r15, 56(%0)"
                     :
                     : "r"(words)
                     : "memory");
}

/*
 * To user mode as the thread that left this frame, with success, the words that the tag counts, and 0 in the others. Releases
 * `held`, which was announced (spin_unlock_announce), as soon as the stack of the other thread is not used any more.
 */
ALWAYS_INLINE _Noreturn void message_resume(const struct frame *frame, struct spinlock *held, uint64_t badge,
                                            uint64_t tag, uint64_t stamp)
{
    __asm__ volatile("jmp message_resume"
                     :
                     : "d"(frame), "c"(held), "D"(badge), "S"(tag), "b"(stamp)
                     : "memory");
    __builtin_unreachable();
}

#endif
