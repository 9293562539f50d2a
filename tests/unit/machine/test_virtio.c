/* virtio devices on a board: where they are, which pin they raise, how their DMA reaches code and state, and snapshots. */

#include "base/bits.h"
#include "disk_file.h"
#include "guest_image.h"
#include "machine/machine.h"
#include "timing/cost.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define DESC    UINT64_C(0x400000)
#define AVAIL   UINT64_C(0x401000)
#define USED    UINT64_C(0x402000)
#define HEADER  UINT64_C(0x403000)
#define STATUS  UINT64_C(0x403100)
#define DATA    UINT64_C(0x300000) /* where code_guest calls */
#define SECTORS 8u

/* Calls what lies at DATA until it returns 2. */
GUEST_CODE(code_guest, ".code32\n"
                       "mov $0x500000, %esp\n"
                       "1: mov $0x300000, %ecx\n"
                       "call *%ecx\n"
                       "cmp $2, %eax\n"
                       "jne 1b\n"
                       "mov $16, %al\n"
                       "out %al, $0xf4\n"
                       "hlt\n"
                       ".code64");

static char disk[DISK_FILE_NAME_BYTES];

static int make_disk(void **state)
{
    (void)state;
    disk_file_make(disk, SECTORS * DISK_SECTOR_BYTES);
    return 0;
}

static int remove_disk(void **state)
{
    (void)state;
    disk_file_remove(disk);
    return 0;
}

static struct sim_config config_of(enum sim_board board)
{
    struct sim_config c;
    sim_config_init(&c);
    c.memory_bytes = SIM_MEMORY_MIN;
    c.board = board;
    c.entropy = true;
    c.disks[c.disk_count++] = disk;
    c.disks[c.disk_count++] = disk;
    return c;
}

static struct sim *make_sim(const struct sim_config *c)
{
    return guest_create(c, code_guest, code_guest_end);
}

static uint32_t get(struct sim *s, unsigned slot, uint64_t offset)
{
    struct bus_cx cx = {sim_cycles(s), 0};
    return (uint32_t)bus_read(&s->bus, &cx, phys(virtio_slot_base(slot) + offset), 4);
}

static void set(struct sim *s, unsigned slot, uint64_t offset, uint64_t value)
{
    struct bus_cx cx = {sim_cycles(s), 0};
    bus_write(&s->bus, &cx, phys(virtio_slot_base(slot) + offset), value, 4);
}

static void put(struct sim *s, uint64_t at, uint64_t value, unsigned size)
{
    uint8_t bytes[8];
    store_le64(bytes, value);
    assert_true(bus_load(&s->bus, phys(at), bytes, size));
}

static void describe(struct sim *s, unsigned n, uint64_t at, uint32_t size, unsigned flags)
{
    put(s, DESC + 16 * n, at, 8);
    put(s, DESC + 16 * n + 8, size | (uint64_t)flags << 32 | (uint64_t)(n + 1) << 48, 8);
}

