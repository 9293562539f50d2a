/* RAM: ranges, dirty pages, and the incremental digest against one from scratch. */

#include "base/bits.h"
#include "core/ram.h"

#include "base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define PAGES 64u

static const struct ram_range one_range[] = {{{0}, PAGES *PAGE_SIZE_BYTES}};

static void make(struct ram *r)
{
    struct error e;
    assert_true(ram_init(r, one_range, 1, &e));
}

static void write_byte(struct ram *r, uint64_t a, uint8_t value)
{
    ram_note_write(r, phys(a));
    *ram_at(r, phys(a)) = value;
}

/* The digest of a fresh RAM with the same contents, written in ascending order. */
static struct digest from_scratch(const struct ram *r)
{
    struct ram fresh;
    make(&fresh);
    for (uint64_t a = 0; a < PAGES * PAGE_SIZE_BYTES; a++) {
        if (*ram_at(r, phys(a))) {
            write_byte(&fresh, a, *ram_at(r, phys(a)));
        }
    }
    struct digest d = ram_digest(&fresh);
    ram_deinit(&fresh);
    return d;
}

static void incremental_digest_equals_the_one_from_scratch(void **state)
{
    (void)state;
    struct ram r;
    struct rng rng;
    make(&r);
    rng_init(&rng, 11, 0);
    for (unsigned round = 0; round < 20; round++) {
        for (unsigned i = 0; i < 30; i++) {
            uint8_t value = (uint8_t)rng_below(&rng, 3); /* often back to zero */
            write_byte(&r, rng_below(&rng, PAGES) * PAGE_SIZE_BYTES + rng_below(&rng, 2) * 4095, value);
        }
        assert_true(digest_equal(ram_digest(&r), from_scratch(&r)));
    }
    ram_deinit(&r);
}

static void untouched_page_equals_a_zero_page(void **state)
{
    (void)state;
    struct ram a, b;
    make(&a);
    make(&b);
    write_byte(&a, 0x5000, 0);
    write_byte(&a, 0x7000, 9);
    write_byte(&a, 0x7000, 0);
    assert_true(digest_equal(ram_digest(&a), ram_digest(&b)));
    write_byte(&a, 0x7fff, 1);
    assert_false(digest_equal(ram_digest(&a), ram_digest(&b)));
    write_byte(&a, 0x7fff, 0);
    assert_true(digest_equal(ram_digest(&a), ram_digest(&b)));
    ram_deinit(&a);
    ram_deinit(&b);
}

static void same_contents_on_another_page_are_another_digest(void **state)
{
    (void)state;
    struct ram a, b;
    make(&a);
    make(&b);
    write_byte(&a, 0x1000, 1);
    write_byte(&b, 0x2000, 1);
    assert_false(digest_equal(ram_digest(&a), ram_digest(&b)));
    ram_deinit(&a);
    ram_deinit(&b);
}

static void order_of_touching_does_not_show(void **state)
{
    (void)state;
    struct ram a, b;
    make(&a);
    make(&b);
    for (unsigned i = 0; i < 10; i++) {
        write_byte(&a, i * PAGE_SIZE_BYTES, (uint8_t)(i + 1));
        write_byte(&b, (9 - i) * PAGE_SIZE_BYTES, (uint8_t)(10 - i));
        ram_digest(&b);
    }
    assert_true(digest_equal(ram_digest(&a), ram_digest(&b)));
    ram_deinit(&a);
    ram_deinit(&b);
}

static void digest_clears_dirty_and_a_write_sets_it_once(void **state)
{
    (void)state;
    struct ram r;
    make(&r);
    write_byte(&r, 0x3000, 1);
    write_byte(&r, 0x3001, 1);
    assert_int_equal(r.lists[SINCE_DIGEST].count, 1);
    assert_int_equal(r.lists[SINCE_DIGEST].pages[0], 3);
    assert_int_equal(r.flags[3], PAGE_DIRTY);
    r.flags[3] |= PAGE_CODE;
    ram_digest(&r);
    assert_int_equal(r.flags[3], PAGE_CODE);
    assert_int_equal(r.lists[SINCE_DIGEST].count, 0);
    write_byte(&r, 0x3000, 2);
    assert_int_equal(r.flags[3], PAGE_CODE | PAGE_DIRTY);
    assert_int_equal(ram_touched_bytes(&r), PAGE_SIZE_BYTES);
    ram_deinit(&r);
}

