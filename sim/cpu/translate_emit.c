/*
 * The code of one block: its operations, as they are without fusion, each by its stencil.
 *
 *   charge:  sub r12, cost; js refused      where links lead to
 *   body:    the stencils, one after the other; block.code
 *   cold:    what they jump to seldom: calls of the plain execution function, ends of links
 *
 * An operand whose register is not pinned is loaded into a spare one before its stencil, and stored behind it. An address with an
 * index is computed into a spare register by the stencil of LEA, so that no stencil of an access knows indexes.
 */

#include "base/check.h"
#include "cpu/op_table.h"
#include "cpu/translate_code.h"

#include <stddef.h>

/* The longest code of an operation, with what stands around its stencil and what belongs to it in the cold part. */
#define OPERATION_BYTES_MAX (4 * STENCIL_BYTES_MAX)
/* Addresses whose hole has room for the last byte of an access, too. */
#define DISP_MAX (INT32_MAX - 16)

/* In operations of its handlers that a block could have done instead: a call out of it, and leaving it. */
#define CALLING_COSTS 4
#define LEAVING_COSTS 8

#define FIXUPS_MAX (BLOCK_INSNS_MAX * 2 + 16)

/* A jump that waits for the cold part. */
struct fixup {
    uint32_t site;
    uint8_t way;
    const struct op *op;
};

struct emission {
    struct code code;
    struct translator *t;
    const struct block *block;
    struct op ops[BLOCK_INSNS_MAX + 1]; /* without fusion */
    struct block plain;                 /* the block with these */
    struct translation *made;
    struct fixup fixups[FIXUPS_MAX];
    unsigned fixup_count;
    unsigned spares; /* given out for the current operation */
    int worth;       /* operations with a stencil, less what the others cost */
};

/* The operation of the block's own array. */
static const struct op *own(const struct emission *e, unsigned number)
{
    return &e->block->ops[number];
}

static uint32_t distance_of(const struct emission *e, const void *what)
{
    return (uint32_t)((const uint8_t *)what - e->t->arena);
}

static void jump_to_glue(struct emission *e, enum glue glue, const void *what)
{
    code_constant_eax(&e->code, distance_of(e, what));
    code_jump(&e->code, e->t->glue[glue]);
}

static enum glue slow_way(const struct emission *e, const struct op *op)
{
    return insn_ends_block(&e->block->insns[op->number]) ? GLUE_SLOW_END : GLUE_SLOW;
}

static void add_fixup(struct emission *e, uint32_t site, unsigned way, const struct op *op)
{
    CHECK(e->fixup_count < FIXUPS_MAX, "%u jumps in a block", e->fixup_count);
    e->fixups[e->fixup_count++] = (struct fixup){site, (uint8_t)way, op};
}

/* ---- operands ---- */

static size_t place_of(unsigned reg)
{
    return offsetof(struct cpu, gpr) + reg * sizeof(uint64_t);
}

struct operands {
    unsigned count;
    uint8_t registers[STENCIL_OPERANDS_MAX], hosts[STENCIL_OPERANDS_MAX];
    bool loaded[STENCIL_OPERANDS_MAX];
};

/* As a register of an operand: it is where it is. */
#define NO_REGISTER 0xffu

/* Finds where operand i is: pinned, or in a spare register, into which it is loaded if its value counts. False: none is left. */
static bool find_host(struct emission *e, struct operands *o, unsigned i, bool load)
{
    unsigned reg = o->registers[i], j = 0;
    if (reg < PINNED_COUNT) {
        o->hosts[i] = translate_pinned[reg];
        return true;
    }
    while (j < i && o->registers[j] != reg) {
        j++;
    }
    if (j == i && e->spares == SPARE_COUNT) {
        return false;
    }
    o->hosts[i] = j < i ? o->hosts[j] : translate_spare[e->spares++];
    if (load && !(j < i && o->loaded[j])) {
        code_load(&e->code, o->hosts[i], place_of(reg));
    }
    o->loaded[i] = load;
    return true;
}

/* ---- stencils ---- */

