/*
 * Specialised handlers of two operations at once: the first makes a 64-bit value in a register, the second goes on
 * with it, so that it need not pass through memory in between, and one dispatch is saved. op is the first, op + 1 the
 * second. Neither leaves the block, but for a load that comes first: what it cannot do the plain way does, which
 * dispatches the second by itself. The flags of the first are dead.
 *
 * Both lists are what compilers make of address arithmetic and hashing; nothing else rules what is in them.
 */

#include "cpu/op_body.h"
#include "cpu/op_table.h"

/* The first: the value v of register op->dst. A row: name, its own handler, body. */
#define MAKE_MOV     uint64_t v = cpu->gpr[op->src];
#define MAKE_LOAD(x) OP_HOST_LOAD(p, op_address_##x(cpu, op), 64, op_generic) uint64_t v = op_load(p, 64);
#define MAKE_LEA(x)  uint64_t v = op_address_##x(cpu, op);
#define MAKE_RR(sem) uint64_t v = sem(cpu, cpu->gpr[op->dst], cpu->gpr[op->src], 64, false);
#define MAKE_RI(sem) uint64_t v = sem(cpu, cpu->gpr[op->dst], (uint64_t)(int64_t)op->imm, 64, false);
#define MAKE_SH(sem) uint64_t v = sem(cpu, cpu->gpr[op->dst], (uint64_t)op->imm & 63, 64, false);

#define EACH_FIRST(DO, ...)                                                                     \
    DO(mov_rr, op_find_mov(SHAPE_RR, WIDTH_64), MAKE_MOV, __VA_ARGS__)                          \
    DO(load_b, op_find_mov(SHAPE_RM_B, WIDTH_64), MAKE_LOAD(b), __VA_ARGS__)                    \
    DO(load_x, op_find_mov(SHAPE_RM_X, WIDTH_64), MAKE_LOAD(x), __VA_ARGS__)                    \
    DO(lea_b, op_find_lea(false, WIDTH_64), MAKE_LEA(b), __VA_ARGS__)                           \
    DO(lea_x, op_find_lea(true, WIDTH_64), MAKE_LEA(x), __VA_ARGS__)                            \
    DO(add_rr, op_find_alu(ALU_ADD, SHAPE_RR, WIDTH_64, false), MAKE_RR(sem_add), __VA_ARGS__)  \
    DO(add_ri, op_find_alu(ALU_ADD, SHAPE_RI, WIDTH_64, false), MAKE_RI(sem_add), __VA_ARGS__)  \
    DO(sub_rr, op_find_alu(ALU_SUB, SHAPE_RR, WIDTH_64, false), MAKE_RR(sem_sub), __VA_ARGS__)  \
    DO(xor_rr, op_find_alu(ALU_XOR, SHAPE_RR, WIDTH_64, false), MAKE_RR(sem_xor), __VA_ARGS__)  \
    DO(and_ri, op_find_alu(ALU_AND, SHAPE_RI, WIDTH_64, false), MAKE_RI(sem_and), __VA_ARGS__)  \
    DO(shl_ri, op_find_shift(SHIFT_SHL, false, WIDTH_64, false), MAKE_SH(sem_shl), __VA_ARGS__) \
    DO(shr_ri, op_find_shift(SHIFT_SHR, false, WIDTH_64, false), MAKE_SH(sem_shr), __VA_ARGS__) \
    DO(rol_ri, op_find_shift(SHIFT_ROL, false, WIDTH_64, false), MAKE_SH(sem_rol), __VA_ARGS__) \
    DO(imul, op_find_imul(SHAPE_RR, false, WIDTH_64, false), MAKE_RR(sem_imul), __VA_ARGS__)

/* The second: v becomes the value of register n->dst. A row: name, its own handler, does it read v when v is of
 * register reg, body. */
#define BY_DST    (n->dst == reg)
#define BY_DST_RR (n->dst == reg && n->src != reg) /* the first's register is written once, by the second */
#define BY_SRC    (n->src == reg)
#define BY_BASE   (n->base == reg)
#define BY_EITHER (n->base == reg || n->index == reg)
#define WRITE_V   cpu->gpr[op->dst] = v;
#define USE_MOV   WRITE_V cpu->gpr[n->dst] = v;
#define USE_LEA   WRITE_V cpu->gpr[n->dst] = v + (uint64_t)n->disp;
#define USE_LEA_X                                                  \
    WRITE_V                                                        \
    uint64_t base = n->base == op->dst ? v : cpu->gpr[n->base];    \
    uint64_t index = n->index == op->dst ? v : cpu->gpr[n->index]; \
    cpu->gpr[n->dst] = base + (index << n->scale) + (uint64_t)n->disp;
#define USE_RR(sem, fl) cpu->gpr[n->dst] = sem(cpu, v, cpu->gpr[n->src], 64, fl);
#define USE_RI(sem, fl) cpu->gpr[n->dst] = sem(cpu, v, (uint64_t)(int64_t)n->imm, 64, fl);
#define USE_SH(sem, fl) cpu->gpr[n->dst] = sem(cpu, v, (uint64_t)n->imm & 63, 64, fl);

