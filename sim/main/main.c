/* The command line: finds the subcommand. */

#include "main/commands.h"
#include "main/lookup.h"
#include "main/version.h"

int command_usage(const struct error *e)
{
    fprintf(stderr, "orrery: %s\n", e->text);
    return EXIT_USAGE;
}

int main(int argc, char **argv)
{
    struct command_line line = {argc, argv};
    struct error e;
    switch (argc > 1 ? lookup_command(argv[1]) : COMMAND_HELP) {
    case COMMAND_BOOT:
        return command_boot(&line);
    case COMMAND_RUN:
        return command_run(&line);
    case COMMAND_INFO:
        return command_info(&line);
    case COMMAND_VERSION:
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
