/* Wrong use of everything that a scenario can call: one line that says what, with the line of the scenario. */

#define _POSIX_C_SOURCE 200809L

#include "script/script.h"

#include "base/bits.h"
#include "script/binding.h"
#include "script/failure.h"
#include "script/sandbox.h"

#include <lauxlib.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

struct wrong {
    const char *text, *message;
};

static char image_path[] = "/tmp/orrery-test-XXXXXX";

/* A Multiboot image that loops, in a file of its own. */
static int write_image(void **state)
{
    uint8_t image[64] = {0};
    (void)state;
    store_le32(image, 0x1badb002);
    store_le32(image + 4, 0x10000);
    store_le32(image + 8, 0u - 0x1badb002u - 0x10000u);
    store_le32(image + 12, 0x100000);
    store_le32(image + 16, 0x100000);
    store_le32(image + 28, 0x100020);
    memcpy(image + 32, "\x90\x90\xeb\xfc", 4);
    int file = mkstemp(image_path);
    return file < 0 || write(file, image, sizeof image) != sizeof image || close(file) != 0;
}

static int remove_image(void **state)
{
    (void)state;
    return unlink(image_path);
}

/* Runs a machine on line 1 and text on line 2. */
static struct script_result run(const char *text)
{
    static char whole[1200];
    struct script_result r;
    struct error e = {""};
    snprintf(whole, sizeof whole, "local m = orrery.machine { memory = '16M', kernel = '%s' }\n%s",
             image_path, text);
    struct script_options o = {.path = "some/folder/x.lua", .text = whole, .size = strlen(whole)};
    sim_config_init(&o.defaults.config);
    if (!script_run(&o, &r, &e)) {
        fail_msg("%s", e.text);
    }
    return r;
}