/* Starts the device and asks for one request of the descriptors that are there. */
static void drive(struct sim *s, unsigned slot)
{
    set(s, slot, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
    set(s, slot, VIRTIO_MMIO_DRIVER_FEATURES, 1);
    set(s, slot, VIRTIO_MMIO_STATUS, 11);
    set(s, slot, VIRTIO_MMIO_QUEUE_NUM, 4);
    set(s, slot, VIRTIO_MMIO_QUEUE_DESC_LOW, DESC);
    set(s, slot, VIRTIO_MMIO_QUEUE_DRIVER_LOW, AVAIL);
    set(s, slot, VIRTIO_MMIO_QUEUE_DEVICE_LOW, USED);
    set(s, slot, VIRTIO_MMIO_QUEUE_READY, 1);
    set(s, slot, VIRTIO_MMIO_STATUS, 15);
    put(s, AVAIL, 1 << 16, 8); /* head 0 */
    put(s, USED, 0, 4);
    set(s, slot, VIRTIO_MMIO_QUEUE_NOTIFY, 0);
}

static void ask_disk(struct sim *s, unsigned slot, uint32_t type, uint64_t sector)
{
    put(s, HEADER, type, 8);
    put(s, HEADER + 8, sector, 8);
    put(s, STATUS, 0xee, 1);
    describe(s, 0, HEADER, VIRTIO_BLK_HEADER_BYTES, VIRTQ_DESC_F_NEXT);
    describe(s, 1, DATA, DISK_SECTOR_BYTES,
             VIRTQ_DESC_F_NEXT | (type == VIRTIO_BLK_T_IN ? VIRTQ_DESC_F_WRITE : 0u));
    describe(s, 2, STATUS, 1, VIRTQ_DESC_F_WRITE);
    drive(s, slot);
}

static unsigned byte_at(struct sim *s, uint64_t at)
{
    uint8_t byte = 0;
    assert_true(sim_read_physical(s, phys(at), &byte, 1));
    return byte;
}

/* A guest that never leaves its loop, so that time passes. */
static void put_endless_code(struct sim *s)
{
    put(s, DATA, UINT64_C(0xc300000001b8), 6); /* mov $1, %eax; ret */
}

static void devices_are_in_their_slots_and_nothing_is_elsewhere(void **state)
{
    (void)state;
    for (int board = BOARD_PC; board <= BOARD_MICROVM; board++) {
        struct sim_config c = config_of((enum sim_board)board);
        struct sim *s = make_sim(&c);
        assert_int_equal(get(s, 0, 0), VIRTIO_MMIO_MAGIC);
        assert_int_equal(get(s, 0, VIRTIO_MMIO_DEVICE_ID), VIRTIO_ID_BLOCK);
        assert_int_equal(get(s, 1, VIRTIO_MMIO_DEVICE_ID), VIRTIO_ID_BLOCK);
        assert_int_equal(get(s, 2, 0), UINT32_MAX);
        assert_int_equal(get(s, 3, VIRTIO_MMIO_DEVICE_ID), VIRTIO_ID_ENTROPY);
        assert_int_equal(get(s, 4, 0), UINT32_MAX);
        sim_destroy(s);
    }
}

static void a_request_of_a_slot_raises_its_own_pin_at_its_time(void **state)
{
    (void)state;
    for (unsigned slot = 0; slot < 2; slot++) {
        struct sim_config c = config_of(BOARD_MICROVM);
        struct sim *s = make_sim(&c);
        uint64_t done = sim_cycles(s) + VIRTIO_FETCH_CYCLES + DISK_REQUEST_CYCLES + DISK_SECTOR_CYCLES;
        put_endless_code(s);
        ask_disk(s, slot, VIRTIO_BLK_T_IN, 5);
        assert_int_equal(sim_run(s, done), SIM_STOP_CYCLES);
        assert_int_equal(byte_at(s, STATUS), 0xee);
        assert_int_equal(s->ioapic.pins >> GSI_VIRTIO, 0);
        put(s, DATA + 6, 0, 2); /* what the code does not need */
        assert_int_equal(sim_run(s, done + 1), SIM_STOP_CYCLES);
        assert_int_equal(byte_at(s, STATUS), VIRTIO_BLK_S_OK);
        assert_int_equal(byte_at(s, DATA + 511), disk_file_byte(5 * 512 + 511));
        assert_int_equal(s->ioapic.pins >> GSI_VIRTIO, 1u << slot);
        set(s, slot, VIRTIO_MMIO_INTERRUPT_ACK, 1);
        assert_int_equal(s->ioapic.pins >> GSI_VIRTIO, 0);
        sim_destroy(s);
    }
}

static void the_entropy_source_follows_the_seed(void **state)
{
    uint64_t first[3];
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        struct sim_config c = config_of(BOARD_PC);
        c.seed = i == 2 ? 6 : 5;
        struct sim *s = make_sim(&c);
        put_endless_code(s);
        describe(s, 0, DATA + 8, 8, VIRTQ_DESC_F_WRITE);
        drive(s, VIRTIO_SLOT_ENTROPY);
        sim_run(s, VIRTIO_FETCH_CYCLES + ENTROPY_REQUEST_CYCLES + 8 * ENTROPY_BYTE_CYCLES + 100);
        assert_true(sim_read_physical(s, phys(DATA + 8), &first[i], 8));
        assert_int_equal(s->ioapic.pins >> GSI_VIRTIO, 1u << VIRTIO_SLOT_ENTROPY);
        sim_destroy(s);
    }
    assert_int_not_equal(first[0], 0);
    assert_int_equal(first[0], first[1]);
    assert_int_not_equal(first[0], first[2]);
}

