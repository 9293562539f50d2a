#ifndef ORRERY_TESTS_INSN_CASE_H
#define ORRERY_TESTS_INSN_CASE_H

/*
 * The instruction oracle: one to six instructions, run by the host CPU and by the simulator from the same state at
 * the same linear addresses until something traps, and the two states after it compared.
 *
 *   insn_forms   every encoding that the instruction table knows, found by asking the decoders
 *   insn_gen     a case (instructions, registers, memory) from a seed and a number; insn_text (bytes), insn_aim
 *                (addresses and operands), insn_values (numbers worth trying): its parts
 *   insn_native  runs a case on the host       insn_machine  runs it in the simulator
 *   insn_compare what must be equal, and how a difference is told
 *   insn_oracle  runs many cases and counts
 *
 * User address space of a case, the same on both sides:
 *
 *   0x00008000  2 pages  RW  reachable by 16-bit addresses
 *   0x10000000  2 pages  RX  the instructions, INT3 all around them; the page behind is not mapped
 *   0x10008000  1 page   RX  INT3 all over: where jumps land
 *   0x1ffff000  1 page   R   | one run of pages: an access may cross from each into the next
 *   0x20000000  2 pages  RW  |
 *   0x20002000  -            |
 *   0x20008000  1 page   RW  | and another
 *   0x20009000  1 page   R   |
 */

#include <stdbool.h>
#include <stdint.h>

#define CASE_PAGE         UINT64_C(0x1000)
#define CASE_LOW_AT       UINT64_C(0x8000)
#define CASE_CODE_AT      UINT64_C(0x10000000)
#define CASE_CODE_BYTES   0x2000u
#define CASE_LAND_AT      UINT64_C(0x10008000)
#define CASE_READ_AT      UINT64_C(0x1ffff000)
#define CASE_DATA_AT      UINT64_C(0x20000000)
#define CASE_DATA2_AT     UINT64_C(0x20008000)
#define CASE_READ2_AT     UINT64_C(0x20009000)
#define CASE_MEMORY_BYTES 0x5000u /* all that may be written: low, data, data2 */

#define CASE_INSNS_MAX 6u
#define CASE_TEXT_MAX  (CASE_INSNS_MAX * 15u)
#define CASE_INT3      0xccu
#define CASE_NO_VECTOR 0xffffu

#define CASE_FX_BYTES 416u /* of the FXSAVE64 image: what the processor defines */

/* Writable regions in the order they have in insn_state.memory. */
struct case_region {
    uint64_t at;
    uint32_t bytes;
};
#define CASE_REGIONS 3u
extern const struct case_region case_regions[CASE_REGIONS];

/* The place of a linear address in insn_state.memory; the bytes that follow it there, 0: not writable. */
unsigned case_memory_find(uint64_t at, unsigned *offset);

/* State before or after a case. fx is an FXSAVE64 image; selectors in the order of enum seg_reg. */
struct insn_state {
    uint64_t gpr[16];
    uint64_t rip, rflags, fs_base, gs_base;
    uint16_t selector[6];
    uint16_t vector; /* of the trap that ended the case */
    uint32_t error;
    uint64_t cr2; /* of a page fault */
    _Alignas(16) uint8_t fx[CASE_FX_BYTES];
    uint8_t memory[CASE_MEMORY_BYTES];
};

/* What may not be compared bit for bit after the last instruction. */
#define CASE_APPROX_XMM    1u /* RCPPS and the like: the destination */
#define CASE_APPROX_X87    2u /* transcendentals: the results and their rounding flags */
#define CASE_SAVES_MASK    4u /* writes MXCSR_MASK, which tells of a feature that the machine lacks */
#define CASE_UNDEFINED_DST 8u /* the manual leaves the destination undefined for these operands */

struct insn_case {
    uint64_t seed, number;
    bool compat; /* 32-bit code segment */
    bool absent; /* an instruction that CPUID denies: must be #UD, and does not run on the host */
    unsigned count, bytes;
    uint64_t at; /* of the first instruction */
    uint8_t text[CASE_TEXT_MAX + 15];
    unsigned offset[CASE_INSNS_MAX + 1];
    unsigned row[CASE_INSNS_MAX];
    unsigned first_jump;                    /* the first instruction that may go elsewhere; count: none */
    uint32_t undefined[CASE_INSNS_MAX + 1]; /* flags that are undefined before instruction n */
    unsigned approx;                        /* CASE_APPROX_... of the last instruction */
    uint8_t approx_xmm;                     /* the destination register */
    uint64_t saved_mask_at;                 /* CASE_SAVES_MASK: where MXCSR_MASK is stored */
    uint8_t undefined_gpr;                  /* the same of CASE_UNDEFINED_DST */
    struct insn_state in;
};

/* Named places in an FXSAVE image. */
#define FX_FCW   0u
#define FX_FSW   2u
#define FX_TAGS  4u
#define FX_FOP   6u
#define FX_FIP   8u
#define FX_FDP   16u
#define FX_MXCSR 24u
#define FX_ST    32u
#define FX_XMM   160u

#endif