static const struct wrong wrong_uses[] = {
    {"m:run_until()", "run_until: cycle must be a whole number, not nil"},
    {"m:run_until(-1)", "run_until: cycle must be 0 or more, not -1"},
    {"m:run_until('5')", "run_until: cycle must be a whole number, not the text \"5\""},
    {"m.run_until(5)", "run_until: call it with a colon: m:run_until(...)"},
    {"m:run_until(1.5)", "run_until: cycle must be a whole number, not 1.5"},
    {"m:wait_text(3, 'x', 5)", "wait_text: port must be 0 to 2, not 3"},
    {"m:wait_text(0, '', 5)", "wait_text: text must be 1 to 4096 bytes long, not the text \"\""},
    {"m:wait_text(0, 'x')", "wait_text: until_cycle must be a whole number, not nil"},
    {"m:send(2, 'x')", "send: port must be 0 to 1, not 2"},
    {"m:send(0)", "send: text must be a text, not nil"},
    {"m:send(0, ('x'):rep(5000))", "send: text must be at most 4096 bytes long (a serial line holds no "
                                   "more), not the text \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...\""},
    {"m:console()", "console: port must be a whole number, not nil"},
    {"m:console(0, 1)", "console: from must be 0 to 0, not 1"},
    {"m.cycles()", "cycles: call it with a colon: m:cycles(...)"},
    {"m.instructions(5)", "instructions: call it with a colon: m:instructions(...)"},
    {"m.state_hash({})", "state_hash: call it with a colon: m:state_hash(...)"},
    {"m.arch_hash('x')", "arch_hash: call it with a colon: m:arch_hash(...)"},
    {"m.cpus(nil)", "cpus: call it with a colon: m:cpus(...)"},
    {"m.effects()", "effects: call it with a colon: m:effects(...)"},
    {"m:count('moons')", "count: counter must be a counter (orrery info lists them), not the text \"moons\""},
    {"m:count('cycles', 2)", "count: cpu must be 0 to 0, not 2"},
    {"m:count('events', 0)",
     "count: cpu must be left out (this counter is the machine's, no vCPU has its own), not 0"},
    {"m:register(0, 'xax')", "register: name must be a register, not the text \"xax\""},
    {"m:register(1 << 40, 'rax')", "register: cpu must be 0 to 0, not 1099511627776"},
    {"m:xmm(0, 16)", "xmm: number must be 0 to 15, not 16"},
    {"m:set_register(0, 'cr3', 5)",
     "set_register: name must be rax to r15, rip or rflags, not the text \"cr3\""},
    {"m:set_register(0, 'rax')", "set_register: value must be a whole number, not nil"},
    {"m:read(0, -1)", "read: size must be 0 to 16777216, not -1"},
    {"m:read(0, 8, 9)", "read: cpu must be 0 to 0, not 9"},
    {"m:write_physical(-1, 'x')", "write_physical: address must be 0 or more, not -1"},
    {"m:write_physical(1 << 50, 'x')", "write_physical: physical 0x4000000000000, 1 bytes: not RAM"},
    {"m:write_physical(0, {})", "write_physical: bytes must be a text, not a table"},
    {"m:symbol({})", "symbol: name must be a text, not a table"},
    {"assert(m:symbol('nope'))", "the kernel has no symbol 'nope'"},
    {"m:stale(1)", "stale: cpu must be 0 to 0, not 1"},
    {"m:describe(true)", "describe: address must be a whole number, not true"},
    {"m:disassemble('main')", "disassemble: address must be a whole number, not the text \"main\""},
    {"m:disassemble(0, 9)", "disassemble: cpu must be 0 to 0, not 9"},
    {"m:probe(0)", "probe: fn must be a function, not nil"},
    {"m:probe('main', print)", "probe: address must be a whole number, not the text \"main\""},
    {"for i = 0, 2048 do m:probe(i, print) end", "probe: a machine has at most 2048"},
    {"m:unprobe(7)", "unprobe: id must be the id of a probe that is set, not 7"},
    {"m:unprobe(-1)", "unprobe: id must be 0 to 2047, not -1"},
    {"m:stop()", "stop: only a probe's function can stop a run, and none is running"},
    {"m:stall(0, -1, 5)", "stall: step must be 0 or more, not -1"},
    {"m:stall(0, 5, math.maxinteger)",
     "stall: cycles must be 0 to 1152921504606846976, not 9223372036854775807"},
    {"m:interrupt(0, 3)", "interrupt: interrupt vector 3: 16 to 255, or 256 for NMI"},
    {"m:interrupt(9, 64)", "interrupt: cpu must be 0 to 0, not 9"},
    {"m:interrupt_range(0, 1, 2, 1e9)",
     "interrupt_range: interrupt vector 1000000000: 16 to 255, or 256 for NMI"},
    {"m:delay_ipi(0, -1)", "delay_ipi: cycles must be 0 to 1152921504606846976, not -1"},
    {"m:lose_ipi(print)", "lose_ipi: n must be a whole number, not a function"},
    {"m:guest_crashed(9)", "guest_crashed: cpu must be 0 to 0, not 9"},
    {"return m.foo", "a machine has no field 'foo'"},
    {"return m.kernel", "a machine has no field 'kernel'"},
    {"m:boot()", "boot: until_text is missing (only a kernel with an adapter has a default)"},
    {"m:boot('x')", "boot: its options must be a table, not the text \"x\""},
    {"m:boot { until_txt = 'x' }", "boot: there is no option 'until_txt'; it takes until_text, within"},
    {"m:boot { 'x' }", "boot: there is no option '1'; it takes until_text, within"},
    {"m:boot { until_text = 5 }", "boot: until_text must be a text, not 5"},
    {"m:boot { until_text = 'x', within = -5 }", "boot: within must be a whole number, 0 or more, not -5"},
    {"m.boot()", "call it with a colon: m:boot(...)"},
    {"m:run(-1)", "run: cycles must be a whole number, 0 or more, not -1"},
    {"m.run(5)", "call it with a colon: m:run(...)"},
    {"m:wait_for {}", "wait_for: text or when is missing"},
    {"m:wait_for { when = 5 }", "wait_for: when must be a function, not 5"},
    {"m:wait_for { when = print, every = 0 }", "wait_for: every must be 1 or more, not 0"},
    {"m:wait_for { when = print, text = 'x' }", "wait_for: text or when, not both"},
    {"m:wait_for { when = function() error('boom') end }", "boom"},
    {"m:on_entry('nope', print)", "on_entry: the kernel has no symbol 'nope'"},
    {"m:on_return(5, print)", "on_return: symbol must be a text, not 5"},
    {"m:code_of(5)", "code_of: symbol must be a text, not 5"},
    {"m:code_of('main')", "code_of: the kernel has no symbol 'main'"},
    {"m:fail_call('nope', 1)", "fail_call: the kernel has no symbol 'nope'"},
    {"m:ask()", "ask: line must be a text, not nil"},
    {"m:ask('a\\nb')", "ask: line must be one line"},
    {"m:ask('ping', { within = 'x' })", "ask: within must be a whole number, 0 or more, not the text \"x\""},
    {"m:command()", "command: line must be a text, not nil"},
    {"m:counter()", "counter: name must be a text, not nil"},
    {"m:counter('cycles')", "counter: 'cycles' is a counter of the machine itself"},
    {"return m.counters.moons",
     "counters: 'moons' is no counter (orrery info lists them), and m:counter made none"},
    {"return m.counters[5]", "counters: a counter's name must be a text, not 5"},
    {"m.counters.x = 5", "counters: m:counter(name) makes a counter"},
    {"return m.sym.anything", "sym: the kernel's file has no symbols that could be read"},
    {"m.sym.x = 5", "sym: guest memory is only looked at; m:write_physical writes"},
    {"orrery.machine()", "machine: its options must be a table, not nil"},
    {"orrery.machine {}", "machine: kernel is missing"},
    {"orrery.machine { kernel = 5 }", "machine: kernel must be a text"},
    {"orrery.machine { kernel = 'nope' }",
     "machine: there is no adapter kernels/nope.lua; a kernel's file has a '/' or a '.' in its name"},
    {"orrery.machine { kernel = './nope' }", "machine: ./nope: No such file or directory"},
    {"orrery.machine { kernel = './nope', cpus = 'many' }", "machine: cpus 'many': vCPUs, 1 to 64"},
    {"orrery.machine { kernel = './nope', cpus = 1e300 }", "machine: cpus must be a text or a whole number"},
    {"orrery.machine { kernel = './nope', colour = 1 }", "machine: there is no option 'colour'"},
    {"orrery.seconds('5')", "seconds: n must be a number, not the text \"5\""},
    {"orrery.ms(-1)", "ms: -1 is no length of time"},
    {"orrery.us(math.maxinteger)", "us: 9223372036854775807 is no length of time"},
    {"orrery.ns(1e300)", "ns: 1e+300 is no length of time"},
    {"orrery.duration({})", "duration: cycles must be a number, not a table"},
    {"orrery.grouped(1.5)", "grouped: n must be a whole number, not 1.5"},
    {"orrery.histogram()", "histogram: name must be a text, not nil"},
    {"orrery.histogram('h'):add(0.5)", "add: value must be a whole number, not 0.5"},
    {"orrery.histogram('h').add(1)", "call it with a colon: h:add(...)"},
    {"orrery.histogram('h'):percentile(101)", "percentile: p must be 0 to 100, not 101"},
    {"return orrery.histogram('h').sum", "a histogram has no field 'sum'"},
    {"orrery.note(5)", "note: text must be a text, not 5"},
    {"describe('x')", "describe: body must be a function, not nil"},
    {"it(5, print)", "it: name must be a text, not 5"},
    {"expect(1, 2)", "expect: label must be a text, not 2"},
    {"expect(1).to_be(1)", "call it with a colon: expect(...):to_be(...)"},
    {"expect(1):to_bee(1)", "an expectation has no field 'to_bee'"},
    {"expect(5):to_be_below()", "to_be_below: its limit must be a number or a text, not nil"},
    {"expect('x'):to_contain(5)", "to_contain: text must be a text, not 5"},
    {"expect('x'):to_match('[')", "to_match: malformed pattern (missing ']')"},
    {"expect(5):to_err()", "to_err: the value must be a function, not 5"},
    {"coroutine.wrap(function() m:run(-1) end)()", "run: cycles must be a whole number, 0 or more, not -1"},
    {"coroutine.wrap(m.run_until)(m)", "run_until: cycle must be a whole number, not nil"},
    {"error()", "error with a value that is no text (nil)"},
    {"error({})", "error with a value that is no text (table)"},
    {"error(setmetatable({}, { __tostring = function() return 'own' end }))", "own"},
    {"error(setmetatable({}, { __tostring = function() error('again') end }))",
     "error with a value that is no text (table)"},
    {"error('a\\nb')", "a\\nb"},
    {"error('no position', 0)", "no position"},
    {"assert(coroutine.resume(coroutine.create(function() error('inner') end)))", "inner"},
    {"next({ a = 1 }, {})", "pairs: a key of type table has no defined order; use numbers or strings"},
    {"require('nope')", "require: no module 'nope' beside the scenario or above it"},
    {"load(\"error('x')\")()", "(load):1: x"},
    {"string.rep()", "bad argument #1 to 'rep' (string expected, got no value)"},
    {"local function f() return 1 + f() end f()", "stack overflow"},
    {"local t = setmetatable({}, { __index = function(t, k) return t[k + 1] end }) return t[1]",
     "C stack overflow"},
};

