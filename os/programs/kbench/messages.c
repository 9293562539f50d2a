/* Messages: calls across address spaces, regions handed over, channels, many pairs at once. Every server is a child. */
#include "kbench.h"

#include "lib/random.h"

#define CALLS         256u
#define REGION_PAGES  16u /* 64 KiB */
#define REGION_CALLS  64u
#define CHANNEL_TURNS 64u
#define FLOOD_TURNS   64u
#define PAIR_NS       5000000u /* that pairs run */

static handle_t endpoint;

static bool make_endpoint(void)
{
    int64_t made = sys_endpoint_create(0);
    endpoint = (handle_t)made;
    return made > 0;
}

/* ---- calls ---- */

static struct row calls = {.name = "ipc-call"};
static struct row there = {.name = "ipc-one-way"};
static struct row back = {.name = "ipc-answer"};

/* Answers so many calls and one more, after which it ends; notes how long each was on its way. */
static int serve(unsigned cpu, unsigned count)
{
    struct stamped at;
    row_touch(&there);
    if (!pin(cpu) || stamped_message(SYS_IPC_RECEIVE, endpoint, 0, &at) != STATUS_OK) {
        return STATUS_BROKEN;
    }
    row_add(&there, at.after - at.word, stamped_cost);
    for (unsigned i = 1; i <= count; i++) {
        if (stamped_message(SYS_IPC_REPLY_RECEIVE, endpoint, EVERY_WORD_TAG, &at) != STATUS_OK) {
            return STATUS_BROKEN;
        }
        row_add(&there, at.after - at.word, stamped_cost);
    }
    there.count -= there.count != 0;
    int64_t status = stamped_message(SYS_IPC_REPLY, 0, EVERY_WORD_TAG, &at);
    row_print(&there);
    return status == STATUS_OK ? 0 : STATUS_BROKEN;
}

/* CALLS calls of a server on another CPU, or on this one, through the endpoint, with a pause before each if there is one. */
static bool call_as_client(void (*pause)(void))
{
    bool good = true;
    struct stamped at;
    for (unsigned i = 0; good && i < CALLS; i++) {
        if (pause != NULL) {
            pause();
        }
        good = stamped_message(SYS_IPC_CALL, endpoint, EVERY_WORD_TAG, &at) == STATUS_OK;
        row_add(&calls, at.after - at.before, stamped_cost);
        row_add(&back, at.after - at.word, stamped_cost);
    }
    return good;
}

/* The last call, at which a server ends that has answered all others. */
static bool end_server(int64_t pid, bool good)
{
    struct stamped at;
    good = good && stamped_message(SYS_IPC_CALL, endpoint, EVERY_WORD_TAG, &at) == STATUS_OK;
    good = ended_well(pid) && good;
    row_print(&calls);
    row_print(&back);
    return good;
}

static bool call_server(uint64_t server_cpu)
{
    int64_t pid = sys_fork();
    if (pid == 0) {
        sys_exit(serve((unsigned)server_cpu, CALLS));
    }
    row_touch(&calls);
    row_touch(&back);
    return end_server(pid, pid > 0 && call_as_client(NULL));
}

static bool measure_calls(uint64_t server_cpu)
{
    return make_endpoint() && call_server(server_cpu);
}

/* For a while that is another one each time, every fourth time asleep. */
static void pause_somewhat(void)
{
    static uint64_t random;
    random = random != 0 ? random : (uint64_t)sys_getpid() * 0x9e3779b97f4a7c15;
    if (random_next(&random) % 4 == 0) {
        (void)sys_sleep((random >> 8) % 20000);
    }
    for (uint64_t end = cycles() + (random >> 32) % 20000; cycles() < end;) {
    }
}

/* Two clients call the same server at any time; the other one runs where the server does. */
static bool measure_varied_calls(uint64_t server_cpu)
{
    int64_t pid = make_endpoint() ? sys_fork() : -1;
    if (pid == 0) {
        sys_exit(serve((unsigned)server_cpu, 2 * CALLS));
    }
    int64_t other = pid > 0 ? sys_fork() : -1;
    if (other == 0) {
        sys_exit(pin((unsigned)server_cpu) && call_as_client(pause_somewhat) ? 0 : STATUS_BROKEN);
    }
    row_touch(&calls);
    row_touch(&back);
    bool good = other > 0 && call_as_client(pause_somewhat);
    return end_server(pid, ended_well(other) && good);
}

static bool make_endpoints(uint64_t count)
{
    bool good = true;
    for (uint64_t i = 0; good && i < count; i++) {
        good = sys_endpoint_create(0) > 0;
    }
    return good;
}

