/*
 * ACPI tables of both boards.
 * Source: ACPI Specification 6.4, "ACPI Software Programming Model"; IA-PC HPET Specification 1.0a,
 * "The ACPI 2.0 HPET Description Table".
 * Deviations: no thermal, battery or processor objects; the PCI host is not described (there is no PCI bus).
 */

#include "machine/firmware.h"

#include "base/bits.h"
#include "base/check.h"
#include "machine/aml.h"

#include <string.h>

#define TABLES_MAX 8u

/* Being written: the tables area and the addresses of the tables that the XSDT names. */
struct tables {
    struct aml out;
    uint64_t base;
    uint64_t named[TABLES_MAX];
    unsigned named_count;
};

static size_t table_begin(struct tables *t, const char *signature, unsigned revision)
{
    while (t->out.size % 16) {
        aml_u8(&t->out, 0);
    }
    size_t mark = t->out.size;
    aml_bytes(&t->out, signature, 4);
    aml_u32(&t->out, 0); /* length, by table_end */
    aml_u8(&t->out, revision);
    aml_u8(&t->out, 0); /* checksum, by table_end */
    aml_bytes(&t->out, "ORRERY", 6);
    aml_bytes(&t->out, "ORRERYPC", 8);
    aml_u32(&t->out, 1);
    aml_bytes(&t->out, "ORRY", 4);
    aml_u32(&t->out, 1);
    return mark;
}

static uint64_t table_end(struct tables *t, size_t mark)
{
    uint8_t *table = t->out.bytes + mark;
    store_le32(table + 4, (uint32_t)(t->out.size - mark));
    table[9] = aml_checksum(table, t->out.size - mark);
    return t->base + mark;
}

static void table_name(struct tables *t, size_t mark)
{
    CHECK(t->named_count < TABLES_MAX, "too many ACPI tables");
    t->named[t->named_count++] = table_end(t, mark);
}

/* A generic address structure. */
static void gas(struct aml *a, unsigned space, unsigned bits, unsigned access, uint64_t address)
{
    aml_u8(a, space); /* 0 memory, 1 I/O */
    aml_u8(a, bits);
    aml_u8(a, 0);
    aml_u8(a, access);
    aml_u64(a, address);
}

/* ---- DSDT ---- */

static void dsdt_s5(struct aml *a)
{
    aml_u8(a, AML_NAME_OP);
    aml_name(a, "\\_S5_");
    size_t package = aml_begin(a, AML_NO_PREFIX, AML_PACKAGE);
    aml_u8(a, 4);
    aml_integer(a, SLP_TYP_S5);
    aml_integer(a, SLP_TYP_S5);
    aml_integer(a, 0);
    aml_integer(a, 0);
    aml_end(a, package);
}

static size_t device_begin(struct aml *a, const char *name)
{
    size_t mark = aml_begin(a, AML_EXT, AML_DEVICE);
    aml_name(a, name);
    return mark;
}

static void name_string(struct aml *a, const char *name, const char *text)
{
    aml_u8(a, AML_NAME_OP);
    aml_name(a, name);
    aml_string(a, text);
}

static void name_integer(struct aml *a, const char *name, uint64_t v)
{
    aml_u8(a, AML_NAME_OP);
    aml_name(a, name);
    aml_integer(a, v);
}

/* _CRS with the given resource bytes and an end tag. */
static void name_resources(struct aml *a, const uint8_t *resources, size_t size)
{
    aml_u8(a, AML_NAME_OP);
    aml_name(a, "_CRS");
    size_t buffer = aml_begin(a, AML_NO_PREFIX, AML_BUFFER);
    aml_integer(a, size + 2);
    aml_bytes(a, resources, size);
    aml_u8(a, 0x79); /* end tag */
    aml_u8(a, 0);    /* checksum 0: treated as correct */
    aml_end(a, buffer);
}

static void dsdt_uart(struct aml *a, const char *name, unsigned uid, unsigned port, unsigned irq)
{
    uint8_t resources[11] = {0x47, 1, 0, 0, 0, 0, 1, 8, 0x22, 0, 0}; /* IO (Decode16), IRQNoFlags */
    store_le16(resources + 2, (uint16_t)port);
    store_le16(resources + 4, (uint16_t)port);
    store_le16(resources + 9, (uint16_t)(1u << irq));
    size_t device = device_begin(a, name);
    aml_u8(a, AML_NAME_OP);
    aml_name(a, "_HID");
    aml_u8(a, 0x0c);
    aml_u32(a, 0x0105d041); /* EISA id PNP0501 */
    name_integer(a, "_UID", uid);
    name_resources(a, resources, sizeof resources);
    aml_end(a, device);
}

