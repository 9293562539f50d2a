/*
 * kborn: the program whose birth kbench measures, its child. It notes the time at the start of a region: of that which its
 * argument names, or else of the only one that it was given.
 */
#include "lib/orrery.h"

static int64_t only_region(void)
{
    struct cap_info info;
    for (int64_t at = sys_cap_next(0); at > 0; at = sys_cap_next((handle_t)at)) {
        if (sys_cap_read((handle_t)at, &info) == STATUS_OK && info.type == CAP_REGION) {
            return at;
        }
    }
    return -1;
}

int main(int argc, char **argv);

int main(int argc, char **argv)
{
    uint64_t now = cycles();
    int64_t region = argc == 2 ? parse_number(argv[1]) : only_region();
    int64_t at = region > 0 ? sys_region_map((handle_t)region, 0, 4096, 0, PROTECT_READ | PROTECT_WRITE) : -1;
    if (at <= 0) {
        return 1;
    }
    *(volatile uint64_t *)(uintptr_t)at = now;
    return 0;
}
