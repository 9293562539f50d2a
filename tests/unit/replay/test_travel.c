/* The history of a machine, from any of its ends, is what a straight run was: places by digest, steps and finds one by one. */

#include "base/rng.h"
#include "guest_busy.h"
#include "guest_image.h"
#include "replay/travel.h"
#include "script/machine_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define FIRST_CYCLE UINT64_C(12000)
#define CUTS        40u
#define CUT_CYCLES  UINT64_C(1777)
#define JUMPS       150u
#define BUDGET      (UINT64_C(64) << 20)
#define FINDS_MAX   4000u

/* One machine of each kind that keeps time or memory otherwise. */
#define VARIANTS 5u

static struct sim_config variant_config(unsigned variant, struct timing_params *timing)
{
    struct sim_config c;
    struct error e = {""};
    sim_config_init(&c);
    c.memory_bytes = SIM_MEMORY_MIN;
    c.cpus = variant == 0 ? 1 : 4;
    c.memory_model = variant == 2 ? MODEL_TSO : MODEL_DEFAULT;
    if (variant >= 3) {
        c.engine = ENGINE_TIMED;
        c.machine = variant == 3 ? "flat" : "zen4-like";
        c.lookahead = variant == 4;
        if (!machine_file_resolve(&c, timing, &e)) {
            fail_msg("%s", e.text);
        }
    }
    return c;
}

static struct travel *travel_of(struct sim *s, uint64_t interval)
{
    const struct travel_options o = {.budget_bytes = BUDGET, .interval_cycles = interval};
    struct travel *t = travel_create(s, &o);
    assert_non_null(t);
    return t;
}

static void run_to(struct travel *t, uint64_t cycles)
{
    struct error e;
    assert_int_equal(travel_run(t, cycles, &e), SIM_STOP_CYCLES);
    assert_string_equal(e.text, "");
}

/* Something from outside at the n-th cut. */
static struct effect effect_of(unsigned n)
{
    struct effect f = {.kind = EFFECT_MEMORY, .arg = {0x308000 + 8 * n}, .byte_count = 8, .bytes = {1, 2, 3}};
    if (n % 3 == 1) {
        f = (struct effect){.kind = EFFECT_INTERRUPT, .cpu = 0, .arg = {0x40}};
    } else if (n % 3 == 2) {
        f = (struct effect){
            .kind = EFFECT_SERIAL_INPUT, .arg = {0}, .byte_count = 3, .bytes = {'a', 'b', 'c'}};
    }
    return f;
}

/* What the history is to be. */
struct straight {
    struct digest states[CUTS];
    struct moment moments[CUTS]; /* after the effect, where there is one */
};

static void run_straight(const struct sim_config *c, struct straight *h)
{
    struct sim *s = guest_busy_create(c);
    for (unsigned i = 0; i < CUTS; i++) {
        struct effect f = effect_of(i);
        assert_int_equal(sim_run(s, FIRST_CYCLE + i * CUT_CYCLES), SIM_STOP_CYCLES);
        assert_true(i % 4 != 0 || sim_effect(s, &f, NULL));
        h->states[i] = sim_state_hash(s);
    }
    sim_destroy(s);
}

static void make_history(struct travel *t, struct straight *h)
{
    for (unsigned i = 0; i < CUTS; i++) {
        struct effect f = effect_of(i);
        run_to(t, FIRST_CYCLE + i * CUT_CYCLES);
        assert_true(i % 4 != 0 || travel_effect(t, &f, NULL));
        h->moments[i] = travel_now(t);
    }
}

static void check_jumps(const struct sim_config *c, uint64_t interval)
{
    struct straight h;
    struct rng rng;
    struct sim *s = guest_busy_create(c);
    struct travel *t = travel_of(s, interval);
    rng_init(&rng, interval, c->cpus);
    run_straight(c, &h);
    make_history(t, &h);
    for (unsigned jump = 0; jump < JUMPS; jump++) {
        unsigned to = (unsigned)rng_below(&rng, CUTS), on = to + (unsigned)rng_below(&rng, 3);
        assert_true(travel_go(t, &h.moments[to]));
        assert_true(digest_equal(sim_state_hash(s), h.states[to]));
        while (on > to && ++to < CUTS) {
            assert_true(travel_go(t, &h.moments[to]));
            assert_true(digest_equal(sim_state_hash(s), h.states[to]));
        }
    }
    travel_free(t);
    sim_destroy(s);
}

static void jumps_lead_to_what_a_straight_run_had(void **state)
{
    (void)state;
    for (unsigned variant = 0; variant < VARIANTS; variant++) {
        struct timing_params timing;
        struct sim_config c = variant_config(variant, &timing);
        check_jumps(&c, 3000);
        check_jumps(&c, UINT64_C(1) << 40); /* no regular checkpoints: the first, and those between */
    }
}

