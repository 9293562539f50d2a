/* Framing, escapes and numbers of the remote serial protocol. */

#include "gdb/packet.h"

#include "base/alloc.h"

#include <stdarg.h>
#include <stdio.h>

enum reader_state { BETWEEN, DATA, FIRST_DIGIT, SECOND_DIGIT };

void gdb_reader_init(struct gdb_reader *r)
{
    r->size = 0;
    r->state = BETWEEN;
    r->data[0] = 0;
}

static int digit_value(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static enum gdb_event between(struct gdb_reader *r, uint8_t byte)
{
    if (byte == '$') {
        r->state = DATA;
        r->size = 0;
        r->sum = 0;
        r->escaped = r->too_long = false;
    }
    return byte == 0x03 ? GDB_INTERRUPT : byte == '-' ? GDB_AGAIN : GDB_NOTHING;
}

static void take_data(struct gdb_reader *r, uint8_t byte)
{
    r->sum = (uint8_t)(r->sum + byte);
    if (!r->escaped && byte == '}') {
        r->escaped = true;
        return;
    }
    if (r->size == GDB_PACKET_MAX) {
        r->too_long = true;
        return;
    }
    r->data[r->size++] = r->escaped ? byte ^ 0x20 : byte;
    r->escaped = false;
}

static enum gdb_event take_digit(struct gdb_reader *r, uint8_t byte)
{
    int value = digit_value((char)byte);
    bool good = value >= 0;
    if (r->state == FIRST_DIGIT && good) {
        r->wanted = (uint8_t)(value << 4);
        r->state = SECOND_DIGIT;
        return GDB_NOTHING;
    }
    r->state = BETWEEN;
    r->data[r->size] = 0;
    return good && (r->wanted | value) == r->sum && !r->escaped && !r->too_long ? GDB_PACKET : GDB_DAMAGED;
}

enum gdb_event gdb_reader_take(struct gdb_reader *r, uint8_t byte)
{
    if (r->state == BETWEEN) {
        return between(r, byte);
    }
    if (r->state != DATA) {
        return take_digit(r, byte);
    }
    if (byte == '$') { /* the rest of the one before got lost */
        return between(r, byte);
    }
    if (byte == '#') {
        r->state = FIRST_DIGIT;
    } else {
        take_data(r, byte);
    }
    return GDB_NOTHING;
}

/* ---- writing ---- */

void gdb_text_deinit(struct gdb_text *t)
{
    free(t->bytes);
    *t = (struct gdb_text){0};
}

/* Room for size bytes and a 0. */
static char *extend(struct gdb_text *t, size_t size)
{
    if (t->capacity - t->size <= size || t->bytes == NULL) {
        t->capacity = 2 * (t->size + size) + 64;
        t->bytes = realloc(t->bytes, t->capacity);
        CHECK(t->bytes, "out of memory: %zu bytes", t->capacity);
    }
    char *at = t->bytes + t->size;
    t->size += size;
    t->bytes[t->size] = 0;
    return at;
}

static void put_bytes(struct gdb_text *t, const void *bytes, size_t size)
{
    if (size) {
        memcpy(extend(t, size), bytes, size);
    }
}

void gdb_put(struct gdb_text *t, const char *text)
{
    put_bytes(t, text, strlen(text));
}

void gdb_putf(struct gdb_text *t, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    gdb_put(t, text);
}

void gdb_put_hex(struct gdb_text *t, const void *bytes, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *from = bytes;
    char *to = extend(t, 2 * size);
    for (size_t i = 0; i < size; i++) {
        to[2 * i] = digits[from[i] >> 4];
        to[2 * i + 1] = digits[from[i] & 15];
    }
}

void gdb_put_binary(struct gdb_text *t, const void *bytes, size_t size)
{
    const char *from = bytes;
    for (size_t i = 0; i < size; i++) {
        if (from[i] == '#' || from[i] == '$' || from[i] == '}' || from[i] == '*') {
            const char escaped[2] = {'}', (char)(from[i] ^ 0x20)};
            put_bytes(t, escaped, 2);
        } else {
            put_bytes(t, &from[i], 1);
        }
    }
}

void gdb_put_packet(struct gdb_text *t, const struct gdb_text *data)
{
    uint8_t sum = 0;
    for (size_t i = 0; i < data->size; i++) {
        sum = (uint8_t)(sum + (uint8_t)data->bytes[i]);
    }
    put_bytes(t, "$", 1);
    put_bytes(t, data->bytes, data->size);
    gdb_putf(t, "#%02x", sum);
}

/* ---- reading ---- */

bool gdb_take_hex(const char **at, uint64_t *out)
{
    const char *from = *at;
    uint64_t value = 0;
    for (; digit_value(*from) >= 0; from++) {
        if (value >> 60) {
            return false;
        }
        value = value << 4 | (uint64_t)digit_value(*from);
    }
    bool any = from != *at;
    *at = from;
    *out = value;
    return any;
}

bool gdb_take_bytes(const char **at, uint8_t *out, size_t size)
{
    for (size_t i = 0; i < size; i++, *at += 2) {
        int high = digit_value((*at)[0]), low = high < 0 ? -1 : digit_value((*at)[1]);
        if (low < 0) {
            return false;
        }
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

bool gdb_take_char(const char **at, char c)
{
    bool is = **at == c && c != 0;
    *at += is;
    return is;
}

bool gdb_take_word(const char **at, const char *word)
{
    size_t size = strlen(word);
    bool is = strncmp(*at, word, size) == 0;
    *at += is ? size : 0;
    return is;
}
