/* Machine files: what the two of the program's own say, and one line for everything that a file must not say. */

#include "script/machine_file.h"
#include "script/machine_scan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TEXT_MAX 100000u

static char good[TEXT_MAX]; /* machines/inorder.lua */

static int read_good(void **state)
{
    (void)state;
    FILE *f = fopen("machines/inorder.lua", "rb");
    assert_non_null(f);
    good[fread(good, 1, TEXT_MAX - 1, f)] = 0;
    fclose(f);
    return 0;
}

/* The good file with one place changed. */
static void edit(char *text, const char *from, const char *to)
{
    const char *at = strstr(good, from);
    assert_non_null(at);
    snprintf(text, TEXT_MAX, "%.*s%s%s", (int)(at - good), good, to, at + strlen(from));
}

static bool parse(const char *text, struct timing_params *p, struct error *e)
{
    e->text[0] = 0;
    return machine_file_parse("x.lua", text, strlen(text), p, NULL, NULL, e);
}

static void assert_refused(const char *text, const char *message)
{
    struct timing_params p;
    struct error e;
    assert_false(parse(text, &p, &e));
    if (!strstr(e.text, message)) {
        fail_msg("'%s' does not say '%s'", e.text, message);
    }
    assert_ptr_equal(strstr(e.text, "x.lua: "), e.text);
    for (const char *c = e.text; *c; c++) {
        assert_true((unsigned char)*c >= ' ');
    }
}

/* ---- what is good ---- */

static void the_programs_own_machines_are_read_by_their_names(void **state)
{
    struct timing_params p;
    struct error e;
    unsigned count = 0;
    (void)state;
    for (; machine_file_builtin(count); count++) {
        assert_true(machine_file_read(machine_file_builtin(count), &p, &e));
        assert_string_equal(p.name, machine_file_builtin(count));
    }
    assert_int_equal(count, 3);
}

static void a_machine_has_the_numbers_of_its_file(void **state)
{
    struct timing_params p;
    struct error e;
    (void)state;
    assert_true(machine_file_read("zen4-like", &p, &e));
    assert_int_equal(p.value[TIMING_reorder_buffer], 320);
    assert_int_equal(p.value[TIMING_string_chunk_bytes], 16);
    assert_int_equal(p.port_count, 13);
    assert_string_equal(p.port_name[0], "agu"); /* in the order of their names */
    assert_string_equal(p.port_name[1], "alu");
    assert_int_equal(p.capacity[1], 4);
    assert_int_equal(p.load_ports, 1);
    const struct timing_class *div = &p.classes[COST_DIV64], *nop = &p.classes[COST_NOP];
    assert_int_equal(div->ops, 2);
    assert_int_equal(div->latency, 14);
    assert_int_equal(div->ports, 2);
    assert_int_equal(div->occupy, 10);
    assert_string_equal(p.unit_name[div->unit], "divider");
    assert_int_equal(p.classes[COST_FDIV32].unit, p.classes[COST_FSQRT64].unit);
    assert_int_not_equal(p.classes[COST_FDIV32].unit, div->unit);
    assert_int_equal(nop->unit, TIMING_UNIT_NONE);
    assert_int_equal(nop->ops, 1);
    assert_int_equal(p.classes[COST_LOCKED].latency, 8);
}

static void a_file_is_what_has_a_slash_or_ends_in_lua(void **state)
{
    struct timing_params p, own;
    struct error e;
    (void)state;
    assert_true(machine_file_is_path("a.lua") && machine_file_is_path("./a") && machine_file_is_path("/"));
    assert_false(machine_file_is_path("flat") || machine_file_is_path(".lua") || machine_file_is_path(""));
    assert_true(machine_file_read("machines/inorder.lua", &p, &e) && machine_file_read("inorder", &own, &e));
    assert_true(digest_equal(timing_params_digest(&p), timing_params_digest(&own)));
    assert_false(machine_file_read("inorde", &p, &e));
    assert_non_null(strstr(e.text, "flat, inorder, redwood-cove-like, zen4-like"));
    assert_false(machine_file_read("in\norder", &p, &e));
    assert_null(strchr(e.text, '\n'));
    assert_false(machine_file_read("machines/none.lua", &p, &e));
    assert_non_null(strstr(e.text, "machines/none.lua"));
}

static void count_fact(void *arg, const struct machine_fact *f)
{
    unsigned *count = arg;
    assert_true(f->key[0] && f->value[0] && f->source[0]);
    assert_true(*count == 0 ? !f->tag[0] && strcmp(f->key, "machine") == 0 : f->tag[0] != 0);
    ++*count;
}