static void wrong_use_is_told_in_one_line_with_the_line_of_the_scenario(void **state)
{
    char wanted[600];
    (void)state;
    for (unsigned i = 0; i < sizeof wrong_uses / sizeof wrong_uses[0]; i++) {
        struct script_result r = run(wrong_uses[i].text);
        snprintf(wanted, sizeof wanted, "some/folder/x.lua:2: %s", wrong_uses[i].message);
        if (strcmp(r.error.text, wanted) != 0) {
            print_message("%s\n", wrong_uses[i].text);
        }
        assert_string_equal(r.error.text, wanted);
        assert_int_equal(script_verdict(&r), EXIT_USAGE);
        script_result_deinit(&r);
    }
}

static void wrong_use_in_a_test_fails_the_test(void **state)
{
    (void)state;
    struct script_result r = run("it('a', function() m:run(-1) end) it('b', function() end)");
    assert_int_equal(r.failed, 1);
    assert_int_equal(r.passed, 1);
    assert_int_equal(script_verdict(&r), EXIT_EXPECTATION);
    script_result_deinit(&r);
}

static void what_pcall_catches_has_the_line_too(void **state)
{
    (void)state;
    struct script_result r =
        run("it('a', function()\n"
            "local _, why = pcall(m.run, m, -1)\n"
            "expect(why):to_be('x.lua:3: run: cycles must be a whole number, 0 or more, not -1')\n"
            "_, why = pcall(function() expect(m:cpus()):to_be(2) end)\n"
            "expect(tostring(why)):to_contain('x.lua:5: m:cpus(): expected 2, got 1')\n"
            "expect(function() error('x') end):to_err('x.lua:7: x')\n"
            "end)");
    assert_int_equal(r.passed, 1);
    script_result_deinit(&r);
}

