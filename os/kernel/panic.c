/*
 * Panic: the one way the kernel ends when it cannot go on. Takes no lock, allocates nothing, reads the stack
 * only where the tables in CR3 map it. CPUs are told apart by their APIC numbers (CPUID), so that nothing here
 * depends on a per-CPU area. entry.S catches the registers of the caller. Deviation: text of other CPUs that
 * is still queued for the console is sent first, without its lock.
 */
#include "panic.h"

#include "arch/x86_64/features.h"
#include "arch/x86_64/frame.h"
#include "arch/x86_64/lapic.h"
#include "arch/x86_64/percpu.h"
#include "arch/x86_64/power.h"
#include "arch/x86_64/switch.h"
#include "arch/x86_64/trap.h"
#include "console.h"
#include "lib/format.h"
#include "lib/string.h"
#include "mm/layout.h"
#include "mm/pagetable.h"
#include "probe.h"
#include "sched/thread.h"
#include "symbols.h"

#define TRACE_DEPTH        32u
#define APIC_NUMBERS       256u
#define STOP_WAIT_CYCLES   30000000ull
#define CR3_ADDRESS_MASK   0x000ffffffffff000ull
#define NOBODY             UINT32_MAX
#define REGISTER_ARGUMENTS 6u

static uint32_t panic_owner = NOBODY;                 /* APIC number of the CPU that panics */
static uint32_t nested_panics;                        /* of the owner */
static uint32_t stopped_cpus;                         /* CPUs that panic_stop_this_cpu has halted */
static const struct frame *noted_frame[APIC_NUMBERS]; /* exception that this CPU panics about */

static _Noreturn void end_machine(void)
{
    power_debug_exit(DEBUG_EXIT_FAIL);
    arch_stop_for_ever();
}

static uint32_t apic_number(void)
{
    return cpuid_read(1, 0).ebx >> 24;
}

/* This CPU's area when GS points at one, else null. */
static const struct cpu *this_area(void)
{
    uint64_t base = msr_read(MSR_GS_BASE);
    for (unsigned i = 0; i < ARCH_MAX_CPUS; i++) {
        if (cpu_table[i] != NULL && (uint64_t)(uintptr_t)cpu_table[i] == base) {
            return cpu_table[i];
        }
    }
    return NULL;
}

bool panic_in_progress(void)
{
    return __atomic_load_n(&panic_owner, __ATOMIC_ACQUIRE) != NOBODY;
}

void panic_stop_this_cpu(void)
{
    __atomic_add_fetch(&stopped_cpus, 1, __ATOMIC_SEQ_CST);
    arch_stop_for_ever();
}

void panic_set_frame(const struct frame *frame)
{
    noted_frame[apic_number()] = frame;
}

/*
 * Stops the others, so that nobody prints or changes anything any more; waits a bounded time for them. One by one:
 * a processor that was never started may sit in the firmware and must get no NMI.
 */
static void stop_others(const struct cpu *self)
{
    uint32_t wanted = 0;
    for (unsigned i = 0; i < ARCH_MAX_CPUS; i++) {
        const struct cpu *cpu = cpu_table[i];
        if (cpu != NULL && cpu != self &&
            __atomic_load_n(&cpu->state, __ATOMIC_ACQUIRE) >= CPU_STATE_CLAIMED) {
            lapic_send_nmi(cpu->apic_id);
            wanted++;
        }
    }
    uint64_t start = arch_cycles();
    while (__atomic_load_n(&stopped_cpus, __ATOMIC_SEQ_CST) < wanted &&
           arch_cycles() - start < STOP_WAIT_CYCLES) {
        __asm__ volatile("pause");
    }
}

static void print_address(uint64_t address)
{
    uint64_t offset = 0;
    const char *name = symbol_lookup(address, &offset);
    console_emergency_printf("  %016llx %s+0x%llx\n", (unsigned long long)address, name != NULL ? name : "?",
                             (unsigned long long)offset);
}

/* A word of the stack is read only where the tables in use map it. */
static bool readable(uint64_t address)
{
    struct page_table now = {.root = paddr_make(cr3_read() & CR3_ADDRESS_MASK)};
    struct pt_leaf leaf;
    return address >= PHYSMAP_BASE && (address & 7) == 0 &&
           pt_query(&now, vaddr_make(address), &leaf) == STATUS_OK;
}

