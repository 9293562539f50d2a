/* orrery replay: a recording, run again and compared with itself. */

#include "main/commands.h"

#include "main/console.h"
#include "main/debug.h"
#include "main/progress.h"
#include "observe/symbols.h"
#include "observe/trace_text.h"
#include "replay/player.h"

static struct player_files files_of(const struct options *o)
{
    struct player_files f = {.kernel = o->kernel, .initrd = o->initrd};
    for (unsigned i = 0; i < o->config.disk_count; i++) {
        f.disks[i] = o->config.disks[i];
    }
    return f;
}

/* How the recorded run ended, which a faithful replay has seen as well. */
static void print_end(const struct recording *r, enum player_result result)
{
    enum sim_stop stop = (enum sim_stop)r->end.stop;
    if (result == PLAYER_LIMIT) {
        printf("stopped: cycle limit\n");
    } else if (stop == SIM_STOP_DEBUG_EXIT) {
        printf("stopped: debug-exit %u\n", r->end.exit_value);
    } else {
        printf("stopped: %s\n", sim_stop_name(stop));
    }
}

static int report(const struct player *p, const struct recording *r, enum player_result result,
                  const struct options *o, const struct error *why)
{
    fflush(stdout);
    if (result == PLAYER_DIVERGED) {
        fprintf(stderr, "orrery: %s: diverged: %s\n", o->file, why->text);
        finish_results(stdout, player_sim(p), o);
        return EXIT_DIVERGED;
    }
    finish_results(stdout, player_sim(p), o);
    printf("replayed: %u effects, %u epochs as recorded\n", player_effects(p), player_epochs(p));
    print_end(r, result);
    return EXIT_PASSED;
}

/* The machine of the recording under a debugger, which may make another run of it: nothing is compared. */
static int debug(struct player *p, const struct recording *r, const struct options *o,
                 struct console *console)
{
    struct error e;
    enum sim_stop stop;
    uint64_t end = r->end.cycles == UINT64_MAX ? r->end.cycles : r->end.cycles + 1; /* so that it may end */
    const struct debug_future f = {
        .effects = r->effects, .count = r->effect_count, .limit_cycles = o->until < end ? o->until : end};
    if (!debug_run(player_sim(p), o, &f, console, &stop, &e)) {
        return command_usage(&e);
    }
    if (!console_close(console, o, &e)) {
        return command_usage(&e);
    }
    finish_results(stdout, player_sim(p), o);
    printf("stopped: %s\n", stop == SIM_STOP_ASKED ? "by the debugger" : sim_stop_name(stop));
    return EXIT_PASSED;
}

static int play(struct player *p, const struct recording *r, const struct options *o)
{
    struct error e;
    struct console console;
    struct sim *s = player_sim(p);
    if (!console_open(&console, o, SERIAL_NONE, &e)) {
        return command_usage(&e);
    }
    if (o->gdb) {
        return debug(p, r, o, &console);
    }
    sim_on_output(s, console_output, &console);
    size_t size;
    const uint8_t *kernel = player_kernel(p, &size);
    struct trace_text trace = {.out = stderr};
    struct symbols *symbols = o->trace ? symbols_open(r->kernel.name, kernel, size, NULL) : NULL;
    trace.symbols = symbols;
    sim_on_trace(s, o->trace, trace_text_write, &trace);
    struct progress_line progress = {0};
    if (progress_wanted(console.out == stdout, o->trace)) {
        sim_on_progress(s, progress_show, &progress);
    }
    struct error why;
    enum player_result result = player_run(p, o->until, &why);
    sim_on_trace(s, 0, NULL, NULL);
    symbols_close(symbols);
    return console_close(&console, o, &e) ? report(p, r, result, o, &why) : command_usage(&e);
}

static int replay(const struct recording *r, const struct options *o)
{
    struct error e;
    struct player_files files = files_of(o);
    struct player *p = recording_is_ours(o->file, r, &e) ? player_create(r, &files, &e) : NULL;
    int status = p ? play(p, r, o) : command_usage(&e);
    player_free(p);
    return status;
}

int command_replay(const struct command_line *line)
{
    struct options o;
    struct error e;
    struct recording r;
    if (!options_parse(&o, 'P', line->argc - 2, line->argv + 2, &e)) {
        return command_usage(&e);
    }
    if (o.help) {
        options_help(stdout, 'P');
        return EXIT_PASSED;
    }
    if (!o.file) {
        error_set(&e, "a recording is missing; orrery replay FILE");
        return command_usage(&e);
    }
    if (!recording_load(o.file, &r, &e)) {
        return command_usage(&e);
    }
    int status = replay(&r, &o);
    recording_deinit(&r);
    return status;
}
