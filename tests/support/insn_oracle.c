/* The loop of the instruction oracle. */

#include "insn_oracle.h"

#include "cpu/insn.h"
#include "insn_compare.h"
#include "insn_forms.h"
#include "insn_gen.h"
#include "insn_machine.h"
#include "insn_native.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define PROGRESS_CASES UINT64_C(10000000)

static struct {
    struct insn_machine *machine;
    struct insn_case c;
    struct insn_state host, sim;
    bool shown; /* the case is printed already */
} oracle;

bool oracle_open(const char **why)
{
    if (!native_open(why)) {
        return false;
    }
    gen_init();
    *why = "no memory";
    oracle.machine = insn_machine_open(native_tsc_aux());
    return oracle.machine != NULL;
}

void oracle_close(void)
{
    native_close();
    insn_machine_close(oracle.machine);
}

static void count_rows(struct oracle_counts *counts)
{
    const struct insn_case *c = &oracle.c;
    unsigned done = compare_completed(c, &oracle.sim);
    if (c->row[0] == INSN_ROW_NONE) {
        return; /* absent, or unknown */
    }
    bool left = c->first_jump + 1 == done && oracle.sim.rip != c->at + c->offset[done];
    for (unsigned i = 0; i < done + !left && i < c->count; i++) {
        counts->ran[c->row[i]]++;
        counts->done[c->row[i]] += i < done;
    }
    counts->completed += done == c->count || left;
}

static void report(struct oracle_counts *counts)
{
    const struct insn_case *c = &oracle.c;
    counts->differences++;
    if (!oracle.shown) {
        compare_print_case(c, stdout);
    }
    compare_states(c, &oracle.host, &oracle.sim, stdout);
    if (oracle.sim.vector == MACHINE_NOT_MODELLED) {
        printf("  orrery stops: not modelled: %s\n", machine_stop_text(oracle.machine));
    }
    printf("  again: scripts/insn-soak 1 %" PRIu64 " %" PRIu64 "\n", c->seed, c->number);
    fflush(stdout);
}

/* A difference counts when it comes again: the host's kernel may have taken the processor away in between, which loses
 * the x87 error pointers. */
static void compare(struct oracle_counts *counts)
{
    for (unsigned i = 0; i < 3; i++) {
        if (compare_states(&oracle.c, &oracle.host, &oracle.sim, NULL)) {
            counts->disturbed += i != 0;
            return;
        }
        if (!oracle.c.absent) {
            native_run(&oracle.c, &oracle.host);
        }
    }
    report(counts);
}

/* The simulator's part of the cases before `number` in its series. */
static void warm_up(uint64_t seed, uint64_t number)
{
    for (uint64_t n = number - number % MACHINE_SERIES; n < number; n++) {
        gen_case(seed, n, &oracle.c);
        insn_machine_run(oracle.machine, &oracle.c, &oracle.sim);
    }
}

void oracle_run(uint64_t seed, uint64_t first, uint64_t count, unsigned tolerance, bool progress,
                struct oracle_counts *counts)
{
    *counts = (struct oracle_counts){.ran = calloc(insn_row_count, sizeof *counts->ran),
                                     .done = calloc(insn_row_count, sizeof *counts->done)};
    if (!counts->ran || !counts->done) {
        abort();
    }
    warm_up(seed, first);
    for (uint64_t n = 0; n < count && counts->differences < tolerance; n++) {
        gen_case(seed, first + n, &oracle.c);
        oracle.shown = count == 1;
        if (oracle.shown) { /* a case of which something is known: told even when it hangs or agrees */
            compare_print_case(&oracle.c, stdout);
            fflush(stdout);
        }
        if (!oracle.c.absent) {
            native_run(&oracle.c, &oracle.host);
        }
        insn_machine_run(oracle.machine, &oracle.c, &oracle.sim);
        compare(counts);
        if (!oracle.c.absent) {
            count_rows(counts);
        }
        counts->cases++;
        if (progress && counts->cases % PROGRESS_CASES == 0) {
            fprintf(stderr, "%" PRIu64 " cases, %" PRIu64 " differences\n", counts->cases,
                    counts->differences);
        }
    }
}

unsigned oracle_check_rows(const struct oracle_counts *counts, uint64_t least)
{
    unsigned bad = 0;
    for (unsigned row = 1; row < insn_row_count; row++) {
        const char *name = insn_rows[row].name;
        if (insn_excluded(row) || gen_host_lacks(row)) {
            continue;
        }
        if (counts->ran[row] < least) {
            printf("%s: begun %" PRIu64 " times only\n", name, counts->ran[row]);
            bad++;
        } else if ((counts->done[row] == 0) != insn_always_faults(row)) {
            printf("%s: begun %" PRIu64 " times, completed %" PRIu64 "\n", name, counts->ran[row],
                   counts->done[row]);
            bad++;
        }
    }
    return bad;
}

unsigned oracle_check_forms(void)
{
    unsigned bad = 0;
    for (unsigned row = 1; row < insn_row_count; row++) {
        if (!insn_excluded(row) && insn_extension(row) == ZYDIS_ISA_EXT_INVALID) {
            printf("%s: no encoding decodes to this row\n", insn_rows[row].name);
            bad++;
        }
    }
    return bad;
}

void oracle_print_rows(void)
{
    for (unsigned row = 1; row < insn_row_count; row++) {
        const char *reason = insn_excluded(row);
        if (reason) {
            printf("%s is not compared: %s\n", insn_rows[row].name, reason);
        } else if (gen_host_lacks(row)) {
            printf("%s is not compared: this host lacks it, or has its own way\n", insn_rows[row].name);
        }
    }
}
