/*
 * shell: a few commands on the second serial port, through its driver (uartd), which it starts. Programs that it runs print
 * on the console. Ends with `exit`.
 */
#include "lib/names.h"
#include "programs/uartd/uart.h"

#define LINE_BYTES     128u
#define WORDS_MAX      16
#define PIDS_SHOWN     512u
#define TREE_PROCESSES 256u /* of a program that it runs */
#define MS             1000000ull

static handle_t uart;
static int64_t driver;

/* ---- the port ---- */

static void put(const char *text, size_t bytes)
{
    while (bytes != 0) {
        size_t count = bytes < UART_BYTES ? bytes : UART_BYTES;
        struct ipc_registers m = {.tag = ipc_tag(UART_WRITE, IPC_WORDS, 0), .time = IPC_FOREVER};
        m.words[0] = count;
        memcpy(&m.words[1], text, count);
        if (sys_ipc_call(uart, &m) != STATUS_OK) {
            print("shell: the driver has gone\n");
            sys_exit(1);
        }
        text += m.words[0];
        bytes -= m.words[0];
        if (m.words[0] == 0) {
            sys_sleep(MS);
        }
    }
}

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void say(const char *format, ...)
{
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    put(text, strlen(text));
}

/* The next byte of input. */
static char get(void)
{
    static struct ipc_registers input;
    static uint64_t taken;
    while (taken == input.words[0]) {
        input = (struct ipc_registers){.tag = ipc_tag(UART_READ, 0, 0), .time = IPC_FOREVER};
        taken = 0;
        if (sys_ipc_call(uart, &input) != STATUS_OK || input.words[0] > UART_BYTES) {
            print("shell: the driver has gone\n");
            sys_exit(1);
        }
    }
    return ((const char *)&input.words[1])[taken++];
}

/* A line as it is typed, echoed; backspace takes a character back. */
static void read_line(char *line)
{
    size_t length = 0;
    for (;;) {
        char byte = get();
        if (byte == '\r' || byte == '\n') {
            line[length] = '\0';
            say("\r\n");
            return;
        }
        if ((byte == '\b' || byte == 0x7f) && length != 0) {
            length--;
            say("\b \b");
        } else if (byte >= ' ' && byte < 0x7f && length < LINE_BYTES - 1) {
            line[length++] = byte;
            put(&byte, 1);
        }
    }
}

/* ---- commands ---- */

static void command_help(void)
{
    say("help                 this text\r\n"
        "ps                   processes below this shell, itself included\r\n"
        "mem                  memory of the system\r\n"
        "cat FILE             a file of the boot image\r\n");
    say("run PROGRAM WORD...  runs a program and waits; a last word & does not wait\r\n"
        "kill PID             ends a process\r\n"
        "exit                 ends the shell\r\n");
}

static void command_ps(void)
{
    unsigned self = (unsigned)sys_getpid();
    say("pid parent threads pages\r\n");
    for (unsigned pid = self; pid < self + PIDS_SHOWN; pid++) {
        struct process_info info;
        if (sys_process_info(pid, &info) == STATUS_OK && info.threads != 0) {
            say("%u %u %u %llu\r\n", info.pid, info.parent, info.threads,
                (unsigned long long)info.resident_pages);
        }
    }
}

static void command_mem(void)
{
    static struct system_stats stats;
    if (sys_stats(&stats, sizeof(stats)) <= 0) {
        say("no figures\r\n");
        return;
    }
    say("frames %llu free %llu processes %u heap %llu bytes\r\n", (unsigned long long)stats.frames_managed,
        (unsigned long long)stats.frames_free, stats.processes, (unsigned long long)stats.heap_bytes);
}

static void command_cat(const char *path)
{
    char buffer[512];
    int64_t count;
    for (uint64_t offset = 0; (count = sys_file_read(path, offset, buffer, sizeof(buffer))) > 0;) {
        for (int64_t i = 0; i < count; i++) {
            buffer[i] == '\n' ? put("\r\n", 2) : put(&buffer[i], 1);
        }
        offset += (uint64_t)count;
    }
    if (count < 0) {
        say("%s: %s\r\n", path, status_text((status_t)count));
    }
}

static int64_t start(char **words)
{
    int64_t pid = sys_fork();
    if (pid == 0) {
        static const char *const environment[] = {NULL};
        (void)sys_quota(TREE_PROCESSES); /* what goes off there leaves the shell alone */
        int64_t status = sys_exec(words[0], (const char *const *)words, environment);
        sys_exit(status < 0 ? 127 : 0);
    }
    return pid;
}

static void command_run(char **words, int count)
{
    bool waits = strcmp(words[count - 1], "&") != 0;
    if (!waits) {
        words[--count] = NULL;
    }
    int64_t pid = count > 1 ? start(words + 1) : STATUS_ERR_ARGUMENT;
    if (pid < 0) {
        say("run: %s\r\n", status_text((status_t)pid));
        return;
    }
    int32_t status = 0;
    if (!waits) {
        say("started %u\r\n", (unsigned)pid);
    } else if (sys_wait((unsigned)pid, &status, 0) == pid) {
        say("%s %d\r\n", status == 127 ? "no such program:" : "ended with", status);
    }
}

static void command_kill(const char *word)
{
    int64_t pid = parse_number(word);
    int64_t status = STATUS_ERR_ARGUMENT;
    if (pid > 0 && pid != driver && pid != sys_getpid()) {
        status = sys_process_kill((unsigned)pid, 9);
    }
    say("kill: %s\r\n", status_text((status_t)status));
}

/* Tells of background programs that have ended. */
static void reap(void)
{
    int32_t status;
    for (int64_t pid; (pid = sys_wait(0, &status, WAIT_NO_BLOCK)) > 0;) {
        say("%u ended with %d\r\n", (unsigned)pid, status);
    }
}

/* False: the end. */
static bool command(char *line)
{
    char *words[WORDS_MAX];
    int count = split_words(line, words, WORDS_MAX);
    if (count == 0) {
        return true;
    }
    if (count < 0) {
        say("too many words\r\n");
    } else if (strcmp(words[0], "help") == 0) {
        command_help();
    } else if (strcmp(words[0], "ps") == 0) {
        command_ps();
    } else if (strcmp(words[0], "mem") == 0) {
        command_mem();
    } else if (strcmp(words[0], "cat") == 0 && count == 2) {
        command_cat(words[1]);
    } else if (strcmp(words[0], "run") == 0 && count > 1) {
        command_run(words, count);
    } else if (strcmp(words[0], "kill") == 0 && count == 2) {
        command_kill(words[1]);
    } else if (strcmp(words[0], "exit") == 0) {
        return false;
    } else {
        say("%s? try help\r\n", words[0]);
    }
    return true;
}

static bool start_driver(void)
{
    static char *words[] = {"uartd", NULL};
    driver = start(words);
    for (unsigned i = 0; i < 100 && driver > 0; i++) {
        int64_t found = name_wait(UART_NAME, 10 * MS);
        if (found > 0) {
            uart = (handle_t)found;
            return true;
        }
        if (sys_wait((unsigned)driver, NULL, WAIT_NO_BLOCK) != 0) {
            return false; /* it has said why */
        }
    }
    return false;
}

int main(void);

int main(void)
{
    char line[LINE_BYTES];
    if (!start_driver()) {
        print("shell: no driver\n");
        return 1;
    }
    command_cat("motd");
    do {
        reap();
        say("$ ");
        read_line(line);
    } while (command(line));
    (void)sys_process_kill((unsigned)driver, 0);
    return sys_wait((unsigned)driver, NULL, 0) == driver ? 0 : 1;
}
