/* Straight on = back to any checkpoint and on again, whatever was between, on every engine. */

#include "base/rng.h"
#include "guest_busy.h"
#include "guest_image.h"
#include "machine/machine.h"
#include "script/machine_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define CUTS        60u
#define CUT_CYCLES  1499u
#define FIRST_CYCLE 12000u
#define JUMPS       300u

struct history {
    struct checkpoint *checkpoints[CUTS];
    struct digest states[CUTS];
};

static uint64_t cycle_of(unsigned cut)
{
    return FIRST_CYCLE + cut * CUT_CYCLES;
}

static void assert_is(struct sim *s, const struct history *h, unsigned cut, const char *how)
{
    if (!digest_equal(sim_state_hash(s), h->states[cut])) {
        fail_msg("%s, cut %u at cycle %llu", how, cut, (unsigned long long)cycle_of(cut));
    }
}

static void run_straight(const struct sim_config *c, struct history *h)
{
    struct sim *s = guest_busy_create(c);
    for (unsigned i = 0; i < CUTS; i++) {
        assert_int_equal(sim_run(s, cycle_of(i)), SIM_STOP_CYCLES);
        h->states[i] = sim_state_hash(s);
    }
    sim_destroy(s);
}

/* Back to one of the checkpoints, on for a few cuts; now and then one is taken anew. */
static void jump_about(const struct sim_config *c, struct history *h, struct rng *rng)
{
    struct sim *s = guest_busy_create(c);
    for (unsigned i = 0; i < CUTS; i++) {
        assert_int_equal(sim_run(s, cycle_of(i)), SIM_STOP_CYCLES);
        h->checkpoints[i] = sim_checkpoint(s);
    }
    for (unsigned jump = 0; jump < JUMPS; jump++) {
        unsigned at = (unsigned)rng_below(rng, CUTS), last = at + (unsigned)rng_below(rng, 4);
        sim_go_back(s, h->checkpoints[at]);
        if (rng_below(rng, 2)) {
            assert_is(s, h, at, "back");
        }
        while (at < last && at + 1 < CUTS) {
            at++;
            assert_int_equal(sim_run(s, cycle_of(at)), SIM_STOP_CYCLES);
            if (rng_below(rng, 3) == 0) {
                checkpoint_free(h->checkpoints[at]);
                h->checkpoints[at] = sim_checkpoint(s);
            }
        }
        assert_is(s, h, at, "on");
    }
    sim_destroy(s);
    for (unsigned i = 0; i < CUTS; i++) {
        checkpoint_free(h->checkpoints[i]);
    }
}

static void check(const struct sim_config *c)
{
    struct history h;
    struct rng rng;
    rng_init(&rng, c->cpus, c->engine);
    run_straight(c, &h);
    jump_about(c, &h, &rng);
}

static void jumps_among_checkpoints_of_the_fast_engine(void **state)
{
    (void)state;
    for (unsigned variant = 0; variant < 8; variant++) {
        struct sim_config c;
        sim_config_init(&c);
        c.memory_bytes = SIM_MEMORY_MIN;
        c.cpus = variant & 1 ? 4 : 1;
        c.memory_model = variant & 2 ? MODEL_TSO : MODEL_SC;
        c.translate = variant & 4;
        check(&c);
    }
}

static void jumps_among_checkpoints_of_the_timed_engine(void **state)
{
    (void)state;
    for (unsigned variant = 0; variant < 4; variant++) {
        struct sim_config c;
        struct timing_params timing;
        struct error e = {""};
        sim_config_init(&c);
        c.memory_bytes = SIM_MEMORY_MIN;
        c.cpus = variant & 1 ? 4 : 1;
        c.engine = ENGINE_TIMED;
        c.machine = variant & 2 ? "zen4-like" : "flat";
        if (!machine_file_resolve(&c, &timing, &e)) {
            fail_msg("%s", e.text);
        }
        check(&c);
    }
}

/* Exits with what the instruction at 1 has in it, which an effect changes. */
GUEST_CODE(
    patched_code,
    ".code32\n movl $0x280000, %esp\n movl $3000, %ecx\n 2: call 1f\n loop 2b\n outb %al, $0xf4\n 3: jmp 3b\n"
    ".balign 4096\n 1: movb $21, %al\n ret\n.code64");

static void code_that_was_changed_since_is_what_it_was(void **state)
{
    (void)state;
    struct sim *s = guest_create(NULL, patched_code, patched_code_end);
    assert_int_equal(sim_run(s, 5000), SIM_STOP_CYCLES);
    struct checkpoint *c = sim_checkpoint(s);
    uint64_t patched = GUEST_BASE;
    uint8_t byte[2] = {0};
    while (byte[0] != 0xb0 || byte[1] != 21) {
        patched++;
        assert_true(sim_read_physical(s, phys(patched), byte, 2));
    }
    struct effect f = {.kind = EFFECT_MEMORY, .arg = {patched + 1}, .byte_count = 1, .bytes = {33}};
    for (unsigned i = 0; i < 4; i++) {
        sim_go_back(s, c);
        assert_int_equal(sim_effect_count(s), 0);
        if (i & 1) {
            assert_true(sim_effect(s, &f, NULL));
        }
        assert_int_equal(sim_run(s, UINT64_MAX), SIM_STOP_DEBUG_EXIT);
        assert_int_equal(sim_exit_value(s), i & 1 ? 33 : 21);
    }
    checkpoint_free(c);
    sim_destroy(s);
}

static void checkpoints_share_what_was_not_written(void **state)
{
    (void)state;
    struct sim *s = guest_busy_create(NULL);
    struct effect f = {.kind = EFFECT_MEMORY, .arg = {0x600000}, .byte_count = 1, .bytes = {33}};
    struct checkpoint *first = sim_checkpoint(s);
    uint64_t pages = sim_checkpoint_pages_bytes(s);
    struct checkpoint *nothing = sim_checkpoint(s);
    assert_in_range(sim_checkpoint_pages_bytes(s) - pages, 1, 64);
    assert_true(sim_effect(s, &f, NULL));
    struct checkpoint *one = sim_checkpoint(s);
    assert_in_range(sim_checkpoint_pages_bytes(s) - pages, PAGE_SIZE_BYTES, 4 * PAGE_SIZE_BYTES + 512);
    assert_in_range(checkpoint_bytes(one), 1000, 1000000);
    checkpoint_free(first);
    checkpoint_free(nothing);
    checkpoint_free(one);
    checkpoint_free(NULL);
    sim_destroy(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jumps_among_checkpoints_of_the_fast_engine),
        cmocka_unit_test(jumps_among_checkpoints_of_the_timed_engine),
        cmocka_unit_test(code_that_was_changed_since_is_what_it_was),
        cmocka_unit_test(checkpoints_share_what_was_not_written),
    };
    return cmocka_run_group_tests_name("checkpoint", tests, NULL, NULL);
}
