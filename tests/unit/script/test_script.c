/* Scenarios that mean harm, or that got something wrong: the host survives and says so. */

#define _POSIX_C_SOURCE 200809L

#include "script/machine.h"

#include "base/bits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct script_result run(const char *text, uint64_t instructions)
{
    struct script_options o = {
        .path = "x.lua", .text = text, .size = strlen(text), .instructions = instructions};
    struct script_result r;
    struct error e = {""};
    sim_config_init(&o.defaults.config);
    if (!script_run(&o, &r, &e)) {
        fail_msg("%s", e.text);
    }
    return r;
}

static void a_scenario_that_destroys_the_results_still_gets_its_count(void **state)
{
    static const char *const texts[] = {
        "describe('a', function() it('b', function() end) end) orrery = nil",
        "describe('a', function() it('b', function() end) end) orrery.results = 5",
        "describe('a', function() it('b', function() end) end) orrery = setmetatable({}, {__index = error})",
    };
    (void)state;
    for (unsigned i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct script_result r = run(texts[i], 0);
        assert_int_equal(r.passed, 1);
        assert_int_equal(r.failed, 0);
        script_result_deinit(&r);
    }
}

static void a_machine_that_cannot_be_made_is_not_among_the_machines(void **state)
{
    (void)state;
    struct script_result r = run("orrery.machine { memory = '1K', kernel = 'x' }", 0);
    assert_true(r.error.text[0]);
    assert_null(r.machines);
    script_result_deinit(&r);
}

static void a_loop_around_pcall_runs_out_of_instructions_all_the_same(void **state)
{
    (void)state;
    struct script_result r = run("while true do pcall(function() while true do end end) end", 1000000);
    assert_int_equal(script_verdict(&r), EXIT_LIMIT);
    script_result_deinit(&r);
    r = run("while true do coroutine.resume(coroutine.create(function() while true do end end)) end",
            1000000);
    assert_int_equal(script_verdict(&r), EXIT_LIMIT);
    script_result_deinit(&r);
}

/* A Multiboot image of a few bytes of 32-bit code at 0x100020, in a file of its own. */
static void write_code(char *path, const char *code)
{
    uint8_t image[64] = {0};
    store_le32(image, 0x1badb002);
    store_le32(image + 4, 0x10000);
    store_le32(image + 8, 0u - 0x1badb002u - 0x10000u);
    store_le32(image + 12, 0x100000);
    store_le32(image + 16, 0x100000);
    store_le32(image + 28, 0x100020);
    memcpy(image + 32, code, strlen(code));
    int file = mkstemp(path);
    assert_true(file >= 0);
    assert_int_equal(write(file, image, sizeof image), sizeof image);
    close(file);
}

/* One that loops. */
static void write_image(char *path)
{
    write_code(path, "\x90\x90\xeb\xfc");
}

/* Runs text on line 2, after a machine on line 1 that executes code. */
static struct script_result run_guest(const char *code, const char *text)
{
    char path[] = "/tmp/orrery-test-XXXXXX", whole[1200];
    write_code(path, code);
    snprintf(whole, sizeof whole, "local m = orrery.machine { memory = '16M', kernel = '%s' }\n%s", path,
             text);
    struct script_result r = run(whole, 0);
    unlink(path);
    return r;
}

static void assert_verdict(struct script_result r, enum exit_status wanted, const char *error)
{
    assert_int_equal(script_verdict(&r), wanted);
    assert_string_equal(r.error.text, error);
    script_result_deinit(&r);
}

#define LOOP "\x90\x90\xeb\xfc"
#define UD2  "\x0f\x0b"
#define HALT "\xfa\xf4"
/* out 0x3fb, 3 (eight bits); out 0x3f8, 'A'; jmp to itself */
#define SAY_A "\x66\xba\xfb\x03\xb0\x03\xee\x66\xba\xf8\x03\xb0\x41\xee\xeb\xfe"
#define FLOOD "\xb0\x78\xe6\xe9\xeb\xfc" /* mov al, 'x'; out 0xe9, al; jmp */

