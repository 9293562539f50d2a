/* Symbols and types, read from this very test program: the compiler's own figures are the oracle. */

#include "observe/symbols.h"

#include "base/bits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum colour { COLOUR_RED = 7, COLOUR_BLUE = -3 };
enum vector { VECTOR_LOW = 0x21, VECTOR_HIGH = 0xf0 };

struct inner {
    uint8_t tag;
    int32_t value;
};

struct outer {
    struct inner rows[3][2];
    struct {
        uint16_t hidden;
    };
    struct inner *next;
    unsigned low : 3, high : 9;
    const volatile enum colour colour;
    enum vector vector;
    char name[12];
};

struct outer test_symbols_object;
static struct symbols *symbols;
static uint8_t *self; /* this program's file */
static size_t self_size;

static int open_self(void **state)
{
    FILE *f = fopen("/proc/self/exe", "rb");
    self = malloc(64u << 20);
    self_size = fread(self, 1, 64u << 20, f);
    (void)state;
    fclose(f);
    symbols = symbols_open("self", self, self_size, NULL);
    return symbols ? 0 : 1;
}

static int close_self(void **state)
{
    (void)state;
    symbols_close(symbols);
    free(self);
    return 0;
}

static struct place object(void)
{
    struct place p;
    assert_true(symbols_variable(symbols, "test_symbols_object", &p));
    return p;
}

static void a_variable_has_the_address_and_size_of_its_symbol(void **state)
{
    uint64_t address, size;
    (void)state;
    assert_true(symbols_find(symbols, "test_symbols_object", &address, &size));
    assert_int_equal(object().address, address);
    assert_int_equal(object().size_bytes, sizeof(struct outer));
    assert_int_equal(size, sizeof(struct outer));
}

static void members_lie_where_the_compiler_put_them(void **state)
{
    struct place p = object(), m;
    (void)state;
    assert_true(place_member(&p, "next", &m));
    assert_int_equal(m.address - p.address, offsetof(struct outer, next));
    assert_int_equal(m.kind, TYPE_POINTER);
    assert_true(place_member(&p, "hidden", &m)); /* of an anonymous struct */
    assert_int_equal(m.address - p.address, offsetof(struct outer, hidden));
    assert_true(place_member(&p, "colour", &m)); /* through qualifiers */
    assert_int_equal(m.kind, TYPE_INTEGER);
    assert_false(place_member(&p, "absent", &m));
    assert_string_equal(place_member_name(&p, 0), "rows");
}

static void elements_of_a_matrix_are_counted_flat(void **state)
{
    struct place p = object(), rows, cell, value;
    (void)state;
    assert_true(place_member(&p, "rows", &rows));
    assert_int_equal(place_count(&rows), 6);
    assert_true(place_element(&rows, 5, &cell));
    assert_int_equal(cell.address - p.address, offsetof(struct outer, rows[2][1]));
    assert_false(place_element(&rows, 6, &cell));
    assert_true(place_member(&cell, "value", &value));
    assert_true(value.is_signed);
    assert_int_equal(value.size_bytes, 4);
}

static void a_bit_field_has_its_offset_and_width(void **state)
{
    struct place p = object(), m;
    (void)state;
    assert_true(place_member(&p, "high", &m));
    assert_int_equal(m.bit_size, 9);
    assert_int_equal((m.address - p.address) * 8 + m.bit_offset, offsetof(struct outer, next) * 8 + 64 + 3);
}

static void a_pointer_leads_to_its_type(void **state)
{
    struct place p = object(), next, target, tag;
    (void)state;
    assert_true(place_member(&p, "next", &next));
    assert_true(place_target(symbols, &next, 0x1000, &target));
    assert_true(place_member(&target, "tag", &tag));
    assert_int_equal(tag.address, 0x1000);
    assert_false(place_target(symbols, &tag, 0x1000, &target));
}

/* This file only knows that there is a struct symbols. */
static void a_pointer_leads_to_a_struct_that_another_unit_defines(void **state)
{
    struct place pointer, target, member;
    (void)state;
    assert_true(symbols_variable(symbols, "symbols", &pointer));
    assert_true(place_target(symbols, &pointer, 0x1000, &target));
    assert_true(place_member(&target, "dwarf", &member));
    assert_int_equal(member.kind, TYPE_POINTER);
    assert_true(member.address > 0x1000);
}

static void enumerators_keep_their_sign(void **state)
{
    int64_t v;
    (void)state;
    assert_true(symbols_enumerator(symbols, "COLOUR_BLUE", &v));
    assert_int_equal(v, -3);
    assert_false(symbols_enumerator(symbols, "COLOUR_GREEN", &v));
}

