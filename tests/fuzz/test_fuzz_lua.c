/*
 * Scenarios as hostile input: random token soup and damaged copies of a scenario that uses every part of the language.
 * Any verdict is right; a crash of the host, a hang or an unbounded run is not.
 */

#include "fuzz.h"

#include "script/script.h"

#include <fcntl.h>

#define PATH         "scenarios/fuzz.lua" /* where require and kernels are looked for; it does not exist */
#define INSTRUCTIONS UINT64_C(3000000)

static const char *const tokens[] = {
    "and ",
    "break ",
    "do ",
    "else ",
    "elseif ",
    "end ",
    "false ",
    "for ",
    "function ",
    "goto a ",
    "::a:: ",
    "if ",
    "in ",
    "local ",
    "nil ",
    "not ",
    "or ",
    "repeat ",
    "return ",
    "then ",
    "true ",
    "until ",
    "while ",
    "+",
    "-",
    "*",
    "/",
    "%",
    "^",
    "#",
    "==",
    "~=",
    "<=",
    ">=",
    "<",
    ">",
    "=",
    "(",
    ")",
    "{",
    "}",
    "[",
    "]",
    ";",
    ":",
    ",",
    ".",
    "..",
    "...",
    "//",
    "&",
    "|",
    "~",
    "<<",
    ">>",
    "x ",
    "y ",
    "t ",
    "m ",
    "1 ",
    "0 ",
    "-1 ",
    "0x7fffffffffffffff ",
    "1e308 ",
    "0.5 ",
    "'s' ",
    "\"%s\" ",
    "[[x]] ",
    "orrery",
    "orrery.machine",
    "orrery.histogram",
    "orrery.args",
    ":on_return",
    ":fail_call",
    "orrery.ms",
    "orrery.note",
    "describe",
    "it",
    "expect",
    "pairs",
    "next",
    "tostring",
    "string.format",
    "string.rep",
    "table.concat",
    "table.sort",
    "setmetatable",
    "pcall",
    "error",
    "load",
    "require ",
    "math.random",
    "coroutine.wrap",
    "coroutine.yield",
    "_G",
    "_ENV",
    "select",
    "kernel",
    "cpus",
    "memory",
    "board",
    ":run_until",
    ":wait_text",
    ":send",
    ":console",
    ":probe",
    ":unprobe",
    ":register",
    ":set_register",
    ":read",
    ":write_physical",
    ":symbol",
    ":describe",
    ":stall",
    ":interrupt",
    ":interrupt_range",
    ":state_hash",
    ":stop",
    "sym",
    ":sizeof",
    ":offsetof",
    "function() end ",
    "(1)",
    "('x')",
    "{}",
    "()",
    "\n",
};

/* Every method once, on a machine that is there when the kernel is built. */
static const char whole[] =
    "local m = orrery.machine { cpus = 2, memory = '32M', kernel = 'build/os/orrery.elf',\n"
    "    initrd = 'build/os/initrd.cpio', append = 'console=none', engine = 'fast', board = 'pc', seed = 3 "
    "}\n"
    "local sym = m.sym\n"
    "describe('all', function()\n"
    "  it('runs', function()\n"
    "    expect(m:cpus(), 'cpus'):to_be(2)\n"
    "    m:run_until(20000)\n"
    "    m:stall(1, 100, 500) m:interrupt(0, 64) m:interrupt_range(0, 0x1000, 0x2000, 65)\n"
    "    m:delay_ipi(0, 1000) m:lose_ipi(1)\n"
    "    local n = 0\n"
    "    local id = m:probe(m:symbol('panic') or m:register(0, 'rip'), function(cpu, cycle) n = n + 1 "
    "m:stop() end)\n"
    "    m:wait_text(0, 'stage', 60000)\n"
    "    m:unprobe(id)\n"
    "    m:set_register(0, 'rax', m:register(0, 'rip') + 1)\n"
    "    m:write_physical(0x300000, string.rep('x', 300))\n"
    "    expect(#(m:read(0x300000, 16) or ''), 'bytes'):to_be_at_least(0)\n"
    "    m:send(0, 'help\\n') m:send(1, 'x')\n"
    "    orrery.note(m:describe(m:register(0, 'rip')), m:state_hash(), m:arch_hash(), #m:console(0))\n"
    "    for k, v in pairs({ a = 1, b = 2, 3 }) do orrery.note(tostring(k) .. v) end\n"
    "    local co = coroutine.wrap(function(...) coroutine.yield(m:cycles(), m:instructions(), m:effects()) "
    "end)\n"
    "    co(select('#', 1, 2)) pcall(error, {}) pcall(load, 'return 1')\n"
    "    local p = sym.frame_manager\n"
    "    for _, name in pairs(p:members()) do pcall(function() return p[name] end) end\n"
    "    pcall(function() return sym('thread', 0x300000):members() end)\n"
    "    pcall(function() return p:sizeof() + p:sizeof('nodes') + p:offsetof('nodes') end)\n"
    "    local h = orrery.histogram('h')\n"
    "    orrery.note(string.format('%d %s', n, tostring(h)))\n"
    "  end)\n"
    "end)\n";

