/* The messages of a dimension server: every operation, every wrong request, and any words at all. */

#include "store_fixture.h"

#include "dimension/protocol.h"

static const struct row {
    uint64_t label;
    uint32_t words;
    uint32_t answer;
    bool change;
    enum dim_region region;
} rows[] = {
#define DIM_OPERATION(number, id, words, answer, change, region, text) \
    {number, words, answer, change, DIM_REGION_##region},
#include "dimension/operations.def"
#undef DIM_OPERATION
};

#define ROWS (sizeof rows / sizeof rows[0])

static struct dim_message answer;
static struct dim_effect effect;

/* A good answer has the words of its row and nothing behind them, a failed one its status, of changes four words more. */
static void check_words(uint64_t label, bool good)
{
    uint32_t most = good ? 0 : 5;
    for (size_t i = 0; i < ROWS && good; i++) {
        if (rows[i].label == label) {
            most = rows[i].answer;
            assert_int_equal(effect.region, rows[i].region);
            assert_true(answer.count == most || label == DIM_OP_STATISTICS);
        }
    }
    assert_true(answer.count >= 1 && answer.count <= most);
    assert_true(good || effect.region == DIM_REGION_NONE);
    for (uint32_t i = most; i < DIM_WORDS; i++) {
        assert_int_equal(answer.words[i], 0);
    }
}

/* Asks with so many words; returns the status in the answer. */
static status_t ask(bool may_change, uint64_t label, uint32_t count, uint64_t first, uint64_t second)
{
    struct dim_message request = {.label = label, .count = count, .words = {first, second}};
    memset(&answer, 0xee, sizeof answer);
    effect = dim_serve(&store, may_change, &request, &answer);
    assert_int_equal(answer.label, label);
    check_words(label, answer.words[0] == 0);
    return (status_t)(int64_t)answer.words[0];
}

static void each_operation_answers_with_its_words(void **state)
{
    (void)state;
    struct dim_stats s;
    open_store(&small_config);
    write_dimension("dim00.odim", 0, 'x', 5000);
    assert_ok(ask(true, DIM_OP_LOAD, 1, 0, 0));
    assert_ok(ask(true, DIM_OP_LOAD, 1, 1, 0)); /* simulated */
    assert_ok(ask(false, DIM_OP_INFO, 1, 0, 0));
    assert_int_equal(answer.count, 8);
    assert_int_equal(answer.words[1], 1 | DIM_INFO_FILE);
    assert_int_equal(answer.words[2], 12288);
    assert_int_equal(answer.words[3], 1);
    assert_string_equal((char *)&answer.words[4], "real");
    assert_ok(ask(false, DIM_OP_INFO, 1, 1, 0));
    assert_int_equal(answer.words[1], 1 | DIM_INFO_SIMULATED);
    assert_ok(ask(false, DIM_OP_OPEN, 1, 0, 0));
    assert_int_equal(answer.words[1], 12288);
    assert_int_equal(answer.words[2], 1);
    assert_ok(ask(false, DIM_OP_LAYER, 2, 0, 0));
    assert_int_equal(answer.words[1], 4096);
    assert_int_equal(answer.words[2], 5000);
    assert_int_equal(answer.words[3], 1);
    assert_ok(ask(false, DIM_OP_LIST, 0, 0, 0));
    assert_int_equal(answer.words[1], 3);
    assert_int_equal(answer.words[2], 2);
    assert_ok(ask(true, DIM_OP_VALIDATE, 0, 0, 0));
    assert_ok(ask(true, DIM_OP_SWITCH, 1, 0, 0));
    assert_ok(ask(false, DIM_OP_LAYER, 2, 0, 0));
    assert_int_equal(answer.words[3], 3); /* a new generation, seen by who looks */
    assert_ok(ask(true, DIM_OP_UNLOAD, 1, 1, 0));
    assert_ok(ask(true, DIM_OP_UNLOAD, 1, 0, 0));
    assert_ok(ask(true, DIM_OP_SIMULATE, 1, 0, 0)); /* although there is a file */
    assert_ok(ask(false, DIM_OP_LIST, 0, 0, 0));
    assert_int_equal(answer.words[1], 1);
    assert_int_equal(answer.words[2], 1);
    assert_ok(ask(false, DIM_OP_BOARD, 0, 0, 0));
    assert_int_equal(answer.words[1], small_config.dimensions);
    s = store_stats();
    uint64_t figures[sizeof s / 8], first = 0;
    memcpy(figures, &s, sizeof s);
    while (first < sizeof s / 8) {
        assert_ok(ask(false, DIM_OP_STATISTICS, 1, first, 0));
        assert_int_equal(answer.count, 1 + (sizeof s / 8 - first < 7 ? sizeof s / 8 - first : 7));
        assert_memory_equal(&answer.words[1], figures + first, 8 * (answer.count - 1));
        first += answer.count - 1;
    }
    assert_ok(ask(true, DIM_OP_CLOSE, 0, 0, 0));
    assert_ok(ask(false, DIM_OP_LIST, 0, 0, 0));
    assert_int_equal(answer.words[1], 0);
    assert_status(ask(true, DIM_OP_LOAD, 1, 0, 0), STATUS_ERR_STATE);
    close_store();
}

static void wrong_requests_have_errors_of_their_own(void **state)
{
    (void)state;
    struct dim_config config = small_config;
    config.limit_bytes = 12288;
    open_store(&config);
    write_dimension("dim00.odim", 0, 'x', 5000);
    assert_status(ask(true, 0, 0, 0, 0), STATUS_ERR_UNSUPPORTED);
    assert_status(ask(true, UINT64_MAX, 1, 0, 0), STATUS_ERR_UNSUPPORTED);
    assert_status(ask(true, DIM_OP_INFO + (UINT64_C(1) << 32), 1, 0, 0), STATUS_ERR_UNSUPPORTED);
    assert_status(ask(true, DIM_OP_INFO, 0, 0, 0), STATUS_ERR_ARGUMENT);
    assert_status(ask(true, DIM_OP_INFO, 2, 0, 0), STATUS_ERR_ARGUMENT);
    assert_status(ask(true, DIM_OP_INFO, UINT32_MAX, 0, 0), STATUS_ERR_ARGUMENT);
    assert_status(ask(true, DIM_OP_INFO, 1, 65536, 0), STATUS_ERR_RANGE);
    assert_status(ask(true, DIM_OP_LAYER, 2, 0, 65536), STATUS_ERR_RANGE);
    assert_status(ask(true, DIM_OP_STATISTICS, 1, sizeof(struct dim_stats) / 8, 0), STATUS_ERR_RANGE);
    assert_status(ask(true, DIM_OP_INFO, 1, 4, 0), STATUS_ERR_DIM_UNKNOWN);
    assert_status(ask(true, DIM_OP_LAYER, 2, 4, 0), STATUS_ERR_DIM_UNKNOWN);
    assert_status(ask(true, DIM_OP_OPEN, 1, 0, 0), STATUS_ERR_DIM_NOT_LOADED);
    assert_status(ask(true, DIM_OP_LAYER, 2, 0, 0), STATUS_ERR_DIM_NOT_LOADED);
    unsigned changes = 0;
    for (size_t i = 0; i < ROWS; i++) {
        status_t status = ask(false, rows[i].label, rows[i].words, 0, 0);
        assert_int_equal(status == STATUS_ERR_PERMISSION, rows[i].change);
        changes += rows[i].change;
    }
    assert_int_equal(changes, 6);
    assert_ok(ask(true, DIM_OP_LOAD, 1, 0, 0));
    assert_status(ask(true, DIM_OP_LAYER, 2, 0, 1), STATUS_ERR_DIM_LAYER);
    assert_status(ask(true, DIM_OP_LOAD, 1, 1, 0), STATUS_ERR_LIMIT);
    assert_int_equal(answer.count, 5);
    assert_int_equal(answer.words[1], 1);
    assert_int_equal(answer.words[2], 8192);
    assert_int_equal(answer.words[3], 12288);
    assert_int_equal(answer.words[4], 12288);
    close_store();
}

/* Those that were refused have none, those that were carried out have theirs even if not everything could be given back. */
static void only_what_was_carried_out_has_an_effect(void **state)
{
    (void)state;
    open_store(&small_config);
    write_dimension("dim00.odim", 0, 'x', 5000);
    assert_ok(ask(true, DIM_OP_LOAD, 1, 0, 0));
    assert_false(effect.unloaded || effect.closed);
    assert_status(ask(true, DIM_OP_CLOSE, 1, 0, 0), STATUS_ERR_ARGUMENT);
    assert_false(effect.unloaded || effect.closed);
    assert_status(ask(false, DIM_OP_CLOSE, 0, 0, 0), STATUS_ERR_PERMISSION);
    assert_false(effect.unloaded || effect.closed);
    assert_status(ask(true, DIM_OP_UNLOAD, 2, 0, 0), STATUS_ERR_ARGUMENT);
    assert_false(effect.unloaded || effect.closed);
    assert_status(ask(true, DIM_OP_UNLOAD, 1, 65536, 0), STATUS_ERR_RANGE);
    assert_false(effect.unloaded || effect.closed);
    assert_status(ask(true, DIM_OP_UNLOAD, 1, 1, 0), STATUS_ERR_DIM_NOT_LOADED);
    assert_false(effect.unloaded || effect.closed);
    fault.fail_all[FAULT_CLOSE] = true;
    assert_int_not_equal(ask(true, DIM_OP_UNLOAD, 1, 0, 0), STATUS_OK);
    assert_true(effect.unloaded && !effect.closed);
    fault.fail_all[FAULT_CLOSE] = false;
    assert_ok(ask(true, DIM_OP_LOAD, 1, 0, 0));
    assert_ok(ask(true, DIM_OP_UNLOAD, 1, 0, 0));
    assert_true(effect.unloaded && !effect.closed);
    assert_ok(ask(true, DIM_OP_LOAD, 1, 0, 0));
    fault.fail_all[FAULT_RELEASE] = true;
    assert_int_not_equal(ask(true, DIM_OP_CLOSE, 0, 0, 0), STATUS_OK);
    assert_true(effect.closed && !effect.unloaded);
    close_store();
}

static void any_words_at_all_get_an_answer(void **state)
{
    (void)state;
    uint64_t seed = 1;
    unsigned good = 0;
    open_store(&small_config);
    write_dimension("dim00.odim", 0, 'x', 100);
    for (unsigned i = 0; i < 20000; i++) {
        uint64_t random[4];
        for (unsigned k = 0; k < 4; k++) {
            seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
            random[k] = seed >> (i % 3 == 0 && k > 1 ? 0 : 61);
        }
        uint64_t label = random[0] + (random[1] & 1 ? 16 : 0);
        good += ask(i % 2, label, (uint32_t)random[1] / 2, random[2], random[3]) == STATUS_OK;
    }
    assert_true(good > 500);
    close_store();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(each_operation_answers_with_its_words),
        STORE_TEST(wrong_requests_have_errors_of_their_own),
        STORE_TEST(only_what_was_carried_out_has_an_effect),
        STORE_TEST(any_words_at_all_get_an_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
