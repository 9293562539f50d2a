/*
 * Memory for machine code: one file without a name, mapped twice.
 */

#define _GNU_SOURCE

#include "core/code_memory.h"

#include <sys/mman.h>
#include <unistd.h>

static void *map(int file, uint64_t size_bytes, int protection)
{
    void *p = mmap(NULL, size_bytes, protection, MAP_SHARED | MAP_NORESERVE, file, 0);
    return p == MAP_FAILED ? NULL : p;
}

bool code_memory_init(struct code_memory *m, uint64_t size_bytes)
{
    *m = (struct code_memory){.size_bytes = size_bytes};
    int file = memfd_create("orrery-code", MFD_CLOEXEC);
    if (file < 0) {
        return false;
    }
    if (ftruncate(file, (off_t)size_bytes) == 0) {
        m->write = map(file, size_bytes, PROT_READ | PROT_WRITE);
        m->run = map(file, size_bytes, PROT_READ | PROT_EXEC);
    }
    close(file);
    if (m->write != NULL && m->run != NULL) {
        return true;
    }
    code_memory_deinit(m);
    return false;
}

void code_memory_deinit(struct code_memory *m)
{
    if (m->write != NULL) {
        munmap(m->write, m->size_bytes);
    }
    if (m->run != NULL) {
        munmap((void *)(uintptr_t)m->run, m->size_bytes);
    }
    *m = (struct code_memory){0};
}
