/*
 * Variables and types from DWARF. Source: DWARF 5, "Type Entries", "Data Object and Object List".
 * Deviations: locations other than one fixed address (thread-local, optimised away) are not found.
 */

#include "observe/symbols_internal.h"

#include "base/check.h"

#include <dwarf.h>
#include <stdlib.h>
#include <string.h>

#define POINTER_BYTES  8u
#define DIMENSIONS_MAX 4u
/* Beyond these the file is broken: */
#define PEEL_MAX      64u  /* typedef, const, volatile in each other */
#define NESTED_MAX    32u  /* arrays of arrays */
#define ANONYMOUS_MAX 256u /* anonymous members looked into for one name */

bool die_next_sibling(Dwarf_Die *die)
{
    Dwarf_Off here = dwarf_dieoffset(die);
    return dwarf_siblingof(die, die) == 0 && dwarf_dieoffset(die) > here;
}

/* ---- the index of file-level names ---- */

static void index_add(struct symbols *s, Dwarf_Die *die)
{
    const char *name = dwarf_diename(die);
    if (!name) {
        return;
    }
    if (s->variable_count == s->variable_capacity) {
        s->variable_capacity = s->variable_capacity ? s->variable_capacity * 2 : 1024;
        s->variables = realloc(s->variables, s->variable_capacity * sizeof *s->variables);
        CHECK(s->variables, "out of memory");
    }
    s->variables[s->variable_count++] = (struct variable){name, dwarf_dieoffset(die)};
}

static bool indexed_tag(int tag)
{
    return tag == DW_TAG_variable || tag == DW_TAG_structure_type || tag == DW_TAG_union_type ||
           tag == DW_TAG_typedef;
}

static void index_unit(struct symbols *s, Dwarf_Die *unit)
{
    Dwarf_Die die;
    if (dwarf_child(unit, &die) != 0) {
        return;
    }
    do {
        int tag = dwarf_tag(&die);
        if (indexed_tag(tag)) {
            index_add(s, &die);
        } else if (tag == DW_TAG_enumeration_type) {
            Dwarf_Die value;
            if (dwarf_child(&die, &value) == 0) {
                do {
                    index_add(s, &value);
                } while (die_next_sibling(&value));
            }
        }
    } while (die_next_sibling(&die));
}

static int order_variables(const void *a, const void *b)
{
    const struct variable *x = a, *y = b;
    int names = strcmp(x->name, y->name);
    return names ? names : x->die < y->die ? -1 : x->die > y->die;
}

static void make_index(struct symbols *s)
{
    if (s->indexed || !s->dwarf) {
        return;
    }
    s->indexed = true;
    Dwarf_Off offset = 0, next;
    size_t header_bytes;
    while (dwarf_nextcu(s->dwarf, offset, &next, &header_bytes, NULL, NULL, NULL) == 0) {
        Dwarf_Die unit;
        if (dwarf_offdie(s->dwarf, offset + header_bytes, &unit)) {
            index_unit(s, &unit);
        }
        offset = next;
    }
    if (s->variable_count) {
        qsort(s->variables, s->variable_count, sizeof *s->variables, order_variables);
    }
}

typedef bool die_wanted_fn(Dwarf_Die *die, void *arg);

