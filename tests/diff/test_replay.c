/* A driven run against the replay of its log: four vCPUs, effects from probes, from stops that an observer asked for and
 * from between runs, on both engines and both memory models. Equal digests at the end, or the log is not enough. */

#include "base/bits.h"
#include "base/rng.h"
#include "guest_image.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define CPUS       4u
#define PARK_AT    0x8000u /* the other vCPUs' loop, in real mode */
#define COUNTER_AT 0x9000u

/* The first vCPU copies the loop of the others to PARK_AT, starts them (INIT, SIPI to all but self) and counts; every
 * 64th round it writes to the debug console. The loops touch one counter without LOCK, so that order shows. */
GUEST_CODE(
    storm_code,
    ".code32\n"
    " movl $0x200000 + 2f - storm_code, %esi\n movl $0x8000, %edi\n movl $32, %ecx\n rep movsb\n"
    " movl $0x000c4500, 0xfee00300\n movl $1000, %ecx\n 1: loop 1b\n"
    " movl $0x000c4608, 0xfee00300\n"
    " 4: incl 0x9000\n incl %ebx\n testl $63, %ebx\n jnz 4b\n movb %bl, %al\n outb %al, $0xe9\n jmp 4b\n"
    ".code16\n"
    " 2: xorw %ax, %ax\n movw %ax, %ds\n"
    " 3: incl 0x9000\n incw %bx\n jmp 3b\n nop\n nop\n.code64\n .fill 32, 1, 0x90");

#define LOOP_AT (PARK_AT + 4u) /* label 3 */

struct driver {
    struct sim *s;
    struct rng random;
    unsigned applied;
};

static void random_effect(struct driver *d)
{
    struct effect f = {.cpu = (uint16_t)rng_below(&d->random, CPUS)};
    switch (rng_below(&d->random, 5)) {
    case 0:
        f.kind = EFFECT_REGISTER;
        f.arg[0] = 7; /* RDI */
        f.arg[1] = rng_next(&d->random);
        break;
    case 1:
        f.kind = EFFECT_MEMORY;
        f.arg[0] = COUNTER_AT;
        f.byte_count = 2;
        f.bytes[0] = (uint8_t)rng_next(&d->random);
        break;
    case 2: {
        struct sim_regs r;
        sim_get_regs(d->s, f.cpu, &r);
        f.kind = EFFECT_STALL;
        f.arg[0] = r.retired + rng_below(&d->random, 20);
        f.arg[1] = rng_below(&d->random, 50);
        break;
    }
    case 3:
        f.kind = EFFECT_INTERRUPT;
        f.arg[0] = 32 + rng_below(&d->random, 200);
        break;
    default:
        f.kind = EFFECT_SERIAL_INPUT;
        f.byte_count = 1;
        f.bytes[0] = 'x';
        break;
    }
    if (sim_effect(d->s, &f, NULL)) { /* refused when a line or the list of stalls is full */
        d->applied++;
    }
}

static void on_probe(void *arg, unsigned cpu, uint64_t now_cycles)
{
    struct driver *d = arg;
    (void)cpu;
    (void)now_cycles;
    if (rng_below(&d->random, 40) == 0) {
        random_effect(d);
    }
}

static void on_output(void *arg, unsigned port, uint8_t byte, uint64_t now_cycles)
{
    struct driver *d = arg;
    struct effect f = {.kind = EFFECT_REGISTER, .arg = {7, 1}};
    (void)port;
    (void)now_cycles;
    assert_false(sim_effect(d->s, &f, NULL)); /* inside an instruction: refused */
    if (byte & 64) {
        sim_stop_ask(d->s);
    }
}

static struct sim *create(enum sim_engine engine, enum sim_memory_model model)
{
    struct sim_config c;
    sim_config_init(&c);
    c.cpus = CPUS;
    c.engine = engine;
    c.memory_model = model;
    return guest_create(&c, storm_code, storm_code_end);
}

static void drive(struct driver *d, uint64_t end)
{
    sim_on_output(d->s, on_output, d);
    sim_probe_add(d->s, lin(LOOP_AT), on_probe, d);
    while (sim_cycles(d->s) < end) {
        uint64_t until = sim_cycles(d->s) + 1 + rng_below(&d->random, 400);
        enum sim_stop stop = sim_run(d->s, until < end ? until : end);
        assert_true(stop == SIM_STOP_ASKED || stop == SIM_STOP_CYCLES);
        if (sim_cycles(d->s) < end && rng_below(&d->random, 4) == 0) {
            random_effect(d);
            random_effect(d);
        }
    }
}

static void compare(enum sim_engine engine, enum sim_memory_model model, uint64_t seed)
{
    const uint64_t end = 40000;
    struct driver d = {.s = create(engine, model)};
    struct sim *again = create(engine, model);
    struct error e = {""};
    rng_init(&d.random, seed, 0);
    drive(&d, end);
    assert_true(d.applied > 100);
    bool seen[POSITION_AFTER_EVENT + 1] = {false};
    for (size_t i = 0; i < sim_effect_count(d.s); i++) {
        seen[sim_effect_get(d.s, i)->position.kind] = true;
    }
    assert_true(seen[POSITION_BEFORE_CYCLE] && seen[POSITION_BEFORE_STEP] && seen[POSITION_AFTER_STEP]);
    if (!sim_replay(again, sim_effect_get(d.s, 0), sim_effect_count(d.s), &e)) {
        fail_msg("%s", e.text);
    }
    sim_run(again, end);
    assert_int_equal(sim_instructions(again), sim_instructions(d.s));
    assert_true(digest_equal(sim_state_hash(again), sim_state_hash(d.s)));
    sim_destroy(d.s);
    sim_destroy(again);
}

static void a_log_replays_on_every_engine_and_memory_model(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        compare(ENGINE_FAST, MODEL_SC, seed);
        compare(ENGINE_FAST, MODEL_TSO, seed);
        compare(ENGINE_TIMED, MODEL_SC, seed);
        compare(ENGINE_TIMED, MODEL_TSO, seed);
    }
}

static void a_log_of_another_machine_is_told_by_the_effect_that_does_not_fit(void **state)
{
    (void)state;
    struct driver d = {.s = create(ENGINE_FAST, MODEL_SC)};
    struct error e = {""};
    rng_init(&d.random, 1, 0);
    drive(&d, 20000);
    struct sim_config c;
    sim_config_init(&c);
    GUEST_CODE(other_code, ".code32\n movb $16, %al\n outb %al, $0xf4\n.code64");
    c.cpus = CPUS;
    struct sim *other = guest_create(&c, other_code, other_code_end);
    assert_false(sim_replay(other, sim_effect_get(d.s, 0), sim_effect_count(d.s), &e));
    assert_non_null(strstr(e.text, "effect "));
    sim_destroy(d.s);
    sim_destroy(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_log_replays_on_every_engine_and_memory_model),
        cmocka_unit_test(a_log_of_another_machine_is_told_by_the_effect_that_does_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