static void every_value_is_told_with_its_tag_and_its_source(void **state)
{
    unsigned count = 0, classes = 0;
    struct error e;
    (void)state;
    for (unsigned i = 0; i < COST_CLASS_COUNT; i++) {
        unsigned kind = timing_class_kinds[i];
        classes += 1u + (kind != TIMING_NONE && kind != TIMING_MOVES) +
                   (kind == TIMING_PIPE || kind == TIMING_VECTOR);
    }
    assert_true(machine_file_tell("inorder", count_fact, &count, &e));
    /* the name, the numbers, one port group, of loads and of stores, the classes, unit and occupation of nine of them */
    assert_int_equal(count, 1 + TIMING_PARAM_COUNT + 1 + 2 + classes + 2 * 9);
}

static void lua_may_make_the_table(void **state)
{
    static char text[TEXT_MAX];
    struct timing_params p;
    struct error e;
    (void)state;
    edit(text, "mispredict_cycles = { 4,",
         "mispredict_cycles = { (function() local n = 3 return n + 1 end)(),");
    assert_true(parse(text, &p, &e));
    assert_int_equal(p.value[TIMING_mispredict_cycles], 4);
}

/* ---- what is not ---- */

static const struct {
    const char *from, *to, *message;
} edits[] = {
    /* numbers */
    {"mispredict_cycles = {", "mispredict = {", "parameters: there is no 'mispredict'"},
    {"mispredict_cycles = { 4, \"assumed\", \"chosen: four stages before execution are refilled\" },", "",
     "mispredict_cycles is missing"},
    {"mispredict_cycles = { 4,", "mispredict_cycles = { 101,", "mispredict_cycles = 101: 0 to 100"},
    {"mispredict_cycles = { 4,", "mispredict_cycles = { -1,", "mispredict_cycles = -1: 0 to 100"},
    {"mispredict_cycles = { 4,", "mispredict_cycles = { 4294967300,", "mispredict_cycles = 4294967300"},
    {"mispredict_cycles = { 4,", "mispredict_cycles = { 4.0,", "mispredict_cycles must be a whole number"},
    {"mispredict_cycles = { 4,", "mispredict_cycles = { \"4\",", "mispredict_cycles must be a whole number"},
    {"mispredict_cycles = { 4,", "mispredict_cycles = 4, x = {", "parameters: there is no 'x'"},
    {"mispredict_cycles = { 4,", "mispredict_cycles = { 4, mispredict_cycles = 5,",
     "there is no 'mispredict_cycles'"},
    {"mispredict_cycles = { 4,", "mispredict_cycles = { 4, \"assumed\", \"x\" }, mispredict_cycles = { 5,",
     "line 26: mispredict_cycles is given twice"},
    {"mispredict_cycles = { 4,", "[\"mispredict_cycles\"] = { 4,", "a key in brackets"},
    {"mispredict_cycles = { 4, \"assumed\",", "mispredict_cycles = { 4, \"assumed\", \"x\",",
     "more values than it has"},
    {"mispredict_cycles = { 4, \"assumed\",", "mispredict_cycles = { 4, \"guessed\",", "tag 'guessed'"},
    {"mispredict_cycles = { 4, \"assumed\",", "mispredict_cycles = { 4, 7,", "the tag must be a text"},
    {"\"chosen: four stages before execution are refilled\"", "\"\"",
     "mispredict_cycles: the source must be a text"},
    {"\"chosen: four stages before execution are refilled\"", "nil",
     "mispredict_cycles: the source must be a text"},
    {"\"chosen: four stages before execution are refilled\"", "\" \"",
     "mispredict_cycles: the source must be a text"},
    {"\"chosen: four stages before execution are refilled\"", "\"a\\nb\"",
     "the source must be a text of one line"},
    {"\"chosen: four stages before execution are refilled\"", "string.rep('x', 401)", "at most 400 bytes"},
    {"{ 4, \"assumed\", \"chosen: four stages before execution are refilled\" }", "4",
     "{ value, tag, source }"},
    {"l1i_sets = { 16,", "l1i_sets = { 17,", "l1i_sets = 17: 1 to 1024, a power of two"},
    {"snoop_cycles = { 30,", "snoop_cycles = { 61,", "snoop_cycles = 61: at most cache_to_cache_cycles = 60"},
    {"l2_sets = { 128,", "l2_sets = { 1,", "l1d_sets * l1d_ways = 64 lines: at most l2_sets * l2_ways = "},
    {"l1i_sets = { 16,", "l1i_sets = { 1024,",
     "l1i_sets * l1i_ways = 4096 lines: at most l2_sets * l2_ways = "},
    {"history_1 = { 4,", "history_1 = { 9,", "history_1 = 9: at most history_2 = 8"},
    /* port groups */
    {"pipe = { 1,", "pipe = { 0,", "port.pipe = 0: 1 to 7"},
    {"pipe = { 1,", "pipe = { 8,", "port.pipe = 8: 1 to 7"},
    {"pipe = { 1,", "Pipe = { 1,", "a name is small letters"},
    {"pipe = { 1,", "pipe_with_a_name_that_is_far_too_long = { 1,", "at most 31"},
    {"pipe = { 1,", "{ 1,", "ports: a value without a name"},
    {"load_ports = { \"pipe\"", "load_ports = { \"agu\"", "load_ports: there is no port group 'agu'"},
    {"load_ports = { \"pipe\"", "load_ports = { \"pipe pipe\"", "load_ports: 'pipe' is given twice"},
    {"load_ports = { \"pipe\"", "load_ports = { \"pipe\\0pipe\"", "load_ports must be names"},
    {"load_ports = { \"pipe\"", "load_ports = { 1", "load_ports must be names"},
    {"store_ports = { \"pipe\"", "x = { \"pipe\"", "the machine: there is no 'x'"},
    /* classes */
    {"\"PUSH_ALL\"", "\"PUSH_SOME\"", "classes: there is no 'PUSH_SOME'"},
    {"\"PUSH_ALL\"", "\"PUSH_ALL STRING\"", "class STRING is given twice"},
    {"\"PUSH_ALL\"", "\"PUSH_ALL PUSH_ALL\"", "class PUSH_ALL is given twice"},
    {"\"PUSH_ALL\"", "7", "the first of row"},
    {"{ \"PUSH_ALL\", \"assumed\", flat, ops = 1, latency = 2 },", "", "class PUSH_ALL is missing"},
    {"\"PUSH_ALL\", \"assumed\", flat, ops = 1", "\"PUSH_ALL\", \"assumed\", flat, ops = 0",
     "class.PUSH_ALL.ops = 0: 1 to 31"},
    {"\"PUSH_ALL\", \"assumed\", flat, ops = 1", "\"PUSH_ALL\", \"assumed\", flat, ops = 32",
     "class.PUSH_ALL.ops = 32"},
    {"\"PUSH_ALL\", \"assumed\", flat, ops = 1", "\"PUSH_ALL\", \"assumed\", flat, op = 1",
     "class.PUSH_ALL: there is no 'op'"},
    {"\"PUSH_ALL\", \"assumed\", flat, ops = 1,", "\"PUSH_ALL\", \"assumed\", flat,",
     "class.PUSH_ALL.ops is missing"},
    {"\"PUSH_ALL\", \"assumed\", flat, ops", "\"PUSH_ALL\", ops",
     "class.PUSH_ALL.ops: { value, tag, source }"},
    {"\"PUSH_ALL\", \"assumed\", flat, ops", "\"PUSH_ALL\", \"assumed\", ops",
     "class.PUSH_ALL: the source must be"},
    {"\"PUSH_ALL\", \"assumed\", flat, ops", "\"PUSH_ALL\", nil, flat, ops",
     "class.PUSH_ALL: the tag must be"},
    {"flat, ops = 1, latency = 2 }", "flat, ops = 1 }", "class.PUSH_ALL.latency is missing"},
    {"flat, ops = 1, latency = 2 }", "flat, ops = 1, latency = 4096 }",
     "class.PUSH_ALL.latency = 4096: 0 to 4095"},
    {"flat, ops = 1, latency = 2 }", "flat, ops = 1, latency = 2, latency = 3 }", "latency is given twice"},
    {"flat, ops = 1, latency = 2 }", "flat, ops = 1, latency = 2, ports = \"pipe\" }",
     "of this kind have no ports"},
    {"flat, ops = 1, latency = 2 }", "flat, ops = 1, latency = 2, unit = \"u\", occupy = 1 }",
     "of this kind have no unit"},
    {"no_stage, ops = 1 }", "no_stage, ops = 1, latency = 1 }",
     "class.NOP: classes of this kind have no latency"},
    {"{ \"STRING\", \"assumed\", simple, ops = 1, latency = 1, ports = \"pipe\" }",
     "{ \"STRING\", \"assumed\", simple, ops = 1, latency = 1 }", "class.STRING.ports is missing"},
    {"unit = \"divider\", occupy = 20", "unit = \"divider\"", "class.DIV8.occupy is missing"},
    {"unit = \"divider\", occupy = 20", "occupy = 20", "class.DIV8.unit is missing"},
    {"unit = \"divider\", occupy = 20", "unit = \"divider\", occupy = 0", "class.DIV8.occupy = 0: 1 to 4095"},
    {"unit = \"divider\", occupy = 20", "unit = 3, occupy = 20", "class.DIV8.unit: a name must be a text"},
    {"{ \"STRING\", \"assumed\", simple, ops = 1, latency = 1, ports = \"pipe\" }", "7", "is no table"},
    {"classes = {", "classes = { x = 1,", "classes: there is no 'x'"},
    /* the whole */
    {"name = \"inorder\"", "name = \"flat\"", "is the machine without a file"},
    {"name = \"inorder\"", "name = \"In order\"", "a name is small letters"},
    {"name = \"inorder\",", "", "name: a name must be a text"},
    {"about = \"single issue, in order, small caches: for checking by hand\",", "",
     "about: it must be a text"},
    {"parameters = {", "parameters = 7, x = {", "there is no 'x'"},
    {"return {", "local t = {", "returns a table"},
    {"return {", "return {{", "'}' expected"},
    {"return {", "error('it\\n fails') return {", "it? fails"},
    {"return {", "error({}) return {", "an error that is no text"},
    {"return {", "while true do end return {", "runs for too long"},
    {"return {", "print('x') return {", "a nil value (global 'print')"},
    {"return {", "require('x') return {", "a nil value (global 'require')"},
    {"return {", "local s = 'x' while true do s = s .. s end return {", "memory"},
};

