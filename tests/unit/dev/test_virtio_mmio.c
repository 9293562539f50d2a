/* The transport: registers, negotiation, notification to interrupt, rings and chains that cannot be. */

#include "virtio_driver.h"

#define TEST_ID      42u
#define TEST_FEATURE UINT64_C(0x20)
#define SERVE_CYCLES 1000u
#define STARTED \
    (VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER | VIRTIO_STATUS_FEATURES_OK | VIRTIO_STATUS_DRIVER_OK)
#define BUFFER        DRIVER_BUFFERS
#define OUT_OF_MEMORY (DRIVER_RAM_BYTES - 8)

/* A device that copies what it may read to where it may write. */
struct echo {
    struct virtio_mmio mmio;
    unsigned served;
    bool refuses;
};

static struct driver f;
static struct echo echo;

static uint64_t echo_cycles(void *device, const struct virtqueue_chain *c)
{
    (void)device;
    return SERVE_CYCLES + c->readable_bytes;
}

static bool echo_serve(void *device, const struct virtqueue_chain *c, struct bus *b, uint32_t *written)
{
    struct echo *e = device;
    uint8_t bytes[256] = {0};
    uint64_t size = least_of(c->readable_bytes, sizeof bytes);
    virtqueue_read(c, b, 0, bytes, size);
    virtqueue_write(c, b, 0, bytes, size);
    *written = (uint32_t)least_of(size, c->writable_bytes);
    e->served++;
    return !e->refuses;
}

static void echo_visit(void *device, struct visitor *v)
{
    visit_bool(v, "refuses", &((struct echo *)device)->refuses);
}

static const struct virtio_type echo_type = {TEST_ID, TEST_FEATURE, echo_cycles, echo_serve, echo_visit};

static int setup(void **state)
{
    (void)state;
    driver_init(&f);
    struct virtio_mmio_config config = driver_transport(&f);
    echo = (struct echo){.refuses = false};
    config.type = &echo_type;
    config.device = &echo;
    config.config_space_bytes = 3;
    for (uint8_t i = 0; i < 3; i++) {
        config.config_space[i] = (uint8_t)(0x11 * (i + 1));
    }
    virtio_mmio_init(&echo.mmio, &config);
    f.device = &echo.mmio;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    driver_deinit(&f);
    return 0;
}

/* A chain of two: "text" to be read from BUFFER, 16 bytes to be written behind it. */
static void describe_echo(unsigned first)
{
    driver_store(&f, BUFFER, 0x74786574, 4);
    driver_describe(&f, first, BUFFER, 4, VIRTQ_DESC_F_NEXT, first + 1);
    driver_describe(&f, first + 1, BUFFER + 16, 16, VIRTQ_DESC_F_WRITE, 0);
}

/* ---- registers ---- */

static void registers_tell_magic_version_device_and_vendor(void **state)
{
    (void)state;
    assert_int_equal(driver_read(&f, 0x000), 0x74726976);
    assert_int_equal(driver_read(&f, 0x004), 2);
    assert_int_equal(driver_read(&f, 0x008), TEST_ID);
    assert_int_equal(driver_read(&f, 0x00c), 0x5952524f);
    assert_int_equal(driver_read(&f, 0x0fc), 0); /* the configuration never changes */
    for (uint64_t offset = 0x0b0; offset <= 0x0bc; offset += 4) {
        assert_int_equal(driver_read(&f, offset), UINT32_MAX); /* no shared memory */
    }
}

static void features_are_offered_in_two_words_and_no_third(void **state)
{
    (void)state;
    driver_write(&f, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 0);
    assert_int_equal(driver_read(&f, VIRTIO_MMIO_DEVICE_FEATURES), TEST_FEATURE | 1u << 28);
    driver_write(&f, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 1);
    assert_int_equal(driver_read(&f, VIRTIO_MMIO_DEVICE_FEATURES), 1);
    driver_write(&f, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 2);
    assert_int_equal(driver_read(&f, VIRTIO_MMIO_DEVICE_FEATURES), 0);
}

