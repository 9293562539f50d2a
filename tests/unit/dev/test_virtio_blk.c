/* The block device: configuration, every request, what it refuses, how long it takes. */

#include "dev/virtio_blk.h"

#include "disk_file.h"
#include "timing/cost.h"
#include "virtio_driver.h"

#define SECTORS 20u
#define HEADER  DRIVER_BUFFERS
#define DATA    (DRIVER_BUFFERS + 0x1000)
#define STATUS  (DRIVER_BUFFERS + 0x100)
#define UNKNOWN 99u
#define NOTHING 0xeeu /* what the status byte holds before */

static struct driver f;
static struct virtio_blk blk;
static char name[DISK_FILE_NAME_BYTES];

static int setup(void **state)
{
    struct error e;
    (void)state;
    disk_file_make(name, SECTORS * DISK_SECTOR_BYTES);
    driver_init(&f);
    blk = (struct virtio_blk){0};
    assert_true(disk_init(&blk.disk, name, &e));
    struct virtio_blk_config config = {7, DISK_REQUEST_CYCLES, DISK_SECTOR_CYCLES};
    struct virtio_mmio_config transport = driver_transport(&f);
    virtio_blk_init(&blk, &config, &transport);
    f.device = &blk.mmio;
    driver_start(&f, DRIVER_FEATURES);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    disk_deinit(&blk.disk);
    disk_file_remove(name);
    driver_deinit(&f);
    return 0;
}

/* One request with data of size bytes, written by the device or read by it; returns the status, or NOTHING. */
static unsigned request(uint32_t type, uint64_t sector, uint32_t size, bool in)
{
    driver_store(&f, HEADER, type, 8);
    driver_store(&f, HEADER + 8, sector, 8);
    driver_store(&f, STATUS, NOTHING, 1);
    driver_describe(&f, 0, HEADER, 16, VIRTQ_DESC_F_NEXT, size ? 1 : 2);
    driver_describe(&f, 1, DATA, size, VIRTQ_DESC_F_NEXT | (in ? VIRTQ_DESC_F_WRITE : 0u), 2);
    driver_describe(&f, 2, STATUS, 1, VIRTQ_DESC_F_WRITE, 0);
    driver_do(&f, 0);
    return (unsigned)driver_load(&f, STATUS, 1);
}

static uint32_t last_used_bytes(void)
{
    return driver_used_bytes(&f, (unsigned)(uint16_t)(driver_used_count(&f) - 1));
}

static unsigned segment(uint32_t type, uint64_t sector, uint32_t sectors, uint32_t flags)
{
    driver_store(&f, DATA, sector, 8);
    driver_store(&f, DATA + 8, sectors, 4);
    driver_store(&f, DATA + 12, flags, 4);
    return request(type, 0, 16, false);
}

static uint8_t disk_byte(uint64_t offset)
{
    uint8_t byte;
    disk_read(&blk.disk, offset, &byte, 1);
    return byte;
}

static void the_configuration_tells_capacity_and_limits(void **state)
{
    (void)state;
    assert_int_equal(driver_read(&f, VIRTIO_MMIO_DEVICE_ID), 2);
    assert_int_equal(driver_read_sized(&f, 0x100, 8), SECTORS);
    assert_int_equal(driver_read(&f, 0x10c), VIRTQUEUE_SIZE_MAX - 2); /* seg_max */
    assert_int_equal(driver_read(&f, 0x114), 512);                    /* blk_size */
    assert_int_equal(driver_read(&f, 0x124), SECTORS);                /* max_discard_sectors */
    assert_int_equal(driver_read(&f, 0x128), 1);
    assert_int_equal(driver_read(&f, 0x12c), 1);
    assert_int_equal(driver_read(&f, 0x130), SECTORS); /* max_write_zeroes_sectors */
    assert_int_equal(driver_read(&f, 0x134), 1);
    assert_int_equal(driver_read_sized(&f, 0x138, 1), 1);
    driver_write(&f, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 0);
    assert_int_equal(driver_read(&f, VIRTIO_MMIO_DEVICE_FEATURES),
                     1u << 28 | 1u << 14 | 1u << 13 | 1u << 9 | 1u << 6 | 1u << 2);
}

static void sectors_are_read_as_the_file_has_them(void **state)
{
    (void)state;
    assert_int_equal(request(VIRTIO_BLK_T_IN, 3, 10 * 512, true), VIRTIO_BLK_S_OK);
    assert_int_equal(last_used_bytes(), 10 * 512 + 1);
    for (unsigned i = 0; i < 10 * 512; i++) {
        assert_int_equal(driver_load(&f, DATA + i, 1), disk_file_byte(3 * 512 + i));
    }
    assert_int_equal(request(VIRTIO_BLK_T_IN, SECTORS - 1, 512, true), VIRTIO_BLK_S_OK);
    assert_int_equal(driver_load(&f, DATA, 1), disk_file_byte((SECTORS - 1) * 512));
}

