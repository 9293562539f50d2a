/* The text form of a dimension. Deviations: none. */

#include "kernel/lib/format.h"

#include "dimension/text.h"

#include "dimension/words.h"
#include "lib/string.h"

#define HEAD "orrery-dimension"

/* A place in the text, and the end of its line. */
struct reader {
    const char *at;
    const char *line_start;
    const char *line_end;
    const char *end;
    uint32_t line;
    uint32_t reserved;
    struct dim_arena *arena;
    struct dim_error *error;
};

static status_t wrong(const struct reader *r, const char *what)
{
    dim_fail_at(r->error, STATUS_ERR_DIM_TEXT, what, (uint64_t)(r->at - r->line_start) + 1);
    if (r->error) {
        r->error->line = r->line ? r->line : 1;
    }
    return STATUS_ERR_DIM_TEXT;
}

static status_t no_memory(const struct reader *r)
{
    return dim_fail(r->error, STATUS_ERR_NO_MEMORY, "the memory for reading text is used up");
}

/* Goes to the next line that says something; false at the end of the text. */
static bool next_line(struct reader *r)
{
    do {
        if (r->line > 0) {
            r->line_end += r->line_end < r->end;
        }
        if (r->line_end == r->end) {
            r->at = r->line_start = r->end;
            return false;
        }
        r->line++;
        r->at = r->line_start = r->line_end;
        while (r->line_end < r->end && *r->line_end != '\n') {
            r->line_end++;
        }
    } while (r->at == r->line_end || *r->at == '#');
    return true;
}

/* Takes a text that must stand there. */
static bool take(struct reader *r, const char *expected)
{
    size_t length = strlen(expected);
    if ((size_t)(r->line_end - r->at) < length || memcmp(r->at, expected, length) != 0) {
        return false;
    }
    r->at += length;
    return true;
}

/* A decimal number of at most that, without leading zeros. */
static bool take_number(struct reader *r, uint64_t most, uint64_t *number)
{
    const char *start = r->at;
    *number = 0;
    while (r->at < r->line_end && *r->at >= '0' && *r->at <= '9') {
        uint64_t digit = (uint64_t)(*r->at - '0');
        if (*number > (most - digit) / 10) {
            return false;
        }
        *number = *number * 10 + digit;
        r->at++;
    }
    return r->at > start && (r->at == start + 1 || *start != '0');
}

/* A name that ends at a blank or the end of the line. */
static bool take_name(struct reader *r, char *name)
{
    const char *start = r->at;
    while (r->at < r->line_end && *r->at != ' ') {
        r->at++;
    }
    uint64_t length = (uint64_t)(r->at - start);
    if (!dim_name_ok(start, length)) {
        r->at = start;
        return false;
    }
    memset(name, 0, DIM_NAME_BYTES);
    memcpy(name, start, length);
    return true;
}

static bool at_end(const struct reader *r)
{
    return r->at == r->line_end;
}

bool dim_text_is(const void *text, uint64_t size_bytes)
{
    size_t length = strlen(HEAD);
    return size_bytes > length && memcmp(text, HEAD, length) == 0;
}

uint64_t dim_text_arena_bytes(const char *text, uint64_t size_bytes)
{
    uint64_t layers = 1, keywords = 1;
    bool layer_line = false;
    for (uint64_t i = 0; i < size_bytes; i++) {
        if (i == 0 || text[i - 1] == '\n') {
            layer_line = text[i] == 'l';
            layers += layer_line;
            keywords += layer_line;
        }
        keywords += layer_line && text[i] == ',';
    }
    layers = layers < DIM_MAX_LAYERS ? layers : DIM_MAX_LAYERS;
    return size_bytes + 1 + layers * (sizeof(struct dim_layer_entry) + 16) +
           keywords * sizeof(struct dim_keyword);
}

