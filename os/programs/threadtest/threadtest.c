/* threadtest: threads of a process and the words they wait at, from the user's side. */
#include "threadtest.h"

#define VECTOR_PAGE_FAULT 14
#define MANY              64u
#define KERNEL_ADDRESS    0xffffffff80100000ull

static struct process_info info_of(unsigned pid)
{
    struct process_info info = {0};
    (void)sys_process_info(pid, &info);
    return info;
}

/* ---- creation, arguments, end ---- */

static uint64_t plus_one(void *argument)
{
    return (uint64_t)(uintptr_t)argument + 1;
}

static bool test_threads_start_and_are_joined(void)
{
    for (uint64_t i = 0; i < 10; i++) {
        uint64_t value = 0;
        int64_t tid = thread_start(plus_one, (void *)(uintptr_t)(i * 100), 0);
        EXPECT(tid > 0);
        EXPECT(thread_join(tid, &value) == STATUS_OK && value == i * 100 + 1);
        EXPECT(thread_join(tid, &value) == STATUS_ERR_NOT_FOUND);
    }
    EXPECT(thread_join(sys_thread_self(), NULL) == STATUS_ERR_ARGUMENT);
    EXPECT(sys_thread_join(999999, NULL, 0) == STATUS_ERR_NOT_FOUND);
    return true;
}

struct seen {
    uint64_t arguments[6];
    uint64_t registers[9]; /* rax rbx rbp r10..r15 */
    uint64_t stack;
    uint64_t flags;
    uint64_t x87_and_mxcsr;
    uint64_t xmm[2];
};

extern void thread_entry_probe(void);
extern struct seen thread_seen;

/* covers: TH-01, TH-04 */
static bool test_six_arguments_arrive_in_the_registers_of_the_abi(void)
{
    struct thread_params params = {
        .entry = (uint64_t)(uintptr_t)thread_entry_probe,
        .arguments = {11, UINT64_MAX, 0x123456789abcdef0, 44, 0x8000000000000000, 66},
        .stack_bytes = 1};
    uint64_t value = 0;
    int64_t tid = sys_thread_create(&params);
    EXPECT(tid > 0 && thread_join(tid, &value) == STATUS_OK && value == 0x5eed);
    for (unsigned i = 0; i < 6; i++) {
        EXPECT(thread_seen.arguments[i] == params.arguments[i]);
    }
    for (unsigned i = 0; i < 9; i++) {
        EXPECT(thread_seen.registers[i] == 0);
    }
    EXPECT(thread_seen.stack % 16 == 8 && (thread_seen.flags & 0xcd5) == 0);
    EXPECT(thread_seen.x87_and_mxcsr == (0x037full << 32 | 0x1f80));
    return thread_seen.xmm[0] == 0 && thread_seen.xmm[1] == 0;
}

static bool test_bad_parameters_are_refused(void)
{
    struct thread_params good = {.entry = (uint64_t)(uintptr_t)thread_entry_probe};
    struct thread_params params = good;
    EXPECT(sys_thread_create(NULL) == STATUS_ERR_BAD_ADDRESS);
    EXPECT(sys_thread_create((const struct thread_params *)KERNEL_ADDRESS) == STATUS_ERR_BAD_ADDRESS);
    params.flags = 2;
    EXPECT(sys_thread_create(&params) == STATUS_ERR_UNKNOWN_BITS);
    params = good;
    params.stack_bytes = THREAD_STACK_MAX_BYTES + 1ull;
    EXPECT(sys_thread_create(&params) == STATUS_ERR_RANGE);
    params = good;
    params.entry = KERNEL_ADDRESS;
    EXPECT(sys_thread_create(&params) == STATUS_ERR_BAD_ADDRESS);
    EXPECT(sys_thread_join(1ull << 31, (uint64_t *)KERNEL_ADDRESS, 0) == STATUS_ERR_BAD_ADDRESS);
    return info_of(0).threads == 1;
}

static uint64_t sleeper(void *argument)
{
    sys_sleep((uint64_t)(uintptr_t)argument);
    return 7;
}

static struct mutex gate;

static uint64_t pass_gate(void *argument)
{
    mutex_lock(&gate);
    mutex_unlock(&gate);
    return (uint64_t)(uintptr_t)argument;
}

