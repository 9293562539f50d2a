/*
 * Reads a machine file: runs it in the sandbox and looks through the table that it returns, never through metatables.
 * Everything below that can fail raises a Lua error, which read_table's caller catches.
 */

#include "script/machine_file.h"

#include "base/file.h"
#include "script/machine_scan.h"
#include "script/sandbox.h"

#include <lauxlib.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define FILE_BYTES_MAX   (UINT64_C(1) << 20)
#define INSTRUCTIONS     UINT64_C(20000000)
#define SOURCE_BYTES_MAX 400u
#define KEY_BYTES        96u
#define TEXT_BYTES       600u /* names of port groups, with spaces between them */
#define ROWS_MAX         256u

struct builtin {
    const char *name;
    const unsigned char *text;
    size_t size;
};

#define MACHINE_TEXT(...) ((const unsigned char[]){__VA_ARGS__ 0})
static const struct builtin builtins[] = {
#define MACHINE(name, ...) {name, MACHINE_TEXT(__VA_ARGS__), sizeof MACHINE_TEXT(__VA_ARGS__) - 1},
#include "machines.inc"
#undef MACHINE
};

#define BUILTINS (sizeof builtins / sizeof builtins[0])

/* What the work of one file needs. */
struct reader {
    struct timing_params *p;
    machine_fact_fn *fn; /* or NULL */
    void *arg;
    lua_Integer row[COST_CLASS_COUNT]; /* of the list of classes that names it; 0: none so far */
};

/* Where a value is from. The table keeps the texts alive. */
struct origin {
    const char *tag, *source;
};

static void tell(const struct reader *r, const char *key, const char *value, const struct origin *from)
{
    if (r->fn) {
        r->fn(r->arg, &(struct machine_fact){key, value, from->tag, from->source});
    }
}

static void tell_number(const struct reader *r, const char *key, uint32_t value, const struct origin *from)
{
    char text[16];
    snprintf(text, sizeof text, "%u", value);
    tell(r, key, text, from);
}

/* ---- pieces ---- */

static void push_field(lua_State *lua, int table, const char *name)
{
    table = lua_absindex(lua, table);
    lua_pushstring(lua, name);
    lua_rawget(lua, table);
}

static bool in_list(const char *const *list, const char *word)
{
    for (; *list; list++) {
        if (strcmp(*list, word) == 0) {
            return true;
        }
    }
    return false;
}

/* Every key of the table must be a name of the list (NULL: any name), or one of the numbers 1 to numbers. Of several others
 * the first in byte order is told: the table's own order is no order. */
static void check_keys(lua_State *lua, int table, const char *what, const char *const *names,
                       lua_Integer numbers)
{
    const char *unknown = NULL;
    bool other = false;
    table = lua_absindex(lua, table);
    lua_pushnil(lua);
    while (lua_next(lua, table)) {
        lua_pop(lua, 1);
        if (lua_type(lua, -1) == LUA_TSTRING) {
            const char *key = lua_tostring(lua, -1);
            bool known = !names || in_list(names, key);
            unknown = known || (unknown && strcmp(unknown, key) <= 0) ? unknown : key;
        } else {
            other = other || !lua_isinteger(lua, -1) || lua_tointeger(lua, -1) < 1 ||
                    lua_tointeger(lua, -1) > numbers;
        }
    }
    if (unknown) {
        luaL_error(lua, "%s: there is no '%s'", what, unknown);
    }
    if (other) {
        luaL_error(lua, numbers ? "%s: more values than it has" : "%s: a value without a name", what);
    }
}

/* The field becomes the top of the stack. */
static void push_table(lua_State *lua, int table, const char *name)
{
    push_field(lua, table, name);
    if (!lua_istable(lua, -1)) {
        luaL_error(lua, lua_isnil(lua, -1) ? "%s is missing" : "%s is no table", name);
    }
}

