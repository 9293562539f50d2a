/* PoolAllocator against a model, at its limit and when memory is refused. covers: PA-09 */

#include "fault_platform.h"

#include "dimension/pool.h"

#define KIB        UINT64_C(1024)
#define MIB        (1024 * KIB)
#define POOL_BYTES (1 * MIB)

static struct fault_platform fault;
static struct dim_platform platform;
static struct block_pool pool;
static const struct block_pool_config normal = {8 * MIB, POOL_BYTES};

static void start(uint64_t limit_bytes)
{
    platform = fault_platform_make(&fault, ".");
    assert_ok(block_pool_init(&pool, &(struct block_pool_config){limit_bytes, POOL_BYTES}, &platform));
}

static void stop(void)
{
    assert_ok(block_pool_deinit(&pool));
    assert_nothing_left(&fault);
}

static struct block_pool_stats stats(void)
{
    struct block_pool_stats s;
    block_pool_stats_read(&pool, &s);
    return s;
}

/* covers: PA-01 */
static void each_size_comes_from_a_pool_of_its_own(void **state)
{
    (void)state;
    static const uint64_t asked[] = {1,        4 * KIB,  4 * KIB + 1,  16 * KIB,
                                     17 * KIB, 64 * KIB, 64 * KIB + 1, 256 * KIB};
    start(8 * MIB);
    for (unsigned i = 0; i < 8; i++) {
        void *block = NULL;
        assert_ok(block_pool_alloc(&pool, asked[i], &block));
        assert_int_equal((uintptr_t)block % (4 * KIB << (i / 2 * 2)),
                         (uintptr_t)pool.base % (4 * KIB << (i / 2 * 2)));
        memset(block, 0xa5, asked[i]);
    }
    struct block_pool_stats s = stats();
    for (unsigned i = 0; i < BLOCK_POOL_CLASSES; i++) {
        assert_int_equal(s.classes[i].block_bytes, 4 * KIB << (2 * i));
        assert_int_equal(s.classes[i].pools, 1);
        assert_int_equal(s.classes[i].blocks, POOL_BYTES / s.classes[i].block_bytes);
        assert_int_equal(s.classes[i].used_blocks, 2);
    }
    assert_int_equal(s.allocated_bytes, 2 * (4 + 16 + 64 + 256) * KIB);
    assert_int_equal(s.committed_bytes, 4 * MIB);
    stop();
}

static void wrong_requests_are_refused(void **state)
{
    (void)state;
    void *block = NULL;
    start(8 * MIB);
    assert_status(block_pool_alloc(&pool, 0, &block), STATUS_ERR_ARGUMENT);
    assert_status(block_pool_alloc(&pool, 256 * KIB + 1, &block), STATUS_ERR_RANGE);
    assert_status(block_pool_alloc(&pool, UINT64_MAX, &block), STATUS_ERR_RANGE);
    assert_null(block);
    assert_ok(block_pool_alloc(&pool, 16 * KIB, &block));
    assert_status(block_pool_free(&pool, NULL), STATUS_ERR_FOREIGN);
    assert_status(block_pool_free(&pool, &block), STATUS_ERR_FOREIGN);
    assert_status(block_pool_free(&pool, (char *)block - 1), STATUS_ERR_FOREIGN);
    assert_status(block_pool_free(&pool, (char *)block + 8 * MIB), STATUS_ERR_FOREIGN);
    assert_status(block_pool_free(&pool, (char *)block + 4 * KIB), STATUS_ERR_UNALIGNED);
    assert_status(block_pool_free(&pool, (char *)block + 16 * KIB), STATUS_ERR_DOUBLE_FREE);
    assert_status(block_pool_free(&pool, (char *)block + 4 * MIB), STATUS_ERR_DOUBLE_FREE);
    assert_ok(block_pool_free(&pool, block));
    assert_status(block_pool_free(&pool, block), STATUS_ERR_DOUBLE_FREE);
    assert_int_equal(stats().allocated_bytes, 0);
    stop();
    assert_status(block_pool_alloc(&pool, 1, &block), STATUS_ERR_ARGUMENT);
    assert_status(block_pool_free(&pool, block), STATUS_ERR_FOREIGN);
    assert_ok(block_pool_deinit(&pool));
}

static void wrong_configurations_are_refused(void **state)
{
    (void)state;
    static const struct block_pool_config wrong[] = {
        {0, POOL_BYTES},    {4095, POOL_BYTES},       {8 * MIB + 1, POOL_BYTES},
        {8 * MIB, 0},       {8 * MIB, 4096},          {8 * MIB, 255 * KIB},
        {8 * MIB, 2 * MIB}, {1025 * MIB, POOL_BYTES}, {UINT64_MAX - 4095, POOL_BYTES},
    };
    platform = fault_platform_make(&fault, ".");
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_status(block_pool_init(&pool, &wrong[i], &platform), STATUS_ERR_ARGUMENT);
    }
    assert_ok(block_pool_init(&pool, &(struct block_pool_config){4096, 256 * KIB}, &platform));
    stop();
}

