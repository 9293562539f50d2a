/*
 * selftest: every system call from the user's side, good and bad, and the protections of the machine. TAP
 * output. A test that may end its process runs in a child, whose status is checked. With names as arguments
 * only those tests run.
 */
#include "selftest.h"

#define PAGE              4096u
#define KERNEL_ADDRESS    0xffffffff80100000ull
#define NON_CANONICAL     0x0000900000000000ull
#define UNMAPPED          0x0000000000001000ull
#define LAST_PAGE         0x00007ffffffff000ull
#define VECTOR_PAGE_FAULT 14
#define FLAG_DF           0x400u
#define FLAG_AC           0x40000u

static const uint64_t bad_addresses[] = {0,         UNMAPPED,   KERNEL_ADDRESS, NON_CANONICAL,
                                         LAST_PAGE, UINT64_MAX, UINT64_MAX - 7};
#define BAD_ADDRESSES (sizeof(bad_addresses) / sizeof(bad_addresses[0]))

static bool killed_by(void (*function)(void), int vector)
{
    return tap_in_child(function) == STATUS_KILLED_BASE + vector;
}

/* ---- processes ---- */

static void exit_seven(void)
{
    sys_exit(7);
}

/* covers: PS-02 (fork), PS-07 (status and wait) */
static bool test_fork_exit_wait(void)
{
    EXPECT(tap_in_child(exit_seven) == 7);
    EXPECT(sys_wait(0, NULL, 0) == STATUS_ERR_NO_CHILD);
    EXPECT(sys_wait(999999, NULL, 0) == STATUS_ERR_NO_CHILD);
    EXPECT(sys_wait(0, NULL, 8) == STATUS_ERR_ARGUMENT);
    return true;
}

static bool test_wait_checks_its_pointer_first(void)
{
    int64_t pid = sys_fork();
    if (pid == 0) {
        sys_exit(3);
    }
    for (size_t i = 1; i < BAD_ADDRESSES; i++) {
        EXPECT(sys_wait(0, (int32_t *)bad_addresses[i], 0) == STATUS_ERR_BAD_ADDRESS);
    }
    int32_t status = 0;
    EXPECT(sys_wait(0, &status, 0) == pid && status == 3);
    return true;
}

static bool test_wait_without_blocking(void)
{
    int64_t go = sys_notification_create();
    int64_t pid = sys_fork();
    if (pid == 0) {
        uint64_t bits;
        sys_exit(sys_notification_wait((handle_t)go, 1, &bits, IPC_FOREVER) == STATUS_OK ? 0 : 1);
    }
    EXPECT(go > 0 && sys_wait(0, NULL, WAIT_NO_BLOCK) == 0);
    EXPECT(sys_notification_signal((handle_t)go, 1) == STATUS_OK);
    int32_t status = -1;
    EXPECT(sys_wait(0, &status, 0) == pid && status == 0);
    return sys_cap_delete((handle_t)go) == STATUS_OK;
}

static void check_parent(void)
{
    int64_t self = sys_getpid();
    int64_t pid = sys_fork();
    if (pid == 0) {
        sys_exit(sys_getppid() == self ? 1 : 2);
    }
    int32_t status;
    sys_wait(0, &status, 0);
    sys_exit(status == 1 && pid > self ? 0 : 1);
}

static bool test_pids(void)
{
    EXPECT(sys_getpid() > 1 && sys_getppid() >= 1);
    EXPECT(tap_in_child(check_parent) == 0);
    return true;
}

/* The middle process ends first; its child becomes init's. */
static void orphan(void)
{
    int64_t pid = sys_fork();
    if (pid == 0) {
        while (sys_getppid() != 1) { /* init waits for it: a test that hangs here fails */
            sys_yield();
        }
        sys_exit(0);
    }
    sys_exit(pid > 0 ? 5 : 6);
}

/* covers: PS-06 */
static bool test_orphans_go_to_init(void)
{
    EXPECT(tap_in_child(orphan) == 5);
    return true;
}

