/*
 * The debug console at port 0xe9.
 *
 * Source: the port E9 hack, as emulators have it. Deviations: only the low byte of a wider write goes out.
 */

#include "dev/debug_console.h"

static uint64_t debug_console_read(void *dev, const struct bus_cx *cx, uint16_t port, unsigned size_bytes)
{
    (void)dev;
    (void)cx;
    (void)size_bytes;
    return port;
}

static void debug_console_write(void *dev, const struct bus_cx *cx, uint16_t port, uint64_t value,
                                unsigned size_bytes)
{
    (void)port;
    (void)size_bytes;
    const struct debug_console *d = dev;
    if (d->out.write) {
        d->out.write(d->out.target, (uint8_t)value, cx->now_cycles);
    }
}

void debug_console_init(struct debug_console *d, const struct byte_sink *out)
{
    *d = (struct debug_console){.out = *out};
}

const struct device_ops debug_console_ops = {
    .name = "debug_console",
    .port_read = debug_console_read,
    .port_write = debug_console_write,
    .stateless = true,
};
