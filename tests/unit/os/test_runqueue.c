/*
 * Host tests of the run queue: order of classes and levels, round robin, shares by weight, placement, slices, the bound of
 * the real-time class, budgets and admission of the deadline class, changes while queued, against plain models. One cycle
 * is a nanosecond.
 */
#include "fake/fake_arch.h"

#include "sched/fair.h"
#include "test/random.h"

#define MS     1000000ull
#define SECOND (1000 * MS)

static struct run_queue queue;
static struct sched_entity *running;
static uint64_t now;

static int start(void **state)
{
    (void)state;
    sched_tunables_init();
    run_queue_init(&queue, "test.queue");
    running = NULL;
    now = 1000 * SECOND;
    run_queue_advance(&queue, now);
    return 0;
}

static void make(struct sched_entity *entity, const struct sched_params *params)
{
    memset(entity, 0, sizeof(*entity));
    assert_ok(sched_params_check(params));
    sched_entity_set(entity, params);
}

static void make_ready(struct sched_entity *entity, struct sched_params params)
{
    make(entity, &params);
    run_queue_add(&queue, entity, RUN_NEW, now);
}

static void switch_next(enum run_reason reason)
{
    if (running != NULL) {
        run_queue_add(&queue, running, reason, now);
    }
    running = run_queue_take(&queue, now);
}

/* What the scheduler does when the timer fires or somebody is made ready. */
static void look(void)
{
    if (run_queue_should_switch(&queue, running)) {
        bool expired = running != NULL && running->class_id != CLASS_DEADLINE && running->slice_left == 0;
        switch_next(expired ? RUN_EXPIRED : RUN_PREEMPTED);
    } else if (running != NULL) {
        run_queue_renew(&queue, running);
    }
    assert_true(run_queue_check(&queue));
}

static void pass(uint64_t cycles)
{
    now += cycles;
    if (running != NULL) {
        run_queue_charge(&queue, running, cycles, now);
    } else {
        run_queue_advance(&queue, now);
    }
    look();
}

/* Runs from event to event until the time has come. */
static void run_until(uint64_t end)
{
    while (now < end) {
        uint64_t event = run_queue_next_event(&queue, running, now);
        pass((event < end ? event : end) - now);
    }
}

static void wake(struct sched_entity *entity)
{
    run_queue_add(&queue, entity, RUN_WOKEN, now);
    look();
}

static struct sched_entity *block(void)
{
    struct sched_entity *blocked = running;
    running = run_queue_take(&queue, now);
    return blocked;
}

static const struct sched_params fair = {.policy = SCHED_FAIR};

/* covers: SC-02 SC-05 */
static void classes_run_in_strict_order(void **state)
{
    (void)state;
    struct sched_entity e[6];
    make_ready(&e[0], (struct sched_params){.policy = SCHED_IDLE});
    make_ready(&e[1], fair);
    make_ready(&e[2], (struct sched_params){.policy = SCHED_RR, .level = 3});
    make_ready(&e[3], (struct sched_params){.policy = SCHED_FIFO, .level = 30});
    make_ready(&e[4], (struct sched_params){.policy = SCHED_FIFO, .level = SCHED_LEVEL_KERNEL});
    make_ready(&e[5],
               (struct sched_params){
                   .policy = SCHED_DEADLINE, .runtime_ns = MS, .deadline_ns = 10 * MS, .period_ns = 10 * MS});
    for (unsigned i = 6; i-- > 0;) {
        assert_true(run_queue_should_switch(&queue, NULL));
        assert_ptr_equal(run_queue_take(&queue, now), &e[i]);
        assert_true(run_queue_check(&queue));
    }
    assert_null(run_queue_take(&queue, now));
    assert_int_equal(queue.ready_count, 0);
}

