/*
 * ACPI static tables: RSDP, RSDT/XSDT, MADT, SRAT, SLIT, HPET, FADT, and the \_S5 package of the DSDT.
 * Source: ACPI Specification 6.4, "ACPI Software Programming Model" (table formats). Tables are hostile
 * input: lengths are checked before use, sums verified. Deviations: AML is not interpreted; \_S5 is found by
 * its name and decoded as a literal package, which is how firmware writes it. Only the first 64 processors
 * are kept.
 */
#include "arch/x86_64/acpi.h"

#include "lib/string.h"

#define SDT_HEADER       36u
#define TABLE_MAX        (1u << 20)
#define ROOT_ENTRIES_MAX 256u

static struct acpi_info info;
static const void *(*reach_physical)(uint64_t address, uint64_t bytes);

const struct acpi_info *acpi_info(void)
{
    return &info;
}

static uint16_t read16(const uint8_t *at)
{
    return (uint16_t)(at[0] | at[1] << 8);
}

static uint32_t read32(const uint8_t *at)
{
    return (uint32_t)read16(at) | (uint32_t)read16(at + 2) << 16;
}

static uint64_t read64(const uint8_t *at)
{
    return (uint64_t)read32(at) | (uint64_t)read32(at + 4) << 32;
}

static bool sum_is_zero(const uint8_t *bytes, uint32_t count)
{
    uint8_t sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        sum = (uint8_t)(sum + bytes[i]);
    }
    return sum == 0;
}

/* A whole table with a right length and sum, or null. */
static const uint8_t *table_at(uint64_t address, uint32_t *length)
{
    const uint8_t *header = reach_physical(address, SDT_HEADER);
    if (header == NULL) {
        return NULL;
    }
    *length = read32(header + 4);
    if (*length < SDT_HEADER || *length > TABLE_MAX) {
        return NULL;
    }
    const uint8_t *table = reach_physical(address, *length);
    return table != NULL && sum_is_zero(table, *length) ? table : NULL;
}

static uint32_t node_of_domain(uint32_t domain)
{
    for (uint32_t i = 0; i < info.node_count; i++) {
        if (info.node_domain[i] == domain) {
            return i;
        }
    }
    if (info.node_count == ACPI_MAX_NODES) {
        return 0;
    }
    info.node_domain[info.node_count] = domain;
    return info.node_count++;
}

static void madt_add_cpu(uint32_t apic_id, uint32_t acpi_id, uint32_t flags)
{
    if (!(flags & 1)) {
        return; /* online-capable only: nothing to start */
    }
    if (info.cpu_count == HANDOFF_MAX_CPUS) {
        info.cpus_dropped++;
        return;
    }
    info.cpus[info.cpu_count++] =
        (struct handoff_cpu){.apic_id = apic_id, .acpi_id = acpi_id, .flags = HANDOFF_CPU_ENABLED};
}

static void madt_add_override(const uint8_t *entry)
{
    uint8_t source = entry[3];
    uint16_t flags = read16(entry + 8);
    if (source < ISA_IRQS) {
        info.isa[source] = (struct acpi_isa_irq){
            .gsi = read32(entry + 4), .active_low = (flags & 3) == 3, .level = ((flags >> 2) & 3) == 3};
    }
}

static void madt_add_io_apic(const uint8_t *entry)
{
    if (info.io_apic_count < ACPI_MAX_IO_APICS) {
        info.io_apics[info.io_apic_count++] = (struct acpi_io_apic){
            .id = entry[2], .address = read32(entry + 4), .gsi_base = read32(entry + 8)};
    }
}

static void madt_entry(const uint8_t *entry, uint8_t length)
{
    switch (entry[0]) {
    case 0: /* processor local APIC */
        if (length >= 8) {
            madt_add_cpu(entry[3], entry[2], read32(entry + 4));
        }
        break;
    case 1:
        if (length >= 12) {
            madt_add_io_apic(entry);
        }
        break;
    case 2:
        if (length >= 10) {
            madt_add_override(entry);
        }
        break;
    case 5: /* local APIC address override */
        if (length >= 12) {
            info.local_apic_address = read64(entry + 4);
        }
        break;
    case 9: /* processor local x2APIC */
        if (length >= 16) {
            madt_add_cpu(read32(entry + 4), read32(entry + 12), read32(entry + 8));
        }
        break;
    default:
        break;
    }
}

static void parse_madt(const uint8_t *table, uint32_t length)
{
    if (length < 44) {
        return;
    }
    info.local_apic_address = read32(table + 36);
    info.has_8259 = (read32(table + 40) & 1) != 0;
    for (uint32_t at = 44; at + 2 <= length && table[at + 1] >= 2 && at + table[at + 1] <= length;) {
        madt_entry(table + at, table[at + 1]);
        at += table[at + 1];
    }
}

