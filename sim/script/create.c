/*
 * orrery.new_machine { cpus=, memory=, memory_limit=, numa=, board=, engine=, memory_model=, cpu=, seed=, kernel=, initrd=, append= }.
 * kernel and initrd are file names; relative ones are looked for beside the scenario and in the folders above it.
 * What the command line gave wins over the table. An unknown key is an error.
 */

#include "script/create.h"

#include "base/check.h"
#include "script/place.h"
#include "script/sandbox.h"

#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IMAGE_MAX_BYTES (1024L * 1024L * 1024L)
#define SEARCH_LEVELS   5u
#define MACHINES_MAX    64u

struct image_file {
    uint8_t *bytes;
    size_t size;
};

static const char *const known_keys[] = {"cpus",         "memory",       "numa", "board",  "engine",
                                         "memory_model", "cpu",          "seed", "kernel", "initrd",
                                         "append",       "memory_limit", NULL};

static void check_keys(lua_State *lua)
{
    lua_pushnil(lua);
    while (lua_next(lua, 1)) {
        lua_pop(lua, 1);
        const char *key = lua_type(lua, -1) == LUA_TSTRING ? lua_tostring(lua, -1) : "?";
        bool known = false;
        for (const char *const *k = known_keys; *k; k++) {
            known |= strcmp(*k, key) == 0;
        }
        if (!known) {
            luaL_error(lua, "machine: unknown option '%s'", key);
        }
    }
}

/* Pushes field name of the table at 1; false (and nothing pushed) when absent. */
static bool field(lua_State *lua, const char *name)
{
    if (lua_getfield(lua, 1, name) == LUA_TNIL) {
        lua_pop(lua, 1);
        return false;
    }
    return true;
}

static void field_unsigned(lua_State *lua, const char *name, unsigned *out)
{
    if (field(lua, name)) {
        lua_Integer v = lua_tointeger(lua, -1);
        if (!lua_isinteger(lua, -1) || v < 0 || v > 65535) {
            luaL_error(lua, "machine: %s must be a small whole number", name);
        }
        *out = (unsigned)v;
        lua_pop(lua, 1);
    }
}

/* One of two words: returns 0 or 1. */
static int field_word(lua_State *lua, const char *name, const char *zero, const char *one, int otherwise)
{
    if (!field(lua, name)) {
        return otherwise;
    }
    const char *text = lua_type(lua, -1) == LUA_TSTRING ? lua_tostring(lua, -1) : "?";
    int v = strcmp(text, zero) == 0 ? 0 : strcmp(text, one) == 0 ? 1 : -1;
    if (v < 0) {
        luaL_error(lua, "machine: %s must be '%s' or '%s'", name, zero, one);
    }
    lua_pop(lua, 1);
    return v;
}

/* "256M", "2G" or a number of bytes. */
static void field_memory(lua_State *lua, const char *name, uint64_t *out)
{
    if (!field(lua, name)) {
        return;
    }
    if (lua_isinteger(lua, -1)) {
        *out = (uint64_t)lua_tointeger(lua, -1);
    } else {
        char suffix = 0;
        unsigned long long v = 0;
        int got = lua_type(lua, -1) == LUA_TSTRING ? sscanf(lua_tostring(lua, -1), "%llu%c", &v, &suffix) : 0;
        if (got != 2 || !strchr("KMG", suffix) || v > (1ull << 30)) {
            luaL_error(lua, "machine: %s must be like '256M' or '2G'", name);
        }
        *out = (uint64_t)v << (suffix == 'K' ? 10 : suffix == 'M' ? 20 : 30);
    }
    lua_pop(lua, 1);
}

static void read_config(lua_State *lua, const struct script_defaults *d, struct sim_config *c)
{
    *c = d->config;
    struct sim_config t = d->config;
    field_unsigned(lua, "cpus", &t.cpus);
    field_unsigned(lua, "numa", &t.numa_nodes);
    field_memory(lua, "memory", &t.memory_bytes);
    field_memory(lua, "memory_limit", &c->memory_limit_bytes);
    t.board = field_word(lua, "board", "pc", "microvm", t.board == BOARD_MICROVM) ? BOARD_MICROVM : BOARD_PC;
    t.engine =
        field_word(lua, "engine", "fast", "timed", t.engine == ENGINE_TIMED) ? ENGINE_TIMED : ENGINE_FAST;
    int model = field_word(lua, "memory_model", "sc", "tso", -1);
    c->cpus = d->cpus ? c->cpus : t.cpus;
    c->numa_nodes = d->numa ? c->numa_nodes : t.numa_nodes;
    c->memory_bytes = d->memory ? c->memory_bytes : t.memory_bytes;
    c->board = d->board ? c->board : t.board;
    c->engine = d->engine ? c->engine : t.engine;
    if (!d->memory_model && model >= 0) {
        c->memory_model = model ? MODEL_TSO : MODEL_SC;
    }
    if (!d->cpu && field(lua, "cpu")) {
        c->cpu_model = luaL_checkstring(lua, -1); /* stays on the stack, so it lives long enough */
    }
    if (field(lua, "seed")) {
        c->seed = (uint64_t)luaL_checkinteger(lua, -1);
        lua_pop(lua, 1);
    }
}

