/* Host tests of the small parts of messages: token bucket, ring of a blocking channel, bits of a notification. */
#include "fake/fake_arch.h"

#include "ipc/fifo.c"
#include "ipc/rate.c"
#include "ipc/signal_word.h"

__extension__ typedef unsigned __int128 wide_t;

/* ---- token bucket ---- */

/* covers: IP-22 */
static void a_bucket_gives_exactly_its_rate(void **state)
{
    (void)state;
    static const struct {
        uint32_t per_second;
        uint32_t burst;
        uint64_t hz;
    } cases[] = {{1000, 10, 3000000000},
                 {7, 1, 3000000000},
                 {1000000, 100, 2999999999},
                 {3, 1000000, 1ull << 36},
                 {RATE_MAX_PER_SECOND, RATE_MAX_BURST, 1ull << 36},
                 {999983, 13, 1000003}};
    uint64_t seed = 11;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct rate_limit limit;
        uint64_t start = fake_random(&seed) >> 8;
        uint64_t now = start;
        rate_limit_init(&limit, cases[i].per_second, cases[i].burst, cases[i].hz, now);
        /* the reference: credit in 128 bits, never rounded */
        wide_t most = (wide_t)cases[i].burst * cases[i].hz;
        wide_t credit = most;
        for (unsigned step = 0; step < 20000; step++) {
            uint64_t jump = fake_random(&seed) >> (fake_random(&seed) % 40 + 24);
            now += jump;
            credit += (wide_t)jump * cases[i].per_second;
            credit = credit > most ? most : credit;
            bool wanted = credit >= cases[i].hz;
            assert_int_equal(rate_limit_take(&limit, now), wanted);
            credit -= wanted ? cases[i].hz : 0;
        }
    }
}

static void a_token_comes_on_the_very_cycle(void **state)
{
    (void)state;
    struct rate_limit limit;
    rate_limit_init(&limit, 7, 2, 1000, 50);
    assert_true(rate_limit_take(&limit, 50));
    assert_true(rate_limit_take(&limit, 50));
    assert_false(rate_limit_take(&limit, 50));
    assert_false(rate_limit_take(&limit, 50 + 142));
    assert_true(rate_limit_take(&limit, 50 + 143)); /* 1000 / 7 rounded up */
    assert_false(rate_limit_take(&limit, 50 + 285));
    assert_true(
        rate_limit_take(&limit, 50 + 286)); /* 286 x 7 = 2002: two tokens, what was left over counts */
}

static void no_limit_means_none(void **state)
{
    (void)state;
    struct rate_limit limit;
    rate_limit_init(&limit, 0, 0, 3000000000, 0);
    for (unsigned i = 0; i < 100; i++) {
        assert_true(rate_limit_take(&limit, 0));
    }
}

/* ---- ring of a blocking channel ---- */

/* covers: IP-01 */
static void messages_keep_their_order_while_the_ring_wraps(void **state)
{
    (void)state;
    static uint64_t words[8 * FIFO_MESSAGE_WORDS];
    for (uint32_t capacity = 1; capacity <= 8; capacity *= 2) {
        struct fifo fifo;
        fifo_init(&fifo, words, capacity);
        fifo.put = UINT32_MAX - 20; /* the counts wrap as well */
        fifo.taken = fifo.put;
        uint64_t in = 0;
        uint64_t out = 0;
        uint64_t seed = capacity;
        uint64_t message[FIFO_MESSAGE_WORDS] = {0};
        for (unsigned i = 0; i < 5000; i++) {
            if (fake_random(&seed) % 2 != 0) {
                message[0] = in;
                message[7] = ~in;
                status_t status = fifo_put(&fifo, message);
                assert_int_equal(status, in - out < capacity ? STATUS_OK : STATUS_ERR_AGAIN);
                in += status == STATUS_OK;
            } else {
                status_t status = fifo_take(&fifo, message);
                assert_int_equal(status, in > out ? STATUS_OK : STATUS_ERR_AGAIN);
                assert_true(status != STATUS_OK || (message[0] == out && message[7] == ~out));
                out += status == STATUS_OK;
            }
            assert_int_equal(fifo_count(&fifo), in - out);
        }
        assert_true(out > 1000);
    }
}

/* ---- bits ---- */

static void bits_are_taken_once_and_the_others_stay(void **state)
{
    (void)state;
    uint64_t word = 0;
    assert_int_equal(signal_word_take(&word, ~0ull), 0);
    assert_int_equal(signal_word_set(&word, 0x8000000000000001), 0x8000000000000001);
    assert_int_equal(signal_word_set(&word, 3), 2);
    assert_int_equal(signal_word_take(&word, 1), 1);
    assert_int_equal(signal_word_take(&word, 1), 0);
    assert_int_equal(signal_word_take(&word, ~0ull), 0x8000000000000002);
    assert_int_equal(word, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bucket_gives_exactly_its_rate),
        cmocka_unit_test(a_token_comes_on_the_very_cycle),
        cmocka_unit_test(no_limit_means_none),
        cmocka_unit_test(messages_keep_their_order_while_the_ring_wraps),
        cmocka_unit_test(bits_are_taken_once_and_the_others_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