/* Order trace of one level: round robin by slices, FIFO until it yields, the preempted one goes on first. covers: SC-01 */
static void levels_are_round_robin_or_first_come(void **state)
{
    (void)state;
    struct sched_entity e[3];
    struct sched_entity high;
    for (unsigned i = 0; i < 3; i++) {
        make_ready(&e[i], (struct sched_params){.policy = SCHED_RR, .level = 5});
    }
    look();
    for (unsigned turn = 0; turn < 30; turn++) {
        assert_ptr_equal(running, &e[turn % 3]);
        pass(SCHED_SLICE_DEFAULT_NS / 2);
        assert_ptr_equal(running, &e[turn % 3]);
        if (turn == 16) { /* preempted in the middle of a slice: goes on first, with what is left of it */
            make(&high, &(struct sched_params){.policy = SCHED_FIFO, .level = 6});
            wake(&high);
            assert_ptr_equal(running, &high);
            pass(7 * SCHED_SLICE_DEFAULT_NS);
            assert_ptr_equal(running, &high);
            block();
            assert_ptr_equal(running, &e[turn % 3]);
        }
        pass(SCHED_SLICE_DEFAULT_NS / 2);
    }
    start(NULL);
    for (unsigned i = 0; i < 3; i++) {
        make_ready(&e[i], (struct sched_params){.policy = SCHED_FIFO, .level = 5});
    }
    look();
    pass(SECOND / 2);
    assert_ptr_equal(running, &e[0]);
    switch_next(RUN_YIELDED);
    assert_ptr_equal(running, &e[1]);
}

/* Weights 1:2:4 over 10 s, and nice 0 against nice 5. covers: SC-04 */
static void shares_follow_weights(void **state)
{
    (void)state;
    struct sched_entity e[3];
    for (unsigned i = 0; i < 3; i++) {
        make_ready(&e[i], (struct sched_params){.policy = SCHED_FAIR, .weight = 1024u << i});
    }
    look();
    uint64_t begin = now;
    run_until(begin + 10 * SECOND);
    for (unsigned i = 0; i < 3; i++) {
        double share = (double)e[i].run_cycles / (double)(10 * SECOND);
        double wanted = (double)(1u << i) / 7.0;
        assert_true(share > wanted * 0.99 && share < wanted * 1.01);
    }
    assert_int_equal(e[0].run_cycles + e[1].run_cycles + e[2].run_cycles, 10 * SECOND);

    start(NULL);
    make_ready(&e[0], fair);
    make_ready(&e[1], (struct sched_params){.policy = SCHED_FAIR, .nice = 5});
    look();
    begin = now;
    run_until(begin + 10 * SECOND);
    double ratio = (double)e[0].run_cycles / (double)e[1].run_cycles;
    assert_true(ratio > 1024.0 / 335.0 * 0.99 && ratio < 1024.0 / 335.0 * 1.01);
}

/* Who slept for a minute gains at most SCHED_SLEEPER_NS; who is new starts one slice behind. covers: SC-04 */
static void placement_of_sleepers_and_new_ones_is_bounded(void **state)
{
    (void)state;
    struct sched_entity e[2];
    struct sched_entity late;
    make_ready(&e[0], fair);
    make_ready(&e[1], fair);
    look();
    struct sched_entity *sleeper = block();
    run_until(now + 60 * SECOND);
    uint64_t used = sleeper->run_cycles;
    wake(sleeper);
    assert_ptr_equal(running, sleeper); /* it is behind: runs at once */
    uint64_t woken = now;
    run_until(now + SECOND);
    uint64_t got = sleeper->run_cycles - used;
    assert_true(got >= SECOND / 2 && got <= SECOND / 2 + SCHED_SLEEPER_NS + SCHED_SLICE_DEFAULT_NS);
    assert_int_equal(now - woken, SECOND);

    make_ready(&late, fair);
    look();
    assert_ptr_not_equal(running, &late);
    uint64_t born = now;
    while (running != &late) {
        pass(run_queue_next_event(&queue, running, now) - now);
    }
    assert_true(now - born >= SCHED_SLICE_FLOOR_NS && now - born <= 3 * SCHED_LATENCY_NS);
    run_until(born + 3 * SECOND);
    assert_true(late.run_cycles <= SECOND + SCHED_SLICE_DEFAULT_NS &&
                late.run_cycles >= SECOND - 2 * SCHED_LATENCY_NS);
}

