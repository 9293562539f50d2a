/* Typed guest memory in Lua. Addresses are read through vCPU 0's page tables, without side effects. */

#include "script/place.h"

#include "base/bits.h"
#include "script/binding.h"
#include "script/position.h"
#include "script/sandbox.h"

#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

#define PLACE_TYPE       "orrery.place"
#define SYMBOLS_TYPE     "orrery.symbols"
#define STRING_MAX_BYTES 4096u

struct guest {
    struct sim *machine;
    struct symbols *symbols;
};

struct lua_place {
    struct guest guest;
    struct place place;
};

static struct guest *check_guest(lua_State *lua)
{
    struct guest *g = luaL_checkudata(lua, 1, SYMBOLS_TYPE);
    if (!g->symbols) {
        position_error(lua, "sym: the kernel's file has no symbols that could be read");
    }
    return g;
}

static void read_bytes(lua_State *lua, const struct guest *g, uint64_t address, void *bytes, size_t size)
{
    if (!sim_read_linear(g->machine, 0, lin(address), bytes, size)) {
        char text[24];
        snprintf(text, sizeof text, "0x%llx", (unsigned long long)address);
        position_error(lua, "sym: guest memory at %s is not mapped on cpu 0", text);
    }
}

static uint64_t read_integer(lua_State *lua, const struct guest *g, const struct place *p)
{
    uint8_t bytes[9] = {0};
    unsigned bits = p->bit_size ? p->bit_size : (unsigned)(8 * p->size_bytes);
    size_t size = p->bit_size ? (p->bit_offset + p->bit_size + 7) / 8 : p->size_bytes;
    read_bytes(lua, g, p->address, bytes, size);
    uint64_t v = load_le64(bytes);
    if (p->bit_offset) {
        v = v >> p->bit_offset | (uint64_t)bytes[8] << (64 - p->bit_offset);
    }
    return p->is_signed ? bits_sext(v, bits) : v & bits_mask(bits);
}

static void push_place(lua_State *lua, const struct guest *g, const struct place *p)
{
    if (p->kind == TYPE_INTEGER) {
        lua_pushinteger(lua, (lua_Integer)read_integer(lua, g, p));
        return;
    }
    struct lua_place *l = lua_newuserdatauv(lua, sizeof *l, 0);
    *l = (struct lua_place){*g, *p};
    luaL_setmetatable(lua, PLACE_TYPE);
}

/* Follows a pointer until the place is none; false for pointers that lead nowhere. */
static bool follow(lua_State *lua, const struct guest *g, struct place *p)
{
    if (p->kind != TYPE_POINTER) {
        return true;
    }
    uint8_t bytes[8];
    struct place target;
    read_bytes(lua, g, p->address, bytes, sizeof bytes);
    if (load_le64(bytes) == 0) {
        return position_error(lua, "sym: null pointer followed");
    }
    if (!place_target(g->symbols, p, load_le64(bytes), &target)) {
        return false;
    }
    *p = target;
    return true;
}

static int index_element(lua_State *lua, const struct lua_place *l)
{
    struct place out, base = l->place;
    binding_need(lua, 2, "integer", "sym: an index");
    lua_Integer index = lua_tointeger(lua, 2);
    if (base.kind == TYPE_POINTER && follow(lua, &l->guest, &base)) {
        out = base;
        out.address += (uint64_t)index * base.size_bytes;
    } else if (base.kind != TYPE_ARRAY) {
        return position_error(lua, "sym: only an array or a pointer has elements");
    } else if (index < 0 || !place_element(&base, (uint64_t)index, &out)) {
        return position_error(lua, "sym: index %I of an array of %I elements", (LUAI_UACINT)index,
                              (LUAI_UACINT)place_count(&base));
    }
    push_place(lua, &l->guest, &out);
    return 1;
}

static bool is_place(lua_State *lua, int index)
{
    return luaL_testudata(lua, index, PLACE_TYPE) != NULL;
}

static void check_pointer(lua_State *lua, const struct lua_place *l)
{
    if (l->place.kind != TYPE_POINTER) {
        binding_error(lua, "only a pointer has one");
    }
}

