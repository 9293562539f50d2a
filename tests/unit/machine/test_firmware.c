/* ACPI and MP tables, as the programs that read them see them. */

#define _GNU_SOURCE

#include "base/bits.h"
#include "machine/firmware.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
    struct bus bus;
    struct sim_config config;
    struct memory_map map;
};

static void build(struct fixture *f, enum sim_board board, unsigned cpus, unsigned nodes, uint64_t memory)
{
    struct ram_range ranges[2];
    struct error e;
    sim_config_init(&f->config);
    f->config.board = board;
    f->config.cpus = cpus;
    f->config.numa_nodes = nodes;
    f->config.memory_bytes = memory;
    memory_map_init(&f->map, memory, 0);
    bus_init(&f->bus);
    assert_true(ram_init(&f->bus.ram, ranges, memory_map_ram(&f->map, ranges), &e));
    firmware_write_acpi(&f->bus, &f->config, &f->map);
    firmware_write_mp_table(&f->bus, &f->config);
}

static const uint8_t *at(struct fixture *f, uint64_t address)
{
    return ram_at(&f->bus.ram, phys(address));
}

static unsigned byte_sum(const uint8_t *p, size_t size)
{
    unsigned sum = 0;
    for (size_t i = 0; i < size; i++) {
        sum += p[i];
    }
    return sum & 0xff;
}

/* The table with a signature through RSDP and XSDT, or NULL. */
static const uint8_t *find_table(struct fixture *f, const char *signature)
{
    const uint8_t *rsdp = at(f, RSDP_BASE);
    assert_memory_equal(rsdp, "RSD PTR ", 8);
    assert_int_equal(byte_sum(rsdp, 20), 0);
    assert_int_equal(byte_sum(rsdp, 36), 0);
    const uint8_t *xsdt = at(f, load_le64(rsdp + 24));
    for (uint32_t offset = 36; offset < load_le32(xsdt + 4); offset += 8) {
        const uint8_t *table = at(f, load_le64(xsdt + offset));
        assert_int_equal(byte_sum(table, load_le32(table + 4)), 0);
        if (memcmp(table, signature, 4) == 0) {
            return table;
        }
    }
    return NULL;
}

/* iasl must disassemble a table without a word of complaint. */
static void disassemble(const char *directory, const char *name, const uint8_t *table)
{
    char path[256], command[600];
    snprintf(path, sizeof path, "%s/%s.dat", directory, name);
    FILE *out = fopen(path, "wb");
    assert_non_null(out);
    assert_int_equal(fwrite(table, 1, load_le32(table + 4), out), load_le32(table + 4));
    fclose(out);
    snprintf(
        command, sizeof command,
        "cd %s && iasl -d %s.dat >%s.log 2>&1 && test -s %s.dsl && ! grep -Ei 'error|warning|invalid' %s.log",
        directory, name, name, name, name);
    assert_int_equal(system(command), 0);
}

static void check_with_iasl(enum sim_board board, unsigned cpus, unsigned nodes, uint64_t memory)
{
    static const char *const signatures[] = {"FACP", "APIC", "SRAT", "SLIT", "HPET"};
    char directory[] = "/tmp/orrery-acpi-XXXXXX", command[64];
    struct fixture f;
    assert_non_null(mkdtemp(directory));
    build(&f, board, cpus, nodes, memory);
    for (unsigned i = 0; i < sizeof signatures / sizeof signatures[0]; i++) {
        const uint8_t *table = find_table(&f, signatures[i]);
        if (board == BOARD_PC || i < 4) {
            assert_non_null(table);
            disassemble(directory, signatures[i], table);
        } else {
            assert_null(table);
        }
    }
    const uint8_t *fadt = find_table(&f, "FACP");
    disassemble(directory, "DSDT", at(&f, load_le32(fadt + 40)));
    assert_int_equal(load_le32(fadt + 40), load_le64(fadt + 140));
    snprintf(command, sizeof command, "rm -rf %s", directory);
    assert_int_equal(system(command), 0);
    bus_deinit(&f.bus);
}

static void iasl_reads_all_tables_of_board_pc(void **state)
{
    (void)state;
    check_with_iasl(BOARD_PC, 4, 1, UINT64_C(256) << 20);
}

static void iasl_reads_all_tables_of_board_microvm(void **state)
{
    (void)state;
    check_with_iasl(BOARD_MICROVM, 1, 1, UINT64_C(64) << 20);
}

static void iasl_reads_the_tables_of_64_cpus_on_8_nodes(void **state)
{
    (void)state;
    check_with_iasl(BOARD_PC, 64, 8, UINT64_C(8) << 30);
}

/* Does the disassembled DSDT have these lines, one after the other (white space apart)? */
static void assert_dsl(const char *directory, const char *const *wanted, unsigned count)
{
    char path[256], line[512];
    unsigned found = 0;
    snprintf(path, sizeof path, "%s/DSDT.dsl", directory);
    FILE *in = fopen(path, "r");
    assert_non_null(in);
    while (found < count && fgets(line, sizeof line, in)) {
        found += strncmp(line + strspn(line, " "), wanted[found], strlen(wanted[found])) == 0;
    }
    fclose(in);
    if (found < count) {
        fail_msg("the DSDT does not say, in its place: %s", wanted[found]);
    }
}

