/*
 * The oracle of the block cache: random programs give the same registers, memory, clock and count whether
 * they run in blocks with specialised handlers or one plain instruction at a time, for every way of slicing
 * the time.
 */

#include "block_programs.h"

static void run_both(void **state, const uint64_t *slices, unsigned slice_count,
                     const struct cost_table *costs, uint64_t seed)
{
    struct sys *blocks = *state;
    void *other;
    assert_int_equal(core_setup(&other), 0);
    struct sys *oracle = other;
    struct program p;
    struct rng r;
    rng_init(&r, seed, 0);
    oracle->cpu.stores.capacity = blocks->cpu.stores.capacity;
    oracle->cpu.stores.drain_cycles = blocks->cpu.stores.drain_cycles;
    blocks->cpu.costs = costs;
    oracle->cpu.costs = costs;
    oracle->cpu.single_step_blocks = true;
    map_small_pages(blocks);
    map_small_pages(oracle);
    for (unsigned i = 0; i < PROGRAMS; i++) {
        make_program(&r, &p);
        uint64_t at = PROGRAM_AT + 0x1000 - gen_below(&r, 600);
        load_program(blocks, &p, at);
        load_program(oracle, &p, at);
        run_sliced(blocks, slices[i % slice_count]);
        run_sliced(oracle, 0);
        compare(blocks, oracle, i, &p);
        if (blocks->cpu.activity == CPU_SHUTDOWN) {
            reset_both(blocks, oracle);
        }
    }
    sys_teardown(&other);
}

static void random_programs_end_alike_in_blocks_and_one_by_one(void **state)
{
    static const uint64_t slices[] = {0};
    run_both(state, slices, 1, &cost_fast, 1);
}

static void random_programs_end_alike_when_time_is_sliced(void **state)
{
    static const uint64_t slices[] = {1, 2, 3, 7, 31, 100};
    run_both(state, slices, 6, &cost_fast, 2);
}

/* Stores wait in the queue: the limit of the moment they are due cuts blocks. */
static void random_programs_end_alike_with_a_store_queue(void **state)
{
    static const uint64_t slices[] = {0, 5, 64};
    struct sys *s = *state;
    s->cpu.stores.capacity = 8;
    s->cpu.stores.drain_cycles = 37;
    run_both(state, slices, 3, &cost_fast, 4);
}

static void random_programs_end_alike_with_unequal_costs(void **state)
{
    static const uint64_t slices[] = {0, 5, 64};
    run_both(state, slices, 3, &cost_flat, 3);
}

/* Bytes of the program change between its runs, and back: what was decoded before must not show. */
static void random_programs_end_alike_when_they_are_patched(void **state)
{
    struct sys *blocks = *state;
    void *other;
    assert_int_equal(core_setup(&other), 0);
    struct sys *oracle = other;
    struct program p;
    struct rng r;
    rng_init(&r, 5, 0);
    oracle->cpu.single_step_blocks = true;
    map_small_pages(blocks);
    map_small_pages(oracle);
    for (unsigned i = 0; i < PROGRAMS; i++) {
        uint8_t kept = 0;
        unsigned where = 0;
        make_program(&r, &p);
        for (unsigned run = 0; run < 6; run++) {
            load_program(blocks, &p, PROGRAM_AT);
            load_program(oracle, &p, PROGRAM_AT);
            block_cache_flush(oracle->blocks);
            run_sliced(blocks, run % 2 != 0 ? 7 : 0);
            run_sliced(oracle, 0);
            compare(blocks, oracle, i, &p);
            if (run % 3 == 2) {
                p.bytes[where] = kept;
            } else {
                where = gen_below(&r, p.size < 400 ? p.size : 400);
                kept = p.bytes[where];
                p.bytes[where] = (uint8_t)rng_next(&r);
            }
            if (blocks->cpu.activity == CPU_SHUTDOWN) {
                break;
            }
        }
        reset_both(blocks, oracle);
    }
    sys_teardown(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CORE_TEST(random_programs_end_alike_in_blocks_and_one_by_one),
        CORE_TEST(random_programs_end_alike_when_time_is_sliced),
        CORE_TEST(random_programs_end_alike_with_a_store_queue),
        CORE_TEST_BY_HANDLERS(random_programs_end_alike_with_unequal_costs),
        CORE_TEST(random_programs_end_alike_when_they_are_patched),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
