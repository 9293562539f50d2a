/* Host tests of what may be given to programs as memory of devices. */
#include "fake/fake_arch.h"

#include "mm/device_range.h"
#include "mm/kheap.h"

#define LIMIT (1ull << 40)

static struct region_list list;

static void add(uint64_t base, uint64_t end, enum region_type type)
{
    assert_ok(region_list_add(&list, base, end - base, type));
}

/* RAM, firmware, two holes, and devices that the map mentions. */
static void start(void)
{
    static const struct device_span own[] = {{0xfec00100, 0xfec00120}, {0xfee00000, 0xfef00000}};
    fake_machine(64, 1);
    assert_ok(kheap_init(&(struct kheap_config){.debug = HEAP_DEBUG_FULL}));
    region_list_init(&list);
    add(0x1000, 0x9fc00, REGION_USABLE);
    add(0x9fc00, 0xa0000, REGION_RESERVED);
    add(0x100000, 0x8000000, REGION_USABLE);
    add(0x200000, 0x300000, REGION_KERNEL_IMAGE);
    add(0xe0000000, 0xe0400000, REGION_FRAMEBUFFER);
    add(0xf0000000, 0xf0010000, REGION_MMIO);
    add(0xf0010000, 0xf0020800, REGION_ACPI_NVS);
    add(0x100000000, 0x140000000, REGION_USABLE);
    assert_ok(device_ranges_init(&list, own, 2, LIMIT));
}

static void memory_of_every_kind_is_refused(void **state)
{
    (void)state;
    start();
    for (int type = 0; type < REGION_TYPE_COUNT; type++) {
        bool device = type == REGION_MMIO || type == REGION_FRAMEBUFFER;
        region_list_init(&list);
        add(0x40000000, 0x40002000, (enum region_type)type);
        assert_ok(device_ranges_init(&list, NULL, 0, LIMIT));
        status_t wanted = device ? STATUS_OK : STATUS_ERR_PERMISSION;
        assert_int_equal(device_range_check(0x40000000, 0x1000), wanted);
        assert_int_equal(device_range_check(0x40001000, 0x1000), wanted);
        assert_int_equal(device_range_check(0x3ffff000, 0x2000), wanted);
        assert_int_equal(device_range_check(0x3ffff000, 0x4000), wanted);
        assert_ok(device_range_check(0x3ffff000, 0x1000));
        assert_ok(device_range_check(0x40002000, 0x1000));
    }
}

static void holes_and_devices_are_given(void **state)
{
    (void)state;
    start();
    assert_ok(device_range_check(0xa0000, 0x60000));
    assert_ok(device_range_check(0xe0000000, 0x400000));
    assert_ok(device_range_check(0xf0000000, 0x10000));
    assert_int_equal(device_range_check(0xf0000000, 0x11000), STATUS_ERR_PERMISSION);
    assert_int_equal(device_range_check(0xf0020000, 0x1000), STATUS_ERR_PERMISSION); /* half of it is */
    assert_ok(device_range_check(0xf0021000, 0x1000));
    assert_int_equal(device_range_check(0x9f000, 0x1000), STATUS_ERR_PERMISSION);
    assert_int_equal(device_range_check(0, 0x2000), STATUS_ERR_PERMISSION);
    assert_int_equal(device_range_check(0x8000000, 0x100000000), STATUS_ERR_PERMISSION);
    assert_int_equal(device_range_check(0x13ffff000, 0x1000), STATUS_ERR_PERMISSION);
    assert_ok(device_range_check(0x140000000, 0x1000));
}

static void the_kernels_own_devices_are_refused_whole_pages_of_them(void **state)
{
    (void)state;
    start();
    assert_int_equal(device_range_check(0xfec00000, 0x1000), STATUS_ERR_PERMISSION);
    assert_ok(device_range_check(0xfec01000, 0x1000));
    assert_int_equal(device_range_check(0xfeeff000, 0x1000), STATUS_ERR_PERMISSION);
    assert_ok(device_range_check(0xfef00000, 0x1000));
    assert_int_equal(device_range_check(0xfeb00000, 0x200000), STATUS_ERR_PERMISSION);
}

static void what_is_no_range_is_refused(void **state)
{
    (void)state;
    start();
    assert_int_equal(device_range_check(0xf0000200, 0x1000), STATUS_ERR_UNALIGNED);
    assert_int_equal(device_range_check(0xf0000000, 0x200), STATUS_ERR_UNALIGNED);
    assert_int_equal(device_range_check(0xf0000000, 0), STATUS_ERR_RANGE);
    assert_ok(device_range_check(LIMIT - 0x1000, 0x1000));
    assert_int_equal(device_range_check(LIMIT - 0x1000, 0x2000), STATUS_ERR_RANGE);
    assert_int_equal(device_range_check(LIMIT, 0x1000), STATUS_ERR_RANGE);
    assert_int_equal(device_range_check(UINT64_MAX - 0xfff, 0x1000), STATUS_ERR_RANGE);
    assert_int_equal(device_range_check(0xf0000000, UINT64_MAX - 0xfff), STATUS_ERR_RANGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_of_every_kind_is_refused),
        cmocka_unit_test(holes_and_devices_are_given),
        cmocka_unit_test(the_kernels_own_devices_are_refused_whole_pages_of_them),
        cmocka_unit_test(what_is_no_range_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