/* The loop runs the old code until the device has written over it. */
static void code_that_a_device_writes_over_is_run_as_it_then_is(void **state)
{
    (void)state;
    for (unsigned single = 0; single < 2; single++) {
        struct sim_config c = config_of(BOARD_PC);
        c.single_step_blocks = single;
        struct sim *s = make_sim(&c);
        put_endless_code(s);
        disk_write(&s->board.disks[0].disk, 0, "\xb8\x02\0\0\0\xc3", 6); /* mov $2, %eax; ret */
        ask_disk(s, 0, VIRTIO_BLK_T_IN, 0);
        assert_int_equal(sim_run(s, 1000000), SIM_STOP_DEBUG_EXIT);
        uint64_t done = VIRTIO_FETCH_CYCLES + DISK_REQUEST_CYCLES + DISK_SECTOR_CYCLES;
        assert_in_range(sim_cycles(s), done, done + 100);
        sim_destroy(s);
    }
}

static void a_disk_and_what_is_written_to_it_are_in_the_hash(void **state)
{
    (void)state;
    struct sim_config with = config_of(BOARD_PC), without = with;
    without.disk_count = 1;
    struct sim *a = make_sim(&with), *b = make_sim(&with), *c = make_sim(&without);
    assert_true(digest_equal(sim_state_hash(a), sim_state_hash(b)));
    assert_false(digest_equal(sim_state_hash(a), sim_state_hash(c)));
    put_endless_code(a);
    put_endless_code(b);
    ask_disk(a, 0, VIRTIO_BLK_T_OUT, 2);
    ask_disk(b, 1, VIRTIO_BLK_T_OUT, 2);
    sim_run(a, 100000);
    sim_run(b, 100000);
    struct digest before = sim_digest(a, VISIT_ARCH);
    assert_int_equal(byte_at(a, STATUS), VIRTIO_BLK_S_OK);
    disk_write_zeroes(&a->board.disks[0].disk, 2 * 512, 1);
    assert_false(digest_equal(before, sim_digest(a, VISIT_ARCH)));
    assert_false(digest_equal(before, sim_digest(b, VISIT_ARCH)));
    sim_destroy(a);
    sim_destroy(b);
    sim_destroy(c);
}

/* Taken between notification and completion, after a first request has changed the disk. */
static void a_snapshot_within_a_request_goes_on_as_the_run_does(void **state)
{
    (void)state;
    struct sim_config config = config_of(BOARD_PC);
    struct sim *a = make_sim(&config), *b = make_sim(&config);
    struct state_buffer snapshot = {0};
    struct error e;
    put_endless_code(a);
    ask_disk(a, 0, VIRTIO_BLK_T_OUT, 1);
    sim_run(a, 100000);
    set(a, 0, VIRTIO_MMIO_STATUS, 0);
    ask_disk(a, 0, VIRTIO_BLK_T_IN, 3);
    sim_run(a, 120000);
    assert_int_equal(a->board.disks[0].mmio.stage, VIRTIO_SERVING);
    sim_snapshot(a, &snapshot);
    if (!sim_restore(b, &snapshot, &e)) {
        fail_msg("%s", e.text);
    }
    sim_run(a, 200000);
    sim_run(b, 200000);
    assert_int_equal(byte_at(a, STATUS), VIRTIO_BLK_S_OK);
    assert_true(digest_equal(sim_state_hash(a), sim_state_hash(b)));
    state_buffer_deinit(&snapshot);
    sim_destroy(a);
    sim_destroy(b);
}