static bool test_join_has_patience(void)
{
    uint64_t value = 0;
    mutex_lock(&gate);
    int64_t tid = thread_start(pass_gate, (void *)7, 0);
    EXPECT(tid > 0 && sys_thread_join((unsigned)tid, &value, 0) == STATUS_ERR_TIMEOUT);
    EXPECT(sys_thread_join((unsigned)tid, &value, 5 * MS) == STATUS_ERR_TIMEOUT);
    mutex_unlock(&gate);
    return thread_join(tid, &value) == STATUS_OK && value == 7;
}

static uint64_t tid_sink;

static uint64_t note_self(void *argument)
{
    (void)argument;
    __atomic_store_n(&tid_sink, (uint64_t)sys_thread_self(), __ATOMIC_RELEASE);
    return 0;
}

static bool test_nobody_joins_a_detached_thread(void)
{
    __atomic_store_n(&tid_sink, 0, __ATOMIC_RELEASE);
    int64_t tid = thread_start_detached(note_self, NULL, 0);
    EXPECT(tid > 0 && thread_join(tid, NULL) == STATUS_ERR_NOT_FOUND);
    while (__atomic_load_n(&tid_sink, __ATOMIC_ACQUIRE) == 0 || info_of(0).threads != 1) {
        sys_yield();
    }
    return tid_sink == (uint64_t)tid;
}

/* ---- stacks ---- */

static uint64_t deep(uint64_t levels)
{
    volatile unsigned char room[1024];
    room[0] = 1;
    uint64_t below = levels == 0 ? 0 : deep(levels - 1) + 1;
    return below * room[0];
}

static uint64_t go_deep(void *argument)
{
    return deep((uint64_t)(uintptr_t)argument);
}

static int overflow(void)
{
    int64_t tid = thread_start(go_deep, (void *)100, 8 * PAGE);
    thread_join(tid, NULL);
    return 1;
}

/* covers: TH-03 */
static bool test_a_stack_has_the_size_that_was_asked_for_and_a_guard(void)
{
    uint64_t value = 0;
    int64_t tid = thread_start(go_deep, (void *)900, 1024 * 1024);
    EXPECT(tid > 0 && thread_join(tid, &value) == STATUS_OK && value == 900);
    EXPECT(tap_status(tap_child(overflow)) == STATUS_KILLED_BASE + VECTOR_PAGE_FAULT);
    return true;
}

static uint64_t use_stack(void *argument)
{
    return deep((uint64_t)(uintptr_t)argument) * 0 +
           (thread_block()->self == (uint64_t)(uintptr_t)thread_block());
}

static bool run_many(unsigned count)
{
    int64_t tids[MANY];
    for (unsigned i = 0; i < count; i++) {
        tids[i] = thread_start(use_stack, (void *)(uintptr_t)(i % 40), 0);
        EXPECT(tids[i] > 0);
    }
    for (unsigned i = 0; i < count; i++) {
        uint64_t value = 0;
        EXPECT(thread_join(tids[i], &value) == STATUS_OK && value == 1);
    }
    return true;
}

static bool run_rounds(const struct process_info *before)
{
    for (unsigned round = 0; round < 4; round++) {
        EXPECT(run_many(MANY));
        struct process_info after = info_of(0);
        EXPECT(before == NULL ||
               (after.resident_pages == before->resident_pages &&
                after.table_frames == before->table_frames && after.area_bytes == before->area_bytes));
    }
    return true;
}

/* Stacks and thread-local storage are free when join returns, kernel stacks after quiesce. The first rounds bring page tables
 * of the kernel's stacks, which stay. covers: TH-07, TH-08 */
static bool test_threads_give_every_frame_back(void)
{
    EXPECT(run_rounds(NULL));
    uint64_t frames = tap_free_frames();
    struct process_info before = info_of(0);
    EXPECT(run_rounds(&before));
    return tap_free_frames() == frames;
}