static void an_enumerator_of_the_upper_half_of_a_byte_is_not_negative(void **state)
{
    int64_t v;
    (void)state;
    assert_true(symbols_enumerator(symbols, "VECTOR_HIGH", &v));
    assert_int_equal(v, 0xf0);
}

static void an_address_inside_a_function_finds_name_and_line(void **state)
{
    uint64_t address, size, offset;
    const char *name, *file;
    int line;
    char text[200];
    (void)state;
    assert_true(symbols_find(symbols, "main", &address, &size));
    assert_true(symbols_cover(symbols, address + 1, &name, &offset));
    assert_string_equal(name, "main");
    assert_int_equal(offset, 1);
    assert_true(symbols_line(symbols, address, &file, &line));
    assert_non_null(strstr(file, "test_symbols.c"));
    assert_true(line > 100);
    symbols_describe(symbols, address + 1, text, sizeof text);
    assert_non_null(strstr(text, "main+0x1 ("));
    assert_false(symbols_cover(symbols, 1, &name, &offset));
}

/* Where this body is, wherever the compiler put it. */
__attribute__((always_inline)) static inline uint64_t inlined_here(void)
{
    uint64_t address;
    __asm__ volatile("lea 0(%%rip), %0" : "=r"(address));
    return address;
}

__attribute__((noinline)) static uint64_t first_caller(void)
{
    return inlined_here();
}

__attribute__((noinline)) static uint64_t second_caller(void)
{
    return inlined_here() + (getenv("") ? 1 : 0);
}

static void an_inlined_function_is_found_in_all_its_callers(void **state)
{
    struct code_range ranges[8];
    uint64_t address, size;
    (void)state;
    assert_true(symbols_find(symbols, "test_symbols_object", &address, &size));
    uint64_t moved = (uint64_t)(uintptr_t)&test_symbols_object - address; /* where the program was loaded */
    uint64_t bodies[] = {first_caller() - moved, second_caller() - moved};
    size_t count = symbols_inlined(symbols, "inlined_here", ranges, 8);
    assert_true(count >= 2 && count <= 8);
    unsigned covered = 0;
    for (size_t i = 0; i < count; i++) {
        assert_true(ranges[i].first < ranges[i].end);
        assert_true(i == 0 || ranges[i - 1].end <= ranges[i].first);
        /* the address read is that behind its own instruction */
        covered += ranges[i].first < bodies[0] && bodies[0] <= ranges[i].end;
        covered += ranges[i].first < bodies[1] && bodies[1] <= ranges[i].end;
    }
    assert_int_equal(covered, 2);
    assert_int_equal(symbols_inlined(symbols, "inlined_here", ranges, 1), count);
    assert_int_equal(symbols_inlined(symbols, "main", ranges, 8), 0);
    assert_int_equal(symbols_inlined(symbols, "no_such_function", ranges, 8), 0);
}

__attribute__((always_inline)) static inline uint64_t inlined_around(void)
{
    return inlined_here();
}

/* With other code than first_caller, of which the compiler would make one function. */
__attribute__((noinline)) static uint64_t third_caller(void)
{
    return inlined_around() + (getenv("=") ? 1 : 0);
}

static void an_address_finds_the_functions_inlined_around_it_outermost_first(void **state)
{
    struct inlined_function at[SYMBOLS_INLINED_MAX], other[SYMBOLS_INLINED_MAX];
    struct code_range ranges[8];
    uint64_t address, size;
    (void)state;
    assert_true(symbols_find(symbols, "test_symbols_object", &address, &size));
    uint64_t moved = (uint64_t)(uintptr_t)&test_symbols_object - address; /* where the program was loaded */
    /* inside the instruction whose end was read */
    assert_int_equal(symbols_inlined_at(symbols, third_caller() - moved - 1, at), 2);
    assert_string_equal(at[0].name, "inlined_around");
    assert_string_equal(at[1].name, "inlined_here");
    assert_non_null(strstr(at[1].file, "test_symbols.c"));
    assert_true(at[1].line > 100 && at[0].line > at[1].line);
    assert_int_equal(symbols_inlined_at(symbols, first_caller() - moved - 1, other), 1);
    assert_string_equal(other[0].name, "inlined_here");
    assert_int_equal(other[0].origin, at[1].origin);
    assert_int_not_equal(at[0].origin, at[1].origin);
    size_t count = symbols_inlined(symbols, "inlined_here", ranges, 8);
    for (size_t i = 0; i < count; i++) { /* inside, and behind the last byte */
        size_t nested = symbols_inlined_at(symbols, ranges[i].first, at);
        assert_true(nested >= 1);
        assert_string_equal(at[nested - 1].name, "inlined_here");
        assert_true(symbols_inlined_at(symbols, ranges[i].end - 1, at) == nested);
    }
    assert_true(symbols_find(symbols, "main", &address, &size));
    assert_int_equal(symbols_inlined_at(symbols, address, at), 0);
    assert_int_equal(symbols_inlined_at(symbols, 0, at), 0);
    assert_int_equal(symbols_inlined_at(symbols, UINT64_MAX, at), 0);
}