static char *soup(struct rng *r, size_t *size)
{
    char *text = malloc(20000);
    assert_non_null(text);
    text[0] = 0;
    size_t at = 0;
    for (unsigned n = 1 + fuzz_below(r, 200); n > 0; n--) {
        const char *token = FUZZ_PICK(r, tokens);
        memcpy(text + at, token, strlen(token));
        at += strlen(token);
    }
    *size = at;
    return text;
}

/* Tokens put in, pieces of the text moved and cut. */
static char *damaged(struct rng *r, const char *from, size_t length, size_t *size)
{
    char *text = malloc(length + 4000);
    assert_non_null(text);
    memcpy(text, from, length);
    for (unsigned n = fuzz_below(r, 6); n > 0 && length > 64; n--) {
        const char *token = FUZZ_PICK(r, tokens);
        size_t at = fuzz_below(r, (unsigned)length - 32), cut = fuzz_below(r, 12), room = strlen(token);
        switch (fuzz_below(r, 4)) {
        case 0:
            memmove(text + at + room, text + at, length - at);
            memcpy(text + at, token, room);
            length += room;
            break;
        case 1:
            memmove(text + at, text + at + cut, length - at - cut);
            length -= cut;
            break;
        case 2:
            memmove(text + at, text + fuzz_below(r, (unsigned)length - 32), 20);
            break;
        default:
            text[at] = (char)fuzz_value(r);
            break;
        }
    }
    *size = length;
    return text;
}

/* What scenarios print is not of interest. */
static bool run_quietly(const struct script_options *o, struct script_result *result, struct error *e)
{
    fflush(stdout);
    int screen = dup(STDOUT_FILENO), nowhere = open("/dev/null", O_WRONLY);
    assert_true(screen >= 0 && nowhere >= 0);
    dup2(nowhere, STDOUT_FILENO);
    bool ran = script_run(o, result, e);
    fflush(stdout);
    dup2(screen, STDOUT_FILENO);
    close(nowhere);
    close(screen);
    return ran;
}

static void lua_case(struct rng *r, uint64_t seed, void *arg)
{
    static const char *const sets[] = {"a=1", "b=x", "c=", "=", "processes=2"};
    struct script_options o = {
        .path = PATH, .sets = sets, .set_count = fuzz_below(r, 6), .instructions = INSTRUCTIONS};
    struct script_result result;
    struct error e = {""};
    size_t size;
    (void)seed;
    (void)arg;
    char *text = fuzz_one_in(r, 3) ? soup(r, &size) : damaged(r, whole, sizeof whole - 1, &size);
    char *exact = (char *)fuzz_copy((const uint8_t *)text, size);
    free(text);
    sim_config_init(&o.defaults.config);
    o.text = exact;
    o.size = size;
    bool ran = run_quietly(&o, &result, &e);
    script_result_deinit(&result);
    assert_true(ran || e.text[0] != 0);
    free(exact);
}

static void any_scenario_ends_with_a_verdict_or_a_message(void **state)
{
    (void)state;
    fuzz_run("lua", 200, lua_case, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_scenario_ends_with_a_verdict_or_a_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