static int place_address(lua_State *lua)
{
    struct lua_place *l = lua_touserdata(lua, 1);
    lua_pushinteger(lua, (lua_Integer)l->place.address);
    return 1;
}

/* The value of a pointer. */
static int place_value(lua_State *lua)
{
    struct lua_place *l = lua_touserdata(lua, 1);
    uint8_t bytes[8];
    check_pointer(lua, l);
    read_bytes(lua, &l->guest, l->place.address, bytes, sizeof bytes);
    lua_pushinteger(lua, (lua_Integer)load_le64(bytes));
    return 1;
}

/* What a pointer points at, or nil for a null pointer. */
static int place_deref(lua_State *lua)
{
    struct lua_place *l = lua_touserdata(lua, 1);
    uint8_t bytes[8];
    struct place target;
    check_pointer(lua, l);
    read_bytes(lua, &l->guest, l->place.address, bytes, sizeof bytes);
    if (load_le64(bytes) == 0) {
        lua_pushnil(lua);
    } else if (place_target(l->guest.symbols, &l->place, load_le64(bytes), &target)) {
        push_place(lua, &l->guest, &target);
    } else {
        return position_error(lua, "sym: a pointer to void or to a function has no target type");
    }
    return 1;
}

/* The text of a char array or of what a char pointer points at, up to its zero byte. */
static int place_string(lua_State *lua)
{
    struct lua_place *l = lua_touserdata(lua, 1);
    struct place p = l->place;
    uint64_t max = p.kind == TYPE_ARRAY ? place_count(&p) : STRING_MAX_BYTES;
    if ((p.kind != TYPE_ARRAY && p.kind != TYPE_POINTER) || !follow(lua, &l->guest, &p)) {
        return binding_error(lua, "only a char array or a char pointer has one");
    }
    luaL_Buffer text;
    luaL_buffinit(lua, &text);
    for (uint64_t i = 0; i < max && i < STRING_MAX_BYTES; i++) {
        char c;
        read_bytes(lua, &l->guest, p.address + i, &c, 1);
        if (c == 0) {
            break;
        }
        luaL_addchar(&text, c);
    }
    luaL_pushresult(&text);
    return 1;
}

static int place_length(lua_State *lua)
{
    struct lua_place *l = lua_touserdata(lua, 1);
    if (l->place.kind != TYPE_ARRAY) {
        return position_error(lua, "sym: only an array has a length");
    }
    lua_pushinteger(lua, (lua_Integer)place_count(&l->place));
    return 1;
}

/* Of a struct itself, not of what a pointer leads to: layout is asked where there need be no memory. */
static void check_member(lua_State *lua, const struct lua_place *l, struct place *out)
{
    if (l->place.kind != TYPE_STRUCT || !place_member(&l->place, lua_tostring(lua, 2), out)) {
        binding_error(lua, "only a struct has one, of a member of it");
    }
}

static int place_offsetof(lua_State *lua)
{
    struct lua_place *l = lua_touserdata(lua, 1);
    struct place member;
    check_member(lua, l, &member);
    lua_pushinteger(lua, (lua_Integer)(member.address - l->place.address));
    return 1;
}

static int place_sizeof(lua_State *lua)
{
    struct lua_place *l = lua_touserdata(lua, 1);
    struct place p = l->place;
    if (!lua_isnoneornil(lua, 2)) {
        check_member(lua, l, &p);
    }
    lua_pushinteger(lua, (lua_Integer)p.size_bytes);
    return 1;
}

/* Member names of a struct, in order. */
static int place_members(lua_State *lua)
{
    struct lua_place *l = lua_touserdata(lua, 1);
    struct place p = l->place;
    lua_newtable(lua);
    if (follow(lua, &l->guest, &p)) {
        const char *name;
        for (unsigned n = 0; (name = place_member_name(&p, n)); n++) {
            lua_pushstring(lua, name);
            lua_rawseti(lua, -2, (lua_Integer)n + 1);
        }
    }
    return 1;
}

static const struct binding place_methods[] = {
#define PLACE(name, function, signature, help) {name, function, signature},
#include "script/place.def"
#undef PLACE
    {NULL, NULL, NULL},
};

