/*
 * The translator's part in running: blocks are counted until they are hot, entered, linked and left.
 *
 * A block that is watched begins with one of two handlers of ours. op_warm counts and goes on with the block's own handler;
 * op_translated enters the machine code, which comes back with the operation to go on with. Links from code to code are jumps
 * that are patched where the handlers' links change; all else goes through the handlers, and so into code again by way of the
 * first operation of a block.
 */

#include "cpu/translate.h"
#include "base/alloc.h"
#include "cpu/op_table.h"
#include "cpu/translate_code.h"

#define MEMORY_BYTES (UINT64_C(32) << 20)
/* Times that a block runs by its handlers before it is worth translating, unless somebody says otherwise. */
#define HEAT 32u
/* Entries in a row that led to nothing. */
#define WASTED_MAX 256u

op_fn op_warm, op_translated;

/* ---- life ---- */

struct translator *translate_create(struct block_cache *c, const uint8_t *arena, unsigned heat)
{
    struct code_memory memory;
    if (!TRANSLATE_HOST || !code_memory_init(&memory, MEMORY_BYTES)) {
        return NULL;
    }
    struct translator *t = alloc_zeroed(1, sizeof *t);
    t->blocks = c;
    t->arena = arena;
    t->heat = heat != 0 ? heat : HEAT;
    t->memory = memory;
    stencil_map_init(&t->map);
    translate_glue(t);
    t->used = t->first;
    t->enter = (enter_fn *)(uintptr_t)t->memory.run;
    return t;
}

void translate_destroy(struct translator *t)
{
    if (t != NULL) {
        code_memory_deinit(&t->memory);
        free(t);
    }
}

void translate_flush(struct translator *t)
{
    t->used = t->first;
}

uint64_t translate_count(const struct translator *t)
{
    return t->count;
}

static const void *run_address(const struct translator *t, uint32_t at)
{
    return t->memory.run + at;
}

/* ---- watching ---- */

static void cool(const struct translator *t, struct block *b)
{
    b->translation = NULL;
    b->code = run_address(t, t->glue[GLUE_BLOCK]);
    b->heat = t->heat;
    b->ops[0].run = op_warm;
}

void translate_watch(const struct translator *t, struct block *b)
{
    uint32_t max_insns = b->mode >> 2;
    b->first = b->ops[0].run;
    b->code = run_address(t, t->glue[GLUE_BLOCK]);
    if ((b->mode & 3) == MODE_LONG64 && max_insns != BLOCK_STEP && b->cost_cycles == (int64_t)b->count) {
        cool(t, b);
    }
}

void translate_forget(const struct translator *t, struct block *b)
{
    if (b->translation != NULL) {
        cool(t, b);
    }
}

/* ---- links ---- */

static void patch(const struct translator *t, struct translation *from, unsigned which,
                  const struct block *to)
{
    struct link_sites *sites = &from->links[which];
    uint32_t where = to != NULL && to->translation != NULL ? to->translation->charge : sites->stub;
    for (unsigned i = 0; i < 4 && sites->at[i] != 0; i++) {
        code_patch(t, sites->at[i], where);
    }
}

void translate_link(const struct translator *t, struct block *b, const struct op *from,
                    const struct block *to)
{
    if (b->translation != NULL) {
        patch(t, b->translation, from->number == b->count, to);
    }
}

/* b has got code: links to it lead there, and its own to where they are tied. */
static void join(const struct translator *t, struct block *b)
{
    for (const struct block_link *l = b->incoming; l != NULL; l = l->next) {
        translate_link(t, op_block(l->from), l->from, b);
    }
    for (unsigned i = 0; i < 2; i++) {
        if (b->out[i].to != NULL) {
            translate_link(t, b, b->out[i].from, b->out[i].to);
        }
    }
}

/* ---- translating ---- */

/* For every block when the memory of code is full: it starts anew. */
static void drop(struct translator *t, struct block *b)
{
    translate_forget(t, b);
}

static void translate(struct translator *t, struct block *b)
{
    bool full;
    struct translation *made = translate_block(t, b, &full);
    if (full) {
        block_cache_each(t->blocks, drop, t);
        t->used = t->first;
        made = translate_block(t, b, &full);
    }
    b->ops[0].run = b->first;
    if (made != NULL) {
        b->translation = made;
        b->code = run_address(t, made->resume[0]);
        b->ops[0].run = op_translated;
        join(t, b);
    }
}

const struct op *op_warm(struct cpu *cpu, const struct op *op)
{
    struct block *b = op_block(op);
    if (OP_UNLIKELY(--b->heat == 0)) {
        translate(block_cache_translator(cpu->blocks), b);
        OP_DISPATCH(op);
    }
    OP_RETURN b->first(cpu, op);
}

/* ---- entering and leaving ---- */

/* While code runs, instructions and cycles go together: retired follows from left_cycles. */
static void settle(struct cpu *cpu)
{
    cpu->retired = cpu->chain_sum - (uint64_t)cpu->left_cycles;
}

static void unsettle(struct cpu *cpu)
{
    cpu->chain_sum = cpu->retired + (uint64_t)cpu->left_cycles;
}

/* An entry is wasted when the code leaves without having come to another block. After many in a row the block begins with its
 * handlers again; its code is still there for links. */
static void judge(struct block *b, bool wasted)
{
    if (b->ops[0].run != op_translated) {
        return; /* it has died meanwhile */
    }
    b->heat = wasted ? b->heat + 1 : 0;
    if (b->heat == WASTED_MAX) {
        b->ops[0].run = b->first;
    }
}

const struct op *op_translated(struct cpu *cpu, const struct op *op)
{
    struct block *b = op_block(op);
    int64_t left_cycles = cpu->left_cycles;
    unsettle(cpu);
    const struct op *next = b->translation->enter(cpu, b->code);
    settle(cpu);
    if (next == NULL) {
        return NULL;
    }
    judge(b, cpu->left_cycles == left_cycles);
    if (((uintptr_t)next & FOLLOW) != 0) {
        op = (const struct op *)((uintptr_t)next - FOLLOW);
        OP_GOTO(op_jmp);
    }
    OP_DISPATCH(next);
}

/* The plain execution function of an operation, then on in the code behind it, if there is any. */
const void *translate_slow(struct cpu *cpu, const struct op *op)
{
    const struct translator *t = block_cache_translator(cpu->blocks);
    settle(cpu);
    const struct op *next = op_plain(cpu, op);
    unsettle(cpu);
    uint32_t resume = next != NULL ? op_block(op)->translation->resume[next->number] : 0;
    cpu->chain_op = next;
    return run_address(t, resume != 0 ? resume : t->leave);
}

/* The same for an operation that ends its block. */
const struct op *translate_slow_end(struct cpu *cpu, const struct op *op)
{
    settle(cpu);
    const struct op *next = op_generic_end(cpu, op);
    unsettle(cpu);
    return next;
}

/* Fewer cycles are left than the block costs: it is not entered. */
const struct op *translate_refused(struct cpu *cpu, const struct op *op)
{
    const struct block *b = op_block(op);
    cpu->left_cycles += b->cost_cycles;
    cpu->rip = b->rip;
    cpu->exit_flow = FLOW_JUMP;
    return NULL;
}