/* covers: TH-06 (S) */
static bool test_the_number_of_threads_is_that_of_the_list(void)
{
    int64_t tids[MANY];
    mutex_lock(&gate);
    for (unsigned i = 0; i < MANY; i++) {
        tids[i] = thread_start(pass_gate, NULL, 0);
        struct process_info info = info_of(0);
        EXPECT(tids[i] > 0 && info.threads == i + 2 && info.threads_listed == i + 2);
    }
    mutex_unlock(&gate);
    for (unsigned i = 0; i < MANY; i++) {
        EXPECT(thread_join(tids[i], NULL) == STATUS_OK);
        struct process_info info = info_of(0);
        EXPECT(info.threads == info.threads_listed && info.threads <= MANY - i);
    }
    return info_of(0).threads == 1;
}

static uint64_t wait_for_ever(void *argument)
{
    static const uint32_t word;
    (void)argument;
    sys_futex_wait(&word, 0, THREAD_PATIENCE_FOREVER, FUTEX_PRIVATE);
    return 0;
}

static int too_many(void)
{
    struct thread_params params = {.entry = (uint64_t)(uintptr_t)wait_for_ever, .stack_bytes = 1};
    int64_t tid = 1;
    unsigned made = 0;
    while ((tid = sys_thread_create(&params)) > 0) {
        made++;
    }
    return made == THREADS_MAX - 1 && tid == STATUS_ERR_LIMIT && info_of(0).threads == THREADS_MAX ? 0 : 1;
}

static bool test_a_process_has_a_thousand_threads_and_no_more(void)
{
    uint64_t frames = tap_free_frames();
    EXPECT(tap_status(tap_child(too_many)) == 0);
    return tap_free_frames() == frames;
}

/* ---- thread-local storage ---- */

static _Thread_local uint64_t own = 0x1122334455667788;
static _Thread_local uint64_t zero;
static _Thread_local char aligned[100] __attribute__((aligned(256)));
static struct barrier meeting;

static bool own_is_fresh(void)
{
    bool fresh = own == 0x1122334455667788 && zero == 0 && (uintptr_t)aligned % 256 == 0;
    for (unsigned i = 0; i < sizeof(aligned); i++) {
        fresh &= aligned[i] == 0;
    }
    return fresh;
}

/* Every thread writes its number, goes through all CPUs, and finds it again. */
static uint64_t keep_number(void *argument)
{
    uint64_t number = (uint64_t)(uintptr_t)argument;
    static struct system_stats stats;
    bool good = own_is_fresh();
    own = number;
    zero = ~number;
    memset(aligned, (int)number, sizeof(aligned));
    (void)sys_stats(&stats, sizeof(stats));
    (void)barrier_wait(&meeting);
    for (unsigned round = 0; round < 2 * stats.cpus_online; round++) {
        good &=
            sys_sched_affinity(SCHED_THREAD, 0, 1ull << (number + round) % stats.cpus_online) == STATUS_OK;
        good &= own == number && zero == ~number && aligned[99] == (char)number;
        if (round % 2 == 0) {
            sys_yield();
        }
    }
    struct sched_info info = {0};
    good &= sys_sched_get(SCHED_THREAD, 0, &info) == STATUS_OK &&
            (stats.cpus_online == 1 || info.migrations != 0);
    return good && own == number && zero == ~number && aligned[0] == (char)number;
}

/* covers: TH-05 */
static bool test_each_thread_has_its_own_variables_on_every_cpu(void)
{
    int64_t tids[MANY];
    EXPECT(own_is_fresh());
    own = 5;
    barrier_init(&meeting, MANY);
    for (uint64_t i = 0; i < MANY; i++) {
        tids[i] = thread_start(keep_number, (void *)(uintptr_t)(i + 1), 0);
        EXPECT(tids[i] > 0);
    }
    for (unsigned i = 0; i < MANY; i++) {
        uint64_t value = 0;
        EXPECT(thread_join(tids[i], &value) == STATUS_OK && value == 1);
    }
    bool kept = own == 5 && zero == 0;
    own = 0x1122334455667788;
    return kept;
}

/* ---- registers over preemption and migration ---- */

extern uint64_t thread_keep_registers(uint64_t seed, uint64_t rounds);

