/* What the compiler calls for __builtin_popcountll when it may not assume the POPCNT instruction. */
#include <stdint.h>

int __popcountdi2(int64_t value);

int __popcountdi2(int64_t value)
{
    uint64_t v = (uint64_t)value;
    v -= (v >> 1) & 0x5555555555555555ull;
    v = (v & 0x3333333333333333ull) + ((v >> 2) & 0x3333333333333333ull);
    v = (v + (v >> 4)) & 0x0f0f0f0f0f0f0f0full;
    return (int)((v * 0x0101010101010101ull) >> 56);
}
