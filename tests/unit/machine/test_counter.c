/* Counters, trace points and what an internal error tells, on guests of a few instructions. */

#include "base/bits.h"
#include "base/check.h"
#include "guest_image.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define RECORDS_MAX 64u

struct records {
    struct trace_record record[RECORDS_MAX];
    unsigned count;
};

static void keep(void *target, const struct trace_record *r)
{
    struct records *all = target;
    assert_true(all->count < RECORDS_MAX);
    all->record[all->count++] = *r;
}

static uint64_t count_of(const struct sim *s, enum trace_point p)
{
    return sim_counter(s, (enum sim_counter)(COUNTER_TRACE_FIRST + (unsigned)p), SIM_ALL_CPUS);
}

/* Two writes to ports, one read, a device load and store (the I/O APIC's index), a WRMSR, a fault that ends it. */
GUEST_CODE(events_code, ".code32\n movb $0x5a, %al\n outb %al, $0x80\n outw %ax, $0x82\n inb $0x61, %al\n"
                        " movl $1, 0xfec00000\n movl 0xfec00010, %eax\n"
                        " movl $0x174, %ecx\n movl $8, %eax\n xorl %edx, %edx\n wrmsr\n"
                        " movb $16, %al\n outb %al, $0xf4\n.code64");

static void every_event_is_counted_and_told_once_and_in_order(void **state)
{
    (void)state;
    static struct records all;
    struct sim *s = guest_create(NULL, events_code, events_code_end);
    all.count = 0;
    sim_on_trace(s, UINT32_MAX, keep, &all);
    assert_int_equal(sim_run(s, UINT64_MAX), SIM_STOP_DEBUG_EXIT);
    static const enum trace_point order[] = {TRACE_PORT_WRITE, TRACE_PORT_WRITE, TRACE_PORT_READ,
                                             TRACE_MMIO_WRITE, TRACE_MMIO_READ,  TRACE_MSR_WRITE,
                                             TRACE_PORT_WRITE};
    assert_int_equal(all.count, 7);
    for (unsigned i = 0; i < all.count; i++) {
        assert_int_equal(all.record[i].point, order[i]);
        assert_true(i == 0 || all.record[i].now_cycles > all.record[i - 1].now_cycles);
    }
    assert_int_equal(all.record[0].field[0], 0x80);
    assert_int_equal(all.record[0].field[2], 0x5a);
    assert_int_equal(all.record[1].field[1], 2);
    assert_int_equal(all.record[3].field[0], 0xfec00000);
    assert_int_equal(all.record[5].field[0], 0x174);
    assert_int_equal(all.record[5].field[1], 8);
    assert_int_equal(count_of(s, TRACE_PORT_WRITE), 3);
    assert_int_equal(count_of(s, TRACE_PORT_READ), 1);
    assert_int_equal(count_of(s, TRACE_PAGE_WALK), 0);
    assert_int_equal(sim_counter(s, COUNTER_INSTRUCTIONS, 0), sim_instructions(s));
    sim_destroy(s);
}

/* STI counts as it leaves IF, and so do CLI and POPF. */
GUEST_CODE(
    masked_code,
    ".code32\n nop\n movl $0x8000, %esp\n sti\n nop\n nop\n nop\n cli\n nop\n pushl $0x202\n popfl\n nop\n"
    " pushl $2\n popfl\n movb $16, %al\n outb %al, $0xf4\n.code64");

static void cycles_with_interrupts_off_are_exact(void **state)
{
    (void)state;
    struct sim *s = guest_create(NULL, masked_code, masked_code_end);
    uint64_t before = sim_counter(s, COUNTER_MASKED, 0);
    assert_int_equal(before, 0);
    assert_int_equal(sim_run(s, UINT64_MAX), SIM_STOP_DEBUG_EXIT);
    /* NOP, MOV; CLI, NOP, PUSH; POPF, MOV, OUT */
    assert_int_equal(sim_counter(s, COUNTER_MASKED, 0), 2 + 3 + 3);
    assert_int_equal(sim_counter(s, COUNTER_MASKED, SIM_ALL_CPUS), 8);
    sim_destroy(s);
}

static void watching_changes_nothing(void **state)
{
    (void)state;
    static struct records all;
    struct sim *quiet = guest_create(NULL, events_code, events_code_end);
    struct sim *told = guest_create(NULL, events_code, events_code_end);
    all.count = 0;
    sim_on_trace(told, UINT32_C(1) << TRACE_MSR_WRITE, keep, &all);
    assert_int_equal(sim_run(quiet, UINT64_MAX), SIM_STOP_DEBUG_EXIT);
    assert_int_equal(sim_run(told, UINT64_MAX), SIM_STOP_DEBUG_EXIT);
    assert_int_equal(all.count, 1);
    assert_true(digest_equal(sim_state_hash(quiet), sim_state_hash(told)));
    for (unsigned c = 0; c < COUNTER_COUNT; c++) {
        assert_int_equal(sim_counter(quiet, (enum sim_counter)c, SIM_ALL_CPUS),
                         sim_counter(told, (enum sim_counter)c, SIM_ALL_CPUS));
    }
    sim_destroy(quiet);
    sim_destroy(told);
}

static void every_counter_is_found_by_its_name_and_no_other_word_is(void **state)
{
    (void)state;
    for (unsigned c = 0; c < COUNTER_COUNT; c++) {
        assert_int_equal(sim_counter_find(sim_counter_name((enum sim_counter)c)), (int)c);
        assert_true(sim_counter_help((enum sim_counter)c)[0] != 0);
    }
    assert_int_equal(sim_counter_find("ipi"), -1);
    assert_int_equal(sim_counter_find(""), -1);
}

/* ---- internal errors ---- */

static void fail_check(void *arg, unsigned cpu, uint64_t now_cycles)
{
    (void)arg;
    (void)cpu;
    (void)now_cycles;
    CHECK(false, "on purpose");
}

static void an_internal_error_tells_where_the_machine_stood(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    struct sim *s = guest_create(NULL, events_code, events_code_end);
    sim_probe_add(s, lin(GUEST_BASE + 2), fail_check, NULL);
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        sim_run(s, UINT64_MAX);
        _exit(0);
    }
    close(ends[1]);
    char text[1024] = {0};
    for (ssize_t n, size = 0; (n = read(ends[0], text + size, sizeof text - 1 - (size_t)size)) > 0;) {
        size += n;
    }
    close(ends[0]);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_non_null(strstr(text, "on purpose"));
    assert_non_null(strstr(text, "seed 1,"));
    assert_non_null(strstr(text, "rip 0x200002"));
    sim_destroy(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_event_is_counted_and_told_once_and_in_order),
        cmocka_unit_test(cycles_with_interrupts_off_are_exact),
        cmocka_unit_test(watching_changes_nothing),
        cmocka_unit_test(every_counter_is_found_by_its_name_and_no_other_word_is),
        cmocka_unit_test(an_internal_error_tells_where_the_machine_stood),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
