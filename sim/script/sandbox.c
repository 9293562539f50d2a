/*
 * The deterministic Lua sandbox. Source: Lua 5.4 Reference Manual, "The Standard Libraries".
 * Deviations from stock Lua: pairs and next visit numbers ascending, then strings in byte order, and refuse other
 * key types; tostring and %s give no address, %p is an error; no __gc and no weak tables; load takes text only.
 * The budget: an instruction of Lua is a step, and so is a piece of work of about its size inside a C function: a test of
 * the pattern matcher, an element of a table, some bytes that are copied or compiled. What Lua's own instructions do at
 * once is one step however long it takes: comparing two long strings, passing on a long list of arguments.
 */

#include "script/sandbox.h"

#include "base/file.h"
#include "script/ordered.h"
#include "script/string_library.h"
#include "script/table_library.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOOK_INSTRUCTIONS 1000
#define MODULE_NAME_MAX   200u
#define MODULE_MAX_BYTES  (UINT64_C(16) << 20)
#define HASH_SEED         0x0ce11a57u
#define LONG_STRING_BYTES \
    128u /* of a string's object: Lua keeps each shorter text once, and makes it at unknown times */

struct sandbox *sandbox_of(lua_State *lua)
{
    struct sandbox *s;
    memcpy(&s, lua_getextraspace(lua), sizeof(struct sandbox *));
    return s;
}

static void *allocate(void *arg, void *block, size_t old_size, size_t new_size)
{
    struct sandbox *s = arg;
    uint64_t old = block ? old_size : 0;
    if (new_size == 0) {
        s->memory_bytes -= old;
        if (block) {
            arena_free(&s->arena, block);
        }
        return NULL;
    }
    bool fits = s->memory_bytes - old + new_size <= SANDBOX_MEMORY_BYTES;
    void *p = !fits   ? NULL
              : block ? arena_resize(&s->arena, block, new_size)
                      : arena_alloc(&s->arena, new_size);
    if (!p && s->lua) { /* a message of Lua's about it has no position */
        position_find(s->lua, 0, s->refused_at, sizeof s->refused_at);
    }
    if (p) {
        s->memory_bytes += new_size - old;
        if (!block && old_size == LUA_TSTRING &&
            new_size >= LONG_STRING_BYTES) { /* every way to copy bytes */
            s->instructions += new_size / SANDBOX_BYTES_PER_STEP;
        }
    }
    return p;
}

/*
 * Lua seeds its hash of strings from the clock and from addresses, by a call of its own luaS_hash from lua_newstate. The
 * Makefile links Lua so that this call, and no other, comes here (ld --wrap).
 */
unsigned __wrap_luaS_hash(const char *text, size_t size, unsigned seed);

unsigned __wrap_luaS_hash(const char *text, size_t size, unsigned seed)
{
    (void)text;
    (void)size;
    (void)seed;
    return HASH_SEED;
}

static void count_instructions(lua_State *lua, lua_Debug *ar)
{
    (void)ar;
    sandbox_charge(lua, HOOK_INSTRUCTIONS);
}

void sandbox_exhausted(lua_State *lua)
{
    struct sandbox *s = sandbox_of(lua);
    lua_sethook(lua, count_instructions, LUA_MASKCOUNT, 1); /* pcall catches it once, not for ever */
    if (!s->exhausted_at[0]) {
        position_find(lua, 0, s->exhausted_at, sizeof s->exhausted_at);
    }
    lua_pushfstring(lua, "%s: the scenario used up its budget of %I million Lua instructions",
                    s->exhausted_at, (LUAI_UACINT)(s->budget_instructions / 1000000));
    lua_error(lua);
}

void sandbox_charge(lua_State *lua, uint64_t steps)
{
    sandbox_spend(sandbox_of(lua), lua, steps);
}

/* coroutine.create and wrap: the count hook starts afresh in each coroutine, so a new one is charged a whole period. */
static int lua_counted_coroutine(lua_State *lua)
{
    sandbox_charge(lua, HOOK_INSTRUCTIONS);
    int count = lua_gettop(lua);
    lua_pushvalue(lua, lua_upvalueindex(1));
    lua_insert(lua, 1);
    lua_call(lua, count, LUA_MULTRET);
    return lua_gettop(lua);
}