static volatile uint64_t shared_word = 42;

static void write_word(void)
{
    sys_exit(shared_word == 42 && (shared_word = 43) == 43 ? 0 : 1);
}

/* covers: VM-15 (isolation), PS-03 (memory) */
static bool test_copy_on_write_isolates(void)
{
    uint64_t *page = malloc(8 * PAGE);
    EXPECT(page != NULL);
    memset(page, 0x5a, 8 * PAGE);
    EXPECT(tap_in_child(write_word) == 0);
    EXPECT(shared_word == 42);
    int64_t pid = sys_fork();
    if (pid == 0) {
        memset(page, 0xa5, 8 * PAGE);
        sys_exit(page[0] == 0xa5a5a5a5a5a5a5a5 ? 0 : 1);
    }
    int32_t status = -1;
    EXPECT(sys_wait((uint32_t)pid, &status, 0) == pid && status == 0);
    for (size_t i = 0; i < 8 * PAGE / sizeof(*page); i++) {
        EXPECT(page[i] == 0x5a5a5a5a5a5a5a5a);
    }
    free(page);
    return true;
}

static bool all_waited; /* in every attempt */

/* True when it is over while the dying still goes on, for two seconds. */
static bool quiesce_is_over_before_others_are(void)
{
    int64_t pid = sys_fork();
    if (pid == 0) {
        for (unsigned i = 0; i < 20; i++) {
            (void)tap_in_child(exit_seven);
            sys_sleep(100000000);
        }
        sys_exit(0);
    }
    all_waited = sys_quiesce() == 0 && all_waited;
    int64_t ended = sys_wait((uint32_t)pid, NULL, WAIT_NO_BLOCK);
    all_waited = (ended == 0 ? sys_wait((uint32_t)pid, NULL, 0) : ended) == pid && all_waited;
    return ended == 0;
}

/* Deaths after the call do not prolong it. */
static bool test_quiesce_waits_only_for_who_is_dead_already(void)
{
    EXPECT(tap_in_child(exit_seven) == 7);
    all_waited = true;
    EXPECT(tap_undisturbed(quiesce_is_over_before_others_are) && all_waited);
    return true;
}

/* ---- exec ---- */

/* covers: PS-09 (missing files), PS-12 (bad pointers), PS-13 */
static bool test_exec_errors_leave_the_program(void)
{
    const char *const arguments[] = {"nothing", NULL};
    char long_path[PATH_MAX_BYTES + 8];
    memset(long_path, 'a', sizeof(long_path));
    EXPECT(sys_exec("nothing", arguments, NULL) == STATUS_ERR_NOT_FOUND);
    EXPECT(sys_exec("", arguments, NULL) == STATUS_ERR_NOT_FOUND);
    EXPECT(sys_exec(long_path, arguments, NULL) == STATUS_ERR_LIMIT);
    for (size_t i = 0; i < BAD_ADDRESSES; i++) {
        const char *const bad[] = {"selftest", (const char *)bad_addresses[i], NULL};
        EXPECT(sys_exec((const char *)bad_addresses[i], arguments, NULL) == STATUS_ERR_BAD_ADDRESS);
        EXPECT(i == 0 ||
               sys_exec("selftest", (const char *const *)bad_addresses[i], NULL) == STATUS_ERR_BAD_ADDRESS);
        EXPECT(i == 0 || sys_exec("selftest", bad, NULL) == STATUS_ERR_BAD_ADDRESS);
        EXPECT(i == 0 || sys_exec("selftest", arguments, bad) == STATUS_ERR_BAD_ADDRESS);
    }
    return true;
}