/* Puts the copy that has just been written at the current place into the block. */
static void accept(struct emission *e, const struct stencil_copy *copy, const struct op *op)
{
    for (unsigned i = 0; i < copy->exits; i++) {
        add_fixup(e, e->code.at + copy->exit[i].at, copy->exit[i].way, op);
    }
    e->code.at += copy->size_bytes;
}

static bool put_copy(struct emission *e, const struct stencil_row *row, const struct operands *o,
                     unsigned scale, const struct stencil_values *values, const struct op *op)
{
    struct stencil_copy copy;
    if (!stencil_copy(row, o->count, o->hosts, scale, values, e->t->memory.write + e->code.at, &copy)) {
        return false;
    }
    accept(e, &copy, op);
    return true;
}

static bool is_small(int64_t disp)
{
    return disp >= INT32_MIN && disp <= DISP_MAX;
}

/* base + index << scale + disp of op to a spare register. False: it cannot be done. */
static bool put_address(struct emission *e, const struct op *op, uint8_t *host)
{
    const struct stencil_row *lea = &e->t->map.rows[STENCIL_lea_x64];
    struct stencil_values values = {0, op->disp};
    struct operands o = {.count = 3, .registers = {NO_REGISTER, op->base, op->index}};
    *host = translate_spare[0];
    if (!is_small(op->disp)) { /* an absolute address: it has no base */
        CHECK(op->base == GPR_NONE, "a displacement of 64 bits and a base");
        code_constant(&e->code, *host, (uint64_t)op->disp);
        e->spares = 1;
        values.disp = 0;
        o.registers[1] = NO_REGISTER;
        o.hosts[1] = *host;
    } else if (!find_host(e, &o, 1, true)) {
        return false;
    }
    if (!find_host(e, &o, 2, true)) {
        return false;
    }
    o.hosts[0] = *host;
    e->spares = 1;
    return put_copy(e, lea, &o, op->scale, &values, op);
}

/* ---- operations ---- */

static bool has_address(enum stencil_form form)
{
    return form == FORM_DST_BASE || form == FORM_SRC_BASE || form == FORM_BASE;
}

static int64_t immediate_of(const struct stencil_row *row, const struct op *op)
{
    bool wide = row->form == FORM_DST_WIDE || row->form == FORM_SRC_RSP_WIDE;
    return wide                           ? (int64_t)op->imm64
           : row->form == FORM_RSP_TARGET ? (int64_t)op->target + op->delta
                                          : op->imm;
}

/* A shift by nothing keeps the flags: stencils have no such case. */
static bool is_good_count(const struct stencil_row *row, const struct op *op)
{
    return (row->immediate != IMMEDIATE_SHIFT32 || (op->imm & 31) != 0) &&
           (row->immediate != IMMEDIATE_SHIFT64 || (op->imm & 63) != 0);
}

/* The address of an access with an index, or a far one, takes the place of its base. False: it cannot be done. */
static bool put_base(struct emission *e, const struct stencil_row *row, const struct op *op,
                     struct operands *o, struct stencil_values *values)
{
    unsigned base = o->count - 1;
    if (!row->indexed && is_small(op->disp)) {
        return find_host(e, o, base, true);
    }
    struct op address = *op;
    if (!row->indexed) {
        address.index = GPR_NONE;
        address.scale = 0;
    }
    values->disp = 0;
    o->registers[base] = NO_REGISTER;
    return put_address(e, &address, &o->hosts[base]);
}

/* One stencil with all that it needs; `op` is of e->ops or like one, `whose` tells what a slow way runs. */
static bool put_stencil(struct emission *e, const struct stencil_row *row, const struct op *op,
                        const struct op *whose)
{
    struct stencil_values values = {immediate_of(row, op), op->disp};
    struct operands o = {0};
    enum stencil_form form = (enum stencil_form)row->form;
    uint32_t start = e->code.at;
    e->spares = 0;
    o.count = stencil_operands(form, op, o.registers);
    if (row->immediate == IMMEDIATE_SHIFT32) {
        values.immediate &= 31;
    } else if (row->immediate == IMMEDIATE_SHIFT64) {
        values.immediate &= 63;
    }
    bool good = is_good_count(row, op) && (!has_address(form) || put_base(e, row, op, &o, &values));
    for (unsigned i = 0; good && i < o.count - has_address(form); i++) {
        good = find_host(e, &o, i, i != 0 || row->access != ACCESS_WRITTEN);
    }
    if (form == FORM_DST_BASE_INDEX && !is_small(op->disp)) {
        good = false;
    }
    if (!good || !put_copy(e, row, &o, op->scale, &values, whose)) {
        e->code.at = start;
        return false;
    }
    if ((row->access == ACCESS_WRITTEN || row->access == ACCESS_CHANGED) && o.registers[0] >= PINNED_COUNT) {
        code_store(&e->code, o.hosts[0], place_of(o.registers[0]));
    }
    return true;
}

