/* The canonical form of dimensions.json: two blanks a level, one layer's lists on a line each. Deviations: none. */

#include "kernel/lib/format.h"

#include "dimension/json.h"

#include "lib/string.h"

static void put(const struct dim_sink *sink, const char *text)
{
    sink->write(sink->context, text, strlen(text));
}

static void put_number(const struct dim_sink *sink, const char *before, uint32_t number)
{
    char text[48];
    ksnprintf(text, sizeof text, "%s%u", before, number);
    put(sink, text);
}

/* No control characters are in it, so two characters need an escape. */
static void put_string(const struct dim_sink *sink, const char *text, uint64_t bytes)
{
    uint64_t start = 0;
    put(sink, "\"");
    for (uint64_t i = 0; i < bytes; i++) {
        if (text[i] == '"' || text[i] == '\\') {
            sink->write(sink->context, text + start, i - start);
            put(sink, "\\");
            start = i;
        }
    }
    sink->write(sink->context, text + start, bytes - start);
    put(sink, "\"");
}

static void put_keywords(const struct dim_layer_entry *layer, const struct dim_sink *sink)
{
    put(sink, ",\n          \"keywords\": [");
    for (uint32_t i = 0; i < layer->keyword_count; i++) {
        put(sink, i ? ", " : "");
        put_string(sink, layer->keywords[i].text, layer->keywords[i].bytes);
    }
    put(sink, "]");
}

static void put_contexts(const struct dim_layer_entry *layer, const struct dim_sink *sink)
{
    const char *content = (const char *)layer->content;
    put(sink, ",\n          \"contexts\": [");
    for (uint64_t at = 0, end; at < layer->content_bytes; at = end + 1) {
        for (end = at; content[end] != '\n'; end++) {
        }
        put(sink, at ? ",\n            " : "\n            ");
        put_string(sink, content + at, end - at);
    }
    put(sink, "]");
}

static void put_bytes(const struct dim_layer_entry *layer, const struct dim_sink *sink)
{
    static const char digits[] = "0123456789abcdef";
    put(sink, ",\n          \"bytes\": \"");
    for (uint64_t i = 0; i < layer->content_bytes; i++) {
        char pair[2] = {digits[layer->content[i] >> 4], digits[layer->content[i] & 15]};
        sink->write(sink->context, pair, 2);
    }
    put(sink, "\"");
}

static void put_layer(const struct dim_layer_entry *layer, const struct dim_sink *sink)
{
    put_number(sink, "        {\n          \"layer\": ", layer->number.number);
    put(sink, ",\n          \"name\": ");
    put_string(sink, layer->name, strnlen(layer->name, DIM_NAME_BYTES));
    put_keywords(layer, sink);
    if (!(layer->flags & DIM_LAYER_SIMULATED)) {
        (layer->flags & DIM_LAYER_TEXT ? put_contexts : put_bytes)(layer, sink);
    }
    put(sink, "\n        }");
}

static void put_dimension(const struct dim_entry *entry, const struct dim_sink *sink)
{
    put_number(sink, "    {\n      \"id\": ", entry->id.number);
    put(sink, ",\n      \"name\": ");
    put_string(sink, entry->name, strnlen(entry->name, DIM_NAME_BYTES));
    put(sink, ",\n      \"layers\": [");
    for (uint32_t i = 0; i < entry->layer_count; i++) {
        put(sink, i ? ",\n" : "\n");
        put_layer(&entry->layers[i], sink);
    }
    put(sink, "\n      ]\n    }");
}

void dim_json_write(const struct dim_catalog *catalog, const struct dim_sink *sink)
{
    put(sink, "{\n  \"version\": 1,\n  \"dimensions\": [");
    for (uint32_t i = 0; i < catalog->count; i++) {
        put(sink, i ? ",\n" : "\n");
        put_dimension(&catalog->dimensions[i], sink);
    }
    put(sink, "\n  ]\n}\n");
}
