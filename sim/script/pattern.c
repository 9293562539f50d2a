/*
 * Lua patterns. Source: Lua 5.4 Reference Manual, "Patterns"; results and error messages are those of the stock library.
 * A backtracking matcher: an item is a single-character class with its suffix, a capture's parenthesis, or one of %b, %f,
 * %1 and a final $. Backtracking can take a time exponential in the pattern's length, so that each test of a character,
 * each byte of a set and each byte compared costs one step of the sandbox's budget.
 */

#include "script/pattern.h"

#include <ctype.h>
#include <lauxlib.h>
#include <string.h>

#define ESCAPE    '%'
#define DEPTH_MAX 200u

void pattern_init(struct pattern *p, lua_State *lua, const char *subject, size_t subject_size,
                  const char *text, size_t text_size)
{
    p->lua = lua;
    p->sandbox = sandbox_of(lua);
    p->subject = subject;
    p->subject_end = subject + subject_size;
    p->end = text + text_size;
    p->capture_count = 0;
    p->depth = 0;
}

static void charge(const struct pattern *p, size_t steps)
{
    sandbox_spend(p->sandbox, p->lua, steps);
}

/* ---- single characters ---- */

static bool class_has(unsigned char class, unsigned char c)
{
    bool has;
    switch (tolower(class)) {
    case 'a':
        has = isalpha(c);
        break;
    case 'c':
        has = iscntrl(c);
        break;
    case 'd':
        has = isdigit(c);
        break;
    case 'g':
        has = isgraph(c);
        break;
    case 'l':
        has = islower(c);
        break;
    case 'p':
        has = ispunct(c);
        break;
    case 's':
        has = isspace(c);
        break;
    case 'u':
        has = isupper(c);
        break;
    case 'w':
        has = isalnum(c);
        break;
    case 'x':
        has = isxdigit(c);
        break;
    case 'z': /* the zero byte: no longer in the manual, still in the library */
        has = c == 0;
        break;
    default:
        return class == c;
    }
    return has != (isupper(class) != 0);
}

/* The set [at, close], '[' and ']' included. */
static bool set_has(const struct pattern *p, const char *at, const char *close, unsigned char c)
{
    bool wanted = at[1] != '^';
    const char *i = at + (wanted ? 1 : 2);
    while (i < close) {
        charge(p, 1);
        if (*i == ESCAPE) {
            if (class_has((unsigned char)i[1], c)) {
                return wanted;
            }
            i += 2;
        } else if (i[1] == '-' && i + 2 < close) {
            if ((unsigned char)i[0] <= c && c <= (unsigned char)i[2]) {
                return wanted;
            }
            i += 3;
        } else {
            if ((unsigned char)*i == c) {
                return wanted;
            }
            i++;
        }
    }
    return !wanted;
}

/* The end of the single-character class that begins at text, which is not the pattern's end. */
static const char *class_end(const struct pattern *p, const char *text)
{
    const char *at = text + 1;
    if (*text == ESCAPE) {
        if (at == p->end) {
            luaL_error(p->lua, "malformed pattern (ends with '%%')");
        }
        return at + 1;
    }
    if (*text != '[') {
        return at;
    }
    at += *at == '^';
    do { /* the first character of a set is never its end */
        if (at == p->end) {
            luaL_error(p->lua, "malformed pattern (missing ']')");
        }
        at += *at == ESCAPE && at + 1 < p->end ? 2 : 1;
    } while (*at != ']');
    charge(p, (size_t)(at - text));
    return at + 1;
}

/* Does the class [text, end) have the subject's character at s? */
static bool one_matches(const struct pattern *p, const char *s, const char *text, const char *end)
{
    charge(p, 1);
    if (s >= p->subject_end) {
        return false;
    }
    switch (*text) {
    case '.':
        return true;
    case ESCAPE:
        return class_has((unsigned char)text[1], (unsigned char)*s);
    case '[':
        return set_has(p, text, end - 1, (unsigned char)*s);
    default:
        return *text == *s;
    }
}