static bool read_file(const char *path, struct image_file *out)
{
    FILE *f = fopen(path, "rb");
    if (!f) {
        return false;
    }
    long size = fseek(f, 0, SEEK_END) == 0 ? ftell(f) : -1;
    bool ok = size >= 0 && size <= IMAGE_MAX_BYTES && fseek(f, 0, SEEK_SET) == 0;
    if (ok) {
        out->size = (size_t)size;
        out->bytes = malloc(out->size + 1);
        ok = out->bytes && fread(out->bytes, 1, out->size, f) == out->size;
    }
    fclose(f);
    if (!ok) {
        free(out->bytes);
        *out = (struct image_file){0};
    }
    return ok;
}

/* As it is when absolute, else from the scenario's folder upwards, else from the working directory. */
static bool find_file(const struct sandbox *s, const char *name, struct image_file *out)
{
    char path[2048], up[64] = "";
    if (name[0] == '/') {
        return read_file(name, out);
    }
    for (unsigned i = 0; i < SEARCH_LEVELS; i++) {
        snprintf(path, sizeof path, "%s/%s%s", s->directory, up, name);
        if (read_file(path, out)) {
            return true;
        }
        strcat(up, "../");
    }
    return read_file(name, out);
}

static void load_images(lua_State *lua, struct lua_machine *m)
{
    struct image_file kernel = {0}, initrd = {0};
    struct sandbox *s = sandbox_of(lua);
    struct error e = {""};
    const char *kernel_name = field(lua, "kernel") ? luaL_checkstring(lua, -1) : NULL;
    const char *initrd_name = field(lua, "initrd") ? luaL_checkstring(lua, -1) : NULL;
    const char *append = field(lua, "append") ? luaL_checkstring(lua, -1) : NULL;
    bool ok = kernel_name || error_set(&e, "machine: kernel is missing");
    ok = ok && (find_file(s, kernel_name, &kernel) || error_set(&e, "%s: cannot be read", kernel_name));
    ok = ok && (!initrd_name || find_file(s, initrd_name, &initrd) ||
                error_set(&e, "%s: cannot be read", initrd_name));
    if (ok) {
        struct sim_image image = {kernel_name, kernel.bytes, kernel.size, initrd_name ? initrd.bytes : NULL,
                                  initrd.size, append};
        ok = sim_load(m->sim, &image, &e);
        m->symbols = ok ? symbols_open(kernel_name, kernel.bytes, kernel.size, NULL) : NULL;
    }
    free(kernel.bytes);
    free(initrd.bytes);
    if (!ok) {
        luaL_error(lua, "%s", e.text);
    }
}

static unsigned count_machines(const struct lua_machine *m)
{
    unsigned count = 0;
    for (; m; m = m->next) {
        count++;
    }
    return count;
}

int machine_create(lua_State *lua)
{
    struct script_defaults *d = lua_touserdata(lua, lua_upvalueindex(1));
    struct lua_machine **machines = lua_touserdata(lua, lua_upvalueindex(2));
    struct sim_config config;
    struct error e;
    luaL_checktype(lua, 1, LUA_TTABLE);
    check_keys(lua);
    read_config(lua, d, &config);
    if (count_machines(*machines) == MACHINES_MAX) {
        return luaL_error(lua, "machine: a scenario has at most %d", (int)MACHINES_MAX);
    }
    struct sim *sim = sim_create(&config, &e);
    if (!sim) {
        return luaL_error(lua, "%s", e.text);
    }
    struct lua_machine *m = calloc(1, sizeof *m);
    CHECK(m, "out of memory");
    *m = (struct lua_machine){.sim = sim, .lua = lua, .echo = d->echo, .next = *machines};
    *machines = m; /* from here on the list frees it */
    sim_on_output(m->sim, machine_output, m);
    load_images(lua, m);
    m->trace = (struct trace_text){stderr, m->symbols};
    sim_on_trace(m->sim, d->trace, trace_text_write, &m->trace);
    *(struct lua_machine **)lua_newuserdatauv(lua, sizeof m, 0) = m;
    luaL_setmetatable(lua, MACHINE_TYPE);
    place_push_symbols(lua, m->sim, m->symbols);
    return 2;
}
