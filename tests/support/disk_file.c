/* Files for disks. */

#define _GNU_SOURCE

#include "disk_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

uint8_t disk_file_byte(uint64_t offset)
{
    return (uint8_t)(offset * 7 + offset / 512);
}

void disk_file_make(char name[DISK_FILE_NAME_BYTES], size_t size)
{
    snprintf(name, DISK_FILE_NAME_BYTES, "/tmp/orrery-disk-XXXXXX");
    int fd = mkstemp(name);
    assert_true(fd >= 0);
    FILE *out = fdopen(fd, "wb");
    assert_non_null(out);
    for (size_t i = 0; i < size; i++) {
        assert_true(putc(disk_file_byte(i), out) != EOF);
    }
    assert_int_equal(fclose(out), 0);
}

void disk_file_remove(const char *name)
{
    assert_int_equal(unlink(name), 0);
}
