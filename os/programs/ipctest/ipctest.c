/*
 * ipctest: messages from the user's side, good and bad. A child inherits the handles of its parent, each as a capability of
 * its own.
 */
#include "ipctest.h"

#include "lib/tap.h"

handle_t endpoint;

struct ipc_registers message(uint64_t label, unsigned words, unsigned handles, uint64_t patience)
{
    struct ipc_registers m = {.tag = ipc_tag(label, words, handles), .time = patience};
    return m;
}

bool make_endpoint(void)
{
    int64_t made = sys_endpoint_create(0);
    endpoint = (handle_t)made;
    return made > 0;
}

uint64_t own_id(handle_t handle)
{
    struct cap_info info = {0};
    return sys_cap_read(handle, &info) == STATUS_OK ? info.id : 0;
}

/* ---- calls ---- */

/* Answers calls with every word + 1 and the badge in the label, until one has label 99. */
static int adder(void)
{
    struct ipc_registers m = message(0, 0, 0, IPC_FOREVER);
    int64_t status = sys_ipc_receive(endpoint, &m);
    while (status == STATUS_OK && ipc_tag_label(m.tag) != 99) {
        for (unsigned i = 0; i < IPC_WORDS; i++) {
            m.words[i]++;
        }
        m.tag = ipc_tag(m.badge & 0xffffffff, 8, 0);
        m.time = IPC_FOREVER;
        status = sys_ipc_reply_receive(endpoint, &m);
    }
    m.tag = 0;
    return status == STATUS_OK && sys_ipc_reply(0, &m) == STATUS_OK ? 0 : 1;
}

static bool call_adder(uint64_t seed, uint64_t *stamp)
{
    struct ipc_registers m = message(seed, 8, 0, IPC_FOREVER);
    for (unsigned i = 0; i < IPC_WORDS; i++) {
        m.words[i] = seed << 32 | i;
    }
    uint64_t before = cycles();
    EXPECT(sys_ipc_call(endpoint, &m) == STATUS_OK);
    EXPECT(m.time >= before && m.time <= cycles() && m.time > *stamp);
    *stamp = m.time;
    EXPECT(ipc_tag_label(m.tag) == (own_id(endpoint) & 0xffffffff));
    for (unsigned i = 0; i < IPC_WORDS; i++) {
        EXPECT(m.words[i] == (seed << 32 | i) + 1);
    }
    return true;
}

static bool finish_adder(int64_t pid)
{
    struct ipc_registers m = message(99, 0, 0, IPC_FOREVER);
    EXPECT(sys_ipc_call(endpoint, &m) == STATUS_OK && m.tag == 0);
    return tap_status(pid) == 0;
}

/* covers: IP-17 IP-21 */
static bool test_calls_are_answered_word_for_word(void)
{
    EXPECT(make_endpoint());
    int64_t pid = tap_child(adder);
    uint64_t stamp = 0;
    for (uint64_t i = 100; i < 300; i++) {
        EXPECT(call_adder(i, &stamp));
    }
    return finish_adder(pid);
}

/* covers: ST-07 (messages) */
static bool test_calls_are_counted_whichever_way_they_go(void)
{
    struct process_info before = {0};
    struct process_info after = {0};
    struct ipc_stats calls = {0};
    struct ipc_stats more = {0};
    EXPECT(make_endpoint());
    int64_t pid = tap_child(adder);
    uint64_t stamp = 0;
    EXPECT(call_adder(1, &stamp) && sys_ipc_stats(&calls) == STATUS_OK);
    EXPECT(sys_process_info(0, &before) == STATUS_OK);
    for (uint64_t i = 100; i < 300; i++) {
        EXPECT(call_adder(i, &stamp));
    }
    for (unsigned i = 0; i < 10; i++) { /* patience that has an end: the long way */
        struct ipc_registers m = message(i, 8, 0, 1000000000);
        EXPECT(sys_ipc_call(endpoint, &m) == STATUS_OK);
    }
    EXPECT(sys_process_info(0, &after) == STATUS_OK && sys_ipc_stats(&more) == STATUS_OK);
    EXPECT(after.messages == before.messages + 210);
    print("# %llu calls and answers went the short way\n",
          (unsigned long long)(more.short_way - calls.short_way));
    return finish_adder(pid);
}

