/* What kernels find in their memory; of tier 2 (memory.S), what they walk through. */
#include "task.h"

#define LINE 64
#define PAGE 4096

/* One cycle through count places, in random order (Sattolo's): place i is at step * i and, in it, at line i % spread. */
static uint64_t link_places(char *memory, uint64_t count, uint64_t step, uint64_t spread)
{
    uint64_t random = 0x9e3779b97f4a7c15;
#define PLACE(i) (*(uint64_t *)(void *)(memory + (i)*step + (i) % spread * LINE))
    for (uint64_t i = 0; i < count; i++) {
        PLACE(i) = i;
    }
    for (uint64_t i = count - 1; i; i--) {
        uint64_t other = next_random(&random) * i >> 32;
        uint64_t kept = PLACE(i);
        PLACE(i) = PLACE(other);
        PLACE(other) = kept;
    }
    for (uint64_t i = 0; i < count; i++) {
        PLACE(i) = (uint64_t)(uintptr_t)&PLACE(PLACE(i));
    }
#undef PLACE
    chase_at = (uint64_t)(uintptr_t)memory;
    aim((uint64_t)(uintptr_t)chase);
    (void)timed(count / 16 + 1, memory, 0);
    return 0;
}

/* The memory of tier 1: a number that is as good an integer as a double, and is no address. */
uint64_t prepare_page(const struct job *job, void *memory)
{
    uint64_t *words = memory;
    for (uint64_t i = 0; i < job->bytes / 8; i++) {
        words[i] = 0x3ff8000000000001;
    }
    return 0;
}

uint64_t prepare_chase(const struct job *job, void *memory)
{
    return link_places(memory, job->bytes / LINE, LINE, 1);
}

uint64_t prepare_pages(const struct job *job, void *memory)
{
    return link_places(memory, job->bytes / PAGE, PAGE, PAGE / LINE);
}

/* Random bits that come again after job->parameter of them. */
uint64_t prepare_pattern(const struct job *job, void *memory)
{
    unsigned char *bytes = memory;
    uint64_t random = 0x2545f4914f6cdd1d;
    for (uint32_t i = 0; i < job->parameter; i++) {
        bytes[i] = next_random(&random) & 1;
    }
    return job->parameter;
}

/* Bits that are set with a chance of job->parameter in a hundred. */
uint64_t prepare_chance(const struct job *job, void *memory)
{
    unsigned char *bytes = memory;
    uint64_t random = 0x2545f4914f6cdd1d;
    for (uint64_t i = 0; i < job->bytes; i++) {
        bytes[i] = (next_random(&random) * 100ull >> 32) < job->parameter;
    }
    return job->bytes;
}

/* Numbers below job->parameter. */
uint64_t prepare_targets(const struct job *job, void *memory)
{
    unsigned char *bytes = memory;
    uint64_t random = 0x2545f4914f6cdd1d;
    for (uint64_t i = 0; i < job->bytes; i++) {
        bytes[i] = (unsigned char)(next_random(&random) * (uint64_t)job->parameter >> 32);
    }
    return job->bytes;
}

/* Memory that is there; the kernel's value is the number of lines. */
uint64_t prepare_lines(const struct job *job, void *memory)
{
    volatile uint64_t *words = memory;
    for (uint64_t i = 0; i < job->bytes / 8; i += 8) {
        words[i] = i;
    }
    return job->bytes / LINE;
}