static void srat_set_cpu_node(uint32_t apic_id, uint32_t node)
{
    for (uint32_t i = 0; i < info.cpu_count; i++) {
        if (info.cpus[i].apic_id == apic_id) {
            info.cpus[i].node = node;
        }
    }
}

static void srat_add_memory(const uint8_t *entry, uint32_t domain_bits)
{
    uint64_t base = read64(entry + 8);
    uint64_t size = read64(entry + 16);
    bool good = (read32(entry + 28) & 1) && size != 0 && base < HANDOFF_MAX_PHYSICAL &&
                size <= HANDOFF_MAX_PHYSICAL - base;
    if (good && info.affinity_count < HANDOFF_MAX_AFFINITIES) {
        info.affinities[info.affinity_count++] = (struct handoff_affinity){
            .span = {base, size}, .node = node_of_domain(read32(entry + 2) & domain_bits)};
    }
}

static void parse_srat(const uint8_t *table, uint32_t length)
{
    uint32_t domain_bits = table[8] < 2 ? 0xff : UINT32_MAX; /* the others were reserved in revision 1 */
    for (uint32_t at = 48; at + 2 <= length && table[at + 1] >= 2 && at + table[at + 1] <= length;) {
        const uint8_t *entry = table + at;
        if (entry[0] == 0 && entry[1] >= 16 && (read32(entry + 4) & 1)) {
            uint32_t domain =
                entry[2] | (uint32_t)entry[9] << 8 | (uint32_t)entry[10] << 16 | (uint32_t)entry[11] << 24;
            srat_set_cpu_node(entry[3], node_of_domain(domain & domain_bits));
        } else if (entry[0] == 1 && entry[1] >= 40) {
            srat_add_memory(entry, domain_bits);
        } else if (entry[0] == 2 && entry[1] >= 24 && (read32(entry + 12) & 1)) {
            srat_set_cpu_node(read32(entry + 8), node_of_domain(read32(entry + 4)));
        }
        at += entry[1];
    }
}

/* Every locality is 10 away from itself and more from others; 0 to 9 are reserved. */
static bool slit_is_sound(const uint8_t *distances, uint64_t localities)
{
    for (uint64_t from = 0; from < localities; from++) {
        for (uint64_t to = 0; to < localities; to++) {
            uint8_t distance = distances[from * localities + to];
            if (from == to ? distance != 10 : distance <= 10) {
                return false;
            }
        }
    }
    return true;
}

static void parse_slit(const uint8_t *table, uint32_t length)
{
    uint64_t localities = length >= 44 ? read64(table + 36) : 0;
    if (localities == 0 || localities > 1024 || 44 + localities * localities > length ||
        !slit_is_sound(table + 44, localities)) {
        return;
    }
    for (uint32_t from = 0; from < info.node_count; from++) {
        for (uint32_t to = 0; to < info.node_count; to++) {
            uint64_t row = info.node_domain[from];
            uint64_t column = info.node_domain[to];
            if (row < localities && column < localities) {
                info.distance[from][to] = table[44 + row * localities + column];
            }
        }
    }
}

static void parse_hpet(const uint8_t *table, uint32_t length)
{
    if (length >= 56 && table[40] == 0) { /* in memory space */
        info.hpet_address = read64(table + 44);
    }
}

/* Decodes NameOp _S5_ Package { SLP_TYPa, ... } at a place where the four letters were found. */
static bool s5_decode(const uint8_t *name, const uint8_t *end)
{
    const uint8_t *at = name + 4;
    if (end - at < 8 || *at != 0x12 /* PackageOp */) {
        return false;
    }
    at++;
    at += (*at >> 6) + 1; /* PkgLength */
    at++;                 /* number of elements */
    if (end - at < 2) {
        return false;
    }
    if (*at == 0x0a) { /* BytePrefix */
        at++;
    } else if (*at > 1) { /* neither ZeroOp nor OneOp */
        return false;
    }
    info.sleep_type_5 = *at & 7;
    return true;
}

static bool parse_dsdt(uint64_t address)
{
    uint32_t length;
    const uint8_t *table = address != 0 ? table_at(address, &length) : NULL;
    if (table == NULL) {
        return false;
    }
    for (uint32_t at = SDT_HEADER; at + 12 <= length; at++) {
        if (memcmp(table + at, "_S5_", 4) == 0 && s5_decode(table + at, table + length)) {
            return true;
        }
    }
    return false;
}

