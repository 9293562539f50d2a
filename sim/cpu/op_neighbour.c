/*
 * Specialised handlers of two operations that stand one after the other and have nothing to do with each other, or so
 * little that it may pass through memory: one dispatch is saved. op is the first; the operation pointer moves on before
 * the second, so that a fault in it is exact. Neither reads nor writes flags.
 *
 * The list is what compilers make most of; nothing else rules what is in it.
 */

#include "cpu/op_jump.h"
#include "cpu/op_table.h"

/* A row: name, own handler, body. */
#define COPY(w)     op_set_reg(cpu, op->dst, op_reg(cpu, op->src, w), w);
#define CONSTANT(w) op_set_reg(cpu, op->dst, op->imm64 &bits_mask(w), w);
#define ADD_RR      cpu->gpr[op->dst] += cpu->gpr[op->src];
#define ADD_RI      cpu->gpr[op->dst] += (uint64_t)(int64_t)op->imm;
#define CLEAR       cpu->gpr[op->dst] = sem_xor(cpu, op_reg(cpu, op->dst, 32), op_reg(cpu, op->src, 32), 32, false);
#define LEA(x)      cpu->gpr[op->dst] = op_address_##x(cpu, op);
#define LOAD(x, w)  OP_HOST_LOAD(p, op_address_##x(cpu, op), w, op_generic) cpu->gpr[op->dst] = op_load(p, w);
#define STORE(x, w)                              \
    OP_HOST_WRITE(p, op_address_##x(cpu, op), w) \
    op_store(p, cpu->gpr[op->src], w);
#define PUSH                            \
    uint64_t top = cpu->gpr[RSP] - 8;   \
    OP_HOST_WRITE(p, top, 64)           \
    op_store(p, cpu->gpr[op->src], 64); \
    cpu->gpr[RSP] = top;
#define POP                            \
    OP_HOST_READ(p, cpu->gpr[RSP], 64) \
    uint64_t v = op_load(p, 64);       \
    cpu->gpr[RSP] += 8;                \
    cpu->gpr[op->dst] = v;

#define EACH(DO, ...)                                                                \
    DO(mov32, op_find_mov(SHAPE_RR, WIDTH_32), COPY(32), __VA_ARGS__)                \
    DO(mov64, op_find_mov(SHAPE_RR, WIDTH_64), COPY(64), __VA_ARGS__)                \
    DO(movi32, op_find_mov(SHAPE_RI, WIDTH_32), CONSTANT(32), __VA_ARGS__)           \
    DO(movi64, op_find_mov(SHAPE_RI, WIDTH_64), CONSTANT(64), __VA_ARGS__)           \
    DO(add_rr, op_find_alu(ALU_ADD, SHAPE_RR, WIDTH_64, false), ADD_RR, __VA_ARGS__) \
    DO(add_ri, op_find_alu(ALU_ADD, SHAPE_RI, WIDTH_64, false), ADD_RI, __VA_ARGS__) \
    DO(xor, op_find_alu(ALU_XOR, SHAPE_RR, WIDTH_32, false), CLEAR, __VA_ARGS__)     \
    DO(lea_b, op_find_lea(false, WIDTH_64), LEA(b), __VA_ARGS__)                     \
    DO(lea_x, op_find_lea(true, WIDTH_64), LEA(x), __VA_ARGS__)                      \
    DO(load_b32, op_find_mov(SHAPE_RM_B, WIDTH_32), LOAD(b, 32), __VA_ARGS__)        \
    DO(load_b64, op_find_mov(SHAPE_RM_B, WIDTH_64), LOAD(b, 64), __VA_ARGS__)        \
    DO(load_x32, op_find_mov(SHAPE_RM_X, WIDTH_32), LOAD(x, 32), __VA_ARGS__)        \
    DO(load_x64, op_find_mov(SHAPE_RM_X, WIDTH_64), LOAD(x, 64), __VA_ARGS__)        \
    DO(store_b32, op_find_mov(SHAPE_MR_B, WIDTH_32), STORE(b, 32), __VA_ARGS__)      \
    DO(store_b64, op_find_mov(SHAPE_MR_B, WIDTH_64), STORE(b, 64), __VA_ARGS__)      \
    DO(store_x32, op_find_mov(SHAPE_MR_X, WIDTH_32), STORE(x, 32), __VA_ARGS__)      \
    DO(push, op_push_r, PUSH, __VA_ARGS__)                                           \
    DO(pop, op_pop_r, POP, __VA_ARGS__)

/* The list once more, for the second. */
#define EACH_SECOND(DO, first, body)         \
    DO(mov32, COPY(32), first, body)         \
    DO(mov64, COPY(64), first, body)         \
    DO(movi32, CONSTANT(32), first, body)    \
    DO(movi64, CONSTANT(64), first, body)    \
    DO(add_rr, ADD_RR, first, body)          \
    DO(add_ri, ADD_RI, first, body)          \
    DO(xor, CLEAR, first, body)              \
    DO(lea_b, LEA(b), first, body)           \
    DO(lea_x, LEA(x), first, body)           \
    DO(load_b32, LOAD(b, 32), first, body)   \
    DO(load_b64, LOAD(b, 64), first, body)   \
    DO(load_x32, LOAD(x, 32), first, body)   \
    DO(load_x64, LOAD(x, 64), first, body)   \
    DO(store_b32, STORE(b, 32), first, body) \
    DO(store_b64, STORE(b, 64), first, body) \
    DO(store_x32, STORE(x, 32), first, body) \
    DO(push, PUSH, first, body)              \
    DO(pop, POP, first, body)

#define NEIGHBOURS(second, second_body, first, first_body) \
    OP_HANDLER(op_##first##_then_##second)                 \
    {                                                      \
        {first_body} op++;                                 \
        {second_body} OP_NEXT;                             \
    }
#define AND_EACH(first, own, body, ...) EACH_SECOND(NEIGHBOURS, first, body)
EACH(AND_EACH, )

/* Branches that end the block after the first. */
#define EACH_BRANCH(DO, first, body)         \
    DO(jmp, OP_ENTER_LINK(op);, first, body) \
    DO(ret, OP_RET, first, body)             \
    DO(call, OP_CALL, first, body)           \
    DO(call_r, OP_CALL_R, first, body)

#define BRANCH(second, second_body, first, first_body) \
    OP_HANDLER(op_##first##_then_##second)             \
    {                                                  \
        {first_body} op++;                             \
        second_body                                    \
    }
#define AND_BRANCH(first, own, body, ...) EACH_BRANCH(BRANCH, first, body)
EACH(AND_BRANCH, )

enum which {
#define ID(name, ...) WHICH_##name,
    EACH(ID, ) WHICH_COUNT,
    WHICH_jmp = WHICH_COUNT,
    WHICH_ret,
    WHICH_call,
    WHICH_call_r,
    SECOND_COUNT
};

#define ONE(...) +1
_Static_assert(0 EACH_SECOND(ONE, , ) == WHICH_COUNT, "EACH and EACH_SECOND have the same rows");

/* What op is in the list, or WHICH_COUNT. */
static unsigned which_of(const struct op *op)
{
#define TEST(name, own, ...) \
    if (op->run == (own)) {  \
        return WHICH_##name; \
    }
    EACH(TEST, )
    return WHICH_COUNT;
}

/* The same for the second, or SECOND_COUNT. */
static unsigned which_second(const struct op *op)
{
    static op_fn *const branches[] = {op_jmp, op_ret, op_call, op_call_r};
    for (unsigned i = WHICH_COUNT; i < SECOND_COUNT; i++) {
        if (op->run == branches[i - WHICH_COUNT]) {
            return i;
        }
    }
    unsigned which = which_of(op);
    return which < WHICH_COUNT ? which : SECOND_COUNT;
}

op_fn *op_find_neighbours(const struct op *op)
{
#define ENTRY(second, second_body, first, ...) [WHICH_##second] = op_##first##_then_##second,
#define ROW(first, ...)                        [WHICH_##first] = {EACH_SECOND(ENTRY, first, ) EACH_BRANCH(ENTRY, first, )},
    static op_fn *const table[WHICH_COUNT][SECOND_COUNT] = {EACH(ROW, )};
    unsigned first = which_of(op);
    unsigned second = first == WHICH_COUNT ? SECOND_COUNT : which_second(op + 1);
    return second == SECOND_COUNT ? NULL : table[first][second];
}
