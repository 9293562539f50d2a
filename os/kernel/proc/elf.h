#ifndef OS_KERNEL_PROC_ELF_H
#define OS_KERNEL_PROC_ELF_H

/* Program images: ELF64 executables for x86-64, statically linked. Host-buildable. */

#include "abi/status.h"
#include "types.h"

#define ELF_MAX_SEGMENTS      8u
#define ELF_TLS_MAX_BYTES     65536u
#define ELF_TLS_MAX_ALIGNMENT 4096u

struct elf_segment {
    uint64_t address; /* first byte */
    uint64_t memory_bytes;
    uint64_t file_offset;
    uint64_t file_bytes; /* <= memory_bytes; the rest is zero */
    uint32_t protection; /* VM_READ | VM_WRITE | VM_EXECUTE */
};

/* Thread-local storage: what every thread gets a copy of. */
struct elf_tls {
    uint64_t file_offset;
    uint64_t file_bytes; /* <= memory_bytes; the rest is zero */
    uint64_t memory_bytes;
    uint64_t alignment; /* a power of two, at least 1 */
};

struct elf_layout {
    uint64_t entry;
    struct elf_tls tls;
    uint32_t count;
    struct elf_segment segments[ELF_MAX_SEGMENTS]; /* ascending, no two on one page */
};

/*
 * Checks everything the loader relies on; image may hold any bytes. STATUS_ERR_BAD_IMAGE for what is wrong,
 * STATUS_ERR_UNSUPPORTED for what is legal ELF but no static x86-64 executable, STATUS_ERR_LIMIT for too many
 * segments or too much thread-local storage.
 */
MUST_CHECK status_t elf_parse(const void *image, uint64_t bytes, struct elf_layout *out);

#endif
