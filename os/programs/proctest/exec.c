/* exec: what it ends, what it keeps, how much it takes, and what it refuses. */
#include "proctest.h"

#define GOOD 11

static const char *const no_strings[] = {NULL};

static struct ipc_registers message(uint64_t patience)
{
    return (struct ipc_registers){.tag = ipc_tag(1, 1, 0), .words = {5}, .time = patience};
}

/* ---- what was pending ---- */

static handle_t number_of(const char *text)
{
    return (handle_t)parse_number(text);
}

static char *number_text(char *buffer, handle_t number)
{
    char *at = buffer + 24;
    *at = '\0';
    do {
        *--at = (char)('0' + number % 10);
        number /= 10;
    } while (number != 0);
    return at;
}

/*
 * The new program: kept endpoint, dropped notification, kept notification, region mapped at, thread that was not joined.
 * It owes nobody an answer, so it can receive; what was kept is as it was, all else has gone.
 */
static int check_pending(char **words)
{
    struct cap_info info;
    struct ipc_registers m = message(0);
    uint64_t bits = 0;
    if (sys_ipc_reply(0, &m) != STATUS_ERR_STATE) {
        return 1; /* the call was the old program's */
    }
    m = (struct ipc_registers){.time = 0};
    if (sys_ipc_receive(number_of(words[0]), &m) != STATUS_ERR_AGAIN) {
        return 2;
    }
    if (sys_cap_read(number_of(words[1]), &info) >= 0) {
        return 3;
    }
    if (sys_notification_wait(number_of(words[2]), UINT64_MAX, &bits, 0) != STATUS_OK || bits != 6) {
        return 4; /* events of what is kept are kept */
    }
    if (sys_console_write((const char *)number_of(words[3]), 1) != STATUS_ERR_BAD_ADDRESS) {
        return 5; /* mappings went with the old space */
    }
    if (sys_thread_join((unsigned)number_of(words[4]), NULL, 0) != STATUS_ERR_NOT_FOUND) {
        return 6;
    }
    struct process_info process;
    return sys_process_info(0, &process) == STATUS_OK && process.threads == 1 ? GOOD : 7;
}

static uint64_t ends_at_once(void *argument)
{
    (void)argument;
    return 3;
}

static uint64_t waits_for_ever(void *argument)
{
    struct ipc_registers m = {.time = IPC_FOREVER};
    (void)sys_ipc_receive(*(handle_t *)argument, &m);
    return 0;
}

static handle_t endpoint;

/* Receives a call, has all kinds of things pending, and becomes another program. */
static int execs_in_the_middle(void)
{
    static handle_t nobody_sends;
    char text[5][32];
    int64_t dropped = sys_notification_create();
    int64_t kept = sys_notification_create();
    handle_t weak =
        (handle_t)sys_cap_derive((handle_t)dropped, RIGHT_READ, 0); /* without the flag that keeps it */
    int64_t region = sys_region_create(PAGE, -1);
    int64_t at = sys_region_map((handle_t)region, 0, PAGE, 0, PROTECT_READ | PROTECT_WRITE);
    nobody_sends = (handle_t)sys_endpoint_create(0);
    int64_t ended = thread_start(ends_at_once, NULL, 0);
    int64_t waiting = thread_start(waits_for_ever, &nobody_sends, 0);
    struct ipc_registers m = {.time = IPC_FOREVER};
    if (at <= 0 || ended <= 0 || waiting <= 0 || sys_notification_signal((handle_t)kept, 6) != STATUS_OK ||
        sys_ipc_receive(endpoint, &m) != STATUS_OK) {
        return 90;
    }
    const char *const words[] = {"proctest",
                                 "--pending",
                                 number_text(text[0], endpoint),
                                 number_text(text[1], weak),
                                 number_text(text[2], (handle_t)kept),
                                 number_text(text[3], (handle_t)at),
                                 number_text(text[4], (handle_t)ended),
                                 NULL};
    return (int)-sys_exec("proctest", words, no_strings);
}