static void what_ends_a_scenario_decides_the_status(void **state)
{
    (void)state;
    assert_verdict(run("", 0), EXIT_PASSED, "");
    assert_verdict(run("it('a', function() end)", 0), EXIT_PASSED, "");
    assert_verdict(run("it('a', function() expect(1):to_be(2) end)", 0), EXIT_EXPECTATION, "");
    assert_verdict(run("it('a', function() error('x') end)", 0), EXIT_EXPECTATION, "");
    assert_verdict(run("expect(1):to_be(2)", 0), EXIT_EXPECTATION, "");
    assert_verdict(run("\nerror('x')", 0), EXIT_USAGE, "x.lua:2: x");
    assert_verdict(run("describe('a', function() error('x') end)", 0), EXIT_USAGE, "x.lua:1: x");
    assert_verdict(run("it('a', function()\nwhile true do end end)", 1000000), EXIT_LIMIT,
                   "x.lua:2: the scenario used up its budget of 1 million Lua instructions");
    assert_verdict(run("local t = {}\nfor i = 1, 1e9 do t[i] = ('x'):rep(100000) .. i end", 0), EXIT_LIMIT,
                   "x.lua:2: the scenario used up its 256 MiB of memory");
}

static void an_expectation_outside_a_test_counts(void **state)
{
    (void)state;
    struct script_result r = run("it('a', function() end) expect(1):to_be(2)", 0);
    assert_int_equal(r.passed, 1);
    assert_int_equal(r.failed, 1);
    script_result_deinit(&r);
}

static void a_test_left_in_a_coroutine_has_failed(void **state)
{
    (void)state;
    struct script_result r =
        run("coroutine.wrap(function() it('a', function() coroutine.yield() end) end)()", 0);
    assert_int_equal(r.failed, 1);
    assert_verdict(r, EXIT_EXPECTATION, "");
}

static void a_guest_that_crashed_decides_before_the_tests(void **state)
{
    (void)state;
    assert_verdict(run_guest(UD2, "it('a', function() expect(m:run(1000)):to_be('triple fault') end)"),
                   EXIT_GUEST_CRASH, "");
    assert_verdict(run_guest(LOOP, "it('a', function() m:guest_crashed(0) m:run(10) end)"), EXIT_GUEST_CRASH,
                   "");
    assert_verdict(run_guest(LOOP, "it('a', function() expect(m:run(1000)):to_be('cycle limit') end)"),
                   EXIT_PASSED, "");
}

static void a_machine_that_stands_still_has_crashed_only_if_something_was_waited_for(void **state)
{
    (void)state;
    assert_verdict(
        run_guest(HALT, "it('a', function() expect(m:run(1000)):to_be('no progress possible') end)"),
        EXIT_PASSED, "");
    assert_verdict(run_guest(HALT, "it('a', function() m:run(1000) expect(1):to_be(2) end)"),
                   EXIT_EXPECTATION, "");
    assert_verdict(run_guest(HALT, "it('a', function() m:wait_for { text = 'x' } end)"), EXIT_GUEST_CRASH,
                   "");
    assert_verdict(run_guest(HALT, "it('a', function() expect(m:wait_text(0, 'x', 9)):to_be(nil) end)"),
                   EXIT_PASSED, "");
}

static void a_panic_is_told_with_the_first_line_that_the_console_then_prints(void **state)
{
    (void)state;
    struct script_result r =
        run_guest(SAY_A, "m:run_until(1)\nm:probe(0x100020, function() m:guest_crashed(0) end)\n"
                         "m:set_register(0, 'rip', 0x100020)\n"
                         "it('a', function() m:wait_for { text = 'never', within = 1000 } end)");
    struct script_machine m = script_machine_get(&r, 0);
    assert_string_equal(m.cause, "the kernel panicked: A");
    assert_int_equal(m.cpu, 0);
    assert_int_equal(m.status, EXIT_GUEST_CRASH);
    script_result_deinit(&r);
}

static void the_machines_come_in_the_order_of_their_making(void **state)
{
    char path[] = "/tmp/orrery-test-XXXXXX", text[400];
    (void)state;
    write_image(path);
    snprintf(text, sizeof text,
             "for i = 1, 3 do orrery.machine { memory = '16M', kernel = '%s', seed = i }:run(100 * i) end",
             path);
    struct script_result r = run(text, 0);
    unlink(path);
    assert_int_equal(script_machine_count(&r), 3);
    for (unsigned i = 0; i < 3; i++) {
        struct script_machine m = script_machine_get(&r, i);
        assert_int_equal(sim_get_config(m.sim)->seed, i + 1);
        assert_int_equal(m.status, EXIT_PASSED);
    }
    script_result_deinit(&r);
}