static void written_sectors_are_read_back_and_the_others_stay(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 9 * 512; i++) {
        driver_store(&f, DATA + i, i / 3, 1);
    }
    assert_int_equal(request(VIRTIO_BLK_T_OUT, 5, 9 * 512, false), VIRTIO_BLK_S_OK);
    assert_int_equal(last_used_bytes(), 1);
    assert_int_equal(disk_byte(5 * 512 - 1), disk_file_byte(5 * 512 - 1));
    assert_int_equal(disk_byte(14 * 512), disk_file_byte(14 * 512));
    for (unsigned i = 0; i < 9 * 512; i++) {
        assert_int_equal(disk_byte(5 * 512 + i), (uint8_t)(i / 3));
    }
    assert_int_equal(request(VIRTIO_BLK_T_FLUSH, 0, 0, false), VIRTIO_BLK_S_OK);
}

static void header_and_data_may_be_cut_anywhere(void **state)
{
    (void)state;
    driver_store(&f, HEADER, VIRTIO_BLK_T_OUT, 8);
    driver_store(&f, HEADER + 8, 2, 8);
    for (unsigned i = 0; i < 512; i++) {
        driver_store(&f, HEADER + 16 + i, 0x5a, 1);
    }
    driver_describe(&f, 0, HEADER, 5, VIRTQ_DESC_F_NEXT, 1);
    driver_describe(&f, 1, HEADER + 5, 100, VIRTQ_DESC_F_NEXT, 2);
    driver_describe(&f, 2, HEADER + 105, 16 + 512 - 105, VIRTQ_DESC_F_NEXT, 3);
    driver_describe(&f, 3, DATA, 1, VIRTQ_DESC_F_WRITE, 0);
    driver_store(&f, DATA, NOTHING, 1);
    driver_do(&f, 0);
    assert_int_equal(driver_load(&f, DATA, 1), VIRTIO_BLK_S_OK);
    assert_int_equal(disk_byte(2 * 512), 0x5a);
    assert_int_equal(disk_byte(3 * 512 - 1), 0x5a);
    assert_int_equal(disk_byte(3 * 512), disk_file_byte(3 * 512));
}

static void the_device_tells_its_name(void **state)
{
    (void)state;
    char id[21] = {0};
    assert_int_equal(request(VIRTIO_BLK_T_GET_ID, 0, 20, true), VIRTIO_BLK_S_OK);
    assert_int_equal(last_used_bytes(), 21);
    assert_true(bus_peek(&f.bus, phys(DATA), id, 20));
    assert_string_equal(id, "orrery-disk-7");
    driver_store(&f, DATA + 4, 0x77, 1);
    assert_int_equal(request(VIRTIO_BLK_T_GET_ID, 0, 4, true), VIRTIO_BLK_S_OK);
    assert_int_equal(driver_load(&f, DATA + 4, 1), 0x77);
    assert_int_equal(request(VIRTIO_BLK_T_GET_ID, 0, 100, true), VIRTIO_BLK_S_OK);
    assert_int_equal(last_used_bytes(), 20);
}

static void discarded_and_zeroed_sectors_read_as_zero(void **state)
{
    static const struct {
        uint32_t type, flags;
    } cases[] = {{VIRTIO_BLK_T_DISCARD, 0}, {VIRTIO_BLK_T_WRITE_ZEROES, 0}, {VIRTIO_BLK_T_WRITE_ZEROES, 1}};
    (void)state;
    for (uint64_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t sector = 1 + 3 * i;
        assert_int_equal(segment(cases[i].type, sector, 2, cases[i].flags), VIRTIO_BLK_S_OK);
        assert_int_equal(disk_byte(sector * 512 - 1), disk_file_byte(sector * 512 - 1));
        for (unsigned k = 0; k < 1024; k++) {
            assert_int_equal(disk_byte(sector * 512 + k), 0);
        }
        assert_int_equal(disk_byte((sector + 2) * 512), disk_file_byte((sector + 2) * 512));
    }
}

