/*
 * The MC146818 real-time clock of a PC.
 *
 * Source: Motorola MC146818 data sheet, "Time, Calendar and Alarm Locations", "Update Cycle", "Interrupts",
 * "Registers"; the century byte at 0x32 is the PC's custom.
 *
 * The divider chain is a tick count of 32768 Hz from its last reset. An update ends every 32768 ticks; UIP is
 * set from 244 us + 1984 us (8 + 65 ticks) before. The registers change at the end of the update.
 *
 * Deviations: the time registers show the old time during an update, where the chip shows garbage. Only the
 * 32768 Hz time base (DV = 010) runs; the other two count as a stopped oscillator. No square wave, no
 * daylight saving, no low battery. The NMI mask in port 0x70 is kept but nothing behind it is modelled. A
 * time register with a value that is no time counts on from it as from its face value.
 */

#include "dev/rtc.h"

#include "base/check.h"
#include "core/clock.h"
#include "dev/byte_ports.h"

#define RTC_HZ              UINT64_C(32768)
#define UPDATE_WINDOW_TICKS 73u
#define RESTART_TICKS       (RTC_HZ / 2) /* first update after the divider is released */

enum {
    SECONDS,
    SECONDS_ALARM,
    MINUTES,
    MINUTES_ALARM,
    HOURS,
    HOURS_ALARM,
    DAY_OF_WEEK,
    DAY_OF_MONTH,
    MONTH,
    YEAR,
    REG_A,
    REG_B,
    REG_C,
    REG_D
};

#define A_UIP       0x80u
#define A_DV        0x70u
#define A_DV_NORMAL 0x20u
#define A_DV_RESET  0x60u /* both upper bits: held in reset */
#define A_RS        0x0fu

#define B_SET 0x80u
#define B_PIE 0x40u
#define B_AIE 0x20u
#define B_UIE 0x10u
#define B_DM  0x04u /* binary */
#define B_24H 0x02u

#define C_IRQF 0x80u
#define C_PF   0x40u
#define C_AF   0x20u
#define C_UF   0x10u

#define D_VRT 0x80u

#define HOURS_PM        0x80u
#define ALARM_DONT_CARE 0xc0u
#define DEFAULT_A       (A_DV_NORMAL | 6u) /* 1024 Hz */

static uint8_t encode(const struct rtc *r, unsigned value)
{
    return (uint8_t)(r->cmos[REG_B] & B_DM ? value : value / 10 << 4 | value % 10);
}

static unsigned decode(const struct rtc *r, uint8_t value)
{
    return r->cmos[REG_B] & B_DM ? value : (value >> 4) * 10u + (value & 15);
}

static uint8_t encode_hour(const struct rtc *r, unsigned hour)
{
    if (r->cmos[REG_B] & B_24H) {
        return encode(r, hour);
    }
    unsigned twelve = hour % 12 ? hour % 12 : 12;
    return (uint8_t)(encode(r, twelve) | (hour >= 12 ? HOURS_PM : 0));
}

static unsigned decode_hour(const struct rtc *r, uint8_t value)
{
    if (r->cmos[REG_B] & B_24H) {
        return decode(r, value);
    }
    unsigned twelve = decode(r, value & 0x7f) % 12;
    return twelve + (value & HOURS_PM ? 12 : 0);
}

