/*
 * The cache of decoded blocks: finding, making, linking, forgetting. block.h tells how a block lies in
 * memory. Deviations: none; what is cached never shows in a run.
 */

#include "cpu/block.h"
#include "base/alloc.h"
#include "base/check.h"
#include "cpu/op.h"
#include "cpu/timed.h"
#include "cpu/translate.h"

#include <stdlib.h>

#define HASH_BUCKETS (UINT32_C(1) << 15)

/* Stores that a page keeps PAGE_CODE for after its last block died: it may be patched again. */
#define IDLE_STORES 16u

struct code_page {
    struct block *blocks;
    uint64_t lines;       /* bit n: live code in bytes 64 n .. 64 n + 63 */
    uint32_t idle_stores; /* while there are no blocks */
};

struct block_cache {
    struct ram *ram;
    struct code_page *pages; /* one a page of RAM */
    struct block **hash;
    uint8_t *arena;
    uint64_t arena_used;
    struct cpu *cpus[BLOCK_CPUS_MAX];
    unsigned cpu_count;
    bool timed;                        /* its vCPUs run under the timing model */
    unsigned max_insns;                /* of a block */
    uint64_t probes[BLOCK_PROBES_MAX]; /* ascending; equal ones are counted apart */
    unsigned probe_count;
    struct block_statistics statistics;
    struct translator *translator; /* NULL: blocks run by their handlers */
    struct insn_memo memos[BLOCK_MEMOS];
};

struct block_cache *block_cache_create(struct ram *ram)
{
    struct block_cache *c = alloc_zeroed(1, sizeof *c);
    c->ram = ram;
    c->max_insns = BLOCK_INSNS_MAX;
    c->pages = alloc_zeroed((size_t)(ram->end >> PAGE_SHIFT) + 1, sizeof *c->pages);
    c->hash = alloc_zeroed(HASH_BUCKETS, sizeof(struct block *));
    c->arena = alloc_zeroed(1, BLOCK_ARENA_BYTES);
    return c;
}

void block_cache_destroy(struct block_cache *c)
{
    translate_destroy(c->translator);
    free(c->arena);
    free(c->hash);
    free(c->pages);
    free(c);
}

void block_cache_add_cpu(struct block_cache *c, struct cpu *cpu)
{
    CHECK(c->cpu_count < BLOCK_CPUS_MAX, "more than %u vCPUs", BLOCK_CPUS_MAX);
    c->cpus[c->cpu_count++] = cpu;
    c->timed = cpu->timing != NULL;
}

void block_cache_remove_cpu(struct block_cache *c, struct cpu *cpu)
{
    for (unsigned i = 0; i < c->cpu_count; i++) {
        if (c->cpus[i] == cpu) {
            c->cpus[i] = c->cpus[--c->cpu_count];
            return;
        }
    }
}

struct block_statistics block_cache_statistics(const struct block_cache *c)
{
    return c->statistics;
}

/* ---- the translator ---- */

static bool costs_are_one(const struct cost_table *costs)
{
    bool one = costs->memory_cycles == 0;
    for (unsigned i = 0; i < COST_CLASS_COUNT; i++) {
        one = one && costs->base_cycles[i] == 1;
    }
    return one;
}

bool block_cache_translate(struct block_cache *c, const struct cost_table *costs, unsigned heat)
{
    if (c->translator == NULL && costs_are_one(costs)) {
        c->translator = translate_create(c, c->arena, heat);
    }
    return c->translator != NULL;
}

void block_cache_limit(struct block_cache *c, unsigned max_insns)
{
    CHECK(max_insns >= 1 && max_insns <= BLOCK_INSNS_MAX, "blocks of %u instructions", max_insns);
    c->max_insns = max_insns;
}

struct translator *block_cache_translator(const struct block_cache *c)
{
    return c->translator;
}

void block_cache_each(struct block_cache *c, void (*visit)(struct translator *t, struct block *b),
                      struct translator *t)
{
    for (uint32_t h = 0; h < HASH_BUCKETS; h++) {
        for (struct block *b = c->hash[h]; b != NULL; b = b->hash_next) {
            visit(t, b);
        }
    }
}

