#ifndef OS_LIB_ORRERY_H
#define OS_LIB_ORRERY_H

/* The library of user programs: system calls, strings, formatted output, memory. */

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/abi.h"
#include "abi/status.h"

/* ---- system calls: the result as the kernel gave it, negative for a status ---- */

static inline int64_t syscall3(uint64_t number, uint64_t a, uint64_t b, uint64_t c)
{
    int64_t result;
    __asm__ volatile("syscall" : "=a"(result) : "0"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
    return result;
}

_Noreturn void sys_exit(int status);
int64_t sys_fork(void);
int64_t sys_exec(const char *path, const char *const *argv, const char *const *envp);
int64_t sys_wait(uint32_t pid, int32_t *status, unsigned flags);
int64_t sys_getpid(void);
int64_t sys_getppid(void);
int64_t sys_yield(void);
int64_t sys_sleep(uint64_t ns);
int64_t sys_clock(void);
int64_t sys_console_write(const char *text, size_t bytes);
int64_t sys_driver_read(char *buffer, size_t bytes, unsigned flags);
int64_t sys_driver_write(const char *text, size_t bytes);
int64_t sys_map(uint64_t hint, uint64_t bytes, unsigned protection);
int64_t sys_unmap(uint64_t address, uint64_t bytes);
int64_t sys_protect(uint64_t address, uint64_t bytes, unsigned protection);
int64_t sys_stats(struct system_stats *out, size_t bytes);
int64_t sys_shutdown(unsigned code);
int64_t sys_quiesce(void);
int64_t sys_boot_arguments(char *buffer, size_t bytes);
int64_t sys_cap_read(unsigned slot, struct cap_info *out);
int64_t sys_quota(unsigned processes);

/* ---- strings ---- */

void *memcpy(void *restrict to, const void *restrict from, size_t bytes);
void *memmove(void *to, const void *from, size_t bytes);
void *memset(void *to, int value, size_t bytes);
int memcmp(const void *a, const void *b, size_t bytes);
size_t strlen(const char *text);
size_t strnlen(const char *text, size_t limit);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t limit);

/* Parses a decimal number that fills the whole text; -1 when it is none or above INT64_MAX / 10. */
int64_t parse_number(const char *text);

/*
 * Splits a line at blanks into at most limit - 1 words, in place; words[result] is null. Returns the number
 * of words, -1 when there are more.
 */
int split_words(char *line, char **words, int limit);

/* ---- output ---- */

int vsnprintf(char *buffer, size_t size, const char *format, va_list arguments);

/* One piece on the console, at most 255 characters. */
void print(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- memory ---- */

/* First fit with coalescing, grows by sys_map; null when out of memory. 16-byte aligned. */
void *malloc(size_t bytes);
void free(void *pointer);

/* Time-stamp counter. */
static inline uint64_t cycles(void)
{
    uint32_t low;
    uint32_t high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return ((uint64_t)high << 32) | low;
}

#endif
