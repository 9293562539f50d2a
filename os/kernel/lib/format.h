#ifndef OS_KERNEL_LIB_FORMAT_H
#define OS_KERNEL_LIB_FORMAT_H

/*
 * printf formatting without an allocator, locks or floating point. Conversions: % c s d i u x X p o b(inary)
 * with flags
 * "-0+ #", width and precision (numbers or *), length hh h l ll z j t. An unknown conversion is copied as it
 * stands.
 */

#include <stdarg.h>
#include <stddef.h>

/*
 * Writes at most size-1 characters and a terminating zero (nothing at all when size is 0).
 * Returns the length the whole text would have had, as ISO C vsnprintf does. A null string prints "(null)".
 */
int kvsnprintf(char *buffer, size_t size, const char *format, va_list arguments);

int ksnprintf(char *buffer, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
