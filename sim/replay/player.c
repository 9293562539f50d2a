/*
 * The replay of a recording. What the machine was made of is checked before it runs, its parts at every epoch, and all of
 * it at the end; the first difference ends the replay.
 */

#include "replay/player.h"

#include "base/alloc.h"
#include "base/file.h"
#include "replay/epoch.h"

#include <stdio.h>

/* A file's bytes: those of the recording, or our own. */
struct image {
    struct file_bytes own;
    const uint8_t *bytes; /* or NULL: there is none */
    size_t size;
};

struct player {
    const struct recording *recording;
    struct image kernel, initrd, disks[SIM_DISKS_MAX];
    struct sim *sim;
    uint32_t next_effect, next_epoch;
    bool diverged;
    struct error why;
};

/* ---- the machine ---- */

static bool open_image(struct image *image, const struct recorded_file *f, const char *name, struct error *e)
{
    if (!f->name) {
        return true;
    }
    if (f->bytes && !name) {
        image->bytes = f->bytes;
        image->size = f->size;
    } else {
        if (!file_read(name ? name : f->name, FILE_MAX_BYTES, &image->own, e)) {
            return false;
        }
        image->bytes = image->own.bytes;
        image->size = image->own.size;
    }
    return (image->size == f->size && digest_equal(digest_bytes(image->bytes, image->size), f->digest)) ||
           error_set(e, "%s: not the file that was recorded (%s, %llu bytes, XXH3 %016llx%016llx)",
                     name ? name : f->name, f->name, (unsigned long long)f->size,
                     (unsigned long long)f->digest.hi, (unsigned long long)f->digest.lo);
}

static bool open_images(struct player *p, const struct player_files *files, struct error *e)
{
    const struct recording *r = p->recording;
    for (unsigned i = 0; i < r->config.disk_count; i++) {
        if (!open_image(&p->disks[i], &r->disks[i], files->disks[i], e)) {
            return false;
        }
    }
    return open_image(&p->kernel, &r->kernel, files->kernel, e) &&
           open_image(&p->initrd, &r->initrd, files->initrd, e);
}

static bool build(struct player *p, struct error *e)
{
    const struct recording *r = p->recording;
    struct sim_config c = r->config;
    for (unsigned i = 0; i < c.disk_count; i++) {
        c.disks[i] = r->disks[i].name;
        c.disk_bytes[i] = p->disks[i].bytes;
        c.disk_sizes[i] = p->disks[i].size;
    }
    struct sim_image image = {
        .kernel_name = r->kernel.name,
        .kernel = p->kernel.bytes,
        .kernel_size = p->kernel.size,
        .initrd = p->initrd.bytes,
        .initrd_size = p->initrd.size,
        .command_line = r->command_line,
    };
    p->sim = (!c.timing || timing_params_check(c.timing, e)) ? sim_create(&c, e) : NULL;
    return p->sim && sim_load(p->sim, &image, e);
}

static uint64_t on_cut(void *arg, struct sim *s)
{
    struct player *p = arg;
    const struct recording *r = p->recording;
    const struct recording_epoch *expected = &r->epochs[p->next_epoch];
    struct error parts;
    if (!epoch_is(s, expected, &parts)) {
        p->diverged = true;
        error_set(&p->why, "epoch %u of %u, between cycles %llu and %llu: %s", p->next_epoch + 1,
                  r->epoch_count, (unsigned long long)(p->next_epoch ? expected[-1].cycle : 0),
                  (unsigned long long)expected->cycle, parts.text);
        sim_stop_ask(s);
        return UINT64_MAX;
    }
    p->next_epoch++;
    return p->next_epoch < r->epoch_count ? r->epochs[p->next_epoch].cycle : UINT64_MAX;
}

struct player *player_create(const struct recording *r, const struct player_files *files, struct error *e)
{
    struct player *p = alloc_zeroed(1, sizeof *p);
    p->recording = r;
    if (!open_images(p, files, e) || !build(p, e)) {
        player_free(p);
        return NULL;
    }
    if (r->epoch_count) {
        sim_on_cut(p->sim, r->epochs[0].cycle, on_cut, p);
    }
    return p;
}

void player_free(struct player *p)
{
    if (!p) {
        return;
    }
    sim_destroy(p->sim);
    file_free(&p->kernel.own);
    file_free(&p->initrd.own);
    for (unsigned i = 0; i < SIM_DISKS_MAX; i++) {
        file_free(&p->disks[i].own);
    }
    free(p);
}