static uint64_t keep_registers(void *argument)
{
    uint64_t seed = (uint64_t)(uintptr_t)argument;
    static struct system_stats stats;
    (void)sys_stats(&stats, sizeof(stats));
    uint64_t bad = 0;
    for (unsigned round = 0; round < 6; round++) {
        sys_sched_affinity(SCHED_THREAD, 0, 1ull << (seed + round) % stats.cpus_online);
        bad += thread_keep_registers(seed * 0x9e3779b97f4a7c15 + round, 20000);
    }
    return bad;
}

/* Twice as many threads as CPUs that never give way: slices end in the middle of it. covers: TH-11 (S), TH-12 (S) */
static bool test_all_registers_survive_preemption_and_migration(void)
{
    int64_t tids[MANY];
    static struct system_stats stats;
    (void)sys_stats(&stats, sizeof(stats));
    unsigned count = 2 * stats.cpus_online + 1;
    struct sched_params params = {.policy = SCHED_FAIR, .slice_ns = SCHED_SLICE_MIN_NS};
    EXPECT(sys_sched_set(SCHED_THREAD, 0, &params) == STATUS_OK);
    for (unsigned i = 0; i < count; i++) {
        tids[i] = thread_start(keep_registers, (void *)(uintptr_t)(i + 1), 0);
        EXPECT(tids[i] > 0);
    }
    for (unsigned i = 0; i < count; i++) {
        uint64_t bad = 1;
        EXPECT(thread_join(tids[i], &bad) == STATUS_OK && bad == 0);
    }
    params.slice_ns = 0;
    return sys_sched_set(SCHED_THREAD, 0, &params) == STATUS_OK;
}

/* ---- ends of the process ---- */

static uint64_t spin(void *argument)
{
    while (argument == NULL) {
        __asm__ volatile("pause");
    }
    return 0;
}

/* One thread in every state there is: running, asleep, at a futex, waiting for a message, joining. */
static int exit_with_threads_everywhere(void)
{
    handle_t endpoint = (handle_t)sys_endpoint_create(0);
    (void)endpoint;
    int64_t spinner = thread_start(spin, NULL, 0);
    (void)thread_start(sleeper, (void *)(3600000 * MS), 0);
    (void)thread_start(wait_for_ever, NULL, 0);
    struct thread_params join = {.entry = (uint64_t)(uintptr_t)sys_thread_join,
                                 .arguments = {(uint64_t)spinner, 0, THREAD_PATIENCE_FOREVER}};
    (void)sys_thread_create(&join);
    sys_sleep(20 * MS);
    return info_of(0).threads == 5 ? 33 : 1;
}

static uint64_t receive_for_ever(void *argument)
{
    struct ipc_registers m = {.time = IPC_FOREVER};
    return (uint64_t)sys_ipc_receive((handle_t)(uintptr_t)argument, &m);
}

static uint64_t wait_for_bits(void *argument)
{
    uint64_t bits;
    return (uint64_t)sys_notification_wait((handle_t)(uintptr_t)argument, 1, &bits, IPC_FOREVER);
}

static int exit_with_threads_in_messages(void)
{
    (void)thread_start(receive_for_ever, (void *)(uintptr_t)sys_endpoint_create(0), 0);
    (void)thread_start(wait_for_bits, (void *)(uintptr_t)sys_notification_create(), 0);
    sys_sleep(20 * MS);
    return info_of(0).threads == 3 ? 34 : 1;
}

static uint64_t exit_process(void *argument)
{
    sys_exit((int)(uintptr_t)argument);
}

static int exit_by_another_thread(void)
{
    (void)thread_start(exit_process, (void *)21, 0);
    sys_sleep(3600000 * MS);
    return 1;
}

static uint64_t crash(void *argument)
{
    *(volatile int *)argument = 1;
    return 0;
}

static int crash_in_another_thread(void)
{
    (void)thread_start(crash, (void *)PAGE, 0);
    return (int)thread_join(thread_start(wait_for_ever, NULL, 0), NULL);
}

static int main_thread_ends_first(void)
{
    struct process_info info = info_of(0);
    if (info.main_thread != (uint32_t)sys_thread_self()) {
        return 1;
    }
    (void)thread_start(sleeper, (void *)(10 * MS), 0);
    sys_thread_exit(9);
}

