#ifndef OS_TOOLS_DIMTOOL_FILES_H
#define OS_TOOLS_DIMTOOL_FILES_H

/* Files of dimtool. Every function prints one line on standard error when it fails. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "dimension/types.h"

#define MAX_FILE_BYTES (UINT64_C(256) << 20) /* larger ones are refused */

struct file {
    uint8_t *bytes; /* at a multiple of 16; files_free */
    uint64_t size_bytes;
};

/* Reads a whole regular file. */
bool files_read(const char *path, struct file *file);

void files_free(struct file *file);

/* Writes all or nothing: under another name, to disk, then renamed. */
bool files_write(const char *path, const void *bytes, uint64_t size_bytes);

/* Makes a folder unless it is there. */
bool files_make_folder(const char *path);

bool files_is_folder(const char *path);

bool files_has_suffix(const char *path, const char *suffix);

/* Memory, or a line on standard error and an exit with status 2. */
void *files_allocate(uint64_t bytes);

/* Prints "dimtool: PATH: TEXT OF THE ERROR". */
void files_complain(const char *path, const struct dim_error *error);

/* Text that grows as a sink writes it; free bytes. */
struct text_buffer {
    char *bytes;
    size_t used;
    size_t size;
};

struct dim_sink text_buffer_sink(struct text_buffer *buffer);

#endif