static void a_small_budget_thins_the_history_and_keeps_it_right(void **state)
{
    (void)state;
    struct straight h;
    struct sim *s = guest_busy_create(NULL);
    const struct travel_options o = {.budget_bytes = 200000, .interval_cycles = 500};
    struct travel *t = travel_create(s, &o);
    run_straight(NULL, &h);
    make_history(t, &h);
    uint64_t held = sim_checkpoint_pages_bytes(s);
    assert_true(held < 1000000);
    for (unsigned i = CUTS; i-- > 0;) {
        assert_true(travel_go(t, &h.moments[i]));
        assert_true(digest_equal(sim_state_hash(s), h.states[i]));
    }
    travel_free(t);
    sim_destroy(s);
}

/* ---- step by step ---- */

struct steps {
    struct travel *travel; /* or NULL */
    struct position at[FINDS_MAX];
    unsigned count;
    uint64_t from_cycles;
};

static void note_boundary(void *arg, struct sim *s, unsigned cpu)
{
    struct steps *l = arg;
    struct position p = sim_position(s);
    bool again = l->count > 0 && memcmp(&p, &l->at[l->count - 1], sizeof p) == 0;
    (void)cpu;
    if (sim_cycles(s) >= l->from_cycles && l->count < FINDS_MAX && !again) {
        l->at[l->count++] = p;
    }
}

static void assert_at(const struct sim *s, const struct position *expected, unsigned n)
{
    struct position p = sim_position(s);
    if (p.kind != expected->kind || p.cpu != expected->cpu || p.at != expected->at ||
        p.retired != expected->retired || p.rcx != expected->rcx) {
        fail_msg(
            "%u: at kind %u cpu %u clock %llu retired %llu, expected kind %u cpu %u clock %llu retired %llu",
            n, p.kind, p.cpu, (unsigned long long)p.at, (unsigned long long)p.retired, expected->kind,
            expected->cpu, (unsigned long long)expected->at, (unsigned long long)expected->retired);
    }
}

/* Back by every step of a stretch, whoever's it was. */
static void check_steps(const struct sim_config *c)
{
    static struct steps l;
    struct sim *straight = guest_busy_create(c), *s = guest_busy_create(c);
    uint64_t begin = 40000, end = begin;
    l = (struct steps){.from_cycles = begin};
    sim_run(straight, begin);
    sim_on_boundary(straight, note_boundary, &l);
    while (l.count < 100) {
        end += 100;
        sim_run(straight, end);
    }
    sim_destroy(straight);
    assert_in_range(l.count, 50, FINDS_MAX - 1);
    struct travel *t = travel_of(s, 0);
    run_to(t, end);
    for (unsigned n = l.count; n-- > 0;) {
        assert_int_equal(travel_step_back(t, l.at[n].cpu), TRAVEL_FOUND);
        assert_at(s, &l.at[n], n);
    }
    travel_free(t);
    sim_destroy(s);
}

static void steps_back_are_the_steps_forward_in_reverse(void **state)
{
    (void)state;
    for (unsigned variant = 0; variant < VARIANTS; variant++) {
        struct timing_params timing;
        struct sim_config c = variant_config(variant, &timing);
        check_steps(&c);
    }
}

static void before_the_first_step_there_is_nothing(void **state)
{
    (void)state;
    struct sim *s = guest_busy_create(NULL);
    struct travel *t = travel_of(s, 0);
    assert_int_equal(travel_step_back(t, 0), TRAVEL_NOTHING);
    run_to(t, 1000);
    while (travel_step_back(t, 0) == TRAVEL_FOUND && sim_cycles(s) > 900) {
        assert_true(sim_cycles(s) < 1000);
    }
    assert_true(travel_go_cycle(t, 30));
    unsigned steps = 0;
    while (travel_step_back(t, 0) == TRAVEL_FOUND) {
        steps++;
    }
    assert_in_range(steps, 2, 30);
    assert_int_equal(sim_instructions(s), 0);
    travel_free(t);
    sim_destroy(s);
}

/* ---- what is searched ---- */

static void at_probe(void *arg, unsigned cpu, uint64_t now_cycles)
{
    struct steps *l = arg;
    (void)cpu;
    (void)now_cycles;
    if (l->travel) {
        travel_found(l->travel);
    }
}

struct collect {
    struct sim *sim;
    struct steps steps;
};

