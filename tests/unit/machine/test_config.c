/* The parameters of a machine: names, texts, bounds. */

#include "machine/sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static bool set(struct sim_config *c, const char *name, const char *text)
{
    int p = sim_parameter_find(name);
    assert_true(p >= 0);
    return sim_config_set(c, (enum sim_parameter)p, text, NULL);
}

static void every_parameter_is_found_by_its_name(void **state)
{
    (void)state;
    for (unsigned i = 0; i < PARAMETER_COUNT; i++) {
        assert_int_equal(sim_parameter_find(sim_parameter_name((enum sim_parameter)i)), (int)i);
        assert_true(sim_parameter_help((enum sim_parameter)i)[0] &&
                    sim_parameter_argument((enum sim_parameter)i)[0]);
    }
    assert_int_equal(sim_parameter_find("cpu-s"), -1);
    assert_int_equal(sim_parameter_find(""), -1);
}

static void texts_become_values(void **state)
{
    (void)state;
    struct sim_config c;
    sim_config_init(&c);
    assert_true(set(&c, "cpus", "8") && c.cpus == 8);
    assert_true(set(&c, "memory", "0x40M") && c.memory_bytes == UINT64_C(64) << 20);
    assert_true(set(&c, "memory", "2G") && c.memory_bytes == UINT64_C(2) << 30);
    assert_true(set(&c, "memory-limit", "33554432") && c.memory_limit_bytes == UINT64_C(32) << 20);
    assert_true(set(&c, "numa", "2") && c.numa_nodes == 2);
    assert_true(set(&c, "board", "microvm") && c.board == BOARD_MICROVM);
    assert_true(set(&c, "engine", "timed") && c.engine == ENGINE_TIMED);
    assert_true(set(&c, "machine", "zen4-like") && strcmp(c.machine, "zen4-like") == 0 && !c.timing);
    assert_true(set(&c, "memory-model", "sc") && c.memory_model == MODEL_SC);
    assert_true(set(&c, "memory-model", "tso") && c.memory_model == MODEL_TSO);
    assert_true(set(&c, "order", "lookahead") && c.lookahead && set(&c, "order", "strict") && !c.lookahead);
    assert_true(set(&c, "store-capacity", "1") && c.store_capacity == 1);
    assert_true(set(&c, "cpu", "tcg72") && strcmp(c.cpu_model, "tcg72") == 0);
    assert_true(set(&c, "seed", "18446744073709551615") && c.seed == UINT64_MAX);
    assert_true(set(&c, "rtc", "0") && c.rtc_start == 0);
    assert_true(set(&c, "disk", "a.img") && set(&c, "disk", "b.img") && c.disk_count == 2);
    assert_string_equal(c.disks[0], "a.img");
    assert_string_equal(c.disks[1], "b.img");
    assert_true(set(&c, "disk", "c.img") && !set(&c, "disk", "d.img") && !set(&c, "disk", ""));
    assert_true(set(&c, "entropy", "on") && c.entropy && set(&c, "entropy", "off") && !c.entropy);
    assert_true(set(&c, "serial-timing", "real") && !c.instant_serial);
    assert_true(set(&c, "backend", "translator") && c.translate && set(&c, "backend", "interpreter") &&
                !c.translate);
    assert_true(set(&c, "blocks", "single") && c.single_step_blocks);
    assert_int_equal(c.given, (UINT32_C(1) << PARAMETER_COUNT) - 1);
}

static void what_is_no_value_is_refused_and_named(void **state)
{
    (void)state;
    static const char *const bad[][2] = {
        {"cpus", ""},
        {"cpus", "-1"},
        {"cpus", "1x"},
        {"cpus", "0"},
        {"cpus", "65"},
        {"cpus", "4294967297"},
        {"memory", "15M"},
        {"memory", "65G"},
        {"memory", "17000K"},
        {"numa", "0"},
        {"numa", "9"},
        {"store-capacity", "65"},
        {"memory", "1T"},
        {"memory", "M"},
        {"memory", "99999999999G"},
        {"board", "p"},
        {"board", "pc|"},
        {"board", ""},
        {"board", "pc|microvm"},
        {"engine", "Fast"},
        {"seed", "18446744073709551616"},
        {"store-capacity", "0"},
        {"cpu", ""},
        {"rtc", "253402300800"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct sim_config c;
        struct error e;
        sim_config_init(&c);
        int p = sim_parameter_find(bad[i][0]);
        assert_false(sim_config_set(&c, (enum sim_parameter)p, bad[i][1], &e));
        assert_non_null(strstr(e.text, bad[i][0]));
        assert_int_equal(c.given, 0);
    }
}

static void assert_no_machine(const struct sim_config *c)
{
    struct error e = {""};
    assert_null(sim_create(c, &e));
    assert_true(e.text[0] != 0);
}

static void values_that_do_not_fit_together_make_no_machine(void **state)
{
    (void)state;
    static const char *const bad[][2] = {{"numa", "2"}, {"cpu", "z80"}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct sim_config c;
        sim_config_init(&c);
        assert_true(set(&c, bad[i][0], bad[i][1]));
        assert_no_machine(&c);
    }
}

static void a_structure_that_was_filled_by_hand_is_checked_too(void **state)
{
    (void)state;
    struct timing_params timing = {.name = "all zero"};
    struct sim_config c[10];
    for (size_t i = 0; i < sizeof c / sizeof c[0]; i++) {
        sim_config_init(&c[i]);
    }
    c[0].cpus = 65;
    c[1].cpus = 0;
    c[2].memory_bytes = (UINT64_C(17) << 20) - 4096;
    c[3].numa_nodes = 0;
    c[4].store_capacity = 65;
    c[5].disk_count = SIM_DISKS_MAX + 1;
    c[6].timing = c[7].timing = &timing; /* with the fast engine; with numbers out of bounds */
    c[7].engine = ENGINE_TIMED;
    c[8].machine = "unread";
    c[9].timing = &timing;
    c[9].engine = ENGINE_TIMED;
    c[9].store_capacity = 7; /* of a machine with another store queue */
    for (size_t i = 0; i < sizeof c / sizeof c[0]; i++) {
        assert_no_machine(&c[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_parameter_is_found_by_its_name),
        cmocka_unit_test(texts_become_values),
        cmocka_unit_test(what_is_no_value_is_refused_and_named),
        cmocka_unit_test(values_that_do_not_fit_together_make_no_machine),
        cmocka_unit_test(a_structure_that_was_filled_by_hand_is_checked_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