static void features_ok_stays_only_for_what_was_offered_with_version_1(void **state)
{
    static const struct {
        uint64_t features;
        bool ok;
    } cases[] = {
        {VIRTIO_F_VERSION_1, true},
        {VIRTIO_F_VERSION_1 | TEST_FEATURE | VIRTIO_F_INDIRECT_DESC, true},
        {0, false},
        {TEST_FEATURE, false},                           /* no version 1 */
        {VIRTIO_F_VERSION_1 | UINT64_C(1) << 29, false}, /* event index */
        {VIRTIO_F_VERSION_1 | UINT64_C(1) << 34, false}, /* packed ring */
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        driver_negotiate(&f, cases[i].features);
        assert_int_equal(driver_read(&f, VIRTIO_MMIO_STATUS), cases[i].ok ? 11 : 3);
    }
}

static void features_are_fixed_once_agreed(void **state)
{
    (void)state;
    driver_negotiate(&f, VIRTIO_F_VERSION_1);
    driver_write(&f, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0);
    driver_write(&f, VIRTIO_MMIO_DRIVER_FEATURES, UINT32_MAX);
    assert_int_equal(echo.mmio.driver_features, VIRTIO_F_VERSION_1);
}

static void a_queue_that_is_not_there_has_size_zero_and_takes_nothing(void **state)
{
    (void)state;
    assert_int_equal(driver_read(&f, VIRTIO_MMIO_QUEUE_NUM_MAX), VIRTQUEUE_SIZE_MAX);
    driver_write(&f, VIRTIO_MMIO_QUEUE_SEL, 1);
    assert_int_equal(driver_read(&f, VIRTIO_MMIO_QUEUE_NUM_MAX), 0);
    driver_write(&f, VIRTIO_MMIO_QUEUE_READY, 1);
    assert_int_equal(driver_read(&f, VIRTIO_MMIO_QUEUE_READY), 0);
    driver_write(&f, VIRTIO_MMIO_QUEUE_SEL, 0);
    assert_int_equal(driver_read(&f, VIRTIO_MMIO_QUEUE_READY), 0);
    assert_false(driver_needs_reset(&f));
}

static void only_words_reach_the_registers(void **state)
{
    (void)state;
    assert_int_equal(driver_read_sized(&f, 0, 1), 0);
    assert_int_equal(driver_read_sized(&f, 0, 8), 0);
    assert_int_equal(driver_read_sized(&f, 2, 4), 0);
    driver_write_sized(&f, VIRTIO_MMIO_STATUS, 1, 1);
    driver_write_sized(&f, VIRTIO_MMIO_STATUS, 1, 8);
    assert_int_equal(driver_read(&f, VIRTIO_MMIO_STATUS), 0);
}

static void the_configuration_space_is_read_bytewise_and_ends(void **state)
{
    (void)state;
    assert_int_equal(driver_read_sized(&f, 0x100, 1), 0x11);
    assert_int_equal(driver_read_sized(&f, 0x101, 2), 0x3322);
    assert_int_equal(driver_read_sized(&f, 0x100, 4), 0x332211);
    assert_int_equal(driver_read_sized(&f, 0x100, 8), 0x332211);
    assert_int_equal(driver_read_sized(&f, 0x1fc, 4), 0);
    driver_write(&f, 0x100, UINT32_MAX);
    assert_int_equal(driver_read(&f, 0x100), 0x332211);
}

static void a_ready_queue_keeps_its_size_and_addresses(void **state)
{
    (void)state;
    driver_start(&f, DRIVER_FEATURES);
    driver_write(&f, VIRTIO_MMIO_QUEUE_NUM, 4);
    driver_write(&f, VIRTIO_MMIO_QUEUE_DESC_HIGH, 1);
    driver_write(&f, VIRTIO_MMIO_QUEUE_DRIVER_HIGH, 1);
    driver_write(&f, VIRTIO_MMIO_QUEUE_DEVICE_HIGH, 1);
    assert_int_equal(echo.mmio.queue.size, DRIVER_QUEUE);
    assert_int_equal(echo.mmio.queue.descriptors, DRIVER_DESC);
    assert_int_equal(echo.mmio.queue.available, DRIVER_AVAIL);
    assert_int_equal(echo.mmio.queue.used, DRIVER_USED);
}

