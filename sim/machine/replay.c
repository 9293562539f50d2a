/*
 * A run again, from its log of effects: the machine goes to each position and gets the effect there, as it did when a
 * front end drove it. Positions are places in the order of steps, not of the host's calls, so the replay needs neither
 * the front end nor its probes.
 */

#include "machine/machine.h"

static bool same_position(struct position a, struct position b)
{
    return a.kind == b.kind && a.cpu == b.cpu && a.at == b.at;
}

static bool go_to(struct sim *s, const struct effect *f)
{
    struct position p = f->position;
    if (same_position(sim_position(s), p)) {
        return true; /* several effects at one place */
    }
    s->target = &p;
    enum sim_stop stop = sim_run(s, p.kind == POSITION_BEFORE_CYCLE ? p.at : UINT64_MAX);
    s->target = NULL;
    bool there =
        same_position(sim_position(s), p) || (p.kind == POSITION_BEFORE_CYCLE && stop == SIM_STOP_CYCLES);
    s->now_cycles = f->at_cycles;
    return there;
}

bool sim_replay(struct sim *s, const struct effect *log, size_t count, struct error *e)
{
    for (size_t i = 0; i < count; i++) {
        if (!go_to(s, &log[i])) {
            return error_set(e, "effect %zu (%s) at cycle %llu: the run does not come there", i,
                             sim_effect_name((enum effect_kind)log[i].kind),
                             (unsigned long long)log[i].at_cycles);
        }
        if (!sim_effect(s, &log[i], e)) {
            return false;
        }
    }
    return true;
}
