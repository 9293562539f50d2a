/* The end of a run. */

#include "main/finish.h"

#include "main/record.h"

#include <string.h>

static void print_quoted(FILE *out, const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./,:=+@%";
    if (word[0] && strspn(word, plain) == strlen(word)) {
        fputs(word, out);
        return;
    }
    fputc('\'', out);
    for (; *word; word++) {
        if (*word == '\'') {
            fputs("'\\''", out);
        } else {
            fputc(*word, out);
        }
    }
    fputc('\'', out);
}

void finish_again(FILE *out, const struct command_line *c)
{
    fputs("again:", out);
    for (int i = 0; i < c->argc; i++) {
        fputc(' ', out);
        print_quoted(out, c->argv[i]);
    }
    fputc('\n', out);
}

static void print_hash(FILE *out, struct sim *s)
{
    struct digest d = sim_state_hash(s);
    fprintf(out, "seed: %llu\n", (unsigned long long)sim_get_config(s)->seed);
    fprintf(out, "cycles: %llu\n", (unsigned long long)sim_cycles(s));
    fprintf(out, "instructions: %llu\n", (unsigned long long)sim_instructions(s));
    fprintf(out, "state-hash: %016llx%016llx\n", (unsigned long long)d.hi, (unsigned long long)d.lo);
}

static void print_stats(FILE *out, const struct sim *s)
{
    for (unsigned c = 0; c < COUNTER_COUNT; c++) {
        enum sim_counter counter = (enum sim_counter)c;
        if (!sim_counts(s, counter)) {
            continue;
        }
        fprintf(out, "%s: %llu\n", sim_counter_name(counter),
                (unsigned long long)sim_counter(s, counter, SIM_ALL_CPUS));
        for (unsigned i = 0; i < sim_get_config(s)->cpus && sim_counter_is_per_cpu(counter); i++) {
            fprintf(out, "cpu%u-%s: %llu\n", i, sim_counter_name(counter),
                    (unsigned long long)sim_counter(s, counter, i));
        }
    }
}

void finish_results(FILE *out, struct sim *s, const struct options *o)
{
    if (o->hash) {
        print_hash(out, s);
    }
    if (o->stats) {
        print_stats(out, s);
    }
}

bool finish_reserve(const struct options *o, struct error *e)
{
    return record_reserve(o, e) && (!o->profile || profile_reserve(o->profile, e)) &&
           (!o->profile_counters || profile_reserve(o->profile_counters, e));
}

bool finish_profile(struct profile *p, const char *profile, const char *counters, struct error *e)
{
    profile_stop(p);
    return (!profile || profile_save(p, profile, e)) && (!counters || profile_save(p, counters, e));
}

enum exit_status finish_status(enum sim_stop stop)
{
    switch (stop) {
    case SIM_STOP_CYCLES:
    case SIM_STOP_ASKED:
        return EXIT_LIMIT;
    case SIM_STOP_TRIPLE_FAULT:
    case SIM_STOP_NO_PROGRESS:
    case SIM_STOP_RESET:
        return EXIT_GUEST_CRASH;
    case SIM_STOP_NOT_MODELLED:
        return EXIT_NOT_MODELLED;
    case SIM_RUNNING:
    case SIM_STOP_POWER_OFF:
    case SIM_STOP_DEBUG_EXIT:
        break;
    }
    return EXIT_PASSED;
}