/* The instructions of b are there. */
static void build(const struct block_cache *c, struct block *b)
{
    if (c->timed) {
        timed_prepare(c->cpus[0], b);
        op_build_timed(b);
        for (unsigned i = 0; i < b->count; i++) {
            b->ops[i].delta = (int32_t)((uint8_t *)&b->timed[i] - (uint8_t *)&b->ops[i]);
        }
        return;
    }
    op_build(b);
    if (c->translator != NULL) {
        translate_watch(c->translator, b);
    }
}

/* The link of an op leads to a block, or nowhere. */
static void tell_link(const struct block_cache *c, const struct op *from, const struct block *to)
{
    if (c->translator != NULL) {
        translate_link(c->translator, op_block(from), from, to);
    }
}

/* ---- links ---- */

static void unlink_one(const struct block_cache *c, struct block_link *l)
{
    if (l->to != NULL) {
        *l->back = l->next;
        if (l->next != NULL) {
            l->next->back = l->back;
        }
        l->from->link = &op_unlinked;
        l->to = NULL;
        tell_link(c, l->from, NULL);
    }
}

void block_link_to(const struct block_cache *c, struct block *from, struct op *op, struct block *to)
{
    struct block_link *l = &from->out[from->out[0].to == NULL ? 0 : 1];
    if (from->dead || to->dead || op->link != &op_unlinked) {
        return;
    }
    *l = (struct block_link){.from = op, .to = to, .next = to->incoming, .back = &to->incoming};
    if (l->next != NULL) {
        l->next->back = &l->next;
    }
    to->incoming = l;
    op->link = to;
    tell_link(c, op, to);
}

/* ---- forgetting ---- */

/* vCPUs must not go on through what points to blocks; the running one leaves its chain. */
static void forget_in_cpus(struct block_cache *c)
{
    for (unsigned i = 0; i < c->cpu_count; i++) {
        memset(c->cpus[i]->jump_tables, 0, sizeof c->cpus[i]->jump_tables);
        c->cpus[i]->link_from = NULL;
        c->cpus[i]->step_block = NULL;
        c->cpus[i]->chain_cut = true;
    }
}

/* The same for one block. A chain that runs in it sees that it is dead (op_generic.c). */
static void forget_block_in_cpus(struct block_cache *c, const struct block *b)
{
    unsigned slot = op_jump_slot(b->rip);
    for (unsigned i = 0; i < c->cpu_count; i++) {
        struct cpu *cpu = c->cpus[i];
        for (unsigned user = 0; user < 2; user++) {
            if (cpu->jump_tables[user][slot].block == b) {
                cpu->jump_tables[user][slot] = (struct jump_entry){0, 0, NULL};
            }
        }
        cpu->link_from = NULL;
        cpu->step_block = NULL;
    }
}

static uint32_t hash_of(phys_t at, uint64_t rip, uint32_t mode)
{
    uint64_t h = (at.v ^ rip << 20 ^ (uint64_t)mode << 58) * UINT64_C(0x9e3779b97f4a7c15);
    return (uint32_t)(h >> 40) % HASH_BUCKETS;
}

static void unhash(struct block_cache *c, struct block *b)
{
    struct block **p = &c->hash[hash_of(b->at, b->rip, b->mode)];
    while (*p != b) {
        p = &(*p)->hash_next;
    }
    *p = b->hash_next;
}

/* The block stays in the hash table, so that it may be revived. */
static void kill(struct block_cache *c, struct block *b)
{
    unlink_one(c, &b->out[0]);
    unlink_one(c, &b->out[1]);
    while (b->incoming != NULL) {
        unlink_one(c, b->incoming);
    }
    forget_block_in_cpus(c, b);
    if (c->translator != NULL) {
        translate_forget(c->translator, b);
    }
    b->dead = true;
    c->statistics.live--;
}

static uint64_t line_mask(uint64_t offset, uint64_t size_bytes)
{
    uint64_t first = offset / 64, last = (offset + size_bytes - 1) / 64;
    return bits_mask((unsigned)(last - first + 1)) << first;
}

