/* False sharing, by hand: which accesses count. */

#include "machine/sharing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define LINE UINT64_C(0x12340)

static uint64_t count(const struct sharing *h)
{
    return sharing_count(h, 0) + sharing_count(h, 1) + sharing_count(h, 2);
}

static void two_who_store_to_their_own_words_of_a_line_share_it_falsely(void **state)
{
    (void)state;
    struct sharing *h = sharing_create(3);
    sharing_note(h, 0, LINE, 8, true);
    sharing_note(h, 1, LINE + 8, 8, true); /* its first: it never had the line */
    assert_int_equal(count(h), 0);
    sharing_note(h, 0, LINE, 8, true);
    assert_int_equal(sharing_count(h, 0), 1);
    sharing_note(h, 0, LINE, 8, true); /* it still has it */
    assert_int_equal(sharing_count(h, 0), 1);
    sharing_note(h, 1, LINE + 8, 8, true);
    assert_int_equal(sharing_count(h, 1), 1);
    sharing_note(h, 2, LINE + 64, 8, true); /* another line */
    assert_int_equal(count(h), 2);
    sharing_destroy(h);
}

static void two_who_use_the_same_word_share_it_truly(void **state)
{
    (void)state;
    struct sharing *h = sharing_create(3);
    for (unsigned i = 0; i < 4; i++) {
        sharing_note(h, 0, LINE, 8, true);
        sharing_note(h, 1, LINE + 7, 1, false);
        sharing_note(h, 1, LINE + 7, 1, true);
    }
    assert_int_equal(count(h), 0);
    sharing_destroy(h);
}

static void readers_among_themselves_share_nothing(void **state)
{
    (void)state;
    struct sharing *h = sharing_create(3);
    for (unsigned i = 0; i < 4; i++) {
        sharing_note(h, 0, LINE, 8, false);
        sharing_note(h, 1, LINE + 8, 8, false);
    }
    assert_int_equal(count(h), 0);
    sharing_note(h, 0, LINE, 8, true); /* the other one's copy goes, for bytes it has not read */
    assert_int_equal(sharing_count(h, 0), 1);
    sharing_note(h, 1, LINE + 8, 8, false); /* and is fetched again */
    assert_int_equal(sharing_count(h, 1), 1);
    sharing_note(h, 1, LINE + 8, 8, false);
    assert_int_equal(sharing_count(h, 1), 1);
    sharing_destroy(h);
}

static void of_an_access_to_two_lines_each_counts_for_itself(void **state)
{
    (void)state;
    struct sharing *h = sharing_create(3);
    sharing_note(h, 0, LINE + 60, 8, true);
    sharing_note(h, 1, LINE, 4, true);      /* bytes of the first line that are not its own */
    sharing_note(h, 1, LINE + 64, 4, true); /* and its own of the second */
    sharing_note(h, 0, LINE + 60, 8, true);
    assert_int_equal(sharing_count(h, 0), 1);
    sharing_destroy(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_who_store_to_their_own_words_of_a_line_share_it_falsely),
        cmocka_unit_test(two_who_use_the_same_word_share_it_truly),
        cmocka_unit_test(readers_among_themselves_share_nothing),
        cmocka_unit_test(of_an_access_to_two_lines_each_counts_for_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