static bool test_words_beyond_the_tag_arrive_as_zero(void)
{
    EXPECT(make_endpoint());
    int64_t pid = tap_child(adder);
    struct ipc_registers m = message(5, 3, 0, IPC_FOREVER);
    for (unsigned i = 0; i < IPC_WORDS; i++) {
        m.words[i] = 77;
    }
    EXPECT(sys_ipc_call(endpoint, &m) == STATUS_OK);
    for (unsigned i = 0; i < IPC_WORDS; i++) {
        EXPECT(m.words[i] == (i < 3 ? 78 : 1));
    }
    return finish_adder(pid);
}

/* ---- waiting ---- */

static int send_three(void)
{
    struct ipc_registers m = message(1, 1, 0, IPC_FOREVER);
    for (uint64_t i = 0; i < 3; i++) {
        m.words[0] = i;
        if (sys_ipc_send(endpoint, &m) != STATUS_OK) {
            return 1;
        }
    }
    return 0;
}

static bool test_sends_wait_for_who_receives(void)
{
    EXPECT(make_endpoint());
    int64_t pid = tap_child(send_three);
    EXPECT(tap_child_waits(pid));
    EXPECT(sys_wait((unsigned)pid, NULL, WAIT_NO_BLOCK) == 0);
    uint64_t stamp = 0;
    for (uint64_t i = 0; i < 3; i++) {
        struct ipc_registers m = message(0, 0, 0, IPC_FOREVER);
        EXPECT(sys_ipc_receive(endpoint, &m) == STATUS_OK && m.words[0] == i && m.time > stamp);
        stamp = m.time;
    }
    return tap_status(pid) == 0;
}

/* covers: IP-14 (tags, handles) IP-15 */
static bool test_tags_and_handles_are_checked(void)
{
    EXPECT(make_endpoint());
    struct ipc_registers m = {.tag = 9};
    EXPECT(sys_ipc_send(endpoint, &m) == STATUS_ERR_ARGUMENT);
    m = (struct ipc_registers){.tag = 0x100};
    EXPECT(sys_ipc_send(endpoint, &m) == STATUS_ERR_UNKNOWN_BITS);
    m = (struct ipc_registers){.tag = ipc_tag(0, 1, 2)};
    EXPECT(sys_ipc_call(endpoint, &m) == STATUS_ERR_ARGUMENT);
    m = (struct ipc_registers){.tag = ipc_tag(0, IPC_WORDS, IPC_MAX_HANDLES + 1)};
    EXPECT(sys_ipc_send(endpoint, &m) == STATUS_ERR_ARGUMENT);
    m = (struct ipc_registers){.tag = 1};
    EXPECT(sys_ipc_receive(endpoint, &m) == STATUS_ERR_UNKNOWN_BITS);
    m = (struct ipc_registers){.tag = 0};
    EXPECT(sys_ipc_send(endpoint + 1000, &m) == STATUS_ERR_CAP_INVALID);
    m = (struct ipc_registers){.tag = 0};
    EXPECT(sys_ipc_send(endpoint + (1ull << 32), &m) == STATUS_ERR_CAP_GENERATION);
    m = (struct ipc_registers){.tag = 0};
    EXPECT(sys_ipc_send(CAP_CONSOLE, &m) == STATUS_ERR_CAP_TYPE);
    m = (struct ipc_registers){.tag = 0};
    EXPECT(sys_ipc_reply(endpoint, &m) == STATUS_ERR_CAP_TYPE);
    m = (struct ipc_registers){.tag = 0};
    EXPECT(sys_ipc_reply(0, &m) == STATUS_ERR_STATE && sys_ipc_reply_save() == STATUS_ERR_STATE);
    EXPECT(sys_endpoint_create(1) == STATUS_ERR_UNKNOWN_BITS);
    return true;
}

/* ---- the other side ends ---- */

/* Makes an endpoint of its own, passes on what is needed to call it, takes one call and ends without an answer. */
static int dies_with_a_call(void)
{
    handle_t own = (handle_t)sys_endpoint_create(0);
    struct ipc_registers m = message(7, 1, 1, IPC_FOREVER);
    m.words[0] = own | (uint64_t)RIGHT_READ << IPC_REMOVE_SHIFT;
    if (sys_ipc_send(endpoint, &m) != STATUS_OK) {
        return 1;
    }
    m = message(0, 0, 0, IPC_FOREVER);
    if (sys_ipc_receive(own, &m) != STATUS_OK) {
        return 2;
    }
    sys_sleep(3 * MS);
    return m.words[0] == 1 ? 0 : 3;
}

