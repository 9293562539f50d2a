/* orrery run: a Lua scenario, its verdict. */

#define _POSIX_C_SOURCE 200809L

#include "main/commands.h"

#include "base/file.h"
#include "main/crash.h"
#include "main/progress.h"
#include "main/record.h"
#include "script/machine_file.h"
#include "script/script.h"

#include <string.h>
#include <unistd.h>

#define NAME_BYTES 4200u /* a path, and a number */

static void fill_defaults(struct script_defaults *d, const struct options *o)
{
    *d = (struct script_defaults){
        .config = o->config,
        .echo = o->given_serial && o->serial == SERIAL_STDIO,
        .trace = o->trace,
        .profile = o->profile || o->profile_counters,
        .false_sharing = o->false_sharing,
        .profile_tables = o->profile_counters != NULL,
        .record = o->record != NULL,
        .embed = o->embed,
        .stop_wanted = o->record ? record_interrupted : NULL,
    };
    if (!sim_config_given(&o->config, PARAMETER_ENGINE)) {
        d->config.engine = ENGINE_TIMED;
    }
}

static bool is_home(const char *folder)
{
    char kernels[1200];
    snprintf(kernels, sizeof kernels, "%s/scenarios/kernels", folder);
    return access(kernels, R_OK) == 0;
}

/*
 * The folder with the program's own scenarios: of the tree in which it was built (build/MODE/orrery), of an installation
 * (bin/orrery, share/orrery), or the working directory. A scenario elsewhere finds kernel adapters there. False: none.
 */
static bool find_home(char *home, size_t size)
{
    char program[1024];
    ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    program[length > 0 ? length : 0] = 0;
    char *slash = strrchr(program, '/');
    if (slash) {
        *slash = 0;
        snprintf(home, size, "%s/../share/orrery", program);
        if (is_home(home)) {
            return true;
        }
        snprintf(home, size, "%s/../..", program);
        if (is_home(home)) {
            return true;
        }
    }
    snprintf(home, size, ".");
    return is_home(home);
}

/* What happened to the machines that did not end well. */
static void print_crashes(const struct script_result *r)
{
    unsigned count = script_machine_count(r);
    for (unsigned i = 0; i < count; i++) {
        struct script_machine m = script_machine_get(r, i);
        if (m.status == EXIT_PASSED) {
            continue;
        }
        fprintf(stderr, "orrery: ");
        if (count > 1) {
            fprintf(stderr, "machine %u of %u: ", i + 1, count);
        }
        fprintf(stderr, "%s\n", m.cause);
        crash_print(stderr, m.sim, m.symbols, m.cpu);
    }
}

/* The last line of a report; of several machines it shows the one made last. */
static void print_summary(const struct script_result *r, struct sim *last)
{
    printf("%u passed, %u failed", r->passed, r->failed);
    if (last) {
        struct digest d = sim_state_hash(last);
        printf("   %.3f ms simulated   seed %llu   state-hash %016llx%016llx",
               (double)sim_cycles(last) / (double)(SIM_TSC_HZ / 1000),
               (unsigned long long)sim_get_config(last)->seed, (unsigned long long)d.hi,
               (unsigned long long)d.lo);
    }
    printf("\n");
}

/* The report's end. A scenario that could not be used, and had no test before, gets its one line and no summary. */
static void print_end(const struct script_result *r, const struct options *o, const struct command_line *line)
{
    enum exit_status status = script_verdict(r);
    unsigned count = script_machine_count(r);
    struct sim *last = count > 0 ? script_machine_get(r, count - 1).sim : NULL;
    if (r->passed + r->failed > 0 || status != EXIT_USAGE) {
        print_summary(r, last);
    }
    if (last) {
        finish_results(stdout, last, o);
    }
    fflush(stdout);
    if (r->error.text[0]) {
        command_usage(&r->error);
    }
    print_crashes(r);
    if (status != EXIT_PASSED && status != EXIT_USAGE) {
        finish_again(stdout, line);
    }
}

/* The n-th machine's file, from 0: name for the first, then name-2.json and so on. */
static const char *numbered(const char *name, unsigned n, char out[NAME_BYTES])
{
    const char *ending = name ? strrchr(name, '.') : NULL;
    if (n == 0 || !ending) {
        return name;
    }
    snprintf(out, NAME_BYTES, "%.*s-%u%s", (int)(ending - name), name, n + 1, ending);
    return out;
}

static bool save_profiles(const struct script_result *r, const struct options *o, struct error *e)
{
    char names[2][NAME_BYTES];
    bool good = true;
    for (unsigned i = 0; good && i < script_machine_count(r); i++) {
        struct profile *p = script_machine_get(r, i).profile;
        good = p == NULL || finish_profile(p, numbered(o->profile, i, names[0]),
                                           numbered(o->profile_counters, i, names[1]), e);
    }
    return good;
}

static bool save_recordings(const struct script_result *r, const struct options *o, struct error *e)
{
    char name[NAME_BYTES];
    bool good = true;
    for (unsigned i = 0; good && o->record && i < script_machine_count(r); i++) {
        struct script_machine m = script_machine_get(r, i);
        good =
            !m.recorder || recorder_save(m.recorder, sim_last_stop(m.sim), numbered(o->record, i, name), e);
    }
    return good;
}

static int run(const struct options *o, const struct file_bytes *file, const struct command_line *line)
{
    struct error e;
    struct script_result r;
    char home[1100];
    struct script_options s = {
        .path = o->file,
        .text = (const char *)file->bytes,
        .size = file->size,
        .home = find_home(home, sizeof home) ? home : NULL,
        .sets = o->sets,
        .set_count = o->set_count,
    };
    fill_defaults(&s.defaults, o);
    struct progress_line progress = {0};
    if (progress_wanted(s.defaults.echo, o->trace)) {
        s.defaults.progress = progress_show;
        s.defaults.progress_arg = &progress;
    }
    if (!script_run(&s, &r, &e)) {
        return command_usage(&e);
    }
    print_end(&r, o, line);
    enum exit_status status = script_verdict(&r);
    if (!save_recordings(&r, o, &e) || !save_profiles(&r, o, &e)) {
        status = (enum exit_status)command_usage(&e);
    }
    script_result_deinit(&r);
    return (int)status;
}

/* The machine that the command line names, before any scenario asks for one. */
static bool check_machine(const struct options *o, struct error *e)
{
    struct sim_config c = o->config;
    struct timing_params timing;
    return machine_file_resolve(&c, &timing, e);
}

int command_run(const struct command_line *line)
{
    struct options o;
    struct error e;
    struct file_bytes file;
    if (!options_parse(&o, 'R', line->argc - 2, line->argv + 2, &e)) {
        return command_usage(&e);
    }
    if (o.help) {
        options_help(stdout, 'R');
        return EXIT_PASSED;
    }
    if (!o.file) {
        error_set(&e, "a scenario is missing; orrery run SCENARIO.lua");
        return command_usage(&e);
    }
    if (!check_machine(&o, &e) || !finish_reserve(&o, &e) || !file_read(o.file, FILE_MAX_BYTES, &file, &e)) {
        return command_usage(&e);
    }
    int status = run(&o, &file, line);
    file_free(&file);
    return status;
}
