#ifndef ORRERY_SCRIPT_POSITION_H
#define ORRERY_SCRIPT_POSITION_H

/*
 * Where in the scenario something went wrong. A position is "file:line", the file's path from the scenario's folder: where
 * that folder is takes no part in a run, so only what is printed says it (position_print).
 */

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define POSITION_BYTES 600u

/* The position of the frame nearest to a level (0: the running function) that is the scenario's or a module's, not the
 * prelude's. Without one in this coroutine: false, and the scenario's file alone. */
bool position_find(lua_State *lua, int level, char *text, size_t size);

/* Raises "position: text", the position that of position_find, if there is one. Formats as lua_pushfstring. Does not return. */
int position_error(lua_State *lua, const char *format, ...);

/* If text begins with a position and ": ", copies the position (cut to size) and returns what follows; else NULL. */
const char *position_split(lua_State *lua, const char *text, char *position, size_t size);

/* Prints a position as a path that can be opened from where the program was started. */
void position_print(FILE *out, lua_State *lua, const char *position);

/* The text between the brackets of the one expect(...) on the line of position_find's frame, pushed; false (nothing pushed)
 * when there is none, or it is long, or the line is not the main file's. */
bool position_push_expression(lua_State *lua);

#endif