/* Whether what a child process does ends in a CHECK whose message has the text. */
static bool is_check_failure(void (*act)(const char *), const char *argument, const char *wanted)
{
    int ends[2], status = 0;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        act(argument);
        _exit(0);
    }
    close(ends[1]);
    char text[512] = {0};
    for (ssize_t n, size = 0; (n = read(ends[0], text + size, sizeof text - 1 - (size_t)size)) > 0;) {
        size += n;
    }
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT && strstr(text, wanted);
}

static bool is_anything(lua_State *lua, int index)
{
    return !lua_isnone(lua, index);
}

static int give_back(lua_State *lua)
{
    return lua_gettop(lua) - 1;
}

static const struct binding_class class = {"x", is_anything};

/* A state whose global "method" has this signature. */
static void open_with_signature(struct sandbox *s, const char *signature)
{
    static struct binding rows[2];
    struct error e = {""};
    if (!sandbox_init(s, "x.lua", 1, &e)) {
        fail_msg("%s", e.text);
    }
    failure_open(s->lua);
    rows[0] = (struct binding){"method", give_back, signature};
    lua_pushglobaltable(s->lua);
    binding_register(s->lua, &class, rows);
}

static void register_signature(const char *signature)
{
    struct sandbox s;
    open_with_signature(&s, signature);
    sandbox_deinit(&s);
}

