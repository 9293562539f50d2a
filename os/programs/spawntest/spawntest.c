/* spawntest: children made of a program and capabilities, without fork; what one can do that has none. */
#include "lib/tap.h"

#define KERNEL_ADDRESS 0xffffffff80100000ull

static const char *const no_strings[] = {NULL};

/* Status of a child that was spawned with these words behind its name. */
static int32_t spawned(const char *mode, struct spawn_cap *caps, unsigned count)
{
    const char *const words[] = {"spawntest", mode, NULL};
    const char *const environment[] = {"WHERE=here", NULL};
    return tap_status(sys_spawn("spawntest", words, environment, caps, count));
}

/* ---- what children do ---- */

enum place { PLACE_NOWHERE, PLACE_SLOT, PLACE_HANDLE, PLACE_DIRECT };

/* Every call that needs a capability is refused for want of it, whatever its arguments are. */
static int use_nothing(void)
{
    static const enum place places[] = {
#define SYSCALL(number, id, name, where, ...) [number] = PLACE_##where,
#include "abi/syscalls.def"
#undef SYSCALL
    };
    static const uint64_t words[] = {0, 1, 33, UINT64_MAX, KERNEL_ADDRESS, 0x400000};
    struct cap_info info;
    for (unsigned slot = 0; slot < CAP_WELL_KNOWN_SLOTS; slot++) {
        if (sys_cap_read(slot, &info) == STATUS_OK) {
            return 2;
        }
    }
    for (unsigned number = 0; number < SYS_COUNT; number++) {
        for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
            if (places[number] != PLACE_NOWHERE && places[number] != PLACE_DIRECT &&
                syscall6(number, words[i], words[i], words[i], words[i], words[i], words[i]) !=
                    STATUS_ERR_CAP_INVALID) {
                return 3;
            }
        }
    }
    return sys_cap_next(0) == STATUS_ERR_NOT_FOUND ? 40 : 4;
}

/* It was given the console to write and statistics, nothing else. */
static int use_two(void)
{
    struct cap_info info = {0};
    struct system_stats *stats = NULL;
    bool good = sys_cap_read(CAP_CONSOLE, &info) == STATUS_OK && info.rights == RIGHT_WRITE;
    good &= sys_cap_read(CAP_STATISTICS, &info) == STATUS_OK && sys_stats(stats, 8) == STATUS_ERR_BAD_ADDRESS;
    good &= sys_console_write("# hello\n", 8) == 8 && sys_fork() == STATUS_ERR_CAP_INVALID;
    return good ? 41 : 5;
}

static int check_strings(int argc, char **argv, char **environment)
{
    return argc == 2 && strcmp(argv[0], "spawntest") == 0 && argv[2] == NULL &&
                   strcmp(environment[0], "WHERE=here") == 0 && environment[1] == NULL
               ? 42
               : 6;
}

/* ---- tests ---- */

/* covers: ER-11 (S: an empty capability space), CP-01 (spawn) */
static bool test_a_child_without_capabilities_can_do_nothing(void)
{
    return spawned("--nothing", NULL, 0) == 40;
}

/* With fork_exit_wait of selftest, both ways are there. covers: PS-02 */
static bool test_a_child_gets_what_it_was_given_and_no_more(void)
{
    struct spawn_cap caps[] = {{.handle = CAP_CONSOLE, .rights = RIGHT_WRITE},
                               {.handle = CAP_STATISTICS, .rights = RIGHT_READ}};
    EXPECT(spawned("--two", caps, 2) == 41);
    EXPECT(caps[0].given == CAP_CONSOLE || (caps[0].given & UINT32_MAX) == CAP_CONSOLE);
    EXPECT((caps[1].given & UINT32_MAX) == CAP_STATISTICS);
    int64_t endpoint = sys_endpoint_create(0);
    struct spawn_cap other = {.handle = (handle_t)endpoint, .rights = RIGHT_READ};
    EXPECT(endpoint > 0 && spawned("--strings", &other, 1) == 42);
    EXPECT((other.given & UINT32_MAX) >= CAP_WELL_KNOWN_SLOTS);
    return sys_cap_delete((handle_t)endpoint) == STATUS_OK;
}

static bool test_strings_arrive(void)
{
    return spawned("--strings", NULL, 0) == 42;
}

