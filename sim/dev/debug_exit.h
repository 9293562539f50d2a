#ifndef ORRERY_DEV_DEBUG_EXIT_H
#define ORRERY_DEV_DEBUG_EXIT_H

/* The debug exit port: a write ends the run. */

#include "core/device.h"
#include "core/pc_map.h"

#define DEBUG_EXIT_PORTS 4u

struct debug_exit {
    struct request_line request;
};

void debug_exit_init(struct debug_exit *d, const struct request_line *request);
extern const struct device_ops debug_exit_ops; /* ports 0xf4..0xf7; it has no state */

#endif