/* 10 ms for one or two, then the latency is divided, down to the floor. covers: SC-06 PR-02 */
static void slices_shrink_with_load_down_to_the_floor(void **state)
{
    (void)state;
    static struct sched_entity e[64];
    uint64_t shortest = UINT64_MAX;
    for (unsigned n = 1; n <= 64; n++) {
        make_ready(&e[n - 1], fair);
        struct sched_entity *next = run_queue_take(&queue, now);
        uint64_t wanted = SCHED_LATENCY_NS / n;
        wanted = wanted > SCHED_SLICE_DEFAULT_NS ? SCHED_SLICE_DEFAULT_NS : wanted;
        wanted = wanted < SCHED_SLICE_FLOOR_NS ? SCHED_SLICE_FLOOR_NS : wanted;
        assert_int_equal(next->slice_left, wanted);
        shortest = next->slice_left < shortest ? next->slice_left : shortest;
        run_queue_add(&queue, next, RUN_PREEMPTED, now);
    }
    assert_int_equal(shortest, SCHED_SLICE_FLOOR_NS);
    start(NULL);
    make_ready(&e[0], (struct sched_params){.policy = SCHED_RR, .level = 1, .slice_ns = 3 * MS});
    assert_int_equal(run_queue_take(&queue, now)->slice_left, 3 * MS);
}

/* covers: SC-05 */
static void realtime_leaves_a_share_to_those_below(void **state)
{
    (void)state;
    struct sched_entity spinner;
    struct sched_entity poor;
    struct sched_entity kernel;
    make_ready(&spinner, (struct sched_params){.policy = SCHED_FIFO, .level = 10});
    look();
    run_until(now + 3 * SECOND); /* nobody below: all of it */
    assert_int_equal(spinner.run_cycles, 3 * SECOND);
    make(&poor, &fair);
    wake(&poor);
    run_until(now + 10 * SECOND);
    assert_true(poor.run_cycles >= SECOND / 2 && poor.run_cycles <= SECOND / 2 + SECOND / 20);
    make(&kernel, &(struct sched_params){.policy = SCHED_FIFO, .level = SCHED_LEVEL_KERNEL});
    wake(&kernel);
    run_until(now + 3 * SECOND); /* the kernel's own level is not held back */
    assert_int_equal(kernel.run_cycles, 3 * SECOND);
}

static void make_deadline(struct sched_entity *entity, uint64_t runtime, uint64_t deadline, uint64_t period)
{
    make(entity,
         &(struct sched_params){
             .policy = SCHED_DEADLINE, .runtime_ns = runtime, .deadline_ns = deadline, .period_ns = period});
}

/* Three greedy tasks with 90 % of the CPU beside a fair one: each gets its budget in every period, before its deadline,
 * and no more. covers: SC-05 */
static void deadlines_are_kept_and_budgets_too(void **state)
{
    (void)state;
    static const uint64_t shape[3][2] = {{2 * MS, 10 * MS}, {6 * MS, 15 * MS}, {9 * MS, 30 * MS}};
    struct sched_entity e[3];
    struct sched_entity poor;
    for (unsigned i = 0; i < 3; i++) {
        make_deadline(&e[i], shape[i][0], shape[i][1], shape[i][1]);
        assert_true(run_queue_admit(&queue, &e[i], NULL));
    }
    make_ready(&poor, fair);
    for (unsigned i = 0; i < 3; i++) {
        run_queue_add(&queue, &e[i], RUN_NEW, now);
    }
    look();
    uint64_t begin = now;
    for (unsigned ms = 10; ms <= 3000; ms++) {
        run_until(begin + ms * MS);
        for (unsigned i = 0; i < 3; i++) {
            uint64_t periods = ms * MS / shape[i][1];
            assert_true(e[i].run_cycles >= periods * shape[i][0]);
            assert_true(e[i].run_cycles <= (periods + 1) * shape[i][0]);
        }
    }
    assert_int_equal(poor.run_cycles, 3 * SECOND - 3 * SECOND * 9 / 10);
}

