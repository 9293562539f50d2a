/* One list of what a recording holds, for writing and reading. */

#include "replay/recording.h"

#include "base/alloc.h"
#include "replay/container.h"

#include <string.h>

#define TEXT_MAX (UINT32_C(1) << 20)

void recording_init(struct recording *r)
{
    *r = (struct recording){.epochs = alloc_zeroed(RECORDING_EPOCHS_MAX, sizeof *r->epochs)};
    sim_config_init(&r->config);
    for (unsigned i = 0; i < VERSION_COUNT; i++) {
        r->versions[i] = sim_version((enum sim_version)i);
    }
}

static void free_file(struct recorded_file *f)
{
    free(f->name);
    free(f->bytes);
}

void recording_deinit(struct recording *r)
{
    free_file(&r->kernel);
    free_file(&r->initrd);
    for (unsigned i = 0; i < SIM_DISKS_MAX; i++) {
        free_file(&r->disks[i]);
    }
    free(r->cpu_model);
    free(r->timing);
    free(r->command_line);
    free(r->effects);
    free(r->epochs);
    *r = (struct recording){0};
}

/* ---- the list ---- */

/* Of what has a length: room is what may still come, so that no length makes us take more memory than the file has bytes. */
static uint64_t room_of(const struct visitor *v)
{
    const struct buffer_visitor *b = (const struct buffer_visitor *)v;
    return v->loading ? b->buffer->size - b->buffer->position : UINT64_MAX;
}

static void visit_bytes(struct visitor *v, const char *name, uint8_t **bytes, uint64_t *size, uint64_t most)
{
    uint64_t length = *bytes ? *size : 0;
    bool has = *bytes != NULL;
    visit_bool(v, name, &has);
    visit_u64(v, name, &length);
    visit_require(v, name, length <= (has ? most : 0) && length <= room_of(v));
    if (v->failed || !has) {
        return;
    }
    if (v->loading) {
        *bytes = alloc_zeroed(length + 1, 1);
        *size = length;
    }
    visit_array(v, name, *bytes, 1, length);
}

static void visit_text(struct visitor *v, const char *name, char **text)
{
    uint64_t size = *text ? strlen(*text) : 0;
    visit_bytes(v, name, (uint8_t **)text, &size, TEXT_MAX);
    visit_require(v, name, !*text || strlen(*text) == size);
}

static void visit_file(struct visitor *v, const char *name, struct recorded_file *f)
{
    uint64_t size = f->size;
    visit_text(v, name, &f->name);
    visit_digest(v, name, &f->digest);
    visit_u64(v, name, &f->size);
    visit_bytes(v, name, &f->bytes, &size, UINT64_MAX);
    visit_require(v, name, !f->bytes || size == f->size);
}

static void visit_timing(struct visitor *v, struct timing_params **timing)
{
    bool has = *timing != NULL;
    visit_bool(v, "timing model", &has);
    if (!has || v->failed) {
        return;
    }
    if (v->loading) {
        *timing = alloc_zeroed(1, sizeof **timing);
    }
    visit_array(v, "timing model", (*timing)->name, 1, TIMING_NAME_MAX);
    visit_require(v, "timing model", (*timing)->name[TIMING_NAME_MAX - 1] == 0);
    timing_params_visit(*timing, v);
}

static void visit_machine(struct visitor *v, struct recording *r)
{
    uint8_t model = (uint8_t)r->config.memory_model;
    sim_config_visit(&r->config, v);
    visit_choice(v, "memory model", &model, MODEL_TSO);
    r->config.memory_model = (enum sim_memory_model)model;
    visit_u32(v, "store capacity", &r->config.store_capacity);
    visit_bool(v, "look-ahead", &r->config.lookahead);
    visit_text(v, "CPU model", &r->cpu_model);
    visit_timing(v, &r->timing);
}

static void visit_position(struct visitor *v, struct position *p)
{
    visit_u16(v, "position", &p->kind);
    visit_u16(v, "position's vCPU", &p->cpu);
    visit_u64(v, "position's time", &p->at);
    visit_u64(v, "position's instruction", &p->retired);
    visit_u64(v, "position's iteration", &p->rcx);
    visit_require(v, "position", p->kind <= POSITION_AFTER_EVENT);
}

static void visit_effect(struct visitor *v, struct effect *f)
{
    visit_position(v, &f->position);
    visit_u64(v, "clock", &f->at_cycles);
    visit_u16(v, "kind", &f->kind);
    visit_u16(v, "vCPU", &f->cpu);
    visit_array(v, "arguments", f->arg, 8, 4);
    visit_count(v, "bytes", &f->byte_count, EFFECT_BYTES_MAX);
    visit_array(v, "bytes", f->bytes, 1, f->byte_count);
    visit_require(v, "kind", f->kind < EFFECT_KIND_COUNT);
}