static int dies_with_callers_queued(void)
{
    handle_t own = (handle_t)sys_endpoint_create(0);
    struct ipc_registers m = message(7, 1, 1, IPC_FOREVER);
    m.words[0] = own | (uint64_t)RIGHT_READ << IPC_REMOVE_SHIFT;
    int64_t status = sys_ipc_send(endpoint, &m);
    sys_sleep(3 * MS);
    return status == STATUS_OK ? 0 : 1;
}

static bool call_the_dying(int (*server)(void))
{
    EXPECT(make_endpoint());
    int64_t pid = tap_child(server);
    struct ipc_registers m = message(0, 0, 0, IPC_FOREVER);
    EXPECT(sys_ipc_receive(endpoint, &m) == STATUS_OK && ipc_tag_handles(m.tag) == 1);
    handle_t theirs = m.words[0];
    struct cap_info info;
    EXPECT(sys_cap_read(theirs, &info) == STATUS_OK && info.type == CAP_ENDPOINT);
    EXPECT(info.rights == (RIGHTS_ALL & ~RIGHT_READ));
    m = message(1, 1, 0, IPC_FOREVER);
    m.words[0] = 1;
    EXPECT(sys_ipc_call(theirs, &m) == STATUS_ERR_PEER);
    EXPECT(tap_status(pid) == 0);
    m = message(1, 1, 0, IPC_FOREVER);
    EXPECT(sys_ipc_send(theirs, &m) == STATUS_ERR_PEER);
    return true;
}

/* covers: IP-15 IP-16 */
static bool test_a_server_that_ends_wakes_its_caller(void)
{
    return call_the_dying(dies_with_a_call);
}

/* covers: IP-16 IP-29 */
static bool test_a_server_that_ends_wakes_who_is_queued(void)
{
    return call_the_dying(dies_with_callers_queued);
}

/* ---- capabilities in messages ---- */

/* Answers a call that brings one handle with what can be done by it: bit 0 send, bit 1 receive; and with its rights. */
static int tries_handles(void)
{
    struct ipc_registers m = message(0, 0, 0, IPC_FOREVER);
    int64_t status = sys_ipc_receive(endpoint, &m);
    while (status == STATUS_OK && ipc_tag_label(m.tag) != 99) {
        handle_t got = m.words[ipc_tag_words(m.tag) - 1];
        struct cap_info info = {0};
        uint64_t can = 0;
        struct ipc_registers t = message(0, 0, 0, 0);
        can |= sys_ipc_send(got, &t) == STATUS_ERR_AGAIN ? 1 : 0;
        t = message(0, 0, 0, 0);
        can |= sys_ipc_receive(got, &t) == STATUS_ERR_STATE ? 2 : 0; /* it has a call to answer */
        m = message(can, 2, 0, IPC_FOREVER);
        m.words[0] = sys_cap_read(got, &info) == STATUS_OK ? info.rights : UINT64_MAX;
        m.words[1] = info.id;
        status = sys_ipc_reply_receive(endpoint, &m);
    }
    m.tag = 0;
    return status == STATUS_OK && sys_ipc_reply(0, &m) == STATUS_OK ? 0 : 1;
}

/* covers: IP-18 IP-26 CP-11 */
static bool test_rights_only_shrink_on_the_way(void)
{
    EXPECT(make_endpoint());
    handle_t passed = (handle_t)sys_endpoint_create(0);
    int64_t pid = tap_child(tries_handles);
    for (uint64_t removed = 0; removed <= RIGHTS_ALL; removed++) {
        struct ipc_registers m = message(1, 3, 1, IPC_FOREVER);
        m.words[2] = passed | removed << IPC_REMOVE_SHIFT;
        EXPECT(sys_ipc_call(endpoint, &m) == STATUS_OK);
        EXPECT(m.words[0] == (RIGHTS_ALL & ~removed) && m.words[1] != own_id(passed));
        /* the receiver of a receive needs no right to write, and the other way round */
        uint64_t can = (removed & RIGHT_WRITE ? 0 : 1u) | (removed & RIGHT_READ ? 0 : 2u);
        EXPECT(ipc_tag_label(m.tag) == can);
    }
    return finish_adder(pid);
}