/* The same when there are so many endpoints, half of them in this process, which uses the one that it made last. */
static bool measure_calls_among(uint64_t count)
{
    struct board *board = board_create(NULL);
    if (board == NULL || count == 0) {
        return false;
    }
    int64_t pid = sys_fork(); /* a space does not hold them all */
    if (pid == 0) {
        bool made = make_endpoints(count / 2);
        board->ready = 1;
        while (board->stop == 0) {
            sys_sleep(1000000);
        }
        sys_exit(made ? 0 : STATUS_BROKEN);
    }
    bool good = pid > 0 && make_endpoints(count - count / 2 - 1) && make_endpoint();
    while (pid > 0 && board->ready == 0) {
        sys_sleep(1000000);
    }
    good = good && call_server(0);
    board->stop = 1;
    return ended_well(pid) && good;
}

/* Of a thousand lookups of calls and answers, how many a CPU remembers. */
static bool measure_hits(uint64_t unused)
{
    struct row *row = row_make("cap-hits");
    struct cap_stats before;
    struct cap_stats after;
    (void)unused;
    bool good = row != NULL && sys_cap_stats(&before) == STATUS_OK && measure_calls(0) &&
                sys_cap_stats(&after) == STATUS_OK;
    if (good) {
        uint64_t hits = after.cache_hits - before.cache_hits;
        uint64_t misses = after.cache_misses - before.cache_misses;
        row_add(row, hits * 1000 / (hits + misses), 0);
        row_print(row);
    }
    return good;
}

/* Calls between two marks, for who counts from outside. */
static bool measure_marked_calls(uint64_t count)
{
    struct stamped at;
    if (!make_endpoint()) {
        return false;
    }
    int64_t pid = sys_fork();
    if (pid == 0) {
        sys_exit(serve(0, (unsigned)count + 8));
    }
    bool good = pid > 0;
    for (uint64_t i = 0; good && i < count + 8; i++) {
        if (i == 8) {
            mark();
        }
        good = stamped_message(SYS_IPC_CALL, endpoint, EVERY_WORD_TAG, &at) == STATUS_OK;
        if (i >= 8) {
            row_add(&calls, at.after - at.before, stamped_cost);
        }
    }
    mark();
    good = good && stamped_message(SYS_IPC_CALL, endpoint, EVERY_WORD_TAG, &at) == STATUS_OK;
    good = ended_well(pid) && good;
    row_print(&calls);
    return good;
}

/* ---- regions ---- */

static handle_t region;

/* One word of every page. */
static uint64_t look(const volatile uint64_t *words)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < REGION_PAGES; i++) {
        sum += words[i * (PAGE / sizeof(uint64_t))];
    }
    return sum;
}

/* Looks into what each call hands over: `pages` mapped for it, or all of it mapped since the start (0). */
static int take_regions(uint64_t pages, const char *name)
{
    static struct row row;
    struct stamped at;
    volatile uint64_t *words = pages == 0 ? map_whole(region, REGION_PAGES, 0) : NULL;
    uint64_t sum = words != NULL ? look(words) : 0;
    int64_t status = stamped_message(SYS_IPC_RECEIVE, endpoint, 0, &at);
    row.name = name;
    for (unsigned i = 0; i < REGION_CALLS && status == STATUS_OK; i++) {
        volatile uint64_t *seen = pages == 0 ? words : map_whole(region, pages, MAP_NOW);
        if (seen == NULL) {
            return STATUS_BROKEN;
        }
        sum += pages == 1 ? seen[0] : look(seen);
        row_add(&row, cycles() - at.word, cycles_cost);
        if (pages != 0 && sys_unmap((uint64_t)(uintptr_t)seen, pages * PAGE) != STATUS_OK) {
            return STATUS_BROKEN;
        }
        status = i + 1 < REGION_CALLS ? stamped_message(SYS_IPC_REPLY_RECEIVE, endpoint, EVERY_WORD_TAG, &at)
                                      : stamped_message(SYS_IPC_REPLY, 0, EVERY_WORD_TAG, &at);
    }
    row_print(&row);
    return status == STATUS_OK && sum != 0 ? 0 : STATUS_BROKEN;
}

