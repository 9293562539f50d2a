#ifndef ORRERY_DEV_LEGACY_PORTS_H
#define ORRERY_DEV_LEGACY_PORTS_H

/* Ports that software on a PC touches in passing: POST code and DMA page registers, and PCI configuration
 * mechanism 1 with an empty bus. */

#include "core/device.h"
#include "core/pc_map.h"

#define LEGACY_PAGE_PORTS     16u
#define PCI_CONFIG_DATA_PORTS 4u

struct legacy_ports {
    uint8_t page[LEGACY_PAGE_PORTS];
    uint32_t config_address;
};

void legacy_ports_init(struct legacy_ports *l);
void legacy_ports_visit(struct legacy_ports *l, struct visitor *v);
extern const struct device_ops legacy_ports_ops;

#endif