static void a_wait_that_a_probe_ended_by_an_error_is_over(void **state)
{
    (void)state;
    struct script_result r =
        run_guest(LOOP, "it('a', function()\n"
                        "m:probe(0x100021, function() error('from the probe') end)\n"
                        "expect(function() m:wait_text(2, ('x'):rep(100), 1000) end):to_err("
                        "'x.lua:3: from the probe')\n"
                        "end)");
    assert_int_equal(r.passed, 1);
    assert_null(r.machines->awaited);
    script_result_deinit(&r);
}

static void a_port_that_prints_for_ever_ends_the_run(void **state)
{
    (void)state;
    assert_verdict(run_guest(FLOOD, "m:wait_text(0, 'x', math.maxinteger)"), EXIT_USAGE,
                   "x.lua:2: a serial port printed more than 64 MiB");
}

static void a_scenario_cannot_make_machines_without_end(void **state)
{
    char path[] = "/tmp/orrery-test-XXXXXX", text[600];
    (void)state;
    write_image(path);
    snprintf(text, sizeof text,
             "local n, why = 0\n"
             "repeat local ok ok, why = pcall(orrery.machine, { memory = '16M', kernel = '%s' }) n = n + 1\n"
             "until not ok or n == 1000\n"
             "it('b', function() expect(n):to_be(65) expect(why):to_contain('at most 64') end)",
             path);
    struct script_result r = run(text, 0);
    unlink(path);
    assert_string_equal(r.error.text, "");
    assert_int_equal(r.passed, 1);
    assert_int_equal(script_machine_count(&r), 64);
    script_result_deinit(&r);
}

static void a_probe_cannot_run_its_own_machine(void **state)
{
    char path[] = "/tmp/orrery-test-XXXXXX", text[600];
    (void)state;
    write_image(path);
    snprintf(text, sizeof text,
             "local m = orrery.machine { memory = '16M', kernel = '%s' }\n"
             "local message\n"
             "m:probe(0x100021, function() local ok, why = pcall(m.run_until, m, 2000) message = message or "
             "why end)\n"
             "m:run_until(1000)\n"
             "describe('a', function() it('b', function() expect(message):to_contain('cannot run')"
             " end) end)",
             path);
    struct script_result r = run(text, 0);
    unlink(path);
    assert_string_equal(r.error.text, "");
    assert_int_equal(r.passed, 1);
    script_result_deinit(&r);
}

static void an_instruction_is_told_as_text_with_its_length(void **state)
{
    (void)state;
    assert_verdict(run_guest("\x90\x89\xd8\xeb\xfb",
                             "local at = m:register(0, 'rip')\n"
                             "local function is(text, bytes)\n"
                             "    local seen, length = m:disassemble(at)\n"
                             "    expect(seen):to_be(text) expect(length):to_be(bytes)\n"
                             "    at = at + length\n"
                             "end\n"
                             "is('nop', 1) is('mov eax, ebx', 2)\n"
                             "expect((m:disassemble(at))):to_match('^jmp 0x%x+$')\n"
                             "at = 1 << 25 is('(unreadable)', 0)"),
                   EXIT_PASSED, "");
}

/* The guest sets CR4.OSFXSR, register 5 to ones and the low quarter of register 2 to a number. */
static void a_vector_register_is_told_whole(void **state)
{
    (void)state;
    assert_verdict(run_guest("\x0f\x20\xe0\x0f\xba\xe8\x09\x0f\x22\xe0"
                             "\x66\x0f\x76\xed\xb8\x44\x33\x22\x11\x66\x0f\x6e\xd0\xeb\xfe",
                             "it('a', function()\n"
                             "    expect(m:xmm(0, 5)):to_be(('\\0'):rep(16))\n"
                             "    m:run(100)\n"
                             "    expect(m:xmm(0, 5)):to_be(('\\xff'):rep(16))\n"
                             "    expect(m:xmm(0, 2)):to_be('\\x44\\x33\\x22\\x11' .. ('\\0'):rep(12))\n"
                             "    expect(m:xmm(0, 15)):to_be(('\\0'):rep(16))\n"
                             "end)"),
                   EXIT_PASSED, "");
}

