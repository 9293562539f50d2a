/*
 * Positions in the scenario's files. Source: Lua 5.4 Reference Manual, "The Debug Interface".
 * Deviation: a coroutine whose body is a C function shows the scenario's file without a line; a function that returns the call
 * of another is not among the frames, so that the line is that of its caller.
 */

#include "script/position.h"

#include "script/sandbox.h"

#include <stdarg.h>
#include <string.h>

#define EXPRESSION_MAX 70u

/* The frame of position_find; false when there is none. */
static bool find_frame(lua_State *lua, int level, lua_Debug *ar)
{
    for (; lua_getstack(lua, level, ar); level++) {
        lua_getinfo(lua, "Sl", ar);
        if (ar->currentline > 0 && ar->source[0] == '@' && strcmp(ar->source + 1, SANDBOX_PRELUDE) != 0) {
            return true;
        }
    }
    return false;
}

bool position_find(lua_State *lua, int level, char *text, size_t size)
{
    lua_Debug ar;
    if (!find_frame(lua, level, &ar)) {
        snprintf(text, size, "%s", sandbox_of(lua)->file);
        return false;
    }
    snprintf(text, size, "%.*s:%d", (int)(size - 16), ar.source + 1, ar.currentline);
    return true;
}

int position_error(lua_State *lua, const char *format, ...)
{
    char position[POSITION_BYTES];
    va_list arguments;
    bool known = position_find(lua, 0, position, sizeof position);
    lua_pushfstring(lua, "%s%s", known ? position : "", known ? ": " : "");
    va_start(arguments, format);
    lua_pushvfstring(lua, format, arguments);
    va_end(arguments);
    lua_concat(lua, 2);
    return lua_error(lua);
}

/* The length of the file's name at the beginning of a text, before a ':'; 0: it begins with something else. */
static size_t file_name_size(const struct sandbox *s, const char *text)
{
    size_t own = strlen(s->file), word = strcspn(text, ": \t\n");
    if (strncmp(text, s->file, own) == 0 && text[own] == ':') {
        return own;
    }
    bool module = word > 4 && strncmp(text + word - 4, ".lua", 4) == 0;
    bool prelude = word == strlen(SANDBOX_PRELUDE) && strncmp(text, SANDBOX_PRELUDE, word) == 0;
    return (module || prelude) && text[word] == ':' ? word : 0;
}

const char *position_split(lua_State *lua, const char *text, char *position, size_t size)
{
    size_t file = file_name_size(sandbox_of(lua), text);
    size_t digits = file ? strspn(text + file + 1, "0123456789") : 0;
    const char *end = text + file + 1 + digits;
    if (digits == 0 || strncmp(end, ": ", 2) != 0) {
        return NULL;
    }
    snprintf(position, size, "%.*s", (int)(end - text), text);
    return end + 2;
}

void position_print(FILE *out, lua_State *lua, const char *position)
{
    const struct sandbox *s = sandbox_of(lua);
    size_t shipped = strlen(SANDBOX_SHIPPED);
    if (strncmp(position, SANDBOX_SHIPPED, shipped) == 0) {
        fprintf(out, "%s/scenarios/%s", s->home, position + shipped);
    } else {
        fprintf(out, "%s%s", s->prefix, position);
    }
}

/* The line of the main file, from its text; NULL when there is none. */
static const char *line_of(const struct sandbox *s, int number, size_t *size)
{
    const char *at = s->text, *end = s->text + s->text_size;
    for (; at && --number; at = at ? at + 1 : NULL) {
        at = memchr(at, '\n', (size_t)(end - at));
    }
    if (!at) {
        return NULL;
    }
    const char *stop = memchr(at, '\n', (size_t)(end - at));
    *size = (size_t)((stop ? stop : end) - at);
    return at;
}

static const char *find_word(const char *at, const char *end, const char *word)
{
    size_t size = strlen(word);
    for (; (size_t)(end - at) >= size; at++) {
        if (memcmp(at, word, size) == 0) {
            return at;
        }
    }
    return NULL;
}

/* The bracket that closes the one before at; brackets in strings count like any other. */
static const char *find_close(const char *at, const char *end)
{
    unsigned depth = 1;
    for (; at < end; at++) {
        depth += *at == '(';
        depth -= *at == ')';
        if (depth == 0) {
            return at;
        }
    }
    return NULL;
}

bool position_push_expression(lua_State *lua)
{
    static const char word[] = "expect(";
    const struct sandbox *s = sandbox_of(lua);
    lua_Debug ar;
    size_t size;
    if (!s->text || !find_frame(lua, 0, &ar) || strcmp(ar.source + 1, s->file) != 0) {
        return false;
    }
    const char *line = line_of(s, ar.currentline, &size);
    const char *from = line ? find_word(line, line + size, word) : NULL;
    if (!from) {
        return false;
    }
    from += sizeof word - 1;
    const char *to = find_close(from, line + size);
    if (!to || to == from || to - from > (ptrdiff_t)EXPRESSION_MAX || find_word(from, line + size, word)) {
        return false;
    }
    lua_pushlstring(lua, from, (size_t)(to - from));
    return true;
}
