/* Messages and NUMA nodes: buffers lie where they are asked for, messages stay where they are sent. On one node all is near. */
#include "ipctest.h"

#include "lib/tap.h"

#define CALLS    100u
#define PATIENCE 3000u /* sleeps; a busy host may need many */

#define LABEL_ASK 0u
#define LABEL_END 1u
#define LABEL_GO  2u /* and a CPU's number */
#define NEAR      1u /* names of servers */
#define FAR       2u

struct answer {
    uint64_t name; /* 0: none */
    int64_t node;
};

static uint64_t server_cpu, server_name; /* of the next one */

/* The node where the caller runs, -1 when that is not known. */
static int64_t own_node(void)
{
    static struct system_stats stats;
    struct sched_info info;
    bool known = sys_stats(&stats, sizeof(stats)) > 0 && sys_sched_get(SCHED_THREAD, 0, &info) == STATUS_OK;
    return known ? (int64_t)stats.cpus[info.cpu].node : -1;
}

/* A receiver, bound to the last CPU: makes a region on its node, hands it to the sender, and finds there what that one has
 * written. */
static int receives_on_its_node(void)
{
    static struct system_stats stats;
    if (sys_stats(&stats, sizeof(stats)) <= 0 ||
        sys_sched_affinity(SCHED_THREAD, 0, 1ull << (stats.cpus_online - 1)) != STATUS_OK) {
        return 3;
    }
    int64_t node = own_node();
    if (node != (int64_t)stats.nodes - 1) {
        return 4;
    }
    int64_t buffer = sys_region_create(64 * PAGE, node);
    volatile uint64_t *words = map_region((handle_t)buffer, 64, PROTECT_READ | PROTECT_WRITE);
    struct ipc_registers m = message(1, 1, 1, IPC_FOREVER);
    m.words[0] = (uint64_t)buffer;
    if (words == NULL || sys_ipc_call(endpoint, &m) != STATUS_OK) {
        return 1;
    }
    for (uint64_t i = 0; i < 64; i++) {
        if (words[i * PAGE / 8] != i + 1) {
            return 2;
        }
    }
    return own_node() == node ? 0 : 5;
}

/* The sender runs on the first CPU. tests/e2e/kernel_ipc.lua looks where the frames come from. covers: IP-09 */
static bool test_buffers_lie_on_the_node_of_who_receives(void)
{
    static struct system_stats stats;
    EXPECT(make_endpoint() && sys_stats(&stats, sizeof(stats)) > 0);
    EXPECT(sys_region_create(PAGE, (int64_t)stats.nodes) < 0 &&
           sys_region_create(PAGE, -2) < 0); /* no such node */
    EXPECT(sys_sched_affinity(SCHED_THREAD, 0, 1) == STATUS_OK && own_node() == 0);
    int64_t pid = tap_child(receives_on_its_node);
    struct ipc_registers m = message(0, 0, 0, IPC_FOREVER);
    EXPECT(sys_ipc_receive(endpoint, &m) == STATUS_OK && (int64_t)m.words[0] > 0);
    volatile uint64_t *words = map_region(m.words[0], 64, PROTECT_READ | PROTECT_WRITE);
    EXPECT(words != NULL);
    for (uint64_t i = 0; i < 64; i++) {
        words[i * PAGE / 8] = i + 1;
    }
    m = message(0, 0, 0, 0);
    EXPECT(sys_ipc_reply(0, &m) == STATUS_OK && tap_status(pid) == 0);
    EXPECT(sys_sched_affinity(SCHED_THREAD, 0, UINT64_MAX) == STATUS_OK);
    for (int64_t node = 0; node < (int64_t)stats.nodes; node++) {
        int64_t made = sys_region_create(64 * PAGE, node);
        int64_t channel = sys_channel_create(CHANNEL_MAX, 0, node);
        EXPECT(made > 0 && channel > 0);
        EXPECT(sys_cap_delete((handle_t)made) == STATUS_OK && sys_cap_delete((handle_t)channel) == STATUS_OK);
    }
    return true;
}

static bool bind(uint64_t cpu)
{
    return sys_sched_affinity(SCHED_THREAD, 0, 1ull << cpu) == STATUS_OK;
}

/* A child on server_cpu: answers every call with its node and its name, until label LABEL_END; LABEL_GO + n sends it to CPU n. */
static int tells_its_node(void)
{
    int64_t status = bind(server_cpu) ? STATUS_OK : STATUS_ERR_STATE;
    int64_t node = own_node();
    struct ipc_registers m = message(0, 0, 0, IPC_FOREVER);
    status = status == STATUS_OK ? sys_ipc_receive(endpoint, &m) : status;
    while (status == STATUS_OK && ipc_tag_label(m.tag) != LABEL_END) {
        if (ipc_tag_label(m.tag) >= LABEL_GO) {
            EXPECT(bind(ipc_tag_label(m.tag) - LABEL_GO));
            node = own_node();
        }
        m = message(server_name, 1, 0, IPC_FOREVER);
        m.words[0] = (uint64_t)node;
        status = sys_ipc_reply_receive(endpoint, &m);
    }
    m = message(server_name, 1, 0, 0);
    m.words[0] = (uint64_t)node;
    return status == STATUS_OK && sys_ipc_reply(0, &m) == STATUS_OK ? 0 : 1;
}

