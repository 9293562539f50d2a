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
    const char
        *signature; /* "(port: integer, text?: string): boolean"; types: binding_need's, and fun(...) */
};

struct binding_class {
    const char *variable; /* what the documentation calls an object: "m" */
    bool (*is_object)(lua_State *lua, int index);
};

/* Adds rows (ended by a name of NULL) to the table on top. Rows and class must outlive the state. A signature of another shape,
 * with a type of another name or more than four arguments, is a CHECK failure. */
void binding_register(lua_State *lua, const struct binding_class *class, const struct binding *rows);

/* Inside such a function: raises "NAME: ARGUMENT must be WANTED, not VALUE" for the argument at index. */
int binding_misuse(lua_State *lua, int index, const char *wanted, ...);

/* Inside such a function: raises "NAME: text". */
int binding_error(lua_State *lua, const char *text);

/* Inside such a function: a whole number of at least 0 and at most max. */
lua_Integer binding_natural(lua_State *lua, int index, lua_Integer max);

/* Checks the value at index: word is integer, natural (0 or more), number, string, boolean, function or table, with '?' when it may
 * be nil; another word is a CHECK failure. Raises "WHAT must be ..., not VALUE". For the first two, 5.0 becomes 5. */
void binding_need(lua_State *lua, int index, const char *word, const char *what);

#endif