/* covers: PS-12 (one above the limits) */
static bool test_exec_limits(void)
{
    static const char *many[EXEC_MAX_STRINGS + 2];
    static char huge[EXEC_MAX_BYTES + 1];
    for (size_t i = 0; i <= EXEC_MAX_STRINGS; i++) {
        many[i] = "x";
    }
    EXPECT(sys_exec("selftest", many, NULL) == STATUS_ERR_LIMIT);
    memset(huge, 'y', EXEC_MAX_BYTES);
    const char *const one[] = {huge, NULL};
    EXPECT(sys_exec("selftest", one, NULL) == STATUS_ERR_LIMIT);
    return true;
}

static void exec_with_arguments(void)
{
    const char *const arguments[] = {"selftest", "--check-arguments", "", "three", NULL};
    const char *const environment[] = {"A=1", "B=2", NULL};
    sys_exec("/selftest", arguments, environment);
    sys_exit(99);
}

static int check_arguments(int argc, char **argv, char **environment)
{
    bool good = argc == 4 && strcmp(argv[0], "selftest") == 0 && argv[2][0] == '\0' &&
                strcmp(argv[3], "three") == 0 && argv[4] == NULL && strcmp(environment[0], "A=1") == 0 &&
                strcmp(environment[1], "B=2") == 0 && environment[2] == NULL && shared_word == 42;
    return good ? 11 : 12;
}

static void exec_after_change(void)
{
    shared_word = 77; /* the new program starts from its image, not from this */
    exec_with_arguments();
}

/* covers: PS-10, PS-12 (contents) */
static bool test_exec_replaces_the_program(void)
{
    EXPECT(tap_in_child(exec_with_arguments) == 11);
    EXPECT(tap_in_child(exec_after_change) == 11);
    return true;
}

/* ---- memory ---- */

static bool test_map_and_unmap(void)
{
    int64_t at = sys_map(0, 3 * PAGE, PROTECT_READ | PROTECT_WRITE);
    EXPECT(at > 0 && at % PAGE == 0);
    volatile char *bytes = (volatile char *)at;
    EXPECT(bytes[0] == 0 && bytes[3 * PAGE - 1] == 0);
    bytes[PAGE] = 1;
    EXPECT(sys_map((uint64_t)at, PAGE, PROTECT_READ | MAP_EXACT) == STATUS_ERR_EXISTS);
    EXPECT(sys_protect((uint64_t)at, PAGE, PROTECT_READ) == 0 && bytes[0] == 0);
    EXPECT(sys_unmap((uint64_t)at, 3 * PAGE) == 0);
    EXPECT(sys_map((uint64_t)at, PAGE, PROTECT_READ | PROTECT_WRITE | MAP_EXACT) == at);
    EXPECT(bytes[0] == 0 && sys_unmap((uint64_t)at, PAGE) == 0);
    return true;
}

/* Every page is there when the call returns. covers: VM-19 (S: a map that succeeds) */
static bool test_map_at_once(void)
{
    int64_t at = sys_map(0, 40 * PAGE, PROTECT_READ | PROTECT_WRITE | MAP_NOW);
    EXPECT(at > 0);
    for (size_t i = 0; i < 40 * PAGE; i += PAGE) {
        EXPECT(((volatile char *)at)[i] == 0);
    }
    EXPECT(sys_map(0, 1ull << 30, PROTECT_READ | MAP_NOW) == STATUS_ERR_RANGE);
    return sys_unmap((uint64_t)at, 40 * PAGE) == 0;
}

#define MOVED_PAGES 20u

