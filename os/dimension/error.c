/* Failures as a line of text. Deviations: none. */

#include "kernel/lib/format.h"

#include "dimension/types.h"

#include "lib/string.h"

status_t dim_fail(struct dim_error *error, status_t status, const char *what)
{
    if (error) {
        *error = (struct dim_error){.status = status, .what = what, .dimension = DIM_NONE, .layer = DIM_NONE};
    }
    return status;
}

status_t dim_fail_at(struct dim_error *error, status_t status, const char *what, uint64_t at)
{
    dim_fail(error, status, what);
    if (error) {
        error->has_place = true;
        error->at = at;
    }
    return status;
}

struct text {
    char *buffer;
    size_t size;
    size_t used;
};

static void add(struct text *out, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(struct text *out, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = kvsnprintf(out->buffer + out->used, out->size - out->used, format, arguments);
    va_end(arguments);
    out->used += (size_t)length;
    if (out->used >= out->size) {
        out->used = out->size - 1;
    }
}

static void add_where(struct text *out, const struct dim_error *error)
{
    if (error->dimension != DIM_NONE) {
        add(out, "dimension %u", error->dimension);
    }
    if (error->layer != DIM_NONE) {
        add(out, "%slayer %u", out->used ? ", " : "", error->layer);
    }
    if (error->line > 0) {
        add(out, "%sline %u, column %llu", out->used ? ", " : "", error->line, (unsigned long long)error->at);
    } else if (error->has_place) {
        add(out, "%sbyte %llu", out->used ? ", " : "", (unsigned long long)error->at);
    }
    add(out, "%s", out->used ? ": " : "");
}

const char *dim_error_text(const struct dim_error *error, char *buffer, size_t size)
{
    struct text out = {buffer, size, 0};
    if (size == 0) {
        return buffer;
    }
    buffer[0] = '\0';
    if (error->status == STATUS_OK) {
        add(&out, "%s", status_text(STATUS_OK));
        return buffer;
    }
    add_where(&out, error);
    add(&out, "%s", error->what);
    if (error->limit_bytes > 0) {
        add(&out, ": %llu bytes wanted, %llu of %llu in use", (unsigned long long)error->asked_bytes,
            (unsigned long long)error->used_bytes, (unsigned long long)error->limit_bytes);
    }
    add(&out, " (%s)", status_text(error->status));
    if (error->cause != STATUS_OK && error->cause != error->status) {
        add(&out, ", because: %s", status_text(error->cause));
    }
    return buffer;
}

const struct dim_entry *dim_catalog_find(const struct dim_catalog *catalog, dim_id_t id)
{
    for (uint32_t i = 0; i < catalog->count; i++) {
        if (catalog->dimensions[i].id.number == id.number) {
            return &catalog->dimensions[i];
        }
    }
    return NULL;
}
