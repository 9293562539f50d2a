/* Members of a struct from DWARF. Source: DWARF 5, "Structure, Union, Class and Interface Type Entries", "Array Type Entries". */

#include "state_fields.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define WHOLE_ELEMENTS  16u /* arrays up to this length are taken whole */
#define SAMPLE_ELEMENTS 12u

struct reader {
    struct state_fields *fields;
    struct state_exclusion *excluded;
    size_t excluded_count;
};

static void add_type(struct reader *r, Dwarf_Die *type, const char *path, size_t offset);

static void without_indices(const char *path, char *out)
{
    for (bool inside = false; *path; path++) {
        inside |= *path == '[';
        if (!inside) {
            *out++ = *path;
        }
        inside &= *path != ']';
    }
    *out = 0;
}

static bool is_excluded(struct reader *r, const char *path)
{
    char plain[sizeof r->fields->list->path];
    without_indices(path, plain);
    for (size_t i = 0; i < r->excluded_count; i++) {
        if (strcmp(r->excluded[i].path, path) == 0 || strcmp(r->excluded[i].path, plain) == 0) {
            r->excluded[i].used = true;
            return true;
        }
    }
    return false;
}

static void add_field(struct reader *r, const char *path, size_t offset, size_t size,
                      enum state_field_kind kind)
{
    struct state_fields *f = r->fields;
    if ((f->count & (f->count - 1)) == 0) {
        f->list = realloc(f->list, (f->count ? 2 * f->count : 1) * sizeof *f->list);
        assert_non_null(f->list);
    }
    struct state_field *new = &f->list[f->count++];
    *new = (struct state_field){.offset = offset, .size = size, .kind = kind};
    snprintf(new->path, sizeof new->path, "%s", path);
}

/* The type that an entry names, without typedefs and qualifiers. */
static bool type_of(Dwarf_Die *die, Dwarf_Die *type)
{
    Dwarf_Attribute a;
    return dwarf_attr_integrate(die, DW_AT_type, &a) && dwarf_formref_die(&a, type) &&
           dwarf_peel_type(type, type) == 0;
}

static uint64_t number_of(Dwarf_Die *die, unsigned attribute, uint64_t missing)
{
    Dwarf_Attribute a;
    Dwarf_Word value;
    bool there = dwarf_attr_integrate(die, attribute, &a) && dwarf_formudata(&a, &value) == 0;
    return there ? value : missing;
}

static void add_members(struct reader *r, Dwarf_Die *type, const char *path, size_t offset, bool first_only)
{
    Dwarf_Die member, member_type;
    for (int end = dwarf_child(type, &member); end == 0; end = dwarf_siblingof(&member, &member)) {
        if (dwarf_tag(&member) != DW_TAG_member) {
            continue;
        }
        char name[sizeof r->fields->list->path];
        assert_true(type_of(&member, &member_type));
        snprintf(name, sizeof name, "%.150s.%.40s", path, dwarf_diename(&member));
        add_type(r, &member_type, name, offset + number_of(&member, DW_AT_data_member_location, 0));
        if (first_only) {
            return;
        }
    }
}

/* Elements of all dimensions together, and of the innermost one. */
static uint64_t element_count(Dwarf_Die *array)
{
    Dwarf_Die range;
    uint64_t count = 1;
    for (int end = dwarf_child(array, &range); end == 0; end = dwarf_siblingof(&range, &range)) {
        if (dwarf_tag(&range) == DW_TAG_subrange_type) {
            count *= number_of(&range, DW_AT_count, number_of(&range, DW_AT_upper_bound, UINT64_MAX) + 1);
        }
    }
    return count;
}

static bool is_sampled(uint64_t i, uint64_t count)
{
    return count <= WHOLE_ELEMENTS || i < 2 || i + 2 >= count || i % (count / SAMPLE_ELEMENTS) == 0;
}

static void add_elements(struct reader *r, Dwarf_Die *array, const char *path, size_t offset)
{
    Dwarf_Die element;
    Dwarf_Word size;
    uint64_t count = element_count(array);
    assert_true(type_of(array, &element));
    assert_int_equal(dwarf_aggregate_size(&element, &size), 0);
    for (uint64_t i = 0; i < count; i++) {
        char name[sizeof r->fields->list->path];
        snprintf(name, sizeof name, "%.180s[%u]", path, (unsigned)i);
        if (is_sampled(i, count)) {
            add_type(r, &element, name, offset + i * size);
        }
    }
}

static enum state_field_kind kind_of(Dwarf_Die *type)
{
    switch (dwarf_tag(type)) {
    case DW_TAG_pointer_type:
        return STATE_FIELD_POINTER;
    case DW_TAG_enumeration_type:
        return STATE_FIELD_ENUM;
    default:
        return number_of(type, DW_AT_encoding, 0) == DW_ATE_boolean ? STATE_FIELD_BOOL : STATE_FIELD_NUMBER;
    }
}

static void add_type(struct reader *r, Dwarf_Die *type, const char *path, size_t offset)
{
    if (is_excluded(r, path)) {
        return;
    }
    switch (dwarf_tag(type)) {
    case DW_TAG_structure_type:
        add_members(r, type, path, offset, false);
        break;
    case DW_TAG_union_type: /* its members are views of the same bytes */
        add_members(r, type, path, offset, true);
        break;
    case DW_TAG_array_type:
        add_elements(r, type, path, offset);
        break;
    default:
        add_field(r, path, offset, number_of(type, DW_AT_byte_size, 8), kind_of(type));
        break;
    }
}

static bool find_in_unit(Dwarf_Die *unit, const char *name, Dwarf_Die *out)
{
    for (int end = dwarf_child(unit, out); end == 0; end = dwarf_siblingof(out, out)) {
        const char *own = dwarf_diename(out);
        if (dwarf_tag(out) == DW_TAG_structure_type && own && strcmp(own, name) == 0 &&
            !dwarf_hasattr(out, DW_AT_declaration)) {
            return true;
        }
    }
    return false;
}

static bool find_struct(Dwarf *d, const char *name, Dwarf_Die *out)
{
    Dwarf_CU *cu = NULL;
    Dwarf_Die unit;
    while (dwarf_get_units(d, cu, &cu, NULL, NULL, &unit, NULL) == 0) {
        if (find_in_unit(&unit, name, out)) {
            return true;
        }
    }
    return false;
}

void state_fields_read(struct state_fields *f, const char *struct_name, const char *root,
                       struct state_exclusion *excluded, size_t excluded_count)
{
    struct reader r = {f, excluded, excluded_count};
    Dwarf_Die type;
    int file = open("/proc/self/exe", O_RDONLY);
    assert_true(file >= 0);
    Dwarf *d = dwarf_begin(file, DWARF_C_READ);
    assert_non_null(d);
    *f = (struct state_fields){0};
    assert_true(find_struct(d, struct_name, &type));
    add_type(&r, &type, root, 0);
    dwarf_end(d);
    close(file);
}

void state_fields_free(struct state_fields *f)
{
    free(f->list);
    *f = (struct state_fields){0};
}
