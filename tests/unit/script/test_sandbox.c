/* The sandbox: what a scenario can and cannot tell. */

#include "script/sandbox.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Runs Lua text in a fresh sandbox; returns what it returned as text, or "error: ...". */
static const char *run(const char *text)
{
    static char result[4096];
    struct sandbox s;
    struct error e;
    assert_true(sandbox_init(&s, "x.lua", 7, &e));
    if (!sandbox_load(&s, "@test", text, strlen(text), &e)) {
        snprintf(result, sizeof result, "syntax: %s", e.text);
    } else if (lua_pcall(s.lua, 0, 1, 0) != LUA_OK) {
        snprintf(result, sizeof result, "error: %s", lua_tostring(s.lua, -1));
    } else {
        sandbox_push_text(s.lua, -1);
        snprintf(result, sizeof result, "%s", lua_tostring(s.lua, -1));
    }
    sandbox_deinit(&s);
    return result;
}

static void pairs_goes_through_numbers_then_strings_in_order(void **state)
{
    (void)state;
    assert_string_equal(run("local t, o = {b=1, a=2, [10]=3, [-1]=4, [2.5]=5, ['']=6}, {}\n"
                            "for k in pairs(t) do o[#o+1] = tostring(k) end return table.concat(o, ' ')"),
                        "-1 2.5 10  a b");
}

static void next_follows_the_same_order(void **state)
{
    (void)state;
    assert_string_equal(
        run("local t, o, k = {z=1, y=2, [3]=3}, {}, nil\n"
            "repeat k = next(t, k) o[#o+1] = tostring(k) until k == nil return table.concat(o, ' ')"),
        "3 y z nil");
}

static void a_key_removed_during_the_traversal_is_passed_over(void **state)
{
    (void)state;
    assert_string_equal(run("local t, n = {a=1, b=2, c=3}, 0\n"
                            "for k in pairs(t) do t.b = nil n = n + 1 end return n"),
                        "2");
}

static void a_table_as_a_key_has_no_order_and_is_refused(void **state)
{
    (void)state;
    assert_non_null(strstr(run("for k in pairs({[{}]=1}) do end"), "has no defined order"));
}

static void random_numbers_repeat(void **state)
{
    char first[4096];
    (void)state;
    snprintf(first, sizeof first, "%s",
             run("local o = {} for i = 1, 20 do o[i] = math.random(1000) end return table.concat(o, ' ')"));
    assert_string_equal(
        run("local o = {} for i = 1, 20 do o[i] = math.random(1000) end return table.concat(o, ' ')"), first);
    assert_string_equal(
        run("local lo, hi = 10, 0 for i = 1, 1000 do local v = math.random(3, 5) lo = math.min(lo, v) "
            "hi = math.max(hi, v) end return lo .. hi"),
        "35");
}

static void sorting_is_stable_and_asks_the_same_questions_every_time(void **state)
{
    char first[4096];
    const char *text =
        "local calls, t = {}, {}\n"
        "for i = 1, 400 do t[i] = {key = (i * 7919) % 13, at = i} end\n"
        "local h = 0\n"
        "table.sort(t, function(a, b) h = (h * 31 + a.at * 7 + b.at) & 0xffffffff return a.key < b.key end)\n"
        "for i = 2, 400 do assert(t[i-1].key < t[i].key or (t[i-1].key == t[i].key and t[i-1].at < t[i].at)) "
        "end\n"
        "local s = {'b', 'a', 'c'} table.sort(s) return h .. table.concat(s)";
    (void)state;
    snprintf(first, sizeof first, "%s", run(text));
    assert_null(strstr(first, "error"));
    assert_non_null(strstr(first, "abc"));
    assert_string_equal(run(text), first);
}

static void many_short_coroutines_use_up_the_budget(void **state)
{
    (void)state;
    assert_non_null(
        strstr(run("while true do coroutine.wrap(function() for i = 1, 100 do end end)() end"), "budget"));
}

static void loaded_text_gets_its_environment(void **state)
{
    (void)state;
    assert_string_equal(run("x = 1 return load('return x', 'c', 't', {x = 5})() .. load('return x')()"),
                        "51");
    assert_string_equal(run("return math.type(math.random(0))"), "integer");
}

static void no_string_shows_an_address(void **state)
{
    (void)state;
    assert_string_equal(run("return tostring({})"), "table");
    assert_string_equal(run("return tostring(print)"), "function");
    assert_string_equal(run("return string.format('%s', {})"), "table");
    assert_non_null(strstr(run("return string.format('%p', {})"), "address"));
    assert_string_equal(run("return string.format('100%% %5.2f %s', 1.5, 'x')"), "100%  1.50 x");
    assert_string_equal(run("return tostring(coroutine.create(print))"), "thread");
}

