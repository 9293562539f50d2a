/*
 * Where functions were inlined, from DWARF (version 5, section 3.3.8: inlined subroutine entries and their ranges).
 * Deviations: none. What a broken file says of nesting deeper than NESTING_MAX is not looked at.
 */

#include "observe/symbols_internal.h"

#include "base/check.h"

#include <dwarf.h>
#include <stdlib.h>
#include <string.h>

#define NESTING_MAX SYMBOLS_INLINED_MAX

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

/* ---- which functions an address is in ---- */

static void *room_for_one(void *elements, size_t count, size_t *capacity, size_t size_bytes)
{
    if (count == *capacity) {
        *capacity = *capacity ? *capacity * 2 : 256;
        elements = realloc(elements, *capacity * size_bytes);
        CHECK(elements && count < INLINED_NONE, "out of memory: %zu inlined functions", count);
    }
    return elements;
}

static void index_ranges(struct inlined_index *x, Dwarf_Die *die, uint32_t entry)
{
    Dwarf_Addr base, first, end;
    for (ptrdiff_t at = dwarf_ranges(die, 0, &base, &first, &end); at > 0;
         at = dwarf_ranges(die, at, &base, &first, &end)) {
        if (first < end) {
            x->ranges = room_for_one(x->ranges, x->range_count, &x->range_capacity, sizeof *x->ranges);
            x->ranges[x->range_count++] = (struct inlined_range){{first, end}, entry, INLINED_NONE};
        }
    }
}

static void index_entry(struct inlined_index *x, Dwarf_Die *die, uint32_t outer, unsigned nesting)
{
    if (dwarf_tag(die) == DW_TAG_inlined_subroutine) {
        x->entries = room_for_one(x->entries, x->entry_count, &x->entry_capacity, sizeof *x->entries);
        x->entries[x->entry_count] = (struct inlined_entry){dwarf_dieoffset(die), outer};
        outer = (uint32_t)x->entry_count++;
        index_ranges(x, die, outer);
    }
    Dwarf_Die child;
    if (nesting + 1 >= NESTING_MAX || dwarf_child(die, &child) != 0) {
        return;
    }
    do {
        index_entry(x, &child, outer, nesting + 1);
    } while (die_next_sibling(&child));
}

/* By address; of those that begin together the longest first, and the outermost, which has the smaller number. */
static int order_nested(const void *a, const void *b)
{
    const struct inlined_range *x = a, *y = b;
    if (x->code.first != y->code.first) {
        return x->code.first < y->code.first ? -1 : 1;
    }
    if (x->code.end != y->code.end) {
        return x->code.end > y->code.end ? -1 : 1;
    }
    return (x->entry > y->entry) - (x->entry < y->entry);
}

static void find_enclosing(struct inlined_index *x)
{
    uint32_t around = INLINED_NONE;
    for (uint32_t i = 0; i < x->range_count; i++) {
        while (around != INLINED_NONE && x->ranges[around].code.end <= x->ranges[i].code.first) {
            around = x->ranges[around].enclosing;
        }
        x->ranges[i].enclosing = around;
        around = i;
    }
}

static void make_inlined_index(struct symbols *s)
{
    struct inlined_index *x = &s->inlined;
    Dwarf_Off offset = 0, next;
    size_t header_bytes;
    if (x->made || !s->dwarf) {
        return;
    }
    x->made = true;
    while (dwarf_nextcu(s->dwarf, offset, &next, &header_bytes, NULL, NULL, NULL) == 0) {
        Dwarf_Die unit;
        if (dwarf_offdie(s->dwarf, offset + header_bytes, &unit)) {
            index_entry(x, &unit, INLINED_NONE, 0);
        }
        offset = next;
    }
    if (x->range_count) {
        qsort(x->ranges, x->range_count, sizeof *x->ranges, order_nested);
    }
    find_enclosing(x);
}

void inlined_index_free(struct inlined_index *x)
{
    free(x->entries);
    free(x->ranges);
}

/* The innermost entry that has the address, or INLINED_NONE. */
static uint32_t innermost(const struct inlined_index *x, uint64_t address)
{
    size_t low = 0, high = x->range_count;
    while (low < high) { /* the first range above address */
        size_t middle = (low + high) / 2;
        if (x->ranges[middle].code.first <= address) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    uint32_t at = low ? (uint32_t)low - 1 : INLINED_NONE;
    while (at != INLINED_NONE && address >= x->ranges[at].code.end) {
        at = x->ranges[at].enclosing;
    }
    return at == INLINED_NONE ? INLINED_NONE : x->ranges[at].entry;
}

/* False: a function without a name. */
static bool describe_inlined(const struct symbols *s, Dwarf_Off offset, struct inlined_function *out)
{
    Dwarf_Die die, origin;
    Dwarf_Attribute attribute;
    if (!dwarf_offdie(s->dwarf, offset, &die)) {
        return false;
    }
    bool known =
        dwarf_attr(&die, DW_AT_abstract_origin, &attribute) && dwarf_formref_die(&attribute, &origin) != NULL;
    *out = (struct inlined_function){.name = dwarf_diename(&die),
                                     .file = dwarf_decl_file(&die),
                                     .origin = known ? dwarf_dieoffset(&origin) : offset};
    if (!out->file || dwarf_decl_line(&die, &out->line) != 0) {
        out->line = 0;
    }
    return out->name != NULL;
}

size_t symbols_inlined_at(struct symbols *s, uint64_t address,
                          struct inlined_function out[SYMBOLS_INLINED_MAX])
{
    uint32_t chain[SYMBOLS_INLINED_MAX];
    size_t length = 0, count = 0;
    make_inlined_index(s);
    for (uint32_t n = innermost(&s->inlined, address); n != INLINED_NONE && length < SYMBOLS_INLINED_MAX;
         n = s->inlined.entries[n].outer) {
        chain[length++] = n;
    }
    while (length > 0) {
        count += describe_inlined(s, s->inlined.entries[chain[--length]].die, &out[count]);
    }
    return count;
}
