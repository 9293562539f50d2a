/* PoolAllocator from many threads, under the thread sanitizer. covers: PA-04, PA-09 */
#include "fault_platform.h"

#include <pthread.h>

#include "dimension/pool.h"

#define KIB     UINT64_C(1024)
#define MIB     (1024 * KIB)
#define THREADS 16

static struct fault_platform fault;
static struct dim_platform platform;
static struct block_pool pool;

static void start(uint64_t limit_bytes)
{
    platform = fault_platform_make(&fault, ".");
    assert_ok(block_pool_init(&pool, &(struct block_pool_config){limit_bytes, MIB}, &platform));
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

static uint32_t random_below(uint64_t *seed, uint32_t bound)
{
    *seed = *seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (uint32_t)(*seed >> 33) % bound;
}

struct live {
    unsigned char *at;
    uint64_t bytes;
};

static pthread_barrier_t barrier;

static void *take_one(void *arg)
{
    void *block = NULL;
    pthread_barrier_wait(&barrier);
    *(status_t *)arg = block_pool_alloc(&pool, 4 * KIB, &block);
    return NULL;
}

/* covers: PA-05 */
static void sixteen_threads_at_one_block_below_the_limit_have_one_winner(void **state)
{
    (void)state;
    void *block;
    for (unsigned round = 0; round < 50; round++) {
        pthread_t threads[THREADS];
        status_t results[THREADS];
        unsigned winners = 0;
        start(1 * MIB);
        for (unsigned i = 0; i < 255; i++) {
            assert_ok(block_pool_alloc(&pool, 4 * KIB, &block));
        }
        pthread_barrier_init(&barrier, NULL, THREADS);
        for (unsigned i = 0; i < THREADS; i++) {
            assert_int_equal(pthread_create(&threads[i], NULL, take_one, &results[i]), 0);
        }
        for (unsigned i = 0; i < THREADS; i++) {
            pthread_join(threads[i], NULL);
            winners += results[i] == STATUS_OK;
            assert_true(results[i] == STATUS_OK || results[i] == STATUS_ERR_LIMIT);
        }
        pthread_barrier_destroy(&barrier);
        assert_int_equal(winners, 1);
        assert_int_equal(stats().allocated_bytes, 1 * MIB);
        assert_int_equal(stats().refused, THREADS - 1);
        stop();
    }
}

/* Takes and gives at random, always writing the own mark over what it holds. */
static void *churn(void *arg)
{
    uint64_t seed = (uint64_t)(uintptr_t)arg;
    unsigned char mark = (unsigned char)seed;
    struct live live[8];
    unsigned count = 0, wrong = 0;
    for (unsigned step = 0; step < 2000; step++) {
        if (count == 8 || (count > 0 && random_below(&seed, 2))) {
            unsigned i = random_below(&seed, count);
            wrong += live[i].at[0] != mark || live[i].at[live[i].bytes - 1] != mark;
            wrong += block_pool_free(&pool, live[i].at) != STATUS_OK;
            live[i] = live[--count];
            continue;
        }
        uint64_t asked = 4 * KIB << (2 * random_below(&seed, 3));
        void *at;
        if (block_pool_alloc(&pool, asked, &at) == STATUS_OK) {
            live[count++] = (struct live){at, asked};
            live[count - 1].at[0] = mark;
            live[count - 1].at[asked - 1] = mark;
        }
    }
    while (count > 0) {
        wrong += block_pool_free(&pool, live[--count].at) != STATUS_OK;
    }
    return (void *)(uintptr_t)wrong;
}

static void many_threads_never_share_a_block_and_the_totals_come_back_to_zero(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    start(4 * MIB);
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, churn, (void *)(uintptr_t)(i + 1)), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        void *wrong;
        pthread_join(threads[i], &wrong);
        assert_null(wrong);
    }
    struct block_pool_stats s = stats();
    assert_int_equal(s.allocated_bytes, 0);
    assert_true(s.peak_bytes > 0 && s.peak_bytes <= 4 * MIB);
    for (unsigned i = 0; i < BLOCK_POOL_CLASSES; i++) {
        assert_int_equal(s.classes[i].used_blocks, 0);
    }
    stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sixteen_threads_at_one_block_below_the_limit_have_one_winner),
        cmocka_unit_test(many_threads_never_share_a_block_and_the_totals_come_back_to_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
