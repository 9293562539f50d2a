/*
 * Specialised handlers of an operation whose result is compared at once, and jumped by: op makes the value v of a
 * register, op + 1 is the CMP or TEST that looks at it, op + 2 the conditional jump, op + 3 the link of its
 * fall-through. Loads also have handlers that begin with the addition before them, as loops over arrays do. The
 * operation pointer moves on before each part, so that a fault in a load is exact.
 */

#include "cpu/op_body.h"
#include "cpu/op_table.h"

/* The makers. A row: name, width, own handler, body; loads are apart, with a second body for when an addition is before
 * them. */
#define MAKE_RR(w) uint64_t v = sem_add(cpu, op_reg(cpu, op->dst, w), op_reg(cpu, op->src, w), w, false);
#define MAKE_RI(w) uint64_t v = sem_mask(cpu->gpr[op->dst] + (uint64_t)(int64_t)op->imm, w);
#define MAKE_LEA   uint64_t v = op_address_b(cpu, op);
#define MAKE_LOAD(x, w, otherwise)                         \
    OP_HOST_LOAD(p, op_address_##x(cpu, op), w, otherwise) \
    uint64_t v = op_load(p, w);

#define LOAD_ROW(DO, x, shape, w, ...)                                             \
    DO(load_##x##w, w, op_find_mov(shape, WIDTH_##w), MAKE_LOAD(x, w, op_generic), \
       MAKE_LOAD(x, w, op_add_again), __VA_ARGS__)
#define EACH_LOAD(DO, ...)                       \
    LOAD_ROW(DO, b, SHAPE_RM_B, 32, __VA_ARGS__) \
    LOAD_ROW(DO, x, SHAPE_RM_X, 32, __VA_ARGS__) \
    LOAD_ROW(DO, b, SHAPE_RM_B, 64, __VA_ARGS__) \
    LOAD_ROW(DO, x, SHAPE_RM_X, 64, __VA_ARGS__)

#define EACH_MAKER(DO, ...)                                                                     \
    EACH_LOAD(DO, __VA_ARGS__)                                                                  \
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

/* The addition before a load: its flags are read only if the load cannot be done at once. Then it is taken back, and
 * done again with its flags by its own handler. */
#define ADD_FIRST                                    \
    cpu->gpr[op->dst] += (uint64_t)(int64_t)op->imm; \
    op++;

static op_fn *added_handler(void)
{
    return op_find_alu(ALU_ADD, SHAPE_RI, WIDTH_64, true);
}

OP_HANDLER(op_add_again)
{
    op--;
    cpu->gpr[op->dst] -= (uint64_t)(int64_t)op->imm;
    OP_GOTO(added_handler());
}

#define COMPARED(cc, name, w, first, make, form)   \
    OP_HANDLER(op_##name##_##form##_##cc)          \
    {                                              \
        first make op_set_reg(cpu, op->dst, v, w); \
        op++;                                      \
        form(w);                                   \
        OP_JUMP_IF(cc)                             \
    }
#define EACH_FORM(name, w, first, make)                     \
    EACH_FUSED_CC(COMPARED, name, w, first, make, LEFT_RR)  \
    EACH_FUSED_CC(COMPARED, name, w, first, make, LEFT_RI)  \
    EACH_FUSED_CC(COMPARED, name, w, first, make, RIGHT_RR) \
    EACH_FUSED_CC(COMPARED, name, w, first, make, TEST)
#define ALONE(name, w, run, make, ...)             EACH_FORM(name, w, , make)
#define ADDED(name, w, run, make, make_added, ...) EACH_FORM(add_##name, w, ADD_FIRST, make_added)

EACH_MAKER(ALONE, )
EACH_LOAD(ADDED, )

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

op_fn *op_find_compared(const struct op *op, bool added, const struct op_compare *c)
{
#define ENTRY(cc, name, form) [cc] = op_##name##_##form##_##cc,
#define ROW(name)                                                 \
    {                                                             \
        [LOOK_LEFT_RR] = {EACH_FUSED_CC(ENTRY, name, LEFT_RR)},   \
        [LOOK_LEFT_RI] = {EACH_FUSED_CC(ENTRY, name, LEFT_RI)},   \
        [LOOK_RIGHT_RR] = {EACH_FUSED_CC(ENTRY, name, RIGHT_RR)}, \
        [LOOK_TEST] = {EACH_FUSED_CC(ENTRY, name, TEST)},         \
    }
#define ALONE_ROW(name, ...) [MAKER_##name] = ROW(name),
#define ADDED_ROW(name, ...) [MAKER_##name] = ROW(add_##name),
    static op_fn *const table[2][MAKER_COUNT][LOOK_COUNT][16] = {
        {EACH_MAKER(ALONE_ROW, )},
        {EACH_LOAD(ADDED_ROW, )},
    };
    unsigned maker = maker_of(op, c->width);
    enum look look = look_of(op + 1, op->dst, c->alu, c->shape);
    if (maker == MAKER_COUNT || look == LOOK_COUNT) {
        return NULL;
    }
    if (!added) {
        return table[0][maker][look][c->cc];
    }
    return op[-1].run == added_handler() ? table[1][maker][look][c->cc] : NULL;
}