static void every_expectation_holds_on_one_side_of_its_limit_only(void **state)
{
    (void)state;
    struct script_result r =
        run("it('a', function()\n"
            "    local function refuses(f, text) expect(f):to_err(text) end\n"
            "    expect(1):not_to_be(2) expect(1):not_to_be('1') expect({}):not_to_be({})\n"
            "    refuses(function() expect(2):not_to_be(2) end, 'expected anything but 2, got 2')\n"
            "    refuses(function() expect(nil):not_to_be(nil) end, 'anything but nil')\n"
            "    expect(1):to_be_below(2) expect(3):to_be_above(2)\n"
            "    refuses(function() expect(2):to_be_below(2) end, 'less than 2, got 2')\n"
            "    refuses(function() expect(2):to_be_above(2) end, 'more than 2, got 2')\n"
            "    expect(2):to_be_at_least(2) expect(2):to_be_at_most(2)\n"
            "    refuses(function() expect(1):to_be_at_least(2) end, 'at least 2, got 1')\n"
            "    refuses(function() expect(3):to_be_at_most(2) end, 'at most 2, got 3')\n"
            "end)",
            0);
    assert_string_equal(r.error.text, "");
    assert_int_equal(r.passed, 1);
    script_result_deinit(&r);
}

static void a_histogram_gives_samples_by_nearest_rank(void **state)
{
    (void)state;
    struct script_result r =
        run("it('a', function()\n"
            "    local h = orrery.histogram('h')\n"
            "    expect(h:p50()):to_be(nil)\n"
            "    for i = 100, 1, -1 do h:add(i * 10) end\n"
            "    expect(h:p50()):to_be(500) expect(h:p99()):to_be(990)\n"
            "    expect(h:min()):to_be(10) expect(h:max()):to_be(1000)\n"
            "    h:add(5)\n"
            "    expect(h:min()):to_be(5) expect(h:p50()):to_be(500) expect(h:percentile(50.1)):to_be(500)\n"
            "    expect(h:percentile(51)):to_be(510) expect(h:count()):to_be(101)\n"
            "    expect(h:row()):to_match('^h +n +101 +min +5 +p50 +500 +p99 +990 +max +1000$')\n"
            "end)",
            0);
    assert_string_equal(r.error.text, "");
    assert_int_equal(r.passed, 1);
    script_result_deinit(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_instruction_is_told_as_text_with_its_length),
        cmocka_unit_test(a_vector_register_is_told_whole),
        cmocka_unit_test(every_expectation_holds_on_one_side_of_its_limit_only),
        cmocka_unit_test(a_histogram_gives_samples_by_nearest_rank),
        cmocka_unit_test(a_scenario_that_destroys_the_results_still_gets_its_count),
        cmocka_unit_test(a_machine_that_cannot_be_made_is_not_among_the_machines),
        cmocka_unit_test(a_loop_around_pcall_runs_out_of_instructions_all_the_same),
        cmocka_unit_test(a_scenario_cannot_make_machines_without_end),
        cmocka_unit_test(what_ends_a_scenario_decides_the_status),
        cmocka_unit_test(an_expectation_outside_a_test_counts),
        cmocka_unit_test(a_test_left_in_a_coroutine_has_failed),
        cmocka_unit_test(a_guest_that_crashed_decides_before_the_tests),
        cmocka_unit_test(a_machine_that_stands_still_has_crashed_only_if_something_was_waited_for),
        cmocka_unit_test(a_panic_is_told_with_the_first_line_that_the_console_then_prints),
        cmocka_unit_test(the_machines_come_in_the_order_of_their_making),
        cmocka_unit_test(a_wait_that_a_probe_ended_by_an_error_is_over),
        cmocka_unit_test(a_port_that_prints_for_ever_ends_the_run),
        cmocka_unit_test(a_probe_cannot_run_its_own_machine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