/* Gets a capability without the right to grant, and one it holds no more. */
static int cannot_grant(void)
{
    struct ipc_registers m = message(0, 0, 0, IPC_FOREVER);
    if (sys_ipc_receive(endpoint, &m) != STATUS_OK) {
        return 1;
    }
    handle_t got = m.words[0];
    m = message(0, 0, 0, IPC_FOREVER);
    if (sys_ipc_reply(0, &m) != STATUS_OK) {
        return 2;
    }
    m = message(1, 2, 2, 0);
    m.words[0] = endpoint;
    m.words[1] = got;
    if (sys_ipc_call(endpoint, &m) != STATUS_ERR_CAP_RIGHTS) {
        return 3;
    }
    m = message(1, 1, 1, 0);
    m.words[0] = got + 1000;
    return sys_ipc_send(endpoint, &m) == STATUS_ERR_CAP_INVALID ? 0 : 4;
}

/* covers: IP-26 CP-11 */
static bool test_passing_on_needs_the_right_to_grant(void)
{
    EXPECT(make_endpoint());
    handle_t passed = (handle_t)sys_endpoint_create(0);
    int64_t pid = tap_child(cannot_grant);
    struct ipc_registers m = message(1, 1, 1, IPC_FOREVER);
    m.words[0] = passed | (uint64_t)RIGHT_GRANT << IPC_REMOVE_SHIFT;
    EXPECT(sys_ipc_call(endpoint, &m) == STATUS_OK);
    return tap_status(pid) == 0;
}

/* A message that nobody takes brings its capability back to nobody: the sender has what it had. */
static bool test_undelivered_capabilities_do_not_leak(void)
{
    EXPECT(make_endpoint());
    handle_t passed = (handle_t)sys_endpoint_create(0);
    for (unsigned i = 0; i < 100; i++) {
        struct ipc_registers m = message(1, 2, 2, i % 10 == 0 ? MS / 10 : 0);
        m.words[0] = passed;
        m.words[1] = endpoint;
        int64_t status = sys_ipc_send(endpoint, &m);
        EXPECT(status == (i % 10 == 0 ? STATUS_ERR_TIMEOUT : STATUS_ERR_AGAIN));
    }
    struct ipc_registers m = message(0, 0, 0, 0);
    EXPECT(sys_ipc_receive(endpoint, &m) == STATUS_ERR_AGAIN);
    return true;
}

/* What is given up is gone at once, and comes back when the message does not arrive. */
static bool test_what_is_moved_is_given_up(void)
{
    EXPECT(make_endpoint());
    handle_t passed = (handle_t)sys_endpoint_create(0);
    uint64_t id = own_id(passed);
    struct ipc_registers m = message(1, 2, 1, 0);
    m.words[1] = passed | IPC_MOVE;
    EXPECT(sys_ipc_send(endpoint, &m) == STATUS_ERR_AGAIN);
    EXPECT(own_id(passed) == 0 && own_id(m.words[1]) != 0 && own_id(m.words[1]) != id);
    passed = m.words[1];
    m.words[1] = (passed + 1000) | IPC_MOVE;
    m.tag = ipc_tag(1, 2, 2);
    m.words[0] = passed | IPC_MOVE;
    EXPECT(sys_ipc_send(endpoint, &m) == STATUS_ERR_CAP_INVALID);
    EXPECT(own_id(passed) != 0); /* both or none */
    int64_t pid = tap_child(tries_handles);
    m = message(1, 1, 1, IPC_FOREVER);
    m.words[0] = passed | IPC_MOVE;
    EXPECT(sys_ipc_call(endpoint, &m) == STATUS_OK && m.words[0] == RIGHTS_ALL && own_id(passed) == 0);
    return finish_adder(pid);
}

/* ---- revocation ---- */

/* A child's capability is derived from its parent's, and goes when the parent revokes that. */
static int waits_to_receive(void)
{
    struct ipc_registers m = message(0, 0, 0, IPC_FOREVER);
    return sys_ipc_receive(endpoint, &m) == STATUS_ERR_CAP_REVOKED ? 0 : 1;
}

static int waits_to_send(void)
{
    struct ipc_registers m = message(0, 0, 0, IPC_FOREVER);
    return sys_ipc_send(endpoint, &m) == STATUS_ERR_CAP_REVOKED ? 0 : 1;
}

