/*
 * A store whose start or end is made to fail by who watches from outside. What came of it is printed, with what the
 * platform still holds; status 0 when a failure was told as it must be.
 */
#include "dimbench.h"

/* A failed start has a sentence and leaves nothing; afterwards the store can be started. */
static bool start_may_fail(unsigned count, unsigned cpus)
{
    char text[DIM_ERROR_TEXT_BYTES];
    (void)count;
    (void)cpus;
    bool started = open_store();
    print("dimbench: start %s: reserved %llu backed %llu\n",
          started ? "works" : dim_error_text(&error, text, sizeof text),
          (unsigned long long)system_memory.reserved_bytes, (unsigned long long)system_memory.backed_bytes);
    if (started) {
        return close_store();
    }
    return error.status != STATUS_OK && system_memory.reserved_bytes == 0 &&
           system_memory.backed_bytes == 0 && open_store() && close_store();
}

/* A failed end tells so, in one line of the log for each step that failed, and nothing is loaded any more. */
static bool end_may_fail(unsigned count, unsigned cpus)
{
    char text[DIM_ERROR_TEXT_BYTES];
    struct dim_stats stats;
    (void)count;
    (void)cpus;
    bool good = open_store();
    for (unsigned i = 0; good && i < 3; i++) {
        good = dim_store_load(&store, id_of(i), NULL, &error) == STATUS_OK;
    }
    uint32_t lines = system_memory.log_lines;
    status_t status = good ? dim_store_close(&store, &error) : STATUS_ERR_STATE;
    dim_store_stats(&store, &stats);
    print("dimbench: end %s: lines %u reserved %llu backed %llu\n",
          status == STATUS_OK ? "works" : dim_error_text(&error, text, sizeof text),
          system_memory.log_lines - lines, (unsigned long long)system_memory.reserved_bytes,
          (unsigned long long)system_memory.backed_bytes);
    return good && stats.dimensions == 0 && stats.used_bytes == 0 && system_memory.open == 0;
}

const struct part failure_parts[] = {
    {"start", start_may_fail},
    {"end", end_may_fail},
};
const unsigned failure_part_count = sizeof failure_parts / sizeof failure_parts[0];