static void what_a_file_must_not_say_gets_one_line(void **state)
{
    static char text[TEXT_MAX];
    (void)state;
    for (size_t i = 0; i < sizeof edits / sizeof edits[0]; i++) {
        edit(text, edits[i].from, edits[i].to);
        assert_refused(text, edits[i].message);
    }
}

static void too_many_groups_and_units_are_refused(void **state)
{
    static char text[TEXT_MAX];
    char more[1000] = "ports = { ";
    (void)state;
    for (unsigned i = 0; i < TIMING_PORTS_MAX; i++) {
        char one[50];
        snprintf(one, sizeof one, "p%u = { 1, 'assumed', 'x' }, ", i);
        strcat(more, one);
    }
    edit(text, "ports = {", more);
    assert_refused(text, "ports: more than 16 groups");
    more[0] = 0;
    for (unsigned i = 0; i < 9; i++) {
        static const char *const classes[] = {"ALU",          "LEA", "LEA_SLOW", "SHIFT", "ROTATE_CARRY",
                                              "SHIFT_DOUBLE", "BIT", "SCAN",     "COUNT"};
        char one[100];
        snprintf(one, sizeof one,
                 "{ '%s', 'assumed', 'x', ops = 1, latency = 1, ports = '', unit = 'u%u', occupy = 1 }, ",
                 classes[i], i);
        strcat(more, one);
    }
    strcat(more, "{ \"XCHG\"");
    edit(text, "{ \"ALU LEA LEA_SLOW SHIFT ROTATE_CARRY SHIFT_DOUBLE BIT SCAN COUNT XCHG\"", more);
    assert_refused(text, "unit u8: more than 8 units");
}

