/* The pattern matcher against the stock library: results, captures, counts and messages of random calls. And its budget. */

#include "script/sandbox.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <lauxlib.h>
#include <lualib.h>

#define CASES 300000u

struct text {
    char bytes[64];
    size_t size;
};

static void add(struct text *t, const char *bytes, size_t size)
{
    if (t->size + size <= sizeof t->bytes) {
        memcpy(t->bytes + t->size, bytes, size);
        t->size += size;
    }
}

static unsigned below(struct rng *r, unsigned n)
{
    return (unsigned)rng_below(r, n);
}

static void add_char(struct rng *r, struct text *t, const char *from, unsigned count)
{
    add(t, &from[below(r, count)], 1);
}

/* Few letters, so that much matches; a zero byte and one above 127. */
static const char letters[] = "aab-1 Z\0\xe9_x]";

static struct text random_subject(struct rng *r)
{
    struct text t = {.size = 0};
    for (unsigned n = below(r, 14); n > 0; n--) {
        add_char(r, &t, letters, sizeof letters - 1);
    }
    return t;
}

static void add_set(struct rng *r, struct text *t)
{
    add(t, "[^", 1 + below(r, 2));
    for (unsigned n = 1 + below(r, 4); n > 0; n--) {
        switch (below(r, 5)) {
        case 0:
            add(t, "%", 1);
            add_char(r, t, "adpsw]%-z", 9);
            break;
        case 1:
            add_char(r, t, letters, sizeof letters - 1);
            add(t, "-", 1);
            break;
        default:
            add_char(r, t, letters, sizeof letters - 1);
            break;
        }
    }
    add(t, "]", below(r, 12) != 0);
}

/* Mostly well formed; each kind of error comes often. */
static struct text random_pattern(struct rng *r)
{
    static const char *const pieces[] = {"%b()",  "%bab", "%b",  "%f[%w]", "%f[^a]", "%f",    "%1",
                                         "%2",    "%9",   "%0",  "()",     "(",      ")",     "(a*)",
                                         "(%w-)", "%",    "(.)", "$",      "^",      "(a-)%1"};
    struct text t = {.size = 0};
    add(&t, "^", below(r, 5) == 0);
    for (unsigned n = below(r, 7); n > 0; n--) {
        unsigned kind = below(r, 10);
        if (kind < 3) {
            add_char(r, &t, letters, sizeof letters - 1);
        } else if (kind < 5) {
            add(&t, "%", 1);
            add_char(r, &t, "acdglpsuwxzADWS.%-q", 19);
        } else if (kind == 5) {
            add(&t, ".", 1);
        } else if (kind == 6) {
            add_set(r, &t);
        } else {
            const char *piece = pieces[below(r, sizeof pieces / sizeof pieces[0])];
            add(&t, piece, strlen(piece));
        }
        if (below(r, 3) == 0) {
            add_char(r, &t, "*+-?", 4);
        }
    }
    add(&t, "$", below(r, 6) == 0);
    return t;
}

static struct text random_replacement(struct rng *r)
{
    static const char *const pieces[] = {"%0", "%1", "%2", "%%", "x", "", "%", "%a", "<%1>"};
    struct text t = {.size = 0};
    for (unsigned n = below(r, 3); n > 0; n--) {
        const char *piece = pieces[below(r, sizeof pieces / sizeof pieces[0])];
        add(&t, piece, strlen(piece));
    }
    return t;
}

/* What both states run: a call's results, each with its type, in one text. */
static const char driver[] =
    "local find, match, gmatch, gsub, type, tostring, pcall = string.find, string.match, string.gmatch, "
    "string.gsub,\n"
    "    type, tostring, pcall\n"
    "local function show(...)\n"
    "    local t = {}\n"
    "    for i = 1, select('#', ...) do local v = select(i, ...) t[i] = type(v) .. ':' .. tostring(v) end\n"
    "    return table.concat(t, '|')\n"
    "end\n"
    "local replacements = {\n"
    "    function(...) return show(...) end,\n"
    "    function(a, b) return b end,\n"
    "    function(a) if a == 'a' then return {} end return a == 'b' and 'B' end,\n"
    "    { a = 'A', b = false, ['1'] = 2, aa = 3.5 },\n"
    "    setmetatable({}, { __index = function(_, k) return type(k) .. k end }),\n"
    "}\n"
    "local function all(s, p, init)\n"
    "    local t, n = {}, 0\n"
    "    for a, b, c in gmatch(s, p, init) do n = n + 1 t[n] = show(a, b, c) end\n"
    "    return table.concat(t, ';')\n"
    "end\n"
    "return function(kind, s, p, init, plain, text)\n"
    "    if kind == 0 then return show(pcall(find, s, p, init, plain)) end\n"
    "    if kind == 1 then return show(pcall(match, s, p, init)) end\n"
    "    if kind == 2 then return show(pcall(all, s, p, init)) end\n"
    "    if kind == 3 then return show(pcall(gsub, s, p, text, init)) end\n"
    "    return show(pcall(gsub, s, p, replacements[kind - 3]))\n"
    "end\n";

