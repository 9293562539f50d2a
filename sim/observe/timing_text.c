/* Lines of the timing trace. */

#include "observe/timing_text.h"

#include <errno.h>
#include <string.h>

/* Access n of a record, as section 14 of docs/timing.md writes it. */
static void write_access(FILE *out, const struct timing_record *r, unsigned n)
{
    static const char letters[] = {
        [TIMING_FETCH] = 't',  [TIMING_LOAD] = 'l',        [TIMING_STORE] = 's',       [TIMING_WALK] = 'w',
        [TIMING_UPDATE] = 'u', [TIMING_LOAD_DEVICE] = 'L', [TIMING_STORE_DEVICE] = 'S'};
    const struct timing_access *a = &r->accesses[n];
    bool numbered = a->kind == TIMING_FETCH || a->kind == TIMING_LOAD || a->kind == TIMING_STORE;
    fprintf(out, " %c", letters[a->kind]);
    if (a->kind != TIMING_FETCH) {
        fprintf(out, ":%llx", (unsigned long long)a->at);
    }
    if (a->kind == TIMING_LOAD || a->kind == TIMING_STORE) {
        fprintf(out, ":%u", a->size_bytes);
    }
    if (numbered && a->number != 0) {
        fprintf(out, ":%u", a->number);
    } else if (numbered) {
        fputs(":-", out);
    }
}

static void write_time(FILE *out, char letter, const struct timing_record *r)
{
    fprintf(out, "%c %u %llx\n", letter, r->cpu, (unsigned long long)r->retired);
}

static void write_wait(FILE *out, const struct timing_record *r)
{
    fprintf(out, "T %u ", r->cpu);
    static const char letters[] = {[TIMING_WAIT_EMPTY] = 'q',
                                   [TIMING_WAIT_ROOM] = 'r',
                                   [TIMING_WAIT_LINE] = 'l',
                                   [TIMING_WAIT_UPDATE] = 'u'};
    fputc(letters[r->wait], out);
    for (unsigned i = 0; r->wait >= TIMING_WAIT_LINE && i < (r->line[0] == r->line[1] ? 1u : 2u); i++) {
        fprintf(out, ":%llx", (unsigned long long)r->line[i]);
    }
    fprintf(out, " = %llx\n", (unsigned long long)r->retired);
}

static void write_bytes(FILE *out, const struct timing_record *r)
{
    for (unsigned i = 0; i < r->length; i++) {
        fprintf(out, "%02x", r->bytes[i]);
    }
    fputs(r->length ? " " : "- ", out);
}

/* Where the bytes are goes behind the translations of the page. */
static void write_items(FILE *out, const struct timing_record *r)
{
    unsigned fetches = 0;
    for (unsigned i = 0; i < r->access_count; i++) {
        fetches = r->accesses[i].kind == TIMING_FETCH ? i + 1 : fetches;
    }
    for (unsigned i = 0; i <= r->access_count; i++) {
        for (unsigned n = 0; i == fetches && n < 2 && r->code_bytes[n] != 0; n++) {
            fprintf(out, " f:%llx:%u", (unsigned long long)r->code[n], r->code_bytes[n]);
        }
        if (i < r->access_count) {
            write_access(out, r, i);
        }
    }
}

static void write_step(FILE *out, const struct timing_record *r)
{
    static const char kinds[] = {'i', 'r', 'e', 'n'};
    fprintf(out, "S %u %c %u %llx ", r->cpu, kinds[r->kind], r->mode_bits, (unsigned long long)r->pc);
    write_bytes(out, r);
    fprintf(out, "%llx %s%s%s", (unsigned long long)r->next, r->backward ? "d" : "", r->keeps ? "k" : "",
            r->backward || r->keeps ? "" : "-");
    write_items(out, r);
    fprintf(out, " = %llx %llx %llx %llx %llx %llx\n", (unsigned long long)r->dispatch,
            (unsigned long long)r->start, (unsigned long long)r->end, (unsigned long long)r->retired,
            (unsigned long long)r->store_commit, (unsigned long long)r->fetch_ready);
}

static void write_record(void *target, const struct timing_record *r)
{
    FILE *out = target;
    switch (r->kind) {
    case TIMING_RECORD_STEP:
    case TIMING_RECORD_ITERATION:
    case TIMING_RECORD_EXCEPTION:
    case TIMING_RECORD_INTERRUPT:
        write_step(out, r);
        break;
    case TIMING_RECORD_WAIT:
        write_wait(out, r);
        break;
    case TIMING_RECORD_WAKE:
        write_time(out, 'K', r);
        break;
    case TIMING_RECORD_RESET:
        fprintf(out, "X %u\n", r->cpu);
        break;
    case TIMING_RECORD_CLOCK:
        write_time(out, 'C', r);
        break;
    }
}

FILE *timing_text_open(const char *name, struct sim *s, struct error *e)
{
    if (sim_get_config(s)->timing == NULL) {
        error_set(e, "--timing-trace '%s': a machine without a timing model has no stamps", name);
        return NULL;
    }
    FILE *out = fopen(name, "w");
    if (out == NULL) {
        error_set(e, "--timing-trace '%s': %s", name, strerror(errno));
        return NULL;
    }
    for (unsigned i = 0; i < sim_get_config(s)->cpus; i++) {
        fprintf(out, "P %u %llx\n", i, (unsigned long long)sim_phase(s, i));
    }
    sim_watch_steps(s, write_record, out);
    return out;
}

bool timing_text_close(FILE *out, const char *name, struct sim *s, struct error *e)
{
    if (out == NULL) {
        return true;
    }
    sim_unwatch_steps(s, write_record, out);
    bool good = ferror(out) == 0;
    good = fclose(out) == 0 && good;
    return good || error_set(e, "--timing-trace '%s': not all of it could be written", name);
}