static void collect_probe(void *arg, unsigned cpu, uint64_t now_cycles)
{
    struct collect *c = arg;
    (void)cpu;
    (void)now_cycles;
    if (c->steps.count < FINDS_MAX) {
        c->steps.at[c->steps.count++] = sim_position(c->sim);
    }
}

/* Back from one call of a probe to the one before it, to the first. */
static void check_probes(const struct sim_config *c, uint64_t interval)
{
    static struct collect all;
    static struct steps l;
    uint64_t first, last;
    struct sim *s = guest_busy_create(c);
    all = (struct collect){.sim = guest_busy_create(c)};
    guest_busy_user(&first, &last);
    sim_probe_add(all.sim, lin(first), collect_probe, &all);
    sim_run(all.sim, 60000);
    sim_destroy(all.sim);
    assert_in_range(all.steps.count, 3, FINDS_MAX - 1);
    l = (struct steps){.travel = travel_of(s, interval)};
    sim_probe_add(s, lin(first), at_probe, &l);
    run_to(l.travel, 60000);
    unsigned least = all.steps.count > 40 ? all.steps.count - 40 : 0;
    for (unsigned n = all.steps.count; n-- > least;) {
        assert_int_equal(travel_search_back(l.travel), TRAVEL_FOUND);
        assert_at(s, &all.steps.at[n], n);
    }
    if (least == 0) {
        assert_int_equal(travel_search_back(l.travel), TRAVEL_NOTHING);
        assert_int_equal(sim_instructions(s), 0);
    }
    travel_free(l.travel);
    sim_destroy(s);
}

static void probes_are_found_one_by_one(void **state)
{
    (void)state;
    for (unsigned variant = 0; variant < VARIANTS; variant++) {
        struct timing_params timing;
        struct sim_config c = variant_config(variant, &timing);
        check_probes(&c, 0);
        check_probes(&c, 2500);
    }
}

/* What a store to a place had before: the position, in the straight run by a boundary, in the other by going back. */
struct stores {
    struct sim *sim;
    struct travel *travel; /* or NULL: they are collected */
    struct position next, at[FINDS_MAX];
    unsigned count;
};

static void note_next(void *arg, struct sim *s, unsigned cpu)
{
    struct stores *l = arg;
    (void)cpu;
    l->next = sim_position(s);
}

static void at_store(void *arg, unsigned cpu, bool write)
{
    struct stores *l = arg;
    assert_true(write);
    if (l->travel) {
        travel_found_inside(l->travel, cpu);
    } else if (l->count < FINDS_MAX &&
               (l->count == 0 || memcmp(&l->next, &l->at[l->count - 1], sizeof l->next) != 0)) {
        assert_int_equal(l->next.cpu, cpu);
        l->at[l->count++] = l->next;
    }
}

static void check_stores(const struct sim_config *c, struct sim_access what, uint64_t interval)
{
    static struct stores all, l;
    struct sim *s = guest_busy_create(c);
    all = (struct stores){.sim = guest_busy_create(c)};
    sim_access_add(all.sim, &what, at_store, &all);
    sim_on_boundary(all.sim, note_next, &all);
    sim_run(all.sim, 50000);
    sim_destroy(all.sim);
    assert_in_range(all.count, 3, FINDS_MAX - 1);
    l = (struct stores){.travel = travel_of(s, interval)};
    int id = sim_access_add(s, &what, at_store, &l);
    run_to(l.travel, 50000);
    unsigned least = all.count > 40 ? all.count - 40 : 0;
    for (unsigned n = all.count; n-- > least;) {
        assert_int_equal(travel_search_back(l.travel), TRAVEL_FOUND);
        assert_at(s, &all.at[n], n);
    }
    sim_access_remove(s, id);
    struct moment here = travel_now(l.travel);
    assert_int_equal(travel_search_back(l.travel), TRAVEL_NOTHING);
    assert_true(travel_go(l.travel, &here));
    travel_free(l.travel);
    sim_destroy(s);
}

static void stores_are_found_one_by_one(void **state)
{
    (void)state;
    const struct sim_access what = {.first =
                                        lin(0x303000) /* the counters of the timer and of system calls */,
                                    .size_bytes = 8,
                                    .writes = true};
    for (unsigned variant = 0; variant < VARIANTS; variant++) {
        struct timing_params timing;
        struct sim_config c = variant_config(variant, &timing);
        check_stores(&c, what, 0);
        check_stores(&c, what, 2500);
    }
}

/* ---- another future ---- */

