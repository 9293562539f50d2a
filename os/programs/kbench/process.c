/* Processes: switches by yield, choosing among many, births. */
#include "kbench.h"

#include "lib/thread.h"

#define PICKS        2000u /* choices of the scheduler, about */
#define SLEEPS       256u
#define SLEEP_NS     20000u
#define YIELDS       256u
#define BIRTHS       24u
#define BORN_PROGRAM "kborn"

/* ---- switches ---- */

static bool set_policy(uint32_t policy)
{
    struct sched_params params = {.policy = policy, .level = policy == SCHED_FIFO ? 10 : 0};
    return sys_sched_set(SCHED_THREAD, 0, &params) == STATUS_OK;
}

/* Two of these take turns: from the yield of one to the return of the other's. */
static void take_turns(struct board *board, uint64_t self, struct row *row)
{
    for (unsigned i = 0; i < YIELDS && board->stop == 0; i++) {
        board->writer = self;
        board->stamp = cycles();
        sys_yield();
        uint64_t now = cycles();
        if (board->writer != self) {
            row_add(row, now - board->stamp, cycles_cost);
        }
    }
    board->stop = 1;
}

static bool measure_yield(uint64_t policy)
{
    static struct row switched = {.name = "yield-switch"};
    static struct row alone = {.name = "yield-alone"};
    struct board *board = board_create(NULL);
    if (board == NULL || !set_policy((uint32_t)policy)) {
        return false;
    }
    for (unsigned i = 0; i < YIELDS; i++) {
        uint64_t before = cycles();
        sys_yield();
        row_add(&alone, cycles() - before, cycles_cost);
    }
    row_print(&alone);
    int64_t pid = sys_fork();
    if (pid == 0) {
        bool good = pin(0) && set_policy((uint32_t)policy);
        take_turns(board, 1, &switched);
        sys_exit(good ? 0 : STATUS_BROKEN);
    }
    mark();
    take_turns(board, 2, &switched);
    mark();
    bool good = ended_well(pid);
    row_print(&switched);
    return good;
}

static struct board own_board; /* of the threads of this process */

static uint64_t other_thread(void *argument)
{
    static struct row row = {.name = "yield-thread"};
    const uint32_t *policy = argument;
    bool good = pin(0) && set_policy(*policy);
    take_turns(&own_board, 1, &row);
    row_print(&row);
    return good;
}

static bool measure_thread_yield(uint64_t number)
{
    static struct row row = {.name = "yield-thread"};
    uint32_t policy = (uint32_t)number;
    uint64_t good = 0;
    if (!set_policy(policy)) {
        return false;
    }
    int64_t tid = thread_start(other_thread, &policy, 0);
    take_turns(&own_board, 2, &row);
    bool joined = tid > 0 && thread_join(tid, &good) == STATUS_OK;
    row_print(&row);
    return joined && good != 0;
}

/* ---- so many that want to run ---- */

static int yield_until_stopped(const struct board *board)
{
    while (board->stop == 0) {
        sys_yield();
    }
    return 0;
}

/* Made by a thread that nothing takes the CPU from, so that none of them runs before all are there. */
static bool measure_runnable(uint64_t others)
{
    static const struct sched_params fair = {.policy = SCHED_FAIR};
    struct board *board = board_create(NULL);
    bool good = board != NULL && set_policy(SCHED_FIFO);
    uint64_t made = 0;
    for (; good && made < others; made++) {
        int64_t pid = sys_fork();
        if (pid == 0) {
            sys_exit(yield_until_stopped(board));
        }
        good = pid > 0 && sys_sched_set(SCHED_PROCESS, (uint64_t)pid, &fair) == STATUS_OK;
    }
    good = set_policy(SCHED_FAIR) && good;
    mark();
    for (uint64_t picks = 0; picks < PICKS; picks += others + 1) {
        sys_yield();
    }
    mark();
    board->stop = 1;
    while (made-- != 0) {
        int status = -1;
        good = sys_wait(0, &status, 0) > 0 && status == 0 && good;
    }
    return good;
}

