/*
 * POST code, DMA page registers and an empty PCI bus.
 *
 * Source: IBM PC/AT technical reference, "DMA Page Registers"; PCI local bus specification 3.0,
 * "Configuration Mechanism #1".
 *
 * Deviations: the page registers are latches only, for there is no DMA controller. There is no host bridge
 * either: every configuration read gives ones.
 */

#include "dev/legacy_ports.h"

#include "dev/byte_ports.h"

#define CONFIG_ADDRESS_KEPT UINT32_C(0x80fffffc)

static uint8_t read_page(void *dev, const struct bus_cx *cx, uint16_t port)
{
    (void)cx;
    const struct legacy_ports *l = dev;
    unsigned index = port - LEGACY_PAGE_PORT;
    return index < LEGACY_PAGE_PORTS ? l->page[index] : 0xff;
}

static void write_page(void *dev, const struct bus_cx *cx, uint16_t port, uint8_t value)
{
    (void)cx;
    struct legacy_ports *l = dev;
    unsigned index = port - LEGACY_PAGE_PORT;
    if (index < LEGACY_PAGE_PORTS) {
        l->page[index] = value;
    }
}

static bool is_config_address(uint16_t port, unsigned size_bytes)
{
    return port == PCI_CONFIG_ADDRESS_PORT && size_bytes == 4; /* narrower ones are ordinary port accesses */
}

static uint64_t legacy_read(void *dev, const struct bus_cx *cx, uint16_t port, unsigned size_bytes)
{
    const struct legacy_ports *l = dev;
    if (is_config_address(port, size_bytes)) {
        return l->config_address;
    }
    return port >= PCI_CONFIG_ADDRESS_PORT ? UINT32_MAX
                                           : byte_ports_read(read_page, dev, cx, port, size_bytes);
}

static void legacy_write(void *dev, const struct bus_cx *cx, uint16_t port, uint64_t value,
                         unsigned size_bytes)
{
    struct legacy_ports *l = dev;
    if (is_config_address(port, size_bytes)) {
        l->config_address = (uint32_t)value & CONFIG_ADDRESS_KEPT;
    } else if (port < PCI_CONFIG_ADDRESS_PORT) {
        byte_ports_write(write_page, dev, cx, port, value, size_bytes);
    }
}

void legacy_ports_init(struct legacy_ports *l)
{
    *l = (struct legacy_ports){0};
}

void legacy_ports_visit(struct legacy_ports *l, struct visitor *v)
{
    visit_array(v, "page", l->page, 1, LEGACY_PAGE_PORTS);
    visit_u32(v, "config_address", &l->config_address);
}

static void visit_op(void *dev, struct visitor *v)
{
    legacy_ports_visit(dev, v);
}

const struct device_ops legacy_ports_ops = {
    .name = "legacy_ports",
    .port_read = legacy_read,
    .port_write = legacy_write,
    .visit = visit_op,
};