/* ---- strings without addresses ---- */

void sandbox_push_text(lua_State *lua, int index)
{
    if (luaL_callmeta(lua, index, "__tostring")) {
        if (!lua_isstring(lua, -1)) {
            luaL_error(lua, "'__tostring' must return a string");
        }
        return;
    }
    switch (lua_type(lua, index)) {
    case LUA_TNUMBER:
    case LUA_TSTRING:
    case LUA_TBOOLEAN:
    case LUA_TNIL:
        luaL_tolstring(lua, index, NULL);
        return;
    default:
        if (luaL_getmetafield(lua, index, "__name") != LUA_TSTRING) {
            lua_pushstring(lua, luaL_typename(lua, index));
        }
        return;
    }
}

static int lua_tostring_safe(lua_State *lua)
{
    luaL_checkany(lua, 1);
    sandbox_push_text(lua, 1);
    return 1;
}

static int lua_print_safe(lua_State *lua)
{
    int count = lua_gettop(lua);
    for (int i = 1; i <= count; i++) {
        size_t size;
        sandbox_push_text(lua, i);
        const char *text = lua_tolstring(lua, -1, &size);
        sandbox_charge(lua, 1 + size / SANDBOX_BYTES_PER_STEP);
        if (i > 1) {
            fputc('\t', stdout);
        }
        fwrite(text, 1, size, stdout);
        lua_pop(lua, 1);
    }
    fputc('\n', stdout);
    return 0;
}

/* ---- random numbers, metatables, load ---- */

static int lua_random(lua_State *lua)
{
    struct rng *r = &sandbox_of(lua)->random;
    int count = lua_gettop(lua);
    if (count == 1 && lua_isinteger(lua, 1) && lua_tointeger(lua, 1) == 0) { /* random(0): any integer */
        lua_pushinteger(lua, (lua_Integer)rng_next(r));
        return 1;
    }
    if (count == 0) {
        lua_pushnumber(lua, (lua_Number)(rng_next(r) >> 11) * (lua_Number)0x1p-53);
        return 1;
    }
    lua_Integer low = count == 1 ? 1 : luaL_checkinteger(lua, 1);
    lua_Integer high = luaL_checkinteger(lua, count == 1 ? 1 : 2);
    luaL_argcheck(lua, low <= high, count, "interval is empty");
    uint64_t span = (uint64_t)high - (uint64_t)low + 1;
    uint64_t v = span ? rng_below(r, span) : rng_next(r);
    lua_pushinteger(lua, (lua_Integer)((uint64_t)low + v));
    return 1;
}

static int lua_randomseed(lua_State *lua)
{
    rng_init(&sandbox_of(lua)->random, (uint64_t)luaL_checkinteger(lua, 1), 0);
    return 0;
}

static int lua_setmetatable_safe(lua_State *lua)
{
    luaL_checktype(lua, 1, LUA_TTABLE);
    luaL_argexpected(lua, lua_isnoneornil(lua, 2) || lua_istable(lua, 2), 2, "nil or table");
    if (lua_istable(lua, 2)) {
        lua_pushstring(lua, "__gc");
        lua_rawget(lua, 2);
        lua_pushstring(lua, "__mode");
        lua_rawget(lua, 2);
        if (!lua_isnil(lua, -1) || !lua_isnil(lua, -2)) {
            return position_error(
                lua, "setmetatable: __gc and __mode depend on the collector and are not offered");
        }
        lua_pop(lua, 2);
    }
    if (luaL_getmetafield(lua, 1, "__metatable") != LUA_TNIL) {
        return position_error(lua, "setmetatable: this metatable is protected");
    }
    lua_settop(lua, 2);
    lua_setmetatable(lua, 1);
    return 1;
}

static int lua_load_text(lua_State *lua)
{
    size_t size;
    const char *text = luaL_checklstring(lua, 1, &size);
    const char *name = luaL_optstring(lua, 2, "=(load)");
    bool has_environment = !lua_isnone(lua, 4);
    sandbox_charge(lua, size * SANDBOX_STEPS_TO_COMPILE);
    if (luaL_loadbufferx(lua, text, size, name, "t") != LUA_OK) {
        lua_pushnil(lua);
        lua_insert(lua, -2);
        return 2;
    }
    if (has_environment) {
        lua_pushvalue(lua, 4);
        lua_setupvalue(lua, -2, 1); /* _ENV */
    }
    return 1;
}

