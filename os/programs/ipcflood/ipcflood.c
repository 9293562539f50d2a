/*
 * ipcflood: processes that send as fast as they can, also after a refusal, and what is left for one that behaves. Server and
 * victim share CPU 0. The flood comes from other CPUs, or from the same one, whose time the scheduler divides among all who
 * want it: what the victim gets through there is compared with what it does beside as many who only burn time, a second and
 * for the time on the CPU that it and its server had. Prints the figures.
 */
#include "abi/sched.h"
#include "lib/tap.h"

#define MS         1000000ull
#define PERIOD_NS  (10 * MS)
#define SHARED_NS  (240 * MS) /* ten times the time in which the scheduler deals everybody a slice */
#define FLOODERS   3u
#define PER_SECOND 1000u
#define BURST      8u
#define BUCKETS    16u
#define CALLS      400u

enum deed { BURN, FLOOD_WITH_LIMIT, FLOOD };

/* Shared by all: what the parent tells the flooders, and what they tell it. */
struct board {
    uint64_t stop;
    uint64_t running;
    uint64_t passed;
    uint64_t refused;
};

static handle_t endpoint;
static struct board *board;
static enum deed deed;  /* of the children that are made next */
static bool beside;     /* not on CPU 0 */
static unsigned number; /* of the child that is made next */
static unsigned cpus;
static uint64_t hz;
static int64_t server;

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
static bool stops(void)
{
    struct ipc_registers m = message(99, IPC_FOREVER);
    return sys_ipc_call(endpoint, &m) == STATUS_OK && tap_status(server) == 0;
}

static int floods(void)
{
    if (sys_sched_affinity(SCHED_THREAD, 0, beside ? 1ull << (1 + number % (cpus - 1)) : 1) != 0 ||
        (deed == FLOOD_WITH_LIMIT && sys_ipc_limit(PER_SECOND, BURST) != STATUS_OK)) {
        return 1;
    }
    __atomic_add_fetch(&board->running, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&board->stop, __ATOMIC_SEQ_CST) == 0) {
        if (deed == BURN) {
            continue;
        }
        struct ipc_registers m = message(1, IPC_FOREVER);
        int64_t status = sys_ipc_call(endpoint, &m);
        if (status != STATUS_OK && status != STATUS_ERR_RATE) {
            return 2;
        }
        __atomic_add_fetch(status == STATUS_OK ? &board->passed : &board->refused, 1, __ATOMIC_SEQ_CST);
    }
    return 0;
}

/* What became of everybody's calls while the victim made its own. */
struct outcome {
    uint64_t calls;
    uint64_t rate; /* the victim's calls a second */
    uint64_t paid; /* the victim's calls a second that it and the server were on the CPU */
    uint64_t passed;
    uint64_t refused;
    uint64_t allowed; /* to all flooders together */
};

static uint64_t time_on_the_cpu(void)
{
    static struct sched_info victim;
    static struct sched_info served;
    bool good = sys_sched_get(SCHED_THREAD, 0, &victim) == 0 &&
                sys_sched_get(SCHED_PROCESS, (uint64_t)server, &served) == 0;
    return good ? victim.run_cycles + served.run_cycles : 0;
}

/* The victim calls for a period. It looks at the clock after each call, so the last may come late. */
static struct outcome victim_calls(uint64_t period_ns)
{
    struct outcome seen = {0};
    uint64_t paid = time_on_the_cpu();
    int64_t begin = sys_clock();
    int64_t now = begin;
    for (; now < begin + (int64_t)period_ns; now = sys_clock(), seen.calls++) {
        struct ipc_registers m = message(2, IPC_FOREVER);
        if (sys_ipc_call(endpoint, &m) != STATUS_OK) {
            return (struct outcome){0};
        }
    }
    paid = time_on_the_cpu() - paid;
    seen.rate = seen.calls * 1000 * MS / (uint64_t)(now - begin);
    seen.paid = paid == 0 ? 0 : seen.calls * hz / paid;
    return seen;
}

/* The same while the others do what they are told, all from the beginning on. */
static struct outcome calls_beside(enum deed others, uint64_t period_ns)
{
    int64_t pids[FLOODERS];
    bool good = true;
    int64_t begin = sys_clock();
    deed = others;
    *board = (struct board){0};
    for (number = 0; number < FLOODERS; number++) {
        pids[number] = tap_child(floods);
    }
    while (__atomic_load_n(&board->running, __ATOMIC_SEQ_CST) < FLOODERS) {
        sys_sleep(MS / 10);
    }
    (void)victim_calls(period_ns / 10);
    struct outcome seen = victim_calls(period_ns);
    seen.passed = board->passed;
    seen.refused = board->refused;
    seen.allowed = FLOODERS * (BURST + 1 + (uint64_t)(sys_clock() - begin) * PER_SECOND / (1000 * MS));
    __atomic_store_n(&board->stop, 1, __ATOMIC_SEQ_CST);
    for (unsigned i = 0; i < FLOODERS; i++) {
        good &= tap_status(pids[i]) == 0;
    }
    return good ? seen : (struct outcome){0};
}

