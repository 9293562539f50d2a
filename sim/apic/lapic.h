#ifndef ORRERY_APIC_LAPIC_H
#define ORRERY_APIC_LAPIC_H

/*
 * The local APIC of one vCPU: xAPIC (memory-mapped) and x2APIC (MSR) access, timer, LVT, interrupt commands.
 *
 * Towards the CPU: lapic_pending / lapic_extint tell what waits, lapic_acknowledge takes it, and struct
 * lapic_signals tells of changes. Towards the rest: struct apic_port, which apic_bus_add_lapic sets.
 */

#include "apic/apic_message.h"
#include "core/device.h"
#include "core/event.h"
#include "core/pc_map.h"
#include "core/trace.h"

#include <stdbool.h>
#include <stdint.h>

#define LAPIC_BUS_HZ UINT64_C(1000000000)

#define MSR_APIC_BASE    0x01bu
#define MSR_TSC_DEADLINE 0x6e0u
#define MSR_X2APIC_FIRST 0x800u
#define MSR_X2APIC_LAST  0x8ffu

#define APIC_BASE_BSP  UINT64_C(0x100)
#define APIC_BASE_EXTD UINT64_C(0x400)
#define APIC_BASE_EN   UINT64_C(0x800)

/* Register offsets in the xAPIC page; the x2APIC MSR is MSR_X2APIC_FIRST + offset / 16. */
enum lapic_register {
    LAPIC_ID = 0x020,
    LAPIC_VERSION = 0x030,
    LAPIC_TPR = 0x080,
    LAPIC_APR = 0x090,
    LAPIC_PPR = 0x0a0,
    LAPIC_EOI = 0x0b0,
    LAPIC_RRD = 0x0c0,
    LAPIC_LDR = 0x0d0,
    LAPIC_DFR = 0x0e0,
    LAPIC_SVR = 0x0f0,
    LAPIC_ISR = 0x100,
    LAPIC_TMR = 0x180,
    LAPIC_IRR = 0x200,
    LAPIC_ESR = 0x280,
    LAPIC_LVT_CMCI = 0x2f0,
    LAPIC_ICR_LO = 0x300,
    LAPIC_ICR_HI = 0x310,
    LAPIC_LVT_TIMER = 0x320,
    LAPIC_LVT_THERMAL = 0x330,
    LAPIC_LVT_PERF = 0x340,
    LAPIC_LVT_LINT0 = 0x350,
    LAPIC_LVT_LINT1 = 0x360,
    LAPIC_LVT_ERROR = 0x370,
    LAPIC_TIMER_INITIAL = 0x380,
    LAPIC_TIMER_CURRENT = 0x390,
    LAPIC_TIMER_DIVIDE = 0x3e0,
    LAPIC_SELF_IPI = 0x3f0 /* x2APIC only */
};

#define LAPIC_SVR_ENABLE          UINT32_C(0x100)
#define LAPIC_SVR_FOCUS_OFF       UINT32_C(0x200)
#define LAPIC_SVR_EOI_SUPPRESS    UINT32_C(0x1000)
#define LAPIC_LVT_STATUS          UINT32_C(0x1000)
#define LAPIC_LVT_LOW_ACTIVE      UINT32_C(0x2000)
#define LAPIC_LVT_REMOTE_IRR      UINT32_C(0x4000)
#define LAPIC_LVT_LEVEL           UINT32_C(0x8000)
#define LAPIC_LVT_MASKED          UINT32_C(0x10000)
#define LAPIC_LVT_TIMER_MODE      UINT32_C(0x60000) /* 0 one-shot, 1 periodic, 2 TSC-deadline */
#define LAPIC_ICR_PENDING         UINT32_C(0x1000)  /* delivery status */
#define LAPIC_ESR_SEND_ILLEGAL    UINT32_C(0x20)
#define LAPIC_ESR_RECEIVE_ILLEGAL UINT32_C(0x40)
#define LAPIC_ESR_ILLEGAL_REG     UINT32_C(0x80)

enum lapic_lvt { LVT_CMCI, LVT_TIMER, LVT_THERMAL, LVT_PERF, LVT_LINT0, LVT_LINT1, LVT_ERROR, LVT_COUNT };

enum lapic_mode { LAPIC_DISABLED, LAPIC_XAPIC, LAPIC_X2APIC };

/* What an MSR access comes to. */
enum lapic_result {
    LAPIC_OK,
    LAPIC_GP,          /* #GP(0) */
    LAPIC_STALL,       /* the command register still waits for the bus: run the instruction again later */
    LAPIC_NOT_MODELLED /* moving the register page away from LAPIC_BASE */
};

/* To the CPU. All are edges, in the total order of the machine; any may be NULL. */
struct lapic_signals {
    void *target;
    unsigned cpu; /* passed back */
    /* The INTR request line: lapic_pending() or lapic_extint() has something to take. */
    void (*intr)(void *target, unsigned cpu, bool asserted, uint64_t now_cycles);
    void (*nmi)(void *target, unsigned cpu, uint64_t now_cycles);
    void (*smi)(void *target, unsigned cpu, uint64_t now_cycles);
    void (*init)(void *target, unsigned cpu, uint64_t now_cycles); /* the CPU answers with lapic_init_reset */
    void (*sipi)(void *target, unsigned cpu, uint8_t vector, uint64_t now_cycles);
};