/* covers: PS-11 */
static bool test_exec_clears_what_was_pending(void)
{
    endpoint = (handle_t)sys_endpoint_create(0);
    int64_t pid = tap_child(execs_in_the_middle);
    struct ipc_registers m = message(IPC_FOREVER);
    EXPECT(sys_ipc_call(endpoint, &m) == STATUS_ERR_PEER); /* the one who was to answer is no more */
    EXPECT(tap_status(pid) == GOOD);
    return sys_cap_delete(endpoint) == STATUS_OK;
}

/* ---- limits ---- */

static const char *many[EXEC_MAX_STRINGS + 2];
static char huge[EXEC_MAX_BYTES + 1];
static const char *variables[EXEC_MAX_STRINGS + 2];

/* So many strings, so many of them variables; of one more byte than `bytes` has the others. */
static int64_t exec_strings(unsigned words, unsigned count, size_t bytes)
{
    size_t used = 0;
    for (unsigned i = 0; i < words + count; i++) {
        const char *text = i == 0 ? "proctest" : i == 1 ? "--count" : "x";
        *(i < words ? &many[i] : &variables[i - words]) = text;
        used += strlen(text) + 1;
    }
    many[words] = NULL;
    variables[count] = NULL;
    if (bytes != 0) {
        memset(huge, 'y', bytes - used + 1);
        huge[bytes - used + 1] = '\0';
        *(count != 0 ? &variables[count - 1] : &many[words - 1]) = huge;
    }
    return sys_exec("proctest", many, variables);
}

static const struct {
    unsigned words;
    unsigned variables;
    size_t bytes; /* of all strings, 0: as many as they are */
    bool fits;
} amounts[] = {
    {EXEC_MAX_STRINGS, 0, 0, true},     {EXEC_MAX_STRINGS + 1, 0, 0, false},
    {EXEC_MAX_STRINGS - 1, 1, 0, true}, {EXEC_MAX_STRINGS, 1, 0, false},
    {2, EXEC_MAX_STRINGS - 2, 0, true}, {2, EXEC_MAX_STRINGS - 1, 0, false},
    {3, 0, EXEC_MAX_BYTES - 1, true},   {3, 0, EXEC_MAX_BYTES, true},
    {3, 0, EXEC_MAX_BYTES + 1, false},  {2, 5, EXEC_MAX_BYTES, true},
    {2, 5, EXEC_MAX_BYTES + 1, false},  {EXEC_MAX_STRINGS, 0, EXEC_MAX_BYTES, true},
};

static unsigned amount;

static int execs_an_amount(void)
{
    int64_t status = exec_strings(amounts[amount].words, amounts[amount].variables, amounts[amount].bytes);
    return status == STATUS_ERR_LIMIT && !amounts[amount].fits ? GOOD : 1;
}

static size_t bytes_of(char **words, unsigned *count)
{
    size_t bytes = 0;
    for (*count = 0; words[*count] != NULL; (*count)++) {
        bytes += strlen(words[*count]) + 1;
    }
    return bytes;
}

/* The new program is one of those that fit: it has all of the strings. */
static int check_amount(int argc, char **argv, char **environment)
{
    unsigned words;
    unsigned others;
    size_t bytes = bytes_of(argv, &words);
    bytes += bytes_of(environment, &others);
    for (unsigned i = 0; i < sizeof(amounts) / sizeof(amounts[0]); i++) {
        if (amounts[i].fits && amounts[i].words == words && amounts[i].variables == others &&
            (amounts[i].bytes == 0 ? bytes < EXEC_MAX_BYTES - 1 : amounts[i].bytes == bytes)) {
            return argc == (int)words ? GOOD : 2;
        }
    }
    return 3;
}

/* covers: PS-12 */
static bool test_exec_takes_what_the_limits_say_and_no_more(void)
{
    for (amount = 0; amount < sizeof(amounts) / sizeof(amounts[0]); amount++) {
        EXPECT(tap_status(tap_child(execs_an_amount)) == GOOD);
    }
    char path[PATH_MAX_BYTES + 1];
    memset(path, 'p', sizeof(path));
    path[PATH_MAX_BYTES - 1] = '\0';
    EXPECT(sys_exec(path, no_strings, NULL) == STATUS_ERR_NOT_FOUND);
    path[PATH_MAX_BYTES - 1] = 'p';
    path[PATH_MAX_BYTES] = '\0';
    return sys_exec(path, no_strings, NULL) == STATUS_ERR_LIMIT;
}

