/* What the types of objects do: one row a type that does anything. */
#include "object/object.h"

#include "ipc/channel.h"
#include "ipc/hardware.h"
#include "ipc/ipc.h"
#include "ipc/notification.h"
#include "ipc/region.h"

const struct object_ops object_ops[CAP_TYPE_COUNT] = {
    [CAP_NONE] = {.release = NULL},
    [CAP_ENDPOINT] = {.release = ipc_endpoint_release,
                      .added = ipc_endpoint_added,
                      .removed = ipc_endpoint_removed},
    [CAP_REPLY] = {.release = ipc_reply_release},
    [CAP_CHANNEL] = {.release = channel_release, .added = channel_added, .removed = channel_removed},
    [CAP_PORTS] = {.release = ports_release},
    [CAP_IRQ] = {.release = irq_release, .removed = irq_removed},
    [CAP_REGION] = {.release = region_release, .removed = region_removed},
    [CAP_DEVICE] = {.release = region_release, .removed = region_removed},
    [CAP_NOTIFICATION] = {.release = notification_release, .removed = notification_removed},
};
