/* kborn: the program whose birth kbench measures. It notes the time at the start of the region that its argument names. */
#include "lib/orrery.h"

int main(int argc, char **argv);

int main(int argc, char **argv)
{
    uint64_t now = cycles();
    int64_t region = argc == 2 ? parse_number(argv[1]) : -1;
    int64_t at = region > 0 ? sys_region_map((handle_t)region, 0, 4096, 0, PROTECT_READ | PROTECT_WRITE) : -1;
    if (at <= 0) {
        return 1;
    }
    *(volatile uint64_t *)(uintptr_t)at = now;
    return 0;
}