static const uint64_t bad_addresses[] = {8,
                                         0xfffull,
                                         0x7ffffffff000ull,
                                         0x800000000000ull,
                                         0xffff800000100000ull,
                                         0xffffffff80100000ull,
                                         UINT64_MAX - 7};

/* covers: PS-12 */
static bool test_exec_checks_the_pointer_at_each_position(void)
{
    for (unsigned i = 0; i < EXEC_MAX_STRINGS; i++) {
        for (unsigned j = 0; j <= i; j++) {
            many[j] = "x";
            variables[j] = "x";
        }
        many[i] = (const char *)bad_addresses[i % (sizeof(bad_addresses) / sizeof(bad_addresses[0]))];
        variables[i] = many[i];
        many[i + 1] = NULL;
        variables[i + 1] = NULL;
        EXPECT(sys_exec("proctest", many, NULL) == STATUS_ERR_BAD_ADDRESS);
        EXPECT(sys_exec("proctest", no_strings, variables) == STATUS_ERR_BAD_ADDRESS);
    }
    int64_t at = sys_map(0, 2 * PAGE, PROTECT_READ | PROTECT_WRITE);
    EXPECT(at > 0 && sys_unmap((uint64_t)at + PAGE, PAGE) == STATUS_OK);
    const char **last = (const char **)(at + PAGE) - 2; /* an array, then a string, that run off their page */
    last[0] = "proctest";
    last[1] = "x";
    EXPECT(sys_exec("proctest", last, NULL) == STATUS_ERR_BAD_ADDRESS);
    EXPECT(sys_exec("proctest", no_strings, last) == STATUS_ERR_BAD_ADDRESS);
    memset((char *)at, 'x', PAGE);
    const char *const runs_off[] = {(const char *)(at + PAGE - 3), NULL};
    EXPECT(sys_exec("proctest", runs_off, NULL) == STATUS_ERR_BAD_ADDRESS);
    EXPECT(sys_exec((const char *)(at + PAGE - 3), no_strings, NULL) == STATUS_ERR_BAD_ADDRESS);
    return sys_unmap((uint64_t)at, PAGE) == STATUS_OK;
}

/* ---- images ---- */

static char own_data[64] = "as it was";

/* Pairs of words: a file that is no program, and the status that says why. The one that asked goes on. */
static int refuses(char **words)
{
    unsigned count = 0;
    for (; words[2 * count] != NULL; count++) {
        int64_t wanted = -parse_number(words[2 * count + 1]);
        int64_t status = sys_exec(words[2 * count], no_strings, no_strings);
        int64_t spawned = sys_spawn(words[2 * count], no_strings, no_strings, NULL, 0);
        if (status != wanted || spawned != wanted || strcmp(own_data, "as it was") != 0) {
            print("# %s: exec %d, spawn %d\n", words[2 * count], (int)status, (int)spawned);
            return 1;
        }
    }
    print("# %u files were refused\n", count);
    return count != 0 ? 0 : 1;
}

int exec_child(int argc, char **argv, char **environment)
{
    if (argc == 7 && strcmp(argv[1], "--pending") == 0) {
        return check_pending(argv + 2);
    }
    if (argc > 1 && strcmp(argv[1], "--count") == 0) {
        return check_amount(argc, argv, environment);
    }
    return argc > 2 && argc % 2 == 0 && strcmp(argv[1], "--refuses") == 0 ? refuses(argv + 2) : -1;
}

const struct tap_test exec_tests[] = {
    {"exec_clears_what_was_pending", test_exec_clears_what_was_pending},
    {"exec_takes_what_the_limits_say_and_no_more", test_exec_takes_what_the_limits_say_and_no_more},
    {"exec_checks_the_pointer_at_each_position", test_exec_checks_the_pointer_at_each_position},
};

const unsigned exec_test_count = sizeof(exec_tests) / sizeof(exec_tests[0]);
