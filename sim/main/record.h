#ifndef ORRERY_MAIN_RECORD_H
#define ORRERY_MAIN_RECORD_H

/* --record, as boot and run have it in common. */

#include "main/options.h"

/* Can the file be written, and is it none that this run reads? Before a long run turns out to be in vain; nothing is left behind. From here on Ctrl-C
 * is a wish that record_interrupted tells. */
bool record_reserve(const struct options *o, struct error *e);
bool record_interrupted(void);

#endif