/* ---- require: text files beside the scenario or in the scenarios folder above it ---- */

static bool module_name_ok(const char *name)
{
    return name[0] && strlen(name) <= MODULE_NAME_MAX &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") ==
               strlen(name) &&
           !strstr(name, "..");
}

/* Inside Lua a file is called by its path from the scenario's folder, or from the program's: where these are takes no part in
 * a run. */
static bool load_module(lua_State *lua, const char *folder, const char *up, const char *name)
{
    char path[2048], relative[256], chunk[512];
    struct file_bytes text;
    struct error e;
    snprintf(relative, sizeof relative, "%s", name);
    for (char *p = relative; *p; p++) {
        *p = *p == '.' ? '/' : *p;
    }
    snprintf(path, sizeof path, "%s/%s%s.lua", folder, up, relative);
    if (!file_exists(path)) {
        return false;
    }
    if (!file_read(path, MODULE_MAX_BYTES, &text, &e)) {
        luaL_error(lua, "%s", e.text);
    }
    bool shipped = folder != sandbox_of(lua)->directory;
    snprintf(chunk, sizeof chunk, "@%s%s.lua", shipped ? SANDBOX_SHIPPED : up, relative);
    size_t size = text.size;
    int status = luaL_loadbufferx(lua, (const char *)text.bytes, size, chunk, "t");
    file_free(&text);
    if (status != LUA_OK) {
        lua_error(lua);
    }
    sandbox_charge(lua, size * SANDBOX_STEPS_TO_COMPILE);
    return true;
}

/* Beside the scenario, in the folders above it, among the program's own scenarios. */
static bool find_module(lua_State *lua, const char *name)
{
    static const char *const up[] = {"", "../", "../../", "../../../"};
    const struct sandbox *s = sandbox_of(lua);
    for (size_t i = 0; i < sizeof up / sizeof up[0]; i++) {
        if (load_module(lua, s->directory, up[i], name)) {
            return true;
        }
    }
    return s->home && load_module(lua, s->home, "scenarios/", name);
}

static int lua_require(lua_State *lua)
{
    const char *name = luaL_checkstring(lua, 1);
    luaL_argcheck(lua, module_name_ok(name), 1, "a module name: words and dots");
    luaL_getsubtable(lua, LUA_REGISTRYINDEX, "orrery.modules");
    if (lua_getfield(lua, -1, name) != LUA_TNIL) {
        return 1;
    }
    lua_pop(lua, 1);
    if (!find_module(lua, name)) {
        return position_error(lua, "require: no module '%s' beside the scenario or above it", name);
    }
    lua_call(lua, 0, 1);
    if (lua_isnil(lua, -1)) {
        lua_pushboolean(lua, 1);
        lua_replace(lua, -2);
    }
    lua_pushvalue(lua, -1);
    lua_setfield(lua, -3, name);
    return 1;
}

/* ---- opening ---- */

static void set_function(lua_State *lua, const char *name, lua_CFunction f)
{
    lua_pushcfunction(lua, f);
    lua_setfield(lua, -2, name);
}

/* The function of that name becomes an upvalue of its replacement. */
static void wrap_function(lua_State *lua, const char *name, lua_CFunction f)
{
    lua_getfield(lua, -1, name);
    lua_pushcclosure(lua, f, 1);
    lua_setfield(lua, -2, name);
}

static void remove_field(lua_State *lua, const char *name)
{
    lua_pushnil(lua);
    lua_setfield(lua, -2, name);
}

void sandbox_push_function(lua_State *lua, lua_CFunction f)
{
    lua_pushnil(lua);
    lua_pushcclosure(lua, f, 1);
}

void sandbox_box_functions(lua_State *lua)
{
    lua_pushnil(lua);
    while (lua_next(lua, -2)) {
        bool bare = lua_iscfunction(lua, -1);
        if (bare && lua_getupvalue(lua, -1, 1)) {
            lua_pop(lua, 1);
            bare = false;
        }
        if (bare) {
            lua_pushvalue(lua, -2);
            sandbox_push_function(lua, lua_tocfunction(lua, -2));
            lua_rawset(lua, -5);
        }
        lua_pop(lua, 1);
    }
}