static void load_driver(lua_State *lua)
{
    assert_int_equal(luaL_loadbuffer(lua, driver, sizeof driver - 1, "driver"), LUA_OK);
    assert_int_equal(lua_pcall(lua, 0, 1, 0), LUA_OK);
}

struct call {
    unsigned kind;
    struct text subject, pattern, replacement;
    lua_Integer start; /* 99: none */
    bool plain;
};

/* The driver is at 1; its result is left on top. */
static const char *result_of(lua_State *lua, const struct call *c, size_t *size)
{
    lua_settop(lua, 1);
    lua_pushvalue(lua, 1);
    lua_pushinteger(lua, c->kind);
    lua_pushlstring(lua, c->subject.bytes, c->subject.size);
    lua_pushlstring(lua, c->pattern.bytes, c->pattern.size);
    if (c->start == 99) {
        lua_pushnil(lua);
    } else {
        lua_pushinteger(lua, c->start);
    }
    lua_pushboolean(lua, c->plain);
    lua_pushlstring(lua, c->replacement.bytes, c->replacement.size);
    if (lua_pcall(lua, 6, 1, 0) != LUA_OK) {
        fail_msg("%s", lua_tostring(lua, -1));
    }
    return lua_tolstring(lua, -1, size);
}

static void every_search_gives_what_the_stock_library_gives(void **state)
{
    struct sandbox s;
    struct error e;
    struct rng r;
    unsigned errors = 0, found = 0;
    (void)state;
    assert_true(sandbox_init(&s, "x.lua", 1, &e));
    s.budget_instructions = UINT64_MAX;
    lua_State *stock = luaL_newstate();
    assert_non_null(stock);
    luaL_openlibs(stock);
    load_driver(stock);
    load_driver(s.lua);
    rng_init(&r, 5, 0);
    for (unsigned i = 0; i < CASES; i++) {
        struct call c = {.kind = below(&r, 9), .subject = random_subject(&r), .pattern = random_pattern(&r)};
        size_t size, stock_size;
        c.replacement = random_replacement(&r);
        c.start = below(&r, 3) ? 99 : (lua_Integer)below(&r, 24) - 9;
        c.plain = below(&r, 10) == 0;
        const char *ours = result_of(s.lua, &c, &size), *theirs = result_of(stock, &c, &stock_size);
        if (size != stock_size || memcmp(ours, theirs, size) != 0) {
            fail_msg("case %u kind %u '%.*s' in '%.*s': %s, not %s", i, c.kind, (int)c.pattern.size,
                     c.pattern.bytes, (int)c.subject.size, c.subject.bytes, ours, theirs);
        }
        errors += strncmp(ours, "boolean:false", 13) == 0;
        found += strstr(ours, "string:") != NULL || strstr(ours, "number:") != NULL;
    }
    lua_close(stock);
    sandbox_deinit(&s);
    assert_true(errors > CASES / 20 && found > CASES / 4); /* the cases are worth something */
}

/* Runs text in both states; the results, which are texts, must be equal. */
static void assert_same(const char *text)
{
    struct sandbox s;
    struct error e;
    assert_true(sandbox_init(&s, "x.lua", 1, &e));
    lua_State *stock = luaL_newstate();
    luaL_openlibs(stock);
    assert_int_equal(luaL_dostring(stock, text), LUA_OK);
    assert_int_equal(luaL_loadstring(s.lua, text), LUA_OK);
    assert_int_equal(lua_pcall(s.lua, 0, 1, 0), LUA_OK);
    assert_string_equal(lua_tostring(s.lua, -1), lua_tostring(stock, -1));
    lua_close(stock);
    sandbox_deinit(&s);
}