static int waits_for_an_answer(void)
{
    struct ipc_registers m = message(0, 0, 0, IPC_FOREVER);
    return sys_ipc_call(endpoint, &m) == STATUS_ERR_CAP_REVOKED ? 0 : 1;
}

static handle_t waited_for;

static int waits_for_a_notification(void)
{
    uint64_t bits;
    return sys_notification_wait(waited_for, 1, &bits, IPC_FOREVER) == STATUS_ERR_CAP_REVOKED ? 0 : 1;
}

static int waits_for_a_channel(void)
{
    struct channel_message one;
    return sys_channel_take(waited_for, &one, 1, IPC_FOREVER) == STATUS_ERR_CAP_REVOKED ? 0 : 1;
}

static bool revoked_while(int (*function)(void), handle_t handle)
{
    int64_t pid = tap_child(function);
    EXPECT(tap_child_waits(pid));
    EXPECT(sys_cap_revoke(handle) >= 1);
    return tap_status(pid) == 0;
}

/* covers: IP-15 (revocation), CP-08 (who waits is woken) */
static bool test_a_revocation_wakes_who_waits(void)
{
    EXPECT(make_endpoint());
    EXPECT(revoked_while(waits_to_receive, endpoint) && revoked_while(waits_to_send, endpoint));
    EXPECT(revoked_while(waits_for_an_answer, endpoint));
    waited_for = (handle_t)sys_notification_create();
    EXPECT(revoked_while(waits_for_a_notification, waited_for));
    waited_for = (handle_t)sys_channel_create(4, 0, -1);
    EXPECT(revoked_while(waits_for_a_channel, waited_for));
    int64_t pid = tap_child(waits_for_an_answer);
    struct ipc_registers m = message(0, 0, 0, IPC_FOREVER);
    EXPECT(sys_ipc_receive(endpoint, &m) == STATUS_OK);
    EXPECT(sys_cap_revoke(endpoint) == 1 && tap_status(pid) == 0);
    m = message(0, 0, 0, 0);
    EXPECT(sys_ipc_reply(0, &m) == STATUS_ERR_PEER); /* the other side learns of it as well */
    return true;
}

/* Whether it comes before the wait, in it, or in between, where tests/e2e/ipc_race.lua stops who is about to wait. */
static bool test_a_revocation_at_any_time_ends_the_wait(void)
{
    static int (*const waits[])(void) = {waits_to_receive, waits_to_send, waits_for_an_answer};
    EXPECT(make_endpoint());
    for (unsigned i = 0; i < 3; i++) {
        int64_t pid = tap_child(waits[i]);
        sys_sleep(2 * MS);
        EXPECT(sys_cap_revoke(endpoint) >= 1 && tap_status(pid) == 0);
    }
    return true;
}

/* ---- rights put aside ---- */

/* Takes two calls, answers them in the other order by rights put aside. */
static int answers_backwards(void)
{
    int64_t rights[2];
    uint64_t words[2];
    for (unsigned i = 0; i < 2; i++) {
        struct ipc_registers m = message(0, 0, 0, IPC_FOREVER);
        if (sys_ipc_receive(endpoint, &m) != STATUS_OK) {
            return 1;
        }
        words[i] = m.words[0];
        m = message(0, 0, 0, 0);
        if (sys_ipc_receive(endpoint, &m) != STATUS_ERR_STATE) { /* the last one is not answered yet */
            return 2;
        }
        rights[i] = sys_ipc_reply_save();
    }
    for (unsigned i = 2; i-- > 0;) {
        struct ipc_registers m = message(0, 1, 0, 0);
        m.words[0] = words[i] + 1;
        if (rights[i] <= 0 || sys_ipc_reply((handle_t)rights[i], &m) != STATUS_OK) {
            return 3;
        }
        m = message(0, 1, 0, 0);
        if (sys_ipc_reply((handle_t)rights[i], &m) != STATUS_ERR_STATE) { /* used once */
            return 4;
        }
    }
    return 0;
}

static int call_with_5(void)
{
    struct ipc_registers m = message(1, 1, 0, IPC_FOREVER);
    m.words[0] = 5;
    return sys_ipc_call(endpoint, &m) == STATUS_OK && m.words[0] == 6 ? 0 : 1;
}

