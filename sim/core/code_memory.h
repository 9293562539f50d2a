#ifndef ORRERY_CORE_CODE_MEMORY_H
#define ORRERY_CORE_CODE_MEMORY_H

/*
 * Memory for machine code made while we run. It is mapped twice: where it is written it cannot be executed, where it is
 * executed it cannot be written. Of the host alone: no snapshot knows it. Pages cost memory once touched.
 */

#include <stdbool.h>
#include <stdint.h>

struct code_memory {
    uint8_t *write;
    const uint8_t *run;
    uint64_t size_bytes;
};

/* False: the host does not allow it. */
bool code_memory_init(struct code_memory *m, uint64_t size_bytes);
void code_memory_deinit(struct code_memory *m);

#endif
