/*
 * A run again, from its log of effects: the machine goes to each position and gets the effect there, as it did when a
 * front end drove it. Positions are places in the order of steps, not of the host's calls, so the replay needs neither
 * the front end nor its probes.
 */

#include "machine/machine.h"

/* No run that has the position goes further before it has come there. */
static uint64_t limit_of(struct position p, uint64_t at_cycles)
{
    uint64_t last = p.kind == POSITION_AFTER_EVENT ? at_cycles : p.at;
    return p.kind == POSITION_BEFORE_CYCLE || last == UINT64_MAX ? last : last + 1;
}

bool sim_go_to(struct sim *s, struct position p, uint64_t at_cycles)
{
    if (position_same(sim_position(s), p)) {
        return true; /* several effects at one place */
    }
    s->target = &p;
    enum sim_stop stop = sim_run(s, limit_of(p, at_cycles));
    s->target = NULL;
    bool there =
        position_same(sim_position(s), p) || (p.kind == POSITION_BEFORE_CYCLE && stop == SIM_STOP_CYCLES);
    if (there) {
        s->now_cycles = at_cycles;
    }
    return there;
}

bool sim_replay(struct sim *s, const struct effect *log, size_t count, struct error *e)
{
    for (size_t i = 0; i < count; i++) {
        if (!sim_go_to(s, log[i].position, log[i].at_cycles)) {
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
