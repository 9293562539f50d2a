/* A recording says all that a run follows from: a machine made from it alone goes the same way, and one that does not is told. */

#define _DEFAULT_SOURCE /* mkstemp */

#include "guest_busy.h"
#include "guest_image.h"
#include "replay/container.h"
#include "replay/player.h"
#include "replay/recorder.h"
#include "script/machine_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define EPOCH     1000u
#define SLICES    12u
#define SLICE     9001u
#define NAME_SIZE 64u

struct files {
    char image[NAME_SIZE], recording[NAME_SIZE];
};

static void temporary(char name[NAME_SIZE])
{
    snprintf(name, NAME_SIZE, "/tmp/orrery-replay-XXXXXX");
    int fd = mkstemp(name);
    assert_true(fd >= 0);
    close(fd);
}

static void write_file(const char *name, const uint8_t *bytes, size_t size)
{
    FILE *f = fopen(name, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

static int make_files(void **state)
{
    static struct files f;
    size_t size;
    uint8_t *image = guest_busy_image(&size);
    temporary(f.image);
    temporary(f.recording);
    write_file(f.image, image, size);
    free(image);
    *state = &f;
    return 0;
}

static int remove_files(void **state)
{
    struct files *f = *state;
    unlink(f->image);
    unlink(f->recording);
    return 0;
}

static void at_probe(void *arg, unsigned cpu, uint64_t now_cycles)
{
    struct sim *s = arg;
    struct effect f = {.kind = EFFECT_MEMORY, .cpu = (uint16_t)cpu, .arg = {0x308000}, .byte_count = 8};
    memcpy(f.bytes, &now_cycles, 8);
    assert_true(sim_effect(s, &f, NULL));
    sim_stop_ask(s);
}

/* A front end that does one thing after another, at limits, at a probe and where an observer has stopped the run. */
static void drive(struct sim *s)
{
    uint64_t first, last;
    guest_busy_user(&first, &last);
    for (unsigned i = 0; i < SLICES; i++) {
        int probe = i % 4 == 3 ? sim_probe_add(s, lin(first), at_probe, s) : -1;
        sim_run(s, sim_cycles(s) + SLICE);
        if (probe >= 0) {
            sim_probe_remove(s, probe);
        }
        struct effect stall = {
            .kind = EFFECT_STALL, .cpu = (uint16_t)(i % sim_get_config(s)->cpus), .arg = {i * 1000, 77}};
        assert_true(sim_effect(s, &stall, NULL));
        assert_true(sim_serial_send(s, 0, "key", 3, NULL));
    }
}

static struct sim_config config_of(unsigned cpus, enum sim_engine engine)
{
    struct sim_config c;
    sim_config_init(&c);
    c.memory_bytes = SIM_MEMORY_MIN;
    c.cpus = cpus;
    c.engine = engine;
    return c;
}

/* Records a driven run; returns the digest of its end. */
static struct digest record(const struct files *f, const struct sim_config *c, bool embed)
{
    struct error e = {""};
    size_t size;
    uint8_t *bytes = guest_busy_image(&size);
    struct sim_image image = {f->image, bytes, size, NULL, 0, NULL};
    const struct recorder_options o = {.image = &image, .embed = embed, .epoch_instructions = EPOCH};
    struct sim *s = sim_create(c, &e);
    assert_non_null(s);
    assert_true(sim_load(s, &image, &e));
    struct recorder *r = recorder_start(s, &o, &e);
    assert_non_null(r);
    drive(s);
    struct digest end = sim_state_hash(s);
    if (!recorder_save(r, sim_last_stop(s), f->recording, &e)) {
        fail_msg("%s", e.text);
    }
    recorder_free(r);
    sim_destroy(s);
    free(bytes);
    return end;
}

static struct digest run_unrecorded(const struct sim_config *c)
{
    struct sim *s = guest_busy_create(c);
    drive(s);
    struct digest end = sim_state_hash(s);
    sim_destroy(s);
    return end;
}

static struct recording load(const struct files *f)
{
    struct recording r;
    struct error e = {""};
    if (!recording_load(f->recording, &r, &e) || !recording_is_ours(f->recording, &r, &e)) {
        fail_msg("%s", e.text);
    }
    return r;
}

static struct player *open_player(const struct recording *r)
{
    static const struct player_files as_recorded;
    struct error e = {""};
    struct player *p = player_create(r, &as_recorded, &e);
    if (!p) {
        fail_msg("%s", e.text);
    }
    return p;
}

static void a_replay_comes_to_the_same_end_and_recording_changes_nothing(void **state)
{
    const struct files *f = *state;
    for (unsigned variant = 0; variant < 6; variant++) {
        struct sim_config c = config_of(variant % 3 == 0   ? 1
                                        : variant % 3 == 1 ? 2
                                                           : 4,
                                        variant < 3 ? ENGINE_FAST : ENGINE_TIMED);
        struct error e = {""};
        struct digest end = record(f, &c, false);
        assert_true(digest_equal(end, run_unrecorded(&c)));
        struct recording r = load(f);
        assert_int_equal(r.effect_count, 2 * SLICES + SLICES / 4);
        assert_true(r.epoch_count >= 3);
        struct player *p = open_player(&r);
        if (player_run(p, UINT64_MAX, &e) != PLAYER_END) {
            fail_msg("%s", e.text);
        }
        assert_true(digest_equal(end, sim_state_hash(player_sim(p))));
        assert_int_equal(player_effects(p), r.effect_count);
        assert_int_equal(player_epochs(p), r.epoch_count);
        player_free(p);
        recording_deinit(&r);
    }
}

static void a_replay_may_be_cut_anywhere(void **state)
{
    const struct files *f = *state;
    struct sim_config c = config_of(2, ENGINE_TIMED);
    struct error e = {""};
    struct digest end = record(f, &c, false);
    struct recording r = load(f);
    struct player *p = open_player(&r);
    for (uint64_t at = 1; at < r.end.cycles; at += 777) {
        assert_int_equal(player_run(p, at, &e), PLAYER_LIMIT);
        assert_true(sim_cycles(player_sim(p)) == at);
    }
    assert_int_equal(player_run(p, UINT64_MAX, &e), PLAYER_END);
    assert_true(digest_equal(end, sim_state_hash(player_sim(p))));
    player_free(p);
    recording_deinit(&r);
}

/* Plays what was recorded after something has been made wrong; returns the message. */
static struct error play_wrong(const struct recording *r)
{
    struct error e = {""};
    struct player *p = open_player(r);
    assert_int_equal(player_run(p, UINT64_MAX, &e), PLAYER_DIVERGED);
    struct error again = {""};
    assert_int_equal(player_run(p, UINT64_MAX, &again), PLAYER_DIVERGED);
    assert_string_equal(e.text, again.text);
    player_free(p);
    return e;
}

static void a_divergence_names_its_epoch_and_what_differs(void **state)
{
    const struct files *f = *state;
    struct sim_config c = config_of(4, ENGINE_FAST);
    record(f, &c, false);
    struct recording r = load(f);

    r.epochs[2].digest ^= 1;
    r.epochs[2].parts[3] ^= 1;
    struct error e = play_wrong(&r);
    assert_non_null(strstr(e.text, "epoch 3 of "));
    assert_non_null(strstr(e.text, ": vCPU 2"));
    r.epochs[2].parts[3] ^= 1;
    r.epochs[2].parts[0] ^= 1;
    e = play_wrong(&r);
    assert_non_null(strstr(e.text, ": RAM"));
    r.epochs[2].parts[0] ^= 1;
    r.epochs[2].digest ^= 1;

    r.config.seed++; /* really another machine */
    e = play_wrong(&r);
    assert_non_null(strstr(e.text, "epoch 1 of "));
    r.config.seed--;

    uint64_t cycles = r.end.cycles;
    r.end.state.lo ^= 1;
    e = play_wrong(&r);
    assert_non_null(strstr(e.text, "at the end"));
    r.end.state.lo ^= 1;
    assert_int_equal(r.end.cycles, cycles);

    /* a place that this run does not have: the vCPU waits to be started */
    r.effects[0].position = (struct position){.kind = POSITION_BEFORE_STEP, .cpu = 1, .at = 100};
    e = play_wrong(&r);
    assert_non_null(strstr(e.text, "effect 1 (stall)"));
    recording_deinit(&r);
}

static void files_are_the_recorded_ones_or_refused(void **state)
{
    const struct files *f = *state;
    struct sim_config c = config_of(1, ENGINE_FAST);
    struct player_files elsewhere = {.kernel = f->recording};
    struct error e = {""};
    record(f, &c, false);
    struct recording r = load(f);
    assert_null(player_create(&r, &elsewhere, &e));
    assert_non_null(strstr(e.text, "not the file that was recorded"));
    elsewhere.kernel = "/nonexistent/kernel";
    assert_null(player_create(&r, &elsewhere, &e));
    assert_non_null(strstr(e.text, "/nonexistent/kernel"));
    recording_deinit(&r);

    struct digest end = record(f, &c, true);
    r = load(f);
    free(r.kernel.name);
    r.kernel.name = strdup("/nonexistent/kernel");
    struct player *p = open_player(&r);
    assert_int_equal(player_run(p, UINT64_MAX, &e), PLAYER_END);
    assert_true(digest_equal(end, sim_state_hash(player_sim(p))));
    player_free(p);
    r.kernel.bytes[40] ^= 1;
    const struct player_files as_recorded = {0};
    assert_null(player_create(&r, &as_recorded, &e));
    recording_deinit(&r);
}

static void another_version_is_refused_by_name(void **state)
{
    const struct files *f = *state;
    struct sim_config c = config_of(1, ENGINE_FAST);
    record(f, &c, false);
    for (unsigned i = 0; i < VERSION_COUNT; i++) {
        struct recording r = load(f);
        struct error e = {""};
        r.versions[i]++;
        assert_false(recording_is_ours("x.orec", &r, &e));
        assert_non_null(strstr(e.text, sim_version_name((enum sim_version)i)));
        assert_non_null(strstr(e.text, "x.orec"));
        recording_deinit(&r);
    }
    struct state_buffer payload;
    struct error e = {""};
    assert_false(container_load(f->recording, CONTAINER_RECORDING, RECORDING_VERSION + 1, &payload, &e));
    assert_non_null(strstr(e.text, "version"));
    assert_false(container_load(f->recording, CONTAINER_SNAPSHOT, RECORDING_VERSION, &payload, &e));
    assert_non_null(strstr(e.text, "a recording, not a snapshot"));
}

static void digests_are_at_most_so_many(void **state)
{
    const struct files *f = *state;
    struct sim_config c = config_of(2, ENGINE_FAST);
    struct error e = {""};
    size_t size;
    uint8_t *bytes = guest_busy_image(&size);
    struct sim_image image = {f->image, bytes, size, NULL, 0, NULL};
    const struct recorder_options o = {.image = &image, .epoch_instructions = 100};
    struct sim *s = sim_create(&c, &e);
    assert_true(s && sim_load(s, &image, &e));
    struct recorder *r = recorder_start(s, &o, &e);
    sim_run(s, 400000);
    assert_true(recorder_save(r, sim_last_stop(s), f->recording, &e));
    recorder_free(r);
    sim_destroy(s);
    free(bytes);
    struct recording rec = load(f);
    assert_in_range(rec.epoch_count, RECORDING_EPOCHS_MAX / 2, RECORDING_EPOCHS_MAX);
    struct player *p = open_player(&rec);
    assert_int_equal(player_run(p, UINT64_MAX, &e), PLAYER_END);
    assert_int_equal(player_epochs(p), rec.epoch_count);
    player_free(p);
    recording_deinit(&rec);
}

/* Instructions that retire in one cycle; a probe at the second NOP sets EAX. Whoever does so at another of them is forgotten by
 * the XOR or leaves the number to the IMUL. */
GUEST_CODE(dense_code, ".code32\n movl $0x300000, %edi\n"
                       "1: xorl %eax, %eax\n nop\n nop\n nop\n imull $3, %eax, %ebx\n addl %ebx, %edx\n"
                       " nop\n nop\n jmp 1b\n.code64");
#define DENSE_PROBE (GUEST_BASE + 5u + 3u)

static void set_eax(void *arg, unsigned cpu, uint64_t now_cycles)
{
    struct effect f = {.kind = EFFECT_REGISTER, .cpu = (uint16_t)cpu, .arg = {0, now_cycles}};
    assert_true(sim_effect(arg, &f, NULL));
}

/* A machine of the reference model with this code, recorded while drive runs it, and played. Returns the number of effects. */
static uint32_t record_and_play(const struct files *f, unsigned cpus, uint8_t *bytes, size_t size,
                                void (*drive_it)(struct sim *s))
{
    struct timing_params timing;
    struct sim_config c = config_of(cpus, ENGINE_TIMED);
    struct error e = {""};
    c.machine = "zen4-like";
    assert_true(machine_file_resolve(&c, &timing, &e));
    struct sim_image image = {f->image, bytes, size, NULL, 0, NULL};
    const struct recorder_options o = {.image = &image, .embed = true, .epoch_instructions = EPOCH};
    struct sim *s = sim_create(&c, &e);
    assert_true(s && sim_load(s, &image, &e));
    struct recorder *r = recorder_start(s, &o, &e);
    drive_it(s);
    if (!recorder_save(r, sim_last_stop(s), f->recording, &e)) {
        fail_msg("%s", e.text);
    }
    recorder_free(r);
    sim_destroy(s);
    free(bytes);
    struct recording rec = load(f);
    struct player *p = open_player(&rec);
    if (player_run(p, UINT64_MAX, &e) != PLAYER_END) {
        fail_msg("%s", e.text);
    }
    uint32_t effects = player_effects(p);
    player_free(p);
    recording_deinit(&rec);
    return effects;
}

static void drive_at_probe(struct sim *s)
{
    sim_run(s, 3000);
    int probe = sim_probe_add(s, lin(DENSE_PROBE), set_eax, s);
    sim_run(s, 4000);
    sim_probe_remove(s, probe);
    sim_run(s, 6000);
}

static void instructions_of_one_cycle_are_told_apart(void **state)
{
    size_t size;
    uint8_t *bytes = guest_image(dense_code, dense_code_end, &size);
    assert_true(record_and_play(*state, 1, bytes, size, drive_at_probe) > 100);
}

struct stopper {
    struct sim *sim;
    unsigned seen, iterations;
    bool iterates; /* where it has stopped */
};

static void stop_now_and_then(void *target, const struct timing_record *r)
{
    struct stopper *t = target;
    if (t->seen++ % 37 == 0) {
        sim_stop_ask(t->sim);
        t->iterates = r->kind == TIMING_RECORD_ITERATION;
        t->iterations += t->iterates;
    }
}

/* What the copy reads next, and RCX: an effect one iteration late or early shows. */
static void drive_at_steps(struct sim *s)
{
    struct stopper t = {.sim = s};
    sim_watch_steps(s, stop_now_and_then, &t);
    for (unsigned i = 0; i < 600; i++) {
        struct position p;
        assert_int_equal(sim_run(s, UINT64_MAX), SIM_STOP_ASKED);
        p = sim_position(s);
        struct effect rcx = {
            .kind = EFFECT_REGISTER, .cpu = p.cpu, .arg = {1, t.iterates && p.rcx > 2 ? p.rcx - 1 : p.rcx}};
        struct effect bytes = {
            .kind = EFFECT_MEMORY, .arg = {0x306000 + i % 200}, .byte_count = 1, .bytes = {(uint8_t)i}};
        assert_true(sim_effect(s, &rcx, NULL));
        assert_true(sim_effect(s, &bytes, NULL));
    }
    assert_true(t.iterations > 20);
    sim_unwatch_steps(s, stop_now_and_then, &t);
    sim_run(s, sim_cycles(s) + 1000);
}

static void iterations_of_one_cycle_are_told_apart(void **state)
{
    for (unsigned cpus = 1; cpus <= 2; cpus++) {
        size_t size;
        uint8_t *bytes = guest_busy_image(&size);
        assert_int_equal(record_and_play(*state, cpus, bytes, size, drive_at_steps), 1200);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_replay_comes_to_the_same_end_and_recording_changes_nothing),
        cmocka_unit_test(a_replay_may_be_cut_anywhere),
        cmocka_unit_test(a_divergence_names_its_epoch_and_what_differs),
        cmocka_unit_test(files_are_the_recorded_ones_or_refused),
        cmocka_unit_test(another_version_is_refused_by_name),
        cmocka_unit_test(digests_are_at_most_so_many),
        cmocka_unit_test(instructions_of_one_cycle_are_told_apart),
        cmocka_unit_test(iterations_of_one_cycle_are_told_apart),
    };
    return cmocka_run_group_tests(tests, make_files, remove_files);
}
