#ifndef LOOPS_H
#define LOOPS_H

/* The loops, and the few instructions that C does not have. */

#include "bench.h"

struct loop {
    const char *name;
    void (*prepare)(void);            /* not timed */
    uint64_t (*run)(uint64_t rounds); /* timed; the result is the same on every correct machine */
};

extern const struct loop loops[]; /* ends with a row without a name */

static inline void out8(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline uint8_t in8(uint16_t port)
{
    uint8_t value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port) : "memory");
    return value;
}

#endif
