#ifndef ORRERY_REPLAY_EPOCH_H
#define ORRERY_REPLAY_EPOCH_H

/* The machine at a cut, as a recording has it. */

#include "replay/recording.h"

void epoch_take(struct sim *s, struct recording_epoch *out);

/* Is the machine, at the epoch's cycle, what it was? False: the message names the parts that differ. */
bool epoch_is(struct sim *s, const struct recording_epoch *expected, struct error *e);

#endif
