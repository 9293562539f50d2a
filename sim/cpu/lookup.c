/* CPU feature names as people type them, through the gperf table made from the rows of cpuid.def. */

#include "cpu/cpuid.h"

#include <ctype.h>
#include <string.h>

#include "cpu_features.inc"

#define NAME_MAX_BYTES 32u

int cpuid_feature_find(const char *name, size_t length)
{
    char word[NAME_MAX_BYTES];
    if (length >= sizeof word) {
        return -1;
    }
    for (size_t i = 0; i < length; i++) {
        word[i] = name[i] == '_' || name[i] == '.' ? '-' : (char)tolower((unsigned char)name[i]);
    }
    const struct cpu_features_entry *found = cpu_features_find(word, length);
    return found ? found->value : -1;
}
