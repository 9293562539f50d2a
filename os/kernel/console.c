/* The console: formatted text on the first serial port. */
#include "console.h"

#include "arch/x86_64/uart.h"
#include "lib/format.h"
#include "lib/string.h"
#include "probe.h"

void console_write(const char *text, size_t bytes)
{
    uart_write(UART_CONSOLE, text, bytes);
}

void console_printf(const char *format, ...)
{
    char line[CONSOLE_LINE];
    va_list arguments;
    va_start(arguments, format);
    kvsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    console_write(line, strlen(line));
}

void console_emergency_printf(const char *format, ...)
{
    char line[CONSOLE_LINE];
    va_list arguments;
    va_start(arguments, format);
    kvsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    uart_write_unlocked(UART_CONSOLE, line, strlen(line));
}

void console_stage(const char *name)
{
    console_printf("stage: %s\n", name);
    probe_point(name);
}
