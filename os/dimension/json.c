/*
 * Parser of dimensions.json: recursive descent without recursion over the input's own depth, since the form fixes it.
 * Elements of an array are counted ahead, so that arrays lie in one piece of the arena. Deviations: none.
 */

#include "dimension/json.h"

#include "dimension/words.h"
#include "lib/string.h"

#define MAX_STRING (DIM_MAX_LINE_BYTES + 1)

struct json {
    const char *at;
    const char *start;
    const char *end;
    struct dim_arena *arena;
    struct dim_error *error;
};

typedef status_t read_fn(struct json *j, void *target);

struct member {
    const char *name;
    read_fn *read;
    bool required;
};

static status_t wrong(const struct json *j, const char *what)
{
    uint32_t line = 1;
    const char *line_start = j->start;
    for (const char *c = j->start; c < j->at; c++) {
        if (*c == '\n') {
            line++;
            line_start = c + 1;
        }
    }
    dim_fail_at(j->error, STATUS_ERR_DIM_JSON, what, (uint64_t)(j->at - line_start) + 1);
    if (j->error) {
        j->error->line = line;
    }
    return STATUS_ERR_DIM_JSON;
}

static status_t no_memory(const struct json *j)
{
    return dim_fail(j->error, STATUS_ERR_NO_MEMORY, "the memory for reading JSON is used up");
}

static void skip_blanks(struct json *j)
{
    while (j->at < j->end && (*j->at == ' ' || *j->at == '\n' || *j->at == '\t' || *j->at == '\r')) {
        j->at++;
    }
}

/* Takes a character, with blanks before it. */
static bool take(struct json *j, char c)
{
    skip_blanks(j);
    if (j->at == j->end || *j->at != c) {
        return false;
    }
    j->at++;
    return true;
}

static status_t read_number(struct json *j, uint64_t most, uint64_t *number)
{
    skip_blanks(j);
    const char *start = j->at;
    *number = 0;
    while (j->at < j->end && *j->at >= '0' && *j->at <= '9') {
        *number = *number * 10 + (uint64_t)(*j->at++ - '0');
        if (*number > most) {
            j->at = start;
            return wrong(j, "the number is too large here");
        }
    }
    bool whole = j->at == j->end || (*j->at != '.' && *j->at != 'e' && *j->at != 'E');
    if (j->at == start || (*start == '0' && j->at > start + 1) || !whole) {
        j->at = start;
        return wrong(j, "a whole number must stand here");
    }
    return STATUS_OK;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* The four digits of \u. */
static bool take_unit(struct json *j, uint32_t *unit)
{
    *unit = 0;
    for (unsigned i = 0; i < 4; i++, j->at++) {
        int digit = j->at < j->end ? hex_digit(*j->at) : -1;
        if (digit < 0) {
            return false;
        }
        *unit = *unit << 4 | (uint32_t)digit;
    }
    return true;
}

static uint32_t put_utf8(uint32_t c, char *to)
{
    if (c < 0x80) {
        to[0] = (char)c;
        return 1;
    }
    uint32_t bytes = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (uint32_t i = bytes - 1; i > 0; i--, c >>= 6) {
        to[i] = (char)(0x80 | (c & 0x3f));
    }
    to[0] = (char)(0xf00u >> bytes | c);
    return bytes;
}

/* What follows \u, perhaps two halves of a surrogate pair; returns bytes written, 0: wrong. */
static uint32_t take_escaped_unit(struct json *j, char *to)
{
    uint32_t high, low;
    if (!take_unit(j, &high)) {
        return 0;
    }
    if (high < 0xd800 || high > 0xdfff) {
        return put_utf8(high, to);
    }
    if (high > 0xdbff || j->end - j->at < 2 || j->at[0] != '\\' || j->at[1] != 'u') {
        return 0;
    }
    j->at += 2;
    if (!take_unit(j, &low) || low < 0xdc00 || low > 0xdfff) {
        return 0;
    }
    return put_utf8(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00), to);
}

static uint32_t take_escape(struct json *j, char *to)
{
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    char c = j->at < j->end ? *j->at++ : '\0';
    if (c == 'u') {
        return take_escaped_unit(j, to);
    }
    for (unsigned i = 0; i < sizeof names - 1; i++) {
        if (c == names[i]) {
            *to = values[i];
            return 1;
        }
    }
    return 0;
}

