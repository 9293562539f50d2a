/*
 * Specialised handlers of an operation whose result is compared at once, and jumped by: op makes the value v of a
 * register, op + 1 is the CMP or TEST that looks at it, op + 2 the conditional jump, op + 3 the link of its
 * fall-through. The operation pointer moves on behind the maker, so that a fault in a load is exact.
 */

#include "cpu/op_body.h"
#include "cpu/op_table.h"

/* The makers. A row: name, width, own handler, body. */
#define MAKE_RR(w)      uint64_t v = sem_add(cpu, op_reg(cpu, op->dst, w), op_reg(cpu, op->src, w), w, false);
#define MAKE_RI(w)      uint64_t v = sem_mask(cpu->gpr[op->dst] + (uint64_t)(int64_t)op->imm, w);
#define MAKE_LEA        uint64_t v = op_address_b(cpu, op);
#define MAKE_LOAD(x, w) OP_HOST_LOAD(p, op_address_##x(cpu, op), w, op_generic) uint64_t v = op_load(p, w);

#define EACH_MAKER(DO, ...)                                                                     \
    DO(load_b32, 32, op_find_mov(SHAPE_RM_B, WIDTH_32), MAKE_LOAD(b, 32), __VA_ARGS__)          \
    DO(load_x32, 32, op_find_mov(SHAPE_RM_X, WIDTH_32), MAKE_LOAD(x, 32), __VA_ARGS__)          \
    DO(load_b64, 64, op_find_mov(SHAPE_RM_B, WIDTH_64), MAKE_LOAD(b, 64), __VA_ARGS__)          \
    DO(load_x64, 64, op_find_mov(SHAPE_RM_X, WIDTH_64), MAKE_LOAD(x, 64), __VA_ARGS__)          \
    DO(add_ri32, 32, op_find_alu(ALU_ADD, SHAPE_RI, WIDTH_32, false), MAKE_RI(32), __VA_ARGS__) \
    DO(add_ri64, 64, op_find_alu(ALU_ADD, SHAPE_RI, WIDTH_64, false), MAKE_RI(64), __VA_ARGS__) \
    DO(add_rr64, 64, op_find_alu(ALU_ADD, SHAPE_RR, WIDTH_64, false), MAKE_RR(64), __VA_ARGS__) \
    DO(lea, 64, op_find_lea(false, WIDTH_64), MAKE_LEA, __VA_ARGS__)

/* What is done with v: it is the left operand of CMP, with a register or an immediate; the right one; or both of TEST.
 */
enum look { LOOK_LEFT_RR, LOOK_LEFT_RI, LOOK_RIGHT_RR, LOOK_TEST, LOOK_COUNT };

#define LEFT_RR(w)  sem_sub(cpu, v, op_reg(cpu, op->src, w), w, true)
#define LEFT_RI(w)  sem_sub(cpu, v, (uint64_t)(int64_t)op->imm &bits_mask(w), w, true)
#define RIGHT_RR(w) sem_sub(cpu, op_reg(cpu, op->dst, w), v, w, true)
#define TEST(w)     sem_and(cpu, v, v, w, true)

#define COMPARED(cc, name, w, make, form)    \
    OP_HANDLER(op_##name##_##form##_##cc)    \
    {                                        \
        make op_set_reg(cpu, op->dst, v, w); \
        op++;                                \
        form(w);                             \
        OP_JUMP_IF(cc)                       \
    }
#define EACH_FORM(name, w, run, make, ...)           \
    EACH_FUSED_CC(COMPARED, name, w, make, LEFT_RR)  \
    EACH_FUSED_CC(COMPARED, name, w, make, LEFT_RI)  \
    EACH_FUSED_CC(COMPARED, name, w, make, RIGHT_RR) \
    EACH_FUSED_CC(COMPARED, name, w, make, TEST)

EACH_MAKER(EACH_FORM, )

enum maker {
#define MAKER_ID(name, ...) MAKER_##name,
    EACH_MAKER(MAKER_ID, ) MAKER_COUNT
};

/* What op is, or MAKER_COUNT; of comparisons of w bits. */
static unsigned maker_of(const struct op *op, enum op_width w)
{
#define MAKER_TEST(name, bits, own, ...)                                 \
    if (op->run == (own) && w == ((bits) == 32 ? WIDTH_32 : WIDTH_64)) { \
        return MAKER_##name;                                             \
    }
    EACH_MAKER(MAKER_TEST, )
    return MAKER_COUNT;
}

/* How the comparison n looks at register reg, or LOOK_COUNT. */
static enum look look_of(const struct op *n, unsigned reg, enum op_alu alu, enum op_shape shape)
{
    bool left = n->dst == reg, right = shape == SHAPE_RR && n->src == reg;
    if (alu == ALU_CMP && left && shape == SHAPE_RI) {
        return LOOK_LEFT_RI;
    }
    if (alu == ALU_CMP && shape == SHAPE_RR && left != right) {
        return left ? LOOK_LEFT_RR : LOOK_RIGHT_RR;
    }
    return alu == ALU_TEST && left && right ? LOOK_TEST : LOOK_COUNT;
}

op_fn *op_find_compared(const struct op *op, const struct op_compare *c)
{
#define ENTRY(cc, name, form) [cc] = op_##name##_##form##_##cc,
#define ROW(name, ...)                                            \
    [MAKER_##name] = {                                            \
        [LOOK_LEFT_RR] = {EACH_FUSED_CC(ENTRY, name, LEFT_RR)},   \
        [LOOK_LEFT_RI] = {EACH_FUSED_CC(ENTRY, name, LEFT_RI)},   \
        [LOOK_RIGHT_RR] = {EACH_FUSED_CC(ENTRY, name, RIGHT_RR)}, \
        [LOOK_TEST] = {EACH_FUSED_CC(ENTRY, name, TEST)},         \
    },
    static op_fn *const table[MAKER_COUNT][LOOK_COUNT][16] = {EACH_MAKER(ROW, )};
    unsigned maker = maker_of(op, c->width);
    enum look look = look_of(op + 1, op->dst, c->alu, c->shape);
    return maker == MAKER_COUNT || look == LOOK_COUNT ? NULL : table[maker][look][c->cc];
}