/* A text of one line, at the place given, that is not empty. */
static const char *line_of(lua_State *lua, int index, const char *what, const char *part)
{
    size_t size = 0;
    const char *text = lua_type(lua, index) == LUA_TSTRING ? lua_tolstring(lua, index, &size) : "";
    bool good = size > 0 && size <= SOURCE_BYTES_MAX && text[0] != ' ';
    for (size_t i = 0; good && i < size; i++) {
        good = (unsigned char)text[i] >= ' ' && text[i] != 0x7f;
    }
    if (!good) {
        luaL_error(lua, "%s: %s must be a text of one line, not empty, at most %d bytes", what, part,
                   (int)SOURCE_BYTES_MAX);
    }
    return text;
}

/* Elements first and first + 1 of the table at the top of the stack. */
static struct origin read_origin(lua_State *lua, const char *what, lua_Integer first)
{
    static const char *const tags[] = {"measured", "vendor", "llvm", "assumed", NULL};
    struct origin from;
    lua_rawgeti(lua, -1, first);
    from.tag = line_of(lua, -1, what, "the tag");
    if (!in_list(tags, from.tag)) {
        luaL_error(lua, "%s: tag '%s': measured, vendor, llvm or assumed", what, from.tag);
    }
    lua_rawgeti(lua, -2, first + 1);
    from.source = line_of(lua, -1, what, "the source");
    lua_pop(lua, 2);
    return from;
}

/* The value on top of the stack: { value, tag, source }, or, in a row that has them, the value alone. It takes the place of the
 * triple. */
static struct origin open_value(lua_State *lua, const char *what, const struct origin *row)
{
    if (lua_istable(lua, -1)) {
        check_keys(lua, -1, what, (const char *const[]){NULL}, 3);
        struct origin from = read_origin(lua, what, 2);
        lua_rawgeti(lua, -1, 1);
        lua_replace(lua, -2);
        return from;
    }
    if (lua_isnil(lua, -1)) {
        luaL_error(lua, "%s is missing", what);
    }
    if (!row || !row->tag) {
        luaL_error(lua, "%s: { value, tag, source }", what);
    }
    return *row;
}

/* Pops the value. */
static uint32_t read_number(lua_State *lua, const char *what, uint32_t least, uint32_t most,
                            const struct origin *row, struct origin *from)
{
    *from = open_value(lua, what, row);
    if (!lua_isinteger(lua, -1)) {
        luaL_error(lua, "%s must be a whole number, %d to %d", what, (int)least, (int)most);
    }
    lua_Integer v = lua_tointeger(lua, -1);
    if (v < (lua_Integer)least || v > (lua_Integer)most) {
        luaL_error(lua, "%s = %I: %d to %d", what, (LUAI_UACINT)v, (int)least, (int)most);
    }
    lua_pop(lua, 1);
    return (uint32_t)v;
}

/* Small letters, digits, - and _, of which the first is a letter. */
static bool is_name(const char *text)
{
    return text[0] >= 'a' && text[0] <= 'z' && strlen(text) < TIMING_NAME_MAX &&
           strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_-") == strlen(text);
}

static const char *read_name(lua_State *lua, const char *what)
{
    const char *text = line_of(lua, -1, what, "a name");
    if (!is_name(text)) {
        luaL_error(lua, "%s: '%s': a name is small letters, digits, - and _, at most %d", what, text,
                   (int)TIMING_NAME_MAX - 1);
    }
    return text;
}

/* The next word of a text with single spaces between words; size 0: no more. *text moves on. */
static size_t next_word(const char **text, char *word, size_t room)
{
    *text += strspn(*text, " ");
    size_t size = strcspn(*text, " "), kept = size < room ? size : room - 1;
    memcpy(word, *text, kept);
    word[kept] = 0;
    *text += size;
    return size;
}

/* ---- numbers and port groups ---- */

static void read_parameters(lua_State *lua, struct reader *r)
{
    const char *names[TIMING_PARAM_COUNT + 1] = {NULL};
    for (unsigned i = 0; i < TIMING_PARAM_COUNT; i++) {
        names[i] = timing_param_rows[i].name;
    }
    push_table(lua, 2, "parameters");
    check_keys(lua, -1, "parameters", names, 0);
    for (unsigned i = 0; i < TIMING_PARAM_COUNT; i++) {
        const struct timing_param_row *row = &timing_param_rows[i];
        struct origin from;
        push_field(lua, -1, row->name);
        r->p->value[i] = read_number(lua, row->name, row->least, row->most, NULL, &from);
        tell_number(r, row->name, r->p->value[i], &from);
    }
    lua_pop(lua, 1);
}