static void contains_knows_holes_and_ends(void **state)
{
    (void)state;
    static const struct ram_range ranges[] = {{{0}, 0xa0000}, {{0x100000}, 0x100000}};
    struct ram r;
    struct error e;
    assert_true(ram_init(&r, ranges, 2, &e));
    assert_true(ram_contains(&r, phys(0x9fff8), 8));
    assert_false(ram_contains(&r, phys(0x9fff9), 8));
    assert_false(ram_contains(&r, phys(0xa0000), 1));
    assert_true(ram_contains(&r, phys(0x100000), 0x100000));
    assert_false(ram_contains(&r, phys(0x100000), 0x100001));
    assert_false(ram_contains(&r, phys(0xfffff), 2));
    assert_false(ram_contains(&r, phys(0x200000), 1));
    assert_false(ram_contains(&r, phys(UINT64_MAX), 1));
    assert_false(ram_contains(&r, phys(0x1000), UINT64_MAX));
    ram_deinit(&r);
}

static void saved_pages_load_into_other_ram_and_what_they_lack_becomes_zero(void **state)
{
    (void)state;
    static const struct ram_range ranges[] = {{{0}, 0xa000}, {{0x100000}, 0x10000}};
    struct ram a, b;
    struct state_buffer saved = {0};
    assert_true(ram_init(&a, ranges, 2, NULL));
    assert_true(ram_init(&b, ranges, 2, NULL));
    write_byte(&a, 0x3004, 7);
    write_byte(&a, 0x101000, 9);
    write_byte(&a, 0x5000, 0); /* touched, and zero */
    write_byte(&b, 0x4000, 1);
    ram_digest(&b);
    ram_save(&a, &saved);
    assert_int_equal(saved.size, 8 + 2 * (8 + PAGE_SIZE_BYTES));
    assert_true(ram_load(&b, &saved));
    assert_true(digest_equal(ram_digest(&a), ram_digest(&b)));
    assert_int_equal(*ram_at(&b, phys(0x3004)), 7);
    assert_int_equal(*ram_at(&b, phys(0x4000)), 0);
    state_buffer_deinit(&saved);
    ram_deinit(&a);
    ram_deinit(&b);
}

/* Page numbers of two saved pages, and how many bytes are missing at the end. */
static bool loads_pages(struct ram *r, uint64_t count, uint64_t first, uint64_t second, size_t missing)
{
    static uint8_t bytes[8 + 2 * (8 + PAGE_SIZE_BYTES)];
    struct state_buffer b = {.bytes = bytes, .size = sizeof bytes - missing};
    store_le64(bytes, count);
    store_le64(bytes + 8, first);
    store_le64(bytes + 16 + PAGE_SIZE_BYTES, second);
    return ram_load(r, &b);
}

static void pages_that_are_not_ram_or_out_of_order_are_not_loaded(void **state)
{
    (void)state;
    static const struct ram_range ranges[] = {{{0}, 0xa000}, {{0x100000}, 0x10000}};
    struct ram r;
    assert_true(ram_init(&r, ranges, 2, NULL));
    write_byte(&r, 0, 5);
    assert_false(loads_pages(&r, 2, 1, 0xa, 0));   /* a hole */
    assert_false(loads_pages(&r, 2, 1, 0x110, 0)); /* past the end */
    assert_false(loads_pages(&r, 2, 1, UINT64_MAX, 0));
    assert_false(loads_pages(&r, 2, 2, 1, 0));
    assert_false(loads_pages(&r, 2, 1, 1, 0));
    assert_false(loads_pages(&r, 1, 1, 2, 0));
    assert_false(loads_pages(&r, UINT64_MAX, 1, 2, 0));
    assert_false(loads_pages(&r, 2, 1, 2, 1));
    assert_int_equal(*ram_at(&r, phys(0)), 5);
    assert_true(loads_pages(&r, 2, 1, 2, 0));
    assert_int_equal(*ram_at(&r, phys(0)), 0);
    ram_deinit(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(incremental_digest_equals_the_one_from_scratch),
        cmocka_unit_test(untouched_page_equals_a_zero_page),
        cmocka_unit_test(same_contents_on_another_page_are_another_digest),
        cmocka_unit_test(order_of_touching_does_not_show),
        cmocka_unit_test(digest_clears_dirty_and_a_write_sets_it_once),
        cmocka_unit_test(contains_knows_holes_and_ends),
        cmocka_unit_test(saved_pages_load_into_other_ram_and_what_they_lack_becomes_zero),
        cmocka_unit_test(pages_that_are_not_ram_or_out_of_order_are_not_loaded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
