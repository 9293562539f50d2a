/* The one line of a message. */

#include "script/failure.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const char *line_of(const char *text, size_t size)
{
    static char line[64];
    memset(line, 'Z', sizeof line);
    failure_one_line(text, strlen(text), line, size);
    return line;
}

static void a_text_that_fits_is_kept(void **state)
{
    (void)state;
    assert_string_equal(line_of("", 20), "");
    assert_string_equal(line_of("waiting", 20), "waiting");
    assert_string_equal(line_of("caf\xc3\xa9", 20), "caf\xc3\xa9");
}

static void control_characters_become_visible(void **state)
{
    (void)state;
    assert_string_equal(line_of("a\nb\tc\x1b[31m\x7f", 40), "a\\nb?c?[31m?");
}

static void a_long_text_is_cut_with_dots_inside_its_bound(void **state)
{
    static const char text[] = "0123456789012345678901234567890123456789012345678901234567890123456789";
    (void)state;
    for (size_t size = 16; size < 60; size++) {
        const char *line = line_of(text, size);
        size_t kept = strlen(line) - 3;
        assert_true(strlen(line) < size);
        assert_true(kept > 4);
        assert_memory_equal(line, text, kept);
        assert_string_equal(line + kept, "...");
    }
}

static void line_feeds_only_do_not_overflow(void **state)
{
    (void)state;
    for (size_t size = FAILURE_LINE_MIN; size < 60; size++) {
        const char *line =
            line_of("\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n", size);
        assert_true(strlen(line) < size);
    }
}

static void a_cut_leaves_no_half_character(void **state)
{
    (void)state;
    for (size_t size = FAILURE_LINE_MIN; size < 30; size++) {
        const char *line =
            line_of("\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac"
                    "\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac",
                    size);
        assert_int_equal((strlen(line) - 3) % 3, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_that_fits_is_kept),
        cmocka_unit_test(control_characters_become_visible),
        cmocka_unit_test(a_long_text_is_cut_with_dots_inside_its_bound),
        cmocka_unit_test(line_feeds_only_do_not_overflow),
        cmocka_unit_test(a_cut_leaves_no_half_character),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