/* A string of at most MAX_STRING bytes into to[], which has four bytes more. */
static status_t read_string(struct json *j, char *to, uint32_t *bytes)
{
    if (!take(j, '"')) {
        return wrong(j, "a string must stand here");
    }
    *bytes = 0;
    while (j->at < j->end && *j->at != '"' && *bytes <= MAX_STRING) {
        uint32_t more = 1;
        if (*j->at == '\\') {
            j->at++;
            more = take_escape(j, to + *bytes);
        } else {
            to[*bytes] = *j->at;
            more = (unsigned char)*j->at >= 0x20;
            j->at += more;
        }
        if (more == 0) {
            return wrong(j, "this cannot stand in a string");
        }
        *bytes += more;
    }
    if (j->at == j->end || *j->at != '"') {
        return wrong(j, j->at == j->end ? "the text ends inside a string" : "the string is too long here");
    }
    j->at++;
    return STATUS_OK;
}

/* Reads { "name": value, ... } with the members given; at most 32 of them. */
static status_t read_object(struct json *j, const struct member *members, uint32_t count, void *target)
{
    char name[MAX_STRING + 4];
    uint32_t seen = 0, bytes, i;
    if (!take(j, '{')) {
        return wrong(j, "{ must stand here");
    }
    bool closed = take(j, '}');
    while (!closed) {
        status_t status = read_string(j, name, &bytes);
        if (status != STATUS_OK) {
            return status;
        }
        for (i = 0; i < count; i++) {
            if (strlen(members[i].name) == bytes && memcmp(members[i].name, name, bytes) == 0) {
                break;
            }
        }
        if (i == count || seen >> i & 1) {
            return wrong(j, i == count ? "a member of this name is not known here"
                                       : "this member was there before");
        }
        seen |= 1u << i;
        status = take(j, ':') ? members[i].read(j, target) : wrong(j, ": must stand here");
        if (status != STATUS_OK) {
            return status;
        }
        closed = take(j, '}');
        if (!closed && !take(j, ',')) {
            return wrong(j, ", or } must stand here");
        }
    }
    for (i = 0; i < count; i++) {
        if (members[i].required && !(seen >> i & 1)) {
            return wrong(j, "the object ends without a member that it must have");
        }
    }
    return STATUS_OK;
}

/* Elements of the array that begins behind the cursor, which stays; what is malformed is found by reading. */
static uint64_t count_elements(const struct json *j)
{
    uint64_t commas = 0, depth = 0;
    bool any = false, in_string = false;
    for (const char *c = j->at; c < j->end; c++) {
        if (in_string) {
            if (*c == '\\' && c + 1 < j->end) {
                c++;
            } else {
                in_string = *c != '"';
            }
            continue;
        }
        if (depth == 0 && *c == ']') {
            break;
        }
        any = any || !(*c == ' ' || *c == '\n' || *c == '\t' || *c == '\r');
        in_string = *c == '"';
        commas += depth == 0 && *c == ',';
        depth += *c == '[' || *c == '{';
        depth -= depth > 0 && (*c == ']' || *c == '}');
    }
    return any ? commas + 1 : 0;
}

typedef status_t element_fn(struct json *j, void *array, uint64_t index);

/* Reads [ element, ... ] of which there are count. */
static status_t read_elements(struct json *j, uint64_t count, element_fn *read, void *array)
{
    for (uint64_t i = 0; i < count; i++) {
        status_t status = i == 0 || take(j, ',') ? read(j, array, i) : wrong(j, ", or ] must stand here");
        if (status != STATUS_OK) {
            return status;
        }
    }
    return take(j, ']') ? STATUS_OK : wrong(j, ", or ] must stand here");
}

/* ---- a layer ---- */

static status_t read_name(struct json *j, char *name)
{
    char text[MAX_STRING + 4];
    uint32_t bytes;
    status_t status = read_string(j, text, &bytes);
    if (status == STATUS_OK && !dim_name_ok(text, bytes)) {
        return wrong(j, "a name has 1 to 31 letters, digits, - and _");
    }
    memset(name, 0, DIM_NAME_BYTES);
    memcpy(name, text, status == STATUS_OK ? bytes : 0);
    return status;
}

