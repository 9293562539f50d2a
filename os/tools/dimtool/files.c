/* Reading and writing of dimtool's files. Deviations: none. */
#define _DEFAULT_SOURCE
#include "tools/dimtool/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool complain(const char *path, const char *what)
{
    fprintf(stderr, "dimtool: %s: %s\n", path, what);
    return false;
}

void files_complain(const char *path, const struct dim_error *error)
{
    char text[DIM_ERROR_TEXT_BYTES];
    complain(path, dim_error_text(error, text, sizeof text));
}

void *files_allocate(uint64_t bytes)
{
    void *at = malloc(bytes ? bytes : 1);
    if (!at) {
        fprintf(stderr, "dimtool: no memory for %llu bytes\n", (unsigned long long)bytes);
        exit(2);
    }
    return at;
}

static bool read_all(const char *path, FILE *in, struct file *file)
{
    struct stat about;
    if (fstat(fileno(in), &about) != 0 || !S_ISREG(about.st_mode)) {
        return complain(path, "not a regular file");
    }
    if ((uint64_t)about.st_size > MAX_FILE_BYTES) {
        return complain(path, "larger than 256 MiB");
    }
    file->size_bytes = (uint64_t)about.st_size;
    file->bytes = files_allocate(file->size_bytes);
    if (fread(file->bytes, 1, file->size_bytes, in) != file->size_bytes) {
        files_free(file);
        return complain(path, "cannot be read");
    }
    return true;
}

bool files_read(const char *path, struct file *file)
{
    *file = (struct file){NULL, 0};
    FILE *in = fopen(path, "rb");
    if (!in) {
        return complain(path, strerror(errno));
    }
    bool good = read_all(path, in, file);
    fclose(in);
    return good;
}

void files_free(struct file *file)
{
    free(file->bytes);
    file->bytes = NULL;
}

bool files_write(const char *path, const void *bytes, uint64_t size_bytes)
{
    char *name = files_allocate(strlen(path) + 5);
    strcpy(name, path);
    strcat(name, ".tmp");
    FILE *out = fopen(name, "wb");
    bool good =
        out && fwrite(bytes, 1, size_bytes, out) == size_bytes && fflush(out) == 0 && fsync(fileno(out)) == 0;
    int error = errno;
    if (out && fclose(out) != 0 && good) {
        error = errno;
        good = false;
    }
    if (good && rename(name, path) != 0) {
        error = errno;
        good = false;
    }
    if (!good) {
        complain(path, strerror(error));
        if (out) {
            unlink(name);
        }
    }
    free(name);
    return good;
}

bool files_is_folder(const char *path)
{
    struct stat about;
    return stat(path, &about) == 0 && S_ISDIR(about.st_mode);
}

bool files_make_folder(const char *path)
{
    return mkdir(path, 0777) == 0 || files_is_folder(path) || complain(path, strerror(errno));
}

bool files_has_suffix(const char *path, const char *suffix)
{
    size_t length = strlen(path), end = strlen(suffix);
    return length > end && strcmp(path + length - end, suffix) == 0;
}

static void append(void *context, const char *text, size_t bytes)
{
    struct text_buffer *buffer = context;
    if (bytes > buffer->size - buffer->used) {
        size_t size = 2 * buffer->size + bytes + 4096;
        char *grown = files_allocate(size);
        memcpy(grown, buffer->bytes ? buffer->bytes : "", buffer->used);
        free(buffer->bytes);
        buffer->bytes = grown;
        buffer->size = size;
    }
    memcpy(buffer->bytes + buffer->used, text, bytes);
    buffer->used += bytes;
}

struct dim_sink text_buffer_sink(struct text_buffer *buffer)
{
    *buffer = (struct text_buffer){NULL, 0, 0};
    return (struct dim_sink){buffer, append};
}
