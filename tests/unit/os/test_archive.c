/*
 * The directory of a disk: what the boot image's parser finds in the same bytes, and nothing outside of them (AddressSanitizer
 * watches a copy of the archive's exact size), however they are damaged. SEED=n replays one run, CASES=n is how many archives.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dimension/system/archive.h"
#include "lib/cpio.h"
#include "proc/initrd.h"
#include "test/random.h"

#define MOST_BYTES (1u << 20)

static struct image {
    uint64_t bytes;
    char content[MOST_BYTES];
} made;

static struct archive archive;
static unsigned reads;

static status_t read_image(void *context, uint64_t offset, void *to, uint64_t bytes)
{
    const struct image *image = context;
    assert_true(offset <= image->bytes && bytes <= image->bytes - offset);
    reads++;
    memcpy(to, image->content + offset, bytes);
    return STATUS_OK;
}

static void add(const char *name, const void *data, uint32_t bytes)
{
    uint32_t name_bytes = (uint32_t)strlen(name) + 1;
    char header[CPIO_HEADER_BYTES + 1];
    (void)snprintf(header, sizeof header, "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X", 1u,
                   0100644u, 0u, 0u, 1u, 0u, bytes, 0u, 0u, 0u, 0u, name_bytes, 0u);
    memcpy(made.content + made.bytes, header, CPIO_HEADER_BYTES);
    memcpy(made.content + made.bytes + CPIO_HEADER_BYTES, name, name_bytes);
    made.bytes = (made.bytes + CPIO_HEADER_BYTES + name_bytes + 3) / 4 * 4;
    memcpy(made.content + made.bytes, data, bytes);
    made.bytes = (made.bytes + bytes + 3) / 4 * 4;
}

static void start(void)
{
    memset(&made, 0, sizeof made);
}

static status_t collect(uint64_t bytes, uint64_t *at)
{
    struct archive_source source = {read_image, &made, bytes};
    uint64_t whole = made.bytes;
    made.bytes = bytes;
    memset(&archive, 0xee, sizeof archive);
    reads = 0;
    status_t status = archive_index(&archive, &source, at);
    made.bytes = whole;
    assert_true(status == STATUS_OK || archive.count == 0);
    return status;
}

static void good_archive(void)
{
    start();
    add("dim03.odim", "0123456789", 10);
    add("a-name-that-is-much-longer-than-any-file-of-a-dimension-has", "x", 1);
    add("empty", "", 0);
    add("dim07.txt", "hello", 5);
    add("dim03.odim", "another", 7);
    add(CPIO_TRAILER, "", 0);
}

static void files_are_found_where_they_are(void **state)
{
    (void)state;
    uint64_t at;
    good_archive();
    assert_int_equal(collect(made.bytes, &at), STATUS_OK);
    assert_int_equal(archive.count, 4);
    assert_int_equal(reads, 7); /* the long name's end */
    const struct archive_file *file = archive_find(&archive, "dim03.odim");
    assert_non_null(file);
    assert_int_equal(file->bytes, 10); /* the first of that name */
    assert_memory_equal(made.content + file->offset, "0123456789", 10);
    file = archive_find(&archive, "dim07.txt");
    assert_non_null(file);
    assert_memory_equal(made.content + file->offset, "hello", file->bytes);
    assert_non_null(archive_find(&archive, "empty"));
    assert_null(archive_find(&archive, "dim07.tx"));
    assert_null(archive_find(&archive, CPIO_TRAILER));
}

static void what_lies_behind_the_trailer_is_nobodys(void **state)
{
    (void)state;
    uint64_t at;
    good_archive();
    memset(made.content + made.bytes, 0xa5, 4096);
    made.bytes += 4096;
    assert_int_equal(collect(made.bytes, &at), STATUS_OK);
    assert_int_equal(archive.count, 4);
}

static void an_archive_that_is_cut_off_is_told_from_a_whole_one(void **state)
{
    (void)state;
    uint64_t at;
    good_archive();
    uint64_t end = made.bytes - 4; /* the trailer's name is padded */
    for (uint64_t bytes = 0; bytes < end; bytes++) {
        assert_int_equal(collect(bytes, &at), STATUS_ERR_BAD_IMAGE);
        assert_true(at <= bytes);
    }
    assert_int_equal(collect(made.bytes, &at), STATUS_OK);
}

static void too_many_files_are_refused(void **state)
{
    (void)state;
    uint64_t at;
    char name[ARCHIVE_NAME];
    start();
    for (unsigned i = 0; i < ARCHIVE_FILES; i++) {
        (void)snprintf(name, sizeof name, "file-%u", i);
        add(name, name, 3);
    }
    uint64_t full = made.bytes;
    add(CPIO_TRAILER, "", 0);
    assert_int_equal(collect(made.bytes, &at), STATUS_OK);
    made.bytes = full;
    add("one-more", "", 0);
    add(CPIO_TRAILER, "", 0);
    assert_int_equal(collect(made.bytes, &at), STATUS_ERR_LIMIT);
    assert_int_equal(at, full);
    start();
    for (unsigned i = 0; i <= ARCHIVE_MEMBERS; i++) {
        add("a-name-that-is-much-longer-than-any-file-of-a-dimension-has", "", 0);
    }
    assert_int_equal(collect(made.bytes, &at), STATUS_ERR_LIMIT);
    assert_true(reads <= 2 * (ARCHIVE_MEMBERS + 1));
}

