/* The predictors. Source: docs/timing.md, section 11. Deviations: learning is immediate, nothing is speculative. */

#include "timing/predict.h"

#include "base/alloc.h"

#include <stdlib.h>

#define TAG_BITS      9u
#define INDIRECT_PAST 16u /* branches of history for indirect targets */

#define FIELD_BITS 16u
#define FIELD_MASK UINT64_C(0xffff)

/* The low `length` bits of h in pieces of n bits, all XORed. */
static uint64_t fold(uint64_t h, unsigned length, unsigned n)
{
    uint64_t r = 0;
    for (h &= bits_mask(length); h != 0; h >>= n) {
        r ^= h;
    }
    return r & bits_mask(n);
}

/* Field `field` of f: the low `length` bits of the history, folded to `bits`. */
static void add_field(struct predictor_folds *f, unsigned field, unsigned length, unsigned bits)
{
    unsigned at = field * FIELD_BITS;
    f->oldest[field / 2] = UINT64_C(1) << (length - 1);
    f->leaves[field / 2] |= UINT64_C(1) << (at + length % bits);
    f->above[field % 2] |= UINT64_C(1) << (at + bits);
    f->bits[field % 2] = bits;
    f->ones |= UINT64_C(1) << at;
}

/* The folds after the history h has moved up and bit has come in. */
static inline void move_folds(struct predictor_folds *f, uint64_t h, uint64_t bit)
{
    uint64_t v = f->value << 1 | (bit ? f->ones : 0);
    v ^= h & f->oldest[0] ? f->leaves[0] : 0;
    v ^= h & f->oldest[1] ? f->leaves[1] : 0;
    uint64_t even = v & f->above[0], odd = v & f->above[1];
    f->value = v ^ even ^ even >> f->bits[0] ^ odd ^ odd >> f->bits[1];
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
        .lengths = {v[TIMING_history_1], v[TIMING_history_2]},
    };
    p->base = alloc_zeroed((size_t)1 << p->base_bits, 1);
    memset(p->base, 1, (size_t)1 << p->base_bits);
    for (unsigned i = 0; i < 2; i++) {
        p->tagged[i] = alloc_zeroed((size_t)1 << p->tagged_bits, sizeof(struct predictor_entry));
        for (size_t n = 0; n < (size_t)1 << p->tagged_bits; n++) {
            p->tagged[i][n].tag = PREDICTOR_NO_TAG;
        }
        unsigned length = p->lengths[i];
        add_field(&p->folds, 2 * i, length, p->tagged_bits);
        add_field(&p->folds, 2 * i + 1, length, TAG_BITS);
    }
    p->btb = alloc_zeroed((size_t)1 << p->btb_bits, sizeof *p->btb);
    p->indirect = alloc_zeroed((size_t)1 << p->indirect_bits, sizeof *p->indirect);
    p->returns = alloc_zeroed(p->return_count, sizeof *p->returns);
}

void predictor_deinit(struct predictor *p)
{
    free(p->base);
    free(p->tagged[0]);
    free(p->tagged[1]);
    free(p->btb);
    free(p->indirect);
    free(p->returns);
}

static inline void move_history(struct predictor *p, uint64_t bit)
{
    move_folds(&p->folds, p->history, bit);
    p->history = p->history << 1 | bit;
}

/* A table's place for a branch. */
struct place {
    struct predictor_entry *entry;
    uint16_t tag;
};

static inline struct place find_place(const struct predictor *p, unsigned table, uint64_t pc)
{
    uint64_t folds = p->folds.value >> (2 * FIELD_BITS * table);
    uint64_t index = predictor_hash(pc, p->tagged_bits) ^ (folds & FIELD_MASK);
    uint64_t tag = ((pc >> 2) ^ folds >> FIELD_BITS) & bits_mask(TAG_BITS);
    return (struct place){&p->tagged[table][index], (uint16_t)tag};
}

static inline bool hits(struct place at)
{
    return at.entry->tag == at.tag;
}

static inline void count(uint8_t *counter, bool up, uint8_t most)
{
    unsigned n = *counter, more = n + (n < most), less = n - (n > 0), chosen = -(unsigned)up;
    *counter = (uint8_t)((more & chosen) | (less & ~chosen)); /* directions are a gamble for the host, too */
}

/* After a wrong prediction by what lies below table `first`. */
static void allocate(const struct place at[2], unsigned first, bool taken)
{
    for (unsigned i = first; i < 2; i++) {
        if (at[i].entry->useful == 0) {
            *at[i].entry = (struct predictor_entry){at[i].tag, taken ? 4 : 3, 0};
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
    uint8_t *base = &p->base[predictor_hash(pc, p->base_bits)];
    move_history(p, taken); /* before the counters, which nothing of it needs */
    bool first = hits(at[0]), second = hits(at[1]);
    bool predicted = *base >= 2, below = predicted;
    if (first) {
        predicted = at[0].entry->counter >= 4;
    }
    if (second) {
        below = predicted;
        predicted = at[1].entry->counter >= 4;
    }
    bool right = predicted == taken;
    if (first || second) {
        struct predictor_entry *e = at[second].entry;
        if (predicted != below) {
            count(&e->useful, right, 3);
        }
        count(&e->counter, taken, 7);
    } else {
        count(base, taken, 3);
    }
    if (!right && !second) {
        allocate(at, first, taken);
    }
    return right;
}

bool predictor_indirect(struct predictor *p, uint64_t pc, uint64_t target)
{
    uint64_t past = fold(p->history, INDIRECT_PAST, p->indirect_bits);
    uint64_t *e = &p->indirect[predictor_hash(pc, p->indirect_bits) ^ past];
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

static void visit_table(struct predictor_entry *entries, size_t count, struct visitor *v)
{
    for (size_t i = 0; i < count; i++) {
        visit_u16(v, "tag", &entries[i].tag);
        visit_choice(v, "counter", &entries[i].counter, 7);
        visit_choice(v, "useful", &entries[i].useful, 3);
    }
}

/* The folds follow from the history. */
static void fold_again(struct predictor *p, const uint32_t length[2])
{
    uint64_t v = 0;
    for (unsigned i = 0; i < 2; i++) {
        v |= fold(p->history, length[i], p->tagged_bits) << (2 * i * FIELD_BITS);
        v |= fold(p->history, length[i], TAG_BITS) << ((2 * i + 1) * FIELD_BITS);
    }
    p->folds.value = v;
}

void predictor_visit(struct predictor *p, struct visitor *v)
{
    visit_u64(v, "history", &p->history);
    if (v->loading) {
        fold_again(p, p->lengths);
    }
    visit_array(v, "base", p->base, 1, (size_t)1 << p->base_bits);
    visit_table(p->tagged[0], (size_t)1 << p->tagged_bits, v);
    visit_table(p->tagged[1], (size_t)1 << p->tagged_bits, v);
    visit_array(v, "btb", &p->btb[0].pc, 8, (size_t)2 << p->btb_bits);
    visit_array(v, "indirect", p->indirect, 8, (size_t)1 << p->indirect_bits);
    visit_array(v, "returns", p->returns, 8, p->return_count);
    visit_count(v, "return_top", &p->return_top, p->return_count - 1);
}
