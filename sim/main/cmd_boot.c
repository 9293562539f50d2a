/* orrery boot: one kernel, its console, how it ended. */

#include "main/commands.h"

#include "base/file.h"
#include "main/console.h"
#include "main/crash.h"
#include "main/debug.h"
#include "main/progress.h"
#include "main/record.h"
#include "observe/profile.h"
#include "observe/timing_text.h"
#include "observe/trace_text.h"
#include "replay/recorder.h"
#include "script/machine_file.h"

#include <poll.h>
#include <string.h>
#include <unistd.h>

#define GUEST_PASSED       16u
#define INPUT_SLICE_CYCLES UINT64_C(3000000) /* between looks at the keyboard: 1 ms of guest time */

struct boot_files {
    struct file_bytes kernel, initrd;
};

static bool load_files(const struct options *o, struct boot_files *f, struct error *e)
{
    *f = (struct boot_files){0};
    if (!o->kernel) {
        return error_set(e, "--kernel FILE is missing");
    }
    return file_read(o->kernel, FILE_MAX_BYTES, &f->kernel, e) &&
           (!o->initrd || file_read(o->initrd, FILE_MAX_BYTES, &f->initrd, e));
}

static void free_files(struct boot_files *f)
{
    file_free(&f->kernel);
    file_free(&f->initrd);
}

static struct sim_image image_of(const struct options *o, const struct boot_files *f)
{
    return (struct sim_image){
        .kernel_name = o->kernel,
        .kernel = f->kernel.bytes,
        .kernel_size = f->kernel.size,
        .initrd = o->initrd ? f->initrd.bytes : NULL,
        .initrd_size = f->initrd.size,
        .command_line = o->append,
    };
}

/* Passes what was typed to the guest; waits for it when the guest is idle. False at the end of input. */
static bool pump_keyboard(struct sim *s, bool wait)
{
    struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
    if (poll(&p, 1, wait ? -1 : 0) <= 0) {
        return true;
    }
    char bytes[256];
    ssize_t got = read(STDIN_FILENO, bytes, sizeof bytes);
    if (got <= 0) {
        return false;
    }
    sim_serial_send(s, 0, bytes, (size_t)got, NULL); /* a full line drops keys, as hardware would */
    return true;
}

static enum sim_stop run_interactive(struct sim *s, const struct options *o, struct console *c)
{
    bool open = true;
    for (;;) {
        uint64_t until = sim_cycles(s) + INPUT_SLICE_CYCLES;
        enum sim_stop stop = sim_run(s, until < o->max_cycles ? until : o->max_cycles);
        fflush(c->out);
        bool idle = stop == SIM_STOP_NO_PROGRESS;
        if (!(stop == SIM_STOP_CYCLES && sim_cycles(s) < o->max_cycles) && !(idle && open)) {
            return stop;
        }
        open = open && pump_keyboard(s, idle);
    }
}

/* Our guests, like many, write 16 to the debug-exit port for success. */
static bool is_crash(const struct sim *s, enum sim_stop stop)
{
    return stop == SIM_STOP_DEBUG_EXIT
               ? sim_exit_value(s) != GUEST_PASSED
               : stop != SIM_STOP_CYCLES && stop != SIM_STOP_ASKED && finish_status(stop) >= EXIT_GUEST_CRASH;
}

static int report_end(struct sim *s, const struct options *o, const struct boot_files *f, enum sim_stop stop,
                      const struct command_line *line)
{
    int status =
        stop == SIM_STOP_DEBUG_EXIT ? (int)((sim_exit_value(s) << 1 | 1) & 0xff) : (int)finish_status(stop);
    fflush(stdout);
    if (is_crash(s, stop)) {
        struct symbols *symbols = symbols_open(o->kernel, f->kernel.bytes, f->kernel.size, NULL);
        if (sim_stop_text(s)[0]) {
            fprintf(stderr, "orrery: %s\n", sim_stop_text(s));
        }
        crash_print(stderr, s, symbols, sim_stop_cpu(s));
        symbols_close(symbols);
    }
    if (is_crash(s, stop) || stop == SIM_STOP_CYCLES) {
        finish_again(stderr, line);
    }
    finish_results(stdout, s, o);
    if (stop == SIM_STOP_DEBUG_EXIT) {
        printf("stopped: debug-exit %u\n", sim_exit_value(s));
    } else {
        printf("stopped: %s\n", stop == SIM_STOP_ASKED ? "interrupted" : sim_stop_name(stop));
    }
    return status;
}

