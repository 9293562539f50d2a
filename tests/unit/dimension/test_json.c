/* dimensions.json: what is read, the canonical form, and every kind of malformed text. covers: DS-22 */

#include "dimension_text.h"

#include "dimension/simulate.h"
#include "dimension/words.h"

static void the_sample_is_read_as_it_stands(void **state)
{
    (void)state;
    struct dim_arena arena = whole_arena();
    struct dim_catalog c = sample(&arena);
    assert_int_equal(c.count, 2);
    const struct dim_entry *d = dim_catalog_find(&c, (dim_id_t){3});
    assert_ptr_equal(d, &c.dimensions[0]);
    assert_null(dim_catalog_find(&c, (dim_id_t){4}));
    assert_string_equal(d->name, "energy");
    assert_int_equal(d->layer_count, 4);
    assert_int_equal(d->layers[0].flags, DIM_LAYER_SIMULATED | DIM_LAYER_TEXT);
    assert_null(d->layers[0].content);
    assert_int_equal(d->layers[0].keyword_count, 3);
    assert_memory_equal(d->layers[0].keywords[2].text, "grey \xc3\xa4ther", 11);
    assert_int_equal(d->layers[1].flags, DIM_LAYER_TEXT);
    assert_int_equal(d->layers[1].content_bytes, 26);
    assert_memory_equal(d->layers[1].content, "What \"flows\" is counted.\n\n", 26);
    assert_int_equal(d->layers[2].flags, 0);
    assert_int_equal(d->layers[2].content_bytes, 4);
    assert_memory_equal(d->layers[2].content, "\x00\xff\x10\xab", 4);
    assert_int_equal(d->layers[3].number.number, 300);
    assert_non_null(d->layers[3].content);
    assert_int_equal(d->layers[3].content_bytes, 0);
    assert_int_equal(c.dimensions[1].layers[0].number.number, 65535);
    assert_memory_equal(c.dimensions[1].layers[0].keywords[0].text, "\xf0\x9f\x98\x80", 4);
}

static void the_canonical_form_reads_back_to_itself(void **state)
{
    (void)state;
    struct dim_arena arena = whole_arena();
    struct dim_catalog c = sample(&arena), again;
    char *first = strdup(json_of(&c));
    assert_non_null(strstr(first, "\"What \\\"flows\\\" is counted.\",\n            \"\"]"));
    assert_ok(dim_json_parse(first, strlen(first), &arena, &again, &error));
    assert_string_equal(json_of(&again), first);
    free(first);
}

/* LAYER is a sound layer, so that one thing is wrong at a time. */
#define LAYER   "{\"layer\":0,\"name\":\"a\",\"keywords\":[]}"
#define WITH(x) "{\"version\":1,\"dimensions\":[{\"id\":0,\"name\":\"a\",\"layers\":[" x "]}]}"

