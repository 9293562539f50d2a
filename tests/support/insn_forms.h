#ifndef ORRERY_TESTS_INSN_FORMS_H
#define ORRERY_TESTS_INSN_FORMS_H

/*
 * Encodings of the rows of the instruction table: every opcode of every map with every mandatory prefix, REX.W and
 * ModRM is shown to the simulator's decoder, and what belongs to one row is one form. Aliases and reserved encodings
 * that the processor executes are thereby in, too. Encodings that no row has are kept apart: absent ones, which Zydis
 * knows, and unknown ones, which it does not.
 */

#include <Zydis/Zydis.h>

#include <stdbool.h>
#include <stdint.h>

struct insn_form_bytes {
    uint16_t row;   /* of insn_rows */
    uint8_t map;    /* 0, 1: 0F, 2: 0F 38, 3: 0F 3A */
    uint8_t prefix; /* 0, 66, F3, F2: mandatory or not, it is there */
    uint8_t opcode;
    bool w; /* REX.W or VEX.W */
    bool vex, vex_l;
    bool address; /* prefix 67: JCXZ, JECXZ and JRCXZ differ in nothing else */
    bool has_modrm;
    uint64_t registers; /* ModRM with mod 3: bit reg * 8 + rm */
    uint8_t memory;     /* ModRM with a memory operand: bit reg */
};

struct insn_form_list {
    struct insn_form_bytes *form; /* sorted by row: first[row] .. first[row + 1] - 1 */
    unsigned count;
    unsigned *first;
    struct insn_form_bytes *absent, *unknown;
    unsigned absent_count, unknown_count;
};

/* The forms of 64-bit mode, and of compatibility mode with a 32-bit code segment. Made at the first call. */
const struct insn_form_list *insn_forms(bool compat);

/* Zydis as the simulator uses it. */
const ZydisDecoder *insn_decoder(bool compat);

/* Why a row is not compared with the host, or NULL. */
const char *insn_excluded(unsigned row);
/* What hosts of another vendor than the machine's do otherwise, or NULL. */
const char *insn_amd_only(unsigned row);
/* Is the row one that ends in a fault in user mode, whatever its operands? */
bool insn_always_faults(unsigned row);
/* May the host have done some of the row's accesses when a later one faults? */
bool insn_is_partial(unsigned row);
/* The extension (ZydisISAExt) that a row belongs to; ZYDIS_ISA_EXT_INVALID: it has no form. */
unsigned insn_extension(unsigned row);

#endif