#define EFFECT_BYTES_LEAST 76u /* of one in a file */

static void visit_effects(struct visitor *v, struct recording *r)
{
    visit_count(v, "effects", &r->effect_count, RECORDING_EFFECT_MAX);
    visit_require(v, "effects", r->effect_count <= room_of(v) / EFFECT_BYTES_LEAST);
    if (v->failed) {
        r->effect_count = 0;
        return;
    }
    if (v->loading) {
        r->effects = alloc_zeroed((size_t)r->effect_count + 1, sizeof *r->effects);
    }
    for (uint32_t i = 0; i < r->effect_count; i++) {
        visit_enter(v, "effect", i);
        visit_effect(v, &r->effects[i]);
        visit_leave(v);
    }
}

static void visit_epochs(struct visitor *v, struct recording *r)
{
    visit_count(v, "epochs", &r->epoch_count, RECORDING_EPOCHS_MAX);
    for (uint32_t i = 0; i < r->epoch_count; i++) {
        struct recording_epoch *epoch = &r->epochs[i];
        visit_enter(v, "epoch", i);
        visit_u64(v, "cycle", &epoch->cycle);
        visit_u64(v, "digest", &epoch->digest);
        visit_array(v, "parts", epoch->parts, 1, SIM_PARTS(r->config.cpus));
        visit_require(v, "cycle", i == 0 || epoch->cycle > r->epochs[i - 1].cycle);
        visit_leave(v);
    }
}

static void visit_end(struct visitor *v, struct recording_end *end)
{
    visit_choice(v, "stop", &end->stop, SIM_STOP_NOT_MODELLED);
    visit_position(v, &end->position);
    visit_u64(v, "cycles", &end->cycles);
    visit_u64(v, "instructions", &end->instructions);
    visit_u32(v, "exit value", &end->exit_value);
    visit_digest(v, "state", &end->state);
}

static void visit_recording(struct visitor *v, struct recording *r)
{
    visit_array(v, "versions", r->versions, 4, VERSION_COUNT);
    visit_machine(v, r);
    visit_require(v, "cpus", r->config.cpus >= 1 && r->config.cpus <= SIM_CPUS_MAX);
    if (v->failed) {
        return;
    }
    visit_file(v, "kernel", &r->kernel);
    visit_file(v, "initrd", &r->initrd);
    for (unsigned i = 0; i < r->config.disk_count; i++) {
        visit_file(v, "disk", &r->disks[i]);
    }
    visit_text(v, "command line", &r->command_line);
    visit_effects(v, r);
    visit_epochs(v, r);
    visit_end(v, &r->end);
}

/* ---- files ---- */

void recording_encode(struct recording *r, struct state_buffer *out)
{
    struct buffer_visitor v;
    save_visitor_init(&v, VISIT_MODEL, out);
    visit_recording(&v.base, r);
    CHECK(!v.base.failed, "a recording is not what it must be");
}

bool recording_decode(const char *name, struct state_buffer *in, struct recording *r, struct error *e)
{
    struct buffer_visitor v;
    recording_init(r);
    load_visitor_init(&v, VISIT_MODEL, in);
    visit_recording(&v.base, r);
    visit_require(&v.base, "end", in->position == in->size);
    if (v.base.failed || !r->kernel.name) {
        recording_deinit(r);
        return error_set(e, "%s: no recording: its %s cannot be", name, v.base.failed ? v.where : "kernel");
    }
    r->config.cpu_model = r->cpu_model;
    r->config.timing = r->timing;
    return true;
}

bool recording_save(struct recording *r, const char *name, struct error *e)
{
    struct state_buffer payload = {0};
    recording_encode(r, &payload);
    bool good = container_save(name, CONTAINER_RECORDING, RECORDING_VERSION, &payload, e);
    state_buffer_deinit(&payload);
    return good;
}

bool recording_load(const char *name, struct recording *r, struct error *e)
{
    struct state_buffer payload;
    *r = (struct recording){0};
    bool good = container_load(name, CONTAINER_RECORDING, RECORDING_VERSION, &payload, e) &&
                recording_decode(name, &payload, r, e);
    state_buffer_deinit(&payload);
    return good;
}

bool recording_is_ours(const char *name, const struct recording *r, struct error *e)
{
    for (unsigned i = 0; i < VERSION_COUNT; i++) {
        uint32_t ours = sim_version((enum sim_version)i);
        if (r->versions[i] != ours) {
            return error_set(e, "%s: made with %s of version %u; this program has version %u", name,
                             sim_version_name((enum sim_version)i), r->versions[i], ours);
        }
    }
    return true;
}
