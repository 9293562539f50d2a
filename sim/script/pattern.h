#ifndef ORRERY_SCRIPT_PATTERN_H
#define ORRERY_SCRIPT_PATTERN_H

/* Lua patterns, with every step charged to the sandbox's budget. */

#include "script/sandbox.h"

#include <stdbool.h>
#include <stddef.h>

#define PATTERN_CAPTURES_MAX 32u
#define CAPTURE_OPEN         (-1) /* its end has not been matched */
#define CAPTURE_POSITION     (-2) /* "()": it is a number */

struct pattern_capture {
    const char *from;
    ptrdiff_t size; /* bytes, or CAPTURE_OPEN or CAPTURE_POSITION */
};

struct pattern {
    lua_State *lua;
    struct sandbox *sandbox;
    const char *subject, *subject_end; /* Lua strings: a zero byte follows the end */
    const char *end;                   /* of the pattern */
    unsigned capture_count, depth;
    struct pattern_capture captures[PATTERN_CAPTURES_MAX];
};

/* subject and text stay the caller's and must outlive p. */
void pattern_init(struct pattern *p, lua_State *lua, const char *subject, size_t subject_size,
                  const char *text, size_t text_size);

/* Matches the pattern from text on at s, without an anchor: the end of the match, or NULL. Captures of the match are in p.
 * Raises Lua errors: a malformed pattern, one that is too complex, the budget. */
const char *pattern_match(struct pattern *p, const char *s, const char *text);

/* Pushes a capture, counted from 0, of the match [s, e); capture 0 of a pattern without captures is the match. */
void pattern_push_capture(struct pattern *p, unsigned n, const char *s, const char *e);

/* Pushes all captures; if there are none and s is not NULL, the match. Returns how many values. */
int pattern_push_captures(struct pattern *p, const char *s, const char *e);

#endif