static status_t read_layer_name(struct json *j, void *target)
{
    return read_name(j, ((struct dim_layer_entry *)target)->name);
}

static status_t read_layer_number(struct json *j, void *target)
{
    uint64_t number;
    status_t status = read_number(j, UINT16_MAX, &number);
    ((struct dim_layer_entry *)target)->number.number = (uint16_t)number;
    return status;
}

static status_t read_keyword(struct json *j, void *array, uint64_t index)
{
    char text[MAX_STRING + 4];
    struct dim_keyword *word = (struct dim_keyword *)array + index;
    *word = (struct dim_keyword){.text = NULL};
    status_t status = read_string(j, text, &word->bytes);
    if (status != STATUS_OK) {
        return status;
    }
    if (!dim_keyword_ok(text, word->bytes)) {
        return wrong(j, "a keyword has 1 to 63 bytes, no comma, and no blank at either end");
    }
    char *copy = dim_arena_take(j->arena, word->bytes, 1);
    if (!copy) {
        return no_memory(j);
    }
    memcpy(copy, text, word->bytes);
    word->text = copy;
    return STATUS_OK;
}

static status_t read_keywords(struct json *j, void *target)
{
    struct dim_layer_entry *layer = target;
    if (!take(j, '[')) {
        return wrong(j, "[ must stand here");
    }
    uint64_t count = count_elements(j);
    if (count > DIM_MAX_KEYWORDS) {
        return wrong(j, "a layer has at most 256 keywords");
    }
    struct dim_keyword *words = dim_arena_take(j->arena, count * sizeof *words, 8);
    if (!words) {
        return no_memory(j);
    }
    layer->keywords = words;
    layer->keyword_count = (uint32_t)count;
    return read_elements(j, count, read_keyword, words);
}

static status_t only_content(const struct json *j, const struct dim_layer_entry *layer)
{
    return layer->content ? wrong(j, "a layer has \"contexts\" or \"bytes\", not both") : STATUS_OK;
}

static status_t read_context(struct json *j, void *array, uint64_t index)
{
    char text[MAX_STRING + 4];
    uint32_t bytes;
    (void)array;
    (void)index;
    status_t status = read_string(j, text, &bytes);
    if (status != STATUS_OK) {
        return status;
    }
    if (!dim_line_ok(text, bytes)) {
        return wrong(j, "a context is at most 1023 bytes without control characters");
    }
    char *copy = dim_arena_take(j->arena, (uint64_t)bytes + 1, 1); /* behind the one before */
    if (!copy) {
        return no_memory(j);
    }
    memcpy(copy, text, bytes);
    copy[bytes] = '\n';
    return STATUS_OK;
}

static status_t read_contexts(struct json *j, void *target)
{
    struct dim_layer_entry *layer = target;
    status_t status = take(j, '[') ? only_content(j, layer) : wrong(j, "[ must stand here");
    if (status == STATUS_OK) {
        layer->content = j->arena->at;
        layer->flags = DIM_LAYER_TEXT;
        status = read_elements(j, count_elements(j), read_context, NULL);
        layer->content_bytes = (uint64_t)(j->arena->at - layer->content);
    }
    return status;
}

static status_t read_bytes(struct json *j, void *target)
{
    struct dim_layer_entry *layer = target;
    status_t status = take(j, '"') ? only_content(j, layer) : wrong(j, "a string must stand here");
    if (status != STATUS_OK) {
        return status;
    }
    layer->content = j->arena->at;
    layer->flags = 0;
    while (j->at < j->end && *j->at != '"') {
        int high = hex_digit(j->at[0]), low = j->end - j->at > 1 ? hex_digit(j->at[1]) : -1;
        uint8_t *byte = dim_arena_take(j->arena, 1, 1);
        if (high < 0 || low < 0) {
            return wrong(j, "bytes are pairs of hexadecimal digits");
        }
        if (!byte) {
            return no_memory(j);
        }
        *byte = (uint8_t)(high << 4 | low);
        j->at += 2;
    }
    layer->content_bytes = (uint64_t)(j->arena->at - layer->content);
    return take(j, '"') ? STATUS_OK : wrong(j, "the text ends inside a string");
}