static bool is_leap(unsigned year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static unsigned days_in_month(unsigned month, unsigned year)
{
    static const uint8_t days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (month < 1 || month > 12) {
        return 31;
    }
    return days[month - 1] + (month == 2 && is_leap(year) ? 1u : 0u);
}

unsigned rtc_weekday(const struct rtc_date *d)
{
    static const uint8_t offset[12] = {0, 3, 2, 5, 0, 3, 5, 1, 4, 6, 2, 4};
    unsigned y = d->year - (d->month < 3 ? 1u : 0u);
    return (y + y / 4 - y / 100 + y / 400 + offset[d->month - 1] + d->day) % 7 + 1;
}

static unsigned current_year(const struct rtc *r)
{
    return decode(r, r->cmos[RTC_CENTURY]) * 100 + decode(r, r->cmos[YEAR]);
}

static void set_year(struct rtc *r, unsigned year)
{
    r->cmos[RTC_CENTURY] = encode(r, year / 100 % 100);
    r->cmos[YEAR] = encode(r, year % 100);
}

static void next_day(struct rtc *r)
{
    unsigned day = decode(r, r->cmos[DAY_OF_MONTH]), month = decode(r, r->cmos[MONTH]),
             year = current_year(r);
    r->cmos[DAY_OF_WEEK] = encode(r, decode(r, r->cmos[DAY_OF_WEEK]) % 7 + 1);
    if (++day > days_in_month(month, year)) {
        day = 1;
        if (++month > 12) {
            month = 1;
            set_year(r, year + 1);
        }
    }
    r->cmos[DAY_OF_MONTH] = encode(r, day);
    r->cmos[MONTH] = encode(r, month);
}

/* Advances a register that counts 0 .. limit - 1; returns the carry. */
static bool advance(struct rtc *r, unsigned index, unsigned limit)
{
    unsigned value = decode(r, r->cmos[index]) + 1;
    r->cmos[index] = encode(r, value >= limit ? 0 : value);
    return value >= limit;
}

static void next_second(struct rtc *r)
{
    if (!advance(r, SECONDS, 60) || !advance(r, MINUTES, 60)) {
        return;
    }
    unsigned hour = decode_hour(r, r->cmos[HOURS]) + 1;
    r->cmos[HOURS] = encode_hour(r, hour >= 24 ? 0 : hour);
    if (hour >= 24) {
        next_day(r);
    }
}

static bool alarm_matches(const struct rtc *r)
{
    for (unsigned i = SECONDS; i <= HOURS; i += 2) {
        uint8_t alarm = r->cmos[i + 1];
        if ((alarm & ALARM_DONT_CARE) != ALARM_DONT_CARE && alarm != r->cmos[i]) {
            return false;
        }
    }
    return true;
}

static uint64_t ticks_at(const struct rtc *r, uint64_t now_cycles)
{
    return clock_ticks(now_cycles - r->phase_cycles, RTC_HZ);
}

static uint64_t moment_of(const struct rtc *r, uint64_t ticks)
{
    return r->phase_cycles + clock_cycles(ticks, RTC_HZ);
}

/* Ticks in a period of the periodic interrupt; 0 is none. Rates 1 and 2 are those of 8 and 9. */
static uint64_t period_ticks(const struct rtc *r)
{
    unsigned rs = r->cmos[REG_A] & A_RS;
    if (rs == 0 || !r->counting) {
        return 0;
    }
    return UINT64_C(1) << ((rs < 3 ? rs + 7 : rs) - 1);
}

static uint64_t periods_at(const struct rtc *r, uint64_t now_cycles)
{
    uint64_t period = period_ticks(r);
    return period ? ticks_at(r, now_cycles) / period : 0;
}

static void update_irq(struct rtc *r, uint64_t now_cycles)
{
    uint8_t enables = r->cmos[REG_B] & (B_PIE | B_AIE | B_UIE); /* the same bits as PF, AF, UF */
    bool level = (r->cmos[REG_C] & enables) != 0;
    r->cmos[REG_C] = (uint8_t)((r->cmos[REG_C] & (C_PF | C_AF | C_UF)) | (level ? C_IRQF : 0));
    if (level != r->irq_level) {
        r->irq_level = level;
        irq_set(&r->irq, level, now_cycles);
    }
}

/* PF is set by every period, enabled or not; without PIE nobody sees it before register C is read. */
static void note_periods(struct rtc *r, uint64_t now_cycles)
{
    uint64_t periods = periods_at(r, now_cycles);
    if (periods > r->periodic_seen) {
        r->cmos[REG_C] |= C_PF;
    }
    r->periodic_seen = periods;
}

static void arm(struct rtc *r, uint64_t now_cycles)
{
    uint64_t period = r->cmos[REG_B] & B_PIE ? period_ticks(r) : 0;
    uint64_t next_period = period ? moment_of(r, (periods_at(r, now_cycles) + 1) * period) : EVENT_NEVER;
    event_arm(r->events, r->periodic_timer, next_period);
    bool update_seen = r->counting && (r->cmos[REG_B] & (B_UIE | B_AIE));
    event_arm(r->events, r->update_timer, update_seen ? moment_of(r, r->update_ticks) : EVENT_NEVER);
}

/* Updates whose moment has come. While no interrupt can come of them they wait here for the next access, so that an
 * idle machine has nothing to wake for; with one enabled there is an event for each. */
static void catch_up(struct rtc *r, uint64_t now_cycles)
{
    while (r->counting && moment_of(r, r->update_ticks) <= now_cycles) {
        r->update_ticks += RTC_HZ;
        if (!(r->cmos[REG_B] & B_SET)) {
            next_second(r);
            r->cmos[REG_C] |= (uint8_t)(C_UF | (alarm_matches(r) ? C_AF : 0));
        }
    }
}

static void update_event(void *owner, unsigned argument, uint64_t due_cycles)
{
    (void)argument;
    struct rtc *r = owner;
    catch_up(r, due_cycles);
    note_periods(r, due_cycles);
    arm(r, due_cycles);
    update_irq(r, due_cycles);
}

static void periodic_event(void *owner, unsigned argument, uint64_t due_cycles)
{
    (void)argument;
    struct rtc *r = owner;
    catch_up(r, due_cycles);
    note_periods(r, due_cycles);
    arm(r, due_cycles);
    update_irq(r, due_cycles);
}

static uint8_t read_register_a(const struct rtc *r, uint64_t now_cycles)
{
    bool soon = r->counting && ticks_at(r, now_cycles) + UPDATE_WINDOW_TICKS >= r->update_ticks;
    bool uip = soon && !(r->cmos[REG_B] & B_SET);
    return (uint8_t)(r->cmos[REG_A] | (uip ? A_UIP : 0));
}

static uint8_t read_register_c(struct rtc *r, uint64_t now_cycles)
{
    note_periods(r, now_cycles);
    update_irq(r, now_cycles);
    uint8_t value = r->cmos[REG_C];
    r->cmos[REG_C] = 0;
    update_irq(r, now_cycles);
    return value;
}

static void write_register_a(struct rtc *r, uint8_t value, uint64_t now_cycles)
{
    note_periods(r, now_cycles);
    r->cmos[REG_A] = value & (A_DV | A_RS);
    bool counting = (value & A_DV) == A_DV_NORMAL;
    if (counting && !r->counting) {
        r->phase_cycles = now_cycles;
        r->update_ticks = RESTART_TICKS;
    }
    r->counting = counting;
    r->periodic_seen = periods_at(r, now_cycles);
    arm(r, now_cycles);
}

static void write_register_b(struct rtc *r, uint8_t value, uint64_t now_cycles)
{
    note_periods(r, now_cycles);
    r->cmos[REG_B] = value & B_SET ? value & (uint8_t)~B_UIE : value; /* SET clears UIE */
    arm(r, now_cycles);
    update_irq(r, now_cycles);
}

static void write_cmos(struct rtc *r, unsigned index, uint8_t value, uint64_t now_cycles)
{
    switch (index) {
    case REG_A:
        write_register_a(r, value, now_cycles);
        break;
    case REG_B:
        write_register_b(r, value, now_cycles);
        break;
    case REG_C:
    case REG_D: /* read-only */
        break;
    default:
        r->cmos[index] = value;
        break;
    }
}

static uint8_t read_byte(void *dev, const struct bus_cx *cx, uint16_t port)
{
    struct rtc *r = dev;
    catch_up(r, cx->now_cycles);
    if (port != RTC_PORT + 1) {
        return 0xff; /* the index cannot be read */
    }
    unsigned index = r->index & 0x7f;
    if (index == REG_A) {
        return read_register_a(r, cx->now_cycles);
    }
    return index == REG_C ? read_register_c(r, cx->now_cycles) : r->cmos[index];
}

static void write_byte(void *dev, const struct bus_cx *cx, uint16_t port, uint8_t value)
{
    struct rtc *r = dev;
    catch_up(r, cx->now_cycles);
    if (port == RTC_PORT) {
        r->index = value;
    } else if (port == RTC_PORT + 1) {
        write_cmos(r, r->index & 0x7f, value, cx->now_cycles);
    }
}

void rtc_set_cmos(struct rtc *r, unsigned index, uint8_t value)
{
    CHECK(index > REG_D && index < RTC_CMOS_BYTES && index != RTC_CENTURY, "CMOS byte %u", index);
    r->cmos[index] = value;
}

static void set_date(struct rtc *r, const struct rtc_date *d)
{
    r->cmos[SECONDS] = encode(r, d->second);
    r->cmos[MINUTES] = encode(r, d->minute);
    r->cmos[HOURS] = encode_hour(r, d->hour);
    r->cmos[DAY_OF_WEEK] = encode(r, rtc_weekday(d));
    r->cmos[DAY_OF_MONTH] = encode(r, d->day);
    r->cmos[MONTH] = encode(r, d->month);
    set_year(r, d->year);
}

void rtc_reset(struct rtc *r, uint64_t now_cycles)
{
    r->cmos[REG_B] &= (uint8_t) ~(B_PIE | B_AIE | B_UIE);
    r->cmos[REG_C] = 0;
    r->periodic_seen = periods_at(r, now_cycles);
    arm(r, now_cycles);
    update_irq(r, now_cycles);
}

void rtc_init(struct rtc *r, const struct rtc_date *start, struct event_queue *events,
              const struct irq_line *irq)
{
    *r = (struct rtc){.events = events, .irq = *irq, .counting = true, .update_ticks = RTC_HZ};
    CHECK(start->month >= 1 && start->month <= 12 && start->day >= 1 && start->year >= 1900, "start date");
    r->update_timer = event_timer_add(events, "rtc update", update_event, r, 0);
    r->periodic_timer = event_timer_add(events, "rtc periodic", periodic_event, r, 0);
    r->cmos[REG_A] = DEFAULT_A;
    r->cmos[REG_B] = B_24H;
    r->cmos[REG_D] = D_VRT;
    set_date(r, start);
    rtc_reset(r, 0);
}

void rtc_visit(struct rtc *r, struct visitor *v)
{
    visit_array(v, "cmos", r->cmos, 1, RTC_CMOS_BYTES);
    visit_u8(v, "index", &r->index);
    visit_bool(v, "irq_level", &r->irq_level);
    visit_bool(v, "counting", &r->counting);
    if (v->level >= VISIT_MACHINE) {
        visit_u64(v, "phase_cycles", &r->phase_cycles);
        visit_u64(v, "update_ticks", &r->update_ticks);
        visit_u64(v, "periodic_seen", &r->periodic_seen);
    }
}

static uint64_t rtc_port_read(void *dev, const struct bus_cx *cx, uint16_t port, unsigned size_bytes)
{
    return byte_ports_read(read_byte, dev, cx, port, size_bytes);
}

static void rtc_port_write(void *dev, const struct bus_cx *cx, uint16_t port, uint64_t value,
                           unsigned size_bytes)
{
    byte_ports_write(write_byte, dev, cx, port, value, size_bytes);
}

static void visit_op(void *dev, struct visitor *v)
{
    rtc_visit(dev, v);
}

const struct device_ops rtc_ops = {
    .name = "rtc",
    .port_read = rtc_port_read,
    .port_write = rtc_port_write,
    .visit = visit_op,
};
