#ifndef OS_KERNEL_ARCH_X86_64_SWITCH_H
#define OS_KERNEL_ARCH_X86_64_SWITCH_H

/* The processor's side of a thread switch. */

#include <stdint.h>

struct cpu;
struct frame;
struct thread;

/*
 * Leaves `from` for `to`: user registers that the kernel does not use, address space, kernel stack, then the
 * stack pointer. Interrupts off, run-queue lock held; returns when `from` runs again, perhaps on another CPU.
 */
void arch_thread_switch(struct cpu *cpu, struct thread *from, struct thread *to);

/* Goes on as the thread whose saved stack pointer this is. */
_Noreturn void arch_stack_resume(uint64_t saved_stack);

/* Continues on another stack and never comes back. */
_Noreturn void arch_stack_run(unsigned long stack_top, void (*function)(void));

/*
 * What a thread that has never run begins with: function(argument) in the kernel; function null: the frame at the top of its
 * stack, which arch_thread_first_user or arch_thread_clone_user fills.
 */
void arch_thread_first_frame(struct thread *thread, void (*function)(void *), void *argument);

/* How user mode is entered: all other registers are 0, the FPU is fresh. */
struct user_start {
    uint64_t entry;
    uint64_t stack;
    uint64_t fs_base;
    const uint64_t *arguments; /* six; null: none, as a program begins */
};

/* A new thread begins there. */
void arch_thread_first_user(struct thread *thread, const struct user_start *start);

/* The current thread, which is in the system call of this frame, goes on there. */
void arch_thread_restart_user(struct thread *thread, struct frame *frame, const struct user_start *start);

/* A new thread goes on where the current one, `from`, is in the system call of this frame, which is answered with 0. */
void arch_thread_clone_user(struct thread *from, const struct frame *frame, struct thread *to);

/* Stops the CPU with interrupts off: only INIT wakes it. */
_Noreturn void arch_stop_for_ever(void);

/* Stops the CPU until an interrupt; interrupts are off before and on after. */
void arch_idle_wait(void);

#endif