static status_t read_layer(struct json *j, void *array, uint64_t index)
{
    static const struct member members[] = {
        {"layer", read_layer_number, true}, {"name", read_layer_name, true},
        {"keywords", read_keywords, true},  {"contexts", read_contexts, false},
        {"bytes", read_bytes, false},
    };
    struct dim_layer_entry *layer = (struct dim_layer_entry *)array + index;
    *layer = (struct dim_layer_entry){.flags = DIM_LAYER_SIMULATED | DIM_LAYER_TEXT};
    status_t status = read_object(j, members, sizeof members / sizeof members[0], layer);
    if (status == STATUS_OK && index > 0 && layer->number.number <= layer[-1].number.number) {
        return wrong(j, "layer numbers ascend");
    }
    return status;
}

/* ---- a dimension, and all of them ---- */

static status_t read_id(struct json *j, void *target)
{
    uint64_t number;
    status_t status = read_number(j, UINT16_MAX, &number);
    ((struct dim_entry *)target)->id.number = (uint16_t)number;
    return status;
}

static status_t read_dimension_name(struct json *j, void *target)
{
    return read_name(j, ((struct dim_entry *)target)->name);
}

static status_t read_layers(struct json *j, void *target)
{
    struct dim_entry *entry = target;
    if (!take(j, '[')) {
        return wrong(j, "[ must stand here");
    }
    uint64_t count = count_elements(j);
    if (count == 0 || count > DIM_MAX_LAYERS) {
        return wrong(j, "a dimension has 1 to 1024 layers");
    }
    entry->layers = dim_arena_take(j->arena, count * sizeof *entry->layers, 8);
    if (!entry->layers) {
        return no_memory(j);
    }
    entry->layer_count = (uint16_t)count;
    return read_elements(j, count, read_layer, entry->layers);
}

static status_t read_dimension(struct json *j, void *array, uint64_t index)
{
    static const struct member members[] = {
        {"id", read_id, true},
        {"name", read_dimension_name, true},
        {"layers", read_layers, true},
    };
    struct dim_entry *entry = (struct dim_entry *)array + index;
    *entry = (struct dim_entry){.layers = NULL};
    status_t status = read_object(j, members, sizeof members / sizeof members[0], entry);
    if (status == STATUS_OK && index > 0 && entry->id.number <= entry[-1].id.number) {
        return wrong(j, "ids of dimensions ascend");
    }
    return status;
}

static status_t read_dimensions(struct json *j, void *target)
{
    struct dim_catalog *catalog = target;
    if (!take(j, '[')) {
        return wrong(j, "[ must stand here");
    }
    uint64_t count = count_elements(j);
    if (count > DIM_MAX_DIMENSIONS) {
        return wrong(j, "there are at most 64 dimensions");
    }
    catalog->dimensions = dim_arena_take(j->arena, count * sizeof *catalog->dimensions, 8);
    if (!catalog->dimensions) {
        return no_memory(j);
    }
    catalog->count = (uint32_t)count;
    return read_elements(j, count, read_dimension, catalog->dimensions);
}

static status_t read_version(struct json *j, void *target)
{
    uint64_t version;
    (void)target;
    status_t status = read_number(j, UINT16_MAX, &version);
    return status == STATUS_OK && version != 1 ? wrong(j, "the version of the form is not 1") : status;
}

status_t dim_json_parse(const char *text, uint64_t size_bytes, struct dim_arena *arena,
                        struct dim_catalog *catalog, struct dim_error *error)
{
    static const struct member members[] = {{"version", read_version, true},
                                            {"dimensions", read_dimensions, true}};
    struct json j = {text, text, text + size_bytes, arena, error};
    *catalog = (struct dim_catalog){.count = 0};
    status_t status = read_object(&j, members, sizeof members / sizeof members[0], catalog);
    skip_blanks(&j);
    if (status == STATUS_OK && j.at != j.end) {
        status = wrong(&j, "something follows the end");
    }
    catalog->count = status == STATUS_OK ? catalog->count : 0;
    return status;
}