static void addresses_have_two_halves(void **state)
{
    (void)state;
    driver_write(&f, VIRTIO_MMIO_QUEUE_DESC_HIGH, 0x12);
    driver_write(&f, VIRTIO_MMIO_QUEUE_DESC_LOW, 0x34560);
    driver_write(&f, VIRTIO_MMIO_QUEUE_DRIVER_LOW, 2);
    driver_write(&f, VIRTIO_MMIO_QUEUE_DRIVER_HIGH, 3);
    driver_write(&f, VIRTIO_MMIO_QUEUE_DEVICE_HIGH, 4);
    assert_int_equal(echo.mmio.queue.descriptors, UINT64_C(0x1200034560));
    assert_int_equal(echo.mmio.queue.available, UINT64_C(0x300000002));
    assert_int_equal(echo.mmio.queue.used, UINT64_C(0x400000000));
}

/* ---- requests ---- */

static void a_request_completes_at_its_time_and_raises_the_line(void **state)
{
    (void)state;
    driver_start(&f, DRIVER_FEATURES);
    f.now = 5000;
    describe_echo(2);
    driver_offer(&f, 2);
    driver_write(&f, VIRTIO_MMIO_QUEUE_NOTIFY, 0);
    run_until(f.events, 5000 + DRIVER_FETCH + SERVE_CYCLES + 3);
    assert_int_equal(driver_used_count(&f), 0);
    assert_int_equal(driver_load(&f, BUFFER + 16, 4), 0);
    run_until(f.events, 5000 + DRIVER_FETCH + SERVE_CYCLES + 4);
    assert_int_equal(driver_used_count(&f), 1);
    assert_int_equal(driver_used_head(&f, 0), 2);
    assert_int_equal(driver_used_bytes(&f, 0), 4);
    assert_int_equal(driver_load(&f, BUFFER + 16, 4), 0x74786574);
    assert_int_equal(driver_read(&f, VIRTIO_MMIO_INTERRUPT_STATUS), VIRTIO_INTERRUPT_USED);
    assert_int_equal(f.line.count, 1);
    assert_change(&f.line, 0, true, 5000 + DRIVER_FETCH + SERVE_CYCLES + 4);
    assert_int_equal(event_next(f.events), EVENT_NEVER);
    f.now = 9000;
    driver_write(&f, VIRTIO_MMIO_INTERRUPT_ACK, VIRTIO_INTERRUPT_CONFIG); /* another one */
    assert_int_equal(f.line.count, 1);
    driver_write(&f, VIRTIO_MMIO_INTERRUPT_ACK, VIRTIO_INTERRUPT_USED);
    assert_change(&f.line, 1, false, 9000);
}

static void requests_that_wait_follow_one_another_with_one_notification(void **state)
{
    (void)state;
    driver_start(&f, DRIVER_FEATURES);
    describe_echo(0);
    describe_echo(2);
    driver_offer(&f, 2);
    driver_offer(&f, 0);
    driver_write(&f, VIRTIO_MMIO_QUEUE_NOTIFY, 0);
    f.now = DRIVER_FETCH - 1;
    driver_write(&f, VIRTIO_MMIO_QUEUE_NOTIFY, 0); /* changes nothing */
    f.now = DRIVER_FETCH + 1;
    run_until(f.events, f.now);
    driver_write(&f, VIRTIO_MMIO_QUEUE_NOTIFY, 0); /* nor does this */
    run_until(f.events, DRIVER_FETCH + SERVE_CYCLES + 4);
    assert_int_equal(driver_used_count(&f), 1);
    run_until(f.events, DRIVER_FETCH + 2 * (SERVE_CYCLES + 4) - 1);
    assert_int_equal(driver_used_count(&f), 1);
    run_until(f.events, DRIVER_FETCH + 2 * (SERVE_CYCLES + 4));
    assert_int_equal(driver_used_count(&f), 2);
    assert_int_equal(driver_used_head(&f, 0), 2);
    assert_int_equal(driver_used_head(&f, 1), 0);
}

