/*
 * Exception and interrupt dispatch. Source: AMD64 APM volume 2, "Vectors". A page fault on a user address
 * goes to the address space; the first use of x87 or SSE by a program (#NM) loads its registers; a fault of a
 * kernel instruction that the exception table names ends at its fix-up; anything else in the kernel, #NM too,
 * is a panic, in a program its end.
 */
#include "arch/x86_64/trap.h"

#include "arch/arch.h"
#include "arch/x86_64/acpi.h"
#include "arch/x86_64/fpu.h"
#include "arch/x86_64/kmap.h"
#include "arch/x86_64/lapic.h"
#include "arch/x86_64/percpu.h"
#include "arch/x86_64/uart.h"
#include "arch/x86_64/vectors.h"
#include "ipc/hardware.h"
#include "mm/vm.h"
#include "panic.h"
#include "probe.h"
#include "proc/oom.h"
#include "proc/process.h"
#include "proc/threads.h"
#include "sched/rcu.h"
#include "sched/reaper.h"
#include "sched/sched.h"
#include "smp/ipi.h"
#include "sys/balancer.h"

#define RFLAGS_TF (1ull << 8)

struct exception_entry {
    uint64_t address;
    uint64_t fixup;
};

extern const struct exception_entry exception_table_start[];
extern const struct exception_entry exception_table_end[];

static const char *const names[32] = {
    "divide error",
    "debug",
    "non-maskable interrupt",
    "breakpoint",
    "overflow",
    "bound range",
    "invalid opcode",
    "device not available",
    "double fault",
    "coprocessor",
    "invalid TSS",
    "segment not present",
    "stack fault",
    "general protection",
    "page fault",
    "reserved",
    "x87 floating point",
    "alignment check",
    "machine check",
    "SIMD floating point",
};

const char *trap_name(uint64_t vector)
{
    return vector < 32 && names[vector] != NULL ? names[vector] : "interrupt";
}

/* Entry for an instruction that is allowed to fault in the kernel, or null. */
static const struct exception_entry *find_entry(uint64_t rip)
{
    for (const struct exception_entry *entry = exception_table_start; entry < exception_table_end; entry++) {
        if (entry->address == rip) {
            return entry;
        }
    }
    return NULL;
}

static _Noreturn void kernel_exception(const struct frame *frame, uint64_t address)
{
    panic_set_frame(frame);
    if (frame->vector == VECTOR_PAGE_FAULT) {
        panic("%s at %016llx, error %llx%s", trap_name(frame->vector), (unsigned long long)address,
              (unsigned long long)frame->error,
              kmap_is_stack_guard(address) ? ", a kernel stack overflowed" : "");
    }
    panic("%s, error %llx", trap_name(frame->vector), (unsigned long long)frame->error);
}

/* Serves a fault on a user address of the current process. Interrupts on while the address space works. */
static status_t user_fault(const struct frame *frame, uint64_t address)
{
    struct thread *thread = thread_current();
    if (thread == NULL || thread->space == NULL || address >= USER_END) {
        return STATUS_ERR_BAD_ADDRESS;
    }
    if (!(frame->rflags & RFLAGS_IF)) {
        return STATUS_ERR_NOT_MAPPED; /* or not so that the access passes; nobody looks further with interrupts off */
    }
    arch_irq_enable();
    status_t status = vm_fault(thread->space, vaddr_make(address), frame->error);
    while (status == STATUS_ERR_NO_MEMORY && (reaper_reclaim() || oom_make_room(true))) {
        status = vm_fault(thread->space, vaddr_make(address), frame->error);
    }
    arch_irq_disable();
    return status;
}

/* Keeps why for who called the copy (lib/fail.h). */
static void end_copy(status_t status)
{
    struct thread *thread = thread_current();
    if (thread != NULL) {
        thread->copy_fault = status;
    }
}

/* Kernel code may touch user memory only at instructions of the exception table; those are served like the
 * user's own. */
static void page_fault(struct frame *frame)
{
    uint64_t address = cr2_read();
    const struct exception_entry *entry = frame_from_user(frame) ? NULL : find_entry(frame->rip);
    if (!frame_from_user(frame) && entry == NULL) {
        kernel_exception(frame, address);
    }
    status_t status = user_fault(frame, address);
    if (status == STATUS_OK) {
        return;
    }
    if (entry != NULL) {
        end_copy(status);
        frame->rip = entry->fixup;
    } else {
        process_fault(frame, address, status);
    }
}

static void exception(struct frame *frame)
{
    if (frame->vector == VECTOR_PAGE_FAULT) {
        page_fault(frame);
    } else if (frame->vector == VECTOR_NO_FPU && frame_from_user(frame)) {
        fpu_claim();
    } else if (frame_from_user(frame)) {
        process_fault(frame, frame->rip, STATUS_OK);
    } else {
        kernel_exception(frame, 0);
    }
}

static void interrupt(const struct frame *frame)
{
    struct cpu *cpu = cpu_this();
    cpu->irq_depth++;
    cpu->interrupts++;
    switch (frame->vector) {
    case VECTOR_TIMER:
        sched_timer_interrupt();
        balancer_poll();
        break;
    case VECTOR_CALL:
        ipi_handle_call();
        break;
    case VECTOR_SHOOTDOWN:
        ipi_handle_shootdown();
        break;
    case VECTOR_LINE_BASE + 3:
        uart_present(UART_DRIVER) ? uart_interrupt(UART_DRIVER) : hardware_interrupt(3);
        break;
    case VECTOR_LINE_BASE + 4:
        uart_interrupt(UART_CONSOLE);
        break;
    case VECTOR_RESCHEDULE: /* the end of every interrupt looks at the run queue */
        rcu_interrupt();
        sched_reschedule_interrupt();
        break;
    default:
        if (frame->vector >= VECTOR_LINE_BASE && frame->vector < VECTOR_LINE_BASE + IRQ_LINES) {
            hardware_interrupt((uint32_t)frame->vector - VECTOR_LINE_BASE);
        }
        break;
    }
    if (frame->vector != VECTOR_SPURIOUS) {
        lapic_end_of_interrupt();
    }
    cpu->irq_depth--;
}

void trap_dispatch(struct frame *frame)
{
    if (frame->vector >= 32) {
        interrupt(frame);
    } else {
        exception(frame);
    }
    if (frame->rflags & RFLAGS_IF) {
        sched_preempt_from_interrupt();
    }
    if (frame_from_user(frame)) {
        process_check_end();
    }
}

void trap_dispatch_ist(struct frame *frame)
{
    if (frame->vector == VECTOR_NMI) {
        if (panic_in_progress()) {
            panic_stop_this_cpu();
        }
        probe_point("nmi");
        return; /* no source of NMIs is in use: a stray one is harmless */
    }
    if (frame->vector == VECTOR_DEBUG) {
        frame->rflags &= ~RFLAGS_TF; /* a program that single-steps itself runs on */
        return;
    }
    panic_set_frame(frame);
    bool overflow = frame->vector == VECTOR_DOUBLE_FAULT && kmap_is_stack_guard(cr2_read());
    panic("%s, error %llx%s", trap_name(frame->vector), (unsigned long long)frame->error,
          overflow ? ", a kernel stack overflowed" : "");
}
