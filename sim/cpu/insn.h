#ifndef ORRERY_CPU_INSN_H
#define ORRERY_CPU_INSN_H

/*
 * The decoded instruction and the instruction table.
 *
 * The table is insn.def, which includes one .def a family (insn_int.def, insn_sys.def, insn_sse.def,
 * insn_x87.def). A row is
 *
 *     INSN(MNEMONIC, exec, cost, flags, undefined)
 *
 * MNEMONIC   Zydis's name without ZYDIS_MNEMONIC_
 * exec       an exec_fn: the plain, complete implementation for every mode, form and prefix that decodes
 * cost       cost class without COST_
 * flags      INSN_* below, or 0
 * undefined  RFLAGS bits that the manual leaves undefined after it (docs/undefined-flags.md comes from this)
 *
 * Where Zydis has one mnemonic for instructions of several families the row names the form it is for:
 *
 *     INSN_FORM(MNEMONIC, FORM, exec, cost, flags, undefined)
 *
 * FORM is one of enum insn_form without FORM_: a STRING (MOVSD, CMPSD) is not the SSE instruction, a MOV of a CONTROL
 * or DEBUG register not a plain MOV, a load (MOV, POP) to a SEGMENT register neither, a FAR CALL, JMP or RET not a near
 * one. A form without a row of its own uses the plain row.
 *
 * Hot shapes have specialised handlers besides (op_*.c), made from the same bodies.
 */

#include "cpu/cpu.h"
#include "cpu/mem.h"
#include "timing/model.h"

#define INSN_END            0x0001u /* ends a block: changes rip, mode, or what the next instruction may assume */
#define INSN_CPL0           0x0002u /* #GP(0) unless CPL is 0 */
#define INSN_LOCKABLE       0x0004u /* LOCK allowed with a memory destination; else #UD */
#define INSN_PROTECTED      0x0008u /* #UD in real mode */
#define INSN_REP            0x0010u /* a string instruction: REP prefixes repeat it */
#define INSN_EXACT          0x0020u /* reads the clock or the outside: runs as a block of its own */
#define INSN_DRAINS         0x0040u /* drains the store queue first */
#define INSN_NO_MEMORY_COST 0x0080u /* its memory operand is not an access (LEA, NOP, INVLPG, prefetch) */
#define INSN_OWN_STEP       0x0100u /* raises its single-step trap itself */

enum insn_form { FORM_PLAIN, FORM_STRING, FORM_CONTROL, FORM_DEBUG, FORM_SEGMENT, FORM_FAR, FORM_COUNT };

enum operand_kind {
    OPERAND_NONE,
    OPERAND_GPR,   /* reg 0..15, low size_bytes */
    OPERAND_HIGH8, /* AH CH DH BH: reg 0..3, bits 15..8 */
    OPERAND_MEM,   /* the one memory operand, insn_address() */
    OPERAND_IMM,   /* insn->imm, sign-extended to 64 bits where the manual sign-extends */
    OPERAND_REL,   /* insn->imm is the displacement from the next instruction */
    OPERAND_FAR,   /* imm is the offset, imm2 the selector */
    OPERAND_XMM,
    OPERAND_MM,
    OPERAND_ST,
    OPERAND_SEG, /* enum seg_reg */
    OPERAND_CR,
    OPERAND_DR
};

struct operand {
    uint8_t kind; /* enum operand_kind */
    uint8_t reg;
    uint8_t size_bytes; /* 1, 2, 4, 8, 10, 16; 0 for sizes beyond (FXSAVE, XSAVE) and for LEA */
};

#define INSN_OPERANDS_MAX \
    4u /* explicit operands, and implicit ones where Zydis lists them before hidden ones */
#define REG_NONE 0xffu
#define REG_RIP  0xfeu

#define PREFIX_LOCK  0x01u
#define PREFIX_REP   0x02u /* F3: REP, REPE, or part of the opcode */
#define PREFIX_REPNE 0x04u /* F2; the later one of F2 and F3 rules */
#define PREFIX_REX_W 0x08u

struct insn {
    uint16_t row;      /* index into insn_rows */
    uint16_t mnemonic; /* ZydisMnemonic */
    uint8_t length;    /* bytes, 1..15 */
    uint8_t opcode;    /* last opcode byte; opcode_map: 0, 0x0f, 0x38, 0x3a */
    uint8_t opcode_map;
    uint8_t modrm;
    uint8_t operand_size_bytes;  /* effective: 1, 2, 4 or 8 */
    uint8_t address_size_bytes;  /* effective: 2, 4 or 8 */
    uint8_t prefixes;            /* PREFIX_* */
    uint8_t mem_base, mem_index; /* gpr, REG_NONE or REG_RIP */
    uint8_t mem_scale;           /* 1, 2, 4, 8 */
    uint8_t mem_seg;             /* enum seg_reg in force, override included (also of string sources, XLAT) */
    uint8_t operand_count;
    struct operand op[INSN_OPERANDS_MAX];
    int64_t disp;
    uint64_t imm, imm2;
    uint8_t bytes[15];
    uint8_t imm_bytes; /* the last bytes of the instruction that are imm and nothing else; 0: not so simple */
    bool imm_signed;   /* they are sign-extended */
    struct uop uop;    /* for the timing model */
};