/* ---- items that need more than one character; each returns where the match goes on, or NULL ---- */

/* %bxy: text is at x. */
static const char *match_balance(const struct pattern *p, const char *s, const char *text)
{
    if (text + 1 >= p->end) {
        luaL_error(p->lua, "malformed pattern (missing arguments to '%%b')");
    }
    if (*s != text[0]) {
        return NULL;
    }
    size_t open = 1;
    for (const char *i = s + 1; i < p->subject_end; i++) {
        charge(p, 1);
        if (*i == text[1]) {
            if (--open == 0) {
                return i + 1;
            }
        } else if (*i == text[0]) {
            open++;
        }
    }
    return NULL;
}

/* %f[set]: text is behind the f; the end of the set goes to *after. */
static bool at_frontier(const struct pattern *p, const char *s, const char *text, const char **after)
{
    if (*text != '[') {
        luaL_error(p->lua, "missing '[' after '%%f' in pattern");
    }
    *after = class_end(p, text);
    char before = s == p->subject ? '\0' : s[-1];
    return !set_has(p, text, *after - 1, (unsigned char)before) &&
           set_has(p, text, *after - 1, (unsigned char)*s);
}

/* %1 to %9: the text of an earlier capture again. */
static const char *match_capture_again(const struct pattern *p, const char *s, char digit)
{
    int n = digit - '1';
    if (n < 0 || n >= (int)p->capture_count || p->captures[n].size == CAPTURE_OPEN) {
        luaL_error(p->lua, "invalid capture index %%%d", n + 1);
    }
    size_t size = (size_t)p->captures[n].size; /* a position capture is longer than any subject */
    if ((size_t)(p->subject_end - s) < size) {
        return NULL;
    }
    charge(p, size);
    return memcmp(p->captures[n].from, s, size) == 0 ? s + size : NULL;
}

static const char *match_here(struct pattern *p, const char *s, const char *text);

static const char *open_capture(struct pattern *p, const char *s, const char *text)
{
    bool position = text[1] == ')';
    if (p->capture_count >= PATTERN_CAPTURES_MAX) {
        luaL_error(p->lua, "too many captures");
    }
    p->captures[p->capture_count++] = (struct pattern_capture){s, position ? CAPTURE_POSITION : CAPTURE_OPEN};
    const char *e = match_here(p, s, text + (position ? 2 : 1));
    p->capture_count -= e == NULL;
    return e;
}

static const char *close_capture(struct pattern *p, const char *s, const char *text)
{
    unsigned n = p->capture_count;
    while (n > 0 && p->captures[n - 1].size != CAPTURE_OPEN) {
        n--;
    }
    if (n == 0) {
        luaL_error(p->lua, "invalid pattern capture");
    }
    struct pattern_capture *c = &p->captures[n - 1];
    c->size = s - c->from;
    const char *e = match_here(p, s, text + 1);
    if (!e) {
        c->size = CAPTURE_OPEN;
    }
    return e;
}

/* The class [text, end) as often as possible from s on, at least up to least, then the rest. */
static const char *match_longest(struct pattern *p, const char *s, const char *text, const char *end,
                                 const char *least)
{
    const char *i = s, *e = NULL;
    while (one_matches(p, i, text, end)) {
        i++;
    }
    for (; !e && i >= least; i--) {
        e = match_here(p, i, end + 1);
    }
    return e;
}

/* The class [text, end) as seldom as possible, then the rest. */
static const char *match_shortest(struct pattern *p, const char *s, const char *text, const char *end)
{
    for (;; s++) {
        const char *e = match_here(p, s, end + 1);
        if (e || !one_matches(p, s, text, end)) {
            return e;
        }
    }
}

/* ---- the items in turn ---- */

/* What an item comes to: the match goes on behind it (s and text moved), or its result is known. */
enum outcome { GO_ON, KNOWN };