/* The generic event device: an event handler that has nothing to report, since nothing is hot-pluggable. */
static void dsdt_ged(struct aml *a)
{
    uint8_t resources[9] = {0x89, 6, 0, 0x01, 1, 0, 0, 0, 0}; /* extended interrupt: consumer, level, high */
    store_le32(resources + 5, GSI_GED);
    size_t device = device_begin(a, "GED_");
    name_string(a, "_HID", "ACPI0013");
    name_string(a, "_UID", "GED");
    name_resources(a, resources, sizeof resources);
    size_t method = aml_begin(a, AML_NO_PREFIX, AML_METHOD);
    aml_name(a, "_EVT");
    aml_u8(a, 0x09); /* one argument, serialised */
    aml_end(a, method);
    aml_end(a, device);
}

/* A virtio device over MMIO, by the name and in the form that QEMU's board microvm uses. */
static void dsdt_virtio(struct aml *a, unsigned slot)
{
    uint8_t resources[21] = {0x86, 9, 0, 1};                  /* Memory32Fixed, writable */
    uint8_t interrupt[9] = {0x89, 6, 0, 0x01, 1, 0, 0, 0, 0}; /* extended interrupt: consumer, level, high */
    char name[5] = {'V', 'R', '0', (char)('0' + slot), 0};
    store_le32(resources + 4, (uint32_t)virtio_slot_base(slot));
    store_le32(resources + 8, VIRTIO_MMIO_SIZE_BYTES);
    store_le32(interrupt + 5, GSI_VIRTIO + slot);
    memcpy(resources + 12, interrupt, sizeof interrupt);
    size_t device = device_begin(a, name);
    name_string(a, "_HID", "LNRO0005");
    name_integer(a, "_UID", slot);
    name_integer(a, "_CCA", 1);
    name_resources(a, resources, sizeof resources);
    aml_end(a, device);
}

static uint64_t write_dsdt(struct tables *t, const struct sim_config *c)
{
    size_t mark = table_begin(t, "DSDT", 2);
    struct aml *a = &t->out;
    dsdt_s5(a);
    size_t scope = aml_begin(a, AML_NO_PREFIX, AML_SCOPE);
    aml_name(a, "\\_SB_");
    dsdt_uart(a, "COM1", 1, COM1_PORT, IRQ_COM1);
    dsdt_uart(a, "COM2", 2, COM2_PORT, IRQ_COM2);
    if (c->board == BOARD_MICROVM) {
        dsdt_ged(a);
    }
    for (unsigned i = 0; i < c->disk_count; i++) {
        dsdt_virtio(a, i);
    }
    if (c->entropy) {
        dsdt_virtio(a, VIRTIO_SLOT_ENTROPY);
    }
    aml_end(a, scope);
    return table_end(t, mark);
}

/* ---- FADT ---- */

#define FADT_WBINVD          BIT(0)
#define FADT_PROC_C1         BIT(2)
#define FADT_SLP_BUTTON      BIT(5)
#define FADT_TMR_VAL_EXT     BIT(8)
#define FADT_RESET_REG_SUP   BIT(10)
#define FADT_HW_REDUCED_ACPI BIT(20)
#define FADT_PWR_BUTTON      BIT(4)
#define IAPC_LEGACY_DEVICES  BIT(0)
#define IAPC_8042            BIT(1)

static void fadt_ports_pc(struct aml *a)
{
    aml_u32(a, PM1A_EVENT_PORT);
    aml_u32(a, 0);
    aml_u32(a, PM1A_CONTROL_PORT);
    aml_u32(a, 0);
    aml_u32(a, 0); /* PM2_CNT */
    aml_u32(a, PM_TIMER_PORT);
    aml_u32(a, GPE0_PORT);
    aml_u32(a, 0);
    aml_u8(a, 4); /* PM1_EVT_LEN */
    aml_u8(a, 2);
    aml_u8(a, 0);
    aml_u8(a, 4);
    aml_u8(a, ACPI_GPE0_PORTS);
    aml_zero(a, 3);
}