/* covers: PS-04 (frames of threads) */
static bool test_exit_ends_all_threads_wherever_they_are(void)
{
    uint64_t frames = tap_free_frames();
    EXPECT(tap_status(tap_child(exit_with_threads_everywhere)) == 33);
    EXPECT(tap_status(tap_child(exit_with_threads_in_messages)) == 34);
    EXPECT(tap_status(tap_child(exit_by_another_thread)) == 21);
    EXPECT(tap_status(tap_child(crash_in_another_thread)) == STATUS_KILLED_BASE + VECTOR_PAGE_FAULT);
    EXPECT(tap_status(tap_child(main_thread_ends_first)) == 0);
    return tap_free_frames() == frames;
}

static uint64_t watch_main(void *argument)
{
    struct process_info info;
    do {
        sys_yield();
        info = info_of(0);
    } while (info.main_thread != 0);
    sys_exit(info.threads == 1 ? (int)(uintptr_t)argument : 1);
}

static int main_thread_is_gone(void)
{
    (void)thread_start(watch_main, (void *)12, 0);
    thread_exit(0);
}

/* covers: PS-14 (S) */
static bool test_a_main_thread_that_has_ended_is_told(void)
{
    return tap_status(tap_child(main_thread_is_gone)) == 12;
}

/* ---- fork and exec ---- */

static _Thread_local uint64_t forker = 1;
static volatile uint64_t *other_stack;

static uint64_t hold_stack(void *argument)
{
    volatile uint64_t word = 77;
    (void)argument;
    other_stack = &word;
    (void)barrier_wait(&meeting);
    mutex_lock(&gate);
    mutex_unlock(&gate);
    return 0;
}

/* Only the caller lives on in the child, with its own variables; the stacks of others are gone, main's stays. */
static int check_fork_child(char **main_word)
{
    struct process_info info = info_of(0);
    bool alone = info.threads == 1 && info.main_thread == (uint32_t)sys_thread_self() && forker == 42;
    int64_t tid = thread_start(plus_one, (void *)4, 0);
    uint64_t value = 0;
    alone &= thread_join(tid, &value) == STATUS_OK && value == 5 && **main_word == 'm';
    int64_t grandchild = sys_fork();
    if (grandchild == 0) {
        sys_exit(forker == 42 && info_of(0).threads == 1 ? 3 : 4);
    }
    return alone && tap_status(grandchild) == 3 ? 0 : 1;
}

static uint64_t fork_here(void *argument)
{
    forker = 42;
    int64_t pid = sys_fork();
    if (pid == 0) {
        sys_exit(check_fork_child(argument));
    }
    bool good = tap_status(pid) == 0;
    pid = sys_fork();
    if (pid == 0) {
        sys_exit((int)*other_stack); /* faults */
    }
    return good && tap_status(pid) == STATUS_KILLED_BASE + VECTOR_PAGE_FAULT;
}

/* covers: TH-13, PS-03 (threads) */
static bool test_fork_clones_the_calling_thread_alone(void)
{
    char word[] = "main";
    char *pointer = word;
    uint64_t good = 0;
    uint64_t frames = tap_free_frames();
    barrier_init(&meeting, 2);
    mutex_lock(&gate);
    int64_t holder = thread_start(hold_stack, NULL, 0);
    (void)barrier_wait(&meeting);
    int64_t tid = thread_start(fork_here, &pointer, 0);
    EXPECT(thread_join(tid, &good) == STATUS_OK && good == 1);
    mutex_unlock(&gate);
    EXPECT(thread_join(holder, NULL) == STATUS_OK && *pointer == 'm');
    return tap_free_frames() == frames;
}

/* argument: not null when all four threads are there before and nobody else ends them. */
static uint64_t exec_here(void *argument)
{
    const char *const arguments[] = {"threadtest", "--alone", NULL};
    sys_exec("nothing", arguments, NULL); /* a failure ends nobody */
    if (argument != NULL && info_of(0).threads != 4) {
        sys_exit(97);
    }
    sys_exec("threadtest", arguments, NULL);
    sys_exit(98);
}

static int exec_in_a_thread(void)
{
    (void)thread_start(spin, NULL, 0);
    (void)thread_start(wait_for_ever, NULL, 0);
    (void)thread_start(exec_here, &gate, 0);
    (void)spin(NULL);
    return 99;
}