/* covers: MM-18 (contents) */
static bool test_pages_move_to_another_node(void)
{
    static struct system_stats stats;
    int64_t at = sys_map(0, MOVED_PAGES * PAGE, PROTECT_READ | PROTECT_WRITE | MAP_NOW);
    volatile uint64_t *words = (volatile uint64_t *)at;
    EXPECT(at > 0 && sys_stats(&stats, sizeof(stats)) > 0);
    EXPECT(sys_migrate((uint64_t)at, MOVED_PAGES * PAGE, stats.nodes) == STATUS_ERR_ARGUMENT);
    EXPECT(sys_migrate((uint64_t)at + 1, PAGE, 0) == STATUS_ERR_UNALIGNED);
    EXPECT(sys_migrate((uint64_t)at, 1ull << 40, 0) == STATUS_ERR_RANGE);
    for (unsigned round = 0; round < 2 * stats.nodes; round++) {
        for (size_t i = 0; i < MOVED_PAGES; i++) {
            words[i * PAGE / 8 + round] = 0x1000 * round + i;
        }
        int64_t moved = sys_migrate((uint64_t)at, MOVED_PAGES * PAGE, (round + 1) % stats.nodes);
        EXPECT(moved >= 0 && (round == 0 || moved == (stats.nodes > 1 ? MOVED_PAGES : 0)));
        for (size_t i = 0; i < MOVED_PAGES; i++) {
            EXPECT(words[i * PAGE / 8] == i && words[i * PAGE / 8 + round] == 0x1000 * round + i);
        }
    }
    int64_t pid = sys_fork(); /* shared pages stay where they are */
    if (pid == 0) {
        bool refused = stats.nodes == 1 || sys_migrate((uint64_t)at, PAGE, 0) == STATUS_ERR_SHARED ||
                       sys_migrate((uint64_t)at, PAGE, 1) == STATUS_ERR_SHARED;
        sys_exit(refused && words[0] == 0 ? 0 : 1);
    }
    int32_t status = -1;
    EXPECT(sys_wait((uint32_t)pid, &status, 0) == pid && status == 0);
    return sys_unmap((uint64_t)at, MOVED_PAGES * PAGE) == 0;
}

static bool test_map_refuses(void)
{
    EXPECT(sys_map(0, 0, PROTECT_READ) < 0);
    EXPECT(sys_map(0, PAGE, PROTECT_WRITE | PROTECT_EXECUTE | PROTECT_READ) == STATUS_ERR_WRITE_EXECUTE);
    EXPECT(sys_map(0, PAGE, 0x80) == STATUS_ERR_UNKNOWN_BITS);
    EXPECT(sys_map(1, PAGE, PROTECT_READ | MAP_EXACT) < 0);
    EXPECT(sys_map(KERNEL_ADDRESS & ~0xfffull, PAGE, PROTECT_READ | MAP_EXACT) < 0);
    EXPECT(sys_map(0, UINT64_MAX, PROTECT_READ) < 0);
    EXPECT(sys_unmap(1, PAGE) < 0 && sys_unmap(KERNEL_ADDRESS & ~0xfffull, PAGE) < 0);
    EXPECT(sys_protect(UNMAPPED, PAGE, PROTECT_READ) == STATUS_ERR_NOT_MAPPED);
    return true;
}

static void read_closed_page(void)
{
    int64_t at = sys_map(0, PAGE, PROTECT_READ | PROTECT_WRITE);
    *(volatile char *)at = 1;
    sys_protect((uint64_t)at, PAGE, 0);
    (void)*(volatile char *)at;
}

/* Nobody reaches a page without any right, system calls included; its contents are there again with the rights. */
static bool test_protection_can_be_taken_away(void)
{
    EXPECT(killed_by(read_closed_page, VECTOR_PAGE_FAULT));
    int64_t at = sys_map(0, 2 * PAGE, PROTECT_READ | PROTECT_WRITE);
    EXPECT(at > 0);
    memset((char *)at, 'x', 2 * PAGE);
    EXPECT(sys_protect((uint64_t)at, PAGE, 0) == 0);
    EXPECT(sys_console_write((const char *)at, 8) == STATUS_ERR_PROTECTION);
    EXPECT(sys_boot_arguments((char *)at, 8) == STATUS_ERR_PROTECTION);
    EXPECT(tap_in_child(exit_seven) == 7); /* a clone of the closed page */
    EXPECT(sys_protect((uint64_t)at, PAGE, PROTECT_READ | PROTECT_WRITE) == 0);
    for (size_t i = 0; i < 2 * PAGE; i++) {
        EXPECT(((volatile char *)at)[i] == 'x');
    }
    *(volatile char *)at = 'y';
    EXPECT(sys_unmap((uint64_t)at, 2 * PAGE) == 0);
    return true;
}