static void fadt_x_blocks(struct aml *a, bool pc)
{
    if (!pc) {
        aml_zero(a, 8 * 12);
        gas(a, 0, 8, 1, GED_SLEEP_BASE);     /* sleep control */
        gas(a, 0, 8, 1, GED_SLEEP_BASE + 1); /* sleep status */
        return;
    }
    gas(a, 1, 32, 2, PM1A_EVENT_PORT);
    aml_zero(a, 12);
    gas(a, 1, 16, 2, PM1A_CONTROL_PORT);
    aml_zero(a, 12);
    aml_zero(a, 12);
    gas(a, 1, 32, 3, PM_TIMER_PORT);
    gas(a, 1, ACPI_GPE0_PORTS * 8, 1, GPE0_PORT);
    aml_zero(a, 12);
    aml_zero(a, 2 * 12); /* no sleep registers */
}

static void write_fadt(struct tables *t, const struct sim_config *c, uint64_t facs, uint64_t dsdt)
{
    bool pc = c->board == BOARD_PC;
    size_t mark = table_begin(t, "FACP", 5);
    struct aml *a = &t->out;
    aml_u32(a, pc ? facs : 0);
    aml_u32(a, dsdt);
    aml_u8(a, 0);
    aml_u8(a, 0); /* preferred profile: unspecified */
    aml_u16(a, pc ? IRQ_SCI : 0);
    aml_zero(a, 8); /* SMI_CMD 0: already in ACPI mode */
    if (pc) {
        fadt_ports_pc(a);
    } else {
        aml_zero(a, 40);
    }
    aml_u16(a, 0xffff); /* no C2 */
    aml_u16(a, 0xffff); /* no C3 */
    aml_zero(a, 4 + 2);
    aml_u8(a, 0);
    aml_u8(a, 0);
    aml_u8(a, 0x32); /* century register of the RTC */
    aml_u16(a, (unsigned)(pc ? IAPC_LEGACY_DEVICES | IAPC_8042 : 0));
    aml_u8(a, 0);
    uint64_t flags = FADT_WBINVD | FADT_PROC_C1 | FADT_PWR_BUTTON | FADT_SLP_BUTTON | FADT_RESET_REG_SUP;
    aml_u32(a, flags | (pc ? FADT_TMR_VAL_EXT : FADT_HW_REDUCED_ACPI));
    if (pc) {
        gas(a, 1, 8, 1, RESET_PORT);
        aml_u8(a, 6);
    } else {
        gas(a, 0, 8, 1, GED_SLEEP_BASE + 2);
        aml_u8(a, 0x42);
    }
    aml_u16(a, 0);
    aml_u8(a, 1); /* minor version: 5.1 */
    aml_u64(a, pc ? facs : 0);
    aml_u64(a, dsdt);
    fadt_x_blocks(a, pc);
    table_name(t, mark);
}

static uint64_t write_facs(struct tables *t)
{
    struct aml *a = &t->out;
    while (a->size % 64) {
        aml_u8(a, 0);
    }
    uint64_t at = t->base + a->size;
    aml_bytes(a, "FACS", 4);
    aml_u32(a, 64);
    aml_zero(a, 24);
    aml_u8(a, 2);
    aml_zero(a, 31);
    return at;
}

/* ---- MADT, SRAT, SLIT, HPET ---- */

static void madt_override(struct aml *a, unsigned source, unsigned gsi, unsigned flags)
{
    aml_u8(a, 2);
    aml_u8(a, 10);
    aml_u8(a, 0);
    aml_u8(a, source);
    aml_u32(a, gsi);
    aml_u16(a, flags);
}

static void write_madt(struct tables *t, const struct sim_config *c)
{
    bool pc = c->board == BOARD_PC;
    size_t mark = table_begin(t, "APIC", 4);
    struct aml *a = &t->out;
    aml_u32(a, LAPIC_BASE);
    aml_u32(a, pc); /* PCAT_COMPAT: the 8259 pair is there */
    for (unsigned i = 0; i < c->cpus; i++) {
        aml_u8(a, 0);
        aml_u8(a, 8);
        aml_u8(a, i);
        aml_u8(a, i);
        aml_u32(a, 1);
    }
    aml_u8(a, 1);
    aml_u8(a, 12);
    aml_u8(a, IOAPIC_ID(c->cpus));
    aml_u8(a, 0);
    aml_u32(a, IOAPIC_BASE);
    aml_u32(a, 0);
    if (pc) {
        madt_override(a, IRQ_PIT, GSI_PIT, 0);
        madt_override(a, IRQ_SCI, IRQ_SCI, 0xd); /* level, active high */
    }
    aml_u8(a, 4); /* LINT1 of every local APIC is NMI */
    aml_u8(a, 6);
    aml_u8(a, 0xff);
    aml_u16(a, 0);
    aml_u8(a, 1);
    table_name(t, mark);
}

