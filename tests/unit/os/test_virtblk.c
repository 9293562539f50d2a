/* The parts of the disk's driver that a hostile device or command line reaches: the queue, and the words that name windows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/virtio_window.h"
#include "programs/virtblk/request.h"

#define PHYSICAL  0x1234567000ull
#define STATUS_AT 2064u
#define BUFFER    0xabcdef000ull

static _Alignas(4096) unsigned char page[VIRTQUEUE_BYTES];
static struct virtqueue queue;
static uint32_t writes; /* what the device has to, of the last request */

struct descriptor {
    uint64_t address;
    uint32_t bytes;
    uint16_t flags;
    uint16_t next;
};

static struct descriptor descriptor(unsigned n)
{
    struct descriptor d;
    memcpy(&d, page + n * sizeof d, sizeof d);
    return d;
}

static uint16_t word(unsigned offset)
{
    uint16_t value;
    memcpy(&value, page + offset, sizeof value);
    return value;
}

static void start(void)
{
    memset(page, 0, sizeof page);
    virtqueue_init(&queue, page, PHYSICAL);
    writes = 1;
}

static void post(uint32_t type, uint64_t sector, uint64_t buffer, uint32_t bytes)
{
    writes = request_post(&queue, type, sector, buffer, bytes);
}

static status_t take(void)
{
    return request_take(&queue, writes);
}

/* A device's side: it reports the chain at `head` in the next entry, and moves its index by `steps`. */
static void report(uint16_t steps, uint32_t head, uint32_t written, uint8_t status)
{
    uint16_t index = word(VIRTQUEUE_USED + 2);
    unsigned entry = VIRTQUEUE_USED + 4 + 8 * (index % VIRTQUEUE_SIZE);
    memcpy(page + entry, &head, sizeof head);
    memcpy(page + entry + 4, &written, sizeof written);
    page[STATUS_AT] = status;
    index = (uint16_t)(index + steps);
    memcpy(page + VIRTQUEUE_USED + 2, &index, sizeof index);
}

static void a_request_is_a_chain_that_the_device_can_follow(void **state)
{
    (void)state;
    uint64_t sector;
    uint32_t type;
    start();
    post(REQUEST_READ, 77, BUFFER, 1024);
    assert_int_equal(word(VIRTQUEUE_AVAILABLE + 2), 1);
    assert_int_equal(word(VIRTQUEUE_AVAILABLE + 4), 0);
    assert_int_equal(descriptor(0).bytes, 16);
    assert_int_equal(descriptor(0).flags, 1);
    assert_int_equal(descriptor(0).next, 1);
    assert_int_equal(descriptor(1).address, BUFFER);
    assert_int_equal(descriptor(1).bytes, 1024);
    assert_int_equal(descriptor(1).flags, 3); /* the device writes there */
    assert_int_equal(descriptor(2).bytes, 1);
    assert_int_equal(descriptor(2).flags, 2);
    assert_int_equal(descriptor(2).address, PHYSICAL + STATUS_AT);
    memcpy(&type, page + (descriptor(0).address - PHYSICAL), sizeof type);
    memcpy(&sector, page + (descriptor(0).address - PHYSICAL) + 8, sizeof sector);
    assert_int_equal(type, REQUEST_READ);
    assert_int_equal(sector, 77);
    assert_int_equal(take(), STATUS_ERR_AGAIN);
    report(1, 0, 1025, 0);
    assert_int_equal(take(), STATUS_OK);
    assert_int_equal(take(), STATUS_ERR_AGAIN);
    post(REQUEST_WRITE, 5, BUFFER, 512);
    assert_int_equal(descriptor(1).flags, 1); /* the device reads there */
    report(1, 0, 0, 0);
    assert_int_equal(take(), STATUS_OK);
    post(REQUEST_FLUSH, 0, 0, 0);
    assert_int_equal(descriptor(1).bytes, 1);
    assert_int_equal(descriptor(1).flags, 2);
    report(1, 0, 1, 0);
    assert_int_equal(take(), STATUS_OK);
}

