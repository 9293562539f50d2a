/* The arena against a plain account of its blocks. */

#include "script/arena.h"

#include "base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BLOCKS 500u

static struct arena opened(void)
{
    struct arena a;
    struct error e;
    assert_true(arena_init(&a, &e));
    return a;
}

static uint32_t low(const void *p)
{
    return (uint32_t)(uintptr_t)p;
}

struct held {
    uint8_t *bytes;
    size_t size;
    uint8_t fill;
};

static size_t random_size(struct rng *r)
{
    return (size_t)rng_below(r, (UINT64_C(1) << rng_below(r, 18)) + 1) + 1;
}

static void assert_filled(const struct held *h, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        assert_int_equal(h->bytes[i], h->fill);
    }
}

static void fill(struct held *h, size_t size, struct rng *r)
{
    h->size = size;
    h->fill = (uint8_t)rng_next(r);
    memset(h->bytes, h->fill, size);
}

/* One random call on one of the blocks; returns what tells the address. */
static uint32_t step(struct arena *a, struct held *h, struct rng *r)
{
    size_t size = random_size(r);
    if (!h->bytes) {
        h->bytes = arena_alloc(a, size);
        assert_non_null(h->bytes);
        assert_int_equal((uintptr_t)h->bytes % 8, 0);
        fill(h, size, r);
        return low(h->bytes);
    }
    if (rng_below(r, 2)) {
        h->bytes = arena_resize(a, h->bytes, size);
        assert_non_null(h->bytes);
        assert_filled(h, size < h->size ? size : h->size);
        fill(h, size, r);
        return low(h->bytes);
    }
    assert_filled(h, h->size);
    arena_free(a, h->bytes);
    h->bytes = NULL;
    return 0;
}

static void blocks_keep_their_bytes_and_two_arenas_give_the_same_offsets(void **state)
{
    struct arena a = opened(), b = opened();
    static struct held in_a[BLOCKS], in_b[BLOCKS];
    struct rng r, s;
    (void)state;
    rng_init(&r, 3, 0);
    rng_init(&s, 3, 0);
    assert_ptr_not_equal(a.base, b.base);
    for (unsigned i = 0; i < 20000; i++) {
        unsigned n = (unsigned)rng_below(&r, BLOCKS);
        assert_int_equal(rng_below(&s, BLOCKS), n);
        assert_int_equal(step(&a, &in_a[n], &r), step(&b, &in_b[n], &s));
    }
    for (unsigned n = 0; n < BLOCKS; n++) {
        if (in_a[n].bytes) {
            assert_filled(&in_a[n], in_a[n].size);
            arena_free(&a, in_a[n].bytes);
        }
    }
    /* all of it in one piece again */
    struct arena fresh = opened();
    assert_memory_equal(a.free_lists, fresh.free_lists, sizeof a.free_lists);
    assert_memory_equal(a.classes_filled, fresh.classes_filled, sizeof a.classes_filled);
    arena_deinit(&fresh);
    arena_deinit(&a);
    arena_deinit(&b);
}

static void blocks_do_not_overlap(void **state)
{
    struct arena a = opened();
    uint8_t *p[64];
    (void)state;
    for (unsigned i = 0; i < 64; i++) {
        p[i] = arena_alloc(&a, i + 1);
        memset(p[i], (int)i, i + 1);
    }
    for (unsigned i = 0; i < 64; i++) {
        for (unsigned k = 0; k <= i; k++) {
            assert_int_equal(p[i][k], i);
        }
    }
    arena_deinit(&a);
}

static void a_full_arena_refuses_and_a_block_can_always_shrink(void **state)
{
    struct arena a = opened();
    uint8_t *p[17];
    unsigned count = 0;
    (void)state;
    assert_null(arena_alloc(&a, ARENA_BYTES));
    assert_null(arena_alloc(&a, SIZE_MAX));
    while (count < 17 && (p[count] = arena_alloc(&a, 100u << 20))) {
        count++;
    }
    assert_in_range(count, 9, 10);
    p[0][0] = 77;
    assert_null(arena_resize(&a, p[0], 900u << 20));
    assert_int_equal(p[0][0], 77);
    assert_ptr_equal(arena_resize(&a, p[0], 1), p[0]);
    assert_non_null(arena_alloc(&a, 80u << 20));
    arena_deinit(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_keep_their_bytes_and_two_arenas_give_the_same_offsets),
        cmocka_unit_test(blocks_do_not_overlap),
        cmocka_unit_test(a_full_arena_refuses_and_a_block_can_always_shrink),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
