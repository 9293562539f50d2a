/* The command line's gperf tables. */

#include "main/lookup.h"

#include <stddef.h>
#include <string.h>

#include "names_commands.inc"
#include "names_options.inc"

int lookup_option(const char *word)
{
    const struct names_options_entry *found = names_options_find(word, strlen(word));
    return found ? found->value : -1;
}

int lookup_command(const char *word)
{
    const struct names_commands_entry *found = names_commands_find(word, strlen(word));
    return found ? found->value : -1;
}
