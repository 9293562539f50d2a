/*
 * kbench: what kernel operations cost, from user instruction to user instruction. Each measurement prints rows
 *
 *     kbench: row NAME
 *     kbench: CYCLES CYCLES ...
 *
 * with the samples in the order in which they were taken; who reads them decides which are warm (scenarios/bench-kernel.lua).
 * What cannot be seen from user mode is watched from outside between two marks.
 */
#include "kbench.h"

#define PER_LINE 12u

uint64_t cycles_cost;
uint64_t stamped_cost;

static const struct {
    const struct measurement *first;
    const unsigned *count;
} groups[] = {
    {message_measurements, &message_measurement_count},
    {memory_measurements, &memory_measurement_count},
    {process_measurements, &process_measurement_count},
    {system_measurements, &system_measurement_count},
};

static void calibrate(void)
{
    cycles_cost = UINT64_MAX;
    stamped_cost = UINT64_MAX;
    for (unsigned i = 0; i < 16; i++) {
        struct stamped at;
        uint64_t before = cycles();
        uint64_t took = cycles() - before;
        cycles_cost = took < cycles_cost ? took : cycles_cost;
        (void)stamped_nothing(0, 0, 0, &at);
        took = at.after - at.before;
        stamped_cost = took < stamped_cost ? took : stamped_cost;
    }
}

struct row *row_make(const char *name)
{
    int64_t at = sys_map(0, (sizeof(struct row) + PAGE - 1) / PAGE * PAGE, PROTECT_BOTH);
    struct row *row = at > 0 ? (struct row *)(uintptr_t)at : NULL;
    if (row != NULL) {
        row->name = name;
    }
    return row;
}

void row_touch(struct row *row)
{
    memset(row->samples, 0, sizeof(row->samples));
}

void row_add(struct row *row, uint64_t value, uint64_t cost)
{
    if (row->count < SAMPLES_MAX) {
        row->samples[row->count++] = value > cost ? value - cost : 0;
    }
}

static int put_number(char *at, uint64_t value)
{
    char digits[20];
    int length = 0;
    do {
        digits[length++] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    *at = ' ';
    for (int i = 0; i < length; i++) {
        at[1 + i] = digits[length - 1 - i];
    }
    return length + 1;
}

void row_print(struct row *row)
{
    print("kbench: row %s\n", row->name);
    for (unsigned i = 0; i < row->count;) {
        char line[256];
        int length = 0;
        for (unsigned n = 0; n < PER_LINE && i < row->count; n++) {
            length += put_number(line + length, row->samples[i++]);
        }
        line[length] = '\0';
        print("kbench:%s\n", line);
    }
    row->count = 0;
}

bool pin(unsigned cpu)
{
    return sys_sched_affinity(SCHED_THREAD, 0, 1ull << cpu) == STATUS_OK;
}

void mark(void)
{
    (void)sys_getpid();
}

volatile uint64_t *map_whole(handle_t region, uint64_t pages, uint64_t flags)
{
    int64_t at = sys_region_map(region, 0, pages * PAGE, 0, PROTECT_BOTH | flags);
    return at > 0 ? (volatile uint64_t *)(uintptr_t)at : NULL;
}

struct board *board_create(handle_t *handle)
{
    int64_t region = sys_region_create(PAGE, -1);
    volatile uint64_t *at = region > 0 ? map_whole((handle_t)region, 1, 0) : NULL;
    if (handle != NULL) {
        *handle = (handle_t)region;
    }
    return (struct board *)(uintptr_t)at;
}

bool ended_well(int64_t pid)
{
    int status = -1;
    return pid > 0 && sys_wait((unsigned)pid, &status, 0) == pid && status == 0;
}

static const struct measurement *find(const char *name)
{
    for (unsigned g = 0; g < sizeof(groups) / sizeof(groups[0]); g++) {
        for (unsigned i = 0; i < *groups[g].count; i++) {
            if (strcmp(groups[g].first[i].name, name) == 0) {
                return &groups[g].first[i];
            }
        }
    }
    return NULL;
}

static void usage(void)
{
    print("usage: kbench MEASUREMENT [NUMBER]; there are:\n");
    for (unsigned g = 0; g < sizeof(groups) / sizeof(groups[0]); g++) {
        for (unsigned i = 0; i < *groups[g].count; i++) {
            print("  %s\n", groups[g].first[i].name);
        }
    }
}

int main(int argc, char **argv);

int main(int argc, char **argv)
{
    const struct measurement *wanted = argc == 2 || argc == 3 ? find(argv[1]) : NULL;
    int64_t number = argc == 3 ? parse_number(argv[2]) : 0;
    if (wanted == NULL || number < 0) {
        usage();
        return 2;
    }
    calibrate();
    if (!pin(0) || !wanted->run((uint64_t)number)) {
        print("kbench: %s failed\n", wanted->name);
        return 1;
    }
    return 0;
}
