/* orrery run: a Lua scenario, its verdict. */

#include "main/commands.h"

#include "main/crash.h"
#include "main/files.h"
#include "script/script.h"

#include <string.h>

static void fill_defaults(struct script_defaults *d, const struct options *o)
{
    *d = (struct script_defaults){
        .config = o->config,
        .echo = o->given_serial && o->serial == SERIAL_STDIO,
        .trace = o->trace,
    };
    if (!sim_config_given(&o->config, PARAMETER_ENGINE)) {
        d->config.engine = ENGINE_TIMED;
    }
}

/* What the simulator or the kernel adapter calls the end of this machine. */
static enum exit_status machine_status(const struct lua_machine *m)
{
    bool stopped = m->last_stop == SIM_STOP_TRIPLE_FAULT || m->last_stop == SIM_STOP_NOT_MODELLED;
    return stopped ? finish_status(m->last_stop) : m->crashed ? EXIT_GUEST_CRASH : EXIT_PASSED;
}

static enum exit_status worst_status(const struct lua_machine *machines)
{
    enum exit_status worst = EXIT_PASSED;
    for (const struct lua_machine *m = machines; m; m = m->next) {
        worst = machine_status(m) > worst ? machine_status(m) : worst;
    }
    return worst;
}

static void print_crashes(const struct lua_machine *machines)
{
    for (const struct lua_machine *m = machines; m; m = m->next) {
        if (machine_status(m) == EXIT_PASSED) {
            continue;
        }
        bool panic = m->crashed && !sim_stop_text(m->sim)[0];
        fprintf(stderr, "orrery: %s\n", panic ? "the kernel panicked" : sim_stop_text(m->sim));
        crash_print(stderr, m->sim, m->symbols, panic ? m->crash_cpu : sim_stop_cpu(m->sim));
    }
}

static void print_summary(const struct script_result *r)
{
    printf("%u passed, %u failed", r->passed, r->failed);
    if (r->machines) {
        struct digest d = sim_state_hash(r->machines->sim);
        printf("   %.3f ms simulated   seed %llu   state-hash %016llx%016llx",
               (double)sim_cycles(r->machines->sim) / (double)(SIM_TSC_HZ / 1000),
               (unsigned long long)sim_get_config(r->machines->sim)->seed, (unsigned long long)d.hi,
               (unsigned long long)d.lo);
    }
    printf("\n");
}

static int verdict(const struct script_result *r)
{
    enum exit_status status = worst_status(r->machines);
    if (status != EXIT_PASSED) {
        return (int)status;
    }
    return r->failed || r->error ? EXIT_EXPECTATION : EXIT_PASSED;
}

static int run(const struct options *o, const struct file_bytes *file, const struct command_line *line)
{
    struct error e;
    struct script_result r;
    struct script_options s = {
        .path = o->scenario,
        .text = (const char *)file->bytes,
        .size = file->size,
        .sets = o->sets,
        .set_count = o->set_count,
    };
    fill_defaults(&s.defaults, o);
    bool ran = script_run(&s, &r, &e);
    int status = ran ? verdict(&r) : command_usage(&e);
    if (ran) {
        print_summary(&r);
        if (r.machines) {
            finish_results(stdout, r.machines->sim, o);
        }
        fflush(stdout);
        print_crashes(r.machines);
        if (status != EXIT_PASSED) {
            finish_again(stdout, line);
        }
    }
    script_result_deinit(&r);
    return status;
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
    if (!o.scenario) {
        error_set(&e, "a scenario is missing; orrery run SCENARIO.lua");
        return command_usage(&e);
    }
    if (!file_read(o.scenario, &file, &e)) {
        return command_usage(&e);
    }
    int status = run(&o, &file, line);
    file_free(&file);
    return status;
}
