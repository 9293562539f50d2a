#ifndef ORRERY_CPU_OP_H
#define ORRERY_CPU_OP_H

/*
 * A cached operation: 32 bytes that one handler needs, in the order of the block.
 *
 *   byte 0        8                  16                24     25  26      28
 *   +------------+------------------+-----------------+------+---+-------+-------+
 *   | run        | disp, imm64      | imm, dst src    |scale | - | number| delta |
 *   |            | or link (block)  | base index      |      |   |       |       |
 *   |            |                  | or target (rip) |      |   |       |       |
 *   +------------+------------------+-----------------+------+---+-------+-------+
 *
 * Handlers call each other in tail position. A build that does not turn those calls into jumps (no
 * optimisation, sanitizers) lets them return the next operation to a loop instead; OP_DISPATCH is the only
 * place that knows.
 *
 * A handler is called with left_cycles and retired already charged for the whole block. What leaves in the
 * middle gives the rest back (op_leave_before, op_generic). Handlers for hot shapes do only the fast case:
 * whenever something is unusual they change nothing and dispatch op_generic on the same operation, which runs
 * the plain execution function.
 */

#include "cpu/block.h"
#include "cpu/op_instance.h"

/* Wider in stencils, where the words of an operation are holes (scripts/stencils/source.inc). */
#ifndef OP_IMM
#define OP_IMM int32_t
#endif

struct op {
    op_fn *run;
    union {
        int64_t disp;
        uint64_t imm64;
        const struct block *link;
    };
    union {
        struct {
            OP_IMM imm;
            uint8_t dst, src, base, index;
        };
        uint64_t target;
    };
    uint8_t scale; /* shift count of the index */
    uint8_t spare;
    uint16_t number; /* of the instruction in its block */
    int32_t
        delta; /* CALL: return address - target; of a block under the timing model: from here to its timing_insn */
};

_Static_assert(sizeof(OP_IMM) != 4 || sizeof(struct op) == 32, "two operations a cache line");

/* OP_TAIL: calls in tail position become jumps. gcc is told so here, for -O1 too; clang has an attribute. */
#if defined(__clang__)
#define OP_TAIL   1
#define OP_RETURN __attribute__((musttail)) return
#elif defined(__OPTIMIZE__) && !defined(__SANITIZE_ADDRESS__)
#define OP_TAIL   1
#define OP_RETURN return
#pragma GCC optimize("optimize-sibling-calls", "no-forward-propagate")
#else
#define OP_TAIL   0
#define OP_RETURN return
#endif

#define OP_UNLIKELY(x) __builtin_expect((x), 0)

/* The n-th operation behind op. Made of an integer, and without the forward propagation that is switched off above, its
 * address goes into the register of op before anything is read through it: gcc spends two instructions less on each
 * handler than when it sees through all that. */
static inline const struct op *op_behind(const struct op *op, unsigned n)
{
    return (const struct op *)((uintptr_t)op + n * sizeof *op);
}

/* Goes on with operation o; with the one that follows; with a handler that is known (slow paths). */
#if OP_TAIL
#define OP_DISPATCH(o)                    \
    do {                                  \
        const struct op *next_ = (o);     \
        OP_RETURN next_->run(cpu, next_); \
    } while (0)
#else
#define OP_DISPATCH(o) \
    do {               \
        (void)cpu;     \
        return (o);    \
    } while (0)
#endif
/* The end of a handler, whose instruction has made no access, loaded, stored, or stored where it has loaded. */
#ifndef OP_TIMED
#define OP_NEXT    OP_DISPATCH(op_behind(op, 1))
#define OP_LOADED  OP_NEXT
#define OP_STORED  OP_NEXT
#define OP_UPDATED OP_NEXT
#else
#define OP_NEXT    OP_GOTO(op_time)
#define OP_LOADED  OP_GOTO(op_time_load)
#define OP_STORED  OP_GOTO(op_time_store)
#define OP_UPDATED OP_GOTO(op_time_update)
#endif
#define OP_GOTO(handler) OP_RETURN(handler)(cpu, op)

/* Copies what operations address through slots. */
static inline void op_refresh(struct cpu *cpu)
{
    cpu->gpr[GPR_FS] = cpu->seg[SEG_FS].base;
    cpu->gpr[GPR_GS] = cpu->seg[SEG_GS].base;
}

/* Runs a chain of blocks from op, whose block has been charged from there on. */
static inline void op_run_chain(struct cpu *cpu, const struct op *op)
{
    op_refresh(cpu);
    while (op != NULL) {
        op = op->run(cpu, op);
    }
}

/* Goes on in the block that link l points to. The comparison covers the deadline, and links without a target.
 */
#define OP_ENTER_LINK(l)                                     \
    do {                                                     \
        const struct block *to_ = (l)->link;                 \
        int64_t left_ = cpu->left_cycles - to_->cost_cycles; \
        if (OP_UNLIKELY(left_ < 0)) {                        \
            OP_RETURN op_leave_link(cpu, (l));               \
        }                                                    \
        OP_ENTER(to_, left_);                                \
    } while (0)

#define OP_ENTER(block, left)       \
    cpu->left_cycles = (left);      \
    cpu->retired += (block)->count; \
    OP_DISPATCH((const struct op *)((block) + 1))

/* Slot of a target in the jump table. */
static inline unsigned op_jump_slot(uint64_t rip)
{
    return (unsigned)(rip ^ rip >> 10) % JUMP_ENTRIES;
}

/* Does j lead to rip, and stands the translation of its page? Then it has a block. */
static inline bool op_jump_known(const struct cpu *cpu, const struct jump_entry *j, uint64_t rip)
{
    return __builtin_expect(j->rip == rip && j->stamp == cpu->code_stamp, 1);
}

/* The fetch latch moves to the page of a block that was found and is going to be entered: not at a deadline, where
 * nothing of it is fetched yet. */
static inline void op_jump_latch(struct cpu *cpu, const struct block *to)
{
    cpu->fetch.valid = true;
    cpu->fetch.lin_page = to->lin_page;
    cpu->fetch.phys_page = to->phys_page;
}

/* Blocks lie before their operations. */
static inline struct block *op_block(const struct op *op)
{
    const struct op *first = op - op->number;
    return (struct block *)((uintptr_t)first - sizeof(struct block));
}

/* The plain execution function; the next operation, or NULL when the chain ends here. */
op_fn op_plain;
/* That, and the next operation; the same as the last of a block that ends here. */
op_fn op_generic, op_generic_end;
/* Leaves to the run loop at target. */
op_fn op_leave;
/* Leaves before the instruction of op, which stays where a step block goes on. */
op_fn op_stop;
/* A link that cannot be followed at once: the target is in another page, not known yet, or dearer than the
 * cycles that are left. */
op_fn op_leave_link;

/* The block that every link points to until it is resolved: too dear to enter. */
extern const struct block op_unlinked;

/* The same under the timing model (timed.c); time for the instruction of op, which its handler has executed, then the next
 * operation, or (a branch, a conditional one) the block at rip; the end of a block without a branch. */
op_fn op_timed, op_timed_end, op_time, op_time_load, op_time_store, op_time_update, op_time_branch,
    op_time_condition, op_timed_exit;

/* Fills in the operations of a block whose insns and cold data are there; the other one for the timing model. */
void op_build(struct block *b);
void op_build_timed(struct block *b);
/* The same for a whole block of 64-bit code, with a handler of its own for each instruction. */
void op_build_plain(struct block *b);
/* The handler of the last two operations of such a block together, or NULL. */
op_fn *op_find_last_pair(const struct block *b);

#endif