/* Each time this thread sleeps there is one that is ready. */
static bool measure_one_runnable(uint64_t unused)
{
    struct board *board = board_create(NULL);
    int64_t pid = board != NULL ? sys_fork() : -1;
    (void)unused;
    if (pid == 0) {
        sys_exit(yield_until_stopped(board));
    }
    bool good = pid > 0;
    mark();
    for (unsigned i = 0; good && i < SLEEPS; i++) {
        good = sys_sleep(SLEEP_NS) == STATUS_OK;
    }
    mark();
    if (pid > 0) {
        board->stop = 1;
        good = ended_well(pid) && good;
    }
    return good;
}

/* ---- births ---- */

static bool measure_fork(uint64_t unused)
{
    static struct row born = {.name = "fork-first-instruction"};
    static struct row whole = {.name = "fork-exit-wait"};
    struct board *board = board_create(NULL);
    (void)unused;
    bool good = board != NULL;
    mark();
    for (unsigned i = 0; good && i < BIRTHS; i++) {
        uint64_t before = cycles();
        int64_t pid = sys_fork();
        if (pid == 0) {
            board->stamp = cycles();
            sys_exit(0);
        }
        good = ended_well(pid);
        row_add(&whole, cycles() - before, cycles_cost);
        row_add(&born, board->stamp - before, cycles_cost);
    }
    mark();
    row_print(&born);
    row_print(&whole);
    return good;
}

/* The text of a number, for an argument of a program. */
static void number_text(uint64_t value, char text[21])
{
    unsigned at = 20;
    text[at] = '\0';
    do {
        text[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    memmove(text, text + at, 21 - at);
}

/* From fork to the first instruction of the other program's main, which notes the time on the board. */
static bool measure_spawn(uint64_t unused)
{
    static struct row row = {.name = "spawn-first-instruction"};
    handle_t region;
    struct board *board = board_create(&region);
    char text[21];
    const char *const arguments[] = {BORN_PROGRAM, text, NULL};
    (void)unused;
    bool good = board != NULL;
    int64_t kept =
        good ? sys_cap_derive(region, RIGHT_READ | RIGHT_WRITE, CAP_FLAG_KEEP_ON_EXEC | CAP_FLAG_INHERIT_COPY)
             : -1;
    number_text((uint64_t)kept, text);
    good = kept > 0;
    mark();
    for (unsigned i = 0; good && i < BIRTHS; i++) {
        uint64_t before = cycles();
        int64_t pid = sys_fork();
        if (pid == 0) {
            (void)sys_exec(BORN_PROGRAM, arguments, NULL);
            sys_exit(STATUS_BROKEN);
        }
        good = ended_well(pid);
        row_add(&row, board->stamp - before, cycles_cost);
    }
    mark();
    row_print(&row);
    return good;
}

/* The same program by the call that makes a child without fork; it holds the region and nothing else. */
static bool measure_sys_spawn(uint64_t unused)
{
    static struct row row = {.name = "sys-spawn-first-instruction"};
    static const char *const no_strings[] = {NULL};
    static const char *const arguments[] = {BORN_PROGRAM, NULL};
    handle_t region;
    struct board *board = board_create(&region);
    (void)unused;
    bool good = board != NULL;
    mark();
    for (unsigned i = 0; good && i < BIRTHS; i++) {
        struct spawn_cap given = {.handle = region, .rights = RIGHT_READ | RIGHT_WRITE};
        uint64_t before = cycles();
        int64_t pid = sys_spawn(BORN_PROGRAM, arguments, no_strings, &given, 1);
        good = ended_well(pid);
        row_add(&row, board->stamp - before, cycles_cost);
    }
    mark();
    row_print(&row);
    return good;
}

/* So many deaths, then all that was theirs is freed: between marks, for who watches the shootdowns. */
static bool measure_deaths(uint64_t count)
{
    bool good = true;
    for (uint64_t i = 0; good && i < count; i++) {
        int64_t pid = sys_fork();
        if (pid == 0) {
            sys_exit(0);
        }
        good = ended_well(pid);
    }
    mark();
    good = sys_quiesce() == STATUS_OK && good;
    mark();
    return good;
}

const struct measurement process_measurements[] = {
    {"yield", measure_yield},       {"thread-yield", measure_thread_yield},
    {"runnable", measure_runnable}, {"fork", measure_fork},
    {"spawn", measure_spawn},       {"sys-spawn", measure_sys_spawn},
    {"deaths", measure_deaths},     {"one-runnable", measure_one_runnable},
};

const unsigned process_measurement_count = sizeof(process_measurements) / sizeof(process_measurements[0]);
