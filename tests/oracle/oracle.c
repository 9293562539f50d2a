/*
 * oracle MACHINE.params TRACE: recomputes the stamps of every step of a trace (docs/timing.md) and prints the first
 * differences (--reports N: how many), with --print its own stamps besides. Exit status: 0 equal, 1 different, 2 the input cannot be used.
 */

#include "oracle.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define REPORTS 20u /* differences that are printed, unless --reports says otherwise */

static const char *const stamp_names[STAMPS] = {"D", "E", "C", "R", "W", "F"};

struct run {
    struct machine m;
    struct trace t;
    const char *path;
    u64 steps, waits, differences, reports;
    u64 last_key;
    unsigned last_cpu;
    bool any, print;
};

static void cache_init(struct cache *k, u64 sets, u64 ways)
{
    *k = (struct cache){sets, ways, zeroed(sets * ways, sizeof(struct way)), zeroed(sets * ways, 1)};
}

void machine_init(struct machine *m, unsigned cpus)
{
    const struct params *p = &m->p;
    m->cpus = cpus;
    m->cpu = zeroed(cpus, sizeof(*m->cpu));
    m->banks = zeroed(p->dram_channels * p->dram_banks, sizeof(*m->banks));
    m->bus = zeroed(p->dram_channels, sizeof(*m->bus));
    cache_init(&m->l3, p->l3_sets, p->l3_ways);
    for (unsigned i = 0; i < cpus; i++) {
        struct vcpu *c = &m->cpu[i];
        c->number = i;
        cache_init(&c->l1d, p->l1d_sets, p->l1d_ways);
        cache_init(&c->l1i, p->l1i_sets, p->l1i_ways);
        cache_init(&c->l2, p->l2_sets, p->l2_ways);
        predictor_init(m, &c->predictor);
    }
}

static bool reported(struct run *r)
{
    return r->differences++ >= r->reports;
}

static void compare(struct run *r, const struct line *l, const u64 own[STAMPS], unsigned which)
{
    if (r->m.broken != NULL && !reported(r)) {
        printf("%s:%ld: %s\n", r->path, l->number, r->m.broken);
    }
    r->m.broken = NULL;
    for (unsigned i = 0; i < STAMPS; i++) {
        if ((which >> i & 1) != 0 && own[i] != l->stamps[i] && !reported(r)) {
            printf("%s:%ld: cpu %u pc %" PRIx64 ": %s: expected %" PRIx64 ", got %" PRIx64 "\n", r->path,
                   l->number, l->cpu, l->pc, stamp_names[i], own[i], l->stamps[i]);
        }
    }
}

static void print_own(const struct line *l, const u64 own[STAMPS])
{
    struct insn in;
    const bool known = l->length > 0 && insn_decode(l, &in);
    printf("%ld cpu %u %-10s %-12s", l->number, l->cpu, known ? in.name : "-",
           known ? class_name(in.class) : "-");
    for (unsigned i = 0; i < STAMPS; i++) {
        printf(" %s %" PRIx64, stamp_names[i], own[i]);
    }
    printf("\n");
}

/* Steps, and what waits, come in the order of their keys (1). */
static void check_order(struct run *r, const struct line *l, u64 key)
{
    const bool before = key < r->last_key || (key == r->last_key && l->cpu < r->last_cpu);
    if (r->any && before && !reported(r)) {
        printf("%s:%ld: order: cpu %u at %" PRIx64 " comes after cpu %u at %" PRIx64 "\n", r->path, l->number,
               l->cpu, key, r->last_cpu, r->last_key);
    }
    r->any = true;
    r->last_key = key;
    r->last_cpu = l->cpu;
}

static void one_line(struct run *r, const struct line *l)
{
    struct machine *m = &r->m;
    u64 own[STAMPS] = {0};
    if (l->what != 'S' && l->what != 'T') {
        event_do(m, l);
        return;
    }
    const u64 key = step_key(m, l);
    check_order(r, l, key);
    access_drain_until(m, key);
    if (l->what == 'S') {
        r->steps++;
        step_do(m, l, own);
        compare(r, l, own, (1u << STAMPS) - 1);
        if (r->print) {
            print_own(l, own);
        }
        return;
    }
    r->waits++;
    wait_do(m, l);
    own[STAMP_R] = m->cpu[l->cpu].R;
    compare(r, l, own, 1u << STAMP_R);
}

int main(int argc, char **argv)
{
    static struct run r = {.reports = REPORTS};
    int at = 1;
    for (; at + 2 < argc; at++) {
        if (strcmp(argv[at], "--print") == 0) {
            r.print = true;
        } else if (strcmp(argv[at], "--reports") == 0 && at + 3 < argc) {
            r.reports = strtoull(argv[++at], NULL, 10);
        } else {
            break;
        }
    }
    if (argc - at != 2) {
        fprintf(stderr, "usage: oracle [--print] [--reports N] MACHINE.params TRACE\n");
        return 2;
    }
    r.path = argv[argc - 1];
    if (!params_read(argv[argc - 2], &r.m.p) || !trace_read(r.path, &r.t)) {
        return 2;
    }
    if (r.t.cpus == 0) {
        fprintf(stderr, "%s: no steps\n", r.path);
        return 2;
    }
    machine_init(&r.m, r.t.cpus);
    for (size_t i = 0; i < r.t.count; i++) {
        one_line(&r, &r.t.lines[i]);
    }
    printf("%" PRIu64 " steps of %u vCPUs, %" PRIu64 " stamps, %" PRIu64 " waits: %" PRIu64 " differences\n",
           r.steps, r.m.cpus, r.steps * STAMPS, r.waits, r.differences);
    return r.differences == 0 ? 0 : 1;
}