/* covers: SC-05 */
static void admission_stops_at_95_percent(void **state)
{
    (void)state;
    struct sched_entity e[4];
    make_deadline(&e[0], 50 * MS, 100 * MS, 100 * MS);
    make_deadline(&e[1], 40 * MS, 100 * MS, 100 * MS);
    make_deadline(&e[2], 6 * MS, 100 * MS, 100 * MS);
    make_deadline(&e[3], 4 * MS, 100 * MS, 200 * MS);
    assert_true(run_queue_admit(&queue, &e[0], NULL));
    assert_true(run_queue_admit(&queue, &e[1], NULL));
    assert_false(run_queue_admit(&queue, &e[2], NULL));
    assert_true(run_queue_admit(&queue, &e[3], NULL)); /* by its deadline, not by its period */
    assert_false(run_queue_admit(&queue, &e[3], NULL));
    run_queue_release(&queue, &e[1]);
    assert_true(run_queue_admit(&queue, &e[2], NULL));
}

/* One share for another: what is promised is never more than the limit, nor less than what is held. covers: SC-05 */
static void a_share_is_changed_in_one_step(void **state)
{
    (void)state;
    struct sched_entity half, forty, more, most;
    make_deadline(&half, 50 * MS, 100 * MS, 100 * MS);
    make_deadline(&forty, 40 * MS, 100 * MS, 100 * MS);
    make_deadline(&more, 44 * MS, 100 * MS, 100 * MS);
    make_deadline(&most, 46 * MS, 100 * MS, 100 * MS);
    assert_true(run_queue_admit(&queue, &half, NULL) && run_queue_admit(&queue, &forty, NULL));
    assert_false(run_queue_admit(&queue, &most, &forty));
    assert_int_equal(queue.deadline_bandwidth, half.bandwidth + forty.bandwidth); /* as before */
    assert_true(run_queue_admit(&queue, &more, &forty));
    assert_int_equal(queue.deadline_bandwidth, half.bandwidth + more.bandwidth);
    assert_true(run_queue_admit(&queue, &forty, &more));
    assert_int_equal(queue.deadline_bandwidth, half.bandwidth + forty.bandwidth);
}

/* A deadline task that yields waits for its next period; one that sleeps short cannot collect budget. */
static void budgets_do_not_pile_up(void **state)
{
    (void)state;
    struct sched_entity e;
    make_deadline(&e, 5 * MS, 10 * MS, 10 * MS);
    run_queue_add(&queue, &e, RUN_NEW, now);
    look();
    uint64_t begin = now;
    pass(MS);
    switch_next(RUN_YIELDED);
    assert_null(running);
    assert_int_equal(run_queue_next_event(&queue, running, now), begin + 10 * MS);
    pass(9 * MS);
    assert_ptr_equal(running, &e);
    pass(MS);
    block();
    pass(8 * MS); /* 1 ms before its deadline it would still have 4 ms */
    wake(&e);
    run_until(begin + 29 * MS);
    assert_int_equal(e.run_cycles,
                     2 * MS + 5 * MS); /* a fresh period from the wake-up: 5 ms until 10 ms later */
}

/* covers: SC-31 */
static void a_change_of_priority_while_queued_counts_at_once(void **state)
{
    (void)state;
    struct sched_entity e[3];
    for (unsigned i = 0; i < 3; i++) {
        make_ready(&e[i], (struct sched_params){.policy = SCHED_RR, .level = 10});
    }
    look();
    assert_ptr_equal(running, &e[0]);
    run_queue_remove(&queue, &e[2]);
    sched_entity_set(&e[2], &(struct sched_params){.policy = SCHED_RR, .level = 11});
    run_queue_add(&queue, &e[2], RUN_NEW, now);
    look();
    assert_ptr_equal(running, &e[2]);
    run_queue_remove(&queue, &e[1]);
    sched_entity_set(&e[1], &fair);
    run_queue_add(&queue, &e[1], RUN_NEW, now);
    assert_true(run_queue_check(&queue));
    block();
    assert_ptr_equal(running, &e[0]);
    block();
    assert_ptr_equal(running, &e[1]);
}

static void a_policy_that_no_class_has_is_a_panic(void **state)
{
    (void)state;
    struct sched_entity entity = {.weight = 0};
    assert_panics("no class has policy 99", sched_entity_set(&entity, &(struct sched_params){.policy = 99}));
}