/* Lengths of tables with holes tell when the tables grew, and so the hashes and addresses of their other keys. */
static void no_length_of_a_table_tells_one_state_from_another(void **state)
{
    static const char *const keys[] = {
        "'k' .. i", "('long'):rep(20) .. i", "{}", "function() return i end",
        "({print, pairs, next, ipairs, type, pcall, error, load, rawget, utf8.char, xpcall, (ipairs{})})[i]"};
    (void)state;
    for (unsigned i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        char text[1000], first[4096];
        snprintf(text, sizeof text,
                 "local k, h = {}, 0 for i = 1, 12 do k[i] = %s end\n"
                 "for _ = 1, 3000 do local t = {}\n"
                 "  for _ = 1, 30 do\n"
                 "    if math.random(3) == 1 then t[k[math.random(12)]] = math.random(2) == 1 or nil\n"
                 "    else t[math.random(12)] = math.random(3) > 1 or nil end\n"
                 "  end h = (h * 31 + #t) & 0xffffffff end return h",
                 keys[i]);
        snprintf(first, sizeof first, "%s", run(text));
        assert_null(strstr(first, "error"));
        for (unsigned n = 0; n < 5; n++) {
            assert_string_equal(run(text), first);
        }
    }
}

static void a_table_that_became_weak_loses_its_entries_at_the_same_moments(void **state)
{
    static const char text[] =
        "local meta, o = {}, {} local weak = setmetatable({}, meta) meta.__mode = 'v'\n"
        "for i = 1, 20000 do weak[1] = weak[1] or {}\n"
        "  local t = {i, tostring(i)} if not weak[2] then o[#o + 1] = i end weak[2] = t end\n"
        "return #o .. ':' .. table.concat(o, ' ')";
    char first[4096];
    (void)state;
    snprintf(first, sizeof first, "%s", run(text));
    assert_true(strtol(first, NULL, 10) > 2); /* the collector did run */
    for (unsigned n = 0; n < 5; n++) {
        assert_string_equal(run(text), first);
    }
}

static void iterators_are_those_of_the_manual(void **state)
{
    (void)state;
    assert_string_equal(
        run("local o = {} for i, v in ipairs({5, 6, nil, 7}) do o[#o + 1] = i .. v end\n"
            "for i, v in ipairs(setmetatable({}, {__index = function(_, i) return i < 3 and i or nil end})) "
            "do o[#o + 1] = i .. v end\n"
            "for p, c in utf8.codes('h\xc3\xa9') do o[#o + 1] = p .. ',' .. c end return table.concat(o, ' "
            "')"),
        "15 26 11 22 1,104 2,233");
    assert_non_null(strstr(run("ipairs()"), "bad argument #1 to 'ipairs'"));
}

static void the_host_is_out_of_reach(void **state)
{
    (void)state;
    assert_string_equal(run("return tostring(io) .. tostring(os) .. tostring(debug) .. tostring(package) .. "
                            "tostring(dofile) .. tostring(loadfile) .. tostring(collectgarbage)"),
                        "nilnilnilnilnilnilnil");
    assert_non_null(strstr(run("return load('\\27Lua')()"), "error"));
    assert_non_null(strstr(run("require '../secret'"), "module name"));
    assert_non_null(strstr(run("setmetatable({}, {__gc = print})"), "collector"));
}

static void an_endless_loop_runs_out_of_instructions(void **state)
{
    (void)state;
    assert_non_null(strstr(run("while true do end"), "budget"));
}

static void endless_memory_runs_out(void **state)
{
    (void)state;
    assert_non_null(
        strstr(run("local t = {} for i = 1, 1e9 do t[i] = ('x'):rep(1000000) .. i end"), "memory"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs_goes_through_numbers_then_strings_in_order),
        cmocka_unit_test(next_follows_the_same_order),
        cmocka_unit_test(a_key_removed_during_the_traversal_is_passed_over),
        cmocka_unit_test(a_table_as_a_key_has_no_order_and_is_refused),
        cmocka_unit_test(random_numbers_repeat),
        cmocka_unit_test(sorting_is_stable_and_asks_the_same_questions_every_time),
        cmocka_unit_test(many_short_coroutines_use_up_the_budget),
        cmocka_unit_test(loaded_text_gets_its_environment),
        cmocka_unit_test(no_string_shows_an_address),
        cmocka_unit_test(no_length_of_a_table_tells_one_state_from_another),
        cmocka_unit_test(a_table_that_became_weak_loses_its_entries_at_the_same_moments),
        cmocka_unit_test(iterators_are_those_of_the_manual),
        cmocka_unit_test(the_host_is_out_of_reach),
        cmocka_unit_test(an_endless_loop_runs_out_of_instructions),
        cmocka_unit_test(endless_memory_runs_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
