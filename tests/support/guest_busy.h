#ifndef ORRERY_TESTS_GUEST_BUSY_H
#define ORRERY_TESTS_GUEST_BUSY_H

/* A guest that does, for ever, a little of everything whose state is easily lost: paging, privilege 3 and 0, system calls,
 * a periodic timer, repeated string instructions, interrupts between processors, HLT; application processors in real mode. */

#include "machine/sim.h"

struct sim *guest_busy_create(const struct sim_config *c);

/* Its image; free() ends it. */
uint8_t *guest_busy_image(size_t *bytes);

/* First and last byte of the code that runs at privilege 3. */
void guest_busy_user(uint64_t *first, uint64_t *last);

#endif
