/*
 * The options: kernel, initrd, append, and the parameters of machine/config.def with '_' for '-'.
 * kernel, initrd and disk are file names; relative ones are looked for beside the scenario and in the folders above it.
 * disk may be a sequence of them.
 * What the command line gave wins over the table, also where engine and machine contradict each other. An unknown key is an
 * error.
 */

#include "script/create.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/file.h"
#include "script/machine_file.h"
#include "script/place.h"
#include "script/position.h"
#include "script/sandbox.h"

#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEARCH_LEVELS 5u
#define PATH_BYTES    2048u
#define MACHINES_MAX  64u

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
        position_error(lua, "machine: there is no option '%s'", unknown);
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

/* As it is when absolute, else from the scenario's folder upwards, else from the working directory, else from the program's. */
static void find_path(const struct sandbox *s, const char *name, char path[PATH_BYTES])
{
    char up[64] = "";
    for (unsigned i = 0; name[0] != '/' && i < SEARCH_LEVELS; i++) {
        snprintf(path, PATH_BYTES, "%s/%s%s", s->directory, up, name);
        if (file_exists(path)) {
            return;
        }
        strcat(up, "../");
    }
    snprintf(path, PATH_BYTES, "%s/%s", s->home ? s->home : ".", name);
    bool shipped = name[0] != '/' && !file_exists(name) && file_exists(path);
    if (!shipped) {
        snprintf(path, PATH_BYTES, "%s", name);
    }
}

/* The file's bytes, and its path, which is the caller's to free. */
static bool find_file(const struct sandbox *s, const char *name, struct file_bytes *out, char **path_out,
                      struct error *e)
{
    char path[PATH_BYTES];
    find_path(s, name, path);
    *path_out = alloc_zeroed(strlen(path) + 1, 1);
    memcpy(*path_out, path, strlen(path));
    return file_read(path, FILE_MAX_BYTES, out, e);
}

/* The value on top of the stack becomes the parameter's. */
static void set_parameter(lua_State *lua, const char *name, enum sim_parameter p, struct sim_config *c)
{
    struct error e;
    if (lua_type(lua, -1) != LUA_TSTRING && !lua_isinteger(lua, -1)) {
        position_error(lua, "machine: %s must be a text or a whole number", name);
    }
    if (!sim_config_set(c, p, lua_tostring(lua, -1), &e)) {
        position_error(lua, "machine: %s", e.text);
    }
}

/* The file name on top of the stack; its path takes its place. */
static void add_file(lua_State *lua, const char *name, enum sim_parameter p, struct sim_config *c)
{
    char path[PATH_BYTES];
    if (lua_type(lua, -1) != LUA_TSTRING) {
        position_error(lua, "machine: %s must be a file name or a sequence of them", name);
    }
    find_path(sandbox_of(lua), lua_tostring(lua, -1), path);
    lua_pushstring(lua, path);
    lua_replace(lua, -2);
    set_parameter(lua, name, p, c);
}

/* How many elements the sequence on top of the stack has; -1: it has other keys. */
static lua_Integer sequence_length(lua_State *lua)
{
    lua_Integer length = (lua_Integer)lua_rawlen(lua, -1), keys = 0;
    lua_pushnil(lua);
    while (lua_next(lua, -2)) {
        lua_pop(lua, 1);
        keys++;
    }
    return keys == length ? length : -1;
}

/* One file, or a sequence of them, on top of the stack. One too many is refused, so the stack has a bound. */
static void add_files(lua_State *lua, const char *name, enum sim_parameter p, struct sim_config *c)
{
    if (lua_type(lua, -1) != LUA_TTABLE) {
        add_file(lua, name, p, c);
        return;
    }
    int list = lua_gettop(lua);
    lua_Integer length = sequence_length(lua);
    if (length < 0) {
        position_error(lua, "machine: %s must be a file name or a sequence of them", name);
    }
    luaL_checkstack(lua, (int)SIM_DISKS_MAX + LUA_MINSTACK, NULL);
    for (lua_Integer i = 1; i <= length; i++) {
        lua_rawgeti(lua, list, i);
        add_file(lua, name, p, c);
    }
}

/* Has the command line decided? */
static bool is_overruled(const struct sim_config *given, enum sim_parameter p)
{
    bool engine = p == PARAMETER_ENGINE && sim_config_given(given, PARAMETER_MACHINE);
    bool machine =
        p == PARAMETER_MACHINE && sim_config_given(given, PARAMETER_ENGINE) && given->engine == ENGINE_FAST;
    return engine || machine || sim_config_given(given, p);
}

/* A machine's file is looked for where other files are. */
static bool names_file(lua_State *lua, enum sim_parameter p)
{
    return p == PARAMETER_MACHINE && lua_type(lua, -1) == LUA_TSTRING &&
           machine_file_is_path(lua_tostring(lua, -1));
}

/* Texts stay on the stack: they must outlive sim_create. Every value is checked, also one that the command line
 * overrules. */