static void byte_code_and_binary_are_no_machine(void **state)
{
    struct timing_params p;
    struct error e;
    (void)state;
    assert_false(machine_file_parse("x", "\033Lua", 4, &p, NULL, NULL, &e));
    assert_false(machine_file_parse("x", "return {}\0", 10, &p, NULL, NULL, &e));
    assert_refused("", "returns a table");
    assert_refused("return setmetatable({}, { __index = function() return 1 end })",
                   "name: a name must be a text");
}

/* ---- keys given twice ---- */

static bool scan(const char *text, struct error *e)
{
    e->text[0] = 0;
    return machine_scan(text, strlen(text), e);
}

static void a_key_given_twice_is_found_in_its_own_table_only(void **state)
{
    static const char *const fine[] = {
        "return { a = 1, b = { a = 1, b = 2 }, c = { a = 1 } }",
        "local a = 1 a = 2 return { a = a == 1, b = a }",
        "return { a = 1 --[[ , a = 2 ]], b = 'a = 1, a = 2', c = [==[ {, a = 1 ]] ]==], -- , a = 3\n d = "
        "\"\\\", a = 4\" }",
        "return { a == 1, a == 2, f(a), [[x]], x[1] }",
        "}}} = {",
        "--[==[",
        "'",
    };
    static const char *const doubled[] = {
        "return { a = 1, a = 2 }",
        "return { a = { b = 1 }; a = 2 }",
        "return { a = 1, --[==[ ]] \n ]==] a --x\n = 2 }",
        "return { 1, { b = '\\'', c = [[ ]], b = 2 } }",
        "return { ['a'] = 1 }",
        "return { 1, [ 2 ] = 1 }",
    };
    struct error e;
    (void)state;
    for (size_t i = 0; i < sizeof fine / sizeof fine[0]; i++) {
        assert_true(scan(fine[i], &e));
    }
    for (size_t i = 0; i < sizeof doubled / sizeof doubled[0]; i++) {
        assert_false(scan(doubled[i], &e));
        assert_non_null(strstr(e.text, i < 4 ? "is given twice" : "a key in brackets"));
    }
    assert_false(scan("{{{{{{{{{{{{{{{{{", &e));
    assert_non_null(strstr(e.text, "16 deep"));
}