static status_t broken(void *context, uint64_t offset, void *to, uint64_t bytes)
{
    (void)context;
    (void)to;
    (void)bytes;
    return offset != 0 ? STATUS_ERR_DEVICE : read_image(&made, offset, to, bytes);
}

static void a_disk_that_fails_is_told_from_a_damaged_one(void **state)
{
    (void)state;
    uint64_t at;
    good_archive();
    const struct archive_source source = {broken, NULL, made.bytes};
    assert_int_equal(archive_index(&archive, &source, &at), STATUS_ERR_DEVICE);
    assert_int_equal(archive.count, 0);
}

/* By the length that the header before the name tells: a damaged one may lie behind the name's first zero. */
static bool fits(const char *name)
{
    struct cpio_member member;
    assert_int_equal(cpio_header(name - CPIO_HEADER_BYTES, &member), STATUS_OK);
    return member.name_bytes <= ARCHIVE_NAME;
}

/* The same members, by the boot image's parser, as long as both have room. */
static void compare(const char *copy, uint64_t bytes)
{
    struct initrd_file file;
    uint64_t offset = 0, at;
    uint32_t count = 0;
    struct image *context = &made;
    const struct archive_source source = {read_image, context, bytes};
    status_t status = archive_index(&archive, &source, &at);
    status_t found;
    while ((found = cpio_next(copy, bytes, &offset, &file)) == STATUS_OK) {
        if (fits(file.name) && status == STATUS_OK) {
            assert_true(count < archive.count);
            assert_int_equal(archive.files[count].bytes, file.bytes);
            assert_ptr_equal(copy + archive.files[count].offset, file.data);
            assert_string_equal(archive.files[count].name, file.name);
            count++;
        }
    }
    assert_true(status == STATUS_OK || status == STATUS_ERR_BAD_IMAGE);
    assert_int_equal(count, archive.count);
    assert_true(status != STATUS_OK || found == STATUS_ERR_NOT_FOUND);
}

static void damaged_archives_are_read_as_the_boot_image_is(void **state)
{
    (void)state;
    const char *seed = getenv("SEED");
    const char *cases = getenv("CASES");
    unsigned long first = seed != NULL ? strtoul(seed, NULL, 0) : 1;
    unsigned long count = cases != NULL ? strtoul(cases, NULL, 0) : 20000;
    for (unsigned long n = first; n < first + count; n++) {
        uint64_t random = n * 0x9e3779b97f4a7c15u | 1;
        good_archive();
        for (uint64_t wounds = random_next(&random) % 4; wounds != 0; wounds--) {
            uint64_t at = random_next(&random) % made.bytes;
            static const char digits[] = "0123456789abcdefF/";
            char digit = digits[random_next(&random) % 18];
            made.content[at] = random_next(&random) % 2 != 0 ? (char)(random_next(&random) & 0x7f) : digit;
        }
        uint64_t bytes = random_next(&random) % 4 == 0 ? random_next(&random) % made.bytes : made.bytes;
        char *copy = malloc(bytes);
        assert_non_null(copy);
        memcpy(copy, made.content, bytes);
        made.bytes = bytes;
        compare(copy, bytes);
        free(copy);
    }
}

/* Member n of the boot image holds its number; what = 0: by an ordinary name, 1: with a slash before it. */
static status_t find_member(unsigned n, unsigned what, struct initrd_file *file)
{
    char name[16];
    (void)snprintf(name, sizeof name, "%smember%u", what != 0 ? "/" : "", n);
    return initrd_find(name, file);
}

static void the_boot_image_finds_any_number_of_files_and_stops_at_damage(void **state)
{
    (void)state;
    struct initrd_file file;
    uint64_t damaged_at = 0;
    start();
    for (unsigned n = 0; n < 100; n++) {
        char name[16];
        (void)snprintf(name, sizeof name, "member%u", n);
        damaged_at = n == 80 ? made.bytes : damaged_at;
        add(name, &n, sizeof n);
    }
    add("member7", "later", 5); /* the first of a name counts */
    add(CPIO_TRAILER, "", 0);
    initrd_set(made.content, made.bytes);
    for (unsigned n = 0; n < 100; n++) {
        assert_int_equal(find_member(n, n % 2, &file), STATUS_OK);
        assert_true(file.bytes == sizeof n && memcmp(file.data, &n, sizeof n) == 0);
    }
    assert_int_equal(find_member(100, 0, &file), STATUS_ERR_NOT_FOUND);
    made.content[damaged_at] = 'x';
    initrd_set(made.content, made.bytes);
    assert_int_equal(find_member(3, 0, &file), STATUS_OK);
    assert_int_equal(find_member(79, 0, &file), STATUS_OK);
    assert_int_equal(find_member(80, 0, &file), STATUS_ERR_BAD_IMAGE);
    initrd_set(NULL, 0);
    assert_int_equal(find_member(3, 0, &file), STATUS_ERR_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_are_found_where_they_are),
        cmocka_unit_test(what_lies_behind_the_trailer_is_nobodys),
        cmocka_unit_test(an_archive_that_is_cut_off_is_told_from_a_whole_one),
        cmocka_unit_test(too_many_files_are_refused),
        cmocka_unit_test(a_disk_that_fails_is_told_from_a_damaged_one),
        cmocka_unit_test(damaged_archives_are_read_as_the_boot_image_is),
        cmocka_unit_test(the_boot_image_finds_any_number_of_files_and_stops_at_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