static bool all_readable(uint64_t address, uint64_t bytes)
{
    return readable(address) && readable(address + bytes - sizeof(uint64_t));
}

/* The frame of the exception or interrupt whose handler a frame record belongs to, or null. */
static const struct frame *entry_frame(const uint64_t *record)
{
    extern const char trap_dispatch_return[];
    extern const char trap_ist_return[];
    const struct frame *frame = (const struct frame *)(record + 2); /* what entry.S pushed before the call */
    bool entry = record[1] == (uint64_t)(uintptr_t)trap_dispatch_return ||
                 record[1] == (uint64_t)(uintptr_t)trap_ist_return;
    return entry && all_readable((uint64_t)(uintptr_t)frame, sizeof(*frame)) ? frame : NULL;
}

/*
 * Frame records must lie ever higher, but for the step from a handler to what it interrupted, perhaps on another
 * stack: anything else is no chain.
 */
static void print_trace(uint64_t frame_pointer)
{
    for (unsigned depth = 0; depth < TRACE_DEPTH && all_readable(frame_pointer, 2 * sizeof(uint64_t));
         depth++) {
        const uint64_t *record = (const uint64_t *)(uintptr_t)frame_pointer;
        if (record[1] == 0) {
            break;
        }
        print_address(record[1] - 1); /* the call, not what follows it */
        const struct frame *interrupted = entry_frame(record);
        if (interrupted != NULL && !frame_from_user(interrupted)) {
            print_address(interrupted->rip);
            frame_pointer = interrupted->rbp;
            continue;
        }
        if (record[0] <= frame_pointer) {
            break;
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

static void print_place(const struct cpu *cpu)
{
    if (cpu == NULL) {
        console_emergency_printf("panic: processor with APIC number %u, no per-CPU area\n", apic_number());
    } else if (cpu->current == NULL) {
        console_emergency_printf("panic: cpu %u, before threads\n", cpu->id);
    } else {
        console_emergency_printf("panic: cpu %u, thread %u\n", cpu->id, cpu->current->tid.number);
    }
}

/* The owner panics again while it reports: one line the first time, nothing after that. */
static _Noreturn void panic_again(const char *format, va_list arguments)
{
    if (nested_panics++ == 0) {
        char message[CONSOLE_LINE - 32];
        kvsnprintf(message, sizeof(message), format, arguments);
        console_emergency_printf("panic: again while panicking: %s\n", message);
    }
    end_machine();
}

static _Noreturn void report(const struct frame *caller, const char *format, va_list arguments)
{
    uint32_t self = apic_number();
    uint32_t owner = NOBODY;
    if (!__atomic_compare_exchange_n(&panic_owner, &owner, self, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
        if (owner == self) {
            panic_again(format, arguments);
        }
        panic_stop_this_cpu();
    }
    const struct cpu *cpu = this_area();
    stop_others(cpu);
    char message[CONSOLE_LINE - 16];
    kvsnprintf(message, sizeof(message), format, arguments);
    console_emergency_printf("panic: %s\n", message);
    print_place(cpu);
    probe_point("panic");
    const struct frame *exception = noted_frame[self];
    print_registers(exception != NULL ? exception : caller);
    print_address(exception != NULL ? exception->rip : caller->rip - 1);
    print_trace(exception != NULL ? exception->rbp : caller->rbp);
    end_machine();
}

/* System V ABI, AMD64 supplement, "Variable Argument Lists". */
struct argument_list {
    uint32_t general_offset; /* of the next argument in `saved`, bytes */
    uint32_t vector_offset;
    const void *on_stack;
    const void *saved; /* rdi, rsi, rdx, rcx, r8, r9 */
};

_Static_assert(sizeof(va_list) == sizeof(struct argument_list), "System V va_list");

_Noreturn void panic_captured(const struct frame *caller, const void *stack_arguments);

/* Second half of panic(): `caller` holds the registers at the call, the arguments among them. */
_Noreturn void panic_captured(const struct frame *caller, const void *stack_arguments)
{
    const uint64_t saved[REGISTER_ARGUMENTS] = {caller->rdi, caller->rsi, caller->rdx,
                                                caller->rcx, caller->r8,  caller->r9};
    union {
        struct argument_list made;
        va_list arguments;
    } list = {.made = {sizeof(uint64_t), sizeof(saved), stack_arguments, saved}};
    report(caller, (const char *)(uintptr_t)caller->rdi, list.arguments);
}
