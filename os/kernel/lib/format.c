/* printf formatting (ISO C17 7.21.6.1) without floating point, wide characters and %n. Deviations: those
 * three. */

#include "lib/format.h"

#include <stdbool.h>
#include <stdint.h>

#include "lib/string.h"

struct output {
    char *buffer;
    size_t size;
    size_t length;
};

struct spec {
    bool left;
    bool plus;
    bool space;
    bool alternate;
    bool zero;
    bool has_precision;
    unsigned width;
    unsigned precision;
    int length; /* -2 hh, -1 h, 0 int, 1 l and longer */
};

static void put(struct output *out, char c)
{
    if (out->length + 1 < out->size) {
        out->buffer[out->length] = c;
    }
    out->length++;
}

static void pad(struct output *out, char c, unsigned count)
{
    while (count-- > 0) {
        put(out, c);
    }
}

static void put_text(struct output *out, const struct spec *spec, const char *text, unsigned length)
{
    unsigned fill = spec->width > length ? spec->width - length : 0;
    pad(out, ' ', spec->left ? 0 : fill);
    for (unsigned i = 0; i < length; i++) {
        put(out, text[i]);
    }
    pad(out, ' ', spec->left ? fill : 0);
}

static void put_string(struct output *out, const struct spec *spec, const char *text)
{
    text = text ? text : "(null)";
    size_t limit = spec->has_precision ? spec->precision : (size_t)1 << 20;
    put_text(out, spec, text, (unsigned)strnlen(text, limit));
}

static void put_number(struct output *out, const struct spec *spec, uint64_t value, unsigned base, bool upper,
                       const char *prefix)
{
    char digits[64];
    unsigned count = 0;
    const char *set = upper ? "0123456789ABCDEF" : "0123456789abcdef";
    for (uint64_t rest = value; rest != 0; rest /= base) {
        digits[count++] = set[rest % base];
    }
    unsigned least = spec->has_precision ? spec->precision : 1;
    unsigned zeros = least > count ? least - count : 0;
    unsigned body = count + zeros + (unsigned)strlen(prefix);
    unsigned fill = spec->width > body ? spec->width - body : 0;
    bool zero_fill = spec->zero && !spec->left && !spec->has_precision;
    pad(out, ' ', spec->left || zero_fill ? 0 : fill);
    for (const char *p = prefix; *p != '\0'; p++) {
        put(out, *p);
    }
    pad(out, '0', zeros + (zero_fill ? fill : 0));
    while (count > 0) {
        put(out, digits[--count]);
    }
    pad(out, ' ', spec->left ? fill : 0);
}

static const char *parse_flags(const char *format, struct spec *spec)
{
    for (;; format++) {
        switch (*format) {
        case '-':
            spec->left = true;
            break;
        case '+':
            spec->plus = true;
            break;
        case ' ':
            spec->space = true;
            break;
        case '#':
            spec->alternate = true;
            break;
        case '0':
            spec->zero = true;
            break;
        default:
            return format;
        }
    }
}

static const char *parse_digits(const char *format, unsigned *value)
{
    *value = 0;
    while (*format >= '0' && *format <= '9') {
        *value = *value * 10 + (unsigned)(*format++ - '0');
    }
    return format;
}

static const char *parse_length(const char *format, struct spec *spec)
{
    for (;; format++) {
        switch (*format) {
        case 'h':
            spec->length--;
            break;
        case 'l':
        case 'z':
        case 'j':
        case 't':
            spec->length++;
            break;
        default:
            return format;
        }
    }
}

static uint64_t narrow_unsigned(const struct spec *spec, uint64_t value)
{
    if (spec->length >= 0) {
        return spec->length > 0 ? value : (uint32_t)value;
    }
    return spec->length == -1 ? (uint16_t)value : (uint8_t)value;
}

