/* A disk over a file: what is refused, reads and writes across pages, the state of what was changed. */

#include "core/disk.h"

#include "base/bits.h"
#include "base/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "disk_file.h"

#define SIZE  (5u * DISK_SECTOR_BYTES + 2u * DISK_PAGE_BYTES) /* ends within a page */
#define PAGES 3u

static char name[DISK_FILE_NAME_BYTES];
static struct disk disk;

static int setup(void **state)
{
    struct error e;
    (void)state;
    disk_file_make(name, SIZE);
    assert_true(disk_init(&disk, name, &e));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    disk_deinit(&disk);
    disk_file_remove(name);
    return 0;
}

static struct digest digest_of(struct disk *d)
{
    struct digest_visitor *v = digest_visitor_create(VISIT_ARCH);
    disk_visit(d, digest_visitor_base(v));
    return digest_visitor_finish(v);
}

static void assert_bytes(uint64_t from, uint64_t size, int value)
{
    uint8_t bytes[SIZE];
    disk_read(&disk, from, bytes, size);
    for (uint64_t i = 0; i < size; i++) {
        assert_int_equal(bytes[i], value < 0 ? disk_file_byte(from + i) : value);
    }
}

static void a_file_that_is_no_disk_is_refused_in_one_line(void **state)
{
    static const size_t sizes[] = {0, 1, 511, 513, 4097};
    struct disk d;
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        char odd[DISK_FILE_NAME_BYTES];
        struct error e;
        disk_file_make(odd, sizes[i]);
        assert_false(disk_init(&d, odd, &e));
        assert_memory_equal(e.text, odd, strlen(odd));
        assert_null(strchr(e.text, '\n'));
        disk_file_remove(odd);
        disk_deinit(&d); /* nothing is left of it */
    }
    struct error e;
    assert_false(disk_init(&d, "/nowhere/disk.img", &e));
    assert_memory_equal(e.text, "/nowhere/disk.img: ", 19);
    assert_false(disk_init(&d, "/tmp", &e));
    assert_string_equal(e.text, "/tmp: not a regular file");
}

static void an_untouched_disk_reads_as_its_file(void **state)
{
    (void)state;
    assert_int_equal(disk.size_bytes, SIZE);
    assert_bytes(0, SIZE, -1);
}

static void what_is_written_is_read_and_nothing_else_changes(void **state)
{
    uint8_t bytes[DISK_PAGE_BYTES + 2] = {0};
    struct file_bytes file;
    struct error e;
    (void)state;
    memset(bytes, 0xa5, sizeof bytes);
    disk_write(&disk, DISK_PAGE_BYTES - 1, bytes, sizeof bytes); /* three pages */
    assert_bytes(0, DISK_PAGE_BYTES - 1, -1);
    assert_bytes(DISK_PAGE_BYTES - 1, sizeof bytes, 0xa5);
    assert_bytes(2 * DISK_PAGE_BYTES + 1, SIZE - 2 * DISK_PAGE_BYTES - 1, -1);
    disk_write_zeroes(&disk, DISK_PAGE_BYTES, 16);
    assert_bytes(DISK_PAGE_BYTES, 16, 0);
    assert_bytes(DISK_PAGE_BYTES + 16, 16, 0xa5);
    assert_true(file_read(name, SIZE, &file, &e));
    for (size_t i = 0; i < SIZE; i++) {
        assert_int_equal(file.bytes[i], disk_file_byte(i));
    }
    file_free(&file);
}

static void the_last_byte_can_be_written(void **state)
{
    (void)state;
    disk_write(&disk, SIZE - 1, "x", 1);
    assert_bytes(SIZE - 1, 1, 'x');
    assert_bytes(SIZE - 2, 1, -1);
}