/* ---- system calls with bad pointers ---- */

/* covers: ER-11 (a table of addresses), VM-12 (bad addresses) */
static bool test_bad_pointers(void)
{
    static struct system_stats stats;
    for (size_t i = 0; i < BAD_ADDRESSES; i++) {
        void *bad = (void *)bad_addresses[i];
        EXPECT(sys_console_write(bad, 8) == STATUS_ERR_BAD_ADDRESS);
        EXPECT(sys_stats(bad, sizeof(stats)) == STATUS_ERR_BAD_ADDRESS);
        EXPECT(sys_boot_arguments(bad, 64) == STATUS_ERR_BAD_ADDRESS);
        EXPECT(sys_cap_read(1, bad) == STATUS_ERR_BAD_ADDRESS);
        int64_t got = sys_driver_read(bad, 8, DRIVER_READ_OR_CHILD); /* told before it waits */
        EXPECT(got == STATUS_ERR_BAD_ADDRESS || got == STATUS_ERR_NOT_FOUND);
        int64_t written = sys_driver_write(bad, 8);
        EXPECT(written == STATUS_ERR_BAD_ADDRESS || written == STATUS_ERR_NOT_FOUND);
    }
    EXPECT(sys_stats(&stats, sizeof(stats)) == (int64_t)sizeof(stats) && stats.cpus_online >= 1);
    EXPECT(sys_stats(&stats, 8) == 8);
    EXPECT(sys_console_write("", 5000) == STATUS_ERR_RANGE);
    struct cap_info info;
    EXPECT(sys_cap_read(0, &info) == STATUS_ERR_CAP_INVALID);
    return true;
}

/* A buffer whose tail is not mapped: the call fails, nothing else happens. covers: VM-12 (unmapped tail) */
static bool test_unmapped_tail(void)
{
    int64_t at = sys_map(0, 2 * PAGE, PROTECT_READ | PROTECT_WRITE);
    EXPECT(at > 0 && sys_unmap((uint64_t)at + PAGE, PAGE) == 0);
    char *end = (char *)at + PAGE;
    for (size_t bytes = 1; bytes < 16; bytes++) {
        EXPECT(sys_boot_arguments(end - bytes, 0) >= 0);
        EXPECT(sys_stats((struct system_stats *)(void *)(end - bytes), bytes + 1) == STATUS_ERR_BAD_ADDRESS);
        EXPECT(sys_stats((struct system_stats *)(void *)(end - bytes), bytes) == (int64_t)bytes);
    }
    memset(end - 4, 'z', 4); /* a path without end */
    EXPECT(sys_exec(end - 4, NULL, NULL) == STATUS_ERR_BAD_ADDRESS);
    EXPECT(sys_unmap((uint64_t)at, PAGE) == 0);
    return true;
}

static const bool known_calls[SYS_COUNT] = {
#define SYSCALL(number, id, name, where, type, rights, result, arguments, returns, text) [SYS_##id] = true,
#include "abi/syscalls.def"
#undef SYSCALL
};

/* Numbers beyond the table, and those that it leaves out. */
static bool test_unknown_calls(void)
{
    for (uint64_t number = 0; number < SYS_COUNT; number++) {
        EXPECT(known_calls[number] || syscall3(number, 0, 0, 0) == STATUS_ERR_NO_SYSCALL);
    }
    EXPECT(syscall3(SYS_COUNT, 0, 0, 0) == STATUS_ERR_NO_SYSCALL);
    EXPECT(syscall3(UINT64_MAX, 0, 0, 0) == STATUS_ERR_NO_SYSCALL);
    EXPECT(syscall3(0x8000000000000001, 0, 0, 0) == STATUS_ERR_NO_SYSCALL);
    return true;
}

