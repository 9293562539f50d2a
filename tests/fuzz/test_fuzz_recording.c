/*
 * Damaged and forged recordings. A damaged file is refused. A forged one, whose payload says anything at all behind a good
 * checksum, is refused by the visitor, or it is read and can be written again as it was, and whatever it says of a machine is
 * that machine or one line.
 */

#include "fuzz.h"

#include "base/alloc.h"
#include "base/file.h"
#include "replay/container.h"
#include "replay/player.h"

#define MEMORY_MOST  (UINT64_C(64) << 20) /* machines larger than that are not made */
#define CYCLES_MOST  UINT64_C(100000)
#define FILE_NAME_AT "/tmp/orrery-fuzz-recording-XXXXXX"

static void make_recording(struct rng *r, struct recording *rec)
{
    static const char kernel[] = "not a kernel, but somebody's bytes";
    recording_init(rec);
    rec->config.cpus = 1 + fuzz_below(r, 4);
    rec->config.memory_bytes = SIM_MEMORY_MIN;
    rec->cpu_model = alloc_text("orrery");
    rec->command_line = fuzz_one_in(r, 2) ? alloc_text("-- a command") : NULL;
    rec->kernel = (struct recorded_file){.name = alloc_text("kernel.elf"),
                                         .digest = digest_bytes(kernel, sizeof kernel),
                                         .size = sizeof kernel};
    if (fuzz_one_in(r, 2)) {
        rec->kernel.bytes = alloc_zeroed(sizeof kernel, 1);
        memcpy(rec->kernel.bytes, kernel, sizeof kernel);
    }
    rec->effect_count = fuzz_below(r, 5);
    rec->effects = alloc_zeroed(rec->effect_count + 1u, sizeof *rec->effects);
    for (uint32_t i = 0; i < rec->effect_count; i++) {
        rec->effects[i] = (struct effect){.kind = (uint16_t)fuzz_below(r, EFFECT_KIND_COUNT),
                                          .byte_count = fuzz_below(r, EFFECT_BYTES_MAX + 1),
                                          .at_cycles = fuzz_value(r)};
    }
    rec->epoch_count = fuzz_below(r, 4);
    for (uint32_t i = 0; i < rec->epoch_count; i++) {
        rec->epochs[i].cycle = 1000 * (i + 1);
    }
    rec->end.cycles = fuzz_below(r, 5000);
}

static struct state_buffer payload_of(struct rng *r)
{
    struct recording rec;
    struct state_buffer payload = {0};
    make_recording(r, &rec);
    recording_encode(&rec, &payload);
    recording_deinit(&rec);
    return payload;
}

/* What was read can be written, and is the same again. */
static void write_again(struct recording *rec, const struct state_buffer *payload)
{
    struct state_buffer again = {0};
    recording_encode(rec, &again);
    if (again.size != payload->size || memcmp(again.bytes, payload->bytes, again.size) != 0) {
        fail_msg("not the same again; again with: %s", fuzz_command);
    }
    state_buffer_deinit(&again);
}

/* A machine of it, if it may be one of moderate size. */
static void play(const struct recording *rec)
{
    static const struct player_files as_recorded;
    struct error e = {""};
    if (rec->config.memory_bytes > MEMORY_MOST || rec->config.cpus > 8) {
        return;
    }
    struct player *p = player_create(rec, &as_recorded, &e);
    if (p) {
        player_run(p, CYCLES_MOST, &e);
    } else if (!e.text[0]) {
        fail_msg("refused without a word; again with: %s", fuzz_command);
    }
    player_free(p);
}

static void forged_case(struct rng *r, uint64_t seed, void *arg)
{
    (void)seed;
    (void)arg;
    struct state_buffer payload = payload_of(r);
    struct recording rec;
    struct error e = {""};
    if (!fuzz_one_in(r, 50)) {
        payload.size = fuzz_damage(r, payload.bytes, payload.size, 0, payload.size);
    }
    payload.position = 0;
    if (recording_decode("forged", &payload, &rec, &e)) {
        write_again(&rec, &payload);
        play(&rec);
        recording_deinit(&rec);
    } else if (!e.text[0] || strchr(e.text, '\n')) {
        fail_msg("refused without a line; again with: %s", fuzz_command);
    }
    state_buffer_deinit(&payload);
}

static void damaged_case(struct rng *r, uint64_t seed, void *arg)
{
    (void)seed;
    const char *name = arg;
    struct state_buffer payload = payload_of(r), back;
    struct error e = {""};
    struct file_bytes file;
    if (!container_save(name, CONTAINER_RECORDING, 1, &payload, &e) ||
        !file_read(name, FILE_MAX_BYTES, &file, &e)) {
        fail_msg("%s", e.text);
    }
    struct digest whole = digest_bytes(file.bytes, file.size);
    size_t size = fuzz_damage(r, file.bytes, file.size, 0, file.size);
    bool same = size == file.size && digest_equal(whole, digest_bytes(file.bytes, size));
    if (container_unpack("damaged", file.bytes, size, CONTAINER_RECORDING, 1, &back, &e) != same) {
        fail_msg("%s; again with: %s", same ? e.text : "accepted", fuzz_command);
    }
    state_buffer_deinit(&back);
    state_buffer_deinit(&payload);
    file_free(&file);
}

static void a_forged_recording_does_no_harm(void **state)
{
    (void)state;
    fuzz_run("forged", 4000, forged_case, NULL);
}

static void a_damaged_file_is_refused(void **state)
{
    (void)state;
    char name[] = FILE_NAME_AT;
    int fd = mkstemp(name);
    assert_true(fd >= 0);
    close(fd);
    fuzz_run("damaged", 1000, damaged_case, name);
    unlink(name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_forged_recording_does_no_harm),
        cmocka_unit_test(a_damaged_file_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