static bool hand_regions(uint64_t pages, const char *name)
{
    int64_t made = sys_region_create(REGION_PAGES * (uint64_t)PAGE, -1);
    region = (handle_t)made;
    volatile uint64_t *words = made > 0 ? map_whole(region, REGION_PAGES, 0) : NULL;
    if (words == NULL || !make_endpoint()) {
        return false;
    }
    int64_t pid = sys_fork();
    if (pid == 0) {
        sys_exit(take_regions(pages, name));
    }
    bool good = pid > 0;
    for (unsigned i = 0; good && i < REGION_CALLS; i++) {
        struct stamped at;
        for (unsigned word = 0; word < REGION_PAGES * PAGE / sizeof(uint64_t); word++) {
            words[word] = i + 1;
        }
        good = stamped_message(SYS_IPC_CALL, endpoint, EVERY_WORD_TAG, &at) == STATUS_OK;
    }
    return ended_well(pid) && good;
}

static bool measure_regions(uint64_t unused)
{
    (void)unused;
    return hand_regions(0, "region-64k-mapped") && hand_regions(REGION_PAGES, "region-64k-map") &&
           hand_regions(1, "region-4k-map");
}

/* ---- channels ---- */

static struct channel_message messages[CHANNEL_BATCH];

/* Puts and takes n messages in one call each; cycles a message are those of both. */
static bool measure_batch(handle_t channel, uint64_t n, const char *name)
{
    static struct row row;
    row.name = name;
    for (unsigned i = 0; i < CHANNEL_TURNS; i++) {
        uint64_t before = cycles();
        int64_t put = sys_channel_put(channel, messages, n, NO_PATIENCE);
        int64_t taken = sys_channel_take(channel, messages, n, NO_PATIENCE);
        uint64_t after = cycles();
        if (put != (int64_t)n || taken != (int64_t)n) {
            return false;
        }
        row_add(&row, after - before, cycles_cost);
        row.samples[row.count - 1] /= n;
    }
    row_print(&row);
    return true;
}

static bool measure_batches(uint64_t flags)
{
    static const struct {
        uint64_t n;
        const char *name;
    } sizes[] = {{1, "batch-1"}, {4, "batch-4"}, {16, "batch-16"}, {64, "batch-64"}};
    int64_t channel = sys_channel_create(CHANNEL_BATCH, flags, -1);
    bool good = channel > 0;
    for (unsigned i = 0; good && i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        good = measure_batch((handle_t)channel, sizes[i].n, sizes[i].name);
    }
    return good;
}

static int drain(handle_t channel, uint64_t wanted)
{
    uint64_t got = 0;
    while (got < wanted) {
        int64_t taken = sys_channel_take(channel, messages, CHANNEL_BATCH, IPC_FOREVER);
        if (taken <= 0) {
            return STATUS_BROKEN;
        }
        got += (uint64_t)taken;
    }
    return 0;
}

/* One process puts, one takes, on one CPU: cycles a message, the end of the taker included. */
static bool measure_flood(uint64_t at_once)
{
    static struct row row = {.name = "flood"};
    uint64_t n = at_once == 0 ? CHANNEL_BATCH : at_once;
    uint64_t wanted = n * FLOOD_TURNS;
    int64_t channel = sys_channel_create(CHANNEL_MAX, 0, -1);
    int64_t pid = channel > 0 ? sys_fork() : -1;
    if (pid == 0) {
        sys_exit(drain((handle_t)channel, wanted));
    }
    uint64_t before = cycles();
    uint64_t sent = 0;
    while (pid > 0 && sent < wanted) {
        int64_t put = sys_channel_put((handle_t)channel, messages, n, IPC_FOREVER);
        if (put <= 0) {
            return false;
        }
        sent += (uint64_t)put;
    }
    bool good = ended_well(pid);
    row_add(&row, (cycles() - before) / wanted, 0);
    row_print(&row);
    return good;
}

/* ---- sizes ---- */

/* A call with so many bytes, up to 64 in registers. */
static bool measure_small(unsigned words)
{
    static struct row row = {.name = "size"};
    if (!make_endpoint()) {
        return false;
    }
    int64_t pid = sys_fork();
    if (pid == 0) {
        there.count = 0;
        struct stamped at;
        int64_t status = stamped_message(SYS_IPC_RECEIVE, endpoint, 0, &at);
        for (unsigned i = 1; i < CHANNEL_TURNS && status == STATUS_OK; i++) {
            status = stamped_message(SYS_IPC_REPLY_RECEIVE, endpoint, words, &at);
        }
        sys_exit(stamped_message(SYS_IPC_REPLY, 0, words, &at) == STATUS_OK ? 0 : STATUS_BROKEN);
    }
    bool good = pid > 0;
    for (unsigned i = 0; good && i < CHANNEL_TURNS; i++) {
        struct stamped at;
        good = stamped_message(SYS_IPC_CALL, endpoint, words, &at) == STATUS_OK;
        row_add(&row, at.after - at.before, stamped_cost);
    }
    good = ended_well(pid) && good;
    row_print(&row);
    return good;
}

