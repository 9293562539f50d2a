/* State visitors: digest, save, load, compare over one list of fields. */

#include "base/visit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct part {
    uint8_t a;
    uint16_t b;
    uint32_t c;
    uint64_t d;
    bool e;
    uint32_t words[5];
    uint64_t deep; /* VISIT_MODEL only */
};

static const struct part sample = {0x11, 0x2233,          0x44556677, UINT64_C(0x8899aabbccddeeff),
                                   true, {1, 2, 3, 4, 5}, 77};

static void part_visit(struct part *p, struct visitor *v)
{
    visit_enter(v, "part", 2);
    visit_u8(v, "a", &p->a);
    visit_u16(v, "b", &p->b);
    visit_u32(v, "c", &p->c);
    visit_u64(v, "d", &p->d);
    visit_bool(v, "e", &p->e);
    visit_enter(v, "inner", 0);
    visit_array(v, "words", p->words, 4, 5);
    visit_leave(v);
    visit_leave(v);
    if (v->level >= VISIT_MODEL) {
        visit_u64(v, "deep", &p->deep);
    }
}

static struct digest digest_of(const struct part *p, enum visit_level level)
{
    struct part copy = *p;
    struct digest_visitor *d = digest_visitor_create(level);
    part_visit(&copy, digest_visitor_base(d));
    return digest_visitor_finish(d);
}

static void save(const struct part *p, enum visit_level level, struct state_buffer *buffer)
{
    struct part copy = *p;
    struct buffer_visitor s;
    save_visitor_init(&s, level, buffer);
    part_visit(&copy, &s.base);
}

static void digest_of_bytes_is_xxh3_128(void **state)
{
    (void)state;
    struct digest empty = digest_bytes("", 0); /* the published value for no input */
    assert_int_equal(empty.hi, UINT64_C(0x99aa06d3014798d8));
    assert_int_equal(empty.lo, UINT64_C(0x6001c324468d497f));
}

static void saved_bytes_are_little_endian_without_padding(void **state)
{
    (void)state;
    static const uint8_t expected[] = {0x11, 0x33, 0x22, 0x77, 0x66, 0x55, 0x44, 0xff, 0xee, 0xdd, 0xcc, 0xbb,
                                       0xaa, 0x99, 0x88, 1,    1,    0,    0,    0,    2,    0,    0,    0,
                                       3,    0,    0,    0,    4,    0,    0,    0,    5,    0,    0,    0};
    struct state_buffer buffer = {0};
    save(&sample, VISIT_ARCH, &buffer);
    assert_int_equal(buffer.size, sizeof expected);
    assert_memory_equal(buffer.bytes, expected, sizeof expected);
    state_buffer_deinit(&buffer);
}

static void digest_equals_that_of_the_saved_bytes(void **state)
{
    (void)state;
    struct state_buffer buffer = {0};
    save(&sample, VISIT_MODEL, &buffer);
    assert_true(digest_equal(digest_of(&sample, VISIT_MODEL), digest_bytes(buffer.bytes, buffer.size)));
    state_buffer_deinit(&buffer);
}

static void digest_changes_with_every_field(void **state)
{
    (void)state;
    struct digest before = digest_of(&sample, VISIT_MODEL);
    struct part p[8] = {sample, sample, sample, sample, sample, sample, sample, sample};
    p[0].a ^= 1;
    p[1].b ^= 0x8000;
    p[2].c ^= 1;
    p[3].d ^= UINT64_C(1) << 63;
    p[4].e = false;
    p[5].words[0] ^= 1;
    p[6].words[4] ^= 1;
    p[7].deep ^= 1;
    for (unsigned i = 0; i < 8; i++) {
        assert_false(digest_equal(before, digest_of(&p[i], VISIT_MODEL)));
    }
}