static void parameters_out_of_range_are_refused(void **state)
{
    (void)state;
    static const struct sched_params bad[] = {
        {.policy = 3},
        {.policy = UINT32_MAX},
        {.policy = SCHED_FAIR, .nice = 20},
        {.policy = SCHED_FAIR, .nice = -21},
        {.policy = SCHED_FAIR, .weight = 1},
        {.policy = SCHED_FAIR, .weight = SCHED_WEIGHT_MAX + 1},
        {.policy = SCHED_RR, .level = 32},
        {.policy = SCHED_RR, .slice_ns = 1},
        {.policy = SCHED_FIFO, .level = UINT32_MAX},
        {.policy = SCHED_DEADLINE},
        {.policy = SCHED_DEADLINE, .runtime_ns = MS, .deadline_ns = 3 * MS, .period_ns = 2 * MS},
        {.policy = SCHED_DEADLINE, .runtime_ns = 2 * MS, .deadline_ns = MS, .period_ns = 2 * MS},
        {.policy = SCHED_DEADLINE, .runtime_ns = MS, .deadline_ns = 2 * MS, .period_ns = UINT64_MAX},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_true(sched_params_check(&bad[i]) < 0);
    }
}

/* ---- against a model: a plain array, searched from end to end ---- */

#define MODEL_ITEMS 96u

struct model_item {
    struct sched_entity entity;
    uint64_t order; /* of the insertion; front insertions count down */
    bool in;
};

static struct model_item model[MODEL_ITEMS];

/* Key by which the model orders: class, then level, virtual time or deadline, then order of insertion. */
static bool model_before(const struct model_item *a, const struct model_item *b)
{
    const struct sched_entity *x = &a->entity;
    const struct sched_entity *y = &b->entity;
    if (x->class_id != y->class_id) {
        return x->class_id < y->class_id;
    }
    if (x->class_id == CLASS_REALTIME && x->params.level != y->params.level) {
        return x->params.level > y->params.level;
    }
    uint64_t kx = x->class_id == CLASS_FAIR ? x->virtual_run : x->period_start + x->relative_deadline;
    uint64_t ky = y->class_id == CLASS_FAIR ? y->virtual_run : y->period_start + y->relative_deadline;
    if ((x->class_id == CLASS_FAIR || x->class_id == CLASS_DEADLINE) && kx != ky) {
        return (int64_t)(kx - ky) < 0;
    }
    return (int64_t)(a->order - b->order) < 0;
}

static struct model_item *model_first(void)
{
    struct model_item *best = NULL;
    for (unsigned i = 0; i < MODEL_ITEMS; i++) {
        if (model[i].in && (best == NULL || model_before(&model[i], best))) {
            best = &model[i];
        }
    }
    return best;
}

static struct sched_params random_params(uint64_t *random)
{
    switch (fake_random(random) % 4) {
    case 0:
        return (struct sched_params){.policy = SCHED_DEADLINE,
                                     .runtime_ns = MS,
                                     .deadline_ns = (2 + fake_random(random) % 50) * MS,
                                     .period_ns = 100 * MS};
    case 1:
        return (struct sched_params){.policy = SCHED_RR, .level = (uint32_t)(fake_random(random) % 32)};
    case 2:
        return (struct sched_params){.policy = SCHED_FAIR, .nice = (int32_t)(fake_random(random) % 40) - 20};
    default:
        return (struct sched_params){.policy = SCHED_IDLE};
    }
}

/* covers: SC-01 SC-02 SC-25 */
static void the_queue_equals_a_sorted_list_under_random_changes(void **state)
{
    (void)state;
    uint64_t random = 0xfeed;
    uint64_t order = 0;
    for (unsigned step = 0; step < 60000; step++) {
        struct model_item *item = &model[fake_random(&random) % MODEL_ITEMS];
        if (item->in && fake_random(&random) % 2 == 0) { /* exit, or another policy, while queued */
            run_queue_remove(&queue, &item->entity);
            item->in = false;
        } else if (item->in) {
            struct model_item *first = model_first();
            assert_ptr_equal(run_queue_take(&queue, now), &first->entity);
            first->in = false;
        } else {
            struct sched_params params = random_params(&random);
            make(&item->entity, &params);
            run_queue_add(&queue, &item->entity, RUN_NEW, now);
            item->order = ++order;
            item->in = true;
        }
        if (step % 61 == 0) {
            assert_true(run_queue_check(&queue));
        }
        now += fake_random(&random) % 1000;
    }
}

