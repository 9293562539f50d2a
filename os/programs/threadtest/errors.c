/* What a thread is told of its last failed call. */
#include "threadtest.h"

/* The last failure, printed as well, so that tests/e2e/kernel_threads.sh can look the place up in the source. */
static struct error_report last_failure(void)
{
    struct error_report report = {.call = UINT64_MAX, .stage = UINT32_MAX};
    if (sys_error_report(&report) == STATUS_OK && report.line != 0) {
        print("# %s at %s:%u\n", status_name((status_t)report.status), report.file, report.line);
    }
    return report;
}

static bool is(uint64_t call, status_t status, enum error_stage stage, uint64_t value, uint64_t bound)
{
    struct error_report report = last_failure();
    return report.call == call && report.status == status && report.stage == stage &&
           report.detail[0] == value && report.detail[1] == bound && report.line != 0;
}

/* covers: ER-02 */
static bool test_a_failure_names_its_call_its_stage_and_what_was_wrong(void)
{
    EXPECT(syscall3(UINT64_MAX, 1, 2, 3) == STATUS_ERR_NO_SYSCALL);
    EXPECT(is(UINT64_MAX, STATUS_ERR_NO_SYSCALL, ERROR_STAGE_NUMBER, UINT64_MAX, SYS_COUNT));
    EXPECT(sys_port_read(1ull << 20, 0, 1) == STATUS_ERR_CAP_INVALID);
    EXPECT(is(SYS_PORT_READ, STATUS_ERR_CAP_INVALID, ERROR_STAGE_CAPABILITY, 1ull << 20, 0));
    EXPECT(sys_unmap(PAGE + 8, PAGE) == STATUS_ERR_UNALIGNED);
    EXPECT(is(SYS_UNMAP, STATUS_ERR_UNALIGNED, ERROR_STAGE_CHECK, PAGE + 8, PAGE));
    EXPECT(sys_console_write("", 1 << 20) == STATUS_ERR_RANGE);
    EXPECT(is(SYS_CONSOLE_WRITE, STATUS_ERR_RANGE, ERROR_STAGE_CHECK, 1 << 20, 4096));
    EXPECT(sys_sched_get(SCHED_THREAD, 999999, (struct sched_info *)(uintptr_t)PAGE) == STATUS_ERR_NOT_FOUND);
    EXPECT(is(SYS_SCHED_GET, STATUS_ERR_NOT_FOUND, ERROR_STAGE_ACTION, 999999, 0));
    EXPECT(sys_console_write((const char *)(uintptr_t)PAGE, 7) == STATUS_ERR_BAD_ADDRESS);
    return is(SYS_CONSOLE_WRITE, STATUS_ERR_BAD_ADDRESS, ERROR_STAGE_ACTION, PAGE, 7);
}

/* covers: ER-02 */
static bool test_one_status_is_told_apart_by_its_place(void)
{
    EXPECT(sys_protect(PAGE, PAGE, 8) == STATUS_ERR_UNKNOWN_BITS);
    struct error_report first = last_failure();
    EXPECT(sys_cap_derive(CAP_CONSOLE, RIGHTS_ALL + 1, 0) == STATUS_ERR_UNKNOWN_BITS);
    struct error_report second = last_failure();
    EXPECT(strcmp(first.file, "os/kernel/sys/call_memory.c") == 0 && first.line != 0);
    EXPECT(strcmp(second.file, "os/kernel/sys/call_cap.c") == 0 && second.line != 0);
    EXPECT(sys_map(0, PAGE, 8) == STATUS_ERR_UNKNOWN_BITS);
    struct error_report third = last_failure();
    return strcmp(third.file, first.file) == 0 && third.line != first.line;
}

/* Sends an empty message with this tag, which no message may have: is it refused for the reason that these two tell? */
static bool tag_is_refused(handle_t endpoint, uint64_t tag, uint64_t value, uint64_t bound)
{
    struct ipc_registers m = {.tag = tag};
    return sys_ipc_send(endpoint, &m) == STATUS_ERR_ARGUMENT &&
           is(SYS_IPC_SEND, STATUS_ERR_ARGUMENT, ERROR_STAGE_CHECK, value, bound);
}

