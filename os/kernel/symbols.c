/*
 * The kernel's own symbol table: put into section .symbols by a second link (os/tools/symbols.awk), function
 * start addresses as offsets from text_start in ascending order, with offsets of their names.
 */
#include "symbols.h"

#include <stddef.h>

struct symbol {
    uint32_t text_offset;
    uint32_t name_offset;
};

extern const uint64_t symbol_count;
extern const struct symbol symbol_table[];
extern const char symbol_names[];
extern const char text_start[];
extern const char text_end[];

const char *symbol_lookup(uint64_t address, uint64_t *offset)
{
    uint64_t start = (uint64_t)(uintptr_t)text_start;
    if (address < start || address >= (uint64_t)(uintptr_t)text_end || symbol_count == 0) {
        return NULL;
    }
    uint64_t wanted = address - start;
    uint64_t low = 0;
    for (uint64_t high = symbol_count; high - low > 1;) {
        uint64_t middle = low + (high - low) / 2;
        if (symbol_table[middle].text_offset <= wanted) {
            low = middle;
        } else {
            high = middle;
        }
    }
    if (symbol_table[low].text_offset > wanted) {
        return NULL;
    }
    *offset = wanted - symbol_table[low].text_offset;
    return symbol_names + symbol_table[low].name_offset;
}
