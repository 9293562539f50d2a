/* The entropy source: the same seed gives the same bytes, in pieces of at most a page. */

#include "dev/virtio_rng.h"

#include "timing/cost.h"
#include "virtio_driver.h"

#define BUFFER DRIVER_BUFFERS

static struct driver f;
static struct virtio_rng source;

static void make(uint64_t seed)
{
    struct virtio_rng_config config = {.request_cycles = ENTROPY_REQUEST_CYCLES,
                                       .byte_cycles = ENTROPY_BYTE_CYCLES};
    rng_init(&config.numbers, seed, 1);
    driver_init(&f);
    struct virtio_mmio_config transport = driver_transport(&f);
    virtio_rng_init(&source, &config, &transport);
    f.device = &source.mmio;
    driver_start(&f, DRIVER_FEATURES);
}

static int setup(void **state)
{
    (void)state;
    make(1);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    driver_deinit(&f);
    return 0;
}

/* The first bytes of the next request. */
static uint64_t ask(uint32_t size)
{
    driver_store(&f, BUFFER, 0, 8);
    driver_describe(&f, 0, BUFFER, size, VIRTQ_DESC_F_WRITE, 0);
    driver_do(&f, 0);
    return driver_load(&f, BUFFER, 8);
}

static void a_seed_gives_its_numbers_one_after_the_other(void **state)
{
    struct rng expected;
    (void)state;
    rng_init(&expected, 1, 1);
    assert_int_equal(driver_read(&f, VIRTIO_MMIO_DEVICE_ID), 4);
    assert_int_equal(ask(8), rng_next(&expected));
    assert_int_equal(driver_used_bytes(&f, 0), 8);
    assert_int_equal(ask(16), rng_next(&expected));
    rng_next(&expected);
    assert_int_equal(ask(3), rng_next(&expected) & 0xffffff);
    assert_int_equal(driver_used_bytes(&f, 2), 3);
    assert_int_equal(ask(8), rng_next(&expected));
}

static void another_seed_gives_other_bytes(void **state)
{
    (void)state;
    uint64_t one = ask(8);
    driver_deinit(&f);
    make(2);
    assert_int_not_equal(ask(8), one);
}

static void a_request_gets_at_most_a_page(void **state)
{
    (void)state;
    driver_store(&f, BUFFER + VIRTIO_RNG_BYTES_MAX - 8, 0, 8);
    driver_store(&f, BUFFER + VIRTIO_RNG_BYTES_MAX, 0x1234, 8);
    uint64_t start = f.now;
    ask(VIRTIO_RNG_BYTES_MAX + 100);
    assert_int_equal(driver_used_bytes(&f, 0), VIRTIO_RNG_BYTES_MAX);
    assert_int_not_equal(driver_load(&f, BUFFER + VIRTIO_RNG_BYTES_MAX - 8, 8), 0);
    assert_int_equal(driver_load(&f, BUFFER + VIRTIO_RNG_BYTES_MAX, 8), 0x1234);
    assert_int_equal(f.now - start,
                     DRIVER_FETCH + ENTROPY_REQUEST_CYCLES + VIRTIO_RNG_BYTES_MAX * ENTROPY_BYTE_CYCLES);
}

static void the_place_in_the_stream_is_state(void **state)
{
    (void)state;
    struct virtio_rng copy = {.mmio = {.config = source.mmio.config}};
    copy.mmio.config.device = &copy;
    ask(8);
    assert_state_moves(&virtio_mmio_ops, &source.mmio, &copy.mmio);
    assert_int_equal(rng_next(&copy.numbers), ask(8));
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_seed_gives_its_numbers_one_after_the_other),
        TEST(another_seed_gives_other_bytes),
        TEST(a_request_gets_at_most_a_page),
        TEST(the_place_in_the_stream_is_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