/* The number of a port group, or -1. */
static int find_port(const struct timing_params *p, const char *name)
{
    for (unsigned g = 0; g < p->port_count; g++) {
        if (strcmp(p->port_name[g], name) == 0) {
            return (int)g;
        }
    }
    return -1;
}

/* Their numbers follow the order of their names. */
static void name_ports(lua_State *lua, struct timing_params *p)
{
    lua_pushnil(lua);
    while (lua_next(lua, -2)) {
        lua_pop(lua, 1);
        const char *name = read_name(lua, "ports");
        if (p->port_count == TIMING_PORTS_MAX) {
            luaL_error(lua, "ports: more than %d groups", (int)TIMING_PORTS_MAX);
        }
        unsigned at = p->port_count++;
        for (; at > 0 && strcmp(p->port_name[at - 1], name) > 0; at--) {
            memcpy(p->port_name[at], p->port_name[at - 1], TIMING_NAME_MAX);
        }
        snprintf(p->port_name[at], TIMING_NAME_MAX, "%s", name);
    }
}

static void read_ports(lua_State *lua, struct reader *r)
{
    struct timing_params *p = r->p;
    push_table(lua, 2, "ports");
    check_keys(lua, -1, "ports", NULL, 0);
    name_ports(lua, p);
    for (unsigned g = 0; g < p->port_count; g++) {
        char key[KEY_BYTES];
        struct origin from;
        snprintf(key, sizeof key, "port.%s", p->port_name[g]);
        push_field(lua, -1, p->port_name[g]);
        p->capacity[g] = (uint8_t)read_number(lua, key, 1, TIMING_CAPACITY_MAX, NULL, &from);
        tell_number(r, key, p->capacity[g], &from);
    }
    lua_pop(lua, 1);
}

/* The set on top of the stack, popped: "alu mul"; "" is none. */
static uint16_t read_port_set(lua_State *lua, const struct reader *r, const char *what,
                              const struct origin *row)
{
    struct origin from = open_value(lua, what, row);
    size_t size = TEXT_BYTES;
    const char *text = lua_type(lua, -1) == LUA_TSTRING ? lua_tolstring(lua, -1, &size) : "";
    if (size >= TEXT_BYTES || strlen(text) != size) {
        luaL_error(lua, "%s must be names of port groups, with spaces between them", what);
    }
    char word[TIMING_NAME_MAX + 1], all[TEXT_BYTES];
    uint16_t set = 0;
    snprintf(all, sizeof all, "%s", text);
    while (next_word(&text, word, sizeof word) > 0) {
        int g = find_port(r->p, word);
        if (g < 0 || (set >> g & 1) != 0) {
            luaL_error(lua, g < 0 ? "%s: there is no port group '%s'" : "%s: '%s' is given twice", what,
                       word);
        }
        set = (uint16_t)(set | 1u << g);
    }
    if (set) {
        tell(r, what, all, &from);
    }
    lua_pop(lua, 1);
    return set;
}

/* ---- classes ---- */

static int find_class(const char *name)
{
    for (int i = 0; i < COST_CLASS_COUNT; i++) {
        if (strcmp(timing_class_names[i], name) == 0) {
            return i;
        }
    }
    return -1;
}

