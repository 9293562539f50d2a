#ifndef ORRERY_CPU_DEBUG_REGS_H
#define ORRERY_CPU_DEBUG_REGS_H

/* The debug registers. Source: APM vol. 2, "Software-Debug Resources". */

#include "base/bits.h"

/* DR6: bits 3..0 tell which of DR3-0 matched. */
#define DR6_BD       BIT(13)              /* access to a debug register under DR7.GD */
#define DR6_BS       BIT(14)              /* single step */
#define DR6_BT       BIT(15)              /* task switch */
#define DR6_ONES     UINT64_C(0xffff0ff0) /* bits that read as one */
#define DR6_WRITABLE UINT64_C(0x0000e00f)

#define DR7_GD       BIT(13)
#define DR7_ONES     UINT64_C(0x00000400)
#define DR7_WRITABLE UINT64_C(0xffff23ff)

/* DR7: two enable bits (local, global) a register from bit 0, four bits (type, length) a register from
 * bit 16. */
enum dr7_type { DR7_EXECUTE, DR7_WRITE, DR7_IO, DR7_READ_WRITE };

static inline bool dr7_enabled(uint64_t dr7, unsigned n)
{
    return (dr7 >> (2 * n) & 3) != 0;
}

static inline enum dr7_type dr7_type(uint64_t dr7, unsigned n)
{
    return (enum dr7_type)(dr7 >> (16 + 4 * n) & 3);
}

/* Bytes covered: 1, 2, 8 or 4. */
static inline unsigned dr7_size_bytes(uint64_t dr7, unsigned n)
{
    static const unsigned char sizes[] = {1, 2, 8, 4};
    return sizes[dr7 >> (18 + 4 * n) & 3];
}

/* Does the access a .. a + size_bytes - 1 touch breakpoint n, whose address is dr? Its low bits do not count.
 */
static inline bool dr_matches(uint64_t dr7, unsigned n, uint64_t dr, uint64_t a, unsigned size_bytes)
{
    uint64_t length = dr7_size_bytes(dr7, n);
    uint64_t first = dr & ~(length - 1);
    return a < first + length && first < a + size_bytes;
}

#endif
