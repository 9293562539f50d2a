#ifndef OS_KERNEL_LIB_STRING_H
#define OS_KERNEL_LIB_STRING_H

/*
 * The freestanding memory and string functions, with the names the compiler expects and the meanings of ISO
 * C17 7.24. The kernel and the user programs link lib/builtins/string.c; host tests link the C library's.
 */

#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t bytes);
void *memmove(void *to, const void *from, size_t bytes);
void *memset(void *to, int value, size_t bytes);
int memcmp(const void *a, const void *b, size_t bytes);
size_t strlen(const char *text);
size_t strnlen(const char *text, size_t limit);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t limit);

#endif
