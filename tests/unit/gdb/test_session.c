/* A session, packet by packet, against what the machine itself says. */

#include "base/bits.h"
#include "gdb/registers.h"
#include "gdb/session.h"
#include "guest_busy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct fixture {
    struct sim *sim;
    struct travel *travel;
    struct gdb_session *session;
    struct gdb_text out;
    bool interrupt;
};

static bool interrupted(void *arg)
{
    return ((struct fixture *)arg)->interrupt;
}

static void make(struct fixture *f, uint64_t limit)
{
    struct sim_config c;
    sim_config_init(&c);
    c.memory_bytes = SIM_MEMORY_MIN;
    c.cpus = 4;
    *f = (struct fixture){.sim = guest_busy_create(&c)};
    const struct travel_options t = {.budget_bytes = UINT64_C(64) << 20};
    const struct gdb_options o = {limit, interrupted, f};
    f->travel = travel_create(f->sim, &t);
    f->session = gdb_session_create(f->sim, f->travel, &o);
}

static void unmake(struct fixture *f)
{
    gdb_session_free(f->session);
    travel_free(f->travel);
    sim_destroy(f->sim);
    gdb_text_deinit(&f->out);
}

static const char *ask(struct fixture *f, const char *packet)
{
    f->out.size = 0;
    gdb_put(&f->out, "");
    gdb_session_answer(f->session, (const uint8_t *)packet, strlen(packet), &f->out);
    return f->out.size ? f->out.bytes : "";
}

