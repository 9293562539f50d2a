/* Section 11: prediction and its update, both at the key. */

#include "oracle.h"

static u64 fold(u64 history, u64 h, u64 n)
{
    u64 rest = h >= 64 ? history : history & ((UINT64_C(1) << h) - 1), all = 0;
    while (rest != 0 && n > 0) {
        all ^= rest & ((UINT64_C(1) << n) - 1);
        rest >>= n;
    }
    return all;
}

static u64 size_of(u64 bits)
{
    return UINT64_C(1) << bits;
}

void predictor_init(struct machine *m, struct predictor *p)
{
    const struct params *q = &m->p;
    p->base = zeroed(size_of(q->base_bits), 1);
    for (u64 i = 0; i < size_of(q->base_bits); i++) {
        p->base[i] = 1;
    }
    p->table[1] = zeroed(size_of(q->tagged_bits), sizeof(struct tagged));
    p->table[2] = zeroed(size_of(q->tagged_bits), sizeof(struct tagged));
    p->btb_pc = zeroed(size_of(q->btb_bits), sizeof(u64));
    p->btb_valid = zeroed(size_of(q->btb_bits), sizeof(bool));
    p->indirect = zeroed(size_of(q->indirect_bits), sizeof(u64));
    p->stack = zeroed(q->return_stack, sizeof(u64));
}

static void train(struct predictor *p, struct tagged *entry[3], const u64 tags[3], unsigned provider,
                  uint8_t *base, bool taken, bool predicted, bool alternative)
{
    struct tagged *e = entry[provider];
    if (provider > 0 && predicted != alternative) {
        if (predicted == taken) {
            e->useful += e->useful < 3;
        } else {
            e->useful -= e->useful > 0;
        }
    }
    if (provider > 0) {
        e->counter = taken ? e->counter + (e->counter < 7) : e->counter - (e->counter > 0);
    } else {
        *base = (uint8_t)(taken ? *base + (*base < 3) : *base - (*base > 0));
    }
    if (predicted != taken && provider < 2) {
        unsigned t = provider + 1;
        while (t <= 2 && entry[t]->valid && entry[t]->useful != 0) {
            t++;
        }
        if (t <= 2) {
            *entry[t] = (struct tagged){true, tags[t], taken ? 4 : 3, 0};
        } else {
            for (t = provider + 1; t <= 2; t++) {
                entry[t]->useful -= entry[t]->useful > 0;
            }
        }
    }
    p->history = p->history << 1 | taken;
}

/* Whether the direction was predicted. */
static bool direction(const struct params *q, struct predictor *p, u64 pc, bool taken)
{
    const u64 lengths[3] = {0, q->history_1, q->history_2};
    struct tagged *entry[3] = {NULL};
    u64 tags[3] = {0};
    uint8_t *base = &p->base[(pc ^ pc >> q->base_bits) % size_of(q->base_bits)];
    unsigned provider = 0, second = 0;
    for (unsigned t = 1; t <= 2; t++) {
        const u64 index = pc ^ pc >> q->tagged_bits ^ fold(p->history, lengths[t], q->tagged_bits);
        entry[t] = &p->table[t][index % size_of(q->tagged_bits)];
        tags[t] = ((pc >> 2) ^ fold(p->history, lengths[t], 9)) % 512;
        if (entry[t]->valid && entry[t]->tag == tags[t]) {
            second = provider;
            provider = t;
        }
    }
    const bool predicted = provider > 0 ? entry[provider]->counter >= 4 : *base >= 2;
    const bool alternative = second > 0 ? entry[second]->counter >= 4 : *base >= 2;
    train(p, entry, tags, provider, base, taken, predicted, alternative);
    return predicted == taken;
}

/* A direct branch that is taken: whether the BTB had it. */
static bool known_target(const struct params *q, struct predictor *p, u64 pc)
{
    const u64 index = (pc ^ pc >> q->btb_bits) % size_of(q->btb_bits);
    const bool known = p->btb_valid[index] && p->btb_pc[index] == pc;
    p->btb_valid[index] = true;
    p->btb_pc[index] = pc;
    return known;
}

static bool indirect(const struct params *q, struct predictor *p, u64 pc, u64 target)
{
    const u64 index = pc ^ pc >> q->indirect_bits ^ fold(p->history, 16, q->indirect_bits);
    u64 *entry = &p->indirect[index % size_of(q->indirect_bits)];
    const bool right = *entry == target;
    *entry = target;
    p->history = p->history << 2 | ((target ^ target >> 5) & 3);
    return right;
}

enum prediction predict(struct machine *m, struct vcpu *c, const struct line *l, const struct insn *in)
{
    const struct params *q = &m->p;
    struct predictor *p = &c->predictor;
    const u64 after = (l->pc + l->length) & (l->mode == 64 ? UINT64_MAX : UINT32_MAX);
    const bool taken = in->branch != BRANCH_COND || l->next != after;
    bool right = true, known = true;
    if (in->branch == BRANCH_COND) {
        right = direction(q, p, l->pc, taken);
    }
    if (taken && (in->branch == BRANCH_COND || in->branch == BRANCH_JUMP || in->branch == BRANCH_CALL)) {
        known = known_target(q, p, l->pc);
    }
    if (in->branch == BRANCH_IND || in->branch == BRANCH_CALL_IND) {
        right = indirect(q, p, l->pc, l->next);
    }
    if (in->branch == BRANCH_CALL || in->branch == BRANCH_CALL_IND) {
        p->top = (p->top + 1) % q->return_stack;
        p->stack[p->top] = after;
    }
    if (in->branch == BRANCH_RET) {
        right = p->stack[p->top] == l->next;
        p->top = (p->top + q->return_stack - 1) % q->return_stack;
    }
    if (taken) {
        c->has_line = false;
    }
    return !right ? PREDICTED_WRONG : !taken ? PREDICTED : !known ? PREDICTED_AT_DECODE : PREDICTED_TAKEN;
}
