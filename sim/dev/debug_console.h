#ifndef ORRERY_DEV_DEBUG_CONSOLE_H
#define ORRERY_DEV_DEBUG_CONSOLE_H

/* The debug console: bytes written to a port go out; a read gives the port's number, which tells that it
 * exists. */

#include "core/device.h"
#include "core/pc_map.h"

struct debug_console {
    struct byte_sink out;
};

void debug_console_init(struct debug_console *d, const struct byte_sink *out);
extern const struct device_ops debug_console_ops; /* port 0xe9; it has no state */

#endif
