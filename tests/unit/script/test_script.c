/* Scenarios that mean harm, or that got something wrong: the host survives and says so. */

#define _POSIX_C_SOURCE 200809L

#include "script/script.h"

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
    struct script_result r = run("orrery.new_machine { memory = '1K', kernel = 'x' }", 0);
    assert_true(r.error);
    assert_null(r.machines);
    script_result_deinit(&r);
}

static void a_loop_around_pcall_runs_out_of_instructions_all_the_same(void **state)
{
    (void)state;
    struct script_result r = run("while true do pcall(function() while true do end end) end", 1000000);
    assert_true(r.error);
    script_result_deinit(&r);
    r = run("while true do coroutine.resume(coroutine.create(function() while true do end end)) end",
            1000000);
    assert_true(r.error);
    script_result_deinit(&r);
}

static void a_scenario_cannot_make_machines_without_end(void **state)
{
    (void)state;
    struct script_result r = run(
        "local n = 0\n"
        "repeat local ok, why = pcall(orrery.new_machine, { memory = '16M', kernel = 'none' }) n = n + 1\n"
        "until why:find('at most') or n == 1000\n"
        "describe('a', function() it('b', function() expect(n, 'machines'):to_be(65) end) end)",
        0);
    assert_int_equal(r.passed, 1);
    script_result_deinit(&r);
}

/* A Multiboot image that loops, in a file of its own. */
static void write_image(char *path)
{
    uint8_t image[64] = {0};
    store_le32(image, 0x1badb002);
    store_le32(image + 4, 0x10000);
    store_le32(image + 8, 0u - 0x1badb002u - 0x10000u);
    store_le32(image + 12, 0x100000);
    store_le32(image + 16, 0x100000);
    store_le32(image + 28, 0x100020);
    memcpy(image + 32, "\x90\x90\xeb\xfc", 4);
    int file = mkstemp(path);
    assert_true(file >= 0);
    assert_int_equal(write(file, image, sizeof image), sizeof image);
    close(file);
}

static void a_probe_cannot_run_its_own_machine(void **state)
{
    char path[] = "/tmp/orrery-test-XXXXXX", text[600];
    (void)state;
    write_image(path);
    snprintf(text, sizeof text,
             "local m = orrery.new_machine { memory = '16M', kernel = '%s' }\n"
             "local message\n"
             "m:probe(0x100021, function() local ok, why = pcall(m.run_until, m, 2000) message = message or "
             "why end)\n"
             "m:run_until(1000)\n"
             "describe('a', function() it('b', function() expect(message:find('cannot run') ~= nil, "
             "'refused'):to_be(true) end) end)",
             path);
    struct script_result r = run(text, 0);
    unlink(path);
    assert_false(r.error);
    assert_int_equal(r.passed, 1);
    script_result_deinit(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_scenario_that_destroys_the_results_still_gets_its_count),
        cmocka_unit_test(a_machine_that_cannot_be_made_is_not_among_the_machines),
        cmocka_unit_test(a_loop_around_pcall_runs_out_of_instructions_all_the_same),
        cmocka_unit_test(a_scenario_cannot_make_machines_without_end),
        cmocka_unit_test(a_probe_cannot_run_its_own_machine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