static bool test_rights_to_answer_are_put_aside_and_used_once(void)
{
    EXPECT(make_endpoint());
    int64_t server = tap_child(answers_backwards);
    int64_t first = tap_child(call_with_5);
    int64_t second = tap_child(call_with_5);
    EXPECT(tap_status(first) == 0 && tap_status(second) == 0);
    return tap_status(server) == 0;
}

/* ---- notifications ---- */

static handle_t notification;

static int signals_later(void)
{
    sys_sleep(2 * MS);
    return sys_notification_signal(notification, 1ull << 63 | 4) == STATUS_OK ? 0 : 1;
}

static bool test_notifications_are_taken_once(void)
{
    uint64_t bits = 77;
    notification = (handle_t)sys_notification_create();
    EXPECT(sys_notification_wait(notification, UINT64_MAX, &bits, 0) == STATUS_ERR_AGAIN);
    EXPECT(sys_notification_wait(notification, UINT64_MAX, &bits, 2 * MS) == STATUS_ERR_TIMEOUT);
    EXPECT(sys_notification_signal(notification, 3) == STATUS_OK);
    EXPECT(sys_notification_wait(notification, 2, &bits, 0) == STATUS_OK && bits == 2);
    EXPECT(sys_notification_wait(notification, 2, &bits, 0) == STATUS_ERR_AGAIN);
    EXPECT(sys_notification_wait(notification, UINT64_MAX, &bits, 0) == STATUS_OK && bits == 1);
    int64_t pid = tap_child(signals_later);
    EXPECT(sys_notification_wait(notification, 4, &bits, IPC_FOREVER) == STATUS_OK && bits == 4);
    EXPECT(sys_notification_wait(notification, UINT64_MAX, &bits, 0) == STATUS_OK && bits == 1ull << 63);
    EXPECT(sys_notification_wait(notification, 0, &bits, 0) == STATUS_ERR_ARGUMENT);
    EXPECT(sys_notification_wait(notification, 1, NULL, 0) == STATUS_ERR_BAD_ADDRESS);
    EXPECT(sys_notification_signal(notification, 0) == STATUS_ERR_ARGUMENT);
    EXPECT(sys_notification_signal(notification + 1, 1) == STATUS_ERR_CAP_INVALID);
    return tap_status(pid) == 0;
}

/* ---- channels ---- */

static handle_t channel;

#define STREAM 3000u

static int feeds(void)
{
    struct channel_message batch[7];
    for (uint64_t next = 0; next < STREAM;) {
        uint64_t count = STREAM - next < 7 ? STREAM - next : 7;
        for (uint64_t i = 0; i < count; i++) {
            for (unsigned w = 0; w < CHANNEL_WORDS; w++) {
                batch[i].words[w] = (next + i) * 8 + w;
            }
        }
        int64_t put = sys_channel_put(channel, batch, count, IPC_FOREVER);
        if (put == STATUS_ERR_AGAIN) { /* a lock-free one never waits */
            sys_yield();
            continue;
        }
        if (put <= 0) {
            return 1;
        }
        next += (uint64_t)put;
    }
    return 0;
}

static bool stream_through(uint64_t capacity, uint64_t flags)
{
    struct channel_message batch[5];
    int64_t made = sys_channel_create(capacity, flags, -1);
    EXPECT(made > 0);
    channel = (handle_t)made;
    int64_t pid = tap_child(feeds);
    for (uint64_t next = 0; next < STREAM;) {
        int64_t taken = sys_channel_take(channel, batch, 5, IPC_FOREVER);
        if (taken == STATUS_ERR_AGAIN) {
            sys_yield();
            continue;
        }
        EXPECT(taken > 0);
        for (int64_t i = 0; i < taken; i++, next++) {
            for (unsigned w = 0; w < CHANNEL_WORDS; w++) {
                EXPECT(batch[i].words[w] == next * 8 + w);
            }
        }
    }
    return tap_status(pid) == 0;
}

/* covers: IP-01 IP-27 */
static bool test_a_channel_keeps_order_while_it_wraps(void)
{
    return stream_through(8, 0) && stream_through(1, 0) && stream_through(256, 0);
}

/* covers: IP-02 */
static bool test_a_lock_free_channel_keeps_order_while_it_wraps(void)
{
    return stream_through(8, CHANNEL_LOCK_FREE) && stream_through(1, CHANNEL_LOCK_FREE) &&
           stream_through(256, CHANNEL_LOCK_FREE);
}