/* Kills the blocks of a page that overlap size_bytes from a. */
static void kill_overlapping(struct block_cache *c, struct code_page *page, uint64_t a, uint64_t size_bytes)
{
    struct block **p = &page->blocks;
    page->lines = 0;
    while (*p != NULL) {
        struct block *b = *p;
        if (b->at.v < a + size_bytes && a < b->at.v + b->size_bytes) {
            *p = b->page_next;
            kill(c, b);
        } else {
            page->lines |= line_mask(b->at.v & PAGE_MASK_BITS, b->size_bytes);
            p = &b->page_next;
        }
    }
}

/* The part of an invalidation within one page. */
static void invalidate_in_page(struct block_cache *c, uint64_t a, uint64_t size_bytes)
{
    struct code_page *page = &c->pages[a >> PAGE_SHIFT];
    if (page->blocks == NULL) {
        if (++page->idle_stores >= IDLE_STORES) {
            c->ram->flags[a >> PAGE_SHIFT] &= (uint8_t)~PAGE_CODE;
        }
    } else if (page->lines & line_mask(a & PAGE_MASK_BITS, size_bytes)) {
        kill_overlapping(c, page, a, size_bytes);
        page->idle_stores = 0;
    }
}

void block_cache_invalidate(struct block_cache *c, phys_t a, unsigned size_bytes)
{
    uint64_t at = a.v, end = a.v + size_bytes;
    while (at < end && at >> PAGE_SHIFT <= c->ram->end >> PAGE_SHIFT) {
        uint64_t next = align_down(at, PAGE_SIZE_BYTES) + PAGE_SIZE_BYTES;
        next = next < end ? next : end;
        invalidate_in_page(c, at, next - at);
        at = next;
    }
}

void block_cache_flush(struct block_cache *c)
{
    for (uint32_t h = 0; h < HASH_BUCKETS; h++) {
        for (const struct block *b = c->hash[h]; b != NULL; b = b->hash_next) {
            c->pages[b->phys_page >> PAGE_SHIFT] = (struct code_page){NULL, 0, 0};
            c->ram->flags[b->phys_page >> PAGE_SHIFT] &= (uint8_t)~PAGE_CODE;
        }
        c->hash[h] = NULL;
    }
    c->arena_used = 0;
    if (c->translator != NULL) {
        translate_flush(c->translator);
    }
    c->statistics.live = 0;
    forget_in_cpus(c);
}

/* ---- probes ---- */