/* A system call keeps every register but RAX, RCX and R11. */
static bool test_registers_survive_a_call(void)
{
    uint64_t broken;
    __asm__ volatile(
        "movq $0x1111, %%rbx\n\tmovq $0x2222, %%r12\n\tmovq $0x3333, %%r13\n\tmovq $0x4444, %%r14\n\t"
        "movq $0x5555, %%r15\n\tmovq $0x6666, %%r8\n\tmovq $0x7777, %%r9\n\tmovq $0x8888, %%r10\n\t"
        "movq $0x9999, %%rdi\n\tmovq $0xaaaa, %%rsi\n\tmovq $0xbbbb, %%rdx\n\t"
        "movl %1, %%eax\n\tsyscall\n\t"
        "xorq $0x1111, %%rbx\n\txorq $0x2222, %%r12\n\txorq $0x3333, %%r13\n\txorq $0x4444, %%r14\n\t"
        "xorq $0x5555, %%r15\n\txorq $0x6666, %%r8\n\txorq $0x7777, %%r9\n\txorq $0x8888, %%r10\n\t"
        "xorq $0x9999, %%rdi\n\txorq $0xaaaa, %%rsi\n\txorq $0xbbbb, %%rdx\n\t"
        "orq %%r12, %%rbx\n\torq %%r13, %%rbx\n\torq %%r14, %%rbx\n\torq %%r15, %%rbx\n\t"
        "orq %%r8, %%rbx\n\torq %%r9, %%rbx\n\torq %%r10, %%rbx\n\torq %%rdi, %%rbx\n\t"
        "orq %%rsi, %%rbx\n\torq %%rdx, %%rbx\n\tmovq %%rbx, %0"
        : "=a"(broken)
        : "i"(SYS_YIELD)
        : "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory");
    EXPECT(broken == 0);
    return true;
}

/*
 * A program with the direction and alignment flags set: the kernel runs without them (tests/e2e/kernel_protect.lua looks),
 * and they are still set after a system call and a page fault.
 */
static bool test_flags_stay_the_program_s(void)
{
    uint64_t flags = 0;
    int64_t at = sys_map(0, PAGE, PROTECT_READ | PROTECT_WRITE);
    EXPECT(at > 0);
    __asm__ volatile("pushfq\n\torq %[set], (%%rsp)\n\tpopfq\n\t"
                     "movl %[yield], %%eax\n\tsyscall\n\t"
                     "movb $1, (%[page])\n\t"
                     "pushfq\n\tmovq (%%rsp), %[flags]\n\tandq %[clear], (%%rsp)\n\tpopfq"
                     : [flags] "=&r"(flags)
                     : [page] "r"(at), [set] "i"(FLAG_DF | FLAG_AC), [clear] "i"(~(int)(FLAG_DF | FLAG_AC)),
                       [yield] "i"(SYS_YIELD)
                     : "rax", "rcx", "r11", "memory", "cc");
    EXPECT((flags & FLAG_DF) != 0 && (flags & FLAG_AC) != 0);
    return sys_unmap((uint64_t)at, PAGE) == 0;
}

/* The trap flag set before a plain instruction and before a system call: the program runs on. */
static bool test_single_steps_run_on(void)
{
    int64_t result;
    __asm__ volatile("pushfq\n\torq $0x100, (%%rsp)\n\tpopfq\n\tnop\n\tnop\n\t"
                     "pushfq\n\torq $0x100, (%%rsp)\n\tpopfq\n\tsyscall"
                     : "=a"(result)
                     : "0"(SYS_GETPID)
                     : "rcx", "r11", "memory", "cc");
    EXPECT(result == sys_getpid());
    return true;
}

/* ---- time ---- */

/* covers: SC-12 (never too short) */
static bool test_sleep_and_clock(void)
{
    int64_t before = sys_clock();
    EXPECT(sys_sleep(5000000) == 0);
    int64_t after = sys_clock();
    EXPECT(after - before >= 5000000);
    EXPECT(sys_sleep(0) == 0 && sys_yield() == 0);
    EXPECT(sys_clock() >= after);
    return true;
}

