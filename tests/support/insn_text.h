#ifndef ORRERY_TESTS_INSN_TEXT_H
#define ORRERY_TESTS_INSN_TEXT_H

/* One instruction: bytes of a form with random prefixes, registers, addressing and immediates. */

#include "base/rng.h"
#include "cpu/insn.h"

#include "insn_forms.h"

#define TEXT_MAX 15u

struct insn_text {
    uint8_t bytes[TEXT_MAX];
    unsigned length;
    bool compat;
    struct insn insn; /* as the simulator decodes it: .row is what it came to be */
    ZydisDecodedInstruction z;
    ZydisDecodedOperand op[ZYDIS_MAX_OPERAND_COUNT];
};

/* False when what came out is no instruction of any row. */
bool text_make(struct rng *r, bool compat, const struct insn_form_bytes *form, struct insn_text *out);

/* Bytes of an instruction that no row has: an absent or unknown form; a NULL form stands for EVEX and 3DNow!. The number
 * of bytes. */
unsigned text_make_absent(struct rng *r, bool compat, const struct insn_form_bytes *form, uint8_t *out);

/* Writes a little-endian field of 8 to 64 bits into the bytes. */
void text_patch(struct insn_text *t, unsigned offset, unsigned bits, uint64_t value);

/* RFLAGS bits that are undefined after it: those of its row, less what its operands make defined. */
uint32_t text_undefined(const struct insn_text *t);
/* RFLAGS bits that it writes for certain, and those that it may read. */
uint32_t text_flags_written(const struct insn_text *t);
uint32_t text_flags_read(const struct insn_text *t);
/* Bit n: general register n may be changed. */
uint32_t text_registers_written(const struct insn_text *t);

/* May the base of FS or GS be changed? */
bool text_changes_base(const struct insn_text *t);

/* May RFLAGS.TF be set? Is SS loaded, which holds off debug traps? */
bool text_loads_flags(const struct insn_text *t);
bool text_loads_ss(const struct insn_text *t);

/* Number of the general register that holds reg, or 16. */
unsigned text_gpr(const struct insn_text *t, ZydisRegister reg);

#endif