/* Which row is whose. The list is on top of the stack. */
static void find_rows(lua_State *lua, struct reader *r)
{
    lua_Integer count = (lua_Integer)lua_rawlen(lua, -1);
    if (count > (lua_Integer)ROWS_MAX) {
        luaL_error(lua, "classes: more than %d rows", (int)ROWS_MAX);
    }
    check_keys(lua, -1, "classes", (const char *const[]){NULL}, count);
    for (lua_Integer i = 1; i <= count; i++) {
        char word[TIMING_NAME_MAX];
        if (lua_rawgeti(lua, -1, i) != LUA_TTABLE) {
            luaL_error(lua, "classes: row %I is no table", (LUAI_UACINT)i);
        }
        const char *part = lua_pushfstring(lua, "the first of row %I", (LUAI_UACINT)i);
        lua_rawgeti(lua, -2, 1);
        const char *names = line_of(lua, -1, "classes", part);
        lua_pop(lua, 2);
        while (next_word(&names, word, sizeof word) > 0) {
            int c = find_class(word);
            if (c < 0 || r->row[c] != 0) {
                luaL_error(lua, c < 0 ? "classes: there is no '%s'" : "class %s is given twice", word);
            }
            r->row[c] = i;
        }
        lua_pop(lua, 1);
    }
}

/* The unit of this name, which is a new one when it is the first time. */
static uint8_t find_unit(lua_State *lua, struct timing_params *p, const char *name)
{
    for (unsigned u = 0; u < p->unit_count; u++) {
        if (strcmp(p->unit_name[u], name) == 0) {
            return (uint8_t)u;
        }
    }
    if (p->unit_count == TIMING_UNITS_MAX) {
        luaL_error(lua, "unit %s: more than %d units", name, (int)TIMING_UNITS_MAX);
    }
    snprintf(p->unit_name[p->unit_count], TIMING_NAME_MAX, "%s", name);
    return (uint8_t)p->unit_count++;
}

static bool has_field(lua_State *lua, const char *name)
{
    push_field(lua, -1, name);
    bool has = !lua_isnil(lua, -1);
    lua_pop(lua, 1);
    return has;
}

static bool has_element(lua_State *lua, lua_Integer i)
{
    bool has = lua_rawgeti(lua, -1, i) != LUA_TNIL;
    lua_pop(lua, 1);
    return has;
}

/* The unit and for how long: both or neither. The row is on top of the stack. */
static void read_unit(lua_State *lua, struct reader *r, struct timing_class *c, const char *prefix,
                      const struct origin *row)
{
    char key[KEY_BYTES];
    struct origin from;
    c->unit = TIMING_UNIT_NONE;
    if (!has_field(lua, "unit") && !has_field(lua, "occupy")) {
        return;
    }
    snprintf(key, sizeof key, "%s.unit", prefix);
    push_field(lua, -1, "unit");
    from = open_value(lua, key, row);
    const char *name = read_name(lua, key);
    c->unit = find_unit(lua, r->p, name);
    tell(r, key, name, &from);
    lua_pop(lua, 1);
    snprintf(key, sizeof key, "%s.occupy", prefix);
    push_field(lua, -1, "occupy");
    c->occupy = (uint16_t)read_number(lua, key, 1, TIMING_LATENCY_MAX, row, &from);
    tell_number(r, key, c->occupy, &from);
}

/* What a class of this kind must not have. */
static void check_kind(lua_State *lua, unsigned kind, const char *prefix)
{
    static const char *const fields[] = {"latency", "ports", "unit", "occupy"};
    bool pipelined = kind == TIMING_PIPE || kind == TIMING_VECTOR;
    bool stage = kind != TIMING_NONE && kind != TIMING_MOVES;
    for (unsigned i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        if (!(i == 0 ? stage : pipelined) && has_field(lua, fields[i])) {
            luaL_error(lua, "%s: classes of this kind have no %s", prefix, fields[i]);
        }
    }
}

