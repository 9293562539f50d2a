/*
 * CRC-32C over eight bytes at a time ("slicing by eight", Kounavis and Berry, 2005): eight tables, the k-th of which
 * advances a byte over k further zero bytes. A CRC is linear, so a table follows from its values for the eight single
 * bits; ROWS expands them. Source of polynomial and conventions: RFC 3720, "CRC32C". Deviations: none.
 */

#include "dimension/crc32c.h"

#define BIT(i, n, v) (((i) >> (n)&1) ? (v) : 0u)
#define ENTRY(i, a, b, c, d, e, f, g, h)                                                       \
    (BIT(i, 0, a) ^ BIT(i, 1, b) ^ BIT(i, 2, c) ^ BIT(i, 3, d) ^ BIT(i, 4, e) ^ BIT(i, 5, f) ^ \
     BIT(i, 6, g) ^ BIT(i, 7, h))
#define ROW_4(i, ...)                                                                \
    ENTRY(i, __VA_ARGS__), ENTRY((i) + 1, __VA_ARGS__), ENTRY((i) + 2, __VA_ARGS__), \
        ENTRY((i) + 3, __VA_ARGS__)
#define ROW_16(i, ...)                                                               \
    ROW_4(i, __VA_ARGS__), ROW_4((i) + 4, __VA_ARGS__), ROW_4((i) + 8, __VA_ARGS__), \
        ROW_4((i) + 12, __VA_ARGS__)
#define ROW_64(i, ...)                                                                    \
    ROW_16(i, __VA_ARGS__), ROW_16((i) + 16, __VA_ARGS__), ROW_16((i) + 32, __VA_ARGS__), \
        ROW_16((i) + 48, __VA_ARGS__)
#define ROWS(...)                                                                                           \
    {                                                                                                       \
        ROW_64(0, __VA_ARGS__), ROW_64(64, __VA_ARGS__), ROW_64(128, __VA_ARGS__), ROW_64(192, __VA_ARGS__) \
    }

static const uint32_t table[8][256] = {
    ROWS(0xf26b8303, 0xe13b70f7, 0xc79a971f, 0x8ad958cf, 0x105ec76f, 0x20bd8ede, 0x417b1dbc, 0x82f63b78),
    ROWS(0x13a29877, 0x274530ee, 0x4e8a61dc, 0x9d14c3b8, 0x3fc5f181, 0x7f8be302, 0xff17c604, 0xfbc3faf9),
    ROWS(0xa541927e, 0x4f6f520d, 0x9edea41a, 0x38513ec5, 0x70a27d8a, 0xe144fb14, 0xc76580d9, 0x8b277743),
    ROWS(0xdd45aab8, 0xbf672381, 0x7b2231f3, 0xf64463e6, 0xe964b13d, 0xd725148b, 0xaba65fe7, 0x52a0c93f),
    ROWS(0x38116fac, 0x7022df58, 0xe045beb0, 0xc5670b91, 0x8f2261d3, 0x1ba8b557, 0x37516aae, 0x6ea2d55c),
    ROWS(0xef306b19, 0xdb8ca0c3, 0xb2f53777, 0x6006181f, 0xc00c303e, 0x85f4168d, 0x0e045beb, 0x1c08b7d6),
    ROWS(0x68032cc8, 0xd0065990, 0xa5e0c5d1, 0x4e2dfd53, 0x9c5bfaa6, 0x3d5b83bd, 0x7ab7077a, 0xf56e0ef4),
    ROWS(0x493c7d27, 0x9278fa4e, 0x211d826d, 0x423b04da, 0x847609b4, 0x0d006599, 0x1a00cb32, 0x34019664),
};

static uint32_t word_of(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

uint32_t crc32c(uint32_t crc, const void *bytes, uint64_t size_bytes)
{
    const uint8_t *at = bytes;
    crc = ~crc;
    for (; size_bytes >= 8; size_bytes -= 8, at += 8) {
        uint32_t low = word_of(at) ^ crc, high = word_of(at + 4);
        crc = table[7][low & 0xff] ^ table[6][low >> 8 & 0xff] ^ table[5][low >> 16 & 0xff] ^
              table[4][low >> 24] ^ table[3][high & 0xff] ^ table[2][high >> 8 & 0xff] ^
              table[1][high >> 16 & 0xff] ^ table[0][high >> 24];
    }
    for (; size_bytes > 0; size_bytes--, at++) {
        crc = crc >> 8 ^ table[0][(crc ^ *at) & 0xff];
    }
    return ~crc;
}