static void limits_and_messages_are_those_of_the_stock_library(void **state)
{
    (void)state;
    assert_same("return select(2, pcall(string.find, ('a'):rep(300), ('a?'):rep(250) .. 'b'))");
    assert_same("return tostring(string.find('b', ('a*'):rep(250)))");
    assert_same("local o = {} for n = 195, 205 do o[#o + 1] = select(2, pcall(string.find, ('a'):rep(n), "
                "('a?'):rep(n)))\n"
                "end return table.concat(o, ' ')");
    assert_same("return select(2, pcall(string.find, 'x', ('()'):rep(33)))");
    assert_same("return select(2, pcall(string.find, {}, 'x'))");
    assert_same("return select(2, pcall(string.gsub, 'x', 'x'))");
    assert_same("return select(2, pcall(string.gsub, 'x', 'x', 'y', {}))");
    assert_same("return select(2, pcall(string.gmatch, 'x'))");
    assert_same("local ok, m = pcall(function() return ('x'):find('[a') end) return m");
    assert_same("return (('x'):rep(3, ', ') .. ('x'):rep(0) .. ('x'):rep(-1) .. (''):rep(1000, ''))");
    assert_same("local ok, m = pcall(function() return ('x'):rep(1 << 62) end) return m");
    assert_same("local ok, m = pcall(function() return string.format('%d', 'x') end) return m");
    assert_same("local ok, m = pcall(function() return string.format('%200d', 1) end) return m");
    assert_same("return string.format('%-5d|%5.1f|%q|%s|%%|%x', 3, 2.25, 'a\\n', 'z', 255)");
    assert_same("return table.concat({utf8.codepoint('h\xc3\xa9', 1, -1)}, ' ') .. utf8.len('h\xc3\xa9') .. "
                "utf8.offset('xy', -1)");
    assert_same("return select('#', ('abc'):byte(1, -1)) .. ('abc'):byte(-1)");
    assert_same("return (string.unpack('<i4', string.pack('<i4', -2))) .. string.packsize('i4i8') .. "
                "tonumber('ff', 16)");
}

static void table_functions_are_those_of_the_stock_library(void **state)
{
    (void)state;
    assert_same(
        "return table.concat({1, 'a', 2.5}, ', ') .. table.concat({}) .. table.concat({1, 2, 3}, '-', 2, 3)");
    assert_same("local ok, m = pcall(function() return table.concat({1, {}, 3}) end) return m");
    assert_same("return table.concat({'x'}, '', math.maxinteger, math.mininteger)");
    assert_same("local t = setmetatable({}, {__index = function() return 'z' end})\n"
                "return table.concat(t, '', math.maxinteger - 1, math.maxinteger)");
    assert_same("local t = {1, 2, 3} table.insert(t, 2, 9) table.insert(t, 5) table.remove(t, 1)\n"
                "return table.concat(t, ' ') .. tostring(table.remove(t)) .. tostring(table.remove({}))");
    assert_same("return select(2, pcall(table.insert, {1}, 5, 1))");
    assert_same("return select(2, pcall(table.insert, {1}, 1, 1, 1))");
    assert_same("return select(2, pcall(table.remove, {1}, 7))");
    assert_same("return table.concat(table.move({1, 2, 3}, 2, 3, 1), ' ')");
    assert_same("return select('#', table.unpack({1, 2, nil, 4}, 1, 4)) .. table.concat({table.unpack({5, 6, "
                "7}, 2)}, ' ')");
    assert_same("return select(2, pcall(table.unpack, {}, 1, 1 << 40))");
    assert_same("return select('#', table.unpack({}, math.maxinteger - 1, math.maxinteger))");
}

/* ---- the budget ---- */

/* The message of text with a budget of ten million steps; how many were used goes to *used. */
static const char *message_of(const char *text, uint64_t *used)
{
    static char message[300];
    struct sandbox s;
    struct error e;
    assert_true(sandbox_init(&s, "x.lua", 1, &e));
    s.budget_instructions = 10000000;
    if (!sandbox_load(&s, "@test", text, strlen(text), &e)) {
        fail_msg("%s", e.text);
    }
    int status = lua_pcall(s.lua, 0, 0, 0);
    snprintf(message, sizeof message, "%s", status == LUA_OK ? "" : lua_tostring(s.lua, -1));
    *used = s.instructions;
    sandbox_deinit(&s);
    return message;
}