static int64_t start_server(uint64_t name, uint64_t cpu)
{
    server_name = name;
    server_cpu = cpu;
    return tap_child(tells_its_node);
}

/* A call: the name and the node of who answers. */
static struct answer ask(uint64_t label, uint64_t time)
{
    struct ipc_registers m = message(label, 0, 0, time);
    bool answered = sys_ipc_call(endpoint, &m) == STATUS_OK;
    return answered ? (struct answer){ipc_tag_label(m.tag), (int64_t)m.words[0]} : (struct answer){0, -1};
}

/* Until it was that server that answered. It waits again before the caller goes on, and behind all who do not answer. */
static bool ask_until(uint64_t name)
{
    unsigned asked = 0;
    while (ask(LABEL_ASK, IPC_FOREVER).name != name) {
        EXPECT(asked++ < PATIENCE && sys_sleep(MS) == STATUS_OK);
    }
    return true;
}

static bool answers_come_from(uint64_t name, uint32_t node)
{
    EXPECT(ask_until(name));
    for (unsigned i = 0; i < CALLS; i++) { /* the short way, and the long one */
        struct answer answer = ask(LABEL_ASK, i % 2 == 0 ? IPC_FOREVER : 5 * SECOND);
        EXPECT(answer.node == node);
    }
    return true;
}

/* Two servers, on the first CPU and on the last one. covers: IP-09 */
static bool test_messages_stay_on_the_node_of_who_sends_them(void)
{
    static struct system_stats stats;
    EXPECT(make_endpoint() && sys_stats(&stats, sizeof(stats)) > 0 && bind(0));
    uint64_t last = stats.cpus_online - 1;
    uint32_t last_node = stats.cpus[last].node;
    int64_t far = start_server(FAR, last);
    EXPECT(ask(LABEL_ASK, IPC_FOREVER).node == last_node); /* whoever there is */
    int64_t near = start_server(NEAR, 0);
    EXPECT(answers_come_from(NEAR, stats.cpus[0].node));
    EXPECT(bind(last));
    EXPECT(answers_come_from(FAR, last_node));
    EXPECT(ask(LABEL_END, IPC_FOREVER).node == last_node);
    EXPECT(ask(LABEL_END, IPC_FOREVER).node == stats.cpus[0].node); /* the one that is left */
    EXPECT(sys_sched_affinity(SCHED_THREAD, 0, UINT64_MAX) == STATUS_OK);
    return tap_status(near) == 0 && tap_status(far) == 0;
}

/*
 * A server goes to the last CPU with a call, and with a later one comes back: to a CPU that still remembers the capability, so
 * that it answers the short way. covers: IP-09
 */
static bool test_a_server_that_moves_is_near_where_it_waits(void)
{
    static struct system_stats stats;
    EXPECT(make_endpoint() && sys_stats(&stats, sizeof(stats)) > 0 && bind(0));
    uint64_t last = stats.cpus_online - 1;
    bool one_node = stats.nodes == 1; /* then all are near, and who has waited longest answers */
    int64_t stays = start_server(FAR, last);
    EXPECT(ask_until(FAR));
    int64_t goes = start_server(NEAR, 0);
    EXPECT(ask_until(NEAR));
    EXPECT(ask(LABEL_GO + last, IPC_FOREVER).name == NEAR || one_node);
    EXPECT(ask(LABEL_ASK, IPC_FOREVER).name == FAR || one_node); /* none is near */
    EXPECT(ask(LABEL_GO, IPC_FOREVER).name == NEAR || one_node);
    EXPECT(ask(LABEL_ASK, IPC_FOREVER).name == NEAR || one_node);
    for (unsigned i = 0; i < 2; i++) {
        EXPECT(ask(LABEL_END, IPC_FOREVER).name != 0);
    }
    EXPECT(sys_sched_affinity(SCHED_THREAD, 0, UINT64_MAX) == STATUS_OK);
    return tap_status(goes) == 0 && tap_status(stays) == 0;
}

const struct tap_test node_tests[] = {
    {"buffers_lie_on_the_node_of_who_receives", test_buffers_lie_on_the_node_of_who_receives},
    {"messages_stay_on_the_node_of_who_sends_them", test_messages_stay_on_the_node_of_who_sends_them},
    {"a_server_that_moves_is_near_where_it_waits", test_a_server_that_moves_is_near_where_it_waits},
};

const unsigned node_test_count = sizeof(node_tests) / sizeof(node_tests[0]);
