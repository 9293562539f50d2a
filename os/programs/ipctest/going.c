/*
 * Revocations while what they take is in use. tests/e2e/kernel_going.lua makes processors stand still meanwhile, and answers
 * getppid in the place of the kernel.
 */
#include "abi/sched.h"
#include "ipctest.h"

#include "lib/thread.h"

#define KILLED 9

static handle_t service; /* what clients call by: derived from the endpoint */
static handle_t serving; /* what the server receives by, too */

/* ---- two removals at once ---- */

#define ROUNDS 12u

static _Atomic bool go;

static void wait_for_go(void)
{
    while (!go) {
    }
}

static bool is_gone(int64_t status)
{
    return status == STATUS_ERR_CAP_REVOKED || status == STATUS_ERR_CAP_INVALID ||
           status == STATUS_ERR_CAP_GENERATION;
}

static uint64_t calls_until_it_is_gone(void *argument)
{
    (void)argument;
    struct ipc_registers m = message(1, 1, 0, IPC_FOREVER);
    return is_gone(sys_ipc_call(service, &m)) ? 0 : 1;
}

/* When the revocation has returned nobody waits by what it took, and no message comes that way. */
static uint64_t revokes(void *argument)
{
    (void)argument;
    struct ipc_registers m = message(0, 0, 0, 0);
    wait_for_go();
    return sys_cap_revoke(endpoint) >= 0 && sys_ipc_receive(endpoint, &m) == STATUS_ERR_AGAIN ? 0 : 1;
}

static uint64_t deletes(void *argument)
{
    (void)argument;
    wait_for_go();
    int64_t status = sys_cap_delete(service);
    return status == STATUS_OK || is_gone(status) ? 0 : 1;
}

static bool remove_twice(thread_function other)
{
    uint64_t wrong[2] = {1, 1};
    EXPECT(make_endpoint());
    service = (handle_t)sys_cap_derive(endpoint, RIGHT_WRITE, 0);
    go = false;
    int64_t caller = thread_start(calls_until_it_is_gone, NULL, 0);
    int64_t remover = thread_start(other, NULL, 0);
    sys_sleep(MS / 2); /* one waits in its call, the other for the word */
    go = true;
    EXPECT(revokes(NULL) == 0);
    EXPECT(thread_join(caller, &wrong[0]) == STATUS_OK && thread_join(remover, &wrong[1]) == STATUS_OK);
    EXPECT(wrong[0] == 0 && wrong[1] == 0);
    return sys_cap_delete(endpoint) == STATUS_OK;
}

/* covers: CP-09 (X: by two revokers at once, and by one while the holder deletes) */
static bool test_a_revocation_waits_for_what_others_remove(void)
{
    for (unsigned round = 0; round < ROUNDS; round++) {
        EXPECT(remove_twice(round % 2 == 0 ? revokes : deletes));
    }
    return true;
}

/* ---- at each instruction of the short way ---- */

#define PAUSE 10000ull

static handle_t to_client; /* endpoints by which they get capabilities */
static handle_t to_server;

enum deed { REVOKE_CLIENT, REVOKE_SERVER, END_SERVER };

/* As many words count as the label says. */
static void fill(struct ipc_registers *m, uint64_t label)
{
    unsigned words = (unsigned)(label % (IPC_WORDS + 1));
    *m = message(label, words, 0, IPC_FOREVER);
    for (unsigned i = 0; i < words; i++) {
        m->words[i] = label << 8 | i;
    }
}

static bool is_whole(const struct ipc_registers *m, uint64_t label)
{
    unsigned words = (unsigned)(label % (IPC_WORDS + 1));
    bool whole = ipc_tag_label(m->tag) == label && ipc_tag_words(m->tag) == words;
    for (unsigned i = 0; i < IPC_WORDS; i++) {
        whole &= m->words[i] == (i < words ? label << 8 | i : 0);
    }
    return whole;
}

/* By a message of the parent, who can take it back from there; 0: it is over. */
static handle_t get_another(handle_t control)
{
    struct ipc_registers m = message(0, 0, 0, IPC_FOREVER);
    bool got = sys_ipc_receive(control, &m) == STATUS_OK && ipc_tag_handles(m.tag) == 1;
    return got ? m.words[0] : 0;
}

/* A new child of the endpoint's capability, and one of that to who waits for it. */
static bool give_another(handle_t control, handle_t *handle, uint32_t right)
{
    struct ipc_registers m = message(0, 1, 1, IPC_FOREVER);
    EXPECT(*handle == 0 || sys_cap_delete(*handle) == STATUS_OK);
    *handle = (handle_t)sys_cap_derive(endpoint, right | RIGHT_GRANT, CAP_FLAG_INHERIT_NONE);
    m.words[0] = *handle;
    return sys_ipc_send(control, &m) == STATUS_OK;
}

