#ifndef ORRERY_REPLAY_RECORDER_H
#define ORRERY_REPLAY_RECORDER_H

/* Records a machine while somebody runs it. It looks now and then and changes nothing: a run is the same with and without. */

#include "replay/recording.h"

struct recorder;

/* What the machine was loaded with, and whether that is to be in the file as well. */
struct recorder_options {
    const struct sim_image *image;
    const char *initrd_name;       /* or NULL */
    const char *const *disk_names; /* as many as the machine has disks */
    bool embed;
    uint64_t epoch_instructions; /* between digests, at first; 0: the usual 10 million */
    bool (*stop_wanted)(void);   /* asked now and then: shall sim_run return SIM_STOP_ASKED? Or NULL */
};

/* Begins after sim_load, before anything has run. False with a message: a disk's file is no longer what the machine read. */
struct recorder *recorder_start(struct sim *s, const struct recorder_options *o, struct error *e);
/* From here on nothing is recorded any more; writes the file. stop: what the last sim_run returned. */
bool recorder_save(struct recorder *r, enum sim_stop stop, const char *name, struct error *e);
void recorder_free(struct recorder *r); /* NULL is none */

#endif
