/* Thread switch, and the frames that threads begin with. Source: AMD64 APM volume 2, "FS and GS Registers in 64-Bit Mode". */
#include "arch/x86_64/switch.h"

#include "arch/x86_64/change.h"
#include "arch/x86_64/frame.h"

extern void switch_context(uint64_t load_stack, uint64_t *save_stack);
extern char thread_first[];

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

/* ---- what threads begin with ---- */

/* What switch_context pops for a thread that has never run: the registers it saves, then the return address. */
struct first_frame {
    uint64_t r15;
    uint64_t r14;
    uint64_t r13; /* argument */
    uint64_t r12; /* function */
    uint64_t rbx;
    uint64_t rbp;
    uint64_t rip;
};

void arch_thread_first_frame(struct thread *thread, void (*function)(void *), void *argument)
{
    uint64_t stack = thread->stack_top - sizeof(struct frame) - sizeof(struct first_frame);
    *(struct first_frame *)(uintptr_t)stack = (struct first_frame){
        .r12 = (uint64_t)(uintptr_t)function,
        .r13 = (uint64_t)(uintptr_t)argument,
        .rip = (uint64_t)(uintptr_t)thread_first,
    };
    thread->saved_stack = stack;
}

static void user_frame(struct frame *frame, const struct user_start *start)
{
    *frame = (struct frame){
        .vector = FRAME_VECTOR_SYSCALL,
        .rip = start->entry,
        .cs = SELECTOR_USER_CODE,
        .rflags = FRAME_USER_RFLAGS,
        .rsp = start->stack,
        .ss = SELECTOR_USER_DATA,
    };
    if (start->arguments != NULL) {
        frame->vector = FRAME_VECTOR_START; /* SYSRET would lose RCX */
        frame->rdi = start->arguments[0];
        frame->rsi = start->arguments[1];
        frame->rdx = start->arguments[2];
        frame->rcx = start->arguments[3];
        frame->r8 = start->arguments[4];
        frame->r9 = start->arguments[5];
    }
}

void arch_thread_first_user(struct thread *thread, const struct user_start *start)
{
    user_frame(thread_user_frame(thread), start);
    thread->fpu = fpu_initial;
    thread->user_fs_base = start->fs_base;
}

void arch_thread_restart_user(struct thread *thread, struct frame *frame, const struct user_start *start)
{
    uint64_t flags = arch_irq_save();
    thread->fpu = fpu_initial;
    thread->user_fs_base = start->fs_base;
    thread->user_gs_base = 0;
    if (cpu_this()->fpu_live) {
        fpu_restore(&thread->fpu);
    }
    segment_bases_load(thread);
    arch_irq_restore(flags);
    user_frame(frame, start);
}

void arch_thread_clone_user(struct thread *from, const struct frame *frame, struct thread *to)
{
    struct frame *answered = thread_user_frame(to);
    *answered = *frame;
    answered->rax = 0;
    uint64_t flags = arch_irq_save();
    if (cpu_this()->fpu_live) {
        fpu_save(&from->fpu);
    }
    arch_irq_restore(flags);
    to->fpu = from->fpu;
    to->user_fs_base = from->user_fs_base;
    to->user_gs_base = from->user_gs_base;
}

/* ---- the CPU itself ---- */

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