static int64_t narrow_signed(const struct spec *spec, int64_t value)
{
    if (spec->length >= 0) {
        return spec->length > 0 ? value : (int32_t)value;
    }
    return spec->length == -1 ? (int16_t)value : (int8_t)value;
}

static void put_signed(struct output *out, const struct spec *spec, int64_t value)
{
    value = narrow_signed(spec, value);
    const char *sign = spec->plus ? "+" : (spec->space ? " " : "");
    put_number(out, spec, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, 10, false,
               value < 0 ? "-" : sign);
}

static void put_unsigned(struct output *out, const struct spec *spec, char conversion, uint64_t value)
{
    unsigned base = conversion == 'u' ? 10 : (conversion == 'o' ? 8 : (conversion == 'b' ? 2 : 16));
    const char *prefix = "";
    value = narrow_unsigned(spec, value);
    if (spec->alternate && value != 0) {
        prefix = conversion == 'x' ? "0x" : (conversion == 'X' ? "0X" : (conversion == 'o' ? "0" : ""));
        prefix = conversion == 'b' ? "0b" : prefix;
    }
    put_number(out, spec, value, base, conversion == 'X', prefix);
}

/* Width and precision, which may come from the arguments. */
static const char *parse_sizes(const char *format, struct spec *spec, va_list *arguments)
{
    if (*format == '*') {
        int width = va_arg(*arguments, int);
        spec->left = spec->left || width < 0;
        spec->width = width < 0 ? 0u - (unsigned)width : (unsigned)width;
        format++;
    } else {
        format = parse_digits(format, &spec->width);
    }
    if (*format == '.') {
        format++;
        spec->has_precision = true;
        if (*format == '*') {
            int precision = va_arg(*arguments, int);
            spec->has_precision = precision >= 0;
            spec->precision = precision < 0 ? 0 : (unsigned)precision;
            format++;
        } else {
            format = parse_digits(format, &spec->precision);
        }
    }
    return format;
}

/* One conversion; format points behind the percent sign. Returns where the text goes on. */
static const char *convert(struct output *out, const char *format, va_list *arguments)
{
    const char *start = format;
    struct spec spec = {0};
    format = parse_flags(format, &spec);
    format = parse_sizes(format, &spec, arguments);
    format = parse_length(format, &spec);
    char character;
    switch (*format) {
    case 'd':
    case 'i':
        put_signed(out, &spec, spec.length > 0 ? va_arg(*arguments, int64_t) : va_arg(*arguments, int));
        return format + 1;
    case 'u':
    case 'x':
    case 'X':
    case 'o':
    case 'b':
        put_unsigned(out, &spec, *format,
                     spec.length > 0 ? va_arg(*arguments, uint64_t) : va_arg(*arguments, unsigned));
        return format + 1;
    case 'p':
        put_number(out, &spec, (uint64_t)(uintptr_t)va_arg(*arguments, void *), 16, false, "0x");
        return format + 1;
    case 'c':
        character = (char)va_arg(*arguments, int);
        put_text(out, &spec, &character, 1);
        return format + 1;
    case 's':
        put_string(out, &spec, va_arg(*arguments, const char *));
        return format + 1;
    case '%':
        put(out, '%');
        return format + 1;
    default:
        put(out, '%');
        return start;
    }
}

int kvsnprintf(char *buffer, size_t size, const char *format, va_list arguments)
{
    struct output out = {.buffer = buffer, .size = size};
    va_list copy;
    va_copy(copy, arguments);
    while (*format != '\0') {
        if (*format == '%') {
            format = convert(&out, format + 1, &copy);
        } else {
            put(&out, *format++);
        }
    }
    va_end(copy);
    if (size > 0) {
        buffer[out.length < size ? out.length : size - 1] = '\0';
    }
    return (int)out.length;
}

int ksnprintf(char *buffer, size_t size, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = kvsnprintf(buffer, size, format, arguments);
    va_end(arguments);
    return length;
}