static void level_limits_what_is_seen(void **state)
{
    (void)state;
    struct part p = sample;
    p.deep++;
    assert_true(digest_equal(digest_of(&sample, VISIT_ARCH), digest_of(&p, VISIT_ARCH)));
    assert_false(digest_equal(digest_of(&sample, VISIT_MODEL), digest_of(&p, VISIT_MODEL)));
}

static void load_restores_what_save_wrote(void **state)
{
    (void)state;
    struct state_buffer buffer = {0};
    save(&sample, VISIT_MODEL, &buffer);
    struct part p = {0};
    struct buffer_visitor load;
    load_visitor_init(&load, VISIT_MODEL, &buffer);
    part_visit(&p, &load.base);
    assert_int_equal(buffer.position, buffer.size);
    assert_int_equal(p.a, sample.a);
    assert_int_equal(p.b, sample.b);
    assert_int_equal(p.c, sample.c);
    assert_int_equal(p.d, sample.d);
    assert_true(p.e);
    assert_memory_equal(p.words, sample.words, sizeof p.words);
    assert_int_equal(p.deep, sample.deep);
    state_buffer_deinit(&buffer);
}

static void buffer_grows_and_is_written_anew_by_each_save(void **state)
{
    (void)state;
    struct state_buffer buffer = {0};
    uint64_t *big = malloc(100000 * sizeof *big);
    for (unsigned i = 0; i < 100000; i++) {
        big[i] = i * UINT64_C(0x123456789);
    }
    for (unsigned round = 0; round < 2; round++) {
        struct buffer_visitor s;
        save_visitor_init(&s, VISIT_ARCH, &buffer);
        visit_array(&s.base, "big", big, 8, 100000);
        assert_int_equal(buffer.size, 800000);
    }
    assert_true(digest_equal(digest_bytes(big, 800000), digest_bytes(buffer.bytes, buffer.size)));
    free(big);
    state_buffer_deinit(&buffer);
}

static void long_array_has_the_same_digest_as_its_bytes(void **state)
{
    (void)state;
    uint16_t a[2000]; /* more than one chunk */
    for (unsigned i = 0; i < 2000; i++) {
        a[i] = (uint16_t)(i * 37);
    }
    struct digest_visitor *d = digest_visitor_create(VISIT_ARCH);
    visit_array(digest_visitor_base(d), "a", a, 2, 2000);
    assert_true(digest_equal(digest_visitor_finish(d), digest_bytes(a, sizeof a)));
}

static void compare(const struct part *p, struct state_buffer *buffer, struct buffer_visitor *c)
{
    struct part copy = *p;
    compare_visitor_init(c, VISIT_MODEL, buffer);
    part_visit(&copy, &c->base);
}

static void compare_names_the_first_difference(void **state)
{
    (void)state;
    struct state_buffer buffer = {0};
    struct buffer_visitor c;
    save(&sample, VISIT_MODEL, &buffer);
    compare(&sample, &buffer, &c);
    assert_false(c.differs);
    struct part p = sample;
    p.words[3] = 9;
    p.deep = 0;
    compare(&p, &buffer, &c);
    assert_true(c.differs);
    assert_string_equal(c.where, "part2.inner0.words[3]");
    p = sample;
    p.deep = 0;
    compare(&p, &buffer, &c);
    assert_string_equal(c.where, "deep[0]");
    state_buffer_deinit(&buffer);
}

static void a_short_buffer_fails_by_name_and_changes_nothing_more(void **state)
{
    (void)state;
    struct state_buffer buffer = {0};
    struct buffer_visitor load;
    struct part p = {0};
    p.deep = 77;
    save(&sample, VISIT_ARCH, &buffer);
    load_visitor_init(&load, VISIT_MODEL, &buffer);
    part_visit(&p, &load.base);
    assert_true(load.base.failed);
    assert_string_equal(load.where, "deep");
    assert_int_equal(p.deep, 77);
    state_buffer_deinit(&buffer);
}

