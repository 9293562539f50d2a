/* Digests of the machine's parts at a cut. */

#include "replay/epoch.h"

#include <stdio.h>
#include <string.h>

void epoch_take(struct sim *s, struct recording_epoch *out)
{
    uint64_t parts[SIM_PARTS_MAX];
    unsigned count = sim_part_digests(s, parts);
    memset(out, 0, sizeof *out);
    out->cycle = sim_cycles(s);
    out->digest = digest_bytes(parts, count * sizeof *parts).lo;
    for (unsigned i = 0; i < count; i++) {
        out->parts[i] = (uint8_t)parts[i];
    }
}

bool epoch_is(struct sim *s, const struct recording_epoch *expected, struct error *e)
{
    struct recording_epoch here;
    char names[256] = "";
    size_t length = 0;
    unsigned cpus = sim_get_config(s)->cpus;
    epoch_take(s, &here);
    if (here.digest == expected->digest) {
        return true;
    }
    for (unsigned i = 0; i < SIM_PARTS(cpus) && length < sizeof names - 40; i++) {
        if (here.parts[i] != expected->parts[i]) {
            char part[32];
            sim_part_name(cpus, i, part, sizeof part);
            length +=
                (size_t)snprintf(names + length, sizeof names - length, "%s%s", length ? ", " : "", part);
        }
    }
    return error_set(e, "%s", length ? names : "a part that cannot be told");
}