static bool test_what_cannot_be_spawned_leaves_nothing(void)
{
    struct spawn_cap two[] = {{.handle = CAP_CONSOLE, .rights = RIGHT_WRITE},
                              {.handle = CAP_CONSOLE, .rights = RIGHT_WRITE}};
    struct spawn_cap bad = {.handle = CAP_CONSOLE, .rights = 0x1000};
    struct spawn_cap none = {.handle = 0x12345, .rights = RIGHT_READ};
    uint64_t frames = tap_free_frames();
    for (unsigned round = 0; round < 20; round++) {
        EXPECT(sys_spawn("nothing", no_strings, NULL, NULL, 0) == STATUS_ERR_NOT_FOUND);
        EXPECT(sys_spawn((const char *)KERNEL_ADDRESS, no_strings, NULL, NULL, 0) == STATUS_ERR_BAD_ADDRESS);
        EXPECT(sys_spawn("spawntest", (const char *const *)KERNEL_ADDRESS, NULL, NULL, 0) ==
               STATUS_ERR_BAD_ADDRESS);
        EXPECT(sys_spawn("spawntest", no_strings, NULL, (struct spawn_cap *)KERNEL_ADDRESS, 1) ==
               STATUS_ERR_BAD_ADDRESS);
        EXPECT(sys_spawn("spawntest", no_strings, NULL, two, SPAWN_CAPS_MAX + 1) == STATUS_ERR_LIMIT);
        EXPECT(sys_spawn("spawntest", no_strings, NULL, two, 2) == STATUS_ERR_EXISTS);
        EXPECT(sys_spawn("spawntest", no_strings, NULL, &bad, 1) == STATUS_ERR_UNKNOWN_BITS);
        EXPECT(sys_spawn("spawntest", no_strings, NULL, &none, 1) < 0);
    }
    EXPECT(sys_wait(0, NULL, 0) == STATUS_ERR_NO_CHILD);
    return tap_free_frames() == frames;
}

/* covers: PS-18 (S: spawn and exit, a hundred in place of 10,000) */
static bool test_spawned_children_give_every_frame_back(void)
{
    struct spawn_cap caps[] = {{.handle = CAP_CONSOLE, .rights = RIGHT_WRITE}};
    EXPECT(spawned("--strings", caps, 1) == 42);
    uint64_t frames = tap_free_frames();
    for (unsigned round = 0; round < 100; round++) {
        EXPECT(spawned("--strings", caps, 1) == 42);
    }
    return tap_free_frames() == frames;
}

/* Time from the call to the first instructions of main, in thousands of cycles. */
static bool test_the_time_of_a_spawn_is_told(void)
{
    static char now[24];
    const char *const words[] = {"spawntest", "--time", now, NULL};
    unsigned best = 255;
    for (unsigned round = 0; round < 10; round++) {
        uint64_t start = cycles();
        for (unsigned i = 0; i < 20; i++) {
            now[19 - i] = (char)('0' + start % 10);
            start /= 10;
        }
        int32_t status = tap_status(sys_spawn("spawntest", words, NULL, NULL, 0));
        EXPECT(status > 0 && status < 255);
        best = (unsigned)status < best ? (unsigned)status : best;
    }
    print("# spawn to main: %u thousand cycles\n", best);
    return true;
}

static int tell_time(const char *text)
{
    uint64_t now = cycles();
    uint64_t start = 0;
    for (; *text != '\0'; text++) {
        start = 10 * start + (uint64_t)(*text - '0');
    }
    uint64_t thousands = (now - start) / 1000 + 1;
    return (int)(thousands < 255 ? thousands : 255);
}

static const struct tap_test tests[] = {
    {"a_child_without_capabilities_can_do_nothing", test_a_child_without_capabilities_can_do_nothing},
    {"a_child_gets_what_it_was_given_and_no_more", test_a_child_gets_what_it_was_given_and_no_more},
    {"strings_arrive", test_strings_arrive},
    {"what_cannot_be_spawned_leaves_nothing", test_what_cannot_be_spawned_leaves_nothing},
    {"spawned_children_give_every_frame_back", test_spawned_children_give_every_frame_back},
    {"the_time_of_a_spawn_is_told", test_the_time_of_a_spawn_is_told},
};

int main(int argc, char **argv, char **environment);

int main(int argc, char **argv, char **environment)
{
    if (argc == 3 && strcmp(argv[1], "--time") == 0) {
        return tell_time(argv[2]);
    }
    if (argc >= 2 && argv[1][0] == '-' && argv[1][1] == '-') {
        return strcmp(argv[1], "--nothing") == 0 ? use_nothing()
               : strcmp(argv[1], "--two") == 0   ? use_two()
                                                 : check_strings(argc, argv, environment);
    }
    const struct tap_group groups[] = {{tests, sizeof(tests) / sizeof(tests[0])}};
    return tap_run(groups, 1, argc, argv);
}
