/* Waits that have an end: at once, after a time, or because the other side gave up. */
#include "ipctest.h"

static bool ended_by_time;

/* Three waits of 3 ms: never shorter, and together less than a second. */
static bool waits_are_short(void)
{
    int64_t before = sys_clock();
    struct ipc_registers m = message(1, 1, 0, 3 * MS);
    ended_by_time = ended_by_time && sys_ipc_send(endpoint, &m) == STATUS_ERR_TIMEOUT;
    m = message(1, 1, 0, 3 * MS);
    ended_by_time = ended_by_time && sys_ipc_call(endpoint, &m) == STATUS_ERR_TIMEOUT;
    m = message(0, 0, 0, 3 * MS);
    ended_by_time = ended_by_time && sys_ipc_receive(endpoint, &m) == STATUS_ERR_TIMEOUT;
    int64_t passed = sys_clock() - before;
    ended_by_time = ended_by_time && passed >= (int64_t)(9 * MS);
    return passed < (int64_t)SECOND;
}

/* covers: IP-15 */
bool test_patience_runs_out(void)
{
    EXPECT(make_endpoint());
    struct ipc_registers m = message(1, 1, 0, 0);
    EXPECT(sys_ipc_send(endpoint, &m) == STATUS_ERR_AGAIN);
    m = message(1, 1, 0, 0);
    EXPECT(sys_ipc_call(endpoint, &m) == STATUS_ERR_AGAIN);
    m = message(0, 0, 0, 0);
    EXPECT(sys_ipc_receive(endpoint, &m) == STATUS_ERR_AGAIN);
    ended_by_time = true;
    EXPECT(tap_undisturbed(waits_are_short) && ended_by_time);
    return true;
}

static int never_answers(void)
{
    struct ipc_registers m = message(0, 0, 0, IPC_FOREVER);
    return sys_ipc_receive(endpoint, &m) == STATUS_OK && sys_sleep(3600 * SECOND) == 0 ? 0 : 1;
}

/* The one who receives has the message at once, and then there is no time left for the answer. */
bool test_a_call_without_patience_waits_for_no_answer(void)
{
    EXPECT(make_endpoint());
    int64_t server = tap_child(never_answers);
    struct ipc_registers m = message(1, 1, 0, 0);
    while (sys_ipc_call(endpoint, &m) == STATUS_ERR_AGAIN) { /* it does not receive yet */
        m = message(1, 1, 0, 0);
        sys_sleep(MS);
    }
    m = message(1, 1, 0, 0);
    EXPECT(sys_ipc_call(endpoint, &m) == STATUS_ERR_AGAIN); /* it had the message */
    EXPECT(sys_process_kill((unsigned)server, 5) == STATUS_OK);
    return tap_status(server) == 5;
}

#define TAKEN    1u
#define GIVEN_UP 2u

static handle_t between_them;

/* Takes a call whose caller then goes. */
static bool has_a_late_answer(void)
{
    uint64_t bits;
    struct ipc_registers m = message(0, 0, 0, IPC_FOREVER);
    return sys_ipc_receive(endpoint, &m) == STATUS_OK &&
           sys_notification_signal(between_them, TAKEN) == STATUS_OK &&
           sys_notification_wait(between_them, GIVEN_UP, &bits, IPC_FOREVER) == STATUS_OK;
}

/* Answers too late: the caller has gone, which is told once. */
static int late(void)
{
    if (!has_a_late_answer()) {
        return 1;
    }
    struct ipc_registers m = message(0, 0, 0, IPC_FOREVER);
    if (sys_ipc_reply(0, &m) != STATUS_ERR_PEER) {
        return 2;
    }
    m.tag = 0;
    return sys_ipc_reply(0, &m) == STATUS_ERR_STATE ? 0 : 3;
}

/* The answer gives a capability up and nobody takes it: it is told under a new name, by the answer alone and with a receive. */
static int late_with_a_capability(void)
{
    handle_t own = (handle_t)sys_endpoint_create(0);
    if (!has_a_late_answer()) {
        return 1;
    }
    static const int64_t wanted[] = {STATUS_ERR_PEER, STATUS_ERR_STATE};
    for (unsigned i = 0; i < 2; i++) {
        struct ipc_registers m = message(0, 2, 1, 0);
        m.words[1] = own | IPC_MOVE;
        uint64_t id = own_id(own);
        int64_t status = sys_ipc_reply_receive(endpoint, &m);
        uint64_t new_id = own_id(m.words[1]);
        if (status != wanted[i] || own_id(own) != 0 || new_id == 0 || new_id == id) {
            return 2;
        }
        own = m.words[1];
    }
    return sys_cap_delete(own) == STATUS_OK ? 0 : 3;
}

/* An answer that is taken gives its capability up whatever becomes of the receive after it. */
static int takes_with_a_capability(void)
{
    handle_t own = (handle_t)sys_endpoint_create(0);
    struct ipc_registers m = message(0, 0, 0, IPC_FOREVER);
    if (sys_ipc_receive(endpoint, &m) != STATUS_OK) {
        return 1;
    }
    m = message(0, 2, 1, 0);
    m.words[1] = own | IPC_MOVE;
    return sys_ipc_reply_receive(endpoint, &m) == STATUS_ERR_AGAIN && own_id(own) == 0 && m.words[1] == 0 ? 0
                                                                                                          : 2;
}

/* Calls the child until it has taken a call that was given up. */
static bool call_and_give_up(int (*child)(void))
{
    uint64_t bits;
    EXPECT(make_endpoint());
    between_them = (handle_t)sys_notification_create();
    int64_t pid = tap_child(child);
    do { /* a call that gives up before the child receives is none that the child has */
        struct ipc_registers m = message(1, 1, 0, 5 * MS);
        EXPECT(sys_ipc_call(endpoint, &m) == STATUS_ERR_TIMEOUT);
    } while (sys_notification_wait(between_them, TAKEN, &bits, 0) != STATUS_OK);
    EXPECT(sys_notification_signal(between_them, GIVEN_UP) == STATUS_OK);
    return tap_status(pid) == 0 && sys_cap_delete(between_them) == STATUS_OK;
}

/* covers: IP-15 */
bool test_a_caller_that_gave_up_is_gone(void)
{
    return call_and_give_up(late);
}

/* covers: IP-15 */
bool test_what_an_answer_gives_up_is_told(void)
{
    EXPECT(call_and_give_up(late_with_a_capability));
    EXPECT(make_endpoint());
    int64_t pid = tap_child(takes_with_a_capability);
    struct ipc_registers m = message(1, 0, 0, IPC_FOREVER);
    EXPECT(sys_ipc_call(endpoint, &m) == STATUS_OK && own_id(m.words[1]) != 0);
    return tap_status(pid) == 0 && sys_cap_delete(m.words[1]) == STATUS_OK;
}
