/*
 * Where functions were inlined, from DWARF (version 5, section 3.3.8: inlined subroutine entries and their ranges).
 * Deviations: none. What a broken file says of nesting deeper than NESTING_MAX is not looked at.
 */

#include "observe/symbols_internal.h"

#include <dwarf.h>
#include <stdlib.h>
#include <string.h>

#define NESTING_MAX 64u

struct search {
    const char *function;
    struct code_range *out;
    size_t capacity, found;
};

static void add_ranges(struct search *search, Dwarf_Die *die)
{
    Dwarf_Addr base, first, end;
    for (ptrdiff_t at = dwarf_ranges(die, 0, &base, &first, &end); at > 0;
         at = dwarf_ranges(die, at, &base, &first, &end)) {
        if (first < end) {
            if (search->found < search->capacity) {
                search->out[search->found] = (struct code_range){first, end};
            }
            search->found++;
        }
    }
}

static void search_entry(struct search *search, Dwarf_Die *die, unsigned nesting)
{
    if (dwarf_tag(die) == DW_TAG_inlined_subroutine) {
        const char *name = dwarf_diename(die);
        if (name && strcmp(name, search->function) == 0) {
            add_ranges(search, die);
        }
    }
    Dwarf_Die child;
    if (nesting == NESTING_MAX || dwarf_child(die, &child) != 0) {
        return;
    }
    do {
        search_entry(search, &child, nesting + 1);
    } while (die_next_sibling(&child));
}

static int order_ranges(const void *a, const void *b)
{
    const struct code_range *x = a, *y = b;
    int order = (x->first > y->first) - (x->first < y->first);
    return order ? order : (x->end > y->end) - (x->end < y->end);
}

size_t symbols_inlined(const struct symbols *s, const char *function, struct code_range *out, size_t capacity)
{
    struct search search = {.function = function, .out = out, .capacity = capacity};
    Dwarf_Off offset = 0, next;
    size_t header_bytes;
    while (s->dwarf && dwarf_nextcu(s->dwarf, offset, &next, &header_bytes, NULL, NULL, NULL) == 0) {
        Dwarf_Die unit;
        if (dwarf_offdie(s->dwarf, offset + header_bytes, &unit)) {
            search_entry(&search, &unit, 0);
        }
        offset = next;
    }
    size_t written = search.found < capacity ? search.found : capacity;
    if (written) {
        qsort(out, written, sizeof *out, order_ranges);
    }
    return search.found;
}