/* What a source of entropy needs, or any device that fills one buffer as far as it likes. */
static void a_chain_of_one_buffer_says_how_far_it_was_filled(void **state)
{
    (void)state;
    uint32_t written = 0;
    start();
    virtqueue_describe(&queue, 0, BUFFER, 64, true, true);
    virtqueue_post(&queue);
    assert_int_equal(word(VIRTQUEUE_AVAILABLE + 2), 1);
    assert_int_equal(descriptor(0).address, BUFFER);
    assert_int_equal(descriptor(0).bytes, 64);
    assert_int_equal(descriptor(0).flags, 2);
    assert_int_equal(virtqueue_take(&queue, 64, &written), STATUS_ERR_AGAIN);
    report(1, 0, 40, 0);
    assert_int_equal(virtqueue_take(&queue, 64, &written), STATUS_OK);
    assert_int_equal(written, 40);
    virtqueue_describe(&queue, 0, BUFFER, 64, true, true);
    virtqueue_post(&queue);
    report(1, 0, 65, 0); /* more than there is */
    assert_int_equal(virtqueue_take(&queue, 64, &written), STATUS_ERR_STATE);
}

static void indexes_wrap(void **state)
{
    (void)state;
    start();
    for (uint32_t i = 0; i < 70000; i++) {
        post(REQUEST_READ, i, BUFFER, 512);
        assert_int_equal(word(VIRTQUEUE_AVAILABLE + 2), (uint16_t)(i + 1));
        assert_int_equal(take(), STATUS_ERR_AGAIN);
        report(1, 0, 513, 0);
        assert_int_equal(take(), STATUS_OK);
    }
}

static void a_request_that_failed_is_told_as_such(void **state)
{
    (void)state;
    start();
    post(REQUEST_READ, 1, BUFFER, 512);
    report(1, 0, 1, 1);
    assert_int_equal(take(), STATUS_ERR_DEVICE);
    post(REQUEST_READ, 1, BUFFER, 512);
    report(1, 0, 1, 2);
    assert_int_equal(take(), STATUS_ERR_UNSUPPORTED);
    post(REQUEST_READ, 1, BUFFER, 512);
    report(1, 0, 513, 0xff); /* done, but nobody has said how */
    assert_int_equal(take(), STATUS_ERR_DEVICE);
}

static void what_no_device_can_say_is_not_believed(void **state)
{
    (void)state;
    static const struct {
        uint16_t steps;
        uint32_t head;
        uint32_t written;
    } lies[] = {{2, 0, 513},        {9, 0, 513}, {0xffff, 0, 513},     {1, 1, 513},
                {1, 0x10000, 513},  {1, 8, 513}, {1, 0xffffffff, 513}, {1, 0, 514},
                {1, 0, 0xffffffff}, {1, 0, 0},   {1, 0, 512}};
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        start();
        post(REQUEST_READ, 1, BUFFER, 512);
        report(lies[i].steps, lies[i].head, lies[i].written, 0);
        assert_int_equal(take(), STATUS_ERR_STATE);
    }
    start();
    report(1, 0, 513, 0); /* of what nobody has asked for */
    assert_int_equal(take(), STATUS_ERR_STATE);
}

/* Whatever the page holds, looking at it ends, stays inside it (AddressSanitizer) and says OK to right answers alone. */
static void a_page_of_anything_does_no_harm(void **state)
{
    (void)state;
    unsigned accepted = 0;
    srand(7);
    for (unsigned i = 0; i < 20000; i++) {
        start();
        unsigned before = (unsigned)rand() % 20;
        for (unsigned n = 0; n < before; n++) {
            post(REQUEST_READ, n, BUFFER, 512);
            report(1, 0, 513, 0);
            assert_int_equal(take(), STATUS_OK);
        }
        post(REQUEST_READ, 1, BUFFER, 512);
        for (unsigned n = 0; n < 1 + (unsigned)rand() % 40; n++) {
            page[VIRTQUEUE_USED + (unsigned)rand() % 80] = (unsigned char)(rand() % 3 ? rand() % 4 : rand());
        }
        page[STATUS_AT] = (unsigned char)(rand() % 4);
        status_t status = take();
        accepted += status == STATUS_OK;
        assert_true(status != STATUS_OK || word(VIRTQUEUE_USED + 2) == before + 1);
        assert_true(status == STATUS_OK || status == STATUS_ERR_AGAIN || status == STATUS_ERR_STATE ||
                    status == STATUS_ERR_DEVICE || status == STATUS_ERR_UNSUPPORTED);
    }
    assert_true(accepted < 200);
}

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
        cmocka_unit_test(a_request_is_a_chain_that_the_device_can_follow),
        cmocka_unit_test(a_chain_of_one_buffer_says_how_far_it_was_filled),
        cmocka_unit_test(indexes_wrap),
        cmocka_unit_test(a_request_that_failed_is_told_as_such),
        cmocka_unit_test(what_no_device_can_say_is_not_believed),
        cmocka_unit_test(a_page_of_anything_does_no_harm),
        cmocka_unit_test(windows_are_found_among_other_words),
        cmocka_unit_test(words_that_name_no_window_are_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