static int open_libraries(lua_State *lua)
{
    static const luaL_Reg libraries[] = {
        {LUA_GNAME, luaopen_base},
        {LUA_TABLIBNAME, luaopen_table},
        {LUA_STRLIBNAME, luaopen_string},
        {LUA_MATHLIBNAME, luaopen_math},
        {LUA_UTF8LIBNAME, luaopen_utf8},
        {LUA_COLIBNAME, luaopen_coroutine},
        {NULL, NULL},
    };
    static const char *const removed[] = {"dofile", "loadfile", "collectgarbage", "warn", "rawlen"};
    for (const luaL_Reg *l = libraries; l->func; l++) {
        luaL_requiref(lua, l->name, l->func, 1);
        lua_pop(lua, 1);
    }
    lua_pushglobaltable(lua);
    for (size_t i = 0; i < sizeof removed / sizeof removed[0]; i++) {
        remove_field(lua, removed[i]);
    }
    set_function(lua, "tostring", lua_tostring_safe);
    set_function(lua, "print", lua_print_safe);
    set_function(lua, "pairs", ordered_pairs);
    set_function(lua, "next", ordered_next);
    sandbox_push_function(lua, ordered_ipairs_step);
    lua_pushcclosure(lua, ordered_ipairs, 1);
    lua_setfield(lua, -2, "ipairs");
    set_function(lua, "setmetatable", lua_setmetatable_safe);
    set_function(lua, "load", lua_load_text);
    set_function(lua, "require", lua_require);
    lua_getfield(lua, -1, LUA_MATHLIBNAME);
    set_function(lua, "random", lua_random);
    set_function(lua, "randomseed", lua_randomseed);
    lua_pop(lua, 1);
    lua_getfield(lua, -1, LUA_COLIBNAME);
    wrap_function(lua, "create", lua_counted_coroutine);
    wrap_function(lua, "wrap", lua_counted_coroutine);
    lua_pop(lua, 1);
    string_library_open(lua);
    table_library_open(lua);
    sandbox_box_functions(lua);
    for (const luaL_Reg *l = libraries + 1; l->func; l++) {
        lua_getfield(lua, -1, l->name);
        sandbox_box_functions(lua);
        lua_pop(lua, 1);
    }
    return 0;
}

/* directory, prefix and file from the scenario's path */
static void name_files(struct sandbox *s, const char *path)
{
    const char *slash = strrchr(path, '/');
    snprintf(s->directory, sizeof s->directory, "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
    snprintf(s->prefix, sizeof s->prefix, "%.*s", slash ? (int)(slash - path) + 1 : 0, path);
    snprintf(s->file, sizeof s->file, "%s", slash ? slash + 1 : path);
}

bool sandbox_init(struct sandbox *s, const char *scenario, uint64_t seed, struct error *e)
{
    *s = (struct sandbox){.budget_instructions = SANDBOX_INSTRUCTIONS};
    rng_init(&s->random, seed, 0);
    if (!arena_init(&s->arena, e)) {
        return false;
    }
    name_files(s, scenario);
    s->lua = lua_newstate(allocate, s);
    if (!s->lua) {
        sandbox_deinit(s);
        return error_set(e, "no memory for Lua");
    }
    memcpy(lua_getextraspace(s->lua), &s, sizeof(struct sandbox *));
    lua_sethook(s->lua, count_instructions, LUA_MASKCOUNT, HOOK_INSTRUCTIONS);
    lua_pushcfunction(s->lua, open_libraries);
    if (lua_pcall(s->lua, 0, 0, 0) != LUA_OK) {
        error_set(e, "Lua: %s", lua_tostring(s->lua, -1));
        sandbox_deinit(s);
        return false;
    }
    return true;
}

void sandbox_deinit(struct sandbox *s)
{
    if (s->lua) {
        lua_close(s->lua);
    }
    s->lua = NULL;
    arena_deinit(&s->arena);
}

bool sandbox_load(struct sandbox *s, const char *name, const char *text, size_t size, struct error *e)
{
    if (luaL_loadbufferx(s->lua, text, size, name, "t") != LUA_OK) {
        error_set(e, "%s", lua_tostring(s->lua, -1));
        lua_pop(s->lua, 1);
        return false;
    }
    return true;
}