static void a_short_buffer_differs(void **state)
{
    (void)state;
    struct state_buffer buffer = {0};
    struct buffer_visitor c;
    save(&sample, VISIT_ARCH, &buffer);
    compare(&sample, &buffer, &c);
    assert_true(c.differs);
    assert_string_equal(c.where, "deep");
    state_buffer_deinit(&buffer);
}

/* Values that are used as counts, indices and truth values. */
struct bounded {
    uint32_t count;
    uint8_t choice;
    bool truth;
};

static void bounded_visit(struct bounded *b, struct visitor *v)
{
    visit_count(v, "count", &b->count, 5);
    visit_choice(v, "choice", &b->choice, 3);
    visit_bool(v, "truth", &b->truth);
}

static void a_value_out_of_bounds_fails_and_becomes_zero(void **state)
{
    static const struct {
        uint8_t bytes[6];
        const char *where;
    } damaged[] = {
        {{6, 0, 0, 0, 3, 1}, "count"},
        {{0, 0, 0, 0x80, 3, 1}, "count"},
        {{5, 0, 0, 0, 4, 1}, "choice"},
        {{5, 0, 0, 0, 3, 2}, "truth"},
    };
    (void)state;
    for (unsigned i = 0; i < sizeof damaged / sizeof damaged[0]; i++) {
        uint8_t bytes[6];
        memcpy(bytes, damaged[i].bytes, sizeof bytes);
        struct state_buffer buffer = {.bytes = bytes, .size = sizeof bytes};
        struct buffer_visitor load;
        struct bounded b = {0};
        load_visitor_init(&load, VISIT_ARCH, &buffer);
        bounded_visit(&b, &load.base);
        assert_true(load.base.failed);
        assert_string_equal(load.where, damaged[i].where);
        assert_true(b.count <= 5 && b.choice <= 3);
    }
    uint8_t good[6] = {5, 0, 0, 0, 3, 1};
    struct state_buffer buffer = {.bytes = good, .size = sizeof good};
    struct buffer_visitor load;
    struct bounded b = {0};
    load_visitor_init(&load, VISIT_ARCH, &buffer);
    bounded_visit(&b, &load.base);
    assert_false(load.base.failed);
    assert_true(b.count == 5 && b.choice == 3 && b.truth);
}

static void list_visit(uint32_t *count, uint64_t *entries, struct visitor *v)
{
    visit_u32(v, "count", count);
    visit_array(v, "entries", entries, 8, *count);
}

static void compare_stops_at_a_difference_in_a_count(void **state)
{
    uint32_t one = 1, three = 3;
    uint64_t entries[3] = {1, 2, 3};
    struct state_buffer buffer = {0};
    struct buffer_visitor v;
    (void)state;
    save_visitor_init(&v, VISIT_ARCH, &buffer);
    list_visit(&one, entries, &v.base);
    compare_visitor_init(&v, VISIT_ARCH, &buffer);
    list_visit(&three, entries, &v.base); /* reads no entries behind the end of the buffer */
    assert_true(v.differs);
    assert_string_equal(v.where, "count[0]");
    state_buffer_deinit(&buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digest_of_bytes_is_xxh3_128),
        cmocka_unit_test(saved_bytes_are_little_endian_without_padding),
        cmocka_unit_test(digest_equals_that_of_the_saved_bytes),
        cmocka_unit_test(digest_changes_with_every_field),
        cmocka_unit_test(level_limits_what_is_seen),
        cmocka_unit_test(load_restores_what_save_wrote),
        cmocka_unit_test(buffer_grows_and_is_written_anew_by_each_save),
        cmocka_unit_test(long_array_has_the_same_digest_as_its_bytes),
        cmocka_unit_test(compare_names_the_first_difference),
        cmocka_unit_test(compare_stops_at_a_difference_in_a_count),
        cmocka_unit_test(a_short_buffer_fails_by_name_and_changes_nothing_more),
        cmocka_unit_test(a_short_buffer_differs),
        cmocka_unit_test(a_value_out_of_bounds_fails_and_becomes_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