struct sim *player_sim(const struct player *p)
{
    return p->sim;
}

const uint8_t *player_kernel(const struct player *p, size_t *size)
{
    *size = p->kernel.size;
    return p->kernel.bytes;
}

uint32_t player_effects(const struct player *p)
{
    return p->next_effect;
}

uint32_t player_epochs(const struct player *p)
{
    return p->next_epoch;
}

/* ---- running ---- */

static enum player_result diverge(struct player *p, struct error *e)
{
    p->diverged = true;
    error_set(e, "%s", p->why.text);
    return PLAYER_DIVERGED;
}

/* The run does not come to a place where it was: an epoch before that has told why, or somebody has asked to stop, or: */
static enum player_result missed(struct player *p, enum sim_stop stop, const char *what, uint64_t cycle,
                                 struct error *e)
{
    if (!p->diverged && stop == SIM_STOP_ASKED) {
        return PLAYER_STOPPED;
    }
    if (!p->diverged) {
        error_set(&p->why, "behind epoch %u of %u: %s at cycle %llu is not reached", p->next_epoch,
                  p->recording->epoch_count, what, (unsigned long long)cycle);
    }
    return diverge(p, e);
}

/* The effects up to a cycle. PLAYER_LIMIT: they are done. */
static enum player_result apply_effects(struct player *p, uint64_t until_cycles, struct error *e)
{
    const struct recording *r = p->recording;
    for (; p->next_effect < r->effect_count; p->next_effect++) {
        const struct effect *f = &r->effects[p->next_effect];
        char what[64];
        struct error why;
        if (f->at_cycles > until_cycles) {
            break;
        }
        snprintf(what, sizeof what, "effect %u (%s)", p->next_effect + 1,
                 sim_effect_name((enum effect_kind)f->kind));
        if (!sim_go_to(p->sim, f->position, f->at_cycles)) {
            return missed(p, sim_last_stop(p->sim), what, f->at_cycles, e);
        }
        if (!sim_effect(p->sim, f, &why)) {
            error_set(&p->why, "%s at cycle %llu: %s", what, (unsigned long long)f->at_cycles, why.text);
            return diverge(p, e);
        }
    }
    return PLAYER_LIMIT;
}

/* Is the machine at its end what it was? */
static enum player_result compare_end(struct player *p, struct error *e)
{
    const struct recording_end *end = &p->recording->end;
    uint64_t cycles = sim_cycles(p->sim), instructions = sim_instructions(p->sim);
    if (cycles != end->cycles || instructions != end->instructions ||
        sim_exit_value(p->sim) != end->exit_value || !digest_equal(sim_state_hash(p->sim), end->state)) {
        error_set(
            &p->why,
            "behind epoch %u of %u: at the end, cycle %llu (recorded: %llu), %llu instructions (%llu), %s",
            p->next_epoch, p->recording->epoch_count, (unsigned long long)cycles,
            (unsigned long long)end->cycles, (unsigned long long)instructions,
            (unsigned long long)end->instructions, "the machine is another");
        return diverge(p, e);
    }
    return PLAYER_END;
}

static bool is_forever(enum sim_stop stop)
{
    return stop != SIM_RUNNING && stop != SIM_STOP_CYCLES && stop != SIM_STOP_ASKED;
}

static enum player_result go_to_end(struct player *p, struct error *e)
{
    const struct recording_end *end = &p->recording->end;
    enum sim_stop recorded = (enum sim_stop)end->stop, stop = SIM_RUNNING;
    bool there = true;
    if (is_forever(recorded)) {
        stop = sim_run(p->sim, end->cycles == UINT64_MAX ? end->cycles : end->cycles + 1);
        there = stop == recorded;
    } else if (recorded != SIM_RUNNING) {
        there = sim_go_to(p->sim, end->position, end->cycles);
        stop = sim_last_stop(p->sim);
    }
    return there ? compare_end(p, e) : missed(p, stop, "the end", end->cycles, e);
}

enum player_result player_run(struct player *p, uint64_t until_cycles, struct error *e)
{
    if (p->diverged) {
        return diverge(p, e);
    }
    enum player_result effects = apply_effects(p, until_cycles, e);
    if (effects != PLAYER_LIMIT) {
        return effects;
    }
    if (until_cycles >= p->recording->end.cycles) {
        return go_to_end(p, e);
    }
    enum sim_stop stop = sim_run(p->sim, until_cycles);
    return stop == SIM_STOP_CYCLES ? PLAYER_LIMIT : missed(p, stop, "the limit", until_cycles, e);
}