static bool fill_and_empty(uint64_t flags)
{
    struct channel_message batch[CHANNEL_BATCH] = {{{0}}};
    handle_t made = (handle_t)sys_channel_create(16, flags, -1);
    EXPECT(sys_channel_take(made, batch, 3, 0) == STATUS_ERR_AGAIN);
    EXPECT(sys_channel_put(made, batch, CHANNEL_BATCH, 0) == 16);
    EXPECT(sys_channel_put(made, batch, 1, 0) == STATUS_ERR_AGAIN);
    EXPECT(flags != 0 || sys_channel_put(made, batch, 1, MS) == STATUS_ERR_TIMEOUT);
    EXPECT(sys_channel_take(made, batch, 10, 0) == 10);
    EXPECT(sys_channel_put(made, batch, 3, 0) == 3);
    EXPECT(sys_channel_take(made, batch, CHANNEL_BATCH, IPC_FOREVER) == 9);
    EXPECT(sys_channel_put(made, batch, 0, 0) == STATUS_ERR_RANGE);
    EXPECT(sys_channel_put(made, batch, CHANNEL_BATCH + 1, 0) == STATUS_ERR_RANGE);
    EXPECT(sys_channel_put(made, NULL, 1, 0) == STATUS_ERR_BAD_ADDRESS);
    EXPECT(sys_channel_put(made, batch, 1, 0) == 1);
    EXPECT(sys_channel_take(made, NULL, 1, 0) == STATUS_ERR_BAD_ADDRESS);
    EXPECT(sys_channel_take(made, batch, 1, 0) == 1); /* nothing was lost for the bad pointer */
    return true;
}

/* covers: IP-01 IP-14 (a wrong type) */
static bool test_channels_fill_and_empty(void)
{
    EXPECT(fill_and_empty(0) && fill_and_empty(CHANNEL_LOCK_FREE));
    EXPECT(sys_channel_create(0, 0, -1) == STATUS_ERR_RANGE &&
           sys_channel_create(3, 0, -1) == STATUS_ERR_RANGE);
    EXPECT(sys_channel_create(2 * CHANNEL_MAX, 0, -1) == STATUS_ERR_RANGE);
    EXPECT(sys_channel_create(8, 2, -1) == STATUS_ERR_UNKNOWN_BITS &&
           sys_channel_create(8, 0, 99) == STATUS_ERR_RANGE);
    EXPECT(sys_channel_put(CAP_CONSOLE, NULL, 1, 0) == STATUS_ERR_CAP_TYPE);
    return true;
}

/* ---- rate limit ---- */

/*
 * 1000 a second, 5 at once: in 20 ms at most 25 pass, fewer when others run. Longer on a CPU that stands still, until as many
 * have passed, and been refused, as shows the limit.
 */
static int is_limited(void)
{
    unsigned passed = 0;
    unsigned refused = 0;
    if (sys_ipc_limit(1000, 5) != STATUS_OK || sys_ipc_limit(2000, 5) != STATUS_ERR_PERMISSION ||
        sys_ipc_limit(0, 5) != STATUS_ERR_RANGE) {
        return 1;
    }
    const int64_t start = sys_clock();
    int64_t took = 0;
    while (took < (int64_t)(20 * MS) ||
           ((passed < 5 || refused <= passed) && took < (int64_t)(20 * SECOND))) {
        struct ipc_registers m = message(0, 0, 0, 0);
        int64_t status = sys_ipc_send(endpoint, &m);
        passed += status == STATUS_ERR_AGAIN;
        refused += status == STATUS_ERR_RATE;
        if (status != STATUS_ERR_AGAIN && status != STATUS_ERR_RATE) {
            return 2;
        }
        took = sys_clock() - start;
    }
    return passed >= 5 && passed <= 6 + (uint64_t)took / MS && refused > passed ? 0 : 3;
}

/* covers: IP-22 */
static bool test_a_rate_limit_holds_to_the_message(void)
{
    EXPECT(make_endpoint());
    int64_t first = tap_child(is_limited);
    int64_t second = tap_child(is_limited); /* each has a bucket of its own */
    EXPECT(tap_status(first) == 0 && tap_status(second) == 0);
    return true;
}

/* ---- the end ---- */

static int leaves_everything(void)
{
    for (unsigned i = 0; i < 40; i++) {
        handle_t made = (handle_t)sys_endpoint_create(0);
        struct ipc_registers m = message(1, 1, 1, 0);
        m.words[0] = made;
        (void)sys_ipc_send(made, &m);
        if (sys_channel_create(64, i % 2, -1) <= 0 || sys_notification_create() <= 0) {
            return 1;
        }
    }
    return 0;
}