/* covers: PA-03 */
static void pools_grow_one_at_a_time_and_never_beyond_the_limit(void **state)
{
    (void)state;
    void *block;
    start(3 * MIB + 8 * KIB);
    for (unsigned i = 0; i < 3 * 256 + 2; i++) {
        assert_ok(block_pool_alloc(&pool, 4 * KIB, &block));
        struct block_pool_stats s = stats();
        uint64_t pools = i / 256 + 1;
        assert_int_equal(s.classes[0].pools, pools);
        assert_int_equal(s.committed_bytes, pools < 4 ? pools * MIB : 3 * MIB + 8 * KIB);
        assert_int_equal(fault.calls[FAULT_COMMIT], pools);
        assert_true(fault.host.backed_bytes <= 3 * MIB + 8 * KIB);
    }
    assert_status(block_pool_alloc(&pool, 4 * KIB, &block), STATUS_ERR_LIMIT);
    assert_status(block_pool_alloc(&pool, 256 * KIB, &block), STATUS_ERR_LIMIT);
    assert_int_equal(stats().allocated_bytes, 3 * MIB + 8 * KIB);
    assert_int_equal(stats().refused, 2);
    stop();
}

static void an_empty_pool_is_taken_over_by_another_size(void **state)
{
    (void)state;
    void *blocks[256], *big, *bigger;
    start(1 * MIB);
    for (unsigned i = 0; i < 256; i++) {
        assert_ok(block_pool_alloc(&pool, 4 * KIB, &blocks[i]));
    }
    for (unsigned i = 0; i < 255; i++) {
        assert_ok(block_pool_free(&pool, blocks[i]));
    }
    assert_status(block_pool_alloc(&pool, 64 * KIB, &big), STATUS_ERR_LIMIT);
    assert_ok(block_pool_free(&pool, blocks[255]));
    assert_ok(block_pool_alloc(&pool, 64 * KIB, &big));
    assert_ok(block_pool_alloc(&pool, 64 * KIB, &bigger));
    assert_ptr_equal(bigger, (char *)big + 64 * KIB);
    assert_int_equal(stats().classes[0].pools, 0);
    assert_int_equal(stats().classes[2].pools, 1);
    assert_int_equal(fault.calls[FAULT_COMMIT], 1);
    stop();
}

static void trimming_gives_back_exactly_the_empty_pools(void **state)
{
    (void)state;
    void *small, *large;
    start(8 * MIB);
    assert_ok(block_pool_alloc(&pool, 1, &small));
    assert_ok(block_pool_alloc(&pool, 256 * KIB, &large));
    assert_ok(block_pool_free(&pool, large));
    assert_ok(block_pool_trim(&pool));
    assert_int_equal(stats().committed_bytes, 1 * MIB);
    assert_int_equal(fault.host.backed_bytes, 1 * MIB);
    memset(small, 1, 4 * KIB);
    assert_ok(block_pool_alloc(&pool, 256 * KIB, &large));
    memset(large, 1, 256 * KIB);
    fault.fail_all[FAULT_UNMAP] = true;
    assert_ok(block_pool_free(&pool, large));
    assert_status(block_pool_trim(&pool), STATUS_ERR_BAD_ADDRESS);
    fault.fail_all[FAULT_UNMAP] = false;
    stop();
}

/* ---- the model: a list of what is out ---- */

struct live {
    unsigned char *at;
    uint64_t bytes; /* of the block */
    unsigned char mark;
};

static uint64_t block_bytes(uint64_t asked)
{
    uint64_t bytes = 4 * KIB;
    while (bytes < asked) {
        bytes *= 4;
    }
    return bytes;
}

static uint32_t random_below(uint64_t *seed, uint32_t bound)
{
    *seed = *seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (uint32_t)(*seed >> 33) % bound;
}

static void check_block(const struct live *one)
{
    assert_int_equal(one->at[0], one->mark);
    assert_int_equal(one->at[one->bytes - 1], one->mark);
}

static void check_totals(const struct live *live, unsigned count, uint64_t peak)
{
    uint64_t used[BLOCK_POOL_CLASSES] = {0}, sum = 0;
    for (unsigned i = 0; i < count; i++) {
        used[live[i].bytes == 4 * KIB    ? 0
             : live[i].bytes == 16 * KIB ? 1
             : live[i].bytes == 64 * KIB ? 2
                                         : 3]++;
        sum += live[i].bytes;
    }
    struct block_pool_stats s = stats();
    for (unsigned i = 0; i < BLOCK_POOL_CLASSES; i++) {
        assert_int_equal(s.classes[i].used_blocks, used[i]);
        assert_true(s.classes[i].blocks >= used[i]);
    }
    assert_int_equal(s.allocated_bytes, sum);
    assert_int_equal(s.peak_bytes, peak);
    assert_true(s.committed_bytes <= s.limit_bytes && s.committed_bytes >= sum);
    assert_int_equal(s.committed_bytes, fault.host.backed_bytes);
}

