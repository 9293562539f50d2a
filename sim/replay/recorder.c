/*
 * Taking a recording. Digests are taken every so many instructions, at the first cut behind them; when there would be too
 * many, every second one goes and the distance doubles.
 */

#include "replay/recorder.h"

#include "base/alloc.h"
#include "base/bits.h"
#include "base/file.h"
#include "replay/epoch.h"

#include <string.h>

#define CUT_CYCLES         UINT64_C(1000000)  /* between looks: a third of a millisecond of guest time */
#define EPOCH_INSTRUCTIONS UINT64_C(10000000) /* at first */

struct recorder {
    struct sim *sim;
    struct recording recording;
    uint64_t distance, next_instructions, cut_cycles;
    bool (*stop_wanted)(void);
};

/* ---- along the way ---- */

static void thin_out(struct recorder *r)
{
    struct recording *rec = &r->recording;
    for (uint32_t i = 1; i < rec->epoch_count; i += 2) {
        rec->epochs[i / 2] = rec->epochs[i];
    }
    rec->epoch_count /= 2;
    r->distance *= 2;
}

static uint64_t on_cut(void *arg, struct sim *s)
{
    struct recorder *r = arg;
    struct recording *rec = &r->recording;
    if (sim_instructions(s) >= r->next_instructions) {
        if (rec->epoch_count == RECORDING_EPOCHS_MAX) {
            thin_out(r);
        }
        epoch_take(s, &rec->epochs[rec->epoch_count++]);
        r->next_instructions = sim_instructions(s) + r->distance;
    }
    if (r->stop_wanted && r->stop_wanted()) {
        sim_stop_ask(s);
    }
    return sim_cycles(s) + r->cut_cycles;
}

/* ---- begin and end ---- */

static void keep_file(struct recorded_file *f, const char *name, const uint8_t *bytes, size_t size,
                      bool embed)
{
    *f = (struct recorded_file){.name = alloc_text(name), .digest = digest_bytes(bytes, size), .size = size};
    if (embed) {
        f->bytes = alloc_zeroed(size + 1, 1);
        memcpy(f->bytes, bytes, size);
    }
}

static bool keep_disk(struct recorder *r, unsigned i, const struct recorder_options *o, struct error *e)
{
    struct recorded_file *f = &r->recording.disks[i];
    f->name = alloc_text(o->disk_names[i]);
    f->digest = sim_disk_file(r->sim, i, &f->size);
    if (!o->embed) {
        return true;
    }
    struct file_bytes file;
    if (!file_read(f->name, f->size, &file, e)) {
        return false;
    }
    f->bytes = file.bytes;
    return (file.size == f->size && digest_equal(f->digest, digest_bytes(file.bytes, file.size))) ||
           error_set(e, "%s: has changed since the machine has read it", f->name);
}

static void keep_config(struct recorder *r)
{
    struct recording *rec = &r->recording;
    const struct sim_config *c = sim_get_config(r->sim);
    rec->config = *c;
    rec->cpu_model = alloc_text(c->cpu_model);
    if (c->timing) {
        rec->timing = alloc_zeroed(1, sizeof *rec->timing);
        *rec->timing = *c->timing;
    }
}

struct recorder *recorder_start(struct sim *s, const struct recorder_options *o, struct error *e)
{
    const struct sim_image *image = o->image;
    struct recorder *r = alloc_zeroed(1, sizeof *r);
    r->sim = s;
    r->stop_wanted = o->stop_wanted;
    r->distance = r->next_instructions = o->epoch_instructions ? o->epoch_instructions : EPOCH_INSTRUCTIONS;
    r->cut_cycles = least_of(CUT_CYCLES, r->distance);
    recording_init(&r->recording);
    keep_config(r);
    keep_file(&r->recording.kernel, image->kernel_name, image->kernel, image->kernel_size, o->embed);
    if (image->initrd) {
        keep_file(&r->recording.initrd, o->initrd_name, image->initrd, image->initrd_size, o->embed);
    }
    r->recording.command_line = alloc_text(image->command_line);
    for (unsigned i = 0; i < sim_get_config(s)->disk_count; i++) {
        if (!keep_disk(r, i, o, e)) {
            recorder_free(r);
            return NULL;
        }
    }
    sim_on_cut(s, sim_cycles(s) + r->cut_cycles, on_cut, r);
    return r;
}

static void keep_effects(struct recorder *r)
{
    struct recording *rec = &r->recording;
    size_t count = sim_effect_count(r->sim);
    CHECK(count <= RECORDING_EFFECT_MAX, "%zu effects", count);
    free(rec->effects);
    rec->effects = alloc_zeroed(count + 1, sizeof *rec->effects);
    rec->effect_count = (uint32_t)count;
    for (size_t i = 0; i < count; i++) {
        rec->effects[i] = *sim_effect_get(r->sim, i);
    }
}

bool recorder_save(struct recorder *r, enum sim_stop stop, const char *name, struct error *e)
{
    sim_on_cut(r->sim, 0, NULL, NULL);
    keep_effects(r);
    r->recording.end = (struct recording_end){
        .stop = (uint8_t)stop,
        .position = sim_position(r->sim),
        .cycles = sim_cycles(r->sim),
        .instructions = sim_instructions(r->sim),
        .exit_value = sim_exit_value(r->sim),
        .state = sim_state_hash(r->sim),
    };
    return recording_save(&r->recording, name, e);
}

void recorder_free(struct recorder *r)
{
    if (r) {
        sim_on_cut(r->sim, 0, NULL, NULL);
        recording_deinit(&r->recording);
        free(r);
    }
}