static void the_rings_wrap_around(void **state)
{
    (void)state;
    driver_start(&f, DRIVER_FEATURES);
    for (unsigned i = 0; i < 3 * DRIVER_QUEUE; i++) {
        unsigned head = 2 * (i % 3);
        describe_echo(head);
        driver_do(&f, head);
        assert_int_equal(driver_used_count(&f), i + 1);
        assert_int_equal(driver_used_head(&f, i), head);
    }
    assert_int_equal(echo.served, 3 * DRIVER_QUEUE);
}

static void a_driver_that_wants_no_interrupt_gets_none(void **state)
{
    (void)state;
    driver_start(&f, DRIVER_FEATURES);
    driver_store(&f, DRIVER_AVAIL, VIRTQ_AVAIL_F_NO_INTERRUPT, 2);
    describe_echo(0);
    driver_do(&f, 0);
    assert_int_equal(driver_used_count(&f), 1);
    assert_int_equal(f.line.count, 0);
    assert_int_equal(driver_read(&f, VIRTIO_MMIO_INTERRUPT_STATUS), 0);
}

static void nothing_is_served_before_driver_ok_nor_from_a_queue_that_is_not_ready(void **state)
{
    (void)state;
    driver_start(&f, DRIVER_FEATURES);
    describe_echo(0);
    driver_offer(&f, 0);
    driver_write(&f, VIRTIO_MMIO_STATUS, STARTED & ~(unsigned)VIRTIO_STATUS_DRIVER_OK);
    driver_write(&f, VIRTIO_MMIO_QUEUE_NOTIFY, 0);
    assert_int_equal(event_next(f.events), EVENT_NEVER);
    driver_write(&f, VIRTIO_MMIO_STATUS, STARTED);
    driver_write(&f, VIRTIO_MMIO_QUEUE_NOTIFY, 1); /* another queue */
    assert_int_equal(event_next(f.events), EVENT_NEVER);
    driver_write(&f, VIRTIO_MMIO_QUEUE_READY, 0);
    driver_write(&f, VIRTIO_MMIO_QUEUE_NOTIFY, 0);
    assert_int_equal(event_next(f.events), EVENT_NEVER);
    driver_write(&f, VIRTIO_MMIO_QUEUE_READY, 1);
    driver_write(&f, VIRTIO_MMIO_QUEUE_NOTIFY, 0);
    assert_int_equal(event_next(f.events), DRIVER_FETCH);
}

static void a_queue_that_is_taken_away_ends_the_request_under_way(void **state)
{
    (void)state;
    driver_start(&f, DRIVER_FEATURES);
    describe_echo(0);
    driver_offer(&f, 0);
    driver_write(&f, VIRTIO_MMIO_QUEUE_NOTIFY, 0);
    run_until(f.events, DRIVER_FETCH);
    driver_write(&f, VIRTIO_MMIO_QUEUE_READY, 0);
    assert_int_equal(event_next(f.events), EVENT_NEVER);
    assert_int_equal(echo.served, 0);
}

static void a_queue_that_is_made_ready_again_starts_with_its_first_entry(void **state)
{
    (void)state;
    driver_start(&f, DRIVER_FEATURES);
    describe_echo(0);
    driver_do(&f, 0);
    driver_do(&f, 0);
    driver_write(&f, VIRTIO_MMIO_QUEUE_READY, 0);
    driver_store(&f, DRIVER_AVAIL, 0, 4);
    driver_store(&f, DRIVER_USED, 0, 4);
    f.made_available = 0;
    driver_write(&f, VIRTIO_MMIO_QUEUE_READY, 1);
    driver_do(&f, 0);
    assert_int_equal(echo.served, 3);
    assert_int_equal(driver_used_count(&f), 1);
    assert_false(driver_needs_reset(&f));
}

