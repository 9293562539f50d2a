/* Numbers, words and output. Formatting is the kernel's own (kernel/lib/format.c), linked into programs. */
#include "kernel/lib/format.h"
#include "lib/orrery.h"

int64_t parse_number(const char *text)
{
    int64_t value = 0;
    if (*text == '\0') {
        return -1;
    }
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9' || value > INT64_MAX / 10 - 10) {
            return -1;
        }
        value = value * 10 + (*text - '0');
    }
    return value;
}

int split_words(char *line, char **words, int limit)
{
    int count = 0;
    for (char *at = line; *at != '\0';) {
        while (*at == ' ') {
            *at++ = '\0';
        }
        if (*at == '\0') {
            break;
        }
        if (count == limit - 1) {
            return -1;
        }
        words[count++] = at;
        while (*at != '\0' && *at != ' ') {
            at++;
        }
    }
    words[count] = NULL;
    return count;
}

int vsnprintf(char *buffer, size_t size, const char *format, va_list arguments)
{
    return kvsnprintf(buffer, size, format, arguments);
}

void print(const char *format, ...)
{
    char line[256];
    va_list arguments;
    va_start(arguments, format);
    kvsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    sys_console_write(line, strlen(line));
}