/* The first entry of a name, in file order, that wanted accepts. */
static bool index_find(struct symbols *s, const char *name, die_wanted_fn *wanted, void *arg)
{
    make_index(s);
    size_t low = 0, high = s->variable_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (strcmp(s->variables[middle].name, name) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    for (; low < s->variable_count && strcmp(s->variables[low].name, name) == 0; low++) {
        Dwarf_Die die;
        if (dwarf_offdie(s->dwarf, s->variables[low].die, &die) && wanted(&die, arg)) {
            return true;
        }
    }
    return false;
}

/* ---- types ---- */

static bool attribute_type(Dwarf_Die *die, Dwarf_Die *out)
{
    Dwarf_Attribute attribute;
    return dwarf_attr_integrate(die, DW_AT_type, &attribute) && dwarf_formref_die(&attribute, out);
}

static bool attribute_unsigned(Dwarf_Die *die, unsigned name, uint64_t *out)
{
    Dwarf_Attribute attribute;
    Dwarf_Word value;
    if (!dwarf_attr_integrate(die, name, &attribute) || dwarf_formudata(&attribute, &value) != 0) {
        return false;
    }
    *out = value;
    return true;
}

static bool is_qualifier(int tag)
{
    return tag == DW_TAG_typedef || tag == DW_TAG_const_type || tag == DW_TAG_volatile_type ||
           tag == DW_TAG_atomic_type || tag == DW_TAG_restrict_type;
}

static bool peel(Dwarf_Die *type)
{
    for (unsigned i = 0; i < PEEL_MAX; i++) {
        if (!is_qualifier(dwarf_tag(type))) {
            return true;
        }
        Dwarf_Die inner;
        if (!attribute_type(type, &inner)) {
            return false;
        }
        *type = inner;
    }
    return false;
}

/* The dimensions of an array type; returns how many (at most max). A dimension without a bound counts 0. */
static unsigned dimensions(Dwarf_Die *array, uint64_t *counts, unsigned max)
{
    Dwarf_Die die;
    unsigned n = 0;
    if (dwarf_child(array, &die) != 0) {
        return 0;
    }
    do {
        uint64_t value;
        if (dwarf_tag(&die) == DW_TAG_subrange_type && n < max) {
            counts[n] = attribute_unsigned(&die, DW_AT_count, &value)         ? value
                        : attribute_unsigned(&die, DW_AT_upper_bound, &value) ? value + 1
                                                                              : 0;
            n++;
        }
    } while (die_next_sibling(&die));
    return n;
}

/* The product of an array's dimensions; 0 when unknown. */
static uint64_t array_count(Dwarf_Die *array)
{
    uint64_t counts[DIMENSIONS_MAX], product = 1;
    unsigned n = dimensions(array, counts, DIMENSIONS_MAX);
    for (unsigned i = 0; i < n; i++) {
        product *= counts[i];
    }
    return n ? product : 0;
}

/* The size in bytes of a peeled type; 0 when unknown. Not dwarf_aggregate_size: that follows typedefs in circles. */
static uint64_t type_size(const Dwarf_Die *type)
{
    uint64_t size, factor = 1;
    Dwarf_Die t = *type;
    for (unsigned depth = 0; depth < NESTED_MAX; depth++) {
        if (attribute_unsigned(&t, DW_AT_byte_size, &size)) {
            return factor * size;
        }
        int tag = dwarf_tag(&t);
        if (tag == DW_TAG_pointer_type) {
            return factor * POINTER_BYTES;
        }
        if (tag == DW_TAG_array_type) {
            factor *= array_count(&t);
        } else if (tag != DW_TAG_enumeration_type) {
            return 0;
        }
        Dwarf_Die inner;
        if (!attribute_type(&t, &inner) || !peel(&inner)) {
            return 0;
        }
        t = inner;
    }
    return 0;
}

static void classify(struct place *p)
{
    uint64_t encoding;
    switch (dwarf_tag(&p->type)) {
    case DW_TAG_base_type:
        p->kind = TYPE_INTEGER;
        p->is_signed = attribute_unsigned(&p->type, DW_AT_encoding, &encoding) &&
                       (encoding == DW_ATE_signed || encoding == DW_ATE_signed_char);
        break;
    case DW_TAG_enumeration_type:
        p->kind = TYPE_INTEGER;
        break;
    case DW_TAG_pointer_type:
        p->kind = TYPE_POINTER;
        break;
    case DW_TAG_structure_type:
    case DW_TAG_union_type:
        p->kind = TYPE_STRUCT;
        break;
    case DW_TAG_array_type:
        p->kind = TYPE_ARRAY;
        break;
    default:
        p->kind = TYPE_UNKNOWN;
        break;
    }
    p->size_bytes = p->kind == TYPE_POINTER ? POINTER_BYTES : type_size(&p->type);
    if (p->kind == TYPE_INTEGER && (p->size_bytes == 0 || p->size_bytes > 8)) {
        p->kind = TYPE_UNKNOWN;
    }
}

static bool place_make(Dwarf_Die type, uint64_t address, struct place *out)
{
    *out = (struct place){.address = address, .type = type};
    if (!peel(&out->type)) {
        return false;
    }
    classify(out);
    return true;
}

static bool fixed_address(Dwarf_Die *die, uint64_t *address)
{
    Dwarf_Attribute attribute;
    Dwarf_Op *ops;
    size_t count;
    if (!dwarf_attr_integrate(die, DW_AT_location, &attribute) ||
        dwarf_getlocation(&attribute, &ops, &count) != 0 || count != 1 || ops[0].atom != DW_OP_addr) {
        return false;
    }
    *address = ops[0].number;
    return true;
}

static bool wanted_variable(Dwarf_Die *die, void *arg)
{
    uint64_t address;
    Dwarf_Die type;
    return dwarf_tag(die) == DW_TAG_variable && fixed_address(die, &address) && attribute_type(die, &type) &&
           place_make(type, address, arg);
}

bool symbols_variable(struct symbols *s, const char *name, struct place *out)
{
    return index_find(s, name, wanted_variable, out);
}

static bool wanted_type(Dwarf_Die *die, void *arg)
{
    struct place *out = arg;
    int tag = dwarf_tag(die);
    bool is_type = tag == DW_TAG_structure_type || tag == DW_TAG_union_type || tag == DW_TAG_typedef;
    return is_type && !dwarf_hasattr(die, DW_AT_declaration) && place_make(*die, out->address, out) &&
           out->kind != TYPE_UNKNOWN;
}

bool symbols_type_at(struct symbols *s, const char *type_name, uint64_t address, struct place *out)
{
    out->address = address;
    return index_find(s, type_name, wanted_type, out);
}

/* Forms of a fixed size do not tell a sign: compilers use them for values that are not negative. */
static bool wanted_enumerator(Dwarf_Die *die, void *arg)
{
    Dwarf_Attribute attribute;
    Dwarf_Word value;
    Dwarf_Sword negative;
    if (dwarf_tag(die) != DW_TAG_enumerator || !dwarf_attr(die, DW_AT_const_value, &attribute)) {
        return false;
    }
    if (dwarf_formudata(&attribute, &value) == 0) {
        *(int64_t *)arg = (int64_t)value;
        return true;
    }
    if (dwarf_formsdata(&attribute, &negative) == 0) {
        *(int64_t *)arg = negative;
        return true;
    }
    return false;
}

bool symbols_enumerator(struct symbols *s, const char *name, int64_t *value)
{
    return index_find(s, name, wanted_enumerator, value);
}

/* ---- walking ---- */

static bool member_place(const struct place *p, Dwarf_Die *member, struct place *out)
{
    Dwarf_Die type;
    uint64_t offset = 0, bits = 0, bit_offset = 0;
    attribute_unsigned(member, DW_AT_data_member_location, &offset);
    bool is_field = attribute_unsigned(member, DW_AT_bit_size, &bits);
    attribute_unsigned(member, DW_AT_data_bit_offset, &bit_offset);
    if (!attribute_type(member, &type) || !place_make(type, p->address + offset, out)) {
        return false;
    }
    if (is_field && (bits == 0 || bits > 64 || out->kind != TYPE_INTEGER)) {
        return false;
    }
    if (is_field) {
        out->address = p->address + bit_offset / 8;
        out->bit_offset = bit_offset % 8;
        out->bit_size = (unsigned)bits;
    }
    return true;
}

/* left: how many anonymous members may still be looked into. */
static bool find_member(const struct place *p, const char *member, unsigned *left, struct place *out)
{
    Dwarf_Die die, type = p->type;
    if (p->kind != TYPE_STRUCT || dwarf_child(&type, &die) != 0) {
        return false;
    }
    do {
        struct place inner;
        const char *name = dwarf_diename(&die);
        if (dwarf_tag(&die) != DW_TAG_member) {
            continue;
        }
        if (name && strcmp(name, member) == 0) {
            return member_place(p, &die, out);
        }
        if (!name && *left > 0 && member_place(p, &die, &inner)) {
            --*left;
            if (find_member(&inner, member, left, out)) {
                return true;
            }
        }
    } while (die_next_sibling(&die));
    return false;
}

bool place_member(const struct place *p, const char *member, struct place *out)
{
    unsigned left = ANONYMOUS_MAX;
    return find_member(p, member, &left, out);
}

const char *place_member_name(const struct place *p, unsigned n)
{
    Dwarf_Die die, type = p->type;
    if (p->kind != TYPE_STRUCT || dwarf_child(&type, &die) != 0) {
        return NULL;
    }
    do {
        if (dwarf_tag(&die) == DW_TAG_member && dwarf_diename(&die) && n-- == 0) {
            return dwarf_diename(&die);
        }
    } while (die_next_sibling(&die));
    return NULL;
}

uint64_t place_count(const struct place *p)
{
    Dwarf_Die type = p->type;
    return p->kind == TYPE_ARRAY ? array_count(&type) : 0;
}

bool place_element(const struct place *p, uint64_t index, struct place *out)
{
    Dwarf_Die element, type = p->type;
    uint64_t count = place_count(p);
    if (p->kind != TYPE_ARRAY || (count && index >= count) || !attribute_type(&type, &element)) {
        return false;
    }
    if (!place_make(element, p->address, out) || out->size_bytes == 0) {
        return false;
    }
    out->address += index * out->size_bytes;
    return true;
}

/* A struct that the unit of its pointer only declares is looked for in the others. */
static void complete(struct symbols *s, struct place *p)
{
    const char *name = dwarf_diename(&p->type);
    struct place defined;
    if (p->kind == TYPE_STRUCT && name && dwarf_hasattr(&p->type, DW_AT_declaration) &&
        symbols_type_at(s, name, p->address, &defined)) {
        *p = defined;
    }
}

bool place_target(struct symbols *s, const struct place *p, uint64_t value, struct place *out)
{
    Dwarf_Die target, type = p->type;
    if (p->kind != TYPE_POINTER || !attribute_type(&type, &target) || !place_make(target, value, out)) {
        return false;
    }
    complete(s, out);
    return out->kind != TYPE_UNKNOWN;
}