/* Is something stored behind the stencil? It cannot be behind one that leaves by links. */
static bool writes_memory_register(const struct stencil_row *row, const struct op *op)
{
    return (row->access == ACCESS_WRITTEN || row->access == ACCESS_CHANGED) && op->dst >= PINNED_COUNT;
}

/* A call or jump through memory: a load, and the same through a register. */
static bool put_through_memory(struct emission *e, const struct op *op, const struct op *whose)
{
    bool call = op->run == op_call_m_b || op->run == op_call_m_x,
         index = op->run == op_call_m_x || op->run == op_jmp_m_x;
    if (!call && op->run != op_jmp_m_b && !index) {
        return false;
    }
    const struct stencil_map *m = &e->t->map;
    struct stencil_row load = m->rows[STENCIL_mov_rm_b64],
                       go = m->rows[call ? STENCIL_call_r : STENCIL_jmp_r];
    struct stencil_values values = {(int64_t)(e->block->rip + e->block->size_bytes), op->disp};
    struct operands o = {.count = 2, .registers = {NO_REGISTER, op->base}};
    uint32_t start = e->code.at;
    load.indexed = index;
    e->spares = 0;
    bool good = put_base(e, &load, op, &o, &values);
    uint8_t to = translate_spare[0];
    o.hosts[0] = to;
    good = good && put_copy(e, &load, &o, 0, &values, whose);
    struct operands where = {.count = call ? 2 : 1, .hosts = {to, translate_pinned[RSP]}};
    if (!good || !put_copy(e, &go, &where, 0, &values, whose)) {
        e->code.at = start;
        return false;
    }
    return true;
}

/* What has no stencil: the plain execution function, and on behind it; or out, to the handler, where one ends the block. */
static void put_way_out(struct emission *e, unsigned i)
{
    const struct op *op = &e->ops[i];
    bool last = i + 1 == e->block->count,
         handled = last && op->run != op_generic && op->run != op_generic_end;
    e->worth -= last && (handled || op->run == op_generic_end) ? LEAVING_COSTS : CALLING_COSTS;
    jump_to_glue(e, handled ? GLUE_OP : slow_way(e, own(e, i)), own(e, i));
}

/* The code of operation i; returns the number of operations in it. */
static unsigned put_operation(struct emission *e, unsigned i)
{
    const struct op *op = &e->ops[i];
    struct stencil_row row;
    unsigned fixups = e->fixup_count;
    if (i + 2 == e->block->count) {
        op_fn *pair = op_find_last_pair(&e->plain);
        if (pair != NULL && stencil_find(&e->t->map, pair, &row) && !writes_memory_register(&row, op) &&
            put_stencil(e, &row, op, own(e, i))) {
            return 2;
        }
        e->fixup_count = fixups;
    }
    if (stencil_find(&e->t->map, op->run, &row) && put_stencil(e, &row, op, own(e, i))) {
        return 1;
    }
    e->fixup_count = fixups;
    if (put_through_memory(e, op, own(e, i))) {
        return 1;
    }
    e->fixup_count = fixups;
    put_way_out(e, i);
    return 1;
}

/* ---- the block ---- */

static void put_charge(struct emission *e)
{
    e->made->charge = e->code.at;
    code_byte(&e->code, 0x49);
    code_byte(&e->code, 0x81);
    code_byte(&e->code, 0xec); /* sub r12, cost */
    code_word(&e->code, (uint64_t)e->block->cost_cycles, 4);
    code_byte(&e->code, 0x0f);
    code_byte(&e->code, 0x88); /* js */
    e->code.at += 4;
    add_fixup(e, e->code.at - 4, WAY_REFUSED, own(e, 0));
}