static void read_config(lua_State *lua, const struct script_defaults *d, struct sim_config *c)
{
    struct sim_config overruled;
    sim_config_init(&overruled);
    *c = d->config;
    luaL_checkstack(lua, (int)PARAMETER_COUNT, NULL);
    for (unsigned i = 0; i < PARAMETER_COUNT; i++) {
        enum sim_parameter p = (enum sim_parameter)i;
        struct sim_config *to = is_overruled(&d->config, p) ? &overruled : c;
        char name[KEY_BYTES];
        lua_name(p, name);
        if (!field(lua, name)) {
            continue;
        }
        if (sim_parameter_is_files(p)) {
            add_files(lua, name, p, to);
        } else if (names_file(lua, p)) {
            add_file(lua, name, p, to);
        } else {
            set_parameter(lua, name, p, to);
        }
    }
}

/* A field of the table at 1 that is a text, or NULL. */
static const char *text_field(lua_State *lua, const char *name)
{
    if (!field(lua, name)) {
        return NULL;
    }
    if (lua_type(lua, -1) != LUA_TSTRING) {
        position_error(lua, "machine: %s must be a text", name);
    }
    return lua_tostring(lua, -1);
}

struct image_names {
    const char *kernel, *initrd, *append; /* the table keeps them alive */
};

static struct image_names read_names(lua_State *lua)
{
    struct image_names n = {text_field(lua, "kernel"), text_field(lua, "initrd"), text_field(lua, "append")};
    if (!n.kernel) {
        position_error(lua, "machine: kernel is missing");
    }
    return n;
}

/* c: with the names of the disks, which the machine has not. */
static bool start_recorder(struct lua_machine *m, const struct script_defaults *d, const struct sim_config *c,
                           const struct sim_image *image, struct error *e)
{
    struct sim_image found = *image;
    found.kernel_name = m->kernel;
    const struct recorder_options wanted = {
        .image = &found,
        .initrd_name = m->initrd,
        .disk_names = c->disks,
        .embed = d->embed,
        .stop_wanted = d->stop_wanted,
    };
    m->stop_wanted = d->stop_wanted;
    m->recorder = d->record ? recorder_start(m->sim, &wanted, e) : NULL;
    return !d->record || m->recorder;
}

static bool load_images(const struct sandbox *s, struct lua_machine *m, const struct script_defaults *d,
                        const struct sim_config *c, const struct image_names *n, struct error *e)
{
    struct file_bytes kernel = {0}, initrd = {0};
    bool ok = find_file(s, n->kernel, &kernel, &m->kernel, e) &&
              (!n->initrd || find_file(s, n->initrd, &initrd, &m->initrd, e));
    if (ok) {
        struct sim_image image = {n->kernel,   kernel.bytes, kernel.size, n->initrd ? initrd.bytes : NULL,
                                  initrd.size, n->append};
        ok = sim_load(m->sim, &image, e) && start_recorder(m, d, c, &image, e);
        m->symbols = ok ? symbols_open(n->kernel, kernel.bytes, kernel.size, NULL) : NULL;
    }
    file_free(&kernel);
    file_free(&initrd);
    return ok;
}

static unsigned count_machines(const struct lua_machine *m)
{
    unsigned count = 0;
    for (; m; m = m->next) {
        count++;
    }
    return count;
}

/* A machine that is not yet on the list; NULL with a message. */
static struct lua_machine *new_machine(const struct sandbox *s, const struct script_defaults *d,
                                       struct sim_config *c, const struct image_names *n, struct error *e)
{
    struct timing_params timing;
    struct sim *sim = machine_file_resolve(c, &timing, e) ? sim_create(c, e) : NULL;
    if (!sim) {
        return NULL;
    }
    struct lua_machine *m = calloc(1, sizeof *m);
    CHECK(m, "out of memory");
    m->sim = sim;
    if (!load_images(s, m, d, c, n, e)) {
        machine_free_all(m);
        return NULL;
    }
    return m;
}

int machine_create(lua_State *lua)
{
    const struct script_defaults *d = lua_touserdata(lua, lua_upvalueindex(1));
    struct lua_machine **machines = lua_touserdata(lua, lua_upvalueindex(2));
    struct sim_config config;
    struct error e;
    check_keys(lua);
    read_config(lua, d, &config);
    struct image_names names = read_names(lua);
    if (count_machines(*machines) == MACHINES_MAX) {
        return position_error(lua, "machine: a scenario has at most %d", (int)MACHINES_MAX);
    }
    struct lua_machine **handle = lua_newuserdatauv(lua, sizeof(void *), 0);
    struct lua_machine *m = new_machine(sandbox_of(lua), d, &config, &names, &e);
    if (!m) {
        return position_error(lua, "machine: %s", e.text);
    }
    *handle = m;
    m->lua = lua;
    m->echo = d->echo;
    m->next = *machines;
    *machines = m; /* from here on the list frees it */
    sim_on_output(m->sim, machine_output, m);
    m->trace = (struct trace_text){stderr, m->symbols};
    sim_on_progress(m->sim, d->progress, d->progress_arg);
    sim_on_trace(m->sim, d->trace, trace_text_write, &m->trace);
    if (d->false_sharing && !sim_count_sharing(m->sim, &e)) {
        return position_error(lua, "machine: %s", e.text);
    }
    if (d->profile) {
        m->full_profile = machine_begin_profile(m, d->profile_tables, &e);
        if (!m->full_profile) {
            return position_error(lua, "machine: %s", e.text);
        }
    }
    luaL_setmetatable(lua, MACHINE_TYPE);
    place_push_symbols(lua, m->sim, m->symbols);
    return 2;
}
