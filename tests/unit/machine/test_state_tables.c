/* Every table of the timing model, which lie behind pointers of the structs that test_state.c asks about, is visited. */

#include "machine/machine.h"
#include "small_timing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TABLES_MAX 40u

struct tables {
    struct {
        const char *name;
        uint8_t *bytes;
        size_t size;
    } list[TABLES_MAX];
    unsigned count;
};

static void add_table(struct tables *t, const char *name, void *bytes, size_t size)
{
    assert_true(t->count < TABLES_MAX && size > 0);
    t->list[t->count].name = name;
    t->list[t->count].bytes = bytes;
    t->list[t->count++].size = size;
}

static void add_cache(struct tables *t, const char *name, const struct cache *c)
{
    size_t lines = (size_t)c->sets * c->ways;
    add_table(t, name, c->lines, lines * sizeof *c->lines);
    add_table(t, name, c->states, lines * sizeof *c->states);
    add_table(t, name, c->trees, c->sets * sizeof *c->trees);
}

static void add_tlb(struct tables *t, const char *name, const struct timing_tlb *tlb, unsigned slots)
{
    add_table(t, name, tlb->overlay, slots * sizeof *tlb->overlay);
    add_table(t, name, tlb->slots, tlb->entries * sizeof *tlb->slots);
    add_table(t, name, tlb->numbers, tlb->entries * sizeof *tlb->numbers);
}

static void add_predictor(struct tables *t, const struct predictor *p)
{
    size_t tagged = (size_t)1 << p->tagged_bits;
    add_table(t, "base", p->base, (size_t)1 << p->base_bits);
    add_table(t, "lower tagged table", p->tagged[0], tagged * sizeof *p->tagged[0]);
    add_table(t, "upper tagged table", p->tagged[1], tagged * sizeof *p->tagged[1]);
    add_table(t, "btb", p->btb, ((size_t)1 << p->btb_bits) * sizeof *p->btb);
    add_table(t, "indirect", p->indirect, ((size_t)1 << p->indirect_bits) * sizeof *p->indirect);
    add_table(t, "returns", p->returns, p->return_count * sizeof *p->returns);
}

static struct tables tables_of(const struct timing *m)
{
    struct tables t = {.count = 0};
    const struct timing_core *c = m->cores;
    size_t l2 = (size_t)c->l2.sets * c->l2.ways;
    add_cache(&t, "l1i", &c->l1i);
    add_cache(&t, "l1d", &c->l1d);
    add_cache(&t, "l2", &c->l2);
    add_cache(&t, "l3", &m->l3);
    add_table(&t, "l2_landing", c->l2_landing, l2 * sizeof *c->l2_landing);
    add_table(&t, "l2_lowering", c->l2_lowering, l2 * sizeof *c->l2_lowering);
    add_tlb(&t, "dtlb", &c->dtlb, m->tlb_slots);
    add_tlb(&t, "itlb", &c->itlb, m->tlb_slots);
    add_predictor(&t, &c->predictor);
    add_table(&t, "bus_free", m->bus_free, m->params.value[TIMING_dram_channels] * sizeof *m->bus_free);
    return t;
}

static struct sim *make_sim(void)
{
    struct sim_config c;
    struct timing_params timing;
    struct error e;
    sim_config_init(&c);
    c.memory_bytes = SIM_MEMORY_MIN;
    c.engine = ENGINE_TIMED;
    small_timing(&timing);
    c.timing = &timing;
    struct sim *s = sim_create(&c, &e);
    assert_non_null(s);
    return s;
}

static void every_table_of_the_timing_model_is_in_the_digest_and_restored(void **state)
{
    struct sim *a = make_sim(), *b = make_sim();
    struct digest clean = sim_digest(a, VISIT_MODEL);
    struct state_buffer snapshot = {0};
    struct error e;
    (void)state;
    const struct tables t = tables_of(a->model), u = tables_of(b->model);
    sim_snapshot(a, &snapshot);
    for (unsigned i = 0; i < t.count; i++) {
        for (size_t n = 0; n<t.list[i].size; n += t.list[i].size> 64 ? t.list[i].size - 1 : 1) {
            t.list[i].bytes[n] ^= 1;
            if (digest_equal(sim_digest(a, VISIT_MODEL), clean)) {
                fail_msg("byte %zu of %s is not visited", n, t.list[i].name);
            }
            t.list[i].bytes[n] ^= 1;
        }
        memset(u.list[i].bytes, 2, u.list[i].size); /* good everywhere */
    }
    assert_true(digest_equal(sim_digest(a, VISIT_MODEL), clean));
    assert_true(sim_restore(b, &snapshot, &e));
    for (unsigned i = 0; i < t.count; i++) {
        if (memcmp(t.list[i].bytes, u.list[i].bytes, t.list[i].size) != 0) {
            fail_msg("%s was not restored", t.list[i].name);
        }
    }
    state_buffer_deinit(&snapshot);
    sim_destroy(a);
    sim_destroy(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_table_of_the_timing_model_is_in_the_digest_and_restored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