static void a_change_is_in_the_digest_until_it_is_undone(void **state)
{
    (void)state;
    uint8_t old, changed;
    struct digest clean = digest_of(&disk);
    for (uint64_t offset = 0; offset < SIZE; offset += 511) {
        disk_read(&disk, offset, &old, 1);
        changed = (uint8_t)(old ^ 1);
        disk_write(&disk, offset, &changed, 1);
        assert_false(digest_equal(clean, digest_of(&disk)));
        disk_write(&disk, offset, &old, 1);
        assert_true(digest_equal(clean, digest_of(&disk)));
    }
}

static void disks_of_different_files_differ(void **state)
{
    char other_name[DISK_FILE_NAME_BYTES];
    struct disk other;
    struct error e;
    (void)state;
    disk_file_make(other_name, SIZE + DISK_SECTOR_BYTES);
    assert_true(disk_init(&other, other_name, &e));
    assert_false(digest_equal(digest_of(&disk), digest_of(&other)));
    disk_deinit(&other);
    disk_file_remove(other_name);
}

static bool load(struct disk *d, struct state_buffer *b)
{
    struct buffer_visitor v;
    load_visitor_init(&v, VISIT_MODEL, b);
    disk_visit(d, &v.base);
    return !v.base.failed;
}

static void save(struct disk *d, struct state_buffer *b)
{
    struct buffer_visitor v;
    save_visitor_init(&v, VISIT_MODEL, b);
    disk_visit(d, &v.base);
}

static void a_saved_disk_is_as_large_as_what_was_changed_and_comes_back(void **state)
{
    struct state_buffer clean = {0}, one = {0};
    (void)state;
    save(&disk, &clean);
    disk_write(&disk, DISK_PAGE_BYTES + 5, "changed", 7);
    disk_write(&disk, SIZE - 1, "z", 1);
    struct digest changed = digest_of(&disk);
    save(&disk, &one);
    size_t last_page = SIZE - 2 * DISK_PAGE_BYTES;
    assert_int_equal(one.size, clean.size + 4 + DISK_PAGE_BYTES + 4 + last_page);
    assert_true(load(&disk, &clean));
    assert_bytes(0, SIZE, -1);
    disk_write(&disk, 0, "only now", 8);
    assert_true(load(&disk, &one));
    assert_bytes(0, 8, -1);
    assert_true(digest_equal(changed, digest_of(&disk)));
    state_buffer_deinit(&clean);
    state_buffer_deinit(&one);
}

static void a_state_that_cannot_be_is_not_loaded(void **state)
{
    static const struct {
        size_t at;
        uint32_t value;
    } wrong[] = {
        {0, 0},                        /* another file */
        {16, PAGES + 1},               /* more pages than there are */
        {16, 3},                       /* more than follow */
        {20, PAGES},                   /* a page beyond the end */
        {20 + 4 + DISK_PAGE_BYTES, 0}, /* descending */
        {20 + 4 + DISK_PAGE_BYTES, UINT32_MAX},
    };
    struct state_buffer good = {0};
    (void)state;
    disk_write(&disk, 0, "!", 1);
    disk_write(&disk, DISK_PAGE_BYTES, "!", 1);
    save(&disk, &good);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct state_buffer bad = {0};
        memcpy(state_buffer_extend(&bad, good.size), good.bytes, good.size);
        store_le32(bad.bytes + wrong[i].at, wrong[i].value);
        assert_false(load(&disk, &bad));
        state_buffer_deinit(&bad);
    }
    assert_true(load(&disk, &good));
    state_buffer_deinit(&good);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_that_is_no_disk_is_refused_in_one_line),
        cmocka_unit_test_setup_teardown(an_untouched_disk_reads_as_its_file, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_written_is_read_and_nothing_else_changes, setup, teardown),
        cmocka_unit_test_setup_teardown(the_last_byte_can_be_written, setup, teardown),
        cmocka_unit_test_setup_teardown(a_change_is_in_the_digest_until_it_is_undone, setup, teardown),
        cmocka_unit_test_setup_teardown(disks_of_different_files_differ, setup, teardown),
        cmocka_unit_test_setup_teardown(a_saved_disk_is_as_large_as_what_was_changed_and_comes_back, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_state_that_cannot_be_is_not_loaded, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