static bool test_exec_leaves_one_thread(void)
{
    uint64_t frames = tap_free_frames();
    EXPECT(tap_status(tap_child(exec_in_a_thread)) == 17);
    return tap_free_frames() == frames;
}

static int two_execs(void)
{
    (void)thread_start(exec_here, NULL, 0);
    (void)thread_start(exec_here, NULL, 0);
    (void)thread_start(exec_here, NULL, 0);
    (void)spin(NULL);
    return 99;
}

static bool test_of_several_execs_one_wins(void)
{
    return tap_status(tap_child(two_execs)) == 17;
}

static uint64_t race_exit(void *argument)
{
    (void)barrier_wait(&meeting);
    if ((uintptr_t)argument % 2 != 0) {
        sys_exit(50);
    }
    (void)thread_start(race_exit, (void *)2, 0);
    return 0;
}

static int exits_race(void)
{
    barrier_init(&meeting, 8);
    for (uintptr_t i = 0; i < 8; i++) {
        (void)thread_start(race_exit, (void *)i, 0);
    }
    thread_exit(0);
}

static bool test_racing_exits_end_the_process_once(void)
{
    uint64_t frames = tap_free_frames();
    for (unsigned round = 0; round < 5; round++) {
        EXPECT(tap_status(tap_child(exits_race)) == 50);
    }
    return tap_free_frames() == frames;
}

/* What the system calls of one process count. covers: PS-19 */
static bool test_figures_of_a_process(void)
{
    struct process_info before = info_of(0);
    for (unsigned i = 0; i < 10; i++) {
        (void)sys_getpid();
    }
    struct process_info after = info_of(0);
    EXPECT(after.syscalls == before.syscalls + 11 && after.pid == sys_getpid() &&
           after.parent == sys_getppid());
    int64_t at = sys_map(0, 8 * PAGE, PROTECT_READ | PROTECT_WRITE | MAP_NOW);
    before = info_of(0);
    EXPECT(at > 0 && before.resident_pages == after.resident_pages + 8);
    EXPECT(before.area_bytes == after.area_bytes + 8 * PAGE && sys_unmap((uint64_t)at, 8 * PAGE) == 0);
    EXPECT(info_of(0).resident_pages == after.resident_pages);
    int64_t endpoint = sys_endpoint_create(0);
    int64_t tid = thread_start(receive_for_ever, (void *)endpoint, 0);
    struct ipc_registers m = {.tag = ipc_tag(1, 0, 0), .time = IPC_FOREVER};
    EXPECT(sys_ipc_send((handle_t)endpoint, &m) == STATUS_OK && thread_join(tid, NULL) == STATUS_OK);
    EXPECT(info_of(0).messages == before.messages + 1);
    (void)sys_cap_delete((handle_t)endpoint);
    struct process_info none;
    EXPECT(sys_process_info(1, &none) == STATUS_ERR_PERMISSION);
    return sys_process_info(999999, &none) == STATUS_ERR_NO_PROCESS;
}

/* ---- lookups while what they look for ends ---- */

#define BIRTHS 300u

/* In a region, so that who looks does not share its memory otherwise with who is looked for: nobody waits for the TLB of
 * another one. */
static struct births {
    _Atomic uint32_t newest;
    _Atomic bool over;
} * births;

static int ends_at_once(void)
{
    return 0;
}

/* The number of children that end in another way than by themselves or by who looks, or that are there afterwards. */
static int bears_children(void)
{
    int wrong = 0;
    for (unsigned i = 0; i < BIRTHS; i++) {
        int64_t pid = tap_child(ends_at_once);
        births->newest = (uint32_t)pid;
        int32_t status = tap_status(pid);
        wrong += status == 0 || status == 7 ? 0 : 1;
        wrong += sys_process_kill((uint32_t)pid, 7) == STATUS_ERR_NO_PROCESS ? 0 : 1;
    }
    births->over = true;
    return wrong < 255 ? wrong : 255;
}

