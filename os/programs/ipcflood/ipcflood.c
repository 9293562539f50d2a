/*
 * ipcflood: processes that send as fast as they can, and what is left for one that behaves. Server and victim share CPU 0,
 * the flood comes from the other CPUs; with a single CPU a flooder that is refused sleeps, for otherwise it would be the
 * time of the CPU that is fought for. Prints the figures.
 */
#include "abi/sched.h"
#include "lib/tap.h"

#define MS         1000000ull
#define PERIOD_NS  (10 * MS)
#define FLOODERS   3u
#define PER_SECOND 1000u
#define BURST      8u
#define BUCKETS    16u
#define CALLS      400u

/* Shared by all: what the parent tells the flooders, and what they tell it. */
struct board {
    uint64_t stop;
    uint64_t running;
    uint64_t passed;
    uint64_t refused;
};

static handle_t endpoint;
static struct board *board;
static bool limited;
static unsigned number; /* of the child that is made next */
static unsigned cpus;

static struct ipc_registers message(uint64_t label, uint64_t patience)
{
    return (struct ipc_registers){.tag = ipc_tag(label, 1, 0), .time = patience};
}

static int serves(void)
{
    struct ipc_registers m = {.time = IPC_FOREVER};
    int64_t status = sys_ipc_receive(endpoint, &m);
    while (status == STATUS_OK && ipc_tag_label(m.tag) != 99) {
        m.time = IPC_FOREVER;
        status = sys_ipc_reply_receive(endpoint, &m);
    }
    m = message(0, 0);
    return status == STATUS_OK && sys_ipc_reply(0, &m) == STATUS_OK ? 0 : 1;
}

/* Tells the server to end. */
static bool stops(int64_t server)
{
    struct ipc_registers m = message(99, IPC_FOREVER);
    return sys_ipc_call(endpoint, &m) == STATUS_OK && tap_status(server) == 0;
}

static int floods(void)
{
    if (sys_sched_affinity(SCHED_THREAD, 0, cpus > 1 ? 1ull << (1 + number % (cpus - 1)) : 1) != 0 ||
        (limited && sys_ipc_limit(PER_SECOND, BURST) != STATUS_OK)) {
        return 1;
    }
    __atomic_add_fetch(&board->running, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&board->stop, __ATOMIC_SEQ_CST) == 0) {
        struct ipc_registers m = message(1, IPC_FOREVER);
        int64_t status = sys_ipc_call(endpoint, &m);
        if (status != STATUS_OK && status != STATUS_ERR_RATE) {
            return 2;
        }
        __atomic_add_fetch(status == STATUS_OK ? &board->passed : &board->refused, 1, __ATOMIC_SEQ_CST);
        if (status != STATUS_OK && cpus == 1) {
            sys_sleep(MS);
        }
    }
    return 0;
}

/* Calls that the victim gets through in a period. */
static uint64_t victim_calls(void)
{
    uint64_t calls = 0;
    for (int64_t end = sys_clock() + (int64_t)PERIOD_NS; sys_clock() < end; calls++) {
        struct ipc_registers m = message(2, IPC_FOREVER);
        if (sys_ipc_call(endpoint, &m) != STATUS_OK) {
            return 0;
        }
    }
    return calls;
}

/* The same while the others flood; *good says whether they did as they should. */
static uint64_t calls_under_flood(bool with_limit, bool *good)
{
    int64_t pids[FLOODERS];
    limited = with_limit;
    *board = (struct board){0};
    for (number = 0; number < FLOODERS; number++) {
        pids[number] = tap_child(floods);
    }
    while (__atomic_load_n(&board->running, __ATOMIC_SEQ_CST) < FLOODERS) {
        sys_sleep(MS / 10);
    }
    uint64_t calls = victim_calls();
    __atomic_store_n(&board->stop, 1, __ATOMIC_SEQ_CST);
    *good = true;
    for (unsigned i = 0; i < FLOODERS; i++) {
        *good &= tap_status(pids[i]) == 0;
    }
    return calls;
}

