/* Host tests of os/kernel/lib: formatting, bitmaps, lists, status texts, spinlock, string functions. */

#include "fake/fake_arch.h"

#include "lib/bitmap.h"
#include "lib/format.h"
#include "lib/list.h"
#include "lib/spinlock.h"
#include "types.h"

/* The freestanding functions under other names, so that the C library's stay in place. */
void *kernel_memcpy(void *restrict to, const void *restrict from, size_t bytes);
void *kernel_memmove(void *to, const void *from, size_t bytes);
void *kernel_memset(void *to, int value, size_t bytes);
int kernel_memcmp(const void *a, const void *b, size_t bytes);
size_t kernel_strlen(const char *text);
size_t kernel_strnlen(const char *text, size_t limit);
int kernel_strcmp(const char *a, const char *b);
int kernel_strncmp(const char *a, const char *b, size_t limit);
#define memcpy  kernel_memcpy
#define memmove kernel_memmove
#define memset  kernel_memset
#define memcmp  kernel_memcmp
#define strlen  kernel_strlen
#define strnlen kernel_strnlen
#define strcmp  kernel_strcmp
#define strncmp kernel_strncmp
#include "kernel/lib/builtins/string.c"
#undef memcpy
#undef memmove
#undef memset
#undef memcmp
#undef strlen
#undef strnlen
#undef strcmp
#undef strncmp

static void check_format(const char *want, const char *format, ...)
{
    char text[128];
    va_list arguments;
    va_start(arguments, format);
    int length = kvsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    assert_string_equal(text, want);
    assert_int_equal(length, strlen(want));
}

static void format_writes_what_the_standard_says(void **state)
{
    (void)state;
    check_format("-5|  -5|-5  |-005|+7| 7", "%d|%4d|%-4d|%04d|%+d|% d", -5, -5, -5, -5, 7, 7);
    check_format("ff|0xff|FF|377|0377|101|0b101", "%x|%#x|%X|%o|%#o|%b|%#b", 255, 255, 255, 255, 255, 5, 5);
    check_format("18446744073709551615|-9223372036854775808", "%llu|%lld", ~0ull, INT64_MIN);
    check_format("a|  ab|ab  |ab|(null)|100%", "%c|%4s|%-4s|%.2s|%s|100%%", 'a', "ab", "ab", "abc",
                 (char *)NULL);
    check_format("00042|   00042|0x10|255|-1", "%.5d|%8.5d|%p|%hhu|%hd", 42, 42, (void *)16, 511, 65535);
    check_format("   7|7   |ab", "%*d|%-*d|%.*s", 4, 7, 4, 7, 2, "abcd");
    check_format("%q rest", "%q rest");
}

static void format_never_writes_beyond_the_buffer(void **state)
{
    (void)state;
    char text[8];
    for (size_t size = 0; size < sizeof text; size++) {
        memset(text, 'x', sizeof text);
        assert_int_equal(ksnprintf(text, size, "%s-%d", "abcdef", 123456), 13);
        for (size_t i = size; i < sizeof text; i++) {
            assert_int_equal(text[i], 'x');
        }
        if (size > 0) {
            assert_int_equal(text[size - 1], 0);
        }
    }
}

static void bitmap_searches_agree_with_a_plain_loop(void **state)
{
    (void)state;
    uint64_t seed = 7;
    for (unsigned round = 0; round < 2000; round++) {
        uint64_t map[8];
        bool flat[512];
        for (unsigned i = 0; i < 8; i++) {
            map[i] = fake_random(&seed) | (round % 3 ? fake_random(&seed) : 0);
        }
        size_t first = fake_random(&seed) % 500;
        size_t length = fake_random(&seed) % (512 - first);
        (round % 2 ? bitmap_set_range : bitmap_clear_range)(map, first, length);
        size_t total = 0;
        for (size_t i = 0; i < 512; i++) {
            flat[i] = bitmap_test(map, i);
            total += flat[i];
            assert_true(i < first || i >= first + length || flat[i] == (round % 2 != 0));
        }
        assert_int_equal(bitmap_count(map, 512), total);
        size_t want = 1 + fake_random(&seed) % 24;
        size_t align = 1ull << fake_random(&seed) % 4;
        size_t found = BITMAP_NONE;
        for (size_t i = 0; i + want <= 512 && found == BITMAP_NONE; i += align) {
            size_t run = 0;
            while (run < want && flat[i + run]) {
                run++;
            }
            found = run == want ? i : BITMAP_NONE;
        }
        size_t longest;
        assert_int_equal(bitmap_find_run(map, 512, want, align, &longest), found);
    }
}

static void list_keeps_order_and_survives_double_removal(void **state)
{
    (void)state;
    struct list head = LIST_INIT(head);
    struct list nodes[3];
    list_push_back(&head, &nodes[1]);
    list_push_back(&head, &nodes[2]);
    list_push_front(&head, &nodes[0]);
    unsigned index = 0;
    list_for_each(it, &head)
    {
        assert_ptr_equal(it, &nodes[index++]);
    }
    list_remove(&nodes[1]);
    list_remove(&nodes[1]);
    assert_ptr_equal(list_pop_front(&head), &nodes[0]);
    assert_ptr_equal(list_pop_front(&head), &nodes[2]);
    assert_null(list_pop_front(&head));
}

