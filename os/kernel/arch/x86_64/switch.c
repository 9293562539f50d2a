/* Thread switch. Source: AMD64 APM volume 2, "FS and GS Registers in 64-Bit Mode". */
#include "arch/x86_64/switch.h"

#include "arch/x86_64/change.h"

extern void switch_context(uint64_t load_stack, uint64_t *save_stack);

/* One of the two has no user registers; from null: nothing of it is kept. */
static void change_one_sided(struct cpu *cpu, struct thread *from, struct thread *to)
{
    fpu_change(cpu, from, to->process != NULL ? to : NULL);
    arch_space_load(cpu, to->space);
    if (to->process != NULL) {
        segment_bases_load(to);
    }
    kernel_stack_set(cpu, to->stack_top);
    cpu->current = to;
}

void arch_thread_switch(struct cpu *cpu, struct thread *from, struct thread *to)
{
    bool saved = from->process != NULL && from->state != THREAD_DEAD;
    if (saved && to->process != NULL) {
        arch_user_change(cpu, from, to);
    } else {
        change_one_sided(cpu, saved ? from : NULL, to);
    }
    switch_context(to->saved_stack, &from->saved_stack);
}

void arch_stack_run(unsigned long stack_top, void (*function)(void))
{
    __asm__ volatile("movq %0, %%rsp\n\t"
                     "xorl %%ebp, %%ebp\n\t"
                     "call *%1"
                     :
                     : "r"(stack_top), "r"(function)
                     : "memory");
    __builtin_unreachable();
}

void arch_thread_reset_user_state(struct thread *thread, uint64_t fs_base)
{
    uint64_t flags = arch_irq_save();
    thread->fpu = fpu_initial;
    thread->user_fs_base = fs_base;
    thread->user_gs_base = 0;
    if (cpu_this()->fpu_live) {
        fpu_restore(&thread->fpu);
    }
    segment_bases_load(thread);
    arch_irq_restore(flags);
}

void arch_thread_clone_user_state(struct thread *from, struct thread *to)
{
    uint64_t flags = arch_irq_save();
    if (cpu_this()->fpu_live) {
        fpu_save(&from->fpu);
    }
    arch_irq_restore(flags);
    to->fpu = from->fpu;
    to->user_fs_base = from->user_fs_base;
    to->user_gs_base = from->user_gs_base;
}

void arch_stop_for_ever(void)
{
    for (;;) {
        __asm__ volatile("cli\n\thlt");
    }
}

void arch_idle_wait(void)
{
    __asm__ volatile("sti\n\thlt" : : : "memory"); /* STI's shadow: no interrupt between the two */
}
