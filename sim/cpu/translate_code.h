#ifndef ORRERY_CPU_TRANSLATE_CODE_H
#define ORRERY_CPU_TRANSLATE_CODE_H

/*
 * What the parts of the translator share: its state, its registers, the code around stencils.
 *
 *   R13 struct cpu    R12 left_cycles    RAX RCX RDX scratch    RBX R10 operands that have no register of their own
 *   R14 R15 R8 R9 RBP R11 RSI RDI: RAX RCX RDX RBX RSP RBP RSI RDI of the guest
 *
 * cpu->retired is not counted: with a cycle an instruction, it is cpu->chain_sum - left_cycles.
 */

#include "core/code_memory.h"
#include "cpu/stencil.h"
#include "cpu/translate.h"

enum host_register {
    HOST_RAX,
    HOST_RCX,
    HOST_RDX,
    HOST_RBX,
    HOST_RSP,
    HOST_RBP,
    HOST_RSI,
    HOST_RDI,
    HOST_R8
};
#define HOST_R10 10u
#define HOST_R12 12u
#define HOST_R13 13u

#define PINNED_COUNT 8u
#define SPARE_COUNT  2u

/* The registers of the guest's first PINNED_COUNT, and of operands that have none. */
extern const uint8_t translate_pinned[PINNED_COUNT];
extern const uint8_t translate_spare[SPARE_COUNT];

/* Pieces of code that every block jumps to with an operation in EAX, as its distance from the arena of blocks; GLUE_BLOCK with a
 * block in RAX. */
enum glue { GLUE_SLOW, GLUE_SLOW_END, GLUE_LINK, GLUE_REFUSED, GLUE_OP, GLUE_BLOCK, GLUE_COUNT };

typedef const struct op *enter_fn(struct cpu *cpu, const void *code);

/* A jump of a block that may lead straight to another one. */
struct link_sites {
    uint32_t at[4]; /* of its distance; 0: none */
    uint32_t stub;  /* where it leads else */
};

struct translation {
    enter_fn *enter;
    uint32_t charge;                      /* where the block is paid for and entered */
    struct link_sites links[2];           /* of the branch at the end; of what follows the block */
    uint32_t resume[BLOCK_INSNS_MAX + 1]; /* where its operations begin; 0: nowhere by itself */
};

struct translator {
    struct block_cache *blocks;
    const uint8_t *arena;
    struct code_memory memory;
    uint64_t used, first; /* bytes; first: behind the glue */
    enter_fn *enter;
    uint32_t glue[GLUE_COUNT], leave;
    unsigned heat;
    uint64_t count;
    struct stencil_map map;
};

/* Writing code: bytes go to memory.write + at. */
struct code {
    const struct translator *t;
    uint32_t at;
};

void code_byte(struct code *c, unsigned byte);
void code_word(struct code *c, uint64_t word, unsigned size_bytes);
/* MOV between a register and a word of struct cpu, whose place is `offset`. */
void code_load(struct code *c, unsigned reg, size_t offset);
void code_store(struct code *c, unsigned reg, size_t offset);
/* MOV of a constant; of 32 bits to EAX. */
void code_constant(struct code *c, unsigned reg, uint64_t value);
void code_constant_eax(struct code *c, uint32_t value);
/* JMP. */
void code_jump(struct code *c, uint32_t to);
/* Writes the distance from the end of the word at `site` to `to`. */
void code_patch(const struct translator *t, uint32_t site, uint32_t to);

/* Writes enter, leave and the glue. */
void translate_glue(struct translator *t);

/* What the glue calls with an operation. translate_slow returns where the code goes on, the others leave it and return the
 * operation that the chain goes on with, or NULL. */
const void *translate_slow(struct cpu *cpu, const struct op *op);
typedef const struct op *leave_fn(struct cpu *cpu, const struct op *op);
leave_fn translate_slow_end, translate_refused;

/* Bit of an operation that machine code has left with: it is to be followed as a link. */
#define FOLLOW 1u

/* Writes the code of b at t->used. NULL: it is not worth it, or there is no room (*full). */
struct translation *translate_block(struct translator *t, const struct block *b, bool *full);

#endif
