#ifndef ORRERY_SCRIPT_BINDING_H
#define ORRERY_SCRIPT_BINDING_H

/*
 * Methods that scenarios call. A row's signature, in the editors' notation, is also what is checked: before the function runs,
 * it has its object at 1 and arguments of the right types behind it, optional ones perhaps nil.
 */

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

struct binding {
    const char *name;
    lua_CFunction function;
    const char *signature; /* "(port: integer, text?: string): boolean"; types: integer, string, fun(...) */
};

struct binding_class {
    const char *variable; /* what the documentation calls an object: "m" */
    bool (*is_object)(lua_State *lua, int index);
};

/* Adds rows (ended by a name of NULL) to the table on top. Rows and class must outlive the state. */
void binding_register(lua_State *lua, const struct binding_class *class, const struct binding *rows);

/* Inside such a function: raises "NAME: ARGUMENT must be WANTED, not VALUE" for the argument at index. */
int binding_misuse(lua_State *lua, int index, const char *wanted, ...);

/* Inside such a function: raises "NAME: text". */
int binding_error(lua_State *lua, const char *text);

/* Inside such a function: a whole number of at least 0 and at most max. */
lua_Integer binding_natural(lua_State *lua, int index, lua_Integer max);

/* Checks the value at index: kind is integer, natural, number, string, function, table, boolean or any, with '?' when it may be nil.
 * Raises "WHAT must be ..., not VALUE". A number that is whole becomes an integer. */
void binding_need(lua_State *lua, int index, const char *kind, const char *what);

#endif
