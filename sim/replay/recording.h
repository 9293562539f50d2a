#ifndef ORRERY_REPLAY_RECORDING_H
#define ORRERY_REPLAY_RECORDING_H

/*
 * A recording: all that a run follows from (docs/model.md, Identity), and how far it came. Configuration and parameters of
 * the timing model are in it, images by digest or whole, what a front end did to the guest as the log of effects, and digests
 * of the machine's parts along the way, so that a replay that differs is told where.
 */

#include "base/status.h"
#include "base/visit.h"
#include "machine/sim.h"

#define RECORDING_VERSION    1u
#define RECORDING_EPOCHS_MAX 256u
#define RECORDING_EFFECT_MAX (UINT32_C(1) << 28)

/* A file that a machine was made of. */
struct recorded_file {
    char *name; /* as it was called, or NULL: there is none */
    struct digest digest;
    uint64_t size;
    uint8_t *bytes; /* size of them, or NULL: not in the recording */
};

/* The machine at a cut: a digest of all its parts, and of each the lowest byte, which mostly tells the part that differs. */
struct recording_epoch {
    uint64_t cycle, digest;
    uint8_t parts[SIM_PARTS_MAX];
};

struct recording_end {
    uint8_t stop; /* enum sim_stop */
    struct position position;
    uint64_t cycles, instructions;
    uint32_t exit_value;
    struct digest state; /* sim_state_hash */
};

struct recording {
    uint32_t versions[VERSION_COUNT];
    struct sim_config config; /* what it points to is below */
    char *cpu_model;
    struct timing_params *timing; /* or NULL */
    struct recorded_file kernel, initrd, disks[SIM_DISKS_MAX];
    char *command_line; /* or NULL */
    struct effect *effects;
    uint32_t effect_count;
    struct recording_epoch *epochs; /* RECORDING_EPOCHS_MAX of them */
    uint32_t epoch_count;
    struct recording_end end;
};

/* An empty one. */
void recording_init(struct recording *r);
void recording_deinit(struct recording *r);

/* As bytes, and back: what is loaded is hostile. recording_load begins with an uninitialised recording; after false it is
 * empty. */
void recording_encode(struct recording *r, struct state_buffer *out);
bool recording_decode(const char *name, struct state_buffer *in, struct recording *r, struct error *e);
bool recording_save(struct recording *r, const char *name, struct error *e);
bool recording_load(const char *name, struct recording *r, struct error *e);

/* Can this program replay it? The message names the version that differs. */
bool recording_is_ours(const char *name, const struct recording *r, struct error *e);

#endif