static void a_reset_ends_everything_and_the_device_starts_anew(void **state)
{
    (void)state;
    driver_start(&f, DRIVER_FEATURES);
    describe_echo(0);
    driver_do(&f, 0);
    assert_int_equal(f.line.count, 1);
    driver_offer(&f, 0);
    driver_write(&f, VIRTIO_MMIO_QUEUE_NOTIFY, 0);
    driver_write(&f, VIRTIO_MMIO_STATUS, 0);
    assert_change(&f.line, 1, false, f.now);
    assert_int_equal(event_next(f.events), EVENT_NEVER);
    assert_int_equal(driver_read(&f, VIRTIO_MMIO_STATUS), 0);
    assert_int_equal(driver_read(&f, VIRTIO_MMIO_INTERRUPT_STATUS), 0);
    assert_int_equal(driver_read(&f, VIRTIO_MMIO_QUEUE_READY), 0);
    driver_start(&f, DRIVER_FEATURES);
    driver_do(&f, 0);
    assert_int_equal(driver_used_count(&f), 1);
    assert_int_equal(echo.served, 2);
}

static void chains_may_be_cut_anywhere(void **state)
{
    (void)state;
    driver_start(&f, DRIVER_FEATURES);
    driver_store(&f, BUFFER, UINT64_C(0x0807060504030201), 8);
    driver_describe(&f, 7, BUFFER, 3, VIRTQ_DESC_F_NEXT, 1);
    driver_describe(&f, 1, 0, 0, VIRTQ_DESC_F_NEXT, 3); /* an empty one */
    driver_describe(&f, 3, BUFFER + 3, 5, VIRTQ_DESC_F_NEXT, 0);
    driver_describe(&f, 0, BUFFER + 0x20, 2, VIRTQ_DESC_F_NEXT | VIRTQ_DESC_F_WRITE, 2);
    driver_describe(&f, 2, BUFFER + 0x30, 99, VIRTQ_DESC_F_WRITE, 0);
    driver_do(&f, 7);
    assert_int_equal(driver_used_head(&f, 0), 7);
    assert_int_equal(driver_used_bytes(&f, 0), 8);
    assert_int_equal(driver_load(&f, BUFFER + 0x20, 8), 0x0201);
    assert_int_equal(driver_load(&f, BUFFER + 0x30, 8), UINT64_C(0x080706050403));
}

static void an_indirect_table_holds_the_rest_of_a_chain(void **state)
{
    (void)state;
    const uint64_t table = 0x5000;
    driver_start(&f, DRIVER_FEATURES);
    driver_store(&f, BUFFER, UINT64_C(0x0807060504030201), 8);
    driver_describe(&f, 0, BUFFER, 4, VIRTQ_DESC_F_NEXT, 5);
    driver_describe(&f, 5, table, 48, VIRTQ_DESC_F_INDIRECT | VIRTQ_DESC_F_WRITE, 0); /* WRITE says nothing */
    driver_describe_at(&f, table, 0, BUFFER + 4, 4, VIRTQ_DESC_F_NEXT, 2);
    driver_describe_at(&f, table, 2, BUFFER + 0x20, 8, VIRTQ_DESC_F_WRITE, 9);
    driver_do(&f, 0);
    assert_int_equal(driver_used_count(&f), 1);
    assert_int_equal(driver_load(&f, BUFFER + 0x20, 8), UINT64_C(0x0807060504030201));
}

/* ---- what cannot be ---- */

static void assert_broken(const char *what)
{
    if (!driver_needs_reset(&f) || driver_used_count(&f) != 0) {
        fail_msg("%s: status 0x%x", what, driver_read(&f, VIRTIO_MMIO_STATUS));
    }
    assert_int_equal(driver_read(&f, VIRTIO_MMIO_INTERRUPT_STATUS), VIRTIO_INTERRUPT_CONFIG);
    assert_int_equal(event_next(f.events), EVENT_NEVER);
    driver_write(&f, VIRTIO_MMIO_STATUS, STARTED); /* no way out but a reset */
    driver_write(&f, VIRTIO_MMIO_QUEUE_NOTIFY, 0);
    assert_true(driver_needs_reset(&f));
    assert_int_equal(event_next(f.events), EVENT_NEVER);
}

