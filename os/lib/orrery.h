#ifndef OS_LIB_ORRERY_H
#define OS_LIB_ORRERY_H

/* The library of user programs: system calls, strings, formatted output, memory. */

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/abi.h"
#include "abi/ipc.h"
#include "abi/status.h"

/* ---- system calls: the result as the kernel gave it, negative for a status ---- */

static inline int64_t syscall6(uint64_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e,
                               uint64_t f)
{
    int64_t result;
    register uint64_t r10 __asm__("r10") = d;
    register uint64_t r8 __asm__("r8") = e;
    register uint64_t r9 __asm__("r9") = f;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "0"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

static inline int64_t syscall3(uint64_t number, uint64_t a, uint64_t b, uint64_t c)
{
    int64_t result;
    __asm__ volatile("syscall" : "=a"(result) : "0"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
    return result;
}

/* A call with all registers of a message (abi/ipc.h), which are replaced by what came back. */
int64_t syscall_message(uint64_t number, handle_t handle, struct ipc_registers *registers);

/* Types of results and argument lists of the rows of abi/syscalls.def. */
#define SYSCALL_RESULT_VALUE                                              int64_t
#define SYSCALL_RESULT_MESSAGE                                            int64_t
#define SYSCALL_RESULT_NEVER                                              _Noreturn void
#define SYSCALL_TAKES_ARGUMENTS_0()                                       void
#define SYSCALL_TAKES_ARGUMENTS_1(t1, n1)                                 t1 n1
#define SYSCALL_TAKES_ARGUMENTS_2(t1, n1, t2, n2)                         t1 n1, t2 n2
#define SYSCALL_TAKES_ARGUMENTS_3(t1, n1, t2, n2, t3, n3)                 t1 n1, t2 n2, t3 n3
#define SYSCALL_TAKES_ARGUMENTS_4(t1, n1, t2, n2, t3, n3, t4, n4)         t1 n1, t2 n2, t3 n3, t4 n4
#define SYSCALL_TAKES_ARGUMENTS_5(t1, n1, t2, n2, t3, n3, t4, n4, t5, n5) t1 n1, t2 n2, t3 n3, t4 n4, t5 n5
#define SYSCALL_TAKES_ARGUMENTS_6(t1, n1, t2, n2, t3, n3, t4, n4, t5, n5, t6, n6) \
    t1 n1, t2 n2, t3 n3, t4 n4, t5 n5, t6 n6

/* sys_NAME, one a row. */
#define SYSCALL(number, id, name, where, type, rights, result, arguments, returns, text) \
    SYSCALL_RESULT_##result sys_##name(SYSCALL_TAKES_##arguments);
#include "abi/syscalls.def"
#undef SYSCALL

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