/* The row is on top of the stack. */
static void read_class(lua_State *lua, struct reader *r, unsigned i)
{
    static const char *const fields[] = {"ops", "latency", "ports", "unit", "occupy", NULL};
    char prefix[KEY_BYTES / 2], key[KEY_BYTES];
    unsigned kind = timing_class_kinds[i];
    struct timing_class *c = &r->p->classes[i];
    struct origin row = {NULL, NULL}, from;
    snprintf(prefix, sizeof prefix, "class.%s", timing_class_names[i]);
    check_keys(lua, -1, prefix, fields, 3);
    if (has_element(lua, 2) || has_element(lua, 3)) {
        row = read_origin(lua, prefix, 2);
    }
    check_kind(lua, kind, prefix);
    snprintf(key, sizeof key, "%s.ops", prefix);
    push_field(lua, -1, "ops");
    c->ops = (uint8_t)read_number(lua, key, 1, TIMING_OPS_MAX, &row, &from);
    tell_number(r, key, c->ops, &from);
    if (kind != TIMING_NONE && kind != TIMING_MOVES) {
        snprintf(key, sizeof key, "%s.latency", prefix);
        push_field(lua, -1, "latency");
        c->latency = (uint16_t)read_number(lua, key, 0, TIMING_LATENCY_MAX, &row, &from);
        tell_number(r, key, c->latency, &from);
    }
    if (kind == TIMING_PIPE || kind == TIMING_VECTOR) {
        snprintf(key, sizeof key, "%s.ports", prefix);
        push_field(lua, -1, "ports");
        c->ports = read_port_set(lua, r, key, &row);
    }
    read_unit(lua, r, c, prefix, &row);
}

static void read_classes(lua_State *lua, struct reader *r)
{
    push_table(lua, 2, "classes");
    find_rows(lua, r);
    for (unsigned i = 0; i < COST_CLASS_COUNT; i++) {
        if (r->row[i] == 0) {
            luaL_error(lua, "class %s is missing", timing_class_names[i]);
        }
        lua_rawgeti(lua, -1, r->row[i]);
        read_class(lua, r, i);
        lua_pop(lua, 1);
    }
    lua_pop(lua, 1);
}

/* ---- the file ---- */

/* Arguments: the reader, the table. */
static int read_table(lua_State *lua)
{
    static const char *const fields[] = {"name",       "about",       "parameters", "ports",
                                         "load_ports", "store_ports", "classes",    NULL};
    struct reader *r = lua_touserdata(lua, 1);
    if (!lua_istable(lua, 2)) {
        return luaL_error(lua, "a machine file returns a table");
    }
    *r->p = (struct timing_params){.port_count = 0};
    check_keys(lua, 2, "the machine", fields, 0);
    push_field(lua, 2, "name");
    const char *name = read_name(lua, "name");
    if (strcmp(name, SIM_MACHINE_FLAT) == 0) {
        return luaL_error(lua, "name: '%s' is the machine without a file", name);
    }
    snprintf(r->p->name, TIMING_NAME_MAX, "%s", name);
    push_field(lua, 2, "about");
    struct origin about = {"", line_of(lua, -1, "about", "it")};
    tell(r, "machine", name, &about);
    read_parameters(lua, r);
    read_ports(lua, r);
    push_field(lua, 2, "load_ports");
    r->p->load_ports = read_port_set(lua, r, "load_ports", NULL);
    push_field(lua, 2, "store_ports");
    r->p->store_ports = read_port_set(lua, r, "store_ports", NULL);
    read_classes(lua, r);
    return 0;
}

/* Text that came from a file, in a message, is one line. */
static bool complain(struct error *e, const char *name, const char *text)
{
    struct error line;
    error_set(&line, "%s: %s", name, text);
    for (char *c = line.text; *c; c++) {
        *c = (unsigned char)*c < ' ' || *c == 0x7f ? '?' : *c;
    }
    return error_set(e, "%s", line.text);
}

/* Nothing that could be heard or seen outside. */
static void leave_plain_lua(lua_State *lua)
{
    static const char *const removed[] = {"print", "require", "load"};
    for (size_t i = 0; i < sizeof removed / sizeof removed[0]; i++) {
        lua_pushnil(lua);
        lua_setglobal(lua, removed[i]);
    }
}

/* The function on the stack is the file. */
static bool run_file(struct sandbox *s, struct reader *r, const char *name, struct error *e)
{
    lua_State *lua = s->lua;
    leave_plain_lua(lua);
    bool ok = lua_pcall(lua, 0, 1, 0) == LUA_OK;
    if (ok) {
        lua_pushcfunction(lua, read_table);
        lua_pushlightuserdata(lua, r);
        lua_rotate(lua, 1, 2);
        ok = lua_pcall(lua, 2, 0, 0) == LUA_OK;
    }
    const char *text =
        ok || lua_type(lua, -1) != LUA_TSTRING ? "an error that is no text" : lua_tostring(lua, -1);
    return ok || complain(e, name, sandbox_is_exhausted(s) ? "the file runs for too long" : text);
}

