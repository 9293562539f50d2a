/*
 * The debug exit port: REQUEST_DEBUG_EXIT with the value written, at its width of 1, 2 or 4 bytes.
 *
 * Source: the behaviour of the device of that name which emulators offer at this port (port block of 4, any
 * of which takes the value); reads give zero. Deviations: none known.
 */

#include "dev/debug_exit.h"

static uint64_t debug_exit_read(void *dev, const struct bus_cx *cx, uint16_t port, unsigned size_bytes)
{
    (void)dev;
    (void)cx;
    (void)port;
    (void)size_bytes;
    return 0;
}

static void debug_exit_write(void *dev, const struct bus_cx *cx, uint16_t port, uint64_t value,
                             unsigned size_bytes)
{
    (void)port;
    (void)size_bytes;
    const struct debug_exit *d = dev;
    request_raise(&d->request, REQUEST_DEBUG_EXIT, (uint32_t)value, cx->now_cycles);
}

void debug_exit_init(struct debug_exit *d, const struct request_line *request)
{
    *d = (struct debug_exit){.request = *request};
}

const struct device_ops debug_exit_ops = {
    .name = "debug_exit",
    .port_read = debug_exit_read,
    .port_write = debug_exit_write,
    .stateless = true,
};
