/* Requests of the disk's driver: what a hostile device can answer to them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake_queue.h"
#include "programs/virtblk/request.h"

#define STATUS_AT 2064u

static uint32_t writes; /* what the device has to, of the last request */

static void post(uint32_t type, uint64_t sector, uint64_t buffer, uint32_t bytes)
{
    writes = request_post(&queue, type, sector, buffer, bytes);
}

static status_t take(void)
{
    return request_take(&queue, writes);
}

static void report_request(uint16_t steps, uint32_t head, uint32_t written, uint8_t status)
{
    page[STATUS_AT] = status;
    report(steps, head, written);
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
    report_request(1, 0, 1025, 0);
    assert_int_equal(take(), STATUS_OK);
    assert_int_equal(take(), STATUS_ERR_AGAIN);
    post(REQUEST_WRITE, 5, BUFFER, 512);
    assert_int_equal(descriptor(1).flags, 1); /* the device reads there */
    report_request(1, 0, 0, 0);
    assert_int_equal(take(), STATUS_OK);
    post(REQUEST_FLUSH, 0, 0, 0);
    assert_int_equal(descriptor(1).bytes, 1);
    assert_int_equal(descriptor(1).flags, 2);
    report_request(1, 0, 1, 0);
    assert_int_equal(take(), STATUS_OK);
}

static void a_request_that_failed_is_told_as_such(void **state)
{
    (void)state;
    start();
    post(REQUEST_READ, 1, BUFFER, 512);
    report_request(1, 0, 1, 1);
    assert_int_equal(take(), STATUS_ERR_DEVICE);
    post(REQUEST_READ, 1, BUFFER, 512);
    report_request(1, 0, 1, 2);
    assert_int_equal(take(), STATUS_ERR_UNSUPPORTED);
    post(REQUEST_READ, 1, BUFFER, 512);
    report_request(1, 0, 513, 0xff); /* done, but nobody has said how */
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
        report_request(lies[i].steps, lies[i].head, lies[i].written, 0);
        assert_int_equal(take(), STATUS_ERR_STATE);
    }
    start();
    report_request(1, 0, 513, 0); /* of what nobody has asked for */
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
            report_request(1, 0, 513, 0);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_a_chain_that_the_device_can_follow),
        cmocka_unit_test(a_request_that_failed_is_told_as_such),
        cmocka_unit_test(what_no_device_can_say_is_not_believed),
        cmocka_unit_test(a_page_of_anything_does_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