/* Offers what `make` describes to a device with these features, which must break. */
static void expect_broken(const char *what, uint64_t features, void (*make)(void))
{
    driver_start(&f, features);
    make();
    driver_do(&f, 0);
    assert_broken(what);
}

static void make_loop(void)
{
    driver_describe(&f, 0, BUFFER, 4, VIRTQ_DESC_F_NEXT, 1);
    driver_describe(&f, 1, BUFFER, 4, VIRTQ_DESC_F_NEXT, 0);
}

static void make_next_outside(void)
{
    driver_describe(&f, 0, BUFFER, 4, VIRTQ_DESC_F_NEXT, DRIVER_QUEUE);
}

static void make_read_after_write(void)
{
    driver_describe(&f, 0, BUFFER, 4, VIRTQ_DESC_F_NEXT | VIRTQ_DESC_F_WRITE, 1);
    driver_describe(&f, 1, BUFFER, 4, 0, 0);
}

static void make_buffer_beyond_memory(void)
{
    driver_describe(&f, 0, OUT_OF_MEMORY, 9, VIRTQ_DESC_F_WRITE, 0);
}

static void make_buffer_around_the_end(void)
{
    driver_describe(&f, 0, UINT64_MAX - 3, 8, 0, 0);
}

static void make_indirect(void)
{
    driver_describe(&f, 0, 0x5000, 16, VIRTQ_DESC_F_INDIRECT, 0);
    driver_describe_at(&f, 0x5000, 0, BUFFER, 4, 0, 0);
}

static void make_indirect_within_indirect(void)
{
    make_indirect();
    driver_describe_at(&f, 0x5000, 0, 0x6000, 16, VIRTQ_DESC_F_INDIRECT, 0);
    driver_describe_at(&f, 0x6000, 0, BUFFER, 4, 0, 0);
}

static void make_indirect_with_next(void)
{
    make_indirect();
    driver_describe(&f, 0, 0x5000, 16, VIRTQ_DESC_F_INDIRECT | VIRTQ_DESC_F_NEXT, 1);
}

static void make_empty_table(void)
{
    driver_describe(&f, 0, 0x5000, 0, VIRTQ_DESC_F_INDIRECT, 0);
}

static void make_odd_table(void)
{
    make_indirect();
    driver_describe(&f, 0, 0x5000, 24, VIRTQ_DESC_F_INDIRECT, 0);
}

static void make_table_beyond_memory(void)
{
    driver_describe(&f, 0, OUT_OF_MEMORY, 16, VIRTQ_DESC_F_INDIRECT, 0);
}

static void make_next_outside_table(void)
{
    make_indirect();
    driver_describe_at(&f, 0x5000, 0, BUFFER, 4, VIRTQ_DESC_F_NEXT, 1);
}

static void make_loop_in_table(void)
{
    make_indirect();
    driver_describe_at(&f, 0x5000, 0, BUFFER, 4, VIRTQ_DESC_F_NEXT, 0);
}

static void make_more_than_4_gib(void)
{
    const unsigned buffers = (unsigned)((UINT64_C(1) << 32) / DRIVER_RAM_BYTES) + 1;
    driver_describe(&f, 0, 0x5000, 16 * buffers, VIRTQ_DESC_F_INDIRECT, 0);
    for (unsigned i = 0; i < buffers; i++) {
        driver_describe_at(&f, 0x5000, i, 0, DRIVER_RAM_BYTES, i + 1 < buffers ? VIRTQ_DESC_F_NEXT : 0,
                           i + 1);
    }
}

static void make_refused(void)
{
    describe_echo(0);
    echo.refuses = true;
}