static void srat_memory(struct aml *a, unsigned node, const struct ram_range *r)
{
    aml_u8(a, 1);
    aml_u8(a, 40);
    aml_u32(a, node);
    aml_u16(a, 0);
    aml_u64(a, r->base.v);
    aml_u64(a, r->size_bytes);
    aml_u32(a, 0);
    aml_u32(a, 1); /* enabled */
    aml_u64(a, 0);
}

static void write_srat(struct tables *t, const struct sim_config *c, const struct memory_map *map)
{
    size_t mark = table_begin(t, "SRAT", 3);
    struct aml *a = &t->out;
    aml_u32(a, 1);
    aml_u64(a, 0);
    for (unsigned i = 0; i < c->cpus; i++) {
        aml_u8(a, 0);
        aml_u8(a, 16);
        aml_u8(a, firmware_node_of_cpu(c, i));
        aml_u8(a, i);
        aml_u32(a, 1);
        aml_u32(a, 0);
        aml_u32(a, 0);
    }
    for (unsigned node = 0; node < c->numa_nodes; node++) {
        struct ram_range ranges[2];
        unsigned count = firmware_node_memory(c, map, node, ranges);
        for (unsigned i = 0; i < count; i++) {
            srat_memory(a, node, &ranges[i]);
        }
    }
    table_name(t, mark);
}

static void write_slit(struct tables *t, const struct sim_config *c)
{
    size_t mark = table_begin(t, "SLIT", 1);
    struct aml *a = &t->out;
    aml_u64(a, c->numa_nodes);
    for (unsigned i = 0; i < c->numa_nodes; i++) {
        for (unsigned j = 0; j < c->numa_nodes; j++) {
            aml_u8(a, i == j ? 10 : 20);
        }
    }
    table_name(t, mark);
}

static void write_hpet(struct tables *t)
{
    size_t mark = table_begin(t, "HPET", 1);
    struct aml *a = &t->out;
    aml_u32(a, 0x8086a201); /* as the capability register: 64-bit, legacy route, 3 comparators, revision 1 */
    gas(a, 0, 0, 0, HPET_BASE);
    aml_u8(a, 0);
    aml_u16(a, 100); /* minimum tick in periodic mode */
    aml_u8(a, 0);
    table_name(t, mark);
}

static uint64_t write_xsdt(struct tables *t)
{
    size_t mark = table_begin(t, "XSDT", 1);
    for (unsigned i = 0; i < t->named_count; i++) {
        aml_u64(&t->out, t->named[i]);
    }
    return table_end(t, mark);
}

static uint64_t write_rsdt(struct tables *t)
{
    size_t mark = table_begin(t, "RSDT", 1);
    for (unsigned i = 0; i < t->named_count; i++) {
        aml_u32(&t->out, t->named[i]);
    }
    return table_end(t, mark);
}

static void write_rsdp(struct bus *bus, uint64_t rsdt, uint64_t xsdt)
{
    uint8_t r[36] = {0};
    memcpy(r, "RSD PTR ", 8);   // NOLINT(bugprone-not-null-terminated-result): fields of a fixed width
    memcpy(r + 9, "ORRERY", 6); // NOLINT(bugprone-not-null-terminated-result)
    r[15] = 2;
    store_le32(r + 16, (uint32_t)rsdt);
    store_le32(r + 20, sizeof r);
    store_le64(r + 24, xsdt);
    r[8] = aml_checksum(r, 20);
    r[32] = aml_checksum(r, sizeof r);
    bus_load(bus, phys(RSDP_BASE), r, sizeof r);
}

void firmware_write_acpi(struct bus *bus, const struct sim_config *c, const struct memory_map *map)
{
    struct tables t = {.base = map->acpi_base};
    uint64_t facs = c->board == BOARD_PC ? write_facs(&t) : 0;
    uint64_t dsdt = write_dsdt(&t, c);
    write_fadt(&t, c, facs, dsdt);
    write_madt(&t, c);
    write_srat(&t, c, map);
    write_slit(&t, c);
    if (c->board == BOARD_PC) {
        write_hpet(&t);
    }
    uint64_t rsdt = write_rsdt(&t);
    uint64_t xsdt = write_xsdt(&t);
    CHECK(t.out.size <= ACPI_TABLES_BYTES, "ACPI tables of %zu bytes", t.out.size);
    bus_load(bus, phys(t.base), t.out.bytes, t.out.size);
    write_rsdp(bus, rsdt, xsdt);
}
