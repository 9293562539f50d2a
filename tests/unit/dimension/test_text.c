/* The text form of a dimension: what is read, what is written, what is refused. covers: DS-20 */

#include "dimension_text.h"

static const char good[] = "# a comment\n"
                           "\n"
                           "orrery-dimension 1\n"
                           "dimension 3 energy\n"
                           "seed 18446744073709551615\n"
                           "layer 0 surface simulated: heat, grey light\n"
                           "layer 1 pattern real:\n"
                           "> What flows\n"
                           "# is\n"
                           ">\n"
                           ">  counted.\n"
                           "layer 300 empty real: x\n"
                           "layer 301 made simulated: y\n"
                           "> y, y, y"; /* the last line feed may be missing */

static status_t parse(const char *text, size_t size, struct dim_arena *arena, struct dim_entry *entry)
{
    char *copy = malloc(size + 1);
    assert_non_null(copy);
    memcpy(copy + 1, text, size); /* ends where its memory ends */
    char *kept = dim_arena_take(arena, size, 1);
    assert_non_null(kept);
    memcpy(kept, text, size);
    struct dim_arena own = *arena;
    status_t status = dim_text_parse(copy + 1, size, &own, entry, &error);
    if (status == STATUS_OK) {
        status = dim_text_parse(kept, size, arena, entry, &error);
    }
    free(copy);
    return status;
}

static void a_dimension_in_text_is_read_as_it_stands(void **state)
{
    (void)state;
    struct dim_arena arena = whole_arena();
    struct dim_entry e;
    assert_true(dim_text_is(good + 13, 100) && !dim_text_is(good, 100) && !dim_text_is(good + 13, 15));
    assert_ok(parse(good, strlen(good), &arena, &e));
    assert_int_equal(e.id.number, 3);
    assert_string_equal(e.name, "energy");
    assert_true(e.seed == UINT64_MAX);
    assert_int_equal(e.layer_count, 4);
    assert_int_equal(e.layers[0].flags, DIM_LAYER_SIMULATED | DIM_LAYER_TEXT);
    assert_null(e.layers[0].content);
    assert_int_equal(e.layers[0].keyword_count, 2);
    assert_memory_equal(e.layers[0].keywords[1].text, "grey light", 10);
    assert_int_equal(e.layers[1].flags, DIM_LAYER_TEXT);
    assert_int_equal(e.layers[1].keyword_count, 0);
    assert_int_equal(e.layers[1].content_bytes, 22);
    assert_memory_equal(e.layers[1].content, "What flows\n\n counted.\n", 22);
    assert_int_equal(e.layers[2].number.number, 300);
    assert_non_null(e.layers[2].content);
    assert_int_equal(e.layers[2].content_bytes, 0);
    assert_int_equal(e.layers[3].flags, DIM_LAYER_SIMULATED | DIM_LAYER_TEXT);
    assert_memory_equal(e.layers[3].content, "y, y, y\n", 8);
}

static void what_is_written_reads_back_to_the_same_file(void **state)
{
    (void)state;
    struct dim_arena arena = whole_arena();
    struct dim_entry e, again;
    static char text[60000];
    uint64_t bytes, again_bytes;
    assert_ok(parse(good, strlen(good), &arena, &e));
    uint8_t *file = build_file(&e, false, &bytes);
    assert_ok(dim_file_entry(file, &arena, &e, &error));
    text[0] = '\0';
    assert_ok(dim_text_write(&e, &(struct dim_sink){text, collect}, &error));
    assert_non_null(
        strstr(text, "dimension 3 energy\nseed 7\nlayer 0 surface simulated: heat, grey light\n> "));
    assert_non_null(
        strstr(text, "layer 1 pattern real:\n> What flows\n>\n>  counted.\nlayer 300 empty real: x\n"));
    assert_ok(parse(text, strlen(text), &arena, &again));
    uint8_t *again_file = build_file(&again, false, &again_bytes);
    assert_int_equal(bytes, again_bytes);
    assert_memory_equal(file, again_file, bytes);
    free(file);
    free(again_file);
}

static void bytes_have_no_text_form(void **state)
{
    (void)state;
    struct dim_arena arena = whole_arena();
    struct dim_catalog c = sample(&arena);
    char text[100] = "";
    assert_status(dim_text_write(&c.dimensions[0], &(struct dim_sink){text, collect}, &error),
                  STATUS_ERR_UNSUPPORTED);
    assert_error_text("dimension 3, layer 2: bytes have no text form (not supported)");
    assert_string_equal(text, "");
}

#define TOP            "orrery-dimension 1\ndimension 3 energy\n"
#define LAYER_SYNTAX   "\"layer NUMBER NAME real: KEYWORDS\" must stand here, or simulated"
#define KEYWORD_SYNTAX "a keyword of 1 to 63 bytes must stand here, at most 256 of them"

