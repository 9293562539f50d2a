#ifndef OS_KERNEL_ARCH_X86_64_CHANGE_H
#define OS_KERNEL_ARCH_X86_64_CHANGE_H

/*
 * From one thread to another, all but the stack: inline, for switch.c and the direct switch of messages
 * (sched/direct.h). Source: AMD64 APM volume 2, "FS and GS Registers in 64-Bit Mode".
 */

#include "arch/arch.h"
#include "arch/x86_64/features.h"
#include "arch/x86_64/fpu.h"
#include "arch/x86_64/percpu.h"
#include "mm/vm.h"
#include "sched/thread.h"

/*
 * Bases of user threads. CR4.FSGSBASE is off, so only the kernel changes them and the thread's record always has them: a
 * switch would have to read the MSR of the one that SWAPGS has put away, which takes longer than all else it does with them.
 */
ALWAYS_INLINE void segment_bases_load(const struct thread *thread)
{
    msr_write(MSR_FS_BASE, thread->user_fs_base);
    msr_write(MSR_KERNEL_GS_BASE, thread->user_gs_base);
}

/* What is loaded are those of `from`: writing an MSR takes long, so it is left alone when nothing would change. */
ALWAYS_INLINE void segment_bases_change(const struct thread *from, const struct thread *to)
{
    if (from->user_fs_base != to->user_fs_base) {
        msr_write(MSR_FS_BASE, to->user_fs_base);
    }
    if (from->user_gs_base != to->user_gs_base) {
        msr_write(MSR_KERNEL_GS_BASE, to->user_gs_base);
    }
}

/* The registers become those of a thread: the current one, or the one that is next. */
ALWAYS_INLINE void fpu_load(struct cpu *cpu, const struct thread *thread)
{
    if (!cpu->fpu_live) {
        __asm__ volatile("clts" : : : "memory");
        cpu->fpu_live = true;
    }
    fpu_restore(&thread->fpu);
}

/*
 * Nobody's registers. They are cleared, for CR0.TS keeps no speculation from reading what somebody left in them (lazy FPU
 * state leak, CVE-2018-3665).
 */
ALWAYS_INLINE void fpu_shut(struct cpu *cpu)
{
    fpu_restore(&fpu_initial);
    cr0_write(cr0_read() | CR0_TS);
    cpu->fpu_live = false;
}

/* From a thread (null: nothing of it is kept) to another (null: one without user registers). */
ALWAYS_INLINE void fpu_change(struct cpu *cpu, struct thread *from, struct thread *to)
{
    bool live = cpu->fpu_live;
    if (live && from != NULL) {
        fpu_save(&from->fpu);
    }
    if (to != NULL && __builtin_expect(to->fpu_use.loads != 0, 0)) {
        to->fpu_use.loads--;
        fpu_load(cpu, to);
    } else if (live) {
        fpu_shut(cpu);
    }
}

/* Stack that the next entry from user mode uses. */
ALWAYS_INLINE void kernel_stack_set(struct cpu *cpu, uint64_t top)
{
    cpu->kernel_stack = top;
    cpu->tss.rsp_low_high[0] = (uint32_t)top;
    cpu->tss.rsp_low_high[1] = (uint32_t)(top >> 32);
}

/*
 * arch_space_load when the TLB still holds what it held of the space: nothing is dropped. The order of mask and generation
 * is that of pcid.c.
 */
ALWAYS_INLINE void arch_space_change(struct cpu *cpu, struct address_space *space)
{
    struct address_space *old = cpu->space;
    if (old == space) {
        return;
    }
    if (old == NULL || space == NULL || !features()->pcid) {
        arch_space_load(cpu, space);
        return;
    }
    uint32_t number = __atomic_load_n(&space->tlb_slot_hint, __ATOMIC_RELAXED);
    const struct tlb_slot *slot = &cpu->tlb_slots[number];
    if (slot->context != space->tlb_context) {
        arch_space_load(cpu, space);
        return;
    }
    uint64_t bit = 1ull << cpu->id;
    __atomic_or_fetch(&space->cpu_mask, bit, __ATOMIC_SEQ_CST);
    if (slot->generation != __atomic_load_n(&space->tlb_generation, __ATOMIC_SEQ_CST)) {
        arch_space_load(cpu, space);
        return;
    }
    cpu->space = space;
    cpu->tlb_slot = number;
    cpu->tlb_loads_kept++;
    cr3_write(paddr_number(space->table.root) | (number + 1) | CR3_KEEP);
    __atomic_and_fetch(&old->cpu_mask, ~bit, __ATOMIC_SEQ_CST);
}

/*
 * Leaves `from` for `to`, which are user threads: user registers that the kernel does not use, address space, kernel stack.
 * The caller leaves the stack next. Interrupts off, run queue locked.
 */
ALWAYS_INLINE void arch_user_change(struct cpu *cpu, struct thread *from, struct thread *to)
{
    fpu_change(cpu, from, to);
    arch_space_change(cpu, to->space);
    segment_bases_change(from, to);
    kernel_stack_set(cpu, to->stack_top);
    cpu->current = to;
}

/*
 * The stack pointer to save for a thread that leaves nothing but this frame on its kernel stack. The registers that will be
 * popped are whatever lies there: thread_bare (entry.S) uses none.
 */
ALWAYS_INLINE uint64_t arch_bare_stack(struct frame *frame)
{
    extern char thread_bare[];
    uint64_t *top = (uint64_t *)frame;
    top[-1] = (uint64_t)(uintptr_t)thread_bare;
    return (uint64_t)(uintptr_t)(top - 7); /* six registers and the return address */
}

#endif