static status_t read_head(struct reader *r, struct dim_entry *entry)
{
    uint64_t number;
    if (!next_line(r) || !take(r, HEAD " 1") || !at_end(r)) {
        return wrong(r, "the text must begin with \"" HEAD " 1\"");
    }
    if (!next_line(r) || !take(r, "dimension ") || !take_number(r, UINT16_MAX, &number) || !take(r, " ") ||
        !take_name(r, entry->name) || !at_end(r)) {
        return wrong(r, "\"dimension NUMBER NAME\" must stand here");
    }
    entry->id.number = (uint16_t)number;
    bool more = next_line(r);
    if (more && take(r, "seed ")) {
        if (!take_number(r, UINT64_MAX, &entry->seed) || !at_end(r)) {
            return wrong(r, "\"seed NUMBER\" must stand here");
        }
        more = next_line(r);
    }
    return more ? STATUS_OK : wrong(r, "there is no layer");
}

/* Commas are in no keyword, so they count them. */
static status_t read_keywords(struct reader *r, struct dim_layer_entry *layer)
{
    uint32_t most = 1;
    for (const char *c = r->at; c < r->line_end; c++) {
        most += *c == ',' && most < DIM_MAX_KEYWORDS;
    }
    struct dim_keyword *words = dim_arena_take(r->arena, most * sizeof *words, 8);
    if (!words) {
        return no_memory(r);
    }
    layer->keywords = words;
    while (!at_end(r)) {
        const char *start = r->at;
        while (r->at < r->line_end && *r->at != ',') {
            r->at++;
        }
        uint64_t length = (uint64_t)(r->at - start);
        if (!dim_keyword_ok(start, length) || layer->keyword_count == DIM_MAX_KEYWORDS) {
            r->at = start;
            return wrong(r, "a keyword of 1 to 63 bytes must stand here, at most 256 of them");
        }
        words[layer->keyword_count++] = (struct dim_keyword){.text = start, .bytes = (uint32_t)length};
        if (!at_end(r) && (!take(r, ", ") || at_end(r))) {
            return wrong(r, "keywords are separated by a comma and one blank");
        }
    }
    return STATUS_OK;
}

static status_t read_layer_line(struct reader *r, struct dim_layer_entry *layer)
{
    uint64_t number;
    *layer = (struct dim_layer_entry){.flags = DIM_LAYER_TEXT};
    if (!take(r, "layer ") || !take_number(r, UINT16_MAX, &number) || !take(r, " ") ||
        !take_name(r, layer->name)) {
        return wrong(r, "\"layer NUMBER NAME real: KEYWORDS\" must stand here, or simulated");
    }
    layer->number.number = (uint16_t)number;
    if (take(r, " simulated:")) {
        layer->flags |= DIM_LAYER_SIMULATED;
    } else if (!take(r, " real:")) {
        return wrong(r, "a layer is real or simulated");
    }
    if (!at_end(r) && (!take(r, " ") || at_end(r))) {
        return wrong(r, "one blank and keywords must stand here, or nothing");
    }
    return read_keywords(r, layer);
}

/* The lines that begin with ">", joined; more tells whether the reader stands on a further line. */
static status_t read_contexts(struct reader *r, struct dim_layer_entry *layer, bool *more)
{
    uint8_t *content = r->arena->at;
    bool any = false;
    for (*more = next_line(r); *more && take(r, ">"); *more = next_line(r)) {
        if (!at_end(r) && !take(r, " ")) {
            return wrong(r, "one blank must follow >");
        }
        uint64_t length = (uint64_t)(r->line_end - r->at);
        if (!dim_line_ok(r->at, length)) {
            return wrong(r, "a context is at most 1023 bytes of UTF-8 without control characters");
        }
        char *line = dim_arena_take(r->arena, length + 1, 1);
        if (!line) {
            return no_memory(r);
        }
        memcpy(line, r->at, length);
        line[length] = '\n';
        any = true;
    }
    if (any || !(layer->flags & DIM_LAYER_SIMULATED)) {
        layer->content = content;
        layer->content_bytes = (uint64_t)(r->arena->at - content);
    }
    return STATUS_OK;
}

