#ifndef OS_LIB_VIRTIO_WINDOW_H
#define OS_LIB_VIRTIO_WINDOW_H

/* Where virtio devices are, by the words of the kernel command line. Host-buildable. */

#include <stdbool.h>
#include <stdint.h>

#define VIRTIO_WINDOW_LEAST 0x200u /* bytes: registers and configuration */

struct virtio_window {
    uint64_t base;
    uint64_t bytes;
    uint32_t line; /* below 16: ISA; else the global number of an interrupt */
};

/*
 * The next word "virtio_mmio.device=SIZE@BASE:LINE[:ID]" (Linux's; numbers as in C, SIZE perhaps with K or M) at or behind *at,
 * which moves behind it. Words that are not understood, windows that are too small or wrap, and what comes behind the word
 * "--" are passed over. False: no more.
 */
bool virtio_window_next(const char **at, struct virtio_window *out);

#endif
