/* The gperf table of register names. */

#include "script/lookup.h"

#include <stddef.h>
#include <string.h>

#include "names_registers.inc"

int lookup_register(const char *word)
{
    const struct names_registers_entry *found = names_registers_find(word, strlen(word));
    return found ? found->value : -1;
}