static const struct binding_class place_class = {"place", is_place};

/* A member of a struct, or of the struct that a pointer leads to; a pointer is only followed when there is such a member. */
static bool find_member(lua_State *lua, const struct lua_place *l, const char *name, struct place *out)
{
    struct place p = l->place, typed;
    if (p.kind != TYPE_POINTER) {
        return p.kind == TYPE_STRUCT && place_member(&p, name, out);
    }
    return place_target(l->guest.symbols, &p, 0, &typed) && place_member(&typed, name, out) &&
           follow(lua, &l->guest, &p) && place_member(&p, name, out);
}

/* Members of the guest's struct go before methods of the same name, so that every field can be reached. */
static int place_index(lua_State *lua)
{
    struct lua_place *l = lua_touserdata(lua, 1);
    if (lua_type(lua, 2) == LUA_TNUMBER) {
        return index_element(lua, l);
    }
    binding_need(lua, 2, "string", "sym: a member's name");
    const char *name = lua_tostring(lua, 2);
    struct place member;
    if (find_member(lua, l, name, &member)) {
        push_place(lua, &l->guest, &member);
        return 1;
    }
    lua_pushstring(lua, name);
    if (lua_rawget(lua, lua_upvalueindex(1)) == LUA_TNIL) {
        return position_error(lua, "sym: no member '%s' here", name);
    }
    return 1;
}

static int refuse_write(lua_State *lua)
{
    return position_error(lua, "sym: guest memory is only looked at; m:write_physical writes");
}

static int symbols_index(lua_State *lua)
{
    struct guest *g = check_guest(lua);
    binding_need(lua, 2, "string", "sym: a name");
    const char *name = lua_tostring(lua, 2);
    struct place p;
    int64_t value;
    if (symbols_variable(g->symbols, name, &p)) {
        push_place(lua, g, &p);
    } else if (symbols_enumerator(g->symbols, name, &value)) {
        lua_pushinteger(lua, value);
    } else {
        return position_error(lua, "sym: the kernel has no variable or enumerator '%s'", name);
    }
    return 1;
}

/* m.sym("frame_zone", address): a place of a named type. */
static int symbols_call(lua_State *lua)
{
    struct guest *g = check_guest(lua);
    struct place p;
    binding_need(lua, 2, "string", "sym(type, address): type");
    binding_need(lua, 3, "integer", "sym(type, address): address");
    const char *type = lua_tostring(lua, 2);
    if (!symbols_type_at(g->symbols, type, (uint64_t)lua_tointeger(lua, 3), &p)) {
        return position_error(lua, "sym: the kernel has no type '%s'", type);
    }
    push_place(lua, g, &p);
    return 1;
}

/* Keeps the metatable on top from scenarios (it is the same for all machines), and guest memory from assignments. */
static void protect(lua_State *lua)
{
    lua_pushcfunction(lua, refuse_write);
    lua_setfield(lua, -2, "__newindex");
    lua_pushboolean(lua, 0);
    lua_setfield(lua, -2, "__metatable");
}

void place_open(lua_State *lua)
{
    luaL_newmetatable(lua, PLACE_TYPE);
    lua_newtable(lua);
    binding_register(lua, &place_class, place_methods);
    lua_pushcclosure(lua, place_index, 1);
    lua_setfield(lua, -2, "__index");
    lua_pushcfunction(lua, place_length);
    lua_setfield(lua, -2, "__len");
    protect(lua);
    luaL_newmetatable(lua, SYMBOLS_TYPE);
    lua_pushcfunction(lua, symbols_index);
    lua_setfield(lua, -2, "__index");
    lua_pushcfunction(lua, symbols_call);
    lua_setfield(lua, -2, "__call");
    protect(lua);
    lua_pop(lua, 2);
}

void place_push_symbols(lua_State *lua, struct sim *machine, struct symbols *symbols)
{
    struct guest *g = lua_newuserdatauv(lua, sizeof *g, 0);
    *g = (struct guest){machine, symbols};
    luaL_setmetatable(lua, SYMBOLS_TYPE);
}
