/*
 * Machine files as hostile input: damaged copies of the program's own, and tables put together from pieces of them. What is
 * read is a machine that fits together; everything else gets one line.
 */

#include "fuzz.h"

#include "script/machine_file.h"

static const char *const files[] = {"machines/inorder.lua", "machines/zen4-like.lua"};

#define FILES (sizeof files / sizeof files[0])

static struct fuzz_file texts[FILES];

static void count_fact(void *arg, const struct machine_fact *f)
{
    unsigned *count = arg;
    assert_true(f->key[0] && f->value[0] && f->source[0]);
    ++*count;
}

static void parse(const uint8_t *bytes, size_t size)
{
    struct error e = {""};
    struct timing_params p;
    unsigned facts = 0;
    uint8_t *exact = fuzz_copy(bytes, size);
    if (machine_file_parse("fuzz", (const char *)exact, size, &p, count_fact, &facts, &e)) {
        assert_true(timing_params_check(&p, NULL));
        assert_true(p.name[0] && facts > TIMING_PARAM_COUNT + COST_CLASS_COUNT);
    } else {
        assert_true(e.text[0] != 0);
        assert_null(strchr(e.text, '\n'));
    }
    free(exact);
}

static void damaged_case(struct rng *r, uint64_t seed, void *arg)
{
    (void)seed;
    (void)arg;
    const struct fuzz_file *f = &texts[fuzz_below(r, FILES)];
    uint8_t *copy = fuzz_copy(f->bytes, f->size);
    size_t size = fuzz_one_in(r, 20) ? f->size : fuzz_damage(r, copy, f->size, rng_below(r, f->size), 200);
    parse(copy, size);
    free(copy);
}

static void damaged_files_are_machines_or_get_a_line(void **state)
{
    (void)state;
    fuzz_run("machine-file", 1500, damaged_case, NULL);
}

/* ---- words moved about: the text stays Lua more often ---- */

/* The next word, string or number from `from` on, or sign; its size. */
static size_t word_at(const char *text, size_t size, size_t from)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
    size_t end = from + 1;
    if (text[from] == '"') {
        while (end < size && text[end] != '"') {
            end++;
        }
        return (end < size ? end + 1 : size) - from;
    }
    while (strchr(letters, text[from]) && end < size && text[end] && strchr(letters, text[end])) {
        end++;
    }
    return end - from;
}

static size_t some_word(struct rng *r, const struct fuzz_file *f, size_t *size)
{
    size_t at = rng_below(r, f->size);
    while (at > 0 && f->bytes[at - 1] != ' ') {
        at--;
    }
    *size = word_at((const char *)f->bytes, f->size, at);
    return at;
}

static void swapped_case(struct rng *r, uint64_t seed, void *arg)
{
    static const char *const others[] = {"0",
                                         "-1",
                                         "4294967296",
                                         "1e308",
                                         "{}",
                                         "{ {} }",
                                         "nil",
                                         "\"\"",
                                         "'a'",
                                         "{1}",
                                         "0x7fffffffffffffff",
                                         "(1)",
                                         "#{}",
                                         "\"\\0\"",
                                         "=",
                                         ",",
                                         "}",
                                         "{",
                                         "setmetatable({}, {})",
                                         "function() end",
                                         "\"pipe alu agu\""};
    (void)seed;
    (void)arg;
    const struct fuzz_file *f = &texts[fuzz_below(r, FILES)];
    struct fuzz_file copy = {fuzz_copy(f->bytes, f->size), f->size};
    for (unsigned n = 1 + fuzz_below(r, 3); n > 0; n--) {
        size_t old_size, new_size, at = some_word(r, &copy, &old_size);
        const char *other = FUZZ_PICK(r, others);
        const uint8_t *word = (const uint8_t *)other;
        if (fuzz_one_in(r, 2)) {
            word = f->bytes + some_word(r, f, &new_size);
        } else {
            new_size = strlen(other);
        }
        uint8_t *changed = malloc(copy.size - old_size + new_size + 1);
        assert_non_null(changed);
        memcpy(changed, copy.bytes, at);
        memcpy(changed + at, word, new_size);
        memcpy(changed + at + new_size, copy.bytes + at + old_size, copy.size - at - old_size);
        free(copy.bytes);
        copy = (struct fuzz_file){changed, copy.size - old_size + new_size};
        copy.bytes[copy.size] = 0;
    }
    parse(copy.bytes, copy.size);
    free(copy.bytes);
}

static void files_with_other_words_are_machines_or_get_a_line(void **state)
{
    (void)state;
    fuzz_run("machine-words", 1500, swapped_case, NULL);
}

static int open_files(void **state)
{
    (void)state;
    for (size_t i = 0; i < FILES; i++) {
        texts[i] = fuzz_read(files[i]);
        assert_non_null(texts[i].bytes);
    }
    return 0;
}

static int close_files(void **state)
{
    (void)state;
    for (size_t i = 0; i < FILES; i++) {
        free(texts[i].bytes);
    }
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(damaged_files_are_machines_or_get_a_line),
        cmocka_unit_test(files_with_other_words_are_machines_or_get_a_line),
    };
    return cmocka_run_group_tests(tests, open_files, close_files);
}
