/* Ends of processes from outside, in the middle of their messages; files of the boot image. */
#include "abi/sched.h"
#include "ipctest.h"

#include "lib/tap.h"

#define KILLED 9

static int waits_for_an_answer(void)
{
    struct ipc_registers m = message(1, 1, 0, IPC_FOREVER);
    (void)sys_ipc_call(endpoint, &m);
    return 1;
}

static int waits_to_receive(void)
{
    struct ipc_registers m = message(0, 0, 0, IPC_FOREVER);
    (void)sys_ipc_receive(endpoint, &m);
    return 1;
}

/* covers: IP-16 (peer death: who waits in a call, and who waits to receive) */
static bool test_a_process_is_ended_while_it_waits(void)
{
    EXPECT(make_endpoint());
    int64_t pid = tap_child(waits_to_receive);
    EXPECT(tap_child_waits(pid));
    EXPECT(sys_process_kill((unsigned)pid, KILLED) == STATUS_OK && tap_status(pid) == KILLED);
    pid = tap_child(waits_for_an_answer);
    struct ipc_registers m = message(0, 0, 0, IPC_FOREVER);
    EXPECT(sys_ipc_receive(endpoint, &m) == STATUS_OK);
    EXPECT(sys_process_kill((unsigned)pid, KILLED) == STATUS_OK && tap_status(pid) == KILLED);
    m = message(0, 0, 0, 0);
    EXPECT(sys_ipc_reply(0, &m) == STATUS_ERR_PEER);
    pid = tap_child(waits_for_an_answer); /* in the queue */
    EXPECT(tap_child_waits(pid));
    EXPECT(sys_process_kill((unsigned)pid, KILLED) == STATUS_OK && tap_status(pid) == KILLED);
    m = message(0, 0, 0, 0);
    return sys_ipc_receive(endpoint, &m) == STATUS_ERR_AGAIN;
}

/* A client that goes the short way until its server is gone. */
static int calls_until_the_end(void)
{
    for (;;) {
        struct ipc_registers m = message(1, 1, 0, IPC_FOREVER);
        int64_t status = sys_ipc_call(endpoint, &m);
        if (status != STATUS_OK) {
            return status == STATUS_ERR_PEER ? 0 : 1;
        }
    }
}

/*
 * Client and server are ended in the middle of what they do, later and later, so that it hits them everywhere: the one that
 * is left learns of it, or goes on with somebody else. covers: IP-16 (X: kills at times that move by a few instructions)
 */
static bool test_an_end_at_any_time_is_noticed_by_the_other_side(void)
{
    for (uint64_t delay = 0; delay < 60; delay++) {
        EXPECT(make_endpoint());
        int64_t server = tap_child(echo);
        int64_t client = tap_child(calls_until_the_end);
        int64_t other = tap_child(calls_until_the_end);
        sys_sleep(MS / 5);
        for (uint64_t end = cycles() + delay * 41; cycles() < end;) {
        }
        EXPECT(sys_process_kill((unsigned)client, KILLED) == STATUS_OK && tap_status(client) == KILLED);
        struct ipc_registers m = message(1, 1, 0, 10 * SECOND);
        EXPECT(sys_ipc_call(endpoint, &m) == STATUS_OK); /* the server goes on */
        EXPECT(sys_process_kill((unsigned)server, KILLED) == STATUS_OK && tap_status(server) == KILLED);
        EXPECT(sys_cap_delete(endpoint) == STATUS_OK);
        /* the last one to receive has gone: who calls gets an error, unless it waits by a capability that can receive */
        int64_t status = sys_process_kill((unsigned)other, KILLED);
        EXPECT(status == STATUS_OK || status == STATUS_ERR_NO_PROCESS);
        int32_t ended = tap_status(other);
        EXPECT(ended == KILLED || ended == 0);
    }
    return true;
}

/* ---- ends at each instruction: tests/e2e/kernel_kill.lua answers getppid in the place of the kernel ---- */

/* Takes messages by turns in one call with the answer, and in two. */
static int serves_in_all_ways(void)
{
    struct ipc_registers m = message(0, 0, 0, IPC_FOREVER);
    int64_t status = sys_ipc_receive(endpoint, &m);
    for (unsigned i = 0; status == STATUS_OK || status == STATUS_ERR_PEER; i++) {
        if (status == STATUS_ERR_PEER) { /* who waited for the answer has ended */
            m = message(0, 0, 0, IPC_FOREVER);
            status = sys_ipc_receive(endpoint, &m);
            continue;
        }
        bool sent = ipc_tag_label(m.tag) == 2;
        m = message(0, 1, 0, IPC_FOREVER);
        if (!sent && i % 3 != 0) {
            status = sys_ipc_reply_receive(endpoint, &m);
            continue;
        }
        if (!sent) {
            (void)sys_ipc_reply(0, &m);
        }
        m = message(0, 0, 0, IPC_FOREVER);
        status = sys_ipc_receive(endpoint, &m);
    }
    return 1;
}

static int calls_in_all_ways(void)
{
    int64_t status = STATUS_OK;
    for (uint64_t i = 0; status == STATUS_OK || status == STATUS_ERR_PEER; i++) {
        struct ipc_registers m = message(i % 4 == 3 ? 2 : 1, 1, 0, i % 4 == 2 ? 100 * SECOND : IPC_FOREVER);
        status = i % 4 == 3 ? sys_ipc_send(endpoint, &m) : sys_ipc_call(endpoint, &m);
    }
    return 1;
}