static void work_inside_one_call_uses_up_the_budget(void **state)
{
    static const char *const endless[] = {
        "string.find(('a'):rep(300), ('a-'):rep(150) .. 'b')",
        "string.match(('a'):rep(60), ('a*'):rep(40) .. 'b')",
        "for _ in string.gmatch(('a'):rep(60), ('a?'):rep(60) .. ('.-'):rep(40) .. 'b') do end",
        "string.gsub(('a'):rep(60), ('(a*)'):rep(30) .. 'b', '')",
        "for i = 1, 1000 do string.find(('('):rep(50000), '%b()') end",
        "for i = 1, 1000 do string.find(('a'):rep(50000), '[' .. ('b'):rep(50000) .. ']') end",
        "local s, p = ('a'):rep(1 << 20), ('a'):rep(1 << 19) .. 'b' while true do s:find(p, 1, true) end",
        "while true do string.rep('', 1 << 20, 'x') end",
        "for i = 1, 5000 do local s = string.rep('x', 1000000) end",
        "local s = ('x'):rep(1 << 20) for i = 1, 5000 do local t = s .. i end",
        "table.concat(setmetatable({}, {__index = function() return '' end}), '', 1, 1 << 60)",
        "local t = {} for i = 1, 1000 do t[i] = '' end for i = 1, 1 << 20 do table.concat(t) end",
        "local t = {} for i = 1, 1000 do t[i] = i end for i = 1, 1 << 20 do table.unpack(t) end",
        "table.move({}, 1, 1 << 60, 2)",
        "local t = {} for i = 1, 100000 do table.insert(t, 1, i) end",
        "local t = setmetatable({}, {__len = function() return 1 << 60 end}) table.remove(t, 1)",
        "local t = setmetatable({}, {__len = function() return 1 << 60 end}) table.insert(t, 1, 1)",
        "local s = ('x'):rep(1 << 20) for i = 1, 100000 do string.format('%.0s', s) end",
        "local s = ('x'):rep(1 << 20) for i = 1, 100000 do utf8.len(s) end",
        "local s = 'x' .. ('\\x80'):rep(1 << 20) for i = 1, 100000 do utf8.offset(s, 2) end",
        "local s = ('x'):rep(1 << 10) for i = 1, 100000 do utf8.codepoint(s, 1, -1) end",
        "local s = ('x'):rep(1 << 10) for i = 1, 100000 do s:byte(1, -1) end",
        "local s = ('b'):rep(1 << 20) for i = 1, 100000 do string.packsize(s) end",
        "local s = (' '):rep(1 << 20) for i = 1, 1000000 do tonumber(s) end",
        "local s = ('x = 1 '):rep(1000) while true do load(s) end",
        "local t = {} for i = 1, 1000 do t['k' .. i] = i end for i = 1, 1 << 20 do pairs(t) end",
        "local t = {} for i = 1, 1000 do t[i] = i end for i = 1, 1 << 20 do next(t, 1) end",
        "local t = {} for i = 1, 10000 do t[i] = i end for i = 1, 1 << 20 do table.sort(t) end",
    };
    (void)state;
    for (unsigned i = 0; i < sizeof endless / sizeof endless[0]; i++) {
        uint64_t used, again;
        char first[300];
        snprintf(first, sizeof first, "%s", message_of(endless[i], &used));
        if (!strstr(first, "used up its budget of 10 million")) {
            fail_msg("%s: '%s' after %llu steps", endless[i], first, (unsigned long long)used);
        }
        assert_string_equal(message_of(endless[i], &again), first);
        assert_int_equal(again, used);
    }
}

static void ordinary_searches_cost_about_what_they_read(void **state)
{
    uint64_t used;
    (void)state;
    assert_string_equal(message_of("local s = ('line of text\\n'):rep(10000) local n = 0\n"
                                   "for l in s:gmatch('[^\\n]+') do n = n + 1 end assert(n == 10000)",
                                   &used),
                        "");
    assert_in_range(used, 130000, 1500000);
}

static void the_budget_ends_a_search_for_good(void **state)
{
    uint64_t used;
    (void)state;
    assert_non_null(
        strstr(message_of("local f = function() string.find(('a'):rep(300), ('a-'):rep(150) .. 'b') end\n"
                          "while true do pcall(f) end",
                          &used),
               "budget"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_search_gives_what_the_stock_library_gives),
        cmocka_unit_test(limits_and_messages_are_those_of_the_stock_library),
        cmocka_unit_test(table_functions_are_those_of_the_stock_library),
        cmocka_unit_test(work_inside_one_call_uses_up_the_budget),
        cmocka_unit_test(ordinary_searches_cost_about_what_they_read),
        cmocka_unit_test(the_budget_ends_a_search_for_good),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
