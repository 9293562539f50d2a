/*
 * memhog [MEBIBYTES [SECONDS]]: takes memory and touches every page of it, as much as was asked for or, without a number,
 * until the kernel ends it. Prints what it holds when it is done, and keeps it so long.
 */
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

int main(int argc, char **argv);

int main(int argc, char **argv)
{
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