/* The bytes of this program's section of a name, inside the copy of the file. */
static uint8_t *section_of(uint8_t *file, const char *name, uint64_t *size)
{
    uint8_t *table = file + load_le64(file + 40), *names = table + 64u * load_le16(file + 62);
    for (unsigned i = 0; i < load_le16(file + 60); i++) {
        const uint8_t *header = table + 64u * i;
        if (strcmp((const char *)file + load_le64(names + 24) + load_le32(header), name) == 0) {
            *size = load_le64(header + 32);
            return file + load_le64(header + 24);
        }
    }
    fail_msg("no section %s", name);
    return NULL;
}

#define STRUCT_ENTRY_BYTES 200u /* the debug information of struct outer, roughly */

/* A width that does not fit 64 bits would run over the buffer of who reads the field. Every 9 among the members of the
 * struct becomes 200 in turn; one of them is the width of `high`. */
static void a_bit_field_wider_than_64_bits_is_not_found(void **state)
{
    struct place whole = object();
    uint64_t size = 0, first = dwarf_dieoffset(&whole.type);
    uint8_t *bytes = section_of(self, ".debug_info", &size);
    unsigned refused = 0;
    (void)state;
    for (uint64_t i = first; i < first + STRUCT_ENTRY_BYTES && i < size; i++) {
        if (bytes[i] != 9) {
            continue;
        }
        bytes[i] = 200;
        struct symbols *s = symbols_open("damaged", self, self_size, NULL);
        struct place p, m;
        if (symbols_variable(s, "test_symbols_object", &p)) {
            bool found = place_member(&p, "high", &m);
            assert_true(!found || m.bit_size <= 64);
            refused += !found;
        }
        symbols_close(s);
        bytes[i] = 9;
    }
    assert_true(refused > 0);
}

static void damaged_files_open_or_do_not_but_do_no_harm(void **state)
{
    FILE *f = fopen("/proc/self/exe", "rb");
    static uint8_t bytes[1 << 16];
    size_t size = fread(bytes, 1, sizeof bytes, f);
    (void)state;
    assert_int_equal(size, sizeof bytes);
    fclose(f);
    for (size_t cut = 0; cut < size; cut += 997) {
        struct symbols *s = symbols_open("cut", bytes, cut, NULL);
        assert_true(s || cut < 64); /* whatever begins with a whole ELF header opens */
        if (s) {
            struct place p;
            symbols_variable(s, "test_symbols_object", &p);
            struct inlined_function inlined[SYMBOLS_INLINED_MAX];
            symbols_inlined(s, "inlined_here", NULL, 0);
            symbols_inlined_at(s, 0x1000 + cut, inlined);
            symbols_close(s);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_variable_has_the_address_and_size_of_its_symbol),
        cmocka_unit_test(members_lie_where_the_compiler_put_them),
        cmocka_unit_test(elements_of_a_matrix_are_counted_flat),
        cmocka_unit_test(a_bit_field_has_its_offset_and_width),
        cmocka_unit_test(a_pointer_leads_to_its_type),
        cmocka_unit_test(a_pointer_leads_to_a_struct_that_another_unit_defines),
        cmocka_unit_test(enumerators_keep_their_sign),
        cmocka_unit_test(an_enumerator_of_the_upper_half_of_a_byte_is_not_negative),
        cmocka_unit_test(an_address_inside_a_function_finds_name_and_line),
        cmocka_unit_test(an_inlined_function_is_found_in_all_its_callers),
        cmocka_unit_test(an_address_finds_the_functions_inlined_around_it_outermost_first),
        cmocka_unit_test(a_bit_field_wider_than_64_bits_is_not_found),
        cmocka_unit_test(damaged_files_open_or_do_not_but_do_no_harm),
    };
    return cmocka_run_group_tests(tests, open_self, close_self);
}
