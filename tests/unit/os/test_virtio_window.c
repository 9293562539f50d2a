/* The words of a command line that name windows of virtio devices. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/virtio_window.h"

static void windows_are_found_among_other_words(void **state)
{
    (void)state;
    struct virtio_window window;
    const char *at = "log=threads virtio_mmio.device=512@0xfeb00000:16 x virtio_mmio.device=0x1K@4096:5:3  "
                     "virtio_mmio.device=1M@0x100000000:63 -- virtblk virtio_mmio.device=512@0:1";
    assert_true(virtio_window_next(&at, &window));
    assert_int_equal(window.base, 0xfeb00000);
    assert_int_equal(window.bytes, 512);
    assert_int_equal(window.line, 16);
    assert_true(virtio_window_next(&at, &window));
    assert_int_equal(window.base, 4096);
    assert_int_equal(window.bytes, 1024);
    assert_int_equal(window.line, 5);
    assert_true(virtio_window_next(&at, &window));
    assert_int_equal(window.base, 1ull << 32);
    assert_int_equal(window.bytes, 1u << 20);
    assert_int_equal(window.line, 63);
    assert_false(virtio_window_next(&at, &window)); /* what comes behind "--" is a program's */
    assert_false(virtio_window_next(&at, &window));
}

static void words_that_name_no_window_are_passed_over(void **state)
{
    (void)state;
    static const char *const words[] = {
        "",
        " ",
        "virtio_mmio.device",
        "virtio_mmio.device=",
        "virtio_mmio.device=512",
        "virtio_mmio.device=512@",
        "virtio_mmio.device=512@0xfeb00000",
        "virtio_mmio.device=512@0xfeb00000:",
        "virtio_mmio.device=512@0xfeb00000:16:",
        "virtio_mmio.device=512@0xfeb00000:16x",
        "virtio_mmio.device=512@0x:16",
        "virtio_mmio.device=@0xfeb00000:16",
        "virtio_mmio.device=511@0xfeb00000:16",
        "virtio_mmio.device=512@0xfeb00001:16",
        "virtio_mmio.device=512@-1:16",
        "virtio_mmio.device=512@0xffffffffffffff00:16",
        "virtio_mmio.device=512@0x10000000000000000:16",
        "virtio_mmio.device=512@18446744073709551616:16",
        "virtio_mmio.device=4294967296@0:16",
        "virtio_mmio.device=512@0xfeb00000:4294967296",
        "xvirtio_mmio.device=512@0xfeb00000:16",
        "Virtio_mmio.device=512@0xfeb00000:16",
        "a=virtio_mmio.device=512@0xfeb00000:16",
    };
    struct virtio_window window;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        const char *at = words[i];
        assert_false(virtio_window_next(&at, &window));
        assert_int_equal(*at, '\0');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(windows_are_found_among_other_words),
        cmocka_unit_test(words_that_name_no_window_are_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