/* covers: ER-02 */
static bool test_a_tag_is_refused_with_the_bound_that_it_breaks(void)
{
    handle_t endpoint = (handle_t)sys_endpoint_create(0);
    EXPECT((int64_t)endpoint >= 0);
    EXPECT(tag_is_refused(endpoint, ipc_tag(0, IPC_WORDS + 1, 0), IPC_WORDS + 1, IPC_WORDS));
    EXPECT(tag_is_refused(endpoint, ipc_tag(0, IPC_WORDS, IPC_MAX_HANDLES + 1), IPC_MAX_HANDLES + 1,
                          IPC_MAX_HANDLES));
    EXPECT(tag_is_refused(endpoint, ipc_tag(0, 1, 2), 2, 1));
    return sys_cap_delete(endpoint) == STATUS_OK;
}

static uint64_t fails_in_its_own_way(void *argument)
{
    (void)argument;
    struct error_report none = {.status = STATUS_ERR_BUSY};
    bool fresh = sys_error_report(&none) == STATUS_OK && none.status == STATUS_OK && none.call == 0;
    return fresh && sys_unmap(8, PAGE) == STATUS_ERR_UNALIGNED &&
           is(SYS_UNMAP, STATUS_ERR_UNALIGNED, ERROR_STAGE_CHECK, 8, PAGE);
}

static int child_has_none(void)
{
    struct error_report none = {.status = STATUS_ERR_BUSY};
    return sys_error_report(&none) == STATUS_OK && none.status == STATUS_OK ? 5 : 6;
}

/* Neither what succeeds nor what others do changes it. covers: ER-02 */
static bool test_a_report_is_its_threads_own_and_stays(void)
{
    uint64_t good = 0;
    EXPECT(sys_unmap(PAGE + 1, PAGE) == STATUS_ERR_UNALIGNED);
    EXPECT(sys_yield() == STATUS_OK && sys_getpid() > 0);
    int64_t tid = thread_start(fails_in_its_own_way, NULL, 0);
    EXPECT(thread_join(tid, &good) == STATUS_OK && good == 1);
    EXPECT(tap_status(tap_child(child_has_none)) == 5);
    EXPECT(is(SYS_UNMAP, STATUS_ERR_UNALIGNED, ERROR_STAGE_CHECK, PAGE + 1, PAGE));
    EXPECT(sys_error_report((struct error_report *)(uintptr_t)8) == STATUS_ERR_BAD_ADDRESS);
    return is(SYS_ERROR_REPORT, STATUS_ERR_BAD_ADDRESS, ERROR_STAGE_CHECK, 8, sizeof(struct error_report));
}

/* A place that another call has noted, or one that failed otherwise, is not passed for this one's. covers: ER-02 */
static bool test_a_place_that_nobody_noted_is_not_invented(void)
{
    EXPECT(sys_thread_join((unsigned)sys_thread_self(), NULL, 0) == STATUS_ERR_ARGUMENT);
    struct error_report unknown = last_failure();
    EXPECT(unknown.call == SYS_THREAD_JOIN && unknown.status == STATUS_ERR_ARGUMENT);
    EXPECT(unknown.stage == ERROR_STAGE_ACTION && unknown.line == 0 && unknown.file[0] == '\0');
    EXPECT(unknown.detail[0] == 0 && unknown.detail[1] == 0);
    EXPECT(syscall3(SYS_THREAD_JOIN, 1ull << 40, 0, 0) == STATUS_ERR_ARGUMENT);
    EXPECT(is(SYS_THREAD_JOIN, STATUS_ERR_ARGUMENT, ERROR_STAGE_CHECK, 1ull << 40, UINT32_MAX));
    EXPECT(sys_thread_join((unsigned)sys_thread_self(), NULL, 0) == STATUS_ERR_ARGUMENT);
    return last_failure().line == 0;
}

const struct tap_test error_tests[] = {
    {"a_failure_names_its_call_its_stage_and_what_was_wrong",
     test_a_failure_names_its_call_its_stage_and_what_was_wrong},
    {"one_status_is_told_apart_by_its_place", test_one_status_is_told_apart_by_its_place},
    {"a_tag_is_refused_with_the_bound_that_it_breaks", test_a_tag_is_refused_with_the_bound_that_it_breaks},
    {"a_report_is_its_threads_own_and_stays", test_a_report_is_its_threads_own_and_stays},
    {"a_place_that_nobody_noted_is_not_invented", test_a_place_that_nobody_noted_is_not_invented},
};
const unsigned error_test_count = sizeof(error_tests) / sizeof(error_tests[0]);
