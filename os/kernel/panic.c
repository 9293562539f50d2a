/*
 * Panic: the one way the kernel ends when it cannot go on. Takes no lock, allocates nothing, reads the stack
 * only where it is mapped. Deviation: text of other CPUs that is still queued for the console is sent first,
 * without its lock.
 */
#include "panic.h"

#include "arch/x86_64/kmap.h"
#include "arch/x86_64/lapic.h"
#include "arch/x86_64/percpu.h"
#include "arch/x86_64/power.h"
#include "arch/x86_64/trap.h"
#include "console.h"
#include "lib/format.h"
#include "mm/layout.h"
#include "sched/thread.h"
#include "symbols.h"

#define TRACE_DEPTH 32u

static uint32_t panic_owner = UINT32_MAX; /* CPU that panics */
static const struct frame *panic_frame;

static _Noreturn void halt_for_ever(void)
{
    for (;;) {
        __asm__ volatile("cli\n\thlt");
    }
}

bool panic_in_progress(void)
{
    return __atomic_load_n(&panic_owner, __ATOMIC_ACQUIRE) != UINT32_MAX;
}

void panic_stop_this_cpu(void)
{
    halt_for_ever();
}

static void print_address(uint64_t address)
{
    uint64_t offset = 0;
    const char *name = symbol_lookup(address, &offset);
    console_emergency_printf("  %016llx %s+0x%llx\n", (unsigned long long)address, name != NULL ? name : "?",
                             (unsigned long long)offset);
}

/* A frame record is believed only where the kernel's own tables map it. */
static bool readable(uint64_t address)
{
    struct pt_leaf leaf;
    return address >= PHYSMAP_BASE && (address & 7) == 0 && kmap_table()->root.number != 0 &&
           pt_query(kmap_table(), vaddr_make(address), &leaf) == STATUS_OK &&
           pt_query(kmap_table(), vaddr_make(address + 8), &leaf) == STATUS_OK;
}

static void print_trace(uint64_t frame_pointer)
{
    for (unsigned depth = 0; depth < TRACE_DEPTH && readable(frame_pointer); depth++) {
        const uint64_t *record = (const uint64_t *)(uintptr_t)frame_pointer;
        if (record[1] == 0) {
            break;
        }
        print_address(record[1] - 1); /* the call, not what follows it */
        if (record[0] <= frame_pointer) {
            break; /* stacks grow down: anything else is no chain */
        }
        frame_pointer = record[0];
    }
}

static void print_registers(const struct frame *f)
{
    console_emergency_printf("  rip %016llx rsp %016llx rflags %016llx\n", (unsigned long long)f->rip,
                             (unsigned long long)f->rsp, (unsigned long long)f->rflags);
    console_emergency_printf("  rax %016llx rbx %016llx rcx %016llx\n", (unsigned long long)f->rax,
                             (unsigned long long)f->rbx, (unsigned long long)f->rcx);
    console_emergency_printf("  rdx %016llx rsi %016llx rdi %016llx\n", (unsigned long long)f->rdx,
                             (unsigned long long)f->rsi, (unsigned long long)f->rdi);
    console_emergency_printf("  rbp %016llx r8  %016llx r9  %016llx\n", (unsigned long long)f->rbp,
                             (unsigned long long)f->r8, (unsigned long long)f->r9);
    console_emergency_printf("  r10 %016llx r11 %016llx r12 %016llx\n", (unsigned long long)f->r10,
                             (unsigned long long)f->r11, (unsigned long long)f->r12);
    console_emergency_printf("  r13 %016llx r14 %016llx r15 %016llx\n", (unsigned long long)f->r13,
                             (unsigned long long)f->r14, (unsigned long long)f->r15);
    console_emergency_printf("  cr2 %016llx cr3 %016llx cr4 %016llx\n", (unsigned long long)cr2_read(),
                             (unsigned long long)cr3_read(), (unsigned long long)cr4_read());
}

static void print_thread(void)
{
    const struct thread *thread = cpu_this()->current;
    if (thread != NULL) {
        console_emergency_printf("panic: cpu %u, thread %u\n", arch_cpu_id(), thread->tid.number);
    } else {
        console_emergency_printf("panic: cpu %u, before threads\n", arch_cpu_id());
    }
}

void panic_set_frame(const struct frame *frame)
{
    panic_frame = frame;
}

void panic(const char *format, ...)
{
    arch_irq_disable();
    uint32_t nobody = UINT32_MAX;
    if (!__atomic_compare_exchange_n(&panic_owner, &nobody, arch_cpu_id(), false, __ATOMIC_SEQ_CST,
                                     __ATOMIC_SEQ_CST)) {
        if (nobody == arch_cpu_id()) { /* the panic itself went wrong: end at once */
            power_debug_exit(DEBUG_EXIT_FAIL);
        }
        halt_for_ever();
    }
    if (cpu_count_online() > 1) {
        lapic_send_nmi_to_others();
    }
    char message[CONSOLE_LINE - 16];
    va_list arguments;
    va_start(arguments, format);
    kvsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    console_emergency_printf("panic: %s\n", message);
    print_thread();
    if (panic_frame != NULL) {
        print_registers(panic_frame);
        print_address(panic_frame->rip);
        print_trace(panic_frame->rbp);
    } else {
        print_trace((uint64_t)(uintptr_t)__builtin_frame_address(0));
    }
    power_debug_exit(DEBUG_EXIT_FAIL);
    halt_for_ever();
}