/* A single-character class with its suffix. */
static enum outcome match_class(struct pattern *p, const char **s, const char **text, const char **result)
{
    const char *from = *text, *end = class_end(p, from);
    char suffix = end < p->end ? *end : '\0';
    bool one = one_matches(p, *s, from, end);
    *result = NULL;
    if (!one) { /* none is enough for three of the suffixes */
        *text = end + 1;
        return suffix == '*' || suffix == '?' || suffix == '-' ? GO_ON : KNOWN;
    }
    switch (suffix) {
    case '?':
        *result = match_here(p, *s + 1, end + 1);
        *text = end + 1;
        return *result ? KNOWN : GO_ON;
    case '*':
    case '+':
        *result = match_longest(p, *s, from, end, suffix == '*' ? *s : *s + 1);
        return KNOWN;
    case '-':
        *result = match_shortest(p, *s, from, end);
        return KNOWN;
    default:
        ++*s;
        *text = end;
        return GO_ON;
    }
}

static enum outcome go_on_at(const char *where, const char *after, const char **s, const char **text,
                             const char **result)
{
    *result = NULL;
    if (!where) {
        return KNOWN;
    }
    *s = where;
    *text = after;
    return GO_ON;
}

static enum outcome match_item(struct pattern *p, const char **s, const char **text, const char **result)
{
    const char *t = *text, *after = NULL;
    char next = t + 1 < p->end ? t[1] : '\0';
    if (*t == '(' || *t == ')') {
        *result = (*t == '(' ? open_capture : close_capture)(p, *s, t);
        return KNOWN;
    }
    if (*t == '$' && t + 1 == p->end) {
        *result = *s == p->subject_end ? *s : NULL;
        return KNOWN;
    }
    if (*t == ESCAPE && next == 'b') {
        return go_on_at(match_balance(p, *s, t + 2), t + 4, s, text, result);
    }
    if (*t == ESCAPE && next == 'f') {
        bool here = at_frontier(p, *s, t + 2, &after);
        return go_on_at(here ? *s : NULL, after, s, text, result);
    }
    if (*t == ESCAPE && isdigit((unsigned char)next)) {
        return go_on_at(match_capture_again(p, *s, next), t + 2, s, text, result);
    }
    return match_class(p, s, text, result);
}

static const char *match_here(struct pattern *p, const char *s, const char *text)
{
    const char *result = NULL;
    enum outcome o = GO_ON;
    if (++p->depth > DEPTH_MAX) {
        luaL_error(p->lua, "pattern too complex");
    }
    while (o == GO_ON) {
        charge(p, 1);
        if (text == p->end) {
            result = s;
            break;
        }
        o = match_item(p, &s, &text, &result);
    }
    p->depth--;
    return result;
}

const char *pattern_match(struct pattern *p, const char *s, const char *text)
{
    p->capture_count = 0;
    p->depth = 0;
    return match_here(p, s, text);
}

/* ---- captures ---- */

void pattern_push_capture(struct pattern *p, unsigned n, const char *s, const char *e)
{
    if (n >= p->capture_count) {
        if (n != 0) {
            luaL_error(p->lua, "invalid capture index %%%d", (int)n + 1);
        }
        lua_pushlstring(p->lua, s, (size_t)(e - s));
        return;
    }
    const struct pattern_capture *c = &p->captures[n];
    if (c->size == CAPTURE_OPEN) {
        luaL_error(p->lua, "unfinished capture");
    }
    if (c->size == CAPTURE_POSITION) {
        lua_pushinteger(p->lua, c->from - p->subject + 1);
    } else {
        lua_pushlstring(p->lua, c->from, (size_t)c->size);
    }
}

int pattern_push_captures(struct pattern *p, const char *s, const char *e)
{
    unsigned count = p->capture_count == 0 && s ? 1 : p->capture_count;
    luaL_checkstack(p->lua, (int)count, "too many captures");
    for (unsigned n = 0; n < count; n++) {
        pattern_push_capture(p, n, s, e);
    }
    return (int)count;
}