/* covers: PA-02, PA-04 (one thread), PA-06 */
static void random_allocations_agree_with_a_model(void **state)
{
    (void)state;
    static struct live live[2048];
    static const uint64_t sizes[] = {1, 4 * KIB, 5 * KIB, 16 * KIB, 60 * KIB, 64 * KIB, 65 * KIB, 256 * KIB};
    uint64_t seed = 1, sum = 0, peak = 0, refused = 0;
    unsigned count = 0;
    start(8 * MIB + 20 * KIB);
    for (unsigned step = 0; step < 30000; step++) {
        uint32_t phase = step / 3000 % 2 ? 3 : 6; /* growing and shrinking */
        if (count > 0 && random_below(&seed, 10) >= phase) {
            unsigned i = random_below(&seed, count);
            check_block(&live[i]);
            assert_ok(block_pool_free(&pool, live[i].at));
            sum -= live[i].bytes;
            live[i] = live[--count];
        } else {
            uint64_t asked = sizes[random_below(&seed, step % 7 ? 3 : 8)];
            void *at = NULL;
            status_t status = block_pool_alloc(&pool, asked, &at);
            if (status == STATUS_OK) {
                live[count] = (struct live){at, block_bytes(asked), (unsigned char)random_below(&seed, 256)};
                memset(at, live[count].mark, 1);
                live[count].at[live[count].bytes - 1] = live[count].mark;
                sum += live[count++].bytes;
                peak = sum > peak ? sum : peak;
            } else {
                assert_int_equal(status, STATUS_ERR_LIMIT);
                refused++;
            }
        }
        if (step % 100 == 0) {
            check_totals(live, count, peak);
        }
    }
    assert_int_equal(stats().refused, refused);
    assert_true(refused > 0);
    for (unsigned i = 0; i < count; i++) {
        check_block(&live[i]);
        assert_ok(block_pool_free(&pool, live[i].at));
    }
    check_totals(live, 0, peak);
    stop();
}

/* covers: PA-07 */
static void the_worst_pattern_shows_in_the_fragmentation_index(void **state)
{
    (void)state;
    static void *blocks[8 * 256];
    void *large;
    start(8 * MIB);
    assert_int_equal(stats().fragmentation_permille, 0);
    for (unsigned i = 0; i < 8 * 256; i++) {
        assert_ok(block_pool_alloc(&pool, 4 * KIB, &blocks[i]));
    }
    assert_int_equal(stats().fragmentation_permille, 0);
    for (unsigned i = 0; i < 8 * 256; i++) {
        if (i % 256 != 77) {
            assert_ok(block_pool_free(&pool, blocks[i]));
        }
    }
    print_message("worst case: 8 blocks of 4 KiB hold 8 MiB, index %u\n", stats().fragmentation_permille);
    assert_int_equal(stats().fragmentation_permille, 1000 * 255 / 256);
    assert_status(block_pool_alloc(&pool, 256 * KIB, &large), STATUS_ERR_LIMIT);
    assert_ok(block_pool_free(&pool, blocks[77]));
    assert_int_equal(stats().fragmentation_permille, 7 * 1000 * 255 / (8 * 256));
    assert_ok(block_pool_alloc(&pool, 256 * KIB, &large));
    stop();
}

static void memory_refused_at_any_growth_changes_nothing(void **state)
{
    (void)state;
    void *block = NULL;
    platform = fault_platform_make(&fault, ".");
    fault.fail_of[FAULT_RESERVE] = 1;
    assert_status(block_pool_init(&pool, &normal, &platform), STATUS_ERR_NO_MEMORY);
    assert_nothing_left(&fault);
    assert_ok(block_pool_deinit(&pool));
    for (uint64_t failing = 1; failing <= 3; failing++) {
        start(8 * MIB);
        fault.fail_of[FAULT_COMMIT] = failing;
        for (uint64_t i = 1; i < failing; i++) {
            for (unsigned n = 0; n < 4; n++) {
                assert_ok(block_pool_alloc(&pool, 256 * KIB, &block));
            }
        }
        assert_status(block_pool_alloc(&pool, 256 * KIB, &block), STATUS_ERR_NO_MEMORY);
        assert_int_equal(stats().committed_bytes, (failing - 1) * MIB);
        assert_int_equal(stats().allocated_bytes, (failing - 1) * MIB);
        assert_ok(block_pool_alloc(&pool, 256 * KIB, &block));
        stop();
    }
    start(8 * MIB);
    assert_ok(block_pool_alloc(&pool, 1, &block));
    fault.fail_all[FAULT_UNMAP] = true;
    assert_status(block_pool_deinit(&pool), STATUS_ERR_BAD_ADDRESS);
    assert_nothing_left(&fault);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_size_comes_from_a_pool_of_its_own),
        cmocka_unit_test(wrong_requests_are_refused),
        cmocka_unit_test(wrong_configurations_are_refused),
        cmocka_unit_test(pools_grow_one_at_a_time_and_never_beyond_the_limit),
        cmocka_unit_test(an_empty_pool_is_taken_over_by_another_size),
        cmocka_unit_test(trimming_gives_back_exactly_the_empty_pools),
        cmocka_unit_test(random_allocations_agree_with_a_model),
        cmocka_unit_test(the_worst_pattern_shows_in_the_fragmentation_index),
        cmocka_unit_test(memory_refused_at_any_growth_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