static void status_values_are_negative_and_distinct_and_named(void **state)
{
    (void)state;
    static const status_t all[] = {
#define STATUS_ROW(name, value, text) name,
#include "abi/status.def"
#undef STATUS_ROW
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        assert_true(i == 0 ? all[i] == 0 : (int)all[i] < 0);
        assert_string_not_equal(status_text(all[i]), "unknown status");
        for (size_t j = 0; j < i; j++) {
            assert_int_not_equal(all[i], all[j]);
        }
    }
    assert_string_equal(status_name(STATUS_ERR_OVERLAP), "STATUS_ERR_OVERLAP");
    assert_string_equal(status_name((status_t)-9999), "STATUS_UNKNOWN");
}

/* covers: IR-01 (host part) */
static void spinlock_restores_the_interrupt_flag_in_every_nesting(void **state)
{
    (void)state;
    struct spinlock outer = SPINLOCK_INIT("outer", TEST);
    struct spinlock inner = SPINLOCK_INIT("inner", TEST);
    fake_irqs_off = false;
    uint64_t a = spin_lock_irqsave(&outer);
    uint64_t b = spin_lock_irqsave(&inner);
    assert_true(fake_irqs_off && spin_is_held(&outer) && spin_is_held(&inner));
    spin_unlock_irqrestore(&outer, b);
    assert_true(fake_irqs_off);
    spin_unlock_irqrestore(&inner, a);
    assert_false(fake_irqs_off);
    spin_lock(&inner);
    assert_panics("taken twice", spin_lock(&inner));
    spin_unlock(&inner);
}

static void lock_classes_have_distinct_names_and_ascending_ranks(void **state)
{
    (void)state;
    for (unsigned i = 1; i < LOCK_CLASS_COUNT; i++) {
        const struct lock_class_info *info = lock_class_info((enum lock_class)i);
        for (unsigned j = 0; j < i; j++) {
            assert_string_not_equal(info->name, lock_class_info((enum lock_class)j)->name);
        }
        assert_true(info->rank > lock_class_info((enum lock_class)(i - 1))->rank);
    }
}

static void string_functions_agree_with_the_c_library(void **state)
{
    (void)state;
    char a[64];
    char b[64];
    uint64_t seed = 3;
    for (unsigned round = 0; round < 2000; round++) {
        for (unsigned i = 0; i < 64; i++) {
            a[i] = b[i] = (char)(fake_random(&seed) % 4);
        }
        size_t from = fake_random(&seed) % 32;
        size_t to = fake_random(&seed) % 32;
        size_t bytes = fake_random(&seed) % 32;
        assert_ptr_equal(kernel_memmove(a + to, a + from, bytes), a + to);
        memmove(b + to, b + from, bytes);
        assert_memory_equal(a, b, 64);
        int want = memcmp(a + from, a + to, bytes);
        int got = kernel_memcmp(a + from, a + to, bytes);
        assert_true((want < 0) == (got < 0) && (want > 0) == (got > 0));
        want = strncmp(a + from, a + to, bytes);
        got = kernel_strncmp(a + from, a + to, bytes);
        assert_true((want < 0) == (got < 0) && (want > 0) == (got > 0));
        assert_int_equal(kernel_strnlen(a + from, bytes), strnlen(a + from, bytes));
    }
    kernel_memset(a, 0x5a, 64);
    kernel_memcpy(b, a, 64);
    assert_memory_equal(a, b, 64);
    assert_int_equal(b[63], 0x5a);
    assert_int_equal(kernel_strlen("seven.."), 7);
    assert_int_equal(kernel_strcmp("abc", "abd"), -1);
}

/* covers: VM-10 (helpers) */
static void address_types_convert_to_numbers_frames_and_offsets(void **state)
{
    (void)state;
    assert_int_equal(paddr_pfn(paddr_make(0x12345678)), 0x12345);
    assert_int_equal(paddr_offset(paddr_make(0x12345678)), 0x678);
    assert_int_equal(paddr_number(paddr_from_pfn(3)), 0x3000);
    assert_int_equal(vaddr_page(vaddr_make(0x5fff)), 5);
    assert_true(vaddr_canonical(vaddr_make(0x7fffffffffff)));
    assert_false(vaddr_canonical(vaddr_make(0x800000000000)));
    assert_true(vaddr_canonical(vaddr_make(0xffff800000000000)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(format_writes_what_the_standard_says),
        cmocka_unit_test(format_never_writes_beyond_the_buffer),
        cmocka_unit_test(bitmap_searches_agree_with_a_plain_loop),
        cmocka_unit_test(list_keeps_order_and_survives_double_removal),
        cmocka_unit_test(status_values_are_negative_and_distinct_and_named),
        cmocka_unit_test(spinlock_restores_the_interrupt_flag_in_every_nesting),
        cmocka_unit_test(lock_classes_have_distinct_names_and_ascending_ranks),
        cmocka_unit_test(string_functions_agree_with_the_c_library),
        cmocka_unit_test(address_types_convert_to_numbers_frames_and_offsets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
