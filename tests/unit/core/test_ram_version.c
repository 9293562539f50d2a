/* Versions of RAM against whole copies of it, taken, put back and freed in any order. */

#include "core/ram_version.h"

#include "base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PAGES    24u
#define VERSIONS 8u

/* Far apart, so that all levels of a version have several nodes. */
static const struct ram_range ranges[] = {{{0}, 16 * PAGE_SIZE_BYTES},
                                          {{UINT64_C(3) << 21}, 4 * PAGE_SIZE_BYTES},
                                          {{UINT64_C(5) << 30}, 4 * PAGE_SIZE_BYTES}};

static phys_t page_at(unsigned n)
{
    return n < 16 ? phys(n * PAGE_SIZE_BYTES)
                  : phys(ranges[n < 20 ? 1 : 2].base.v + (n % 4) * PAGE_SIZE_BYTES);
}

static void copy(const struct ram *r, uint8_t *to)
{
    for (unsigned n = 0; n < PAGES; n++) {
        memcpy(to + n * PAGE_SIZE_BYTES, ram_at(r, page_at(n)), PAGE_SIZE_BYTES);
    }
}

static void assert_same(const struct ram *r, const uint8_t *expected)
{
    for (unsigned n = 0; n < PAGES; n++) {
        assert_memory_equal(ram_at(r, page_at(n)), expected + n * PAGE_SIZE_BYTES, PAGE_SIZE_BYTES);
    }
}

static void write_some(struct ram *r, struct rng *rng)
{
    for (uint64_t i = rng_below(rng, 12); i > 0; i--) {
        phys_t a = phys(page_at((unsigned)rng_below(rng, PAGES)).v + rng_below(rng, 2) * 4095);
        ram_note_write(r, a);
        *ram_at(r, a) = (uint8_t)rng_below(rng, 3); /* often back to zero */
    }
}

struct changed {
    unsigned pages;
};

static void count_page(void *target, phys_t page)
{
    struct changed *c = target;
    assert_int_equal(page.v % PAGE_SIZE_BYTES, 0);
    c->pages++;
}

static void versions_put_back_in_any_order_are_what_was_taken(void **state)
{
    (void)state;
    struct ram r;
    struct rng rng;
    struct error e;
    struct ram_version *versions[VERSIONS] = {NULL};
    static uint8_t copies[VERSIONS][PAGES * PAGE_SIZE_BYTES], before[PAGES * PAGE_SIZE_BYTES];
    assert_true(ram_init(&r, ranges, 3, &e));
    rng_init(&rng, 5, 0);
    for (unsigned round = 0; round < 2000; round++) {
        unsigned n = (unsigned)rng_below(&rng, VERSIONS);
        write_some(&r, &rng);
        if (rng_below(&rng, 8) == 0) {
            ram_digest(&r); /* clears dirty flags, too */
        }
        if (versions[n] && rng_below(&rng, 2)) {
            struct changed seen = {0}, really = {0};
            copy(&r, before);
            ram_version_put(&r, versions[n], count_page, &seen);
            for (unsigned p = 0; p < PAGES; p++) {
                really.pages += memcmp(before + p * PAGE_SIZE_BYTES, copies[n] + p * PAGE_SIZE_BYTES,
                                       PAGE_SIZE_BYTES) != 0;
            }
            assert_int_equal(seen.pages, really.pages);
            assert_same(&r, copies[n]);
        } else {
            ram_version_free(versions[n]);
            versions[n] = ram_version_take(&r);
            copy(&r, copies[n]);
        }
    }
    ram_deinit(&r);
    for (unsigned n = 0; n < VERSIONS; n++) {
        ram_version_free(versions[n]); /* after its RAM */
    }
}

static void digests_are_right_after_a_version_was_put_back(void **state)
{
    (void)state;
    struct ram r;
    struct rng rng;
    struct error e;
    assert_true(ram_init(&r, ranges, 3, &e));
    rng_init(&rng, 6, 0);
    for (unsigned round = 0; round < 100; round++) {
        write_some(&r, &rng);
        struct ram_version *v = ram_version_take(&r);
        struct digest then = ram_digest(&r);
        for (unsigned i = 0; i < 4; i++) {
            write_some(&r, &rng);
            if (i & 1) {
                ram_digest(&r);
            }
        }
        ram_version_put(&r, v, NULL, NULL);
        assert_true(digest_equal(ram_digest(&r), then));
        ram_version_free(v);
    }
    ram_deinit(&r);
}

/* Nodes are of 4 KiB, too; on their way to a page there are three. */
static void versions_hold_what_they_do_not_share(void **state)
{
    (void)state;
    struct ram r;
    struct error e;
    struct ram_version *v[4];
    uint64_t bytes[4];
    assert_true(ram_init(&r, ranges, 3, &e));
    assert_int_equal(ram_versions_bytes(&r), 0);
    for (unsigned n = 0; n < PAGES; n++) {
        ram_note_write(&r, page_at(n));
        *ram_at(&r, page_at(n)) = 1;
    }
    for (unsigned i = 0; i < 4; i++) {
        v[i] = ram_version_take(&r);
        bytes[i] = ram_versions_bytes(&r);
        ram_note_write(&r, page_at(i / 2));
        *ram_at(&r, page_at(i / 2)) = (uint8_t)(i + 2);
    }
    assert_in_range(bytes[0], PAGES * PAGE_SIZE_BYTES, (PAGES + 7) * (PAGE_SIZE_BYTES + 64));
    for (unsigned i = 1; i < 4; i++) { /* one page, and its way */
        assert_in_range(bytes[i] - bytes[i - 1], 4 * PAGE_SIZE_BYTES, 4 * (PAGE_SIZE_BYTES + 64));
    }
    ram_version_free(v[1]); /* its page is its own, and so are the nodes */
    assert_in_range(bytes[3] - ram_versions_bytes(&r), 4 * PAGE_SIZE_BYTES, 4 * (PAGE_SIZE_BYTES + 64));
    ram_version_free(v[0]);
    ram_version_free(v[2]);
    assert_in_range(ram_versions_bytes(&r), PAGES * PAGE_SIZE_BYTES, bytes[0]);
    ram_version_free(v[3]);
    ram_deinit(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(versions_put_back_in_any_order_are_what_was_taken),
        cmocka_unit_test(digests_are_right_after_a_version_was_put_back),
        cmocka_unit_test(versions_hold_what_they_do_not_share),
    };
    return cmocka_run_group_tests_name("ram_version", tests, NULL, NULL);
}
