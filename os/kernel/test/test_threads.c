/* Threads: what the assembly and the structures say of each other, registers over a switch, the lists of processes. */
#include "arch/arch.h"
#include "lib/string.h"
#include "proc/threads.h"
#include "sched/sched.h"
#include "test/ktest.h"
#include "test/workers.h"

#define THREADS 5u
#define YIELDS  200u
#define WORDS   7u /* that switch_context pops: r15 r14 r13 r12 rbx rbp rip */

extern char thread_first[];

static void never(void *argument)
{
    (void)argument;
}

/* What lies on the stack of a thread that has not run is what entry.S pops and pushes. covers: TH-02 */
void ktest_the_first_stack_of_a_thread_is_what_the_switch_pops(void)
{
    struct thread *thread;
    int word;
    KEXPECT(thread_create(&thread, &sched_normal, never, &word) == STATUS_OK);
    const uint64_t *stack = (const uint64_t *)(uintptr_t)thread->saved_stack;
    KEXPECT(thread->saved_stack == thread->stack_top - FRAME_SIZE - WORDS * sizeof(uint64_t));
    KEXPECT((uintptr_t)thread_user_frame(thread) == thread->stack_top - FRAME_SIZE);
    KEXPECT(stack[2] == (uintptr_t)&word && stack[3] == (uint64_t)(uintptr_t)never);
    KEXPECT(stack[6] == (uint64_t)(uintptr_t)thread_first && (thread->saved_stack + WORDS * 8) % 16 == 0);
    KEXPECT(offsetof(struct frame, vector) == FRAME_VECTOR && offsetof(struct frame, cs) == FRAME_CS);
    KEXPECT(offsetof(struct frame, rip) == FRAME_VECTOR + 16 && offsetof(struct frame, rsp) == FRAME_CS + 16);
    KEXPECT((uintptr_t)&thread->fpu % 64 == 0 && sizeof(thread->fpu) == FPU_STATE_BYTES);
    thread_destroy_new(thread);
}

/* Fills the registers that a callee preserves, yields, and counts those that have changed. */
static uint64_t yield_with(uint64_t pattern)
{
    uint64_t changed = 0;
    __asm__ volatile("pushq %%rbp\n\t"
                     "pushq %0\n\t"
                     "leaq 1(%1), %%rbx\n\t"
                     "leaq 2(%1), %%rbp\n\t"
                     "leaq 3(%1), %%r12\n\t"
                     "leaq 4(%1), %%r13\n\t"
                     "leaq 5(%1), %%r15\n\t"
                     "movq %1, %%r14\n\t"
                     "call sched_yield\n\t"
                     "popq %0\n\t"
                     "subq $1, %%rbx\n\t"
                     "xorq %%r14, %%rbx\n\t"
                     "orq %%rbx, %0\n\t"
                     "subq $2, %%rbp\n\t"
                     "xorq %%r14, %%rbp\n\t"
                     "orq %%rbp, %0\n\t"
                     "subq $3, %%r12\n\t"
                     "xorq %%r14, %%r12\n\t"
                     "orq %%r12, %0\n\t"
                     "subq $4, %%r13\n\t"
                     "xorq %%r14, %%r13\n\t"
                     "orq %%r13, %0\n\t"
                     "subq $5, %%r15\n\t"
                     "xorq %%r14, %%r15\n\t"
                     "orq %%r15, %0\n\t"
                     "movq %%r14, %1\n\t"
                     "popq %%rbp\n\t"
                     : "+D"(changed), "+S"(pattern)
                     :
                     : "rax", "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "cc",
                       "memory");
    return changed;
}

static void keep_registers(void *argument, unsigned number)
{
    uint64_t *changed = argument;
    for (unsigned i = 0; i < YIELDS; i++) {
        uint64_t bits = yield_with((uint64_t)(number + 1) << 32 | i);
        if (bits != 0) {
            __atomic_fetch_or(changed, bits, __ATOMIC_RELAXED);
        }
    }
}

/* covers: TH-12 (K) */
void ktest_a_switch_preserves_what_a_callee_preserves(void)
{
    uint64_t changed = 0;
    KEXPECT(workers_run(3 * cpu_count_online(), keep_registers, &changed, 10000000000ull));
    KEXPECT(changed == 0);
}

static unsigned length_of(const struct list *list)
{
    unsigned length = 0;
    list_for_each(node, list)
    {
        length++;
    }
    return length;
}

/* covers: PS-01, PS-14, TH-06 (K) */
void ktest_a_process_knows_its_threads_and_its_main_one(void)
{
    struct thread *threads[THREADS];
    struct process *process = process_make();
    KEXPECT(process != NULL);
    KEXPECT(process->pid.number != 0 && process->references == 1 && process->parent == NULL);
    KEXPECT(process->state == PROCESS_NEW && process->space == NULL && process->caps == NULL);
    KEXPECT(list_empty(&process->children) && list_empty(&process->threads) &&
            list_empty(&process->thread_records));
    KEXPECT(process_get(process->pid) == NULL); /* not in the table yet */
    KEXPECT(process_main_thread_locked(process).number == 0);
    uint64_t flags = spin_lock_irqsave(&process_tree_lock);
    bool made = true;
    for (unsigned i = 0; i < THREADS; i++) {
        made &= thread_create(&threads[i], &sched_normal, NULL, NULL) == STATUS_OK;
        process_add_thread_locked(process, threads[i]);
        made &= process->thread_count == i + 1 && length_of(&process->threads) == i + 1;
    }
    process->main_thread = threads[0];
    bool main = process_main_thread_locked(process).number == threads[0]->tid.number;
    process_remove_thread_locked(process, threads[3]);
    main &= process_main_thread_locked(process).number == threads[0]->tid.number;
    process_remove_thread_locked(process, threads[0]);
    main &= process_main_thread_locked(process).number == 0;
    made &= process->thread_count == THREADS - 2 && length_of(&process->threads) == THREADS - 2;
    process_remove_thread_locked(process, threads[1]);
    process_remove_thread_locked(process, threads[2]);
    process_remove_thread_locked(process, threads[4]);
    spin_unlock_irqrestore(&process_tree_lock, flags);
    KEXPECT(made && main && process->thread_count == 0 && list_empty(&process->threads));
    for (unsigned i = 0; i < THREADS; i++) {
        thread_destroy_new(threads[i]);
    }
    process_unmake(process);
}