static bool give_end(handle_t control, handle_t handle, int64_t pid)
{
    struct ipc_registers m = message(0, 0, 0, IPC_FOREVER);
    EXPECT(sys_cap_revoke(handle) == 1 && sys_cap_delete(handle) == STATUS_OK);
    return sys_ipc_send(control, &m) == STATUS_OK && tap_status(pid) == 0 &&
           sys_cap_delete(control) == STATUS_OK;
}

/* Answers with the next label. */
static int serves(void)
{
    struct ipc_registers m;
    int64_t status = STATUS_ERR_PEER;
    uint64_t label = 0;
    serving = get_another(to_server);
    while (serving != 0) {
        if (status == STATUS_OK) {
            label = ipc_tag_label(m.tag);
            if (!is_whole(&m, label)) {
                return 1;
            }
            fill(&m, label + 1);
            status = sys_ipc_reply_receive(serving, &m);
            continue;
        }
        if (status == STATUS_ERR_CAP_REVOKED) {
            sys_cap_delete(serving);
            fill(&m, label + 1); /* the answer may still be owed */
            (void)sys_ipc_reply(0, &m);
            serving = get_another(to_server);
        } else if (status != STATUS_ERR_PEER) { /* who called is gone */
            return 2;
        }
        m = message(0, 0, 0, IPC_FOREVER);
        status = serving != 0 ? sys_ipc_receive(serving, &m) : STATUS_OK;
    }
    return 0;
}

static int calls(void)
{
    service = get_another(to_client);
    for (uint64_t label = 0; service != 0; label = (label + 1) % 90) {
        struct ipc_registers m;
        fill(&m, label);
        int64_t status = sys_ipc_call(service, &m);
        if (status == STATUS_ERR_CAP_REVOKED) {
            sys_cap_delete(service);
            service = get_another(to_client);
        } else if (status != STATUS_ERR_PEER && (status != STATUS_OK || !is_whole(&m, label + 1))) {
            return 1;
        }
    }
    return 0;
}

static int64_t child_on_cpu_0(int (*function)(void))
{
    int64_t pid = sys_sched_affinity(SCHED_THREAD, 0, 1) == 0 ? tap_child(function) : -1;
    return sys_sched_affinity(SCHED_THREAD, 0, 2) == 0 ? pid : -1;
}

static bool do_told(enum deed deed, int64_t *server)
{
    switch (deed) {
    case REVOKE_CLIENT:
        EXPECT(sys_cap_revoke(service) == 1);
        return give_another(to_client, &service, RIGHT_WRITE);
    case REVOKE_SERVER:
        EXPECT(sys_cap_revoke(serving) == 1);
        return give_another(to_server, &serving, RIGHT_READ);
    case END_SERVER:
        EXPECT(sys_process_kill((unsigned)*server, KILLED) == STATUS_OK && tap_status(*server) == KILLED);
        *server = child_on_cpu_0(serves);
        return *server > 0 && give_another(to_server, &serving, RIGHT_READ);
    }
    return false;
}

/* For tests/e2e/kernel_going.lua, which answers. */
static bool test_a_revocation_at_each_instruction(void)
{
    int64_t told = sys_getppid();
    if (told != TELLS) {
        return tap_skip("nobody tells when to revoke");
    }
    EXPECT(make_endpoint());
    service = 0;
    serving = 0;
    to_client = (handle_t)sys_endpoint_create(0);
    to_server = (handle_t)sys_endpoint_create(0);
    int64_t server = child_on_cpu_0(serves);
    int64_t client = child_on_cpu_0(calls);
    EXPECT(give_another(to_server, &serving, RIGHT_READ) && give_another(to_client, &service, RIGHT_WRITE));
    while ((told = sys_getppid()) != STOP) {
        if (told == TELLS) {
            sys_sleep(PAUSE);
        } else {
            EXPECT(do_told((enum deed)(told - TOLD), &server));
        }
    }
    EXPECT(give_end(to_client, service, client) && give_end(to_server, serving, server));
    return sys_cap_delete(endpoint) == STATUS_OK;
}

const struct tap_test going_tests[] = {
    {"a_revocation_waits_for_what_others_remove", test_a_revocation_waits_for_what_others_remove},
    {"a_revocation_at_each_instruction", test_a_revocation_at_each_instruction},
};

const unsigned going_test_count = sizeof(going_tests) / sizeof(going_tests[0]);