/* Where link `op` ends as long as it is not tied to a block. */
static void put_link_end(struct emission *e, const struct op *op)
{
    struct link_sites *sites = &e->made->links[op->number == e->block->count];
    sites->stub = e->code.at;
    if (((op->target ^ e->block->rip) & ~(uint64_t)PAGE_MASK_BITS) != 0) {
        struct stencil_values values = {(int64_t)op->target, 0};
        struct operands nothing = {0};
        struct stencil_copy copy;
        if (stencil_copy(&e->t->map.rows[STENCIL_far], 0, nothing.hosts, 0, &values,
                         e->t->memory.write + e->code.at, &copy)) {
            uint32_t start = e->code.at;
            e->code.at += copy.size_bytes;
            for (unsigned i = 0; i < copy.exits; i++) {
                code_patch(e->t, start + copy.exit[i].at, e->code.at);
            }
        }
    }
    jump_to_glue(e, GLUE_LINK, op);
}

static void add_site(struct emission *e, const struct fixup *f, const struct op *link)
{
    struct link_sites *sites = &e->made->links[link->number == e->block->count];
    unsigned i = 0;
    while (sites->at[i] != 0) {
        i++;
        CHECK(i < 4, "link %u has too many jumps", link->number);
    }
    sites->at[i] = f->site;
    if (sites->stub == 0) {
        put_link_end(e, link);
    }
    code_patch(e->t, f->site, sites->stub);
}

/* The jumps of one operation to the plain execution function share an end. */
static void put_cold(struct emission *e)
{
    const struct op *slow = NULL;
    uint32_t slow_at = 0;
    for (unsigned i = 0; i < e->fixup_count; i++) {
        const struct fixup *f = &e->fixups[i];
        if (f->way == WAY_SLOW) {
            if (slow != f->op) {
                slow = f->op;
                slow_at = e->code.at;
                jump_to_glue(e, slow_way(e, f->op), f->op);
            }
            code_patch(e->t, f->site, slow_at);
        } else if (f->way == WAY_REFUSED) {
            code_patch(e->t, f->site, e->code.at);
            jump_to_glue(e, GLUE_REFUSED, f->op);
        } else {
            add_site(e, f, f->op + (f->way - WAY_LINK0));
        }
    }
}

static void begin(struct emission *e, struct translator *t, const struct block *b)
{
    uint64_t at = (t->used + 15) & ~UINT64_C(15);
    e->t = t;
    e->block = b;
    e->plain = *b;
    e->plain.ops = e->ops;
    memset(e->ops, 0, sizeof e->ops);
    op_build_plain(&e->plain);
    e->made = (struct translation *)(void *)(t->memory.write + at);
    memset(e->made, 0, sizeof *e->made);
    e->made->enter = t->enter;
    e->code = (struct code){t, (uint32_t)((at + sizeof *e->made + 31) & ~UINT64_C(31))};
    e->fixup_count = 0;
    e->worth = (int)b->count;
}

struct translation *translate_block(struct translator *t, const struct block *b, bool *full)
{
    struct emission e;
    *full =
        t->used + (b->count + 4) * OPERATION_BYTES_MAX + sizeof(struct translation) > t->memory.size_bytes;
    if (*full) {
        return NULL;
    }
    begin(&e, t, b);
    put_charge(&e);
    for (unsigned i = 0; i < b->count;) {
        e.made->resume[i] = e.code.at;
        i += put_operation(&e, i);
    }
    if (e.worth <= 0) {
        return NULL;
    }
    if (!insn_ends_block(&b->insns[b->count - 1])) {
        e.made->resume[b->count] = e.code.at;
        e.code.at += 5;
        t->memory.write[e.code.at - 5] = 0xe9;
        add_fixup(&e, e.code.at - 4, WAY_LINK0, own(&e, (unsigned)b->count));
    }
    put_cold(&e);
    CHECK(e.code.at <= t->memory.size_bytes, "the code of a block is longer than anyone thought");
    t->used = e.code.at;
    t->count++;
    return e.made;
}