static void parse_fadt(const uint8_t *table, uint32_t length)
{
    if (length < 116) {
        return;
    }
    uint32_t flags = read32(table + 112);
    uint64_t dsdt = length >= 148 ? read64(table + 140) : 0;
    bool s5 = parse_dsdt(dsdt != 0 ? dsdt : read32(table + 40));
    info.hardware_reduced = (flags & (1u << 20)) != 0;
    if (!info.hardware_reduced) {
        info.pm_timer_port = table[91] >= 4 ? read32(table + 76) : 0;
        info.pm1a_control = read32(table + 64);
        info.pm1b_control = read32(table + 68);
        info.can_power_off = s5 && info.pm1a_control != 0;
    } else if (length >= 256 &&
               table[244] <= 1) { /* sleep control register, generic address in memory or port space */
        info.sleep_control = read64(table + 248);
        info.sleep_control_is_port = table[244] == 1;
        info.can_power_off = s5 && info.sleep_control != 0;
    }
}

/* The tables that others depend on come first: processors before their nodes, nodes before their distances.
 */
static const struct {
    char signature[5];
    void (*parse)(const uint8_t *table, uint32_t length);
} parsers[] = {
    {"APIC", parse_madt}, {"SRAT", parse_srat}, {"SLIT", parse_slit},
    {"HPET", parse_hpet}, {"FACP", parse_fadt},
};

static void parse_tables_named(const uint8_t *root, uint32_t length, uint32_t entry_size,
                               const char *signature, void (*parse)(const uint8_t *table, uint32_t length))
{
    uint32_t count = (length - SDT_HEADER) / entry_size;
    for (uint32_t i = 0; i < count && i < ROOT_ENTRIES_MAX; i++) {
        const uint8_t *entry = root + SDT_HEADER + i * entry_size;
        uint32_t table_length;
        const uint8_t *table = table_at(entry_size == 8 ? read64(entry) : read32(entry), &table_length);
        if (table != NULL && memcmp(table, signature, 4) == 0) {
            parse(table, table_length);
            return;
        }
    }
}

static uint64_t rsdp_search(void)
{
    const uint8_t *area = reach_physical(0xe0000, 0x20000);
    for (uint32_t at = 0; area != NULL && at < 0x20000; at += 16) {
        if (memcmp(area + at, "RSD PTR ", 8) == 0 && sum_is_zero(area + at, 20)) {
            return 0xe0000 + at;
        }
    }
    return 0;
}

void acpi_use_handoff(const struct handoff *block)
{
    info.cpu_count = 0;
    info.node_count = 1;
    for (uint32_t i = 0; i < block->cpu_count; i++) {
        const struct handoff_cpu *cpu = &block->cpus[i];
        info.node_count = cpu->node >= info.node_count ? cpu->node + 1 : info.node_count;
        if (cpu->flags & HANDOFF_CPU_ENABLED) {
            info.cpus[info.cpu_count++] = *cpu;
        }
    }
    info.affinity_count = block->affinity_count;
    for (uint32_t i = 0; i < block->affinity_count; i++) {
        info.affinities[i] = block->affinities[i];
        uint32_t node = block->affinities[i].node;
        info.node_count = node >= info.node_count ? node + 1 : info.node_count;
    }
}

status_t acpi_parse(uint64_t rsdp_address, const void *(*reach)(uint64_t address, uint64_t bytes))
{
    reach_physical = reach;
    info = (struct acpi_info){.local_apic_address = 0xfee00000};
    for (uint32_t irq = 0; irq < ISA_IRQS; irq++) {
        info.isa[irq].gsi = irq;
    }
    uint64_t found = rsdp_address != 0 ? rsdp_address : rsdp_search();
    const uint8_t *rsdp = found != 0 ? reach(found, 36) : NULL;
    if (rsdp == NULL || memcmp(rsdp, "RSD PTR ", 8) != 0 || !sum_is_zero(rsdp, 20)) {
        return STATUS_ERR_NOT_FOUND;
    }
    bool extended = rsdp[15] >= 2 && read64(rsdp + 24) != 0;
    uint32_t length;
    const uint8_t *root = table_at(extended ? read64(rsdp + 24) : read32(rsdp + 16), &length);
    if (root == NULL) {
        return STATUS_ERR_BAD_IMAGE;
    }
    for (uint32_t i = 0; i < sizeof(parsers) / sizeof(parsers[0]); i++) {
        parse_tables_named(root, length, extended ? 8 : 4, parsers[i].signature, parsers[i].parse);
    }
    if (info.node_count == 0) {
        info.node_count = 1;
    }
    return info.cpu_count != 0 ? STATUS_OK : STATUS_ERR_BAD_IMAGE;
}