/* NULL: nobody wants one. */
static struct profile *start_profile(struct sim *s, const struct options *o, const struct boot_files *f)
{
    const struct guest_files files = {
        .kernel_name = o->kernel,
        .initrd_name = o->initrd,
        .kernel = f->kernel.bytes,
        .initrd = f->initrd.bytes,
        .kernel_size = f->kernel.size,
        .initrd_size = f->initrd.size,
    };
    bool wanted = o->profile || o->profile_counters;
    return wanted ? profile_start(s, &files, o->profile_counters != NULL) : NULL;
}

static bool save_profile(struct profile *p, const struct options *o, struct error *e)
{
    bool good = p == NULL || finish_profile(p, o->profile, o->profile_counters, e);
    profile_free(p);
    return good;
}

/* NULL with an empty message: nobody wants one. */
static struct recorder *start_recorder(struct sim *s, const struct options *o, const struct boot_files *f,
                                       struct error *e)
{
    struct sim_image image = image_of(o, f);
    const struct recorder_options wanted = {
        .image = &image,
        .initrd_name = o->initrd,
        .disk_names = o->config.disks,
        .embed = o->embed,
        .stop_wanted = record_interrupted,
    };
    e->text[0] = 0;
    return o->record ? recorder_start(s, &wanted, e) : NULL;
}

static bool save_recording(struct recorder *r, const struct options *o, enum sim_stop stop, struct error *e)
{
    bool good = r == NULL || recorder_save(r, stop, o->record, e);
    recorder_free(r);
    return good;
}

/* To the end, under a debugger, with a keyboard or alone. */
static bool go(struct sim *s, const struct options *o, struct console *console, enum sim_stop *stop,
               struct error *e)
{
    const struct debug_future nothing = {.limit_cycles = o->max_cycles};
    if (o->gdb) {
        return debug_run(s, o, &nothing, console, stop, e);
    }
    bool interactive = console->out == stdout && isatty(STDIN_FILENO);
    *stop = interactive ? run_interactive(s, o, console) : sim_run(s, o->max_cycles);
    return true;
}

static int run(struct sim *s, const struct options *o, const struct boot_files *f,
               const struct command_line *line)
{
    struct error e;
    struct recorder *recorder = start_recorder(s, o, f, &e);
    if (e.text[0]) {
        return command_usage(&e);
    }
    struct console console;
    if (!console_open(&console, o, SERIAL_STDIO, &e)) {
        return command_usage(&e);
    }
    sim_on_output(s, console_output, &console);
    struct trace_text trace = {.out = stderr};
    struct symbols *symbols =
        o->trace ? symbols_open(o->kernel, f->kernel.bytes, f->kernel.size, NULL) : NULL;
    trace.symbols = symbols;
    sim_on_trace(s, o->trace, trace_text_write, &trace);
    FILE *timing = NULL;
    if (o->timing_trace) {
        timing = timing_text_open(o->timing_trace, s, &e);
        if (!timing) {
            return command_usage(&e);
        }
    }
    struct profile *profile = start_profile(s, o, f);
    struct progress_line progress = {0};
    if (progress_wanted(console.out == stdout, o->trace)) {
        sim_on_progress(s, progress_show, &progress);
    }
    enum sim_stop stop;
    if (!go(s, o, &console, &stop, &e)) {
        return command_usage(&e);
    }
    sim_on_trace(s, 0, NULL, NULL);
    symbols_close(symbols);
    bool saved = save_recording(recorder, o, stop, &e);
    saved = save_profile(profile, o, saved ? &e : NULL) && saved;
    if (!timing_text_close(timing, o->timing_trace, s, saved ? &e : NULL) || !saved) {
        return command_usage(&e);
    }
    if (!console_close(&console, o, &e)) {
        return command_usage(&e);
    }
    return report_end(s, o, f, stop, line);
}

int command_boot(const struct command_line *line)
{
    struct options o;
    struct error e;
    struct boot_files files;
    struct timing_params timing;
    if (!options_parse(&o, 'B', line->argc - 2, line->argv + 2, &e)) {
        return command_usage(&e);
    }
    if (o.help) {
        options_help(stdout, 'B');
        return EXIT_PASSED;
    }
    if (o.gdb && (o.record || o.profile || o.profile_counters || o.timing_trace)) {
        error_set(&e, "--gdb: goes back and forth; --record, --profile and --timing-trace do not");
        return command_usage(&e);
    }
    if (!load_files(&o, &files, &e) || !finish_reserve(&o, &e) ||
        !machine_file_resolve(&o.config, &timing, &e)) {
        free_files(&files);
        return command_usage(&e);
    }
    struct sim *s = sim_create(&o.config, &e);
    bool counted = s && (!o.false_sharing || sim_count_sharing(s, &e));
    struct sim_image image = image_of(&o, &files);
    int status = counted && sim_load(s, &image, &e) ? run(s, &o, &files, line) : command_usage(&e);
    sim_destroy(s);
    free_files(&files);
    return status;
}
