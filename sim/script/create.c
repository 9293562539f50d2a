/*
 * orrery.new_machine { kernel=, initrd=, append=, and the parameters of machine/config.def with '_' for '-' }.
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

static const char *const image_keys[] = {"kernel", "initrd", "append"};

#define IMAGE_KEYS (sizeof image_keys / sizeof image_keys[0])
#define KEY_BYTES  32u

/* The Lua name of a parameter: '_' for '-'. */
static void lua_name(enum sim_parameter p, char *name)
{
    snprintf(name, KEY_BYTES, "%s", sim_parameter_name(p));
    for (char *c = name; *c; c++) {
        *c = *c == '-' ? '_' : *c;
    }
}

static bool is_known(const char *key)
{
    for (unsigned i = 0; i < IMAGE_KEYS; i++) {
        if (strcmp(image_keys[i], key) == 0) {
            return true;
        }
    }
    for (unsigned p = 0; p < PARAMETER_COUNT; p++) {
        char name[KEY_BYTES];
        lua_name((enum sim_parameter)p, name);
        if (strcmp(name, key) == 0) {
            return true;
        }
    }
    return false;
}

/* Of several unknown keys the first in byte order is told: the table's own order is no order. */
static void check_keys(lua_State *lua)
{
    const char *unknown = NULL;
    lua_pushnil(lua);
    while (lua_next(lua, 1)) {
        lua_pop(lua, 1);
        const char *key = lua_type(lua, -1) == LUA_TSTRING ? lua_tostring(lua, -1) : "(not a name)";
        if (!is_known(key) && (!unknown || strcmp(key, unknown) < 0)) {
            unknown = key; /* the table keeps it alive */
        }
    }
    if (unknown) {
        luaL_error(lua, "machine: unknown option '%s'", unknown);
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

/* Texts stay on the stack: they must outlive sim_create. Every value is checked, also one that the command line
 * overrules. */
static void read_config(lua_State *lua, const struct script_defaults *d, struct sim_config *c)
{
    *c = d->config;
    luaL_checkstack(lua, (int)PARAMETER_COUNT, NULL);
    for (unsigned i = 0; i < PARAMETER_COUNT; i++) {
        enum sim_parameter p = (enum sim_parameter)i;
        struct sim_config overruled = d->config;
        struct error e;
        char name[KEY_BYTES];
        lua_name(p, name);
        if (!field(lua, name)) {
            continue;
        }
        if (lua_type(lua, -1) != LUA_TSTRING && !lua_isinteger(lua, -1)) {
            luaL_error(lua, "machine: %s must be a text or a whole number", name);
        }
        if (!sim_config_set(sim_config_given(&d->config, p) ? &overruled : c, p, lua_tostring(lua, -1), &e)) {
            luaL_error(lua, "machine: %s", e.text);
        }
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
    *(struct lua_machine **)lua_newuserdatauv(lua, sizeof(struct lua_machine *), 0) = m;
    luaL_setmetatable(lua, MACHINE_TYPE);
    place_push_symbols(lua, m->sim, m->symbols);
    return 2;
}