static bool end(int64_t pid)
{
    return sys_process_kill((unsigned)pid, KILLED) == STATUS_OK && tap_status(pid) == KILLED;
}

/* One of the two was ended; the other one must go on with who did it, and then with somebody new. */
static bool goes_on_without(int64_t victim, int64_t client)
{
    EXPECT(end(victim));
    struct ipc_registers m = message(victim == client ? 1 : 0, 0, 0, 10 * SECOND);
    if (victim == client) {
        EXPECT(sys_ipc_call(endpoint, &m) == STATUS_OK);
        return true;
    }
    m.tag = 0;
    EXPECT(sys_ipc_receive(endpoint, &m) == STATUS_OK);
    bool sent = ipc_tag_label(m.tag) == 2;
    m = message(0, 1, 0, 0);
    return sent || sys_ipc_reply(0, &m) == STATUS_OK;
}

/* For tests/e2e/kernel_kill.lua, which answers. */
static bool test_an_end_at_each_instruction(void)
{
    if (sys_getppid() != TELLS) {
        return tap_skip("nobody tells when to end whom");
    }
    EXPECT(make_endpoint());
    EXPECT(sys_sched_affinity(SCHED_THREAD, 0, 1) == 0); /* they stay on CPU 0 */
    int64_t server = tap_child(serves_in_all_ways);
    int64_t client = tap_child(calls_in_all_ways);
    for (;;) {
        EXPECT(sys_sched_affinity(SCHED_THREAD, 0, 2) == 0);
        int64_t told;
        do {
            told = sys_getppid();
        } while (told != TOLD + server && told != TOLD + client && told != STOP);
        if (told == STOP) {
            return end(server) && end(client) && sys_cap_delete(endpoint) == STATUS_OK;
        }
        EXPECT(goes_on_without(told - TOLD, client));
        EXPECT(sys_sched_affinity(SCHED_THREAD, 0, 1) == 0);
        if (told == TOLD + server) {
            server = tap_child(serves_in_all_ways);
        } else {
            client = tap_child(calls_in_all_ways);
        }
    }
}

static int cannot_kill(void)
{
    bool refused = sys_process_kill((unsigned)sys_getppid(), 0) == STATUS_ERR_PERMISSION &&
                   sys_cap_delete(CAP_PROCESS) == STATUS_OK &&
                   sys_process_kill((unsigned)sys_getpid(), 0) == STATUS_ERR_CAP_INVALID;
    return refused ? 0 : 1;
}

static int ends_itself(void)
{
    (void)sys_process_kill((unsigned)sys_getpid(), 77);
    return 1;
}

/* covers: IP-14 (kill), IP-16 (lookup by the real pid) */
static bool test_who_may_end_whom(void)
{
    EXPECT(sys_process_kill(0, 0) == STATUS_ERR_ARGUMENT && sys_process_kill(1, 0) == STATUS_ERR_PERMISSION);
    EXPECT(sys_process_kill((unsigned)sys_getpid(), 256) == STATUS_ERR_ARGUMENT);
    EXPECT(sys_process_kill(4000000000u, 0) == STATUS_ERR_NO_PROCESS);
    EXPECT(tap_status(tap_child(cannot_kill)) == 0 && tap_status(tap_child(ends_itself)) == 77);
    int64_t pid = tap_child(ends_itself);
    struct process_info info = {.threads = 1};
    while (sys_process_info((unsigned)pid, &info) == STATUS_OK && info.threads != 0) {
        sys_yield();
    }
    EXPECT(info.threads == 0); /* ended, and nobody has waited for it */
    EXPECT(sys_process_kill((unsigned)pid, 5) == STATUS_ERR_NO_PROCESS && tap_status(pid) == 77);
    return true;
}

static bool test_files_of_the_boot_image_are_read(void)
{
    static char whole[4096];
    char piece[8];
    int64_t bytes = sys_file_read("motd", 0, whole, sizeof(whole));
    EXPECT(bytes > 16 && memcmp(whole, "Orrery", 6) == 0 && whole[bytes - 1] == '\n');
    for (int64_t at = 0; at < bytes; at += 8) {
        int64_t count = sys_file_read("/motd", (uint64_t)at, piece, sizeof(piece));
        EXPECT(count == (bytes - at < 8 ? bytes - at : 8) && memcmp(piece, whole + at, (size_t)count) == 0);
    }
    EXPECT(sys_file_read("motd", (uint64_t)bytes, piece, 8) == 0 &&
           sys_file_read("motd", UINT64_MAX, piece, 8) == 0);
    EXPECT(sys_file_read("no such file", 0, piece, 8) == STATUS_ERR_NOT_FOUND);
    EXPECT(sys_file_read("motd", 0, piece, 65537) == STATUS_ERR_RANGE);
    EXPECT(sys_file_read("motd", 0, (char *)(1ull << 63), 8) == STATUS_ERR_BAD_ADDRESS);
    return sys_file_read((const char *)(1ull << 63), 0, piece, 8) == STATUS_ERR_BAD_ADDRESS;
}

const struct tap_test life_tests[] = {
    {"a_process_is_ended_while_it_waits", test_a_process_is_ended_while_it_waits},
    {"an_end_at_any_time_is_noticed_by_the_other_side", test_an_end_at_any_time_is_noticed_by_the_other_side},
    {"an_end_at_each_instruction", test_an_end_at_each_instruction},
    {"who_may_end_whom", test_who_may_end_whom},
    {"files_of_the_boot_image_are_read", test_files_of_the_boot_image_are_read},
};

const unsigned life_test_count = sizeof(life_tests) / sizeof(life_tests[0]);