static bool equal(const struct sched_entity *a, const struct sched_entity *b)
{
    return a->run_cycles == b->run_cycles && a->virtual_run == b->virtual_run &&
           a->slice_left == b->slice_left;
}

/* covers: SC-32 (U), IP-13 (U: the hand-over inline does what charge and hand-over do) */
static void the_inline_hand_over_is_charge_and_hand_over_in_one(void **state)
{
    (void)state;
    uint64_t random = 88172645463325252ull;
    unsigned taken = 0;
    for (unsigned i = 0; i < 20000; i++) {
        (void)random_next(&random);
        struct sched_params one = {.policy = i % 7 == 0 ? SCHED_RR : SCHED_FAIR,
                                   .nice = (int32_t)(random % 40) - 20};
        struct sched_params two = {.policy = i % 11 == 0 ? SCHED_IDLE : SCHED_FAIR};
        one.nice = one.policy == SCHED_FAIR ? one.nice : 0;
        struct sched_entity from[2];
        struct sched_entity to[2];
        make(&from[0], &one);
        make(&to[0], &two);
        from[0].slice_left = random >> 8 & 0xffff;
        from[0].virtual_run = queue.fair_base + (random >> 24 & 0xfffff);
        to[0].virtual_run = queue.fair_base - (random >> 40) % (30 * MS);
        from[1] = from[0];
        to[1] = to[0];
        struct sched_entity waits;
        if (i % 3 == 0) { /* a third one is ready: that changes where virtual time stands */
            make_ready(&waits, (struct sched_params){.policy = SCHED_FAIR});
        }
        struct run_queue other = queue;
        uint64_t cycles = random >> 48;
        bool due = !tree_key_before(now + cycles, queue.realtime_period_end);
        bool done = fair_hand_on(&other, &from[1], &to[1], cycles, now + cycles);
        now += cycles;
        run_queue_charge(&queue, &from[0], cycles, now);
        if (!done) {
            if (i % 3 == 0) {
                run_queue_remove(&queue, &waits);
            }
            assert_true(one.policy != SCHED_FAIR || two.policy != SCHED_FAIR || due ||
                        from[0].slice_left == 0);
            assert_true(equal(&from[1], &to[1]) || from[1].run_cycles == 0);
            continue;
        }
        taken++;
        uint64_t event = run_queue_next_event(&other, &from[1], now);
        assert_true(run_queue_hand_over(&queue, &from[0], &to[0], now));
        assert_true(equal(&from[0], &from[1]) && equal(&to[0], &to[1]) && queue.fair_base == other.fair_base);
        assert_true(run_queue_next_event(&queue, &to[0], now) == event); /* so the timer stays as it is */
        if (i % 3 == 0) {
            run_queue_remove(&queue, &waits);
        }
    }
    assert_true(taken > 5000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(classes_run_in_strict_order, start),
        cmocka_unit_test_setup(levels_are_round_robin_or_first_come, start),
        cmocka_unit_test_setup(shares_follow_weights, start),
        cmocka_unit_test_setup(placement_of_sleepers_and_new_ones_is_bounded, start),
        cmocka_unit_test_setup(slices_shrink_with_load_down_to_the_floor, start),
        cmocka_unit_test_setup(realtime_leaves_a_share_to_those_below, start),
        cmocka_unit_test_setup(deadlines_are_kept_and_budgets_too, start),
        cmocka_unit_test_setup(admission_stops_at_95_percent, start),
        cmocka_unit_test_setup(a_share_is_changed_in_one_step, start),
        cmocka_unit_test_setup(budgets_do_not_pile_up, start),
        cmocka_unit_test_setup(a_change_of_priority_while_queued_counts_at_once, start),
        cmocka_unit_test_setup(parameters_out_of_range_are_refused, start),
        cmocka_unit_test_setup(a_policy_that_no_class_has_is_a_panic, start),
        cmocka_unit_test_setup(the_queue_equals_a_sorted_list_under_random_changes, start),
        cmocka_unit_test_setup(the_inline_hand_over_is_charge_and_hand_over_in_one, start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
