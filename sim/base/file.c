/* Files read whole: images, scenarios, modules. */

#define _POSIX_C_SOURCE 200809L

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool read_all(FILE *f, const char *name, uint64_t max_bytes, struct file_bytes *out, struct error *e)
{
    struct stat status;
    if (fstat(fileno(f), &status) != 0 || !S_ISREG(status.st_mode)) {
        return error_set(e, "%s: not a regular file", name);
    }
    if ((uint64_t)status.st_size > max_bytes) {
        return error_set(e, "%s: larger than %llu MiB", name, (unsigned long long)(max_bytes >> 20));
    }
    out->size = (size_t)status.st_size;
    out->bytes = malloc(out->size + 1);
    if (!out->bytes) {
        file_free(out);
        return error_set(e, "%s: no memory for %llu bytes", name, (unsigned long long)status.st_size);
    }
    if (fread(out->bytes, 1, out->size, f) != out->size) {
        file_free(out);
        return error_set(e, "%s: cannot be read", name);
    }
    out->bytes[out->size] = 0; /* text files end in a zero byte */
    return true;
}

bool file_read(const char *name, uint64_t max_bytes, struct file_bytes *out, struct error *e)
{
    *out = (struct file_bytes){0};
    int fd = open(name, O_RDONLY | O_NONBLOCK); /* a pipe without a writer must not hang us */
    FILE *f = fd >= 0 ? fdopen(fd, "rb") : NULL;
    if (!f) {
        return error_set(e, "%s: %s", name, strerror(errno));
    }
    bool ok = read_all(f, name, max_bytes, out, e);
    fclose(f);
    return ok;
}

static bool write_all(const char *name, const void *bytes, size_t size)
{
    FILE *f = fopen(name, "wb");
    if (!f) {
        return false;
    }
    bool good = fwrite(bytes, 1, size, f) == size && fflush(f) == 0 && fsync(fileno(f)) == 0;
    int why = errno;
    good = fclose(f) == 0 && good;
    errno = good ? 0 : why;
    return good;
}

bool file_write(const char *name, const void *bytes, size_t size, struct error *e)
{
    char temporary[4200];
    int length = snprintf(temporary, sizeof temporary, "%s.tmp", name);
    if (length < 0 || (size_t)length >= sizeof temporary) {
        return error_set(e, "%s: its name is too long", name);
    }
    if (write_all(temporary, bytes, size) && rename(temporary, name) == 0) {
        return true;
    }
    int why = errno;
    remove(temporary);
    return error_set(e, "%s: %s", name, strerror(why));
}

bool file_exists(const char *name)
{
    struct stat status;
    return stat(name, &status) == 0;
}

void file_free(struct file_bytes *f)
{
    free(f->bytes);
    *f = (struct file_bytes){0};
}
