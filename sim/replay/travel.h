#ifndef ORRERY_REPLAY_TRAVEL_H
#define ORRERY_REPLAY_TRAVEL_H

/*
 * Time travel: a machine with its history, which may be run forwards and looked at backwards. The history is checkpoints
 * within a memory budget, the denser the nearer to where somebody looked last, and the effects between them; what lies between
 * two checkpoints is run again. Whatever goes back and forth sees the machine of the straight run.
 *
 * While it exists, the machine is run and gets effects through here alone, and the machine's cuts are taken. Observers stay on
 * the machine when it travels; what they are called for says travel_purpose.
 */

#include "machine/sim.h"

/* A place in the history. */
struct moment {
    struct position position;
    uint64_t cycles, instructions; /* sim_cycles, sim_instructions */
    size_t effects;                /* applied before it */
    enum sim_stop ended;           /* the machine had ended so; SIM_RUNNING: it had not */
};

enum travel_purpose {
    TRAVEL_RUNNING,   /* forwards: observers may ask to stop */
    TRAVEL_SEARCHING, /* observers tell what they look for by travel_found, and do not ask to stop */
    TRAVEL_MOVING     /* to a place that is known: observers do nothing */
};

enum travel_result {
    TRAVEL_FOUND,
    TRAVEL_NOTHING, /* and the machine is at its beginning */
    TRAVEL_LOST /* the run does not come to where it was (a recording of another run): it is at its beginning */
};

struct travel_options {
    uint64_t budget_bytes;       /* of host memory for checkpoints; at least three are kept */
    uint64_t interval_cycles;    /* between checkpoints, at first; 0: the usual */
    const struct effect *future; /* those of a recording, or NULL; borrowed */
    size_t future_count;
};

struct travel;

/* The history begins here. */
struct travel *travel_create(struct sim *s, const struct travel_options *o);
void travel_free(struct travel *t); /* NULL is none; the machine stays */

struct moment travel_now(const struct travel *t);
enum travel_purpose travel_purpose(const struct travel *t);
/* Effects of the history that lie behind now. */
size_t travel_future_count(const struct travel *t);

/* Is what happens at this cycle new, and not gone through once more? For observers. */
bool travel_is_new(const struct travel *t, uint64_t now_cycles);

/* As sim_run, with the effects of the history at their places. One that cannot be applied there ends the run as ASKED, with a
 * message; e->text is empty otherwise. */
enum sim_stop travel_run(struct travel *t, uint64_t until_cycles, struct error *e);

/* As sim_effect. What the history had behind now is another run's, and forgotten. */
bool travel_effect(struct travel *t, const struct effect *f, struct error *e);

/* To a moment of the history. False: lost. */
bool travel_go(struct travel *t, const struct moment *m);
/* To where the order reached a cycle, forwards or backwards; not further than where the machine ends. */
bool travel_go_cycle(struct travel *t, uint64_t cycles);

/* Back to before the last step of a vCPU. */
enum travel_result travel_step_back(struct travel *t, unsigned cpu);

/* Back to before the last thing that an observer calls travel_found for. */
enum travel_result travel_search_back(struct travel *t);

/* For observers: here is something. Called from a probe or at a boundary it is that place; from inside an instruction, the step
 * of this vCPU in which that is. False: nobody searches, or it is where the search began. */
bool travel_found(struct travel *t);
bool travel_found_inside(struct travel *t, unsigned cpu);

#endif