/* covers: IP-29 IP-30 */
static bool test_an_end_gives_everything_back(void)
{
    EXPECT(tap_status(tap_child(leaves_everything)) == 0); /* caches have what they keep */
    uint64_t before = tap_free_frames();
    for (unsigned i = 0; i < 5; i++) {
        EXPECT(tap_status(tap_child(leaves_everything)) == 0);
    }
    EXPECT(tap_free_frames() == before);
    return true;
}

static bool test_counters_tell_what_happened(void)
{
    struct ipc_stats before;
    struct ipc_stats after;
    EXPECT(sys_ipc_stats(&before) == STATUS_OK && sys_ipc_stats(NULL) == STATUS_ERR_BAD_ADDRESS);
    EXPECT(test_calls_are_answered_word_for_word());
    EXPECT(sys_ipc_stats(&after) == STATUS_OK);
    EXPECT(after.called - before.called == 201 && after.answered - before.answered == 201);
    EXPECT(after.passed >= 32 && after.rate_refused > 0 && after.timed_out > 0);
    return true;
}

static const struct tap_test tests[] = {
    {"calls_are_answered_word_for_word", test_calls_are_answered_word_for_word},
    {"calls_are_counted_whichever_way_they_go", test_calls_are_counted_whichever_way_they_go},
    {"words_beyond_the_tag_arrive_as_zero", test_words_beyond_the_tag_arrive_as_zero},
    {"sends_wait_for_who_receives", test_sends_wait_for_who_receives},
    {"patience_runs_out", test_patience_runs_out},
    {"a_call_without_patience_waits_for_no_answer", test_a_call_without_patience_waits_for_no_answer},
    {"a_caller_that_gave_up_is_gone", test_a_caller_that_gave_up_is_gone},
    {"what_an_answer_gives_up_is_told", test_what_an_answer_gives_up_is_told},
    {"tags_and_handles_are_checked", test_tags_and_handles_are_checked},
    {"a_server_that_ends_wakes_its_caller", test_a_server_that_ends_wakes_its_caller},
    {"a_server_that_ends_wakes_who_is_queued", test_a_server_that_ends_wakes_who_is_queued},
    {"rights_only_shrink_on_the_way", test_rights_only_shrink_on_the_way},
    {"passing_on_needs_the_right_to_grant", test_passing_on_needs_the_right_to_grant},
    {"undelivered_capabilities_do_not_leak", test_undelivered_capabilities_do_not_leak},
    {"what_is_moved_is_given_up", test_what_is_moved_is_given_up},
    {"a_revocation_wakes_who_waits", test_a_revocation_wakes_who_waits},
    {"a_revocation_at_any_time_ends_the_wait", test_a_revocation_at_any_time_ends_the_wait},
    {"rights_to_answer_are_put_aside_and_used_once", test_rights_to_answer_are_put_aside_and_used_once},
    {"notifications_are_taken_once", test_notifications_are_taken_once},
    {"a_channel_keeps_order_while_it_wraps", test_a_channel_keeps_order_while_it_wraps},
    {"a_lock_free_channel_keeps_order_while_it_wraps", test_a_lock_free_channel_keeps_order_while_it_wraps},
    {"channels_fill_and_empty", test_channels_fill_and_empty},
    {"a_rate_limit_holds_to_the_message", test_a_rate_limit_holds_to_the_message},
    {"an_end_gives_everything_back", test_an_end_gives_everything_back},
    {"counters_tell_what_happened", test_counters_tell_what_happened},
};

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--finds-no") == 0) {
        return finds_no(argv[2]);
    }
    const struct tap_group groups[] = {{tests, sizeof(tests) / sizeof(tests[0])},
                                       {handoff_tests, handoff_test_count},
                                       {short_tests, short_test_count},
                                       {name_tests, name_test_count},
                                       {life_tests, life_test_count},
                                       {going_tests, going_test_count},
                                       {storm_tests, storm_test_count},
                                       {region_tests, region_test_count},
                                       {node_tests, node_test_count},
                                       {hardware_tests, hardware_test_count}};
    return tap_run(groups, sizeof(groups) / sizeof(groups[0]), argc, argv);
}