static void a_table_of_too_many_names_is_refused(void **state)
{
    static char text[TEXT_MAX] = "return { ";
    struct error e;
    (void)state;
    for (unsigned i = 0; i <= 512; i++) {
        char one[20];
        snprintf(one, sizeof one, "a%u = 1, ", i);
        strcat(text, one);
    }
    assert_false(scan(text, &e));
    assert_non_null(strstr(e.text, "more than 512 names"));
}

/* ---- configurations ---- */

static struct sim_config config(const char *machine, const char *engine)
{
    struct sim_config c;
    sim_config_init(&c);
    assert_true(!machine || sim_config_set(&c, PARAMETER_MACHINE, machine, NULL));
    assert_true(!engine || sim_config_set(&c, PARAMETER_ENGINE, engine, NULL));
    return c;
}

static void a_machine_that_is_named_comes_with_the_timed_engine(void **state)
{
    struct timing_params room;
    struct error e;
    (void)state;
    struct sim_config c = config("inorder", NULL);
    assert_true(machine_file_resolve(&c, &room, &e) && c.engine == ENGINE_TIMED && c.timing == &room);
    c = config("inorder", "timed");
    assert_true(machine_file_resolve(&c, &room, &e) && c.timing == &room);
    c = config("flat", NULL);
    assert_true(machine_file_resolve(&c, &room, &e) && c.engine == ENGINE_TIMED && !c.timing);
    c = config(NULL, "fast");
    assert_true(machine_file_resolve(&c, &room, &e) && c.engine == ENGINE_FAST && !c.timing);
    c = config(NULL, NULL);
    c.timing = &room; /* of another time */
    assert_true(machine_file_resolve(&c, &room, &e) && c.engine == ENGINE_FAST && !c.timing);
    c = config(NULL, "timed");
    assert_true(machine_file_resolve(&c, &room, &e));
    assert_string_equal(c.machine, MACHINE_DEFAULT);
    c = config("inorder", "fast");
    assert_false(machine_file_resolve(&c, &room, &e));
    assert_non_null(strstr(e.text, "the fast engine has no use for one"));
    c = config("flat", "fast");
    assert_false(machine_file_resolve(&c, &room, &e));
    c = config("nowhere", NULL);
    assert_false(machine_file_resolve(&c, &room, &e));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_programs_own_machines_are_read_by_their_names),
        cmocka_unit_test(a_machine_has_the_numbers_of_its_file),
        cmocka_unit_test(a_file_is_what_has_a_slash_or_ends_in_lua),
        cmocka_unit_test(every_value_is_told_with_its_tag_and_its_source),
        cmocka_unit_test(lua_may_make_the_table),
        cmocka_unit_test(what_a_file_must_not_say_gets_one_line),
        cmocka_unit_test(too_many_groups_and_units_are_refused),
        cmocka_unit_test(byte_code_and_binary_are_no_machine),
        cmocka_unit_test(a_key_given_twice_is_found_in_its_own_table_only),
        cmocka_unit_test(a_table_of_too_many_names_is_refused),
        cmocka_unit_test(a_machine_that_is_named_comes_with_the_timed_engine),
    };
    return cmocka_run_group_tests(tests, read_good, NULL);
}
