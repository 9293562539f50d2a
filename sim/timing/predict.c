/* The predictors. Source: docs/timing.md, section 11. Deviations: learning is immediate, nothing is speculative. */

#include "timing/predict_direction.h"

#include "base/alloc.h"

#include <stdlib.h>

#define INDIRECT_PAST 16u /* branches of history for indirect targets */

/* The low `length` bits of h in pieces of n bits, all XORed. */
static uint64_t fold(uint64_t h, unsigned length, unsigned n)
{
    uint64_t r = 0;
    for (h &= bits_mask(length); h != 0; h >>= n) {
        r ^= h;
    }
    return r & bits_mask(n);
}

/* The fields of a table: the low `length` bits of the history, folded to index_bits and to PREDICTOR_TAG_BITS. */
static void add_folds(struct predictor_folds *f, unsigned table, unsigned length)
{
    unsigned index = 2 * table * PREDICTOR_FIELD_BITS, tag = index + PREDICTOR_FIELD_BITS;
    f->oldest[table] = UINT64_C(1) << (length - 1);
    f->leaves[table] =
        UINT64_C(1) << (index + length % f->index_bits) | UINT64_C(1) << (tag + length % PREDICTOR_TAG_BITS);
    f->above_index |= UINT64_C(1) << (index + f->index_bits);
    f->above_tag |= UINT64_C(1) << (tag + PREDICTOR_TAG_BITS);
    f->ones |= UINT64_C(1) << index | UINT64_C(1) << tag;
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
        .folds.index_bits = v[TIMING_tagged_bits],
    };
    p->base = alloc_zeroed((size_t)1 << p->base_bits, 1);
    memset(p->base, 1, (size_t)1 << p->base_bits);
    for (unsigned i = 0; i < 2; i++) {
        p->tagged[i] = alloc_zeroed((size_t)1 << p->tagged_bits, sizeof(struct predictor_entry));
        for (size_t n = 0; n < (size_t)1 << p->tagged_bits; n++) {
            p->tagged[i][n].tag = PREDICTOR_NO_TAG;
        }
        add_folds(&p->folds, i, p->lengths[i]);
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

void predictor_allocate(const struct predictor *p, bool taken)
{
    const predictor_fields at = p->at;
    bool upper_only = predictor_entry(p, at, 0)->tag == predictor_tag(at, 0);
    for (unsigned i = upper_only; i < 2; i++) {
        struct predictor_entry *e = predictor_entry(p, at, i);
        if (e->useful == 0) {
            *e = (struct predictor_entry){predictor_tag(at, i), taken ? 4 : 3, 0};
            return;
        }
    }
    for (unsigned i = upper_only; i < 2; i++) {
        predictor_count(&predictor_entry(p, at, i)->useful, false, 3);
    }
}

/* The same index and tag in both tables. */
static predictor_fields both_tables(uint64_t index, uint64_t tag)
{
    uint64_t one = index | tag << PREDICTOR_FIELD_BITS;
    return one | one << 2 * PREDICTOR_FIELD_BITS;
}

struct predictor_site predictor_site(const struct predictor *p, uint64_t pc)
{
    return (struct predictor_site){
        .pc = pc,
        .base = (uint32_t)predictor_hash(pc, p->base_bits),
        .tagged = both_tables(predictor_hash(pc, p->tagged_bits), pc >> 2 & bits_mask(PREDICTOR_TAG_BITS)),
        .btb = (uint32_t)predictor_hash(pc, p->btb_bits),
    };
}

bool predictor_indirect(struct predictor *p, uint64_t pc, uint64_t target)
{
    uint64_t past = fold(p->history, INDIRECT_PAST, p->indirect_bits);
    uint64_t *e = &p->indirect[predictor_hash(pc, p->indirect_bits) ^ past];
    bool right = *e == target;
    *e = target;
    uint64_t two = target ^ target >> 5;
    predictor_move_history(p, two >> 1 & 1);
    predictor_move_history(p, two & 1);
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
        v |= fold(p->history, length[i], p->tagged_bits) << (2 * i * PREDICTOR_FIELD_BITS);
        v |= fold(p->history, length[i], PREDICTOR_TAG_BITS) << ((2 * i + 1) * PREDICTOR_FIELD_BITS);
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
