/*
 * memhog [MEBIBYTES [SECONDS]]: takes memory and touches every page of it, as much as was asked for or, without a number,
 * until the kernel ends it. Prints what it holds when it is done, and keeps it so long.
 * memhog copies: has the kernel write to one page after the other, until a call says why it cannot, and again when there is
 * memory. It ends well when both are as they should be.
 */
#include <stdbool.h>

#include "lib/orrery.h"

#define MEBIBYTE (1ull << 20)
#define PAGE     4096u

static uint64_t number_of(const char *text)
{
    uint64_t value = 0;
    for (; *text >= '0' && *text <= '9'; text++) {
        value = 10 * value + (uint64_t)(*text - '0');
    }
    return value;
}

/* The status of the first call that fails, STATUS_OK when all were done; *done: bytes of pages written to. */
static int64_t have_written(uint64_t at, uint64_t bytes, uint64_t *done)
{
    int64_t status = STATUS_OK;
    for (*done = 0; *done < bytes && status >= 0; *done += PAGE) {
        status = sys_stats((struct system_stats *)(at + *done), 8);
    }
    return status;
}

static int copies(void)
{
    uint64_t bytes = 1024 * MEBIBYTE;
    uint64_t done;
    int64_t at = sys_map(0, bytes, PROTECT_READ | PROTECT_WRITE);
    if (at <= 0) {
        return 1;
    }
    int64_t status = have_written((uint64_t)at, bytes, &done);
    print("memhog: a copy says %s\n", status_text((status_t)status));
    bool given = sys_unmap((uint64_t)at, done / 2) == STATUS_OK;
    bool again = given && sys_stats((struct system_stats *)((uint64_t)at + done), 8) >= 0;
    return status == STATUS_ERR_NO_MEMORY && done > MEBIBYTE && again ? 0 : 1;
}

int main(int argc, char **argv);

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "copies") == 0) {
        return copies();
    }
    uint64_t wanted = argc > 1 ? number_of(argv[1]) : UINT64_MAX;
    uint64_t held = 0;
    for (; held < wanted; held++) {
        int64_t at = sys_map(0, MEBIBYTE, PROTECT_READ | PROTECT_WRITE);
        if (at <= 0) {
            print("memhog: %s after %llu MiB\n", status_text((status_t)at), (unsigned long long)held);
            return 1;
        }
        volatile uint64_t *words = (volatile uint64_t *)(uint64_t)at;
        for (uint64_t i = 0; i < MEBIBYTE / sizeof(*words); i += PAGE / sizeof(*words)) {
            words[i] = held;
        }
    }
    print("memhog: %llu MiB held\n", (unsigned long long)held);
    if (argc > 2) {
        sys_sleep(number_of(argv[2]) * 1000000000ull);
    }
    return 0;
}
