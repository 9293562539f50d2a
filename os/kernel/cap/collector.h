#ifndef OS_KERNEL_CAP_COLLECTOR_H
#define OS_KERNEL_CAP_COLLECTOR_H

/* Between the collector's work (collector.c) and its thread (collector_thread.c). */

#include <stdbool.h>

/* There is work after there was none. Any context, locks of the capability system held. */
void collector_wake(void);

/* No space has revoked slots. */
bool collector_idle(void);

/* Frees the revoked slots of every space that were revoked before the last pass, or all. Thread context, no lock held. */
void collector_pass(bool all);

#endif