static void what_is_wrong_gets_a_status_and_changes_nothing(void **state)
{
    (void)state;
    struct digest_visitor *v = digest_visitor_create(VISIT_ARCH);
    disk_visit(&blk.disk, digest_visitor_base(v));
    struct digest before = digest_visitor_finish(v);
    assert_int_equal(request(VIRTIO_BLK_T_IN, SECTORS, 512, true), VIRTIO_BLK_S_IOERR);
    assert_int_equal(last_used_bytes(), 0);
    assert_int_equal(request(VIRTIO_BLK_T_IN, SECTORS - 1, 1024, true), VIRTIO_BLK_S_IOERR);
    assert_int_equal(request(VIRTIO_BLK_T_IN, UINT64_MAX, 512, true), VIRTIO_BLK_S_IOERR);
    assert_int_equal(request(VIRTIO_BLK_T_IN, 0, 511, true), VIRTIO_BLK_S_IOERR);
    assert_int_equal(request(VIRTIO_BLK_T_OUT, SECTORS, 512, false), VIRTIO_BLK_S_IOERR);
    assert_int_equal(request(VIRTIO_BLK_T_OUT, UINT64_MAX / 512 + 1, 512, false), VIRTIO_BLK_S_IOERR);
    assert_int_equal(request(VIRTIO_BLK_T_OUT, 0, 100, false), VIRTIO_BLK_S_IOERR);
    assert_int_equal(segment(VIRTIO_BLK_T_DISCARD, SECTORS - 1, 2, 0), VIRTIO_BLK_S_IOERR);
    assert_int_equal(segment(VIRTIO_BLK_T_WRITE_ZEROES, 0, UINT32_MAX, 0), VIRTIO_BLK_S_IOERR);
    assert_int_equal(segment(VIRTIO_BLK_T_DISCARD, 0, 1, 1), VIRTIO_BLK_S_UNSUPP);
    assert_int_equal(segment(VIRTIO_BLK_T_WRITE_ZEROES, 0, 1, 2), VIRTIO_BLK_S_UNSUPP);
    assert_int_equal(request(VIRTIO_BLK_T_DISCARD, 0, 32, false), VIRTIO_BLK_S_IOERR); /* two segments */
    assert_int_equal(request(VIRTIO_BLK_T_DISCARD, 0, 0, false), VIRTIO_BLK_S_IOERR);
    assert_int_equal(request(UNKNOWN, 0, 512, true), VIRTIO_BLK_S_UNSUPP);
    v = digest_visitor_create(VISIT_ARCH);
    disk_visit(&blk.disk, digest_visitor_base(v));
    assert_true(digest_equal(before, digest_visitor_finish(v)));
    assert_false(driver_needs_reset(&f));
}

static void a_chain_without_header_or_status_is_no_request(void **state)
{
    (void)state;
    driver_store(&f, HEADER, VIRTIO_BLK_T_FLUSH, 8);
    driver_describe(&f, 0, HEADER, 16, 0, 0);
    driver_do(&f, 0);
    assert_true(driver_needs_reset(&f));
    driver_start(&f, DRIVER_FEATURES);
    driver_describe(&f, 0, HEADER, 15, VIRTQ_DESC_F_NEXT, 1);
    driver_describe(&f, 1, STATUS, 1, VIRTQ_DESC_F_WRITE, 0);
    driver_do(&f, 0);
    assert_true(driver_needs_reset(&f));
}

static void a_request_takes_a_constant_and_a_time_for_each_sector(void **state)
{
    (void)state;
    uint64_t start = f.now;
    request(VIRTIO_BLK_T_FLUSH, 0, 0, false);
    assert_int_equal(f.now - start, DRIVER_FETCH + DISK_REQUEST_CYCLES);
    start = f.now;
    request(VIRTIO_BLK_T_IN, 0, 3 * 512, true);
    assert_int_equal(f.now - start, DRIVER_FETCH + DISK_REQUEST_CYCLES + 3 * DISK_SECTOR_CYCLES);
}

static void the_disk_is_part_of_the_device_state(void **state)
{
    (void)state;
    struct digest_visitor *v = digest_visitor_create(VISIT_ARCH);
    virtio_mmio_visit(&blk.mmio, digest_visitor_base(v));
    struct digest before = digest_visitor_finish(v);
    disk_write(&blk.disk, 1000, "x", 1);
    v = digest_visitor_create(VISIT_ARCH);
    virtio_mmio_visit(&blk.mmio, digest_visitor_base(v));
    assert_false(digest_equal(before, digest_visitor_finish(v)));
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_configuration_tells_capacity_and_limits),
        TEST(sectors_are_read_as_the_file_has_them),
        TEST(written_sectors_are_read_back_and_the_others_stay),
        TEST(header_and_data_may_be_cut_anywhere),
        TEST(the_device_tells_its_name),
        TEST(discarded_and_zeroed_sectors_read_as_zero),
        TEST(what_is_wrong_gets_a_status_and_changes_nothing),
        TEST(a_chain_without_header_or_status_is_no_request),
        TEST(a_request_takes_a_constant_and_a_time_for_each_sector),
        TEST(the_disk_is_part_of_the_device_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
