/* Reading files at the edge of the program. */

#define _POSIX_C_SOURCE 200809L

#include "main/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define FILE_MAX_BYTES (1024L * 1024L * 1024L)

static bool read_all(FILE *f, const char *name, struct file_bytes *out, struct error *e)
{
    struct stat status;
    if (fstat(fileno(f), &status) != 0 || !S_ISREG(status.st_mode)) {
        return error_set(e, "%s: not a regular file", name);
    }
    if (status.st_size > FILE_MAX_BYTES) {
        return error_set(e, "%s: larger than 1 GiB", name);
    }
    out->size = (size_t)status.st_size;
    out->bytes = malloc(out->size + 1);
    if (!out->bytes) {
        return error_set(e, "%s: no memory for %zu bytes", name, out->size);
    }
    if (fread(out->bytes, 1, out->size, f) != out->size) {
        file_free(out);
        return error_set(e, "%s: cannot be read", name);
    }
    out->bytes[out->size] = 0; /* text files end in a zero byte */
    return true;
}

bool file_read(const char *name, struct file_bytes *out, struct error *e)
{
    *out = (struct file_bytes){0};
    int fd = open(name, O_RDONLY | O_NONBLOCK); /* a pipe without a writer must not hang us */
    FILE *f = fd >= 0 ? fdopen(fd, "rb") : NULL;
    if (!f) {
        return error_set(e, "%s: %s", name, strerror(errno));
    }
    bool ok = read_all(f, name, out, e);
    fclose(f);
    return ok;
}

void file_free(struct file_bytes *f)
{
    free(f->bytes);
    *f = (struct file_bytes){0};
}
