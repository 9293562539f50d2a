/* The predictors. Source: docs/timing.md, section 11. Deviations: learning is immediate, nothing is speculative. */

#include "timing/predict.h"

#include "base/alloc.h"
#include "base/bits.h"

#include <stdlib.h>

#define TAG_BITS      9u
#define INDIRECT_PAST 16u /* branches of history for indirect targets */

static struct predictor_fold make_fold(unsigned length, unsigned bits)
{
    return (struct predictor_fold){
        .length = (uint8_t)length, .bits = (uint8_t)bits, .leaves = (uint8_t)(length % bits)};
}

void predictor_init(struct predictor *p, const struct timing_params *params)
{
    const uint32_t *v = params->value;
    *p = (struct predictor){
        .base_bits = v[TIMING_base_bits],
        .tagged_bits = v[TIMING_tagged_bits],
        .btb_bits = v[TIMING_btb_bits],
        .indirect_bits = v[TIMING_indirect_bits],
        .return_count = v[TIMING_return_stack],
    };
    p->base = alloc_zeroed((size_t)1 << p->base_bits, 1);
    memset(p->base, 1, (size_t)1 << p->base_bits);
    for (unsigned i = 0; i < 2; i++) {
        p->tagged[i].entries = alloc_zeroed((size_t)1 << p->tagged_bits, sizeof(struct predictor_entry));
        unsigned length = v[i ? TIMING_history_2 : TIMING_history_1];
        p->tagged[i].index = make_fold(length, p->tagged_bits);
        p->tagged[i].tag = make_fold(length, TAG_BITS);
    }
    p->indirect_fold = make_fold(INDIRECT_PAST, p->indirect_bits);
    p->btb = alloc_zeroed((size_t)1 << p->btb_bits, sizeof *p->btb);
    p->indirect = alloc_zeroed((size_t)1 << p->indirect_bits, sizeof *p->indirect);
    p->returns = alloc_zeroed(p->return_count, sizeof *p->returns);
}

void predictor_deinit(struct predictor *p)
{
    free(p->base);
    free(p->tagged[0].entries);
    free(p->tagged[1].entries);
    free(p->btb);
    free(p->indirect);
    free(p->returns);
}

/* The low `length` bits of h in pieces of n bits, all XORed. */
static uint64_t fold(uint64_t h, unsigned length, unsigned n)
{
    uint64_t r = 0;
    for (h &= bits_mask(length); h != 0; h >>= n) {
        r ^= h;
    }
    return r & bits_mask(n);
}

/* The fold after the history h has moved up and bit has come in. */
static inline void move_fold(struct predictor_fold *f, uint64_t h, uint64_t bit)
{
    uint64_t out = h >> (f->length - 1) & 1;
    uint64_t v = f->value << 1 | bit;
    v ^= out << f->leaves; /* it stands there, one up, of the piece that it was in */
    f->value = (v ^ v >> f->bits) & bits_mask(f->bits);
}

static inline void move_history(struct predictor *p, uint64_t bit)
{
    for (unsigned i = 0; i < 2; i++) {
        move_fold(&p->tagged[i].index, p->history, bit);
        move_fold(&p->tagged[i].tag, p->history, bit);
    }
    move_fold(&p->indirect_fold, p->history, bit);
    p->history = p->history << 1 | bit;
}

static inline uint64_t hash_pc(uint64_t pc, unsigned bits)
{
    return (pc ^ pc >> bits) & bits_mask(bits);
}

/* A table's place for a branch. */
struct place {
    struct predictor_entry *entry;
    uint16_t tag;
};

static inline struct place find_place(const struct predictor *p, unsigned table, uint64_t pc)
{
    const struct predictor_table *t = &p->tagged[table];
    uint64_t index = hash_pc(pc, p->tagged_bits) ^ t->index.value;
    uint64_t tag = ((pc >> 2) ^ t->tag.value) & bits_mask(TAG_BITS);
    return (struct place){&t->entries[index], (uint16_t)tag};
}

static inline bool hits(struct place at)
{
    return at.entry->valid && at.entry->tag == at.tag;
}

static inline void count(uint8_t *counter, bool up, uint8_t most)
{
    if (up) {
        *counter = (uint8_t)(*counter + (*counter < most));
    } else {
        *counter = (uint8_t)(*counter - (*counter > 0));
    }
}

