#ifndef ORRERY_SCRIPT_FAILURE_H
#define ORRERY_SCRIPT_FAILURE_H

/*
 * What went wrong in a scenario, as one object: a text of one line, a position, and whether it was expected to be possible
 * (an expectation, something waited for) or is a mistake in the scenario itself. tostring gives "position: text".
 */

#include <lua.h>
#include <stdbool.h>

#define FAILURE_TEXT_BYTES 512u
#define FAILURE_LINE_MIN \
    8u /* the last three characters as escapes of two bytes, half an escape before them, a zero byte */

/* Registers the metatable. */
void failure_open(lua_State *lua);

/* Raises a failure with this text at the scenario's nearest line: an expectation. Does not return. */
int failure_raise(lua_State *lua, const char *text);

/* Makes any error value on top a failure (a mistake, if it is none yet); a message handler may call it. */
void failure_convert(lua_State *lua);

/* Of the failure on top of the stack; the texts live as long as it. */
struct failure {
    const char *text, *position;
    bool expectation;
};

struct failure failure_get(lua_State *lua);

/* Copies text on one line of at most size - 1 bytes: control characters as escapes, the rest cut off with "...". size is
 * FAILURE_LINE_MIN or more, else CHECK fails. */
void failure_one_line(const char *text, size_t text_size, char *out, size_t size);

#endif
