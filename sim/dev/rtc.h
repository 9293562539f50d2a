#ifndef ORRERY_DEV_RTC_H
#define ORRERY_DEV_RTC_H

/* The MC146818 real-time clock with 128 bytes of CMOS memory, ports 0x70 and 0x71. */

#include "core/device.h"
#include "core/event.h"
#include "core/pc_map.h"

#define RTC_CMOS_BYTES 128u
#define RTC_CENTURY    0x32u /* the FADT's CENTURY field names this byte */

struct rtc_date {
    uint16_t year; /* 1900..2099 */
    uint8_t month, day, hour, minute, second;
};

struct rtc {
    struct event_queue *events;
    struct irq_line irq;
    unsigned update_timer, periodic_timer;

    /* state */
    uint8_t cmos[RTC_CMOS_BYTES]; /* registers A to D among them */
    uint8_t index;                /* port 0x70, bit 7 is the NMI mask */
    bool irq_level;
    bool counting;          /* the divider chain runs */
    uint64_t phase_cycles;  /* when the divider chain was at zero */
    uint64_t update_ticks;  /* 32768 Hz ticks from there to the end of the next update */
    uint64_t periodic_seen; /* periods that register C has shown */
};

/* start is the date at cycle 0. */
void rtc_init(struct rtc *r, const struct rtc_date *start, struct event_queue *events,
              const struct irq_line *irq);

/* The board's reset line: interrupt enables and flags only; time and memory are on a battery. */
void rtc_reset(struct rtc *r, uint64_t now_cycles);
void rtc_visit(struct rtc *r, struct visitor *v);
extern const struct device_ops rtc_ops; /* ports 0x70, 0x71 */

/* Sets a byte of CMOS memory (index 0x0e..0x7f but RTC_CENTURY), for the board: memory size, equipment. */
void rtc_set_cmos(struct rtc *r, unsigned index, uint8_t value);

/* Monday is 2 .. Sunday is 1, as the chip counts. */
unsigned rtc_weekday(const struct rtc_date *d);

#endif
