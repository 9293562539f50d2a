#ifndef ORRERY_CPU_OP_BODY_H
#define ORRERY_CPU_OP_BODY_H

/*
 * What the specialised handlers are made of. A handler is named op_NAME_SHAPEw: w is the operand width in
 * bits, SHAPE
 *
 *   r     register
 *   rr    register, register
 *   ri    register, immediate
 *   rm_b  register, [base + disp]
 *   mr_b  [base + disp], register
 *   mi_b  [base + disp], immediate
 *
 * and _x instead of _b for [base + index * scale + disp].
 *
 * They exist for 64-bit mode with 64-bit addresses; registers are whole (no AH..BH). `base` may be the slot
 * that is always zero (absolute and RIP-relative addresses), `index` the slot of FS or GS. dst is the
 * register that is written, or the first one read; src the other.
 */

#include "cpu/op.h"
#include "cpu/op_instance.h"
#include "cpu/sem.h"
#ifdef OP_TIMED
#include "cpu/ahead.h"
#include "cpu/timed_access.h"
#endif

static inline uint64_t op_reg(const struct cpu *cpu, unsigned reg, unsigned w)
{
    return cpu->gpr[reg] & bits_mask(w);
}

static inline void op_set_reg(struct cpu *cpu, unsigned reg, uint64_t v, unsigned w)
{
    if (w >= 32) {
        cpu->gpr[reg] = v;
    } else {
        cpu->gpr[reg] = (cpu->gpr[reg] & ~bits_mask(w)) | v;
    }
}

static inline uint64_t op_address_b(const struct cpu *cpu, const struct op *op)
{
    return cpu->gpr[op->base] + (uint64_t)op->disp;
}

static inline uint64_t op_address_x(const struct cpu *cpu, const struct op *op)
{
    return cpu->gpr[op->base] + (cpu->gpr[op->index] << op->scale) + (uint64_t)op->disp;
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "guest words are loaded as host words");

#ifndef OP_TIMED
static inline uint64_t op_load(const uint8_t *p, unsigned w)
{
    uint64_t v = 0;
    memcpy(&v, p, w / 8);
    return v;
}

static inline void op_store(uint8_t *p, uint64_t v, unsigned w)
{
    memcpy(p, &v, w / 8);
}
#else
#define op_load(p, w)     timed_load(cpu, p, w)
#define op_store(p, v, w) timed_store(cpu, p, v, w)
#endif

/* Before its turn an instruction goes no further than lines that the vCPU has. */
#ifndef OP_TIMED
#define OP_AHEAD(p, kind, w, otherwise)
#else
#define OP_AHEAD(p, kind, w, otherwise)                              \
    if (cpu->ahead && OP_UNLIKELY(!ahead_##kind(cpu, p, (w) / 8))) { \
        OP_GOTO(otherwise);                                          \
    }
#endif

/* Declares p, the host address of a guest access; what is not plain RAM in the TLB goes to `otherwise`. The
 * page of the last byte is compared, which covers page crossings. */
#define OP_HOST(p, type, kind, address, w, otherwise)                                                  \
    uint64_t p##_address = (address);                                                                  \
    const struct host_entry *p##_entry = &cpu->host->kind[(p##_address >> PAGE_SHIFT) % HOST_ENTRIES]; \
    if (OP_UNLIKELY(p##_entry->tag != ((p##_address + (w) / 8 - 1) & ~(uint64_t)PAGE_MASK_BITS))) {    \
        OP_GOTO(otherwise);                                                                            \
    }                                                                                                  \
    type p = (type)(p##_entry->addend + p##_address);                                                  \
    OP_AHEAD(p, kind, w, otherwise)
#define OP_HOST_READ(p, address, w) OP_HOST(p, const uint8_t *, read, address, w, op_generic);
#ifndef OP_TIMED
#define OP_HOST_WRITE(p, address, w) OP_HOST(p, uint8_t *, write, address, w, op_generic);
#else /* a store besides finds room in the queue */
#define OP_HOST_WRITE(p, address, w)                        \
    if (OP_UNLIKELY(cpu->stores.count > cpu->store_room)) { \
        OP_GOTO(op_generic);                                \
    }                                                       \
    OP_HOST(p, uint8_t *, write, address, w, op_generic);
#endif
/* In an operation that ends its block. */
#define OP_HOST_READ_END(p, address, w)  OP_HOST(p, const uint8_t *, read, address, w, op_generic_end);
#define OP_HOST_WRITE_END(p, address, w) OP_HOST(p, uint8_t *, write, address, w, op_generic_end);

/* A load into a register. One of 64 bits may be a pointer that leads to the next one: where the entry's addend is the
 * usual one (mem_host.c), the access does not wait until the entry has been read, it is only predicted that it is so.
 * The two words are equal, but the compiler does not know it. */
#ifndef OP_TIMED
#define OP_HOST_LOAD(p, address, w, otherwise)                 \
    OP_HOST(p, const uint8_t *, read, address, w, otherwise);  \
    if ((w) == 64 && p##_entry->addend == cpu->near_check) {   \
        p = (const uint8_t *)(cpu->near_addend + p##_address); \
    }
#else
#define OP_HOST_LOAD(p, address, w, otherwise) OP_HOST(p, const uint8_t *, read, address, w, otherwise);
#endif

#define OP_HANDLER(name) static const struct op *name(struct cpu *cpu, const struct op *op)

/* The formatter never settles on the column of these backslashes. */
/* clang-format off */
/* Conditions of jumps that are fused with what is before them, by the low bits of the opcode; parity and overflow are
 * not worth it. */
#define EACH_FUSED_CC(DO, ...)                                                                            \
    DO(2, __VA_ARGS__)                                                                              \
    DO(3, __VA_ARGS__)                                                                              \
    DO(4, __VA_ARGS__)                                                                              \
    DO(5, __VA_ARGS__)                                                                              \
    DO(6, __VA_ARGS__) DO(7, __VA_ARGS__) DO(8, __VA_ARGS__) DO(9, __VA_ARGS__) DO(12, __VA_ARGS__) \
        DO(13, __VA_ARGS__) DO(14, __VA_ARGS__) DO(15, __VA_ARGS__)
/* clang-format on */

/* The conditional jump after op, and the link of its fall-through. The flags have just been stored, so the compiler
 * knows what the condition compares. */
#define OP_JUMP_IF(cc)              \
    if (flags_condition(cpu, cc)) { \
        OP_ENTER_LINK(op + 1);      \
    }                               \
    OP_ENTER_LINK(op + 2);

#endif