static void chains_that_cannot_be_make_the_device_need_a_reset(void **state)
{
    (void)state;
    expect_broken("a loop", DRIVER_FEATURES, make_loop);
    expect_broken("next outside", DRIVER_FEATURES, make_next_outside);
    expect_broken("read after write", DRIVER_FEATURES, make_read_after_write);
    expect_broken("a buffer beyond memory", DRIVER_FEATURES, make_buffer_beyond_memory);
    expect_broken("a buffer around the end", DRIVER_FEATURES, make_buffer_around_the_end);
    expect_broken("indirect, not agreed", VIRTIO_F_VERSION_1, make_indirect);
    expect_broken("indirect within indirect", DRIVER_FEATURES, make_indirect_within_indirect);
    expect_broken("indirect with next", DRIVER_FEATURES, make_indirect_with_next);
    expect_broken("an empty table", DRIVER_FEATURES, make_empty_table);
    expect_broken("an odd table", DRIVER_FEATURES, make_odd_table);
    expect_broken("a table beyond memory", DRIVER_FEATURES, make_table_beyond_memory);
    expect_broken("next outside a table", DRIVER_FEATURES, make_next_outside_table);
    expect_broken("a loop in a table", DRIVER_FEATURES, make_loop_in_table);
    expect_broken("more than 4 GiB", DRIVER_FEATURES, make_more_than_4_gib);
    assert_int_equal(echo.served, 0);
    expect_broken("what the type refuses", DRIVER_FEATURES, make_refused);
}

static void rings_that_cannot_be_make_the_device_need_a_reset(void **state)
{
    (void)state;
    driver_start(&f, DRIVER_FEATURES);
    describe_echo(0);
    f.made_available = DRIVER_QUEUE; /* one more than the ring holds */
    driver_do(&f, 0);
    assert_broken("more available than the ring holds");
    driver_start(&f, DRIVER_FEATURES);
    driver_do(&f, DRIVER_QUEUE);
    assert_broken("a head outside");
    driver_start(&f, DRIVER_FEATURES);
    echo.mmio.queue.available = DRIVER_RAM_BYTES - 2;
    driver_do(&f, 0);
    assert_broken("an available ring beyond memory");
    driver_start(&f, DRIVER_FEATURES);
    describe_echo(0);
    echo.mmio.queue.used = DRIVER_RAM_BYTES - 8;
    driver_do(&f, 0);
    assert_broken("a used ring beyond memory");
    driver_start(&f, DRIVER_FEATURES);
    echo.mmio.queue.descriptors = DRIVER_RAM_BYTES;
    driver_do(&f, 0);
    assert_broken("descriptors beyond memory");
}

static void a_chain_that_breaks_while_it_is_served_is_noticed(void **state)
{
    (void)state;
    driver_start(&f, DRIVER_FEATURES);
    describe_echo(0);
    driver_offer(&f, 0);
    driver_write(&f, VIRTIO_MMIO_QUEUE_NOTIFY, 0);
    run_until(f.events, DRIVER_FETCH);
    make_loop();
    run_until(f.events, 1000000);
    assert_broken("a chain that became a loop");
    assert_int_equal(echo.served, 0);
}

static void a_queue_of_a_bad_size_or_alignment_is_not_made_ready(void **state)
{
    static const struct {
        uint64_t offset;
        uint32_t value;
    } bad[] = {
        {VIRTIO_MMIO_QUEUE_NUM, 0},
        {VIRTIO_MMIO_QUEUE_NUM, 3},
        {VIRTIO_MMIO_QUEUE_NUM, 2 * VIRTQUEUE_SIZE_MAX},
        {VIRTIO_MMIO_QUEUE_DESC_LOW, DRIVER_DESC + 8},
        {VIRTIO_MMIO_QUEUE_DRIVER_LOW, DRIVER_AVAIL + 1},
        {VIRTIO_MMIO_QUEUE_DEVICE_LOW, DRIVER_USED + 2},
        {VIRTIO_MMIO_QUEUE_DEVICE_HIGH, UINT32_MAX},
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        driver_negotiate(&f, DRIVER_FEATURES);
        driver_set_queue(&f);
        assert_int_equal(driver_read(&f, VIRTIO_MMIO_QUEUE_READY), 1);
        driver_write(&f, VIRTIO_MMIO_QUEUE_READY, 0);
        driver_write(&f, bad[i].offset, bad[i].value);
        driver_write(&f, VIRTIO_MMIO_QUEUE_READY, 1);
        assert_int_equal(driver_read(&f, VIRTIO_MMIO_QUEUE_READY), 0);
        assert_true(driver_needs_reset(&f));
        assert_int_equal(driver_read(&f, VIRTIO_MMIO_INTERRUPT_STATUS), 0); /* nobody drives yet */
    }
    driver_start(&f, DRIVER_FEATURES);
    assert_false(driver_needs_reset(&f));
}

