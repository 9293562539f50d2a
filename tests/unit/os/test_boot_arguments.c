/* Host tests of the kernel's command line: what is the kernel's, and what is the program's behind "--". */
#include "fake/fake_arch.h"

#include "sys/boot_arguments.h"

#include "sys/boot_arguments.c" /* with the line that it keeps */

/* A program's buffer is here like any other. */
status_t user_write(vaddr_t to, const void *from, uint64_t bytes)
{
    memcpy(vaddr_pointer(to), from, bytes);
    return STATUS_OK;
}

static bool is(const char *text, const char *name, const char *value)
{
    char buffer[8] = "none";
    boot_arguments_set(text, strlen(text) + 1);
    bool found = boot_argument(name, buffer, sizeof buffer);
    return found ? value != NULL && strcmp(buffer, value) == 0 : value == NULL;
}

/* covers: BT-11 */
static void words_before_the_dashes_are_the_kernels(void **state)
{
    (void)state;
    assert_true(is("heap=full", "heap", "full"));
    assert_true(is("  log=x heap=full  ", "heap", "full"));
    assert_true(is("heap= init=a", "heap", ""));
    assert_true(is("heap=a heap=b", "heap", "a"));
    assert_true(is("xheap=a heaps=b heap", "heap", NULL));
    assert_true(is("heap=1234567 -- x", "heap", "1234567"));
    assert_true(is("heap=12345678", "heap", NULL)); /* does not fit */
    assert_true(is("", "heap", NULL));
    assert_true(is("log=x -- program heap=full", "heap", NULL));
    assert_true(is("-- program heap=full", "heap", NULL));
    assert_true(is("log=x --", "heap", NULL));
    assert_true(is("--x heap=full", "heap", "full")); /* a word of its own */
    assert_true(is("x-- heap=full", "heap", "full"));
    assert_true(is("x=-- heap=full -- heap=no", "heap", "full"));
}

/* covers: BT-11 */
static void what_is_too_long_is_cut(void **state)
{
    (void)state;
    static char text[2 * BOOT_ARGUMENTS_MAX];
    memset(text, 'x', sizeof text);
    memcpy(text, "a=1 ", 4);
    memcpy(text + BOOT_ARGUMENTS_MAX + 4, " b=2", 5);
    assert_true(is(text, "a", "1"));
    assert_true(is(text, "b", NULL));
}

/* A program gets all of it, or what there is room for, always ended. covers: BT-11 */
static void programs_get_the_whole_line(void **state)
{
    (void)state;
    char buffer[16];
    boot_arguments_set("a=1 -- b c  ", 12);
    assert_int_equal(boot_arguments_copy_out(vaddr_make(0), 0), 10);
    assert_int_equal(boot_arguments_copy_out(vaddr_from_pointer(buffer), sizeof buffer), 10);
    assert_string_equal(buffer, "a=1 -- b c");
    assert_int_equal(boot_arguments_copy_out(vaddr_from_pointer(buffer), 4), 10);
    assert_string_equal(buffer, "a=1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_before_the_dashes_are_the_kernels),
        cmocka_unit_test(what_is_too_long_is_cut),
        cmocka_unit_test(programs_get_the_whole_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
