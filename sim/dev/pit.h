#ifndef ORRERY_DEV_PIT_H
#define ORRERY_DEV_PIT_H

/* The 8254 interval timer, and port 0x61, through which a PC drives and reads its channel 2. */

#include "core/device.h"
#include "core/event.h"
#include "core/pc_map.h"

#define PIT_HZ UINT64_C(1193182)

struct pit_channel {
    uint8_t mode;   /* 0..5 */
    uint8_t access; /* RW1, RW0: 1 LSB, 2 MSB, 3 both */
    bool bcd;
    bool gate;
    bool write_high, read_high; /* the next byte is the MSB */
    uint8_t write_low;          /* LSB kept until the MSB comes */
    bool count_latched, status_latched;
    uint16_t latch;
    uint8_t status;
    uint16_t count_register;
    bool programmed;      /* a count was written since the control word */
    bool null_count;      /* count_register has not reached the counting element */
    bool loaded;          /* the counting element was loaded since the control word */
    bool running;         /* it counts; else it stands at start_count */
    bool expired;         /* modes 0, 1, 4, 5: zero was reached before it was stopped */
    bool start_high;      /* mode 3: the half-cycle that begins at start_tick is the high one */
    uint32_t initial;     /* what was loaded: 1..65536 */
    uint32_t start_count; /* the counting element at start_tick */
    uint64_t start_tick;  /* in ticks of PIT_HZ since cycle 0 */
    uint64_t load_tick;   /* the CLK pulse that will load the counting element, or EVENT_NEVER */
};

struct pit {
    struct event_queue *events;
    struct irq_line out0; /* OUT of channel 0 */
    unsigned timer;

    /* state */
    struct pit_channel channels[3];
    uint8_t control; /* port 0x61 bits 3..0 as written; bit 0 is GATE 2 */
    bool out0_level;
};

void pit_init(struct pit *p, struct event_queue *events, const struct irq_line *out0);
void pit_reset(struct pit *p, uint64_t now_cycles);
void pit_visit(struct pit *p, struct visitor *v);
extern const struct device_ops pit_ops; /* ports 0x40..0x43 and 0x61 */

#endif