/* covers: IP-22 (a victim under flood) */
static bool test_a_victim_keeps_its_throughput(void)
{
    bool good;
    bool good_without;
    EXPECT(sys_sched_affinity(SCHED_THREAD, 0, 1) == 0);
    int64_t server = tap_child(serves);
    (void)victim_calls();
    uint64_t alone = victim_calls();
    uint64_t with_limit = calls_under_flood(true, &good);
    uint64_t passed = board->passed;
    EXPECT(good && (cpus == 1 || board->refused > passed) && passed <= FLOODERS * (BURST + PER_SECOND / 10));
    uint64_t without = calls_under_flood(false, &good_without);
    EXPECT(good_without && board->refused == 0);
    print("# calls in %u ms: alone %llu, under a flood with limits %llu (%llu passed), without %llu (%llu "
          "passed)\n",
          (unsigned)(PERIOD_NS / MS), (unsigned long long)alone, (unsigned long long)with_limit,
          (unsigned long long)passed, (unsigned long long)without, (unsigned long long)board->passed);
    EXPECT(alone > 0 && with_limit * 10 >= alone * 9);
    EXPECT(cpus == 1 || without < with_limit / 2); /* else this was no flood */
    return stops(server);
}

/* So many clients at once, at most BUCKETS, each in a process of its own, and a server. */
static bool all_end_well(unsigned clients, int (*client)(void))
{
    int64_t pids[BUCKETS];
    int64_t server = tap_child(serves);
    for (unsigned i = 0; i < clients; i++) {
        pids[i] = tap_child(client);
    }
    for (unsigned i = 0; i < clients; i++) {
        EXPECT(tap_status(pids[i]) == 0);
    }
    return stops(server);
}

/* The bucket is full, and then empty for a second: exactly BURST calls pass. */
static int uses_its_bucket_up(void)
{
    unsigned passed = 0;
    if (sys_ipc_limit(1, BURST) != STATUS_OK) {
        return 1;
    }
    for (unsigned i = 0; i < 2 * BURST; i++) {
        struct ipc_registers m = message(1, IPC_FOREVER);
        passed += sys_ipc_call(endpoint, &m) == STATUS_OK;
    }
    return passed == BURST ? 0 : 2;
}

/* covers: IP-22 (each process has a bucket of its own) */
static bool test_no_two_processes_share_a_bucket(void)
{
    return all_end_well(BUCKETS, uses_its_bucket_up);
}

/* However busy the machine is: no more pass than the bucket held and got in that time. */
static int floods_for_a_while(void)
{
    unsigned passed = 0;
    int64_t begin = sys_clock();
    if (sys_ipc_limit(PER_SECOND, BURST) != STATUS_OK) {
        return 1;
    }
    for (unsigned i = 0; i < CALLS; i++) {
        struct ipc_registers m = message(1, IPC_FOREVER);
        int64_t status = sys_ipc_call(endpoint, &m);
        if (status != STATUS_OK && status != STATUS_ERR_RATE) {
            return 2;
        }
        passed += status == STATUS_OK;
    }
    uint64_t got = (uint64_t)(sys_clock() - begin) * PER_SECOND / 1000000000 + 1;
    return passed >= BURST && passed <= BURST + got ? 0 : 3;
}

/* covers: IP-22 (what passes, under other load too) */
static bool test_a_flood_passes_what_its_limit_allows(void)
{
    return all_end_well(FLOODERS, floods_for_a_while);
}

static bool prepare(void)
{
    static struct system_stats stats;
    handle_t region = (handle_t)sys_region_create(4096, -1);
    int64_t address = sys_region_map(region, 0, 4096, 0, PROTECT_READ | PROTECT_WRITE);
    endpoint = (handle_t)sys_endpoint_create(0);
    cpus = sys_stats(&stats, sizeof(stats)) > 0 ? stats.cpus_online : 0;
    board = address > 0 ? (struct board *)address : NULL;
    return board != NULL && (int64_t)endpoint > 0 && cpus != 0;
}

static const struct tap_test tests[] = {
    {"a_victim_keeps_its_throughput", test_a_victim_keeps_its_throughput},
    {"no_two_processes_share_a_bucket", test_no_two_processes_share_a_bucket},
    {"a_flood_passes_what_its_limit_allows", test_a_flood_passes_what_its_limit_allows},
};

int main(int argc, char **argv);

int main(int argc, char **argv)
{
    const struct tap_group group = {tests, sizeof(tests) / sizeof(tests[0])};
    if (!prepare()) {
        print("ipcflood: no region, endpoint or figures\n");
        return 1;
    }
    return tap_run(&group, 1, argc, argv);
}
