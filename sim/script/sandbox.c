/*
 * The deterministic Lua sandbox. Source: Lua 5.4 Reference Manual, "The Standard Libraries".
 * Deviations from stock Lua: pairs and next visit numbers ascending, then strings in byte order, and refuse other
 * key types; tostring and %s give no address, %p is an error; no __gc and no weak tables; load takes text only.
 */

#include "script/sandbox.h"

#include "script/ordered.h"
#include "script/sort.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOOK_INSTRUCTIONS 10000

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
        free(block);
        return NULL;
    }
    if (s->memory_bytes - old + new_size > SANDBOX_MEMORY_BYTES) {
        return NULL;
    }
    void *p = realloc(block, new_size);
    if (p) {
        s->memory_bytes += new_size - old;
    }
    return p;
}

static void count_instructions(lua_State *lua, lua_Debug *ar)
{
    struct sandbox *s = sandbox_of(lua);
    (void)ar;
    s->instructions += HOOK_INSTRUCTIONS;
    if (s->instructions > s->budget_instructions) {
        lua_sethook(lua, count_instructions, LUA_MASKCOUNT, 1); /* pcall catches it once, not for ever */
        luaL_error(lua, "the scenario used up its budget of %d million Lua instructions",
                   (int)(s->budget_instructions / 1000000));
    }
}

/* coroutine.create and wrap: the count hook starts afresh in each coroutine, so a new one is charged a whole period. */
static int lua_counted_coroutine(lua_State *lua)
{
    count_instructions(lua, NULL);
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
        if (i > 1) {
            fputc('\t', stdout);
        }
        fwrite(text, 1, size, stdout);
        lua_pop(lua, 1);
    }
    fputc('\n', stdout);
    return 0;
}

/* string.format: arguments that are not numbers or strings become text first; %p is refused. */
static int lua_format_safe(lua_State *lua)
{
    const char *format = luaL_checkstring(lua, 1);
    for (const char *p = strchr(format, '%'); p; p = strchr(p, '%')) {
        p++;
        p += strspn(p, "-+ #0123456789.");
        if (*p == 'p') {
            return luaL_error(lua, "string.format: %%p would show an address");
        }
        p += *p != 0;
    }
    int count = lua_gettop(lua);
    for (int i = 2; i <= count; i++) {
        int type = lua_type(lua, i);
        if (type != LUA_TNUMBER && type != LUA_TSTRING) {
            sandbox_push_text(lua, i);
            lua_replace(lua, i);
        }
    }
    lua_pushvalue(lua, lua_upvalueindex(1));
    lua_insert(lua, 1);
    lua_call(lua, count, 1);
    return 1;
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
        lua_getfield(lua, 2, "__gc");
        lua_getfield(lua, 2, "__mode");
        if (!lua_isnil(lua, -1) || !lua_isnil(lua, -2)) {
            return luaL_error(lua,
                              "setmetatable: __gc and __mode depend on the collector and are not offered");
        }
        lua_pop(lua, 2);
    }
    if (luaL_getmetafield(lua, 1, "__metatable") != LUA_TNIL) {
        return luaL_error(lua, "cannot change a protected metatable");
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
    return name[0] &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") ==
               strlen(name) &&
           !strstr(name, "..");
}

static bool load_module(lua_State *lua, const char *directory, const char *name)
{
    char path[2048], relative[256];
    snprintf(relative, sizeof relative, "%s", name);
    for (char *p = relative; *p; p++) {
        *p = *p == '.' ? '/' : *p;
    }
    snprintf(path, sizeof path, "%s/%s.lua", directory, relative);
    FILE *f = fopen(path, "rb");
    if (!f) {
        return false;
    }
    fclose(f);
    if (luaL_loadfilex(lua, path, "t") != LUA_OK) {
        lua_error(lua);
    }
    return true;
}

