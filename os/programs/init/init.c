/*
 * init, the first process. Prints "init: ready" when the system is up, then serves the driver port
 * (docs/init-protocol.md). With "-- PROGRAM ARGUMENTS..." at the end of the kernel command line it runs that
 * program instead and ends the machine with its verdict.
 */
#include <stdbool.h>

#include "lib/names.h"

#define LINE_BYTES     512
#define WORDS_MAX      32
#define RUNS_MAX       64
#define PASS           16u
#define FAIL           17u
#define TREE_PROCESSES 4000u

static struct {
    char line[LINE_BYTES];
    size_t length;
    bool too_long;
    uint32_t runs[RUNS_MAX]; /* pids of programs that were started by the driver, 0: free */
} driver;

static void reply(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void reply(const char *format, ...)
{
    char line[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    sys_driver_write(line, strlen(line));
}

/* Starts a program in a quota tree of its own; pid or a negative status. */
static int64_t start(char **words)
{
    int64_t pid = sys_fork();
    if (pid == 0) {
        static const char *const environment[] = {NULL};
        sys_quota(TREE_PROCESSES);
        int64_t status = sys_exec(words[0], (const char *const *)words, environment);
        print("init: %s: %s\n", words[0], status_text((status_t)status));
        sys_exit(127);
    }
    return pid;
}

static void command_run(char **words, int count)
{
    int slot = 0;
    while (slot < RUNS_MAX && driver.runs[slot] != 0) {
        slot++;
    }
    if (count < 2 || slot == RUNS_MAX) {
        reply("error %s\n", count < 2 ? "run needs a program" : "too many programs");
        return;
    }
    int64_t pid = start(words + 1);
    if (pid < 0) {
        reply("error %s\n", status_text((status_t)pid));
        return;
    }
    driver.runs[slot] = (uint32_t)pid;
    reply("started %u\n", (unsigned)pid);
}

static struct system_stats *stats_read(void)
{
    static struct system_stats stats;
    sys_stats(&stats, sizeof(stats));
    return &stats;
}

/* Memory for DMA stays that for good. */
static uint64_t frames_left(void)
{
    const struct system_stats *stats = stats_read();
    return stats->frames_free + stats->frames_dma;
}

/* A member of one of the ABI's structures, which says in its comments what it counts. */
struct figure {
    size_t offset;
    size_t bytes;
    const char *name;
};

#define FIGURE_NAME_BYTES 32u

/* 0: a member that reply_figure can tell */
#define FIGURE_FITS(structure, member)                                                               \
    (0 * sizeof(struct {                                                                             \
         _Static_assert(sizeof(((struct structure *)NULL)->member) <= sizeof(uint64_t), "a number"); \
         _Static_assert(sizeof(#member) <= FIGURE_NAME_BYTES, "the name fits");                      \
         int none;                                                                                   \
     }))

#define FIGURE(structure, member)                                        \
    offsetof(struct structure, member) + FIGURE_FITS(structure, member), \
        sizeof(((struct structure *)NULL)->member), #member

static const struct figure system_figures[] = {
    {FIGURE(system_stats, frames_free)},
    {FIGURE(system_stats, frames_managed)},
    {FIGURE(system_stats, processes)},
    {FIGURE(system_stats, threads)},
    {FIGURE(system_stats, threads_dead)},
    {FIGURE(system_stats, cpus_online)},
    {FIGURE(system_stats, cpus_present)},
    {FIGURE(system_stats, nodes)},
    {FIGURE(system_stats, clock_hz)},
    {FIGURE(system_stats, forks)},
    {FIGURE(system_stats, exits)},
    {FIGURE(system_stats, heap_bytes)},
    {FIGURE(system_stats, heap_objects)},
    {FIGURE(system_stats, frames_dma)},
    {FIGURE(system_stats, threads_running)},
    {FIGURE(system_stats, threads_ready)},
    {FIGURE(system_stats, threads_sleeping)},
    {FIGURE(system_stats, threads_alive)},
};

static const struct figure cpu_figures[] = {
    {FIGURE(cpu_stats, switches)},
    {FIGURE(cpu_stats, ticks)},
    {FIGURE(cpu_stats, interrupts)},
    {FIGURE(cpu_stats, shootdowns_sent)},
};

/* "NAME VALUE", with '-' for each '_' of the name. */
static void reply_figure(const struct figure *figure, const void *structure)
{
    char name[FIGURE_NAME_BYTES];
    uint64_t value = 0;
    memcpy(&value, (const char *)structure + figure->offset, figure->bytes);
    size_t length = 0;
    for (; figure->name[length] != '\0'; length++) {
        name[length] = figure->name[length] == '_' ? '-' : figure->name[length];
    }
    name[length] = '\0';
    reply("%s %llu\n", name, (unsigned long long)value);
}

static void command_stats(char **words, int count)
{
    (void)words;
    (void)count;
    const struct system_stats *stats = stats_read();
    reply("clock-ns %lld\n", (long long)sys_clock());
    for (size_t i = 0; i < sizeof(system_figures) / sizeof(system_figures[0]); i++) {
        reply_figure(&system_figures[i], stats);
    }
    for (unsigned cpu = 0; cpu < stats->cpus_present; cpu++) {
        for (size_t i = 0; i < sizeof(cpu_figures) / sizeof(cpu_figures[0]); i++) {
            reply("cpu-%u-", cpu);
            reply_figure(&cpu_figures[i], &stats->cpus[cpu]);
        }
    }
    reply("end\n");
}

static void command_caps(char **words, int count)
{
    (void)words;
    (void)count;
    for (unsigned slot = 0; slot < CAP_TYPE_COUNT; slot++) {
        struct cap_info info;
        if (sys_cap_read(slot, &info) == STATUS_OK) {
            reply("cap %u type %u rights %x\n", slot, info.type, info.rights);
        }
    }
    reply("end\n");
}

static void command_exit(char **words, int count)
{
    int64_t code = count == 2 ? parse_number(words[1]) : -1;
    if (code < 1 || code > 255) {
        reply("error exit needs a code from 1 to 255\n");
        return;
    }
    sys_shutdown((unsigned)code);
    reply("error no debug-exit device\n");
}

static void command_ping(char **words, int count)
{
    (void)words;
    (void)count;
    reply("pong\n");
}

static void command_memory(char **words, int count)
{
    (void)words;
    (void)count;
    sys_memory_dump();
    reply("dumped\n");
}

static void command_quiesce(char **words, int count)
{
    (void)words;
    (void)count;
    sys_quiesce();
    reply("quiet\n");
}

static void command_shutdown(char **words, int count)
{
    (void)words;
    (void)count;
    sys_shutdown(0);
    reply("error no soft-off\n");
}

/* docs/init-protocol.md has a row for each. */
static const struct {
    const char *name;
    void (*run)(char **words, int count);
} commands[] = {
    {"ping", command_ping},     {"run", command_run},           {"stats", command_stats},
    {"memory", command_memory}, {"caps", command_caps},         {"quiesce", command_quiesce},
    {"exit", command_exit},     {"shutdown", command_shutdown},
};

static void command(char *line)
{
    char *words[WORDS_MAX];
    int count = split_words(line, words, WORDS_MAX);
    if (count < 0) {
        reply("error too many words\n");
    }
    if (count <= 0) {
        return;
    }
    for (unsigned i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (strcmp(words[0], commands[i].name) == 0) {
            commands[i].run(words, count);
            return;
        }
    }
    reply("error unknown command %s\n", words[0]);
}

static void take_byte(char byte)
{
    if (byte == '\r') {
        return;
    }
    if (byte != '\n') {
        driver.too_long |= driver.length == sizeof(driver.line) - 1;
        if (!driver.too_long) {
            driver.line[driver.length++] = byte;
        }
        return;
    }
    driver.line[driver.length] = '\0';
    if (driver.too_long) {
        reply("error line too long\n");
    } else {
        command(driver.line);
    }
    driver.length = 0;
    driver.too_long = false;
}

/* Reaps everything that has ended, orphans too; tells the driver of those it started. */
static void reap(void)
{
    int32_t status;
    for (int64_t pid; (pid = sys_wait(0, &status, WAIT_NO_BLOCK)) > 0;) {
        for (int slot = 0; slot < RUNS_MAX; slot++) {
            if (driver.runs[slot] == (uint32_t)pid) {
                driver.runs[slot] = 0;
                reply("exit %u %d\n", (unsigned)pid, status);
            }
        }
    }
}

static void serve(void)
{
    char buffer[128];
    for (;;) {
        int64_t count = sys_driver_read(buffer, sizeof(buffer), DRIVER_READ_OR_CHILD);
        if (count < 0) {
            print("init: no driver port\n");
            return;
        }
        reap();
        for (int64_t i = 0; i < count; i++) {
            take_byte(buffer[i]);
        }
    }
}

/* The words after "--" of the kernel command line, null when there are none. */
static char *command_of(char *arguments)
{
    for (char *at = arguments; *at != '\0'; at++) {
        if (strncmp(at, "-- ", 3) == 0 && (at == arguments || at[-1] == ' ')) {
            return at + 3;
        }
    }
    return NULL;
}

/*
 * Starts the name server, whose side of the endpoint lies in its well-known slot, as the other side lies in those of all who
 * descend from init.
 */
static int64_t start_names(void)
{
    static const char *const words[] = {"nameserver", NULL};
    struct spawn_cap caps[] = {{.handle = CAP_CONSOLE, .rights = RIGHT_WRITE, .flags = 0},
                               {.handle = CAP_MEMORY, .rights = RIGHT_CREATE, .flags = 0},
                               {.handle = CAP_ENDPOINT, .rights = RIGHT_READ, .flags = 0}};
    int64_t all = sys_endpoint_create(0);
    int64_t side = sys_cap_derive((handle_t)all, RIGHT_WRITE | RIGHT_GRANT, CAP_FLAG_KEEP_ON_EXEC);
    int64_t status = sys_cap_move((handle_t)all, CAP_ENDPOINT);
    if (status > 0) {
        status = sys_spawn(words[0], words, words + 1, caps, sizeof(caps) / sizeof(caps[0]));
        (void)sys_cap_delete(CAP_ENDPOINT);
        (void)sys_cap_move((handle_t)side, CAP_ENDPOINT);
    }
    return status > 0 ? name_tidy() : status; /* it has all its memory when it answers */
}

/* Children but for the name server, which is one as long as it answers. */
static bool has_children(void)
{
    struct process_info info;
    unsigned server = name_tidy() >= 0 ? 1 : 0;
    return sys_process_info(0, &info) == STATUS_OK && info.children > server;
}

static void run_alone(char *line)
{
    char *words[WORDS_MAX];
    int32_t status = 127;
    stats_read(); /* so that its pages are there before they are counted */
    name_tidy();
    uint64_t before = frames_left();
    if (split_words(line, words, WORDS_MAX) > 0) {
        int64_t pid = start(words);
        int64_t ended = 0;
        while (pid > 0 && ended != pid) {
            ended = sys_wait(0, &status, 0);
        }
        while (has_children() && sys_wait(0, NULL, 0) > 0) { /* what it left behind */
        }
    }
    name_tidy(); /* what the program had bound */
    sys_quiesce();
    uint64_t after = frames_left();
    print("init: program ended with status %d\n", status);
    print("init: free frames before minus after: %lld\n", (long long)(before - after));
    sys_shutdown(status == 0 && before == after ? PASS : FAIL);
    sys_shutdown(0);
}

int main(void);

int main(void)
{
    static char arguments[BOOT_ARGUMENTS_MAX];
    sys_boot_arguments(arguments, sizeof(arguments));
    char *alone = command_of(arguments);
    int64_t status = start_names();
    if (status < 0) {
        print("init: no names: %s\n", status_text((status_t)status));
    }
    sys_quiesce();
    print("init: ready\n");
    if (alone != NULL) {
        run_alone(alone);
    }
    serve();
    for (;;) {
        sys_sleep(3600ull * 1000000000ull);
    }
}
