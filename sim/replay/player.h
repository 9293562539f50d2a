#ifndef ORRERY_REPLAY_PLAYER_H
#define ORRERY_REPLAY_PLAYER_H

/* Runs a recording again: the machine that it tells of, from its beginning, with every effect at its position and no front end. */

#include "replay/recording.h"

/* Where files are now; NULL: where they were, or in the recording. */
struct player_files {
    const char *kernel, *initrd, *disks[SIM_DISKS_MAX];
};

enum player_result {
    PLAYER_END,     /* as recorded, to the end */
    PLAYER_LIMIT,   /* as recorded, to the cycle that was asked for */
    PLAYER_STOPPED, /* an observer has asked to stop */
    PLAYER_DIVERGED /* not as recorded; the message says where and what */
};

struct player;

/* The recording, which is of this program's versions, outlives the player. NULL: a file is gone or is another one. */
struct player *player_create(const struct recording *r, const struct player_files *files, struct error *e);
void player_free(struct player *p); /* NULL is none */

/* The machine, to look at. It may have observers; whoever changes it spoils the replay. */
struct sim *player_sim(const struct player *p);
/* The kernel's bytes, for symbols. */
const uint8_t *player_kernel(const struct player *p, size_t *size);

/* Goes on, at most to this cycle. After PLAYER_DIVERGED there is no way on. */
enum player_result player_run(struct player *p, uint64_t until_cycles, struct error *e);

/* Effects applied and epochs found equal, so far. */
uint32_t player_effects(const struct player *p);
uint32_t player_epochs(const struct player *p);

#endif
