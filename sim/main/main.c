/* The command line: finds the subcommand. */

#include "base/check.h"
#include "main/commands.h"
#include "main/finish.h"
#include "main/lookup.h"
#include "main/version.h"

#include <errno.h>
#include <string.h>

int command_usage(const struct error *e)
{
    fprintf(stderr, "orrery: %s\n", e->text);
    return EXIT_USAGE;
}

static void print_again(const void *line)
{
    finish_again(stderr, line);
}

static int run_command(const struct command_line *line)
{
    struct error e;
    int argc = line->argc;
    char **argv = line->argv;
    switch (argc > 1 ? lookup_command(argv[1]) : COMMAND_HELP) {
    case COMMAND_BOOT:
        return command_boot(line);
    case COMMAND_RUN:
        return command_run(line);
    case COMMAND_REPLAY:
        return command_replay(line);
    case COMMAND_INFO:
        return command_info(line);
    case COMMAND_VERSION:
        if (argc > 2) {
            error_set(&e, "unexpected argument '%s'", argv[2]);
            return command_usage(&e);
        }
        printf("orrery %s\n", ORRERY_VERSION);
        return EXIT_PASSED;
    case COMMAND_HELP:
        options_help(argc > 1 ? stdout : stderr, 0);
        return argc > 1 ? EXIT_PASSED : EXIT_USAGE;
    default:
        error_set(&e, "unknown command '%s'; orrery --help lists them", argv[1]);
        return command_usage(&e);
    }
}

/* Output that could not be written is an error of its own: a full disk must not look like a pass. */
int main(int argc, char **argv)
{
    struct command_line line = {argc, argv};
    struct error e;
    check_set_context(CHECK_FRONT_END, print_again, &line);
    int status = run_command(&line);
    errno = 0;
    if ((fflush(stdout) != 0 || ferror(stdout)) && errno != EPIPE) {
        error_set(&e, "standard output: %s", strerror(errno ? errno : EIO));
        return command_usage(&e);
    }
    return status;
}
