/*
 * Keys that are given twice in one table constructor. Source: Lua 5.4 Reference Manual, "Lexical Conventions" and "Table
 * Constructors". Only as much of Lua is known here as that takes: strings, comments, words, braces.
 * Deviations: a function inside a table whose body assigns to one name after two semicolons is refused, too.
 */

#include "script/machine_scan.h"

#include <ctype.h>
#include <string.h>

#define KEYS_MAX  512u /* of all tables that are open at a place */
#define DEPTH_MAX 16u

struct word {
    const char *at;
    size_t size;
};

struct scan {
    const char *at, *end;
    unsigned line;
    char before; /* the last token's last character, a letter for every word; 0: none */
    struct word keys[KEYS_MAX];
    unsigned key_count;
    unsigned first[DEPTH_MAX]; /* of each open table: its first key */
    unsigned depth;
};

static char peek(const struct scan *s, size_t ahead)
{
    return (size_t)(s->end - s->at) > ahead ? s->at[ahead] : 0;
}

static void skip(struct scan *s, size_t size)
{
    for (; size > 0 && s->at < s->end; size--) {
        s->line += *s->at++ == '\n';
    }
}

/* The level of a long bracket that opens here, plus 1; 0: none does. */
static size_t long_bracket(const struct scan *s)
{
    size_t level = 0;
    if (peek(s, 0) != '[') {
        return 0;
    }
    while (peek(s, 1 + level) == '=') {
        level++;
    }
    return peek(s, 1 + level) == '[' ? level + 1 : 0;
}

/* Past the end of a long bracket, or of the text. */
static void skip_long(struct scan *s, size_t level)
{
    skip(s, level + 1);
    while (s->at < s->end) {
        size_t equals = 0;
        if (peek(s, 0) == ']') {
            while (peek(s, 1 + equals) == '=') {
                equals++;
            }
            if (equals + 1 == level && peek(s, 1 + equals) == ']') {
                skip(s, level + 1);
                return;
            }
        }
        skip(s, 1);
    }
}

static void skip_comment(struct scan *s)
{
    skip(s, 2);
    size_t level = long_bracket(s);
    if (level) {
        skip_long(s, level);
        return;
    }
    while (s->at < s->end && *s->at != '\n') {
        skip(s, 1);
    }
}

static void skip_string(struct scan *s)
{
    char quote = *s->at;
    skip(s, 1);
    while (s->at < s->end && *s->at != quote) {
        skip(s, *s->at == '\\' ? 2 : 1);
    }
    skip(s, 1);
}

static void skip_space(struct scan *s)
{
    for (;;) {
        if (s->at < s->end && isspace((unsigned char)*s->at)) {
            skip(s, 1);
        } else if (peek(s, 0) == '-' && peek(s, 1) == '-') {
            skip_comment(s);
        } else {
            return;
        }
    }
}

static bool opens_field(const struct scan *s)
{
    return s->depth > 0 && (s->before == '{' || s->before == ',' || s->before == ';');
}

static bool add_key(struct scan *s, struct word key, struct error *e)
{
    for (unsigned i = s->first[s->depth - 1]; i < s->key_count; i++) {
        if (s->keys[i].size == key.size && memcmp(s->keys[i].at, key.at, key.size) == 0) {
            return error_set(e, "line %u: %.*s is given twice", s->line, (int)(key.size < 60 ? key.size : 60),
                             key.at);
        }
    }
    if (s->key_count == KEYS_MAX) {
        return error_set(e, "line %u: more than %u names in a table", s->line, KEYS_MAX);
    }
    s->keys[s->key_count++] = key;
    return true;
}

/* A word or a number. */
static bool take_word(struct scan *s, struct error *e)
{
    struct word w = {s->at, 0};
    bool field = opens_field(s);
    while (isalnum((unsigned char)peek(s, 0)) || peek(s, 0) == '_') {
        skip(s, 1);
        w.size++;
    }
    s->before = 'a';
    skip_space(s);
    bool key = field && peek(s, 0) == '=' && peek(s, 1) != '=';
    return !key || add_key(s, w, e);
}

static bool take_brace(struct scan *s, struct error *e)
{
    if (*s->at == '{') {
        if (s->depth == DEPTH_MAX) {
            return error_set(e, "line %u: tables in tables, more than %u deep", s->line, DEPTH_MAX);
        }
        s->first[s->depth++] = s->key_count;
    } else if (s->depth > 0) {
        s->key_count = s->first[--s->depth];
    }
    s->before = *s->at;
    skip(s, 1);
    return true;
}

static bool take_token(struct scan *s, struct error *e)
{
    char c = *s->at;
    size_t level = long_bracket(s);
    if (isalnum((unsigned char)c) || c == '_') {
        return take_word(s, e);
    }
    if (c == '{' || c == '}') {
        return take_brace(s, e);
    }
    if (c == '"' || c == '\'' || level) {
        if (level) {
            skip_long(s, level);
        } else {
            skip_string(s);
        }
        s->before = 'a';
        return true;
    }
    if (c == '[' && opens_field(s)) {
        return error_set(e, "line %u: a key in brackets: names stand without them", s->line);
    }
    s->before = c;
    skip(s, 1);
    return true;
}

bool machine_scan(const char *text, size_t size, struct error *e)
{
    struct scan s = {.at = text, .end = text + size, .line = 1};
    for (skip_space(&s); s.at < s.end; skip_space(&s)) {
        if (!take_token(&s, e)) {
            return false;
        }
    }
    return true;
}