static const struct {
    const char *text, *error;
} wrong_rows[] = {
    {"", "line 1, column 1: { must stand here"},
    {"{\"version\":1,\n \"dimensions\":[]} x", "line 2, column 19: something follows the end"},
    {"{\"version\":1}", "line 1, column 14: the object ends without a member that it must have"},
    {"{\"version\":2,\"dimensions\":[]}", "line 1, column 13: the version of the form is not 1"},
    {"{\"version\":1,\"version\":1}", "line 1, column 23: this member was there before"},
    {"{\"version\":1,\"other\":1}", "line 1, column 21: a member of this name is not known here"},
    {"{\"version\" 1}", "line 1, column 12: : must stand here"},
    {"{\"version\":1 \"x\":1}", "line 1, column 14: , or } must stand here"},
    {"{\"version\":01}", "line 1, column 12: a whole number must stand here"},
    {"{\"version\":1.0}", "line 1, column 12: a whole number must stand here"},
    {"{\"version\":1e0}", "line 1, column 12: a whole number must stand here"},
    {"{\"version\":-1}", "line 1, column 12: a whole number must stand here"},
    {"{\"version\":65536}", "line 1, column 12: the number is too large here"},
    {"{\"version\":99999999999999999999999999}", "line 1, column 12: the number is too large here"},
    {"{\"version\":\"1\"}", "line 1, column 12: a whole number must stand here"},
    {"{\"vers", "line 1, column 7: the text ends inside a string"},
    {"{\"v\\q\":1}", "line 1, column 6: this cannot stand in a string"},
    {"{\"v\\u12g4\":1}", "line 1, column 8: this cannot stand in a string"},
    {"{\"v\\", "line 1, column 5: this cannot stand in a string"},
    {"{\"a\nb\":1}", "line 1, column 4: this cannot stand in a string"},
    {"{version:1}", "line 1, column 2: a string must stand here"},
    {"{\"version\":1,}", "line 1, column 14: a string must stand here"},
    {"{\"version\":1,\"dimensions\":{}}", "line 1, column 27: [ must stand here"},
    {"{\"version\":1,\"dimensions\":[,]}", "line 1, column 28: { must stand here"},
    {"{\"version\":1,\"dimensions\":[", "line 1, column 28: , or ] must stand here"},
    {WITH(""), "line 1, column 57: a dimension has 1 to 1024 layers"},
    {WITH(LAYER "," LAYER), "line 1, column 130: layer numbers ascend"},
    {WITH(LAYER " " LAYER), "line 1, column 94: , or ] must stand here"},
    {WITH("{\"layer\":65536}"), "line 1, column 66: the number is too large here"},
    {WITH("{\"name\":\"\"}"), "line 1, column 67: a name has 1 to 31 letters, digits, - and _"},
    {WITH("{\"name\":\"a b\"}"), "line 1, column 70: a name has 1 to 31 letters, digits, - and _"},
    {WITH("{\"name\":\"12345678901234567890123456789012\"}"),
     "line 1, column 99: a name has 1 to 31 letters, digits, - and _"},
    {WITH("{\"keywords\":[\"\"]}"),
     "line 1, column 72: a keyword has 1 to 63 bytes, no comma, and no blank at either end"},
    {WITH("{\"keywords\":[\"a,b\"]}"),
     "line 1, column 75: a keyword has 1 to 63 bytes, no comma, and no blank at either end"},
    {WITH("{\"keywords\":[1]}"), "line 1, column 70: a string must stand here"},
    {WITH("{\"contexts\":[\"\\u0007\"]}"),
     "line 1, column 78: a context is at most 1023 bytes without control characters"},
    {WITH("{\"contexts\":[],\"bytes\":\"\"}"),
     "line 1, column 81: a layer has \"contexts\" or \"bytes\", not both"},
    {WITH("{\"bytes\":\"0\"}"), "line 1, column 67: bytes are pairs of hexadecimal digits"},
    {WITH("{\"bytes\":\"0g\"}"), "line 1, column 67: bytes are pairs of hexadecimal digits"},
    {WITH("{\"bytes\":\"00"), "line 1, column 69: bytes are pairs of hexadecimal digits"},
    {WITH("{\"keywords\":[\"\\ud800\"]}"), "line 1, column 77: this cannot stand in a string"},
    {WITH("{\"keywords\":[\"\\udc00\"]}"), "line 1, column 77: this cannot stand in a string"},
    {WITH("{\"keywords\":[\"\\ud800\\u0041\"]}"), "line 1, column 83: this cannot stand in a string"},
};

static void each_malformed_text_is_refused_where_it_is_wrong(void **state)
{
    (void)state;
    unsigned differing = 0;
    for (size_t i = 0; i < sizeof wrong_rows / sizeof wrong_rows[0]; i++) {
        size_t size = strlen(wrong_rows[i].text);
        char *text = malloc(size + 1), line[DIM_ERROR_TEXT_BYTES], wanted[300];
        assert_non_null(text);
        memcpy(text + 1, wrong_rows[i].text, size);
        struct dim_arena arena = whole_arena();
        struct dim_catalog c;
        assert_status(dim_json_parse(text + 1, size, &arena, &c, &error), STATUS_ERR_DIM_JSON);
        assert_int_equal(c.count, 0);
        snprintf(wanted, sizeof wanted, "%s (dimension: malformed dimensions.json)", wrong_rows[i].error);
        if (strcmp(dim_error_text(&error, line, sizeof line), wanted) != 0) {
            print_message("row %zu: got    %s\n        wanted %s\n", i, line, wanted);
            differing++;
        }
        free(text);
    }
    assert_int_equal(differing, 0);
}

static void an_arena_of_any_smaller_size_is_an_error_and_sixteen_times_is_enough(void **state)
{
    (void)state;
    static uint8_t memory[16 * sizeof SAMPLE_JSON];
    struct dim_catalog c;
    uint64_t least = 0;
    for (uint64_t size = 0; size <= sizeof memory; size++) {
        struct dim_arena arena = {memory, memory + size};
        status_t status = dim_json_parse(SAMPLE_JSON, strlen(SAMPLE_JSON), &arena, &c, &error);
        if (status == STATUS_OK) {
            least = size;
            break;
        }
        assert_int_equal(status, STATUS_ERR_NO_MEMORY);
    }
    assert_true(least > 0 && least < sizeof memory);
}

