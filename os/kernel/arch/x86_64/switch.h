#ifndef OS_KERNEL_ARCH_X86_64_SWITCH_H
#define OS_KERNEL_ARCH_X86_64_SWITCH_H

/* The processor's side of a thread switch. */

#include <stdint.h>

struct cpu;
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

/* The current thread returns to user mode with a fresh FPU and this FS base, as exec wants it. */
void arch_thread_reset_user_state(struct thread *thread, uint64_t fs_base);

/* Copies the live user state of the current thread that lies in registers to a clone. */
void arch_thread_clone_user_state(struct thread *from, struct thread *to);

/* Stops the CPU with interrupts off: only INIT wakes it. */
_Noreturn void arch_stop_for_ever(void);

/* Stops the CPU until an interrupt; interrupts are off before and on after. */
void arch_idle_wait(void);

#endif