/* Looks at a process and ends it, by turns; the number of answers that cannot be. */
static uint64_t looks_it_up(void *turn)
{
    uint64_t wrong = 0;
    for (uint64_t i = (uintptr_t)turn; !births->over; i++) {
        struct process_info info = {0};
        uint32_t pid = births->newest;
        int64_t status = i % 2 == 0 ? sys_process_info(pid, &info) : sys_process_kill(pid, 7);
        wrong += status != STATUS_OK && status != STATUS_ERR_NO_PROCESS;
        wrong += info.pid != 0 && info.pid != pid;
        sys_sleep(i % 4 * 5000);
    }
    return wrong;
}

/* tests/e2e/kernel_process.lua makes it meet. covers: PS-08 */
static bool test_a_lookup_meets_the_end_of_what_it_looks_for(void)
{
    int64_t region = sys_region_create(PAGE, -1);
    int64_t at = sys_region_map((handle_t)region, 0, PAGE, 0, PROTECT_READ | PROTECT_WRITE);
    EXPECT(region > 0 && at > 0);
    births = (struct births *)at;
    births->newest = 999999;
    int64_t pid = tap_child(bears_children);
    int64_t tid = thread_start(looks_it_up, (void *)1, 0);
    EXPECT(looks_it_up(NULL) == 0);
    uint64_t wrong = 1;
    EXPECT(thread_join(tid, &wrong) == STATUS_OK && wrong == 0 && tap_status(pid) == 0);
    return sys_unmap((uint64_t)at, PAGE) == 0 && sys_cap_delete((handle_t)region) == 0;
}

static const struct tap_test tests[] = {
    {"threads_start_and_are_joined", test_threads_start_and_are_joined},
    {"six_arguments_arrive_in_the_registers_of_the_abi",
     test_six_arguments_arrive_in_the_registers_of_the_abi},
    {"bad_parameters_are_refused", test_bad_parameters_are_refused},
    {"join_has_patience", test_join_has_patience},
    {"nobody_joins_a_detached_thread", test_nobody_joins_a_detached_thread},
    {"a_stack_has_the_size_that_was_asked_for_and_a_guard",
     test_a_stack_has_the_size_that_was_asked_for_and_a_guard},
    {"threads_give_every_frame_back", test_threads_give_every_frame_back},
    {"the_number_of_threads_is_that_of_the_list", test_the_number_of_threads_is_that_of_the_list},
    {"a_process_has_a_thousand_threads_and_no_more", test_a_process_has_a_thousand_threads_and_no_more},
    {"each_thread_has_its_own_variables_on_every_cpu", test_each_thread_has_its_own_variables_on_every_cpu},
    {"all_registers_survive_preemption_and_migration", test_all_registers_survive_preemption_and_migration},
    {"exit_ends_all_threads_wherever_they_are", test_exit_ends_all_threads_wherever_they_are},
    {"a_main_thread_that_has_ended_is_told", test_a_main_thread_that_has_ended_is_told},
    {"fork_clones_the_calling_thread_alone", test_fork_clones_the_calling_thread_alone},
    {"exec_leaves_one_thread", test_exec_leaves_one_thread},
    {"of_several_execs_one_wins", test_of_several_execs_one_wins},
    {"racing_exits_end_the_process_once", test_racing_exits_end_the_process_once},
    {"figures_of_a_process", test_figures_of_a_process},
    {"a_lookup_meets_the_end_of_what_it_looks_for", test_a_lookup_meets_the_end_of_what_it_looks_for},
};

int main(int argc, char **argv);

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--alone") == 0) {
        struct process_info info = info_of(0);
        struct error_report none = {.status = STATUS_ERR_BUSY};
        bool forgotten = sys_error_report(&none) == STATUS_OK && none.status == STATUS_OK;
        return info.threads == 1 && info.main_thread == (uint32_t)sys_thread_self() && own_is_fresh() &&
                       forgotten
                   ? 17
                   : 18;
    }
    const struct tap_group groups[] = {{tests, sizeof(tests) / sizeof(tests[0])},
                                       {sync_tests, sync_test_count},
                                       {error_tests, error_test_count},
                                       {page_tests, page_test_count},
                                       {stale_tests, stale_test_count}};
    const unsigned count = sizeof(groups) / sizeof(groups[0]);
    return tap_run(groups, argc > 1 ? count : count - 1, argc, argv); /* the last one only by name */
}
