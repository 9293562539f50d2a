#ifndef OS_KERNEL_ARCH_X86_64_PERCPU_H
#define OS_KERNEL_ARCH_X86_64_PERCPU_H

/* The per-CPU area; GS points at it while the kernel runs. Only its CPU writes it unless a member says
 * otherwise. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arch/arch.h"
#include "arch/x86_64/frame.h"
#include "arch/x86_64/pcid.h"
#include "cap/cap_cpu.h"
#include "lib/rcu_cpu.h"
#include "sched/runqueue.h"

struct thread;
struct address_space;

struct tss {
    uint32_t reserved0;
    uint32_t rsp_low_high[6]; /* rsp0..rsp2 */
    uint32_t reserved1[2];
    uint32_t ist_low_high[14]; /* ist1..ist7 */
    uint32_t reserved2[2];
    uint16_t reserved3;
    uint16_t io_map_base;
};

_Static_assert(sizeof(struct tss) == 104, "TSS layout");

#define GDT_ENTRIES 7u

enum ist_stack { IST_NMI, IST_DOUBLE_FAULT, IST_DEBUG, IST_MACHINE_CHECK, IST_COUNT };

#define CPU_STATE_OFFLINE  0u
#define CPU_STATE_STARTING 1u
#define CPU_STATE_CLAIMED  2u /* has begun to run, can still be given up on */
#define CPU_STATE_ARRIVED  3u /* will be online in a moment */
#define CPU_STATE_ONLINE   4u
#define CPU_STATE_LEAVING  5u /* not in the mask of online CPUs any more, still answers */

/* What hotplug asks of the idle loop. */
#define CPU_PARK_NOT   0u
#define CPU_PARK_LEAVE 1u
#define CPU_PARK_STOP  2u

/*
 * Three groups of lines: what the CPU alone touches, what others read and hardly anybody writes, what others write. A member in
 * the wrong one costs its CPU a miss at each entry of the kernel (false sharing, docs/profile.md).
 */
struct cpu {
    /* Its own: entries of the kernel write here. */
    struct cpu *self;
    uint64_t kernel_stack; /* loaded by SYSCALL entry */
    uint64_t user_stack;   /* scratch of SYSCALL entry */
    struct thread *current;
    uint32_t irq_depth; /* nested interrupt handlers */
    bool fpu_live;      /* x87 and SSE registers are the current thread's, CR0.TS is clear; else it is set */
    struct rcu_cpu rcu;
    struct address_space *space; /* in CR3; null: the kernel's own tables */

    /* Read by others, written when the CPU comes or goes. */
    uint32_t id __attribute__((aligned(64)));
    uint32_t apic_id;
    uint32_t state; /* CPU_STATE_* */
    uint32_t node;  /* NUMA node */
    uint32_t acpi_id;
    uint32_t park; /* CPU_PARK_*; hotplug sets it */
    bool draining; /* nothing new may come, what is here must leave */
    struct thread *idle;

    /* Written by others. */
    uint64_t shootdown_pending
        __attribute__((aligned(64))); /* bit n: CPU n waits for this CPU; they set bits */

    /* By others, too, under its lock; `rank` they read when they look at the queue without it. */
    struct run_queue queue __attribute__((aligned(64)));
    uint32_t rank;    /* of what runs (sched/internal.h) */
    uint32_t ends;    /* odd: the thread that runs has announced its end and is not with the reaper yet */
    bool timer_stale; /* another CPU has put something here that the timer does not know of yet */

    struct cap_cpu caps __attribute__((aligned(64)));

    struct tlb_slot tlb_slots[TLB_SLOTS];
    uint32_t tlb_slot; /* of `space` */
    uint32_t tlb_next_slot;

    /* Timer: deadlines in cycles, UINT64_MAX = none. */
    uint64_t armed_deadline;
    uint64_t tick_deadline;
    uint64_t policy_deadline; /* when the run queue wants to be looked at */

    /* Counters (read by other CPUs for statistics, never written by them). */
    uint64_t switches;
    uint64_t handoffs; /* straight to the other thread, by sched_handoff; by sched/direct.h: the next two */
    uint64_t short_calls; /* messages from registers to registers (ipc/fast.h) */
    uint64_t short_replies;
    uint64_t ticks;
    uint64_t interrupts;
    uint64_t shootdowns_sent;
    uint64_t shootdowns_served;
    uint64_t tlb_loads_kept;    /* of user spaces, with what the TLB held of them */
    uint64_t moves[MOVE_COUNT]; /* threads that came here from other CPUs; under the queue's lock */
    uint64_t node_crossings;    /* those of them that came from another node */
    /* Under the queue's lock: threads started and ended here, those that came from other CPUs less those that left, and those
     * that wait for something else than a CPU. */
    uint64_t threads_started;
    uint64_t threads_ended;
    int64_t threads_moved;
    uint32_t threads_waiting;
    uint32_t balance_failed; /* attempts in a row that found only threads whose data is in the caches */
    uint64_t run_delay;      /* cycles that threads which ran here had waited for it */

    /* Where the time went. Written under the queue's lock; odd sequence: being written. */
    uint32_t account_sequence;
    bool account_idle; /* the time since `accounted` is idle time */
    uint64_t accounted;
    uint64_t account_start;
    uint64_t idle_cycles;
    uint64_t busy_cycles;

    struct tss tss;
    uint64_t gdt[GDT_ENTRIES];
    uint64_t ist_top[IST_COUNT];
} __attribute__((aligned(64)));

_Static_assert(offsetof(struct cpu, id) == CPU_ID, "entry.S and arch_cpu_id");
_Static_assert(offsetof(struct cpu, kernel_stack) == CPU_KERNEL_STACK, "entry.S");
_Static_assert(offsetof(struct cpu, user_stack) == CPU_USER_STACK, "entry.S");
_Static_assert(offsetof(struct cpu, current) == CPU_CURRENT, "entry.S");
_Static_assert(offsetof(struct cpu, shootdown_pending) == CPU_SHOOTDOWN_PENDING, "arch_pause");

/* Area of a CPU, null when it was never started. cpu_table[0] is the boot processor. */
extern struct cpu *cpu_table[ARCH_MAX_CPUS];
extern struct cpu cpu_boot_area;

/* CPUs in the machine, and those that run. */
unsigned cpu_count_present(void);
unsigned cpu_count_online(void);

/* Bit mask of the CPUs that run. */
uint64_t cpu_online_mask(void);
void cpu_mark_online(struct cpu *cpu);
void cpu_mark_leaving(struct cpu *cpu);

static inline struct cpu *cpu_this(void)
{
    struct cpu *cpu;
    __asm__ volatile("movq %%gs:0, %0" : "=r"(cpu));
    return cpu;
}

#endif
