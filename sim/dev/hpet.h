#ifndef ORRERY_DEV_HPET_H
#define ORRERY_DEV_HPET_H

/* The high precision event timer: a 64-bit counter and 3 to 32 comparators, memory-mapped. */

#include "core/device.h"
#include "core/event.h"

#define HPET_SIZE_BYTES 1024u
#define HPET_TIMERS_MAX 8u

#define HPET_HZ_10M UINT64_C(10000000)
#define HPET_HZ_14M UINT64_C(14318180)

enum hpet_register {
    HPET_CAPABILITIES = 0x000,
    HPET_CONFIGURATION = 0x010,
    HPET_INTERRUPT_STATUS = 0x020,
    HPET_MAIN_COUNTER = 0x0f0,
    HPET_TIMER_CONFIGURATION = 0x100, /* + 0x20 * timer, and so below */
    HPET_TIMER_COMPARATOR = 0x108
};

#define HPET_ENABLE_CNF UINT64_C(1)
#define HPET_LEG_RT_CNF UINT64_C(2)

#define HPET_TN_INT_TYPE_LEVEL UINT64_C(0x2)
#define HPET_TN_INT_ENB        UINT64_C(0x4)
#define HPET_TN_PERIODIC       UINT64_C(0x8)
#define HPET_TN_PER_INT_CAP    UINT64_C(0x10)
#define HPET_TN_SIZE_CAP       UINT64_C(0x20)
#define HPET_TN_VAL_SET        UINT64_C(0x40)
#define HPET_TN_32MODE         UINT64_C(0x100)
#define HPET_TN_INT_ROUTE      UINT64_C(0x3e00)

struct hpet_config {
    unsigned timers;     /* 3 .. HPET_TIMERS_MAX */
    uint64_t hz;         /* HPET_HZ_10M or HPET_HZ_14M; at least 10 MHz, below the machine's clock */
    uint32_t route_mask; /* I/O APIC inputs that a comparator may be routed to */
};

struct hpet_wiring {
    struct irq_line ioapic;    /* line is the number of I/O APIC input 0; a route is added */
    struct irq_line legacy[2]; /* legacy replacement: comparator 0 as IRQ 0, comparator 1 as IRQ 8 */
    struct irq_line legacy_on; /* level of LEG_RT_CNF: the board takes PIT and RTC off their inputs */
};

struct hpet_timer {
    uint64_t configuration; /* the writable bits */
    uint64_t comparator, period;
    bool asserted;
};

struct hpet {
    struct hpet_config config;
    struct hpet_wiring wiring;
    struct event_queue *events;
    unsigned first_event;

    /* state */
    uint64_t configuration, status;
    uint64_t base_count,
        base_cycles; /* the counter had base_count at base_cycles; while disabled it has it still */
    struct hpet_timer timers[HPET_TIMERS_MAX];
    uint32_t ioapic_levels;
    uint8_t legacy_levels; /* bits 1..0 legacy[], bit 2 legacy_on */
};

void hpet_init(struct hpet *h, const struct hpet_config *config, const struct hpet_wiring *wiring,
               struct event_queue *events);
void hpet_reset(struct hpet *h, uint64_t now_cycles);
void hpet_visit(struct hpet *h, struct visitor *v);
extern const struct device_ops hpet_ops;

#endif