static int lua_require(lua_State *lua)
{
    static const char *const up[] = {"", "/..", "/../..", "/../../.."};
    const char *name = luaL_checkstring(lua, 1);
    struct sandbox *s = sandbox_of(lua);
    luaL_argcheck(lua, module_name_ok(name), 1, "a module name: words and dots");
    luaL_getsubtable(lua, LUA_REGISTRYINDEX, "orrery.modules");
    if (lua_getfield(lua, -1, name) != LUA_TNIL) {
        return 1;
    }
    lua_pop(lua, 1);
    for (size_t i = 0; i < sizeof up / sizeof up[0]; i++) {
        char directory[1200];
        snprintf(directory, sizeof directory, "%s%s", s->directory, up[i]);
        if (load_module(lua, directory, name)) {
            lua_call(lua, 0, 1);
            if (lua_isnil(lua, -1)) {
                lua_pushboolean(lua, 1);
                lua_replace(lua, -2);
            }
            lua_pushvalue(lua, -1);
            lua_setfield(lua, -3, name);
            return 1;
        }
    }
    return luaL_error(lua, "require: no module '%s' beside the scenario or above it", name);
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
    set_function(lua, "setmetatable", lua_setmetatable_safe);
    set_function(lua, "load", lua_load_text);
    set_function(lua, "require", lua_require);
    lua_getfield(lua, -1, LUA_MATHLIBNAME);
    set_function(lua, "random", lua_random);
    set_function(lua, "randomseed", lua_randomseed);
    lua_pop(lua, 1);
    lua_getfield(lua, -1, LUA_TABLIBNAME);
    set_function(lua, "sort", sort_table);
    lua_pop(lua, 1);
    lua_getfield(lua, -1, LUA_COLIBNAME);
    wrap_function(lua, "create", lua_counted_coroutine);
    wrap_function(lua, "wrap", lua_counted_coroutine);
    lua_pop(lua, 1);
    lua_getfield(lua, -1, LUA_STRLIBNAME);
    remove_field(lua, "dump");
    lua_getfield(lua, -1, "format");
    lua_pushcclosure(lua, lua_format_safe, 1);
    lua_setfield(lua, -2, "format");
    return 0;
}

static void directory_of(const char *path, char *out, size_t size)
{
    const char *slash = strrchr(path, '/');
    if (slash) {
        snprintf(out, size, "%.*s", (int)(slash - path), path);
    } else {
        snprintf(out, size, ".");
    }
}

bool sandbox_init(struct sandbox *s, const char *scenario, uint64_t seed, struct error *e)
{
    *s = (struct sandbox){.budget_instructions = SANDBOX_INSTRUCTIONS};
    rng_init(&s->random, seed, 0);
    directory_of(scenario, s->directory, sizeof s->directory);
    s->lua = lua_newstate(allocate, s);
    if (!s->lua) {
        return error_set(e, "no memory for Lua");
    }
    memcpy(lua_getextraspace(s->lua), &s, sizeof(struct sandbox *));
    lua_sethook(s->lua, count_instructions, LUA_MASKCOUNT, HOOK_INSTRUCTIONS);
    lua_pushcfunction(s->lua, open_libraries);
    if (lua_pcall(s->lua, 0, 0, 0) != LUA_OK) {
        return error_set(e, "Lua: %s", lua_tostring(s->lua, -1));
    }
    return true;
}

void sandbox_deinit(struct sandbox *s)
{
    if (s->lua) {
        lua_close(s->lua);
    }
    s->lua = NULL;
}

bool sandbox_load(struct sandbox *s, const char *name, const char *text, size_t size, struct error *e)
{
    char chunk[1100];
    snprintf(chunk, sizeof chunk, "@%s", name);
    if (luaL_loadbufferx(s->lua, text, size, chunk, "t") != LUA_OK) {
        error_set(e, "%s", lua_tostring(s->lua, -1));
        lua_pop(s->lua, 1);
        return false;
    }
    return true;
}