/* More than 64 bytes: through a channel, put and taken in one call each. */
static bool measure_large(uint64_t n)
{
    static struct row row = {.name = "size"};
    int64_t channel = sys_channel_create(CHANNEL_BATCH, 0, -1);
    bool good = channel > 0;
    for (unsigned i = 0; good && i < CHANNEL_TURNS; i++) {
        uint64_t before = cycles();
        good = sys_channel_put((handle_t)channel, messages, n, NO_PATIENCE) == (int64_t)n &&
               sys_channel_take((handle_t)channel, messages, n, NO_PATIENCE) == (int64_t)n;
        row_add(&row, cycles() - before, cycles_cost);
    }
    row_print(&row);
    return good;
}

static bool measure_size(uint64_t bytes)
{
    if (bytes % sizeof(uint64_t) != 0 || bytes > PAGE) {
        return false;
    }
    return bytes <= sizeof(uint64_t) * IPC_WORDS ? measure_small((unsigned)(bytes / sizeof(uint64_t)))
                                                 : measure_large(bytes / sizeof(messages[0]));
}

/* ---- pairs: one on each of the first CPUs, all at once ---- */

static int answer_until_stopped(const volatile uint64_t *stop, unsigned cpu)
{
    struct stamped at;
    int64_t status = pin(cpu) ? stamped_message(SYS_IPC_RECEIVE, endpoint, 0, &at) : STATUS_ERR_STATE;
    while (status == STATUS_OK && *stop == 0) {
        status = stamped_message(SYS_IPC_REPLY_RECEIVE, endpoint, EVERY_WORD_TAG, &at);
    }
    return stamped_message(SYS_IPC_REPLY, 0, EVERY_WORD_TAG, &at) == STATUS_OK ? 0 : STATUS_BROKEN;
}

static int call_until_stopped(struct board *board, unsigned cpu)
{
    if (!pin(cpu) || !make_endpoint()) {
        return STATUS_BROKEN;
    }
    volatile uint64_t *stop = &board->stops[cpu];
    int64_t pid = sys_fork();
    if (pid == 0) {
        sys_exit(answer_until_stopped(stop, cpu));
    }
    struct stamped at;
    bool good = pid > 0 && stamped_message(SYS_IPC_CALL, endpoint, EVERY_WORD_TAG, &at) == STATUS_OK;
    __atomic_add_fetch(&board->ready, 1, __ATOMIC_SEQ_CST);
    while (board->stamp == 0) {
        sys_yield();
    }
    uint64_t end = board->stamp;
    uint64_t count = 0; /* not on the board, whose lines all CPUs write */
    for (uint64_t now = 0; good && now < end; now = at.after) {
        good = stamped_message(SYS_IPC_CALL, endpoint, EVERY_WORD_TAG, &at) == STATUS_OK;
        count++;
    }
    board->counts[cpu] = count;
    *stop = 1;
    good = stamped_message(SYS_IPC_CALL, endpoint, EVERY_WORD_TAG, &at) == STATUS_OK && good;
    return ended_well(pid) && good ? 0 : STATUS_BROKEN;
}

static bool measure_pairs(uint64_t pairs)
{
    static struct row row = {.name = "pairs"};
    struct board *board = board_create(NULL);
    bool good = board != NULL && pairs != 0 && pairs <= 64;
    for (unsigned cpu = 0; good && cpu < pairs; cpu++) {
        int64_t pid = sys_fork();
        if (pid == 0) {
            sys_exit(call_until_stopped(board, cpu));
        }
        good = pid > 0;
    }
    while (good && board->ready < pairs) {
        sys_sleep(PAIR_NS / 10);
    }
    uint64_t before = cycles();
    uint64_t length = PAIR_NS * 3ull;
    board->stamp = before + length;
    for (uint64_t i = 0; i < pairs; i++) {
        int status = -1;
        good = sys_wait(0, &status, 0) > 0 && status == 0 && good;
    }
    for (unsigned cpu = 0; cpu < pairs && good; cpu++) {
        row_add(&row, board->counts[cpu], 0);
    }
    row_print(&row);
    return good;
}

const struct measurement message_measurements[] = {
    {"calls", measure_calls},
    {"varied-calls", measure_varied_calls},
    {"marked-calls", measure_marked_calls},
    {"regions", measure_regions},
    {"batches", measure_batches},
    {"flood", measure_flood},
    {"size", measure_size},
    {"pairs", measure_pairs},
    {"calls-among", measure_calls_among},
    {"hits", measure_hits},
};

const unsigned message_measurement_count = sizeof(message_measurements) / sizeof(message_measurements[0]);
