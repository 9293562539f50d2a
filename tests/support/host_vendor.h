#ifndef TESTS_SUPPORT_HOST_VENDOR_H
#define TESTS_SUPPORT_HOST_VENDOR_H

/*
 * Whether the host's processor is of the vendor that the simulated one is modelled on (sim/cpu/). What the manuals leave
 * to the vendors is compared with such a host only:
 *   error pointers   FOP, FIP, FDP: AMD's images have them while an exception is pending, else zeros; Intel's always
 *   dot products     of DPPS and DPPD, which NaN the sum is when several elements are one
 *   what insn_excluded.def lists, what insn_gen.c calls AMD's alone, and what insn_compare.c lets pass
 */

#include <stdbool.h>
#include <stdint.h>

#ifdef __x86_64__
#include <cpuid.h>
#endif

static inline bool host_is_amd(void)
{
#ifdef __x86_64__
    unsigned a, b, c, d;
    return __get_cpuid(0, &a, &b, &c, &d) && b == signature_AMD_ebx;
#else
    return false;
#endif
}

/* Are these two results of a dot product as equal as this host can have them? */
static inline bool same_dot_f32(uint32_t a, uint32_t b)
{
    bool nans = (a & 0x7fffffff) > 0x7f800000 && (b & 0x7fffffff) > 0x7f800000;
    return a == b || (nans && !host_is_amd());
}

static inline bool same_dot_f64(uint64_t a, uint64_t b)
{
    const uint64_t sign = UINT64_C(1) << 63, infinity = UINT64_C(0x7ff) << 52;
    return a == b || ((a & ~sign) > infinity && (b & ~sign) > infinity && !host_is_amd());
}

#endif
