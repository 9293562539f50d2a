/* Programs of a guest, from an archive that may be anything. The files inside are this very test program. */

#include "observe/program.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ARCHIVE_BYTES (164u << 20)

static uint8_t *self, *archive;
static size_t self_size, archive_size;

static int open_self(void **state)
{
    (void)state;
    FILE *f = fopen("/proc/self/exe", "rb");
    self = malloc(64u << 20);
    archive = malloc(ARCHIVE_BYTES);
    self_size = f ? fread(self, 1, 64u << 20, f) : 0;
    return f == NULL || fclose(f) != 0 || self_size == 0;
}

static int close_self(void **state)
{
    (void)state;
    free(self);
    free(archive);
    return 0;
}

static void put(const void *bytes, size_t size)
{
    memcpy(archive + archive_size, bytes, size);
    archive_size += size;
    while (archive_size % 4 != 0) {
        archive[archive_size++] = 0;
    }
}

static void add(const char *name, const uint8_t *bytes, size_t size)
{
    char header[512];
    int used =
        snprintf(header, sizeof header, "070701%08x%08x%08x%08x%08x%08x%08zx%08x%08x%08x%08x%08zx%08x%s", 0,
                 0, 0, 0, 0, 0, size, 0, 0, 0, 0, strlen(name) + 1, 0, name);
    put(header, (size_t)used + 1);
    put(size != 0 ? bytes : (const uint8_t *)"", size);
}

static struct guest_files files(void)
{
    return (struct guest_files){.kernel_name = "self",
                                .initrd_name = "nowhere/archive",
                                .kernel = self,
                                .initrd = archive,
                                .kernel_size = self_size,
                                .initrd_size = archive_size};
}

static void programs_are_the_elf_files_of_the_archive(void **state)
{
    (void)state;
    struct programs p;
    archive_size = 0;
    add("motd", (const uint8_t *)"hello", 5);
    add("bin/one", self, self_size);
    add("two", self, self_size);
    add("TRAILER!!!", NULL, 0);
    struct guest_files f = files();
    programs_open(&p, &f);
    assert_int_equal(p.count, 4);
    assert_string_equal(p.programs[PROGRAM_KERNEL].name, "kernel");
    assert_string_equal(p.programs[2].name, "one");
    assert_string_equal(p.programs[3].name, "two");
    assert_true(p.programs[2].size_bytes != 0);
    uint64_t address, size;
    assert_true(symbols_find(p.programs[3].symbols, "main", &address, &size));
    programs_close(&p);
}

/* Whatever its fields say, nothing outside the archive is read (a sanitizer looks). */
static void a_broken_archive_ends_where_it_breaks(void **state)
{
    (void)state;
    archive_size = 0;
    add("one", (const uint8_t *)"\177ELF, and no more", 17);
    add("two", (const uint8_t *)"abc", 3);
    static const char digits[] = "0123456789abcdefABCDEF g";
    size_t whole = archive_size;
    uint8_t *copy = malloc(whole);
    for (size_t cut = 0; cut <= whole; cut++) {
        memcpy(copy, archive, whole);
        for (unsigned d = 0; d < sizeof digits - 1; d++) {
            struct programs p;
            struct guest_files f = files();
            f.initrd = realloc(copy, whole);
            copy = (uint8_t *)f.initrd;
            f.initrd_size = d == 0 ? cut : whole;
            f.kernel_size = 4; /* none at all: this is about the archive */
            copy[cut < whole ? cut : 0] = (uint8_t)digits[d];
            programs_open(&p, &f);
            assert_in_range(p.count, 2, 4);
            programs_close(&p);
        }
    }
    free(copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(programs_are_the_elf_files_of_the_archive),
        cmocka_unit_test(a_broken_archive_ends_where_it_breaks),
    };
    return cmocka_run_group_tests(tests, open_self, close_self);
}
