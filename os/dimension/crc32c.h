#ifndef OS_DIMENSION_CRC32C_H
#define OS_DIMENSION_CRC32C_H

#include <stdint.h>

/*
 * CRC-32C (Castagnoli): polynomial 0x1edc6f41 reflected, start value and final inversion all ones; "123456789" gives
 * 0xe3069283. Finds every error of one, two or three bits in up to 2^31-1 bits, and every burst of up to 32 bits.
 * crc: 0 to begin with, or the result for the bytes before these.
 */
uint32_t crc32c(uint32_t crc, const void *bytes, uint64_t size_bytes);

#endif