/* Two disks in the first slots, the entropy source in the last one: as a driver would find them. */
static void dsdt_declares_virtio_devices_as_the_board_has_them(void **state)
{
    static const char *const wanted[] = {
        "Device (VR00)",
        "Name (_HID, \"LNRO0005\")",
        "Name (_UID, Zero)",
        "Memory32Fixed (ReadWrite,",
        "0xFEB00000,",
        "0x00000200,",
        "Interrupt (ResourceConsumer, Level, ActiveHigh, Exclusive",
        "0x00000010,",
        "Device (VR01)",
        "Name (_HID, \"LNRO0005\")",
        "Name (_UID, One)",
        "0xFEB00200,",
        "0x00000011,",
        "Device (VR03)",
        "Name (_HID, \"LNRO0005\")",
        "Name (_UID, 0x03)",
        "0xFEB00600,",
        "0x00000013,",
    };
    (void)state;
    for (int board = BOARD_PC; board <= BOARD_MICROVM; board++) {
        char directory[] = "/tmp/orrery-acpi-XXXXXX", command[64];
        struct fixture f;
        assert_non_null(mkdtemp(directory));
        build(&f, (enum sim_board)board, 1, 1, UINT64_C(64) << 20);
        f.config.disk_count = 2;
        f.config.entropy = true;
        firmware_write_acpi(&f.bus, &f.config, &f.map);
        disassemble(directory, "DSDT", at(&f, load_le32(find_table(&f, "FACP") + 40)));
        assert_dsl(directory, wanted, sizeof wanted / sizeof wanted[0]);
        snprintf(command, sizeof command, "rm -rf %s", directory);
        assert_int_equal(system(command), 0);
        bus_deinit(&f.bus);
    }
}

static void dsdt_names_soft_off_as_sleep_type_5(void **state)
{
    static const uint8_t s5[] = {0x08, '\\', '_',  'S',  '5',  '_',  0x12, 0x08,
                                 0x04, 0x0a, 0x05, 0x0a, 0x05, 0x00, 0x00};
    struct fixture f;
    (void)state;
    build(&f, BOARD_MICROVM, 1, 1, UINT64_C(64) << 20);
    const uint8_t *dsdt = at(&f, load_le32(find_table(&f, "FACP") + 40));
    assert_memory_equal(dsdt + 36, s5, sizeof s5);
    bus_deinit(&f.bus);
}

static void nodes_divide_memory_and_cpus_without_a_gap(void **state)
{
    struct fixture f;
    uint64_t sum = 0;
    unsigned last_node = 0;
    (void)state;
    build(&f, BOARD_PC, 7, 3, UINT64_C(5) << 30);
    for (unsigned node = 0; node < 3; node++) {
        struct ram_range ranges[2];
        unsigned count = firmware_node_memory(&f.config, &f.map, node, ranges);
        for (unsigned i = 0; i < count; i++) {
            sum += ranges[i].size_bytes;
            assert_true(ram_contains(&f.bus.ram, ranges[i].base, ranges[i].size_bytes));
        }
    }
    assert_int_equal(sum, UINT64_C(5) << 30);
    for (unsigned cpu = 0; cpu < 7; cpu++) {
        unsigned node = firmware_node_of_cpu(&f.config, cpu);
        assert_true(node == last_node || node == last_node + 1);
        last_node = node;
    }
    assert_int_equal(last_node, 2);
    bus_deinit(&f.bus);
}

static void a_memory_limit_shortens_the_map_and_nothing_else(void **state)
{
    struct memory_map whole, limited;
    uint64_t usable = 0;
    (void)state;
    memory_map_init(&whole, UINT64_C(6) << 30, 0);
    memory_map_init(&limited, UINT64_C(6) << 30, UINT64_C(100) << 20);
    for (unsigned i = 0; i < limited.count; i++) {
        usable += limited.entries[i].type == E820_RAM ? limited.entries[i].size_bytes : 0;
    }
    assert_int_equal(usable, UINT64_C(100) << 20);
    assert_int_equal(limited.count, whole.count - 1); /* RAM above 4 GiB is gone */
    assert_int_equal(limited.high_ram_end, whole.high_ram_end);
}

static void mp_table_counts_its_entries_and_sums_to_zero(void **state)
{
    struct fixture f;
    (void)state;
    build(&f, BOARD_PC, 4, 1, UINT64_C(64) << 20);
    const uint8_t *pointer = at(&f, MP_TABLE_BASE);
    assert_memory_equal(pointer, "_MP_", 4);
    assert_int_equal(byte_sum(pointer, 16), 0);
    const uint8_t *table = at(&f, load_le32(pointer + 4));
    assert_memory_equal(table, "PCMP", 4);
    assert_int_equal(byte_sum(table, load_le16(table + 4)), 0);
    unsigned entries = 0;
    for (unsigned offset = 44; offset < load_le16(table + 4); entries++) {
        offset += table[offset] == 0 ? 20 : 8;
    }
    assert_int_equal(entries, load_le16(table + 34));
    bus_deinit(&f.bus);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(iasl_reads_all_tables_of_board_pc),
        cmocka_unit_test(iasl_reads_all_tables_of_board_microvm),
        cmocka_unit_test(iasl_reads_the_tables_of_64_cpus_on_8_nodes),
        cmocka_unit_test(dsdt_declares_virtio_devices_as_the_board_has_them),
        cmocka_unit_test(dsdt_names_soft_off_as_sleep_type_5),
        cmocka_unit_test(nodes_divide_memory_and_cpus_without_a_gap),
        cmocka_unit_test(a_memory_limit_shortens_the_map_and_nothing_else),
        cmocka_unit_test(mp_table_counts_its_entries_and_sums_to_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
