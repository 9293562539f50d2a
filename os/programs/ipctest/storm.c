/* Many at once: clients and servers of one endpoint, writers and readers of 64 channels. */
#include "ipctest.h"

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

const struct tap_test storm_tests[] = {
    {"clients_and_servers_lose_nothing", test_clients_and_servers_lose_nothing},
    {"sixty_four_channels_keep_their_messages", test_sixty_four_channels_keep_their_messages},
};

const unsigned storm_test_count = sizeof(storm_tests) / sizeof(storm_tests[0]);