/* A packet with numbers in it. */
static const char *askf(struct fixture *f, const char *format, ...) __attribute__((format(printf, 2, 3)));
static const char *askf(struct fixture *f, const char *format, ...)
{
    char packet[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(packet, sizeof packet, format, arguments);
    va_end(arguments);
    return ask(f, packet);
}

static void registers_are_those_of_the_machine(void **state)
{
    struct fixture f;
    struct sim_regs r;
    (void)state;
    make(&f, 50000);
    assert_string_equal(ask(&f, "c"), "T05thread:1;replaylog:end;");
    unsigned bytes = 0;
    for (unsigned i = 0; i < gdb_register_count(); i++) {
        bytes += gdb_register_bytes(i);
        assert_int_equal(strlen(askf(&f, "p%x", i)), 2 * gdb_register_bytes(i));
    }
    for (unsigned cpu = 0; cpu < 4; cpu++) {
        const char *at;
        uint8_t value[8];
        assert_string_equal(askf(&f, "Hg%x", cpu + 1), "OK");
        sim_get_regs(f.sim, cpu, &r);
        at = ask(&f, "g");
        assert_int_equal(strlen(at), 2 * bytes);
        assert_true(gdb_take_bytes(&at, value, 8) && load_le64(value) == r.gpr[0]);
        assert_true(gdb_take_bytes(&at, value, 8) && load_le64(value) == r.gpr[3]);
        at = ask(&f, "p10");
        assert_true(gdb_take_bytes(&at, value, 8) && load_le64(value) == r.linear_rip);
    }
    assert_string_equal(askf(&f, "p%x", gdb_register_count()), "E01");
    assert_string_equal(ask(&f, "Hg5"), "E01");
    unmake(&f);
}

static void what_is_written_is_read_and_goes_through_the_log(void **state)
{
    struct fixture f;
    struct sim_regs r;
    uint8_t bytes[4];
    (void)state;
    make(&f, 50000);
    ask(&f, "c");
    assert_string_equal(ask(&f, "P3=efcdab8967452301"), "OK"); /* rdx */
    sim_get_regs(f.sim, 0, &r);
    assert_int_equal(r.gpr[2], 0x0123456789abcdef);
    assert_string_equal(ask(&f, "M308000,4:01020304"), "OK");
    assert_string_equal(ask(&f, "m308000,4"), "01020304");
    assert_string_equal(ask(&f, "X308002,2:xy"), "OK");
    assert_true(sim_read_physical(f.sim, phys(0x308000), bytes, 4) && memcmp(bytes, "\001\002xy", 4) == 0);
    assert_int_equal(sim_effect_count(f.sim), 3);
    assert_string_equal(askf(&f, "P%x=0000000000000000", gdb_register_count() - 6), "E01"); /* cr0 */
    assert_string_equal(ask(&f, "M308000,4:0102"), "E01");
    assert_string_equal(ask(&f, "m8000000000000000,4"), "E01");
    assert_int_equal(sim_effect_count(f.sim), 3);
    unmake(&f);
}

static void steps_and_breakpoints_go_forwards_and_back(void **state)
{
    struct fixture f;
    struct sim_regs r;
    uint64_t first, last;
    (void)state;
    guest_busy_user(&first, &last);
    make(&f, 200000);
    assert_string_equal(askf(&f, "Z0,%llx,1", (unsigned long long)first), "OK");
    assert_string_equal(ask(&f, "vCont;c"), "T05thread:1;swbreak:;");
    sim_get_regs(f.sim, 0, &r);
    assert_int_equal(r.linear_rip, first);
    uint64_t retired = r.retired, instructions = sim_instructions(f.sim);
    assert_string_equal(ask(&f, "vCont;s:1"), "T05thread:1;");
    sim_get_regs(f.sim, 0, &r);
    assert_int_equal(r.retired, retired + 1);
    assert_string_equal(ask(&f, "bs"), "T05thread:1;");
    assert_int_equal(sim_instructions(f.sim), instructions);
    assert_string_equal(ask(&f, "c"), "T05thread:1;swbreak:;");
    assert_true(sim_instructions(f.sim) > instructions);
    assert_string_equal(ask(&f, "bc"), "T05thread:1;swbreak:;");
    assert_int_equal(sim_instructions(f.sim), instructions);
    assert_string_equal(
        askf(&f, "vCont;r%llx,%llx:1;c", (unsigned long long)first, (unsigned long long)first + 5),
        "T05thread:1;");
    sim_get_regs(f.sim, 0, &r);
    assert_int_equal(r.linear_rip, first + 5);
    assert_string_equal(askf(&f, "z0,%llx,1", (unsigned long long)first), "OK");
    assert_string_equal(askf(&f, "z0,%llx,1", (unsigned long long)first), "E01");
    assert_string_equal(ask(&f, "bc"), "T05thread:1;replaylog:begin;");
    assert_int_equal(sim_instructions(f.sim), 0);
    unmake(&f);
}

static void watchpoints_stop_behind_the_access_and_before_it(void **state)
{
    struct fixture f;
    (void)state;
    make(&f, 200000);
    assert_string_equal(ask(&f, "Z2,303000,4"), "OK"); /* the guest's count of timer interrupts */
    for (unsigned i = 1; i <= 3; i++) {
        assert_string_equal(ask(&f, "c"), "T05thread:1;watch:303000;");
        assert_string_equal(ask(&f, "m303000,1"), i == 1 ? "01" : i == 2 ? "02" : "03");
    }
    for (unsigned i = 3; i > 0; i--) {
        assert_string_equal(ask(&f, "bc"), "T05thread:1;watch:303000;");
        assert_string_equal(ask(&f, "m303000,1"), i == 1 ? "00" : i == 2 ? "01" : "02");
    }
    assert_string_equal(ask(&f, "Z5,303000,4"), "");
    assert_string_equal(ask(&f, "Z2,303000,0"), "E01");
    unmake(&f);
}

static void the_debugger_can_interrupt(void **state)
{
    struct fixture f;
    (void)state;
    make(&f, UINT64_MAX);
    f.interrupt = true;
    assert_string_equal(ask(&f, "c"), "T02thread:1;");
    assert_true(sim_cycles(f.sim) > 0);
    unmake(&f);
}

static void queries_describe_the_machine(void **state)
{
    struct fixture f;
    struct gdb_text document = {0};
    (void)state;
    make(&f, 1000);
    assert_non_null(strstr(ask(&f, "qSupported:swbreak+"), "ReverseContinue+"));
    assert_string_equal(ask(&f, "qfThreadInfo"), "m1,2,3,4");
    assert_string_equal(ask(&f, "qsThreadInfo"), "l");
    assert_string_equal(ask(&f, "T4"), "OK");
    assert_string_equal(ask(&f, "T5"), "E01");
    assert_string_equal(ask(&f, "qC"), "QC1");
    for (const char *part = "m"; part[0] == 'm';) {
        part = askf(&f, "qXfer:features:read:target.xml:%zx,100", document.size);
        assert_true(part[0] == 'm' || part[0] == 'l');
        gdb_put(&document, part + 1);
    }
    assert_non_null(strstr(document.bytes, "<reg name=\"efer\" bitsize=\"64\""));
    assert_non_null(strstr(ask(&f, "qXfer:memory-map:read::0,fff"), "type=\"ram\""));
    assert_non_null(strstr(ask(&f, "qXfer:threads:read::0,fff"), "name=\"CPU 3\""));
    assert_string_equal(ask(&f, "qXfer:features:read:other.xml:0,fff"), "");
    assert_string_equal(ask(&f, "vMustReplyEmpty"), "");
    assert_string_equal(ask(&f, "qRcmd,6379636c65"), "6379636c6520302c203020696e737472756374696f6e730a");
    gdb_text_deinit(&document);
    unmake(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(registers_are_those_of_the_machine),
        cmocka_unit_test(what_is_written_is_read_and_goes_through_the_log),
        cmocka_unit_test(steps_and_breakpoints_go_forwards_and_back),
        cmocka_unit_test(watchpoints_stop_behind_the_access_and_before_it),
        cmocka_unit_test(the_debugger_can_interrupt),
        cmocka_unit_test(queries_describe_the_machine),
    };
    return cmocka_run_group_tests_name("session", tests, NULL, NULL);
}