/* After a wrong prediction by what lies below table `first`. */
static void allocate(const struct place at[2], unsigned first, bool taken)
{
    for (unsigned i = first; i < 2; i++) {
        if (!at[i].entry->valid || at[i].entry->useful == 0) {
            *at[i].entry = (struct predictor_entry){at[i].tag, taken ? 4 : 3, 0, true};
            return;
        }
    }
    for (unsigned i = first; i < 2; i++) {
        count(&at[i].entry->useful, false, 3);
    }
}

bool predictor_direction(struct predictor *p, uint64_t pc, bool taken)
{
    const struct place at[2] = {find_place(p, 0, pc), find_place(p, 1, pc)};
    uint8_t *base = &p->base[hash_pc(pc, p->base_bits)];
    bool below = *base >= 2, predicted = below;
    unsigned provider = 0; /* 1, 2: tagged tables */
    for (unsigned i = 0; i < 2; i++) {
        if (hits(at[i])) {
            below = predicted;
            predicted = at[i].entry->counter >= 4;
            provider = i + 1;
        }
    }
    bool right = predicted == taken;
    if (provider == 0) {
        count(base, taken, 3);
    } else {
        struct predictor_entry *e = at[provider - 1].entry;
        if (predicted != below) {
            count(&e->useful, right, 3);
        }
        count(&e->counter, taken, 7);
    }
    if (!right && provider < 2) {
        allocate(at, provider, taken);
    }
    move_history(p, taken);
    return right;
}

bool predictor_direct(struct predictor *p, uint64_t pc, uint64_t target)
{
    struct predictor_target *e = &p->btb[hash_pc(pc, p->btb_bits)];
    bool known = e->pc == pc;
    *e = (struct predictor_target){pc, target};
    return known;
}

bool predictor_indirect(struct predictor *p, uint64_t pc, uint64_t target)
{
    uint64_t *e = &p->indirect[hash_pc(pc, p->indirect_bits) ^ p->indirect_fold.value];
    bool right = *e == target;
    *e = target;
    uint64_t two = target ^ target >> 5;
    move_history(p, two >> 1 & 1);
    move_history(p, two & 1);
    return right;
}

void predictor_call(struct predictor *p, uint64_t return_address)
{
    p->return_top = p->return_top + 1 == p->return_count ? 0 : p->return_top + 1;
    p->returns[p->return_top] = return_address;
}

bool predictor_return(struct predictor *p, uint64_t target)
{
    bool right = p->returns[p->return_top] == target;
    p->return_top = p->return_top == 0 ? p->return_count - 1 : p->return_top - 1;
    return right;
}

static void visit_table(struct predictor_table *t, size_t entries, struct visitor *v)
{
    for (size_t i = 0; i < entries; i++) {
        struct predictor_entry *e = &t->entries[i];
        visit_u16(v, "tag", &e->tag);
        visit_choice(v, "counter", &e->counter, 7);
        visit_choice(v, "useful", &e->useful, 3);
        visit_bool(v, "valid", &e->valid);
    }
}

static void fold_again(struct predictor_fold *f, uint64_t history)
{
    f->value = fold(history, f->length, f->bits);
}

void predictor_visit(struct predictor *p, struct visitor *v)
{
    visit_u64(v, "history", &p->history);
    for (unsigned i = 0; i < 2 && v->loading; i++) {
        fold_again(&p->tagged[i].index, p->history);
        fold_again(&p->tagged[i].tag, p->history);
    }
    fold_again(&p->indirect_fold, p->history);
    visit_array(v, "base", p->base, 1, (size_t)1 << p->base_bits);
    visit_table(&p->tagged[0], (size_t)1 << p->tagged_bits, v);
    visit_table(&p->tagged[1], (size_t)1 << p->tagged_bits, v);
    visit_array(v, "btb", &p->btb[0].pc, 8, (size_t)2 << p->btb_bits);
    visit_array(v, "indirect", p->indirect, 8, (size_t)1 << p->indirect_bits);
    visit_array(v, "returns", p->returns, 8, p->return_count);
    visit_count(v, "return_top", &p->return_top, p->return_count - 1);
}
