/* A queue of a virtio device: what a hostile device can do in its page. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fake_queue.h"

#define BYTES 64u

/* A chain of one buffer that the device fills. */
static void post(void)
{
    virtqueue_describe(&queue, 0, BUFFER, BYTES, true, true);
    virtqueue_post(&queue);
}

/* What a source of entropy needs, or any device that fills one buffer as far as it likes. */
static void a_chain_of_one_buffer_says_how_far_it_was_filled(void **state)
{
    (void)state;
    uint32_t written = 0;
    start();
    post();
    assert_int_equal(word(VIRTQUEUE_AVAILABLE + 2), 1);
    assert_int_equal(descriptor(0).address, BUFFER);
    assert_int_equal(descriptor(0).bytes, BYTES);
    assert_int_equal(descriptor(0).flags, 2);
    assert_int_equal(virtqueue_take(&queue, BYTES, &written), STATUS_ERR_AGAIN);
    report(1, 0, 40);
    assert_int_equal(virtqueue_take(&queue, BYTES, &written), STATUS_OK);
    assert_int_equal(written, 40);
    post();
    report(1, 0, 65); /* more than there is */
    assert_int_equal(virtqueue_take(&queue, BYTES, &written), STATUS_ERR_STATE);
}

static void indexes_wrap(void **state)
{
    (void)state;
    uint32_t written;
    start();
    for (uint32_t i = 0; i < 70000; i++) {
        post();
        assert_int_equal(word(VIRTQUEUE_AVAILABLE + 2), (uint16_t)(i + 1));
        assert_int_equal(virtqueue_take(&queue, BYTES, &written), STATUS_ERR_AGAIN);
        report(1, 0, i % (BYTES + 1));
        assert_int_equal(virtqueue_take(&queue, BYTES, &written), STATUS_OK);
        assert_int_equal(written, i % (BYTES + 1));
    }
}

static void what_no_device_can_say_is_not_believed(void **state)
{
    (void)state;
    static const struct {
        uint16_t steps;
        uint32_t head;
        uint32_t written;
    } lies[] = {{2, 0, BYTES},          {9, 0, BYTES},       {0xffff, 0, BYTES},
                {1, 1, BYTES},          {1, 0x10000, BYTES}, {1, 8, BYTES},
                {1, 0xffffffff, BYTES}, {1, 0, BYTES + 1},   {1, 0, 0xffffffff}};
    uint32_t written;
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        start();
        post();
        report(lies[i].steps, lies[i].head, lies[i].written);
        assert_int_equal(virtqueue_take(&queue, BYTES, &written), STATUS_ERR_STATE);
    }
    start();
    report(1, 0, BYTES); /* of what nobody has asked for */
    assert_int_equal(virtqueue_take(&queue, BYTES, &written), STATUS_ERR_STATE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_chain_of_one_buffer_says_how_far_it_was_filled),
        cmocka_unit_test(indexes_wrap),
        cmocka_unit_test(what_no_device_can_say_is_not_believed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