/* Lines that begin a layer, from here to the end: at least as many as there are layers. */
static uint64_t count_layers(const struct reader *r)
{
    uint64_t count = 0;
    for (const char *c = r->line_start; c < r->end; c++) {
        count += *c == 'l' && (c == r->line_start || c[-1] == '\n');
    }
    return count < DIM_MAX_LAYERS ? count : DIM_MAX_LAYERS;
}

status_t dim_text_parse(const char *text, uint64_t size_bytes, struct dim_arena *arena,
                        struct dim_entry *entry, struct dim_error *error)
{
    struct reader r = {text, text, text, text + size_bytes, 0, 0, arena, error};
    *entry = (struct dim_entry){.layers = NULL};
    status_t status = read_head(&r, entry);
    if (status != STATUS_OK) {
        return status;
    }
    uint64_t most = count_layers(&r);
    entry->layers = dim_arena_take(arena, most * sizeof *entry->layers, 8);
    if (!entry->layers) {
        return no_memory(&r);
    }
    for (bool more = true; more && status == STATUS_OK;) {
        if (entry->layer_count == most) {
            return wrong(&r, "a layer must stand here, at most 1024 of them");
        }
        struct dim_layer_entry *layer = &entry->layers[entry->layer_count++];
        status = read_layer_line(&r, layer);
        if (status == STATUS_OK && entry->layer_count > 1 &&
            layer->number.number <= layer[-1].number.number) {
            status = wrong(&r, "layer numbers ascend");
        }
        status = status == STATUS_OK ? read_contexts(&r, layer, &more) : status;
    }
    return status;
}

/* ---- writing ---- */

static void put(const struct dim_sink *sink, const char *text, size_t bytes)
{
    sink->write(sink->context, text, bytes);
}

static void put_layer(const struct dim_layer_entry *layer, const struct dim_sink *sink)
{
    char line[96];
    int length = ksnprintf(line, sizeof line, "layer %u %s %s:", layer->number.number, layer->name,
                           layer->flags & DIM_LAYER_SIMULATED ? "simulated" : "real");
    put(sink, line, (size_t)length);
    for (uint32_t i = 0; i < layer->keyword_count; i++) {
        put(sink, i == 0 ? " " : ", ", i == 0 ? 1 : 2);
        put(sink, layer->keywords[i].text, layer->keywords[i].bytes);
    }
    put(sink, "\n", 1);
    const char *content = (const char *)layer->content;
    for (uint64_t at = 0, end; at < layer->content_bytes; at = end) {
        for (end = at + 1; content[end - 1] != '\n'; end++) {
        }
        put(sink, "> ", end - at > 1 ? 2 : 1);
        put(sink, content + at, end - at);
    }
}

status_t dim_text_write(const struct dim_entry *entry, const struct dim_sink *sink, struct dim_error *error)
{
    char line[96];
    for (uint32_t i = 0; i < entry->layer_count; i++) {
        const struct dim_layer_entry *layer = &entry->layers[i];
        if (layer->content && !(layer->flags & DIM_LAYER_TEXT)) {
            dim_fail(error, STATUS_ERR_UNSUPPORTED, "bytes have no text form");
            if (error) {
                error->dimension = entry->id.number;
                error->layer = layer->number.number;
            }
            return STATUS_ERR_UNSUPPORTED;
        }
    }
    int length = ksnprintf(line, sizeof line, HEAD " 1\ndimension %u %s\nseed %llu\n", entry->id.number,
                           entry->name, (unsigned long long)entry->seed);
    put(sink, line, (size_t)length);
    for (uint32_t i = 0; i < entry->layer_count; i++) {
        put_layer(&entry->layers[i], sink);
    }
    return STATUS_OK;
}