/* Number of probes below a. */
static unsigned probe_rank(const struct block_cache *c, uint64_t a)
{
    unsigned low = 0, high = c->probe_count;
    while (low < high) {
        unsigned middle = (low + high) / 2;
        if (c->probes[middle] < a) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

bool block_cache_probed(const struct block_cache *c, lin_t a)
{
    unsigned at = probe_rank(c, a.v);
    return at < c->probe_count && c->probes[at] == a.v;
}

bool block_cache_probe_add(struct block_cache *c, lin_t a)
{
    unsigned at = probe_rank(c, a.v);
    if (c->probe_count == BLOCK_PROBES_MAX) {
        return false;
    }
    memmove(&c->probes[at + 1], &c->probes[at], (c->probe_count - at) * sizeof c->probes[0]);
    c->probes[at] = a.v;
    c->probe_count++;
    block_cache_flush(c);
    return true;
}

void block_cache_probe_remove(struct block_cache *c, lin_t a)
{
    unsigned at = probe_rank(c, a.v);
    if (!block_cache_probed(c, a)) {
        return;
    }
    c->probe_count--;
    memmove(&c->probes[at], &c->probes[at + 1], (c->probe_count - at) * sizeof c->probes[0]);
    block_cache_flush(c);
}

bool block_cache_has_probes(const struct block_cache *c)
{
    return c->probe_count != 0;
}

struct insn_memo *block_cache_memo(struct block_cache *c, uint64_t rip)
{
    return &c->memos[(rip ^ rip >> PAGE_SHIFT) % BLOCK_MEMOS];
}

/* ---- making ---- */

unsigned insn_cost(const struct cost_table *costs, const struct insn *insn)
{
    const struct insn_row *row = &insn_rows[insn->row];
    bool memory = false;
    for (unsigned i = 0; i < insn->operand_count; i++) {
        memory = memory || insn->op[i].kind == OPERAND_MEM;
    }
    unsigned class = row->cost;
    if ((insn->prefixes & PREFIX_LOCK) || (class == COST_XCHG && memory)) {
        class = COST_LOCKED;
    }
    bool charged = memory && !(row->flags & INSN_NO_MEMORY_COST);
    return costs->base_cycles[class] + (charged ? costs->memory_cycles : 0u);
}

/* The instructions of a block, before it has its place in the arena. */
struct draft {
    struct insn insns[BLOCK_INSNS_MAX];
    unsigned count, size_bytes;
};

static void draft_block(const struct block_cache *c, const struct cpu *cpu, phys_t at, unsigned max,
                        struct draft *d)
{
    const uint8_t *bytes = ram_at(c->ram, at);
    unsigned room = (unsigned)(PAGE_SIZE_BYTES - (at.v & PAGE_MASK_BITS));
    uint64_t linear = cpu_linear_rip(cpu);
    d->count = 0;
    d->size_bytes = 0;
    while (d->count < max && d->size_bytes < room) {
        struct insn *in = &d->insns[d->count];
        if (d->count > 0 && block_cache_probed(c, lin(linear + d->size_bytes))) {
            return;
        }
        if (insn_decode(cpu->mode, bytes + d->size_bytes, room - d->size_bytes, in) != DECODE_OK) {
            return;
        }
        if (d->count > 0 && (insn_rows[in->row].flags & INSN_EXACT)) {
            return;
        }
        d->size_bytes += in->length;
        d->count++;
        if (insn_ends_block(in)) {
            return;
        }
    }
}

static void *arena_take(struct block_cache *c, uint64_t size_bytes)
{
    size_bytes = align_up(size_bytes, 32);
    if (c->arena_used + size_bytes > BLOCK_ARENA_BYTES) {
        block_cache_flush(c);
    }
    void *p = c->arena + c->arena_used;
    c->arena_used += size_bytes;
    return p;
}

/* Costs from the end to the front, places from the front to the end. */
static void fill_cold(struct block *b, struct block_cold *cold, const struct cost_table *costs)
{
    uint32_t offset = 0;
    for (unsigned i = 0; i < b->count; i++) {
        cold[i].offset_bytes = offset;
        offset += b->insns[i].length;
    }
    cold[b->count] = (struct block_cold){offset, 0};
    for (unsigned i = (unsigned)b->count; i-- > 0;) {
        cold[i].refund_cycles = cold[i + 1].refund_cycles + (int32_t)insn_cost(costs, &b->insns[i]);
    }
    b->cost_cycles = cold[0].refund_cycles;
}

static struct block *place(struct block_cache *c, const struct cpu *cpu, const struct draft *d)
{
    size_t ops = (d->count + 1) * sizeof(struct op);
    size_t cold = (d->count + 1) * sizeof(struct block_cold);
    size_t insns_bytes = align_up(d->count * sizeof(struct insn), 8),
           timed = c->timed ? d->count * sizeof(struct timing_insn) + sizeof(struct predictor_site) : 0;
    uint8_t *p = arena_take(c, sizeof(struct block) + ops + cold + insns_bytes + timed);
    struct block *b = (struct block *)(void *)p;
    memset(b, 0, sizeof *b);
    memset(b + 1, 0, ops);
    b->ops = (struct op *)(void *)(p + sizeof *b);
    struct block_cold *colds = (struct block_cold *)(void *)(p + sizeof *b + ops);
    struct insn *insns = (struct insn *)(void *)(p + sizeof *b + ops + cold);
    memcpy(insns, d->insns, d->count * sizeof *insns);
    b->insns = insns;
    b->timed = c->timed ? (struct timing_insn *)(void *)((uint8_t *)insns + insns_bytes) : NULL;
    b->cold = colds;
    b->count = d->count;
    b->size_bytes = (uint16_t)d->size_bytes;
    fill_cold(b, colds, cpu->costs);
    return b;
}

/* The page now holds code: no vCPU may write to it unseen. */
static void mark_page(struct block_cache *c, struct block *b)
{
    uint64_t number = b->phys_page >> PAGE_SHIFT;
    struct code_page *page = &c->pages[number];
    b->page_next = page->blocks;
    page->blocks = b;
    page->lines |= line_mask(b->at.v & PAGE_MASK_BITS, b->size_bytes);
    if (!(c->ram->flags[number] & PAGE_CODE)) {
        c->ram->flags[number] |= PAGE_CODE;
        c->ram->code_pages++;
        for (unsigned i = 0; i < c->cpu_count; i++) {
            cpu_drop_write_page(c->cpus[i], phys(b->phys_page));
        }
    }
}

static uint32_t mode_key(const struct cpu *cpu, unsigned max_insns)
{
    return (uint32_t)cpu->mode | max_insns << 2;
}

static struct block *make(struct block_cache *c, const struct cpu *cpu, phys_t at, unsigned max_insns)
{
    struct draft d;
    if (!ram_contains(c->ram, phys(align_down(at.v, PAGE_SIZE_BYTES)), PAGE_SIZE_BYTES)) {
        return NULL;
    }
    draft_block(c, cpu, at, max_insns < c->max_insns ? max_insns : c->max_insns, &d);
    if (d.count == 0) {
        return NULL;
    }
    struct block *b = place(c, cpu, &d);
    b->rip = cpu->rip;
    b->at = at;
    b->lin_page = align_down(b->rip, PAGE_SIZE_BYTES);
    b->phys_page = align_down(at.v, PAGE_SIZE_BYTES);
    b->mode = mode_key(cpu, max_insns);
    uint32_t h = hash_of(at, b->rip, b->mode);
    b->hash_next = c->hash[h];
    c->hash[h] = b;
    mark_page(c, b);
    build(c, b);
    c->statistics.made++;
    c->statistics.live++;
    return b;
}

/* ---- finding ---- */

/* Are the bytes of a block what they were, but for immediates? */
static bool same_but_immediates(const struct block *b, const uint8_t *bytes)
{
    for (unsigned i = 0; i < b->count; i++) {
        const struct insn *in = &b->insns[i];
        if (memcmp(in->bytes, bytes, in->length - in->imm_bytes) != 0) {
            return false;
        }
        bytes += in->length;
    }
    return true;
}

/* Takes over immediates that have changed; true if there was one. */
static bool take_immediates(struct block *b, const uint8_t *bytes)
{
    bool changed = false;
    for (unsigned i = 0; i < b->count; i++) {
        struct insn *in = &b->insns[i];
        if (memcmp(in->bytes, bytes, in->length) != 0) {
            memcpy(in->bytes, bytes, in->length);
            in->imm = insn_immediate(in, bytes);
            changed = true;
        }
        bytes += in->length;
    }
    return changed;
}

/* A dead block whose code is still, or again, at its place lives on. False: it does not, and is forgotten. */
static bool revive(struct block_cache *c, struct block *b)
{
    const uint8_t *bytes = ram_at(c->ram, b->at);
    if (!same_but_immediates(b, bytes)) {
        unhash(c, b);
        return false;
    }
    if (take_immediates(b, bytes)) {
        memset(b->ops, 0, (b->count + 1) * sizeof *b->ops);
        build(c, b);
    }
    b->dead = false;
    mark_page(c, b);
    c->statistics.live++;
    return true;
}

struct block *block_find(struct block_cache *c, struct cpu *cpu, phys_t at, unsigned max_insns)
{
    uint32_t mode = mode_key(cpu, max_insns);
    for (struct block *b = c->hash[hash_of(at, cpu->rip, mode)]; b != NULL; b = b->hash_next) {
        if (b->at.v == at.v && b->rip == cpu->rip && b->mode == mode) {
            if (!b->dead || revive(c, b)) {
                return b;
            }
            break;
        }
    }
    return make(c, cpu, at, max_insns);
}