/* The characters that may stand where; RFC 3629, "Syntax of UTF-8 Byte Sequences". */
static void words_follow_their_rules(void **state)
{
    (void)state;
    assert_true(dim_name_ok("aZ09_-", 6) && !dim_name_ok("a.b", 3) && !dim_name_ok("", 0));
    assert_true(dim_keyword_ok("a b", 3) && !dim_keyword_ok(" a", 2) && !dim_keyword_ok("a ", 2));
    assert_true(dim_line_ok("", 0) &&
                dim_line_ok("\xc2\xa0\xe0\xa0\x80\xed\x9f\xbf\xef\xbf\xbf\xf4\x8f\xbf\xbf", 15));
    static const char *const bad[] = {"\x80",
                                      "\xc1\xbf",
                                      "\xc2",
                                      "\xc2\x41",
                                      "\xe0\x9f\xbf",
                                      "\xed\xa0\x80",
                                      "\xed\xbf\xbf",
                                      "\xf0\x8f\xbf\xbf",
                                      "\xf4\x90\x80\x80",
                                      "\xf5\x80\x80\x80",
                                      "\xc2\x85",
                                      "\x7f",
                                      "\t",
                                      "\xe2\x82",
                                      "\xff"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(dim_line_ok(bad[i], strlen(bad[i])));
        assert_false(dim_keyword_ok(bad[i], strlen(bad[i])));
    }
    char longest[DIM_MAX_LINE_BYTES + 1];
    memset(longest, 'x', sizeof longest);
    assert_true(dim_line_ok(longest, DIM_MAX_LINE_BYTES) && !dim_line_ok(longest, DIM_MAX_LINE_BYTES + 1));
    assert_true(dim_keyword_ok(longest, DIM_MAX_KEYWORD_BYTES) &&
                !dim_keyword_ok(longest, DIM_MAX_KEYWORD_BYTES + 1));
    assert_true(dim_contexts_ok((const uint8_t *)"a\n\nb\n", 5) &&
                !dim_contexts_ok((const uint8_t *)"a\nb", 3));
    assert_true(dim_contexts_ok((const uint8_t *)"", 0));
}

static bool is_keyword(const struct dim_layer_entry *layer, const char *word, size_t bytes)
{
    for (uint32_t i = 0; i < layer->keyword_count; i++) {
        if (layer->keywords[i].bytes == bytes && memcmp(layer->keywords[i].text, word, bytes) == 0) {
            return true;
        }
    }
    return false;
}

/* covers: DS-17 (generator) */
static void simulated_contexts_hold_only_the_layers_own_keywords(void **state)
{
    (void)state;
    struct dim_arena arena = whole_arena();
    struct dim_catalog c = sample(&arena);
    const struct dim_layer_entry *layer = &c.dimensions[0].layers[0];
    char text[2000];
    uint64_t bytes = dim_simulate(layer, (dim_id_t){3}, 7, (uint8_t *)text, sizeof text);
    assert_true(bytes > 1900 && dim_contexts_ok((const uint8_t *)text, bytes));
    unsigned used[3] = {0};
    for (char *line = text; line < text + bytes; line = strchr(line, '\n') + 1) {
        unsigned words = 0;
        for (char *word = line; word; words++) {
            size_t length = strcspn(word, ",\n");
            assert_true(is_keyword(layer, word, length));
            used[length == 4 ? 0 : length == 5 ? 1 : 2]++;
            word = word[length] == ',' ? word + length + 2 : NULL;
        }
        assert_true(words >= 3 && words <= 8);
    }
    assert_true(used[0] > 20 && used[1] > 20 && used[2] > 20);
}

/* covers: DS-17 (same bytes) */
static void simulated_contexts_depend_on_seed_dimension_and_layer_alone(void **state)
{
    (void)state;
    struct dim_arena arena = whole_arena();
    struct dim_catalog c = sample(&arena);
    struct dim_layer_entry layer = c.dimensions[0].layers[0];
    uint8_t a[1000], b[1000];
    uint64_t bytes = dim_simulate(&layer, (dim_id_t){3}, 7, a, sizeof a);
    assert_int_equal(dim_simulate(&layer, (dim_id_t){3}, 7, b, sizeof b), bytes);
    assert_memory_equal(a, b, bytes);
    uint64_t less = dim_simulate(&layer, (dim_id_t){3}, 7, b, 500);
    assert_true(less > 400 && less <= 500);
    assert_memory_equal(a, b, less);
    dim_simulate(&layer, (dim_id_t){3}, 8, b, sizeof b);
    assert_memory_not_equal(a, b, 500);
    dim_simulate(&layer, (dim_id_t){4}, 7, b, sizeof b);
    assert_memory_not_equal(a, b, 500);
    layer.number.number = 1;
    dim_simulate(&layer, (dim_id_t){3}, 7, b, sizeof b);
    assert_memory_not_equal(a, b, 500);
    layer.keyword_count = 0;
    assert_int_equal(dim_simulate(&layer, (dim_id_t){3}, 7, b, sizeof b), 0);
    assert_int_equal(dim_simulate(&c.dimensions[0].layers[0], (dim_id_t){3}, 7, b, 3), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_sample_is_read_as_it_stands),
        cmocka_unit_test(the_canonical_form_reads_back_to_itself),
        cmocka_unit_test(each_malformed_text_is_refused_where_it_is_wrong),
        cmocka_unit_test(an_arena_of_any_smaller_size_is_an_error_and_sixteen_times_is_enough),
        cmocka_unit_test(words_follow_their_rules),
        cmocka_unit_test(simulated_contexts_hold_only_the_layers_own_keywords),
        cmocka_unit_test(simulated_contexts_depend_on_seed_dimension_and_layer_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