static void tell(const char *what, const struct outcome *seen)
{
    print("# victim %s: %llu calls a second, %llu a second on the CPU; of the others %llu passed, %llu were "
          "refused\n",
          what, (unsigned long long)seen->rate, (unsigned long long)seen->paid,
          (unsigned long long)seen->passed, (unsigned long long)seen->refused);
}

/*
 * A flood with limits leaves the victim nine tenths of both rates that it has without one; without limits it loses half of
 * both. This is a flood: it is refused more often than the victim is answered, and passes what it may.
 */
static bool keeps_its_throughput(const struct outcome *calm, uint64_t period_ns)
{
    struct outcome limited = calls_beside(FLOOD_WITH_LIMIT, period_ns);
    struct outcome unlimited = calls_beside(FLOOD, period_ns);
    tell("without a flood", calm);
    tell("under a flood with limits", &limited);
    tell("without limits", &unlimited);
    EXPECT(calm->paid > 0 && limited.rate * 10 >= calm->rate * 9 && limited.paid * 10 >= calm->paid * 9);
    EXPECT(limited.passed >= FLOODERS * BURST && limited.passed <= limited.allowed);
    EXPECT(limited.refused > limited.calls);
    EXPECT(unlimited.paid > 0 && unlimited.refused == 0 && unlimited.paid < limited.paid / 2);
    EXPECT(unlimited.rate < limited.rate / 2);
    return true;
}

/* covers: IP-22 (a victim under flood from other CPUs) */
static bool test_a_victim_keeps_its_throughput(void)
{
    if (cpus == 1) {
        return tap_skip("no other CPU");
    }
    EXPECT(sys_sched_affinity(SCHED_THREAD, 0, 1) == 0);
    beside = true;
    server = tap_child(serves);
    (void)victim_calls(PERIOD_NS);
    struct outcome calm = victim_calls(PERIOD_NS);
    EXPECT(keeps_its_throughput(&calm, PERIOD_NS));
    return stops();
}

/* covers: IP-22 (a victim under flood from its own CPU) */
static bool test_a_victim_keeps_its_throughput_on_one_cpu(void)
{
    EXPECT(sys_sched_affinity(SCHED_THREAD, 0, 1) == 0);
    beside = false;
    server = tap_child(serves);
    (void)victim_calls(PERIOD_NS);
    struct outcome calm = calls_beside(BURN, SHARED_NS);
    EXPECT(keeps_its_throughput(&calm, SHARED_NS));
    return stops();
}

/* So many clients at once, at most BUCKETS, each in a process of its own, and a server. */
static bool all_end_well(unsigned clients, int (*client)(void))
{
    int64_t pids[BUCKETS];
    bool good = true;
    server = tap_child(serves);
    for (unsigned i = 0; i < clients; i++) {
        pids[i] = tap_child(client);
    }
    for (unsigned i = 0; i < clients; i++) {
        good &= tap_status(pids[i]) == 0;
    }
    EXPECT(stops());
    EXPECT(good);
    return true;
}

/* The bucket is full, and then empty for a second: exactly BURST calls pass, and one more for each second that it took. */
static int uses_its_bucket_up(void)
{
    unsigned passed = 0;
    int64_t begin = sys_clock();
    if (sys_ipc_limit(1, BURST) != STATUS_OK) {
        return 1;
    }
    for (unsigned i = 0; i < 2 * BURST; i++) {
        struct ipc_registers m = message(1, IPC_FOREVER);
        passed += sys_ipc_call(endpoint, &m) == STATUS_OK;
    }
    return passed >= BURST && passed <= BURST + (uint64_t)(sys_clock() - begin) / (1000 * MS) ? 0 : 2;
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
    hz = stats.clock_hz;
    board = address > 0 ? (struct board *)address : NULL;
    return board != NULL && (int64_t)endpoint > 0 && cpus != 0;
}

static const struct tap_test tests[] = {
    {"a_victim_keeps_its_throughput", test_a_victim_keeps_its_throughput},
    {"a_victim_keeps_its_throughput_on_one_cpu", test_a_victim_keeps_its_throughput_on_one_cpu},
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