static void a_snapshot_of_another_disk_is_refused(void **state)
{
    (void)state;
    char other_disk[DISK_FILE_NAME_BYTES];
    disk_file_make(other_disk, (SECTORS + 1) * DISK_SECTOR_BYTES);
    struct sim_config config = config_of(BOARD_PC), other = config, none = config;
    other.disks[1] = other_disk;
    none.entropy = false;
    struct sim *a = make_sim(&config), *b = make_sim(&other), *c = make_sim(&none);
    struct state_buffer snapshot = {0};
    struct error e;
    sim_snapshot(a, &snapshot);
    assert_false(sim_restore(b, &snapshot, &e));
    assert_string_equal(e.text, "the snapshot is of another machine: disk size[0]");
    assert_false(sim_restore(c, &snapshot, &e));
    assert_string_equal(e.text, "the snapshot is of another machine: entropy source[0]");
    state_buffer_deinit(&snapshot);
    sim_destroy(a);
    sim_destroy(b);
    sim_destroy(c);
    disk_file_remove(other_disk);
}

static void counters_tell_what_the_disks_have_done(void **state)
{
    (void)state;
    struct sim_config c = config_of(BOARD_PC);
    struct sim *s = make_sim(&c);
    put_endless_code(s);
    ask_disk(s, 0, VIRTIO_BLK_T_OUT, 1);
    sim_run(s, 100000);
    set(s, 0, VIRTIO_MMIO_STATUS, 0);
    ask_disk(s, 0, VIRTIO_BLK_T_IN, 1); /* the code again */
    sim_run(s, 200000);
    ask_disk(s, 1, VIRTIO_BLK_T_IN, SECTORS); /* there is no such sector */
    sim_run(s, 300000);
    assert_int_equal(sim_counter(s, COUNTER_DISK_REQUESTS, SIM_ALL_CPUS), 3);
    assert_int_equal(sim_counter(s, COUNTER_DISK_SECTORS_READ, SIM_ALL_CPUS), 1);
    assert_int_equal(sim_counter(s, COUNTER_DISK_SECTORS_WRITTEN, SIM_ALL_CPUS), 1);
    sim_destroy(s);
}

static void a_machine_whose_disk_cannot_be_used_is_not_made(void **state)
{
    (void)state;
    struct sim_config c = config_of(BOARD_PC);
    struct error e;
    c.disks[1] = "/nowhere/disk.img";
    assert_null(sim_create(&c, &e));
    assert_memory_equal(e.text, "/nowhere/disk.img: ", 19);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(devices_are_in_their_slots_and_nothing_is_elsewhere),
        cmocka_unit_test(a_request_of_a_slot_raises_its_own_pin_at_its_time),
        cmocka_unit_test(the_entropy_source_follows_the_seed),
        cmocka_unit_test(code_that_a_device_writes_over_is_run_as_it_then_is),
        cmocka_unit_test(a_disk_and_what_is_written_to_it_are_in_the_hash),
        cmocka_unit_test(a_snapshot_within_a_request_goes_on_as_the_run_does),
        cmocka_unit_test(a_snapshot_of_another_disk_is_refused),
        cmocka_unit_test(counters_tell_what_the_disks_have_done),
        cmocka_unit_test(a_machine_whose_disk_cannot_be_used_is_not_made),
    };
    return cmocka_run_group_tests(tests, make_disk, remove_disk);
}
