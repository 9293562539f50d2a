#ifndef ORRERY_TEST_DEV_HARNESS_H
#define ORRERY_TEST_DEV_HARNESS_H

/* What the device tests share: a recorder of line changes, requests and bytes, byte access to ports, and
 * running the event queue. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/clock.h"
#include "core/device.h"
#include "core/event.h"

#define LOG_MAX 4096u

struct line_change {
    unsigned line;
    bool level;
    uint64_t at;
};

struct line_log {
    struct line_change changes[LOG_MAX];
    unsigned count;
};

static inline void log_line(void *target, unsigned line, bool level, uint64_t now_cycles)
{
    struct line_log *log = target;
    assert_true(log->count < LOG_MAX);
    log->changes[log->count++] = (struct line_change){line, level, now_cycles};
}

static inline struct irq_line line_to(struct line_log *log, unsigned line)
{
    return (struct irq_line){log_line, log, line};
}

static inline void assert_change(const struct line_log *log, unsigned index, bool level, uint64_t at)
{
    assert_true(index < log->count);
    assert_int_equal(log->changes[index].level, level);
    assert_int_equal(log->changes[index].at, at);
}

struct byte_log {
    uint8_t bytes[LOG_MAX];
    uint64_t at[LOG_MAX];
    unsigned count;
};

static inline void log_byte(void *target, uint8_t byte, uint64_t now_cycles)
{
    struct byte_log *log = target;
    assert_true(log->count < LOG_MAX);
    log->at[log->count] = now_cycles;
    log->bytes[log->count++] = byte;
}

struct request_log {
    enum machine_request last;
    uint32_t value;
    uint64_t at;
    unsigned count;
};

static inline void log_request(void *target, enum machine_request request, uint32_t value,
                               uint64_t now_cycles)
{
    struct request_log *log = target;
    *log = (struct request_log){request, value, now_cycles, log->count + 1};
}

static inline unsigned in_sized(const struct device_ops *ops, void *dev, uint16_t port, unsigned size,
                                uint64_t now)
{
    struct bus_cx cx = {now, 0};
    return (unsigned)ops->port_read(dev, &cx, port, size);
}

static inline void out_sized(const struct device_ops *ops, void *dev, uint16_t port, unsigned value,
                             unsigned size, uint64_t now)
{
    struct bus_cx cx = {now, 0};
    ops->port_write(dev, &cx, port, value, size);
}

static inline unsigned in8(const struct device_ops *ops, void *dev, uint16_t port, uint64_t now)
{
    return in_sized(ops, dev, port, 1, now);
}

static inline void out8(const struct device_ops *ops, void *dev, uint16_t port, unsigned value, uint64_t now)
{
    out_sized(ops, dev, port, value, 1, now);
}

/* Fires everything that is due up to now. */
static inline void run_until(struct event_queue *q, uint64_t now)
{
    while (event_fire_one(q, now)) {
    }
}

/* Saves what device a visits, loads it into b, and asserts that both then have the same digest. */
static inline void assert_state_moves(const struct device_ops *ops, void *a, void *b)
{
    struct state_buffer buffer = {0};
    struct buffer_visitor save, load, compare;
    save_visitor_init(&save, VISIT_MODEL, &buffer);
    ops->visit(a, &save.base);
    assert_true(buffer.size > 0);
    load_visitor_init(&load, VISIT_MODEL, &buffer);
    ops->visit(b, &load.base);
    assert_int_equal(buffer.position, buffer.size);
    compare_visitor_init(&compare, VISIT_MODEL, &buffer);
    ops->visit(b, &compare.base);
    assert_false(compare.differs);
    state_buffer_deinit(&buffer);
}

#endif