/* ---- floating-point and vector state across preemption ---- */

static bool vector_state_holds(uint64_t pattern, uint64_t until)
{
    uint64_t in[32];
    uint64_t out[32];
    uint64_t ticks = pattern;
    for (size_t i = 0; i < 32; i++) {
        in[i] = pattern * (2 * i + 1);
    }
    /* x87 holds the integer `pattern`, XMM0..15 the words; only integer instructions run until the time is
     * over. */
    __asm__ volatile(
        "fninit\n\tfildll %[ticks]\n\t"
        "movdqu 0(%[in]), %%xmm0\n\tmovdqu 16(%[in]), %%xmm1\n\tmovdqu 32(%[in]), %%xmm2\n\t"
        "movdqu 48(%[in]), %%xmm3\n\tmovdqu 64(%[in]), %%xmm4\n\tmovdqu 80(%[in]), %%xmm5\n\t"
        "movdqu 96(%[in]), %%xmm6\n\tmovdqu 112(%[in]), %%xmm7\n\tmovdqu 128(%[in]), %%xmm8\n\t"
        "movdqu 144(%[in]), %%xmm9\n\tmovdqu 160(%[in]), %%xmm10\n\tmovdqu 176(%[in]), %%xmm11\n\t"
        "movdqu 192(%[in]), %%xmm12\n\tmovdqu 208(%[in]), %%xmm13\n\tmovdqu 224(%[in]), %%xmm14\n\t"
        "movdqu 240(%[in]), %%xmm15\n"
        "1:\trdtsc\n\tshlq $32, %%rdx\n\torq %%rdx, %%rax\n\tcmpq %[until], %%rax\n\tjb 1b\n\t"
        "movdqu %%xmm0, 0(%[out])\n\tmovdqu %%xmm1, 16(%[out])\n\tmovdqu %%xmm2, 32(%[out])\n\t"
        "movdqu %%xmm3, 48(%[out])\n\tmovdqu %%xmm4, 64(%[out])\n\tmovdqu %%xmm5, 80(%[out])\n\t"
        "movdqu %%xmm6, 96(%[out])\n\tmovdqu %%xmm7, 112(%[out])\n\tmovdqu %%xmm8, 128(%[out])\n\t"
        "movdqu %%xmm9, 144(%[out])\n\tmovdqu %%xmm10, 160(%[out])\n\tmovdqu %%xmm11, 176(%[out])\n\t"
        "movdqu %%xmm12, 192(%[out])\n\tmovdqu %%xmm13, 208(%[out])\n\tmovdqu %%xmm14, 224(%[out])\n\t"
        "movdqu %%xmm15, 240(%[out])\n\tfistpll %[ticks]"
        : [ticks] "+m"(ticks)
        : [in] "r"(in), [out] "r"(out), [until] "r"(until)
        : "rax", "rdx", "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",
          "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
    return ticks == pattern && memcmp(in, out, sizeof(in)) == 0;
}

/* covers: PR-01, PR-06, TH-11 (preemption), IR-06 (vector state) */
static bool test_vector_state_survives_preemption(void)
{
    static struct system_stats stats;
    EXPECT(sys_stats(&stats, sizeof(stats)) > 0);
    unsigned count = 2 * stats.cpus_online + 1; /* more spinning processes than CPUs */
    uint64_t until = cycles() + stats.clock_hz / 1000 * 35;
    for (unsigned i = 0; i < count; i++) {
        if (sys_fork() == 0) {
            sys_exit(vector_state_holds(0x0102030405060708ull + i, until) ? 0 : 1);
        }
    }
    bool good = true;
    for (unsigned i = 0; i < count; i++) {
        int32_t status = 1;
        good = sys_wait(0, &status, 0) > 0 && status == 0 && good;
    }
    EXPECT(good);
    return true;
}

/* ---- capabilities and quotas ---- */

/* covers: BT-11 (listed by a child of init), CP-23 (every slot of init is filled) */
static bool test_capabilities_are_listed(void)
{
    for (unsigned slot = 1; slot <= CAP_POWER; slot++) {
        struct cap_info info;
        EXPECT(sys_cap_read(slot, &info) == 0 && info.type == slot && info.id != 0 && info.rights != 0);
    }
    struct cap_info none;
    EXPECT(sys_cap_read(CAP_WELL_KNOWN_SLOTS - 1, &none) == STATUS_ERR_CAP_INVALID);
    EXPECT(sys_cap_read(1u << 30, &none) == STATUS_ERR_CAP_INVALID);
    return true;
}

static void bomb(void)
{
    if (sys_quota(5) != 0) {
        sys_exit(100);
    }
    int children = 0;
    int64_t pid;
    while ((pid = sys_fork()) > 0) {
        children++;
    }
    if (pid == 0) {
        sys_sleep(10000000);
        sys_exit(0);
    }
    while (sys_wait(0, NULL, 0) > 0) {
    }
    sys_exit(pid == STATUS_ERR_LIMIT ? children : 101);
}

static void nest_quotas(void)
{
    int trees = 0;
    int64_t status;
    while ((status = sys_quota(10)) == 0 && trees < 100) {
        trees++;
    }
    sys_exit(status == STATUS_ERR_LIMIT && trees < 16 ? 0 : 1);
}

/* covers: PS-17 (the bomb stops) */
static bool test_quota_stops_a_fork_bomb(void)
{
    EXPECT(tap_in_child(nest_quotas) == 0);
    EXPECT(tap_in_child(bomb) == 4);
    EXPECT(sys_quota(0) == STATUS_ERR_RANGE && sys_quota(1u << 30) == STATUS_ERR_RANGE);
    return true;
}

static const struct tap_test tests[] = {
    {"fork_exit_wait", test_fork_exit_wait},
    {"wait_checks_its_pointer_first", test_wait_checks_its_pointer_first},
    {"wait_without_blocking", test_wait_without_blocking},
    {"pids", test_pids},
    {"orphans_go_to_init", test_orphans_go_to_init},
    {"copy_on_write_isolates", test_copy_on_write_isolates},
    {"quiesce_waits_only_for_who_is_dead_already", test_quiesce_waits_only_for_who_is_dead_already},
    {"exec_errors_leave_the_program", test_exec_errors_leave_the_program},
    {"exec_limits", test_exec_limits},
    {"exec_replaces_the_program", test_exec_replaces_the_program},
    {"map_and_unmap", test_map_and_unmap},
    {"map_at_once", test_map_at_once},
    {"pages_move_to_another_node", test_pages_move_to_another_node},
    {"map_refuses", test_map_refuses},
    {"protection_can_be_taken_away", test_protection_can_be_taken_away},
    {"violations_leave_a_right_record", test_violations_leave_a_right_record},
    {"bad_pointers", test_bad_pointers},
    {"unmapped_tail", test_unmapped_tail},
    {"unknown_calls", test_unknown_calls},
    {"registers_survive_a_call", test_registers_survive_a_call},
    {"flags_stay_the_program_s", test_flags_stay_the_program_s},
    {"single_steps_run_on", test_single_steps_run_on},
    {"sleep_and_clock", test_sleep_and_clock},
    {"vector_state_survives_preemption", test_vector_state_survives_preemption},
    {"capabilities_are_listed", test_capabilities_are_listed},
    {"quota_stops_a_fork_bomb", test_quota_stops_a_fork_bomb},
};

int main(int argc, char **argv, char **environment);

int main(int argc, char **argv, char **environment)
{
    static const struct tap_group group = {tests, sizeof(tests) / sizeof(tests[0])};
    if (argc > 1 && strcmp(argv[1], "--check-arguments") == 0) {
        return check_arguments(argc, argv, environment);
    }
    return tap_run(&group, 1, argc, argv);
}