static void need_word(const char *word)
{
    lua_State *lua = luaL_newstate();
    binding_need(lua, 1, word, "it");
    lua_close(lua);
}

static void a_signature_that_is_not_understood_is_a_check_failure_at_registration(void **state)
{
    static const struct {
        const char *signature, *message;
    } wrong[] = {
        {"(a: strnig)", "no type of argument is called 'strnig'"},
        {"(a: integer, b: Machine)", "no type of argument is called 'Machine'"},
        {"(a: int)", "no type of argument is called 'int'"},
        {"(a: integers)", "no type of argument is called 'integers'"},
        {"(a: integer|string)", "no type of argument is called 'integer|string'"},
        {"(a: )", "no type of argument is called ''"},
        {"(a)", "method(a): no type"},
        {"(a:string)", "method(a:string): no type"},
        {"(a: string", "method(a: string: ends in a type"},
        {"(a: string, ", "method(a: string, : no type"},
        {"(a: fun(b: string, c: integer", "ends in a type"},
        {"(a: fun(): string)", "ends in a type"},
        {"a: string)", "method"
                       "a: string): no '('"},
        {"(a: string, b: string, c: string, d: string, e: string)", "method takes more than 4"},
    };
    (void)state;
    for (unsigned i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        if (!is_check_failure(register_signature, wrong[i].signature, wrong[i].message)) {
            fail_msg("%s", wrong[i].signature);
        }
    }
    register_signature("(): string"); /* a type of a result is for the editors */
}

static void every_type_of_a_signature_takes_its_own_values_alone(void **state)
{
    static const char *const words[] = {
        "integer", "natural", "number", "string", "boolean", "fun(a: any, b: any)", "function", "table"};
    static const char *const values[] = {"-1", "5.0", "0.5", "'5'", "false", "print", "{}"};
    static const bool fits[][7] = {{true, true}, {false, true}, {true, true, true}, {[3] = true},
                                   {[4] = true}, {[5] = true},  {[5] = true},       {[6] = true}};
    char text[64];
    (void)state;
    for (unsigned w = 0; w < sizeof words / sizeof words[0]; w++) {
        snprintf(text, sizeof text, "(a?: integer, b: %s)", words[w]);
        struct sandbox s;
        open_with_signature(&s, text);
        for (unsigned v = 0; v < sizeof values / sizeof values[0]; v++) {
            char call[64];
            snprintf(call, sizeof call, "return method({}, nil, %s)", values[v]);
            bool taken = luaL_dostring(s.lua, call) == LUA_OK;
            if (taken != fits[w][v]) {
                fail_msg("%s: %s", words[w], values[v]);
            }
        }
        sandbox_deinit(&s);
    }
}

static void a_word_that_is_no_type_is_a_check_failure_whatever_the_value(void **state)
{
    (void)state;
    assert_true(is_check_failure(need_word, "nubmer", "no type of argument is called 'nubmer'"));
    assert_true(is_check_failure(need_word, "table?s", "no type of argument is called 'table?s'"));
    assert_true(is_check_failure(need_word, "", "no type of argument is called ''"));
    need_word("natural?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_use_is_told_in_one_line_with_the_line_of_the_scenario),
        cmocka_unit_test(wrong_use_in_a_test_fails_the_test),
        cmocka_unit_test(what_pcall_catches_has_the_line_too),
        cmocka_unit_test(a_signature_that_is_not_understood_is_a_check_failure_at_registration),
        cmocka_unit_test(every_type_of_a_signature_takes_its_own_values_alone),
        cmocka_unit_test(a_word_that_is_no_type_is_a_check_failure_whatever_the_value),
    };
    return cmocka_run_group_tests(tests, write_image, remove_image);
}