static const struct {
    const char *text, *error;
} wrong_rows[] = {
    {"", "line 1, column 1: the text must begin with \"orrery-dimension 1\""},
    {"# nothing\n", "line 1, column 1: the text must begin with \"orrery-dimension 1\""},
    {"orrery-dimension 2\n", "line 1, column 1: the text must begin with \"orrery-dimension 1\""},
    {"orrery-dimension 1 \n", "line 1, column 19: the text must begin with \"orrery-dimension 1\""},
    {"orrery-dimension 1\n", "line 1, column 1: \"dimension NUMBER NAME\" must stand here"},
    {"orrery-dimension 1\ndimension 65536 x\n",
     "line 2, column 15: \"dimension NUMBER NAME\" must stand here"},
    {"orrery-dimension 1\ndimension 03 x\n", "line 2, column 13: \"dimension NUMBER NAME\" must stand here"},
    {"orrery-dimension 1\ndimension 3\n", "line 2, column 12: \"dimension NUMBER NAME\" must stand here"},
    {"orrery-dimension 1\ndimension 3 a.b\n", "line 2, column 13: \"dimension NUMBER NAME\" must stand here"},
    {"orrery-dimension 1\ndimension 3 a b\n", "line 2, column 14: \"dimension NUMBER NAME\" must stand here"},
    {TOP, "line 2, column 1: there is no layer"},
    {TOP "seed x\n", "line 3, column 6: \"seed NUMBER\" must stand here"},
    {TOP "seed 18446744073709551616\n", "line 3, column 25: \"seed NUMBER\" must stand here"},
    {TOP "seed 1\n", "line 3, column 1: there is no layer"},
    {TOP "> x\n", "line 3, column 1: a layer must stand here, at most 1024 of them"},
    {TOP "line\n", "line 3, column 1: " LAYER_SYNTAX},
    {TOP "layer 65536 a real:\n", "line 3, column 11: " LAYER_SYNTAX},
    {TOP "layer 0 real:\n", "line 3, column 9: " LAYER_SYNTAX},
    {TOP "layer 0 a:\n", "line 3, column 9: " LAYER_SYNTAX},
    {TOP "layer 0 a false:\n", "line 3, column 10: a layer is real or simulated"},
    {TOP "layer 0 a real: \n", "line 3, column 17: one blank and keywords must stand here, or nothing"},
    {TOP "layer 0 a real:x\n", "line 3, column 16: one blank and keywords must stand here, or nothing"},
    {TOP "layer 0 a real: x,\n", "line 3, column 18: keywords are separated by a comma and one blank"},
    {TOP "layer 0 a real: x, \n", "line 3, column 20: keywords are separated by a comma and one blank"},
    {TOP "layer 0 a real: x,y\n", "line 3, column 18: keywords are separated by a comma and one blank"},
    {TOP "layer 0 a real: x,  y\n", "line 3, column 20: " KEYWORD_SYNTAX},
    {TOP "layer 0 a real: \xff\n", "line 3, column 17: " KEYWORD_SYNTAX},
    {TOP "layer 0 a real: x\r\n", "line 3, column 17: " KEYWORD_SYNTAX},
    {TOP "layer 0 a real: x\n>y\n", "line 4, column 2: one blank must follow >"},
    {TOP "layer 0 a real: x\n> \t\n",
     "line 4, column 3: a context is at most 1023 bytes of UTF-8 without control characters"},
    {TOP "layer 0 a real: x\nlayer 0 b real: x\n", "line 4, column 18: layer numbers ascend"},
    {TOP "layer 1 a real: x\nlayer 0 b real: x\n", "line 4, column 18: layer numbers ascend"},
    {TOP "layer 0 a real: x\nnonsense\n", "line 4, column 1: a layer must stand here, at most 1024 of them"},
};

static void each_malformed_text_is_refused_where_it_is_wrong(void **state)
{
    (void)state;
    unsigned differing = 0;
    for (size_t i = 0; i < sizeof wrong_rows / sizeof wrong_rows[0]; i++) {
        struct dim_arena arena = whole_arena();
        struct dim_entry e;
        char line[DIM_ERROR_TEXT_BYTES], wanted[300];
        status_t status = parse(wrong_rows[i].text, strlen(wrong_rows[i].text), &arena, &e);
        snprintf(wanted, sizeof wanted, "%s (dimension: malformed text)", wrong_rows[i].error);
        dim_error_text(&error, line, sizeof line);
        if (status != STATUS_ERR_DIM_TEXT || strcmp(line, wanted) != 0) {
            print_message("row %zu: got    %s\n        wanted %s\n", i, line, wanted);
            differing++;
        }
    }
    assert_int_equal(differing, 0);
}

static void every_cut_text_is_a_dimension_or_an_error(void **state)
{
    (void)state;
    unsigned accepted = 0;
    for (size_t size = 0; size <= strlen(good); size++) {
        struct dim_arena arena = whole_arena();
        struct dim_entry e;
        status_t status = parse(good, size, &arena, &e);
        assert_true(status == STATUS_OK || status == STATUS_ERR_DIM_TEXT);
        accepted += status == STATUS_OK;
    }
    assert_true(accepted > 20 && accepted < 150);
}

static void an_arena_of_any_smaller_size_is_an_error_and_sixteen_times_is_enough(void **state)
{
    (void)state;
    static uint8_t memory[16 * sizeof good];
    struct dim_entry e;
    uint64_t least = 0;
    for (uint64_t size = 0; size <= sizeof memory && least == 0; size++) {
        struct dim_arena arena = {memory, memory + size};
        status_t status = dim_text_parse(good, strlen(good), &arena, &e, &error);
        assert_true(status == STATUS_OK || status == STATUS_ERR_NO_MEMORY);
        least = status == STATUS_OK ? size : 0;
    }
    assert_true(least > 0 && least < sizeof memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_dimension_in_text_is_read_as_it_stands),
        cmocka_unit_test(what_is_written_reads_back_to_the_same_file),
        cmocka_unit_test(bytes_have_no_text_form),
        cmocka_unit_test(each_malformed_text_is_refused_where_it_is_wrong),
        cmocka_unit_test(every_cut_text_is_a_dimension_or_an_error),
        cmocka_unit_test(an_arena_of_any_smaller_size_is_an_error_and_sixteen_times_is_enough),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