#define SECOND_FLAGS(DO, fl, suffix, ...)                                                            \
    DO(add_rr##suffix, op_find_alu(ALU_ADD, SHAPE_RR, WIDTH_64, fl), BY_DST_RR, USE_RR(sem_add, fl), \
       __VA_ARGS__)                                                                                  \
    DO(add_ri##suffix, op_find_alu(ALU_ADD, SHAPE_RI, WIDTH_64, fl), BY_DST, USE_RI(sem_add, fl),    \
       __VA_ARGS__)                                                                                  \
    DO(sub_rr##suffix, op_find_alu(ALU_SUB, SHAPE_RR, WIDTH_64, fl), BY_DST_RR, USE_RR(sem_sub, fl), \
       __VA_ARGS__)                                                                                  \
    DO(xor_rr##suffix, op_find_alu(ALU_XOR, SHAPE_RR, WIDTH_64, fl), BY_DST_RR, USE_RR(sem_xor, fl), \
       __VA_ARGS__)                                                                                  \
    DO(or_rr##suffix, op_find_alu(ALU_OR, SHAPE_RR, WIDTH_64, fl), BY_DST_RR, USE_RR(sem_or, fl),    \
       __VA_ARGS__)                                                                                  \
    DO(and_rr##suffix, op_find_alu(ALU_AND, SHAPE_RR, WIDTH_64, fl), BY_DST_RR, USE_RR(sem_and, fl), \
       __VA_ARGS__)                                                                                  \
    DO(and_ri##suffix, op_find_alu(ALU_AND, SHAPE_RI, WIDTH_64, fl), BY_DST, USE_RI(sem_and, fl),    \
       __VA_ARGS__)                                                                                  \
    DO(shl_ri##suffix, op_find_shift(SHIFT_SHL, false, WIDTH_64, fl), BY_DST, USE_SH(sem_shl, fl),   \
       __VA_ARGS__)                                                                                  \
    DO(shr_ri##suffix, op_find_shift(SHIFT_SHR, false, WIDTH_64, fl), BY_DST, USE_SH(sem_shr, fl),   \
       __VA_ARGS__)                                                                                  \
    DO(imul##suffix, op_find_imul(SHAPE_RR, false, WIDTH_64, fl), BY_DST_RR, USE_RR(sem_imul, fl),   \
       __VA_ARGS__)

#define EACH_SECOND(DO, ...)                                                                     \
    SECOND_FLAGS(DO, false, , __VA_ARGS__)                                                       \
    SECOND_FLAGS(DO, true, _f, __VA_ARGS__)                                                      \
    DO(rol_ri, op_find_shift(SHIFT_ROL, false, WIDTH_64, false), BY_DST, USE_SH(sem_rol, false), \
       __VA_ARGS__)                                                                              \
    DO(sar_ri, op_find_shift(SHIFT_SAR, false, WIDTH_64, false), BY_DST, USE_SH(sem_sar, false), \
       __VA_ARGS__)                                                                              \
    DO(mov_rr, op_find_mov(SHAPE_RR, WIDTH_64), BY_SRC, USE_MOV, __VA_ARGS__)                    \
    DO(lea_b, op_find_lea(false, WIDTH_64), BY_BASE, USE_LEA, __VA_ARGS__)                       \
    DO(lea_x, op_find_lea(true, WIDTH_64), BY_EITHER, USE_LEA_X, __VA_ARGS__)

#define PAIR(second, second_run, reads, use, first, make) \
    OP_HANDLER(op_##first##_##second)                     \
    {                                                     \
        make const struct op *n = op + 1;                 \
        use OP_DISPATCH(op_behind(op, 2));                \
    }
#define PAIRS(first, first_run, make, ...) EACH_SECOND(PAIR, first, make)
EACH_FIRST(PAIRS, )

enum first {
#define FIRST_ID(first, first_run, make, ...) FIRST_##first,
    EACH_FIRST(FIRST_ID, ) FIRST_COUNT
};

enum second {
#define SECOND_ID(second, second_run, reads, use, ...) SECOND_##second,
    EACH_SECOND(SECOND_ID, ) SECOND_COUNT
};

/* What op is as the first of a pair, or FIRST_COUNT. */
static unsigned first_of(const struct op *op)
{
#define FIRST_TEST(first, first_run, make, ...) \
    if (op->run == (first_run)) {               \
        return FIRST_##first;                   \
    }
    EACH_FIRST(FIRST_TEST, )
    return FIRST_COUNT;
}

/* What n is as the second of a pair that goes on with register reg, or SECOND_COUNT. */
static unsigned second_of(const struct op *n, unsigned reg)
{
#define SECOND_TEST(second, second_run, reads, use, ...) \
    if (n->run == (second_run)) {                        \
        return (reads) ? SECOND_##second : SECOND_COUNT; \
    }
    EACH_SECOND(SECOND_TEST, )
    return SECOND_COUNT;
}

op_fn *op_find_pair(const struct op *op)
{
#define PAIR_ENTRY(second, second_run, reads, use, first, ...) [SECOND_##second] = op_##first##_##second,
#define PAIR_ROW(first, first_run, make, ...)                  [FIRST_##first] = {EACH_SECOND(PAIR_ENTRY, first, )},
    static op_fn *const table[FIRST_COUNT][SECOND_COUNT] = {EACH_FIRST(PAIR_ROW, )};
    unsigned first = first_of(op);
    if (first == FIRST_COUNT) {
        return NULL;
    }
    unsigned second = second_of(op + 1, op->dst);
    return second == SECOND_COUNT ? NULL : table[first][second];
}
