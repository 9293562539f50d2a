/* Many at once: clients and servers of one endpoint, writers and readers of 64 channels. */
#include "ipctest.h"

#include "lib/random.h"
#include "lib/tap.h"

#define CLIENTS  6u
#define SERVERS  2u
#define CALLS    60u
#define CHANNELS 64u
#define PAIRS    8u /* of a writer and a reader, CHANNELS / PAIRS channels each */
#define MESSAGES 24u

static unsigned number; /* of the child that is made next */
static handle_t channels[CHANNELS];

/* Calls with and without a limit by turns, so that both ways of messages mix. */
static int storms(void)
{
    uint64_t seed = number * 1000;
    for (uint64_t i = 0; i < CALLS; i++) {
        struct ipc_registers m = message(1, 1, 0, i % 3 == 0 ? 100 * SECOND : IPC_FOREVER);
        m.words[0] = seed + i;
        if (sys_ipc_call(endpoint, &m) != STATUS_OK || m.words[0] != seed + i + 1) {
            return 1;
        }
    }
    return 0;
}

/* covers: IP-13 (X: no wake is lost) */
static bool test_clients_and_servers_lose_nothing(void)
{
    int64_t servers[SERVERS];
    int64_t clients[CLIENTS];
    EXPECT(make_endpoint());
    for (unsigned i = 0; i < SERVERS; i++) {
        servers[i] = tap_child(echo);
    }
    for (number = 0; number < CLIENTS; number++) {
        clients[number] = tap_child(storms);
    }
    for (unsigned i = 0; i < CLIENTS; i++) {
        EXPECT(tap_status(clients[i]) == 0);
    }
    for (unsigned i = 0; i < SERVERS; i++) {
        struct ipc_registers m = message(99, 0, 0, IPC_FOREVER);
        EXPECT(sys_ipc_call(endpoint, &m) == STATUS_OK);
    }
    for (unsigned i = 0; i < SERVERS; i++) {
        EXPECT(tap_status(servers[i]) == 0);
    }
    return true;
}

/* Message n of a channel is (channel, n). */
static int writes(void)
{
    for (uint64_t n = 0; n < MESSAGES; n++) {
        for (unsigned c = number; c < CHANNELS; c += PAIRS) {
            struct channel_message m = {.words = {c, n, ~n}};
            if (sys_channel_put(channels[c], &m, 1, IPC_FOREVER) != 1) {
                return 1;
            }
        }
    }
    return 0;
}

static int reads(void)
{
    for (uint64_t n = 0; n < MESSAGES; n++) {
        for (unsigned c = number; c < CHANNELS; c += PAIRS) {
            struct channel_message m = {0};
            if (sys_channel_take(channels[c], &m, 1, IPC_FOREVER) != 1 || m.words[0] != c ||
                m.words[1] != n || m.words[2] != ~n) {
                return 1;
            }
        }
    }
    return 0;
}

/* covers: IP-25 (X) */
static bool test_sixty_four_channels_keep_their_messages(void)
{
    int64_t children[2 * PAIRS];
    for (unsigned c = 0; c < CHANNELS; c++) {
        int64_t made = sys_channel_create(4, 0, -1);
        EXPECT(made > 0);
        channels[c] = (handle_t)made;
    }
    for (number = 0; number < PAIRS; number++) {
        children[number] = tap_child(writes);
        children[PAIRS + number] = tap_child(reads);
    }
    for (unsigned i = 0; i < 2 * PAIRS; i++) {
        EXPECT(tap_status(children[i]) == 0);
    }
    for (unsigned c = 0; c < CHANNELS; c++) {
        EXPECT(sys_cap_delete(channels[c]) == STATUS_OK);
    }
    return true;
}

#define CROWD 4u
#define MOVES 60u

static handle_t shared;

/* Puts and takes by turns as a seed says, in a small channel, so that it is full and empty often; the balance is its status. */
static int puts_and_takes(void)
{
    uint64_t random = 88172645463325252ull + number * 7919;
    int balance = 0;
    for (uint64_t i = 0; i < MOVES; i++) {
        struct channel_message m = {.words = {number * 1000 + i}};
        if ((random_next(&random) & 1) != 0) {
            balance += sys_channel_put(shared, &m, 1, 0) == 1 ? 1 : 0;
        } else {
            balance -= sys_channel_take(shared, &m, 1, 0) == 1 ? 1 : 0;
        }
    }
    return 100 + balance;
}

/* What goes in comes out, or is still there. tests/e2e/kernel_ring.lua looks at the order. covers: IP-02 */
static bool test_a_crowd_shares_a_lock_free_channel(void)
{
    int64_t children[CROWD];
    int balance = 0;
    int64_t made = sys_channel_create(2, CHANNEL_LOCK_FREE, -1);
    EXPECT(made > 0);
    shared = (handle_t)made;
    for (number = 0; number < CROWD; number++) {
        children[number] = tap_child(puts_and_takes);
    }
    for (unsigned i = 0; i < CROWD; i++) {
        balance += tap_status(children[i]) - 100;
    }
    for (struct channel_message m; sys_channel_take(shared, &m, 1, 0) == 1;) {
        balance--;
    }
    return balance == 0 && sys_cap_delete(shared) == STATUS_OK;
}

const struct tap_test storm_tests[] = {
    {"clients_and_servers_lose_nothing", test_clients_and_servers_lose_nothing},
    {"sixty_four_channels_keep_their_messages", test_sixty_four_channels_keep_their_messages},
    {"a_crowd_shares_a_lock_free_channel", test_a_crowd_shares_a_lock_free_channel},
};

const unsigned storm_test_count = sizeof(storm_tests) / sizeof(storm_tests[0]);