bool machine_file_parse(const char *name, const char *text, size_t size, struct timing_params *out,
                        machine_fact_fn *fn, void *arg, struct error *e)
{
    struct sandbox s;
    struct error why;
    struct reader r = {.p = out, .fn = fn, .arg = arg};
    if (!sandbox_init(&s, name, 0, e)) {
        return false;
    }
    s.budget_instructions = INSTRUCTIONS;
    bool ok = sandbox_load(&s, "=line", text, size, &why) && machine_scan(text, size, &why);
    ok = ok ? run_file(&s, &r, name, e) : complain(e, name, why.text);
    sandbox_deinit(&s);
    return ok && (timing_params_check(out, &why) || complain(e, name, why.text));
}

bool machine_file_is_path(const char *name)
{
    size_t size = strlen(name);
    return strchr(name, '/') || (size > 4 && strcmp(name + size - 4, ".lua") == 0);
}

const char *machine_file_builtin(unsigned n)
{
    return n < BUILTINS ? builtins[n].name : NULL;
}

static bool unknown_machine(const char *name, struct error *e)
{
    char all[256] = SIM_MACHINE_FLAT;
    for (size_t i = 0; i < BUILTINS; i++) {
        strncat(all, ", ", sizeof all - strlen(all) - 1);
        strncat(all, builtins[i].name, sizeof all - strlen(all) - 1);
    }
    struct error why;
    char what[TIMING_NAME_MAX + 16];
    error_set(&why, "there is none of this name: %s, or a file (with a / or .lua)", all);
    snprintf(what, sizeof what, "machine '%.*s'", (int)TIMING_NAME_MAX, name);
    return complain(e, what, why.text);
}

static bool read_builtin(const char *name, struct timing_params *out, machine_fact_fn *fn, void *arg,
                         struct error *e)
{
    for (size_t i = 0; i < BUILTINS; i++) {
        if (strcmp(builtins[i].name, name) == 0) {
            return machine_file_parse(name, (const char *)builtins[i].text, builtins[i].size, out, fn, arg,
                                      e);
        }
    }
    return unknown_machine(name, e);
}

static bool read_any(const char *name, struct timing_params *out, machine_fact_fn *fn, void *arg,
                     struct error *e)
{
    struct file_bytes file;
    if (!machine_file_is_path(name)) {
        return read_builtin(name, out, fn, arg, e);
    }
    if (!file_read(name, FILE_BYTES_MAX, &file, e)) {
        return false;
    }
    bool ok = machine_file_parse(name, (const char *)file.bytes, file.size, out, fn, arg, e);
    file_free(&file);
    return ok;
}

bool machine_file_read(const char *name, struct timing_params *out, struct error *e)
{
    return read_any(name, out, NULL, NULL, e);
}

bool machine_file_tell(const char *name, machine_fact_fn *fn, void *arg, struct error *e)
{
    struct timing_params params;
    return read_any(name, &params, NULL, NULL, e) && read_any(name, &params, fn, arg, e);
}

bool machine_file_resolve(struct sim_config *c, struct timing_params *room, struct error *e)
{
    c->timing = NULL;
    if (c->machine && c->engine == ENGINE_FAST) {
        if (sim_config_given(c, PARAMETER_ENGINE)) {
            return error_set(e, "machine %s: the fast engine has no use for one; engine timed has",
                             c->machine);
        }
        c->engine = ENGINE_TIMED;
    }
    if (c->engine == ENGINE_FAST) {
        return true;
    }
    c->machine = c->machine ? c->machine : MACHINE_DEFAULT;
    if (strcmp(c->machine, SIM_MACHINE_FLAT) == 0) {
        return true;
    }
    c->timing = room;
    return machine_file_read(c->machine, room, e);
}
