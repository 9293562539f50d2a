/*
 * REP MOVS and REP STOS in bulk: as many iterations as fit into the pages of both pointers and the cycles
 * that are left, with the same result as one by one. It stands at the end of its block, for which one
 * iteration has been charged; behind it is the link to what follows. Everything unusual takes the plain way,
 * an iteration at a time.
 */

#include "cpu/op_body.h"
#include "cpu/op_table.h"

/* Elements of size_bytes from a to the end of its page. */
static inline uint64_t elements_in_page(uint64_t a, unsigned size_bytes)
{
    return (PAGE_SIZE_BYTES - (a & PAGE_MASK_BITS)) / size_bytes;
}

/* Iterations that may run: the first is paid for, each further one needs its cost. */
static inline uint64_t affordable(const struct cpu *cpu, int64_t cost)
{
    return 1 + (uint64_t)(cpu->left_cycles / cost);
}

/* Copies upwards element by element, which is what overlapping operands must see. */
static void copy_elements(uint8_t *to, const uint8_t *from, uint64_t n, unsigned size_bytes)
{
    uint64_t bytes = n * size_bytes;
    if (to + bytes <= from || from + bytes <= to) {
        memcpy(to, from, bytes);
        return;
    }
    for (uint64_t i = 0; i < bytes; i += size_bytes) {
        op_store(to + i, op_load(from + i, 8 * size_bytes), 8 * size_bytes);
    }
}

static void fill_elements(uint8_t *to, uint64_t value, uint64_t n, unsigned size_bytes)
{
    if (size_bytes == 1) {
        memset(to, (int)(value & 0xff), n);
        return;
    }
    for (uint64_t i = 0; i < n; i++) {
        op_store(to + i * size_bytes, value, 8 * size_bytes);
    }
}

/* n iterations are done: pays for all but the first and says whether the instruction is complete. */
static bool finish_bulk(struct cpu *cpu, const struct op *op, uint64_t n, int64_t cost)
{
    const struct block *b = op_block(op);
    cpu->left_cycles -= (int64_t)(n - 1) * cost;
    cpu->gpr[RCX] -= n;
    if (cpu->gpr[RCX] == 0) {
        return true;
    }
    cpu->rip = b->rip + b->cold[op->number].offset_bytes;
    cpu->exit_flow = FLOW_REPEAT;
    cpu->retired--;
    return false;
}

static inline int64_t iteration_cost(const struct op *op)
{
    return op_block(op)->cold[op->number].refund_cycles;
}

#define REP_MOVS(size)                                                                       \
    OP_HANDLER(op_rep_movs##size)                                                            \
    {                                                                                        \
        uint64_t from = cpu->gpr[RSI], to = cpu->gpr[RDI];                                   \
        int64_t cost = iteration_cost(op);                                                   \
        uint64_t n = least_of(cpu->gpr[RCX], affordable(cpu, cost));                         \
        n = least_of(n, least_of(elements_in_page(from, size), elements_in_page(to, size))); \
        if (n == 0 || (cpu->rflags & RFLAGS_DF)) {                                           \
            OP_GOTO(op_generic_end);                                                         \
        }                                                                                    \
        OP_HOST_READ_END(source, from, 8)                                                    \
        OP_HOST_WRITE_END(target, to, 8)                                                     \
        copy_elements(target, source, n, size);                                              \
        cpu->gpr[RSI] += n * size;                                                           \
        cpu->gpr[RDI] += n * size;                                                           \
        if (!finish_bulk(cpu, op, n, cost)) {                                                \
            return NULL;                                                                     \
        }                                                                                    \
        OP_ENTER_LINK(op + 1);                                                               \
    }
#define REP_STOS(size)                                               \
    OP_HANDLER(op_rep_stos##size)                                    \
    {                                                                \
        uint64_t to = cpu->gpr[RDI];                                 \
        int64_t cost = iteration_cost(op);                           \
        uint64_t n = least_of(cpu->gpr[RCX], affordable(cpu, cost)); \
        n = least_of(n, elements_in_page(to, size));                 \
        if (n == 0 || (cpu->rflags & RFLAGS_DF)) {                   \
            OP_GOTO(op_generic_end);                                 \
        }                                                            \
        OP_HOST_WRITE_END(target, to, 8)                             \
        fill_elements(target, cpu->gpr[RAX], n, size);               \
        cpu->gpr[RDI] += n * size;                                   \
        if (!finish_bulk(cpu, op, n, cost)) {                        \
            return NULL;                                             \
        }                                                            \
        OP_ENTER_LINK(op + 1);                                       \
    }

REP_MOVS(1)
REP_MOVS(2)
REP_MOVS(4)
REP_MOVS(8)
REP_STOS(1)
REP_STOS(2)
REP_STOS(4)
REP_STOS(8)

op_fn *op_find_rep(bool movs, enum op_width w)
{
    static op_fn *const table[2][WIDTH_COUNT] = {
        {op_rep_stos1, op_rep_stos2, op_rep_stos4, op_rep_stos8},
        {op_rep_movs1, op_rep_movs2, op_rep_movs4, op_rep_movs8},
    };
    return table[movs][w];
}
