#ifndef ORRERY_CPU_FP_HOST_H
#define ORRERY_CPU_FP_HOST_H

/*
 * The host's binary32 and binary64 arithmetic, rounding to nearest, on bit patterns: a pure accelerator of
 * fp_core. Right only where IEEE 754 leaves nothing open: the caller (fp_arith.c) passes normal operands and
 * takes only normal results, so NaN payloads, denormal handling and flags never come from the host.
 */

#include <stdint.h>

uint32_t fp_host_f32_add(uint32_t a, uint32_t b);
uint32_t fp_host_f32_sub(uint32_t a, uint32_t b);
uint32_t fp_host_f32_mul(uint32_t a, uint32_t b);
uint32_t fp_host_f32_div(uint32_t a, uint32_t b);
uint64_t fp_host_f64_add(uint64_t a, uint64_t b);
uint64_t fp_host_f64_sub(uint64_t a, uint64_t b);
uint64_t fp_host_f64_mul(uint64_t a, uint64_t b);
uint64_t fp_host_f64_div(uint64_t a, uint64_t b);

#endif
