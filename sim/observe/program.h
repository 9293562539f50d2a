#ifndef ORRERY_OBSERVE_PROGRAM_H
#define ORRERY_OBSERVE_PROGRAM_H

/*
 * Whose code a vCPU executes: the kernel's, or a program's. Nobody asks the guest: a program is known by its bytes, which lie in
 * the archive that the guest was given (cpio, "newc"), and in memory where they are executed.
 */

#include "machine/sim.h"
#include "observe/index.h"
#include "observe/symbols.h"

#define PROGRAM_KERNEL  0u
#define PROGRAM_UNKNOWN 1u /* of user mode */

/* What a guest was given. */
struct guest_files {
    const char *kernel_name, *initrd_name; /* paths; the second may be NULL */
    const uint8_t *kernel, *initrd;
    size_t kernel_size, initrd_size;
};

struct program {
    char *name;
    struct symbols *symbols; /* NULL: there are none */
    uint64_t first;          /* where its code is, and which bytes it has */
    const uint8_t *code;
    size_t size_bytes;
};

/* An address space that user code was executed in. */
struct space {
    uint32_t program;
    uint64_t number; /* new for each program that is found in it; never 0 */
};

struct programs {
    struct program *programs;
    uint32_t count;
    struct space *spaces;
    size_t space_count;
    uint64_t numbers;
    struct index roots;
};

/* The symbols of a program NAME are looked for in programs/NAME beside the archive: an ELF file with the same code. */
void programs_open(struct programs *p, const struct guest_files *files);
void programs_close(struct programs *p);

/* The space of a root of page tables in which vCPU cpu is now, about to execute user code at pc: looks at the code's page. */
struct space programs_look(struct programs *p, const struct sim *s, unsigned cpu, uint64_t root, uint64_t pc);

#endif