static void an_effect_in_the_past_makes_another_future(void **state)
{
    (void)state;
    struct straight h;
    struct error e;
    struct effect other = {.kind = EFFECT_STALL, .cpu = 0, .arg = {0, 5000}};
    struct sim *s = guest_busy_create(NULL), *alone = guest_busy_create(NULL);
    struct travel *t = travel_of(s, 2000);
    make_history(t, &h);
    assert_true(travel_go(t, &h.moments[7]));
    assert_int_equal(travel_future_count(t), 8);
    assert_true(travel_effect(t, &other, &e));
    assert_int_equal(travel_future_count(t), 0);
    run_to(t, 90000);
    struct digest there = sim_state_hash(s);
    struct moment end = travel_now(t);
    for (unsigned i = 0; i <= 7; i++) {
        struct effect f = effect_of(i);
        sim_run(alone, FIRST_CYCLE + i * CUT_CYCLES);
        assert_true(i % 4 != 0 || sim_effect(alone, &f, NULL));
    }
    assert_true(sim_effect(alone, &other, NULL));
    sim_run(alone, 90000);
    assert_true(digest_equal(sim_state_hash(alone), there));
    assert_true(travel_go(t, &h.moments[3]));
    assert_true(travel_go(t, &end));
    assert_true(digest_equal(sim_state_hash(s), there));
    travel_free(t);
    sim_destroy(s);
    sim_destroy(alone);
}

static void the_effects_of_a_recording_come_at_their_places(void **state)
{
    (void)state;
    struct straight h;
    struct error e;
    struct sim *s = guest_busy_create(NULL), *again = guest_busy_create(NULL);
    struct travel *t = travel_of(s, 0);
    make_history(t, &h);
    struct digest end = sim_state_hash(s);
    struct effect log[CUTS];
    size_t count = sim_effect_count(s);
    for (size_t i = 0; i < count; i++) {
        log[i] = *sim_effect_get(s, i);
    }
    const struct travel_options o = {.budget_bytes = BUDGET, .future = log, .future_count = count};
    struct travel *replay = travel_create(again, &o);
    assert_int_equal(travel_run(replay, h.moments[CUTS - 1].cycles, &e), SIM_STOP_CYCLES);
    assert_true(digest_equal(sim_state_hash(again), end));
    assert_int_equal(travel_future_count(replay), 0);
    travel_free(t);
    travel_free(replay);
    log[3].position = (struct position){.kind = POSITION_AFTER_EVENT, .at = 1}; /* which was long ago */
    sim_destroy(again);
    again = guest_busy_create(NULL);
    replay = travel_create(again, &o);
    travel_run(replay, h.moments[CUTS - 1].cycles, &e);
    assert_non_null(strstr(e.text, "effect 4"));
    travel_free(replay);
    sim_destroy(s);
    sim_destroy(again);
}

GUEST_CODE(exit_code,
           ".code32\n movl $30000, %ecx\n 1: loop 1b\n movb $21, %al\n outb %al, $0xf4\n 2: jmp 2b\n.code64");

static void from_the_end_of_a_run_there_is_a_way_back(void **state)
{
    (void)state;
    struct error e;
    struct sim *s = guest_create(NULL, exit_code, exit_code_end);
    struct travel *t = travel_of(s, 0);
    assert_int_equal(travel_run(t, UINT64_MAX, &e), SIM_STOP_DEBUG_EXIT);
    struct moment end = travel_now(t);
    uint64_t instructions = end.instructions;
    assert_int_equal(end.ended, SIM_STOP_DEBUG_EXIT);
    assert_int_equal(travel_step_back(t, 0), TRAVEL_FOUND);
    assert_int_equal(sim_instructions(s), instructions - 1);
    assert_int_equal(travel_now(t).ended, SIM_RUNNING);
    assert_true(travel_go(t, &end));
    assert_int_equal(sim_instructions(s), instructions);
    assert_int_equal(sim_exit_value(s), 21);
    assert_int_equal(travel_run(t, UINT64_MAX, &e), SIM_STOP_DEBUG_EXIT);
    travel_free(t);
    sim_destroy(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jumps_lead_to_what_a_straight_run_had),
        cmocka_unit_test(a_small_budget_thins_the_history_and_keeps_it_right),
        cmocka_unit_test(steps_back_are_the_steps_forward_in_reverse),
        cmocka_unit_test(before_the_first_step_there_is_nothing),
        cmocka_unit_test(probes_are_found_one_by_one),
        cmocka_unit_test(stores_are_found_one_by_one),
        cmocka_unit_test(an_effect_in_the_past_makes_another_future),
        cmocka_unit_test(the_effects_of_a_recording_come_at_their_places),
        cmocka_unit_test(from_the_end_of_a_run_there_is_a_way_back),
    };
    return cmocka_run_group_tests_name("travel", tests, NULL, NULL);
}