/* The immediate, or displacement of a branch, of an instruction like insn (whose imm_bytes is not 0) at bytes. */
static inline uint64_t insn_immediate(const struct insn *insn, const uint8_t *bytes)
{
    uint64_t raw = load_le(bytes + insn->length - insn->imm_bytes, insn->imm_bytes);
    return insn->imm_signed ? bits_sext(raw, 8u * insn->imm_bytes) : raw;
}

/* Executes one instruction (or one iteration, FLOW_REPEAT). On entry cpu->rip is the instruction's own offset and
 * cpu_now() its time. Contract: read and compute, do every access that can fault, commit last; never count
 * cycles; never advance rip for FLOW_NEXT. Checks of the row flags (CPL, LOCK, real mode) are already done. */
typedef enum flow exec_fn(struct cpu *cpu, const struct insn *insn);

struct insn_row {
    const char *name;
    exec_fn *exec;
    uint16_t mnemonic;
    uint16_t flags;
    uint8_t cost; /* enum cost_class */
    uint32_t undefined;
};

/* Row INSN_ROW_NONE stands for every legal instruction that no row names; its exec is exec_not_modelled. */
extern const struct insn_row insn_rows[];
extern const unsigned insn_row_count;
#define INSN_ROW_NONE 0u

/* The row of a mnemonic in a form, else of its plain form, else INSN_ROW_NONE. */
unsigned insn_row_find(unsigned mnemonic, enum insn_form form);

enum decode_result {
    DECODE_OK,
    DECODE_SHORT, /* more bytes are needed */
    DECODE_UD,    /* no instruction we have: #UD */
    DECODE_LONG   /* more than 15 bytes: #GP(0) */
};

/* Decodes the instruction at bytes (size_bytes available, 15 suffice) for a mode (enum cpu_mode). A legal instruction
 * that CPUID reports absent is DECODE_UD; a legal one that is not built gets a row with exec_not_modelled. */
enum decode_result insn_decode(unsigned mode, const uint8_t *bytes, unsigned size_bytes, struct insn *out);

/* Must a block of cached operations end with this instruction? */
bool insn_ends_block(const struct insn *insn);

/* The checks that come before any execution function: LOCK, real mode, CPL. FLOW_NEXT when the instruction may run. */
enum flow insn_check(struct cpu *cpu, const struct insn *insn);
/* insn_check, drain if the row asks for it, and the row's function. */
enum flow insn_execute(struct cpu *cpu, const struct insn *insn);

/* Exec functions for rows of legal instructions that are not built, and that do nothing. */
exec_fn exec_not_modelled, exec_nop;

/* Offset of the next instruction, truncated to the mode's width. */
static inline uint64_t insn_next_rip(const struct cpu *cpu, const struct insn *insn)
{
    uint64_t next = cpu->rip + insn->length; /* 16-bit code too: only jumps of that size cut EIP to 16 bits */
    return cpu->mode == MODE_LONG64 ? next : (uint32_t)next;
}

/* Offset part of the memory operand (base + index*scale + disp, truncated to the address size). */
uint64_t insn_offset(const struct cpu *cpu, const struct insn *insn);

/* Linear address of the memory operand for an access of size_bytes, with all segment checks; false: cpu->fault. */
bool insn_address(struct cpu *cpu, const struct insn *insn, unsigned size_bytes, bool write, lin_t *out);

/* The same for size_bytes that lie from_bytes into the operand, for instructions that access theirs in parts: each part
 * has its own checks, and its offset wraps at the address size. */
bool insn_address_part(struct cpu *cpu, const struct insn *insn, unsigned from_bytes, unsigned size_bytes,
                       bool write, lin_t *out);

/* Reads operand n (GPR, HIGH8, MEM, IMM) zero-extended; false: cpu->fault. */
bool insn_read(struct cpu *cpu, const struct insn *insn, unsigned n, uint64_t *out);
/* Writes operand n (GPR, HIGH8, MEM); 32-bit registers zero-extend; false: cpu->fault, nothing written. */
bool insn_write(struct cpu *cpu, const struct insn *insn, unsigned n, uint64_t value);

/* Operand n (GPR, HIGH8, MEM) as a destination that is read first. begin checks write access and reads (false:
 * cpu->fault); commit cannot fault. A LOCK prefix makes a memory operand's change one step. */
struct insn_rmw {
    struct mem_rmw memory;
    uint64_t old; /* zero-extended */
};

bool insn_rmw_begin(struct cpu *cpu, const struct insn *insn, unsigned n, struct insn_rmw *rmw);
void insn_rmw_commit(struct cpu *cpu, const struct insn *insn, unsigned n, const struct insn_rmw *rmw,
                     uint64_t value);

/* Bits of operand n: 8, 16, 32 or 64. */
static inline unsigned insn_bits(const struct insn *insn, unsigned n)
{
    return 8u * insn->op[n].size_bytes;
}

/* Register access by size with x86 rules (32-bit writes clear the upper half; 8 and 16 keep the rest). */
static inline uint64_t gpr_read(const struct cpu *cpu, unsigned reg, unsigned size_bytes)
{
    return cpu->gpr[reg] & bits_size_mask(size_bytes);
}

static inline void gpr_write(struct cpu *cpu, unsigned reg, uint64_t value, unsigned size_bytes)
{
    uint64_t mask = size_bytes == 4 ? ~UINT64_C(0) : bits_size_mask(size_bytes);
    cpu->gpr[reg] = (cpu->gpr[reg] & ~mask) | (value & bits_size_mask(size_bytes));
}

#endif