struct lapic_config {
    uint32_t apic_id;
    bool bsp;
    bool x2apic;       /* CPUID says so; without it APIC_BASE_EXTD is a reserved bit */
    bool tsc_deadline; /* CPUID says so; without it MSR_TSC_DEADLINE is a #GP and timer mode 2 reserved */
    uint64_t bus_hz;   /* input of the timer's divider; LAPIC_BUS_HZ unless the board knows better */
};

struct lapic {
    struct lapic_config config;
    struct lapic_signals signals;
    struct apic_port port;
    struct event_queue *events;
    unsigned timer;      /* event number */
    struct trace *trace; /* of the vCPU; NULL: untold */

    /* state */
    uint64_t apic_base;
    uint32_t tpr, ldr, dfr, svr, esr, esr_pending, icr_lo, icr_hi;
    uint32_t isr[8], tmr[8], irr[8];
    uint32_t lvt[LVT_COUNT];
    uint32_t timer_initial, timer_divide;
    uint32_t timer_base_count; /* the count at timer_base_cycles */
    uint64_t timer_base_cycles;
    uint64_t tsc_deadline;       /* 0: disarmed */
    uint64_t tsc_offset;         /* time-stamp counter - machine clock */
    bool lint[2];                /* levels of the input pins */
    bool extint_latched;         /* an ExtINT message arrived and was not taken */
    bool icr_waiting;            /* a command found no room on the bus: */
    struct apic_message waiting; /* this one */

    /* derived */
    int pending_vector; /* highest deliverable one, or LAPIC_NO_VECTOR */
    bool intr;
};

#define LAPIC_NO_VECTOR (-1)

void lapic_init(struct lapic *l, const struct lapic_config *config, const struct lapic_signals *signals,
                struct event_queue *events);

/* Power-on or board reset. */
void lapic_reset(struct lapic *l, uint64_t now_cycles);
/* What INIT does: as reset, but the mode (APIC_BASE) stays. */
void lapic_init_reset(struct lapic *l, uint64_t now_cycles);
void lapic_visit(struct lapic *l, struct visitor *v);

enum lapic_mode lapic_mode(const struct lapic *l);

/* What the board chose: the APIC ID after reset, and whether this is the bootstrap processor's. */
static inline uint32_t lapic_initial_id(const struct lapic *l)
{
    return l->config.apic_id;
}

static inline bool lapic_is_bsp(const struct lapic *l)
{
    return l->config.bsp;
}

/* The xAPIC page. Meaningful only in LAPIC_XAPIC mode. Registers are 32 bits on 16-byte boundaries. */
uint32_t lapic_read(struct lapic *l, uint32_t offset, uint64_t now_cycles);
void lapic_write(struct lapic *l, uint32_t offset, uint32_t value, uint64_t now_cycles);

/* True while the command in ICR waits for the bus: an MSR write answers LAPIC_STALL, a memory-mapped write is lost. */
bool lapic_icr_stalls(const struct lapic *l);

/* True for the MSRs that belong here: MSR_APIC_BASE, MSR_TSC_DEADLINE, MSR_X2APIC_FIRST..LAST. */
bool lapic_has_msr(uint32_t msr);
enum lapic_result lapic_msr_read(struct lapic *l, uint32_t msr, uint64_t *value, uint64_t now_cycles);
enum lapic_result lapic_msr_write(struct lapic *l, uint32_t msr, uint64_t value, uint64_t now_cycles);

/* CR8 is TPR bits 7..4. */
unsigned lapic_cr8(const struct lapic *l);
void lapic_set_cr8(struct lapic *l, unsigned value, uint64_t now_cycles);

/* The vCPU's time-stamp counter reads machine clock + offset (writes to TSC or TSC_ADJUST change it). */
void lapic_set_tsc_offset(struct lapic *l, uint64_t offset, uint64_t now_cycles);

/* The vector that the CPU would take now (honours PPR; RFLAGS.IF is the CPU's affair), or LAPIC_NO_VECTOR.
 * O(1). */
static inline int lapic_pending(const struct lapic *l)
{
    return l->pending_vector;
}

/* An ExtINT request waits: the CPU runs an acknowledge cycle to the 8259 and then lapic_acknowledge_extint.
 * It goes before lapic_pending(). */
bool lapic_extint(const struct lapic *l);
void lapic_acknowledge_extint(struct lapic *l, uint64_t now_cycles);

/* Takes the highest-priority interrupt (IRR to ISR) and returns its vector; the spurious vector if none is
 * left. */
uint8_t lapic_acknowledge(struct lapic *l, uint64_t now_cycles);

/* Pins LINT0 and LINT1; has the shape of irq_line.set, target is the lapic. */
void lapic_set_lint(void *lapic, unsigned pin, bool level, uint64_t now_cycles);

/* Is LINT0 or LINT1 not masked, and asks for an NMI, INIT or SMI? */
bool lapic_lint_is_unmaskable(const struct lapic *l, unsigned pin);

/* A local source (LVT_THERMAL, LVT_PERF, LVT_CMCI) fires once. */
void lapic_local_interrupt(struct lapic *l, enum lapic_lvt source, uint64_t now_cycles);

/* For the bus: does a message reach this APIC, its arbitration priority, and its arrival. */
bool lapic_matches(const struct lapic *l, const struct apic_message *m);
unsigned lapic_priority(const struct lapic *l);
bool lapic_accepts_fixed(const struct lapic *l); /* enabled by APIC_BASE and SVR */
void lapic_deliver(struct lapic *l, const struct apic_message *m, uint64_t now_cycles);
void lapic_bus_room(struct lapic *l, uint64_t now_cycles);

#endif