/* ---- state ---- */

static void a_request_under_way_moves_with_the_state(void **state)
{
    (void)state;
    struct echo copy = {.mmio = {.config = echo.mmio.config}};
    copy.mmio.config.device = &copy;
    driver_start(&f, DRIVER_FEATURES);
    describe_echo(2);
    driver_offer(&f, 2);
    driver_write(&f, VIRTIO_MMIO_QUEUE_NOTIFY, 0);
    run_until(f.events, DRIVER_FETCH);
    assert_int_equal(echo.mmio.stage, VIRTIO_SERVING);
    assert_state_moves(&virtio_mmio_ops, &echo.mmio, &copy.mmio);
    assert_int_equal(copy.mmio.stage, VIRTIO_SERVING);
    assert_int_equal(copy.mmio.head, 2);
    assert_int_equal(copy.mmio.queue.next_available, 1);
}

static void a_state_that_would_lead_outside_is_not_loaded(void **state)
{
    (void)state;
    struct state_buffer b = {0};
    struct buffer_visitor save, load;
    driver_start(&f, DRIVER_FEATURES);
    echo.mmio.queue.size = 5;
    save_visitor_init(&save, VISIT_MODEL, &b);
    virtio_mmio_visit(&echo.mmio, &save.base);
    load_visitor_init(&load, VISIT_MODEL, &b);
    virtio_mmio_visit(&echo.mmio, &load.base);
    assert_true(load.base.failed);
    echo.mmio.queue.ready = false;
    echo.mmio.stage = VIRTIO_SERVING;
    save_visitor_init(&save, VISIT_MODEL, &b);
    virtio_mmio_visit(&echo.mmio, &save.base);
    load_visitor_init(&load, VISIT_MODEL, &b);
    virtio_mmio_visit(&echo.mmio, &load.base);
    assert_true(load.base.failed);
    state_buffer_deinit(&b);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(registers_tell_magic_version_device_and_vendor),
        TEST(features_are_offered_in_two_words_and_no_third),
        TEST(features_ok_stays_only_for_what_was_offered_with_version_1),
        TEST(features_are_fixed_once_agreed),
        TEST(a_queue_that_is_not_there_has_size_zero_and_takes_nothing),
        TEST(only_words_reach_the_registers),
        TEST(the_configuration_space_is_read_bytewise_and_ends),
        TEST(a_ready_queue_keeps_its_size_and_addresses),
        TEST(addresses_have_two_halves),
        TEST(a_request_completes_at_its_time_and_raises_the_line),
        TEST(requests_that_wait_follow_one_another_with_one_notification),
        TEST(the_rings_wrap_around),
        TEST(a_driver_that_wants_no_interrupt_gets_none),
        TEST(nothing_is_served_before_driver_ok_nor_from_a_queue_that_is_not_ready),
        TEST(a_queue_that_is_taken_away_ends_the_request_under_way),
        TEST(a_queue_that_is_made_ready_again_starts_with_its_first_entry),
        TEST(a_reset_ends_everything_and_the_device_starts_anew),
        TEST(chains_may_be_cut_anywhere),
        TEST(an_indirect_table_holds_the_rest_of_a_chain),
        TEST(chains_that_cannot_be_make_the_device_need_a_reset),
        TEST(rings_that_cannot_be_make_the_device_need_a_reset),
        TEST(a_chain_that_breaks_while_it_is_served_is_noticed),
        TEST(a_queue_of_a_bad_size_or_alignment_is_not_made_ready),
        TEST(a_request_under_way_moves_with_the_state),
        TEST(a_state_that_would_lead_outside_is_not_loaded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
