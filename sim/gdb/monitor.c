/* `monitor` commands. */

#include "gdb/internal.h"

#include <stdlib.h>
#include <string.h>

typedef void command_fn(struct gdb_session *g, const char *argument, struct gdb_text *out);

static void put_place(const struct gdb_session *g, struct gdb_text *out)
{
    gdb_putf(out, "cycle %llu, %llu instructions\n", (unsigned long long)sim_cycles(g->sim),
             (unsigned long long)sim_instructions(g->sim));
    if (travel_future_count(g->travel) > 0) {
        gdb_putf(out, "effects to come: %zu\n", travel_future_count(g->travel));
    }
}

static void command_cycle(struct gdb_session *g, const char *argument, struct gdb_text *out)
{
    (void)argument;
    put_place(g, out);
}

/* GDB does not know that the machine has gone elsewhere: the user has to tell it. */
static void command_goto(struct gdb_session *g, const char *argument, struct gdb_text *out)
{
    char *end;
    unsigned long long cycle = strtoull(argument, &end, 0);
    if (argument[0] < '0' || argument[0] > '9' || *end) {
        gdb_put(out, "goto CYCLE: a number\n");
        return;
    }
    if (!travel_go_cycle(g->travel, cycle < g->options.limit_cycles ? cycle : g->options.limit_cycles)) {
        gdb_put(out, "the run does not come there\n");
    }
    put_place(g, out);
    gdb_put(out, "now say: maintenance flush register-cache\n");
}

static void command_stop(struct gdb_session *g, const char *argument, struct gdb_text *out)
{
    (void)argument;
    enum sim_stop stop = sim_last_stop(g->sim);
    gdb_putf(out, "%s\n",
             g->lost.text[0]               ? g->lost.text
             : sim_stop_text(g->sim)[0]    ? sim_stop_text(g->sim)
             : stop == SIM_STOP_DEBUG_EXIT ? "debug exit"
                                           : sim_stop_name(stop));
}

static command_fn command_help;

static const struct command {
    const char *word, *argument, *help;
    command_fn *fn;
} commands[] = {
    {"help", "", "this text", command_help},
    {"cycle", "", "where the machine is in its run", command_cycle},
    {"goto", "CYCLE", "to that place, forwards or backwards", command_goto},
    {"stop", "", "why it stopped last", command_stop},
};

#define COUNT (sizeof commands / sizeof commands[0])

static void command_help(struct gdb_session *g, const char *argument, struct gdb_text *out)
{
    (void)g;
    (void)argument;
    for (size_t i = 0; i < COUNT; i++) {
        gdb_putf(out, "  %-8s %-8s %s\n", commands[i].word, commands[i].argument, commands[i].help);
    }
}

void monitor(struct gdb_session *g, const char *command, struct gdb_text *out)
{
    size_t length = strcspn(command, " ");
    const char *argument = command + length + strspn(command + length, " ");
    for (size_t i = 0; i < COUNT; i++) {
        if (strlen(commands[i].word) == length && strncmp(commands[i].word, command, length) == 0) {
            commands[i].fn(g, argument, out);
            return;
        }
    }
    gdb_putf(out, "there is no monitor command '%.*s'; monitor help lists them\n", (int)length, command);
}
