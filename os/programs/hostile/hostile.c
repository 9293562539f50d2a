/*
 * hostile [CALLS [SEED]]: random system calls with random arguments, by children that hold every capability but those that end
 * the machine or speak for others (power, hardware, driver port, console). A second thread of each child ends it when a call
 * has not come back for a while. That the kernel lives, and init gets every frame back, is the test; the program passes when all
 * calls were made and each child ended in one of the ways there are.
 */
#include "lib/random.h"
#include "lib/tap.h"
#include "lib/thread.h"

#define MS             1000000ull
#define PAGE           4096u
#define PATIENCE_MS    20u
#define CHILD_CALLS    400u
#define STATUS_DONE    100
#define STATUS_STUCK   101
#define KERNEL_ADDRESS 0xffffffff80100000ull

static uint64_t random_state;
static uint32_t made; /* calls of this child */
static uint64_t page[2 * PAGE / 8] __attribute__((aligned(4096)));

static uint64_t next(void)
{
    return random_next(&random_state);
}

static uint64_t pointer(void)
{
    const uint64_t pointers[] = {
        (uint64_t)(uintptr_t)page,
        (uint64_t)(uintptr_t)page + next() % sizeof(page),
        (uint64_t)(uintptr_t)page + sizeof(page) - next() % 64,
        (uint64_t)(uintptr_t)pointer,                    /* code */
        (uint64_t)(uintptr_t) "nothing",                 /* constants */
        (uint64_t)(uintptr_t)__builtin_frame_address(0), /* stack */
        0,
        PAGE,
        0x0000100000000000ull + next() % 64 * PAGE, /* where maps go */
        0x00007fffffffefffull - next() % 32,
        0x0000800000000000ull,
        KERNEL_ADDRESS + next() % PAGE,
        0xffff800000000000ull + next() % (1ull << 30), /* the physmap */
        UINT64_MAX - next() % 16,
    };
    return pointers[next() % (sizeof(pointers) / sizeof(pointers[0]))];
}

static uint64_t argument(void)
{
    switch (next() % 8) {
    case 0:
    case 1:
        return pointer();
    case 2:
        return next() % 32; /* a number, a flag, a well-known slot */
    case 3: {
        int64_t handle = sys_cap_next(next() % 2 == 0 ? 0 : next() % 64);
        return handle > 0 ? (uint64_t)handle : next();
    }
    case 4:
        return next() % 16 * PAGE;
    case 5:
        return 1ull << next() % 64;
    case 6:
        return (1ull << next() % 64) - 1;
    default:
        return next();
    }
}

/* Calls that would only cost time, or that no test could follow. */
static bool passed_over(uint64_t number)
{
    return number == SYS_MEMORY_DUMP || number == SYS_EXIT || number == SYS_THREAD_EXIT ||
           (number == SYS_QUIESCE && next() % 256 != 0);
}

/* Most waits are short: a child that is stuck makes no more calls. */
static void shorten(uint64_t number, uint64_t *handle, struct ipc_registers *m)
{
    uint64_t shorter = next() % MS;
    if (next() % 64 == 0) {
        return;
    }
    m->time = shorter;
    if (number == SYS_SLEEP) {
        *handle = shorter;
    } else if (number == SYS_FUTEX_WAIT || number == SYS_THREAD_JOIN) {
        m->words[0] = shorter;
    } else if (number == SYS_NOTIFICATION_WAIT || number == SYS_CHANNEL_PUT || number == SYS_CHANNEL_TAKE) {
        m->words[1] = shorter;
    }
}

/* Any number, and arguments in all registers that any call reads: RDI, RSI (the tag), RDX, R10, R8, R9 and those of messages. */
static void call_once(void)
{
    uint64_t number = next() % 16 == 0 ? next() : next() % (SYS_COUNT + 4);
    if (passed_over(number)) {
        return;
    }
    page[next() % (sizeof(page) / 8)] = argument();
    uint64_t handle = argument();
    struct ipc_registers m = {.tag = argument(), .time = next()};
    for (unsigned i = 0; i < IPC_WORDS; i++) {
        m.words[i] = argument();
    }
    if (next() % 4 == 0) {
        m.tag = ipc_tag(next() & 0xffff, (unsigned)(next() % 10), (unsigned)(next() % 4));
    }
    shorten(number, &handle, &m);
    if (syscall_message(number, handle, &m) == 0 && number == SYS_FORK) {
        sys_exit(0);
    }
}

static uint64_t watch(void *unused)
{
    uint32_t seen;
    (void)unused;
    do {
        seen = __atomic_load_n(&made, __ATOMIC_RELAXED);
        sys_sleep(PATIENCE_MS * MS);
    } while (__atomic_load_n(&made, __ATOMIC_RELAXED) != seen);
    sys_exit(STATUS_STUCK);
}

/* In a child: its share of the calls. */
static _Noreturn void attack(uint64_t seed)
{
    random_state = seed * 0x9e3779b97f4a7c15ull | 1;
    (void)sys_quota(6);
    (void)thread_start_detached(watch, NULL, 0);
    while (made < CHILD_CALLS) {
        call_once();
        __atomic_store_n(&made, made + 1, __ATOMIC_RELAXED);
    }
    sys_exit(STATUS_DONE);
}

static int64_t spawn_attacker(uint64_t seed)
{
    char text[24] = "0";
    unsigned at = sizeof(text) - 1;
    do {
        text[--at] = (char)('0' + seed % 10);
        seed /= 10;
    } while (seed != 0);
    const char *const words[] = {"hostile", "--attack", &text[at], NULL};
    struct spawn_cap caps[] = {
        {.handle = CAP_PROCESS, .rights = RIGHTS_ALL},
        {.handle = CAP_MEMORY, .rights = RIGHTS_ALL},
        {.handle = CAP_STATISTICS, .rights = RIGHTS_ALL},
        {.handle = CAP_AUDIT, .rights = RIGHTS_ALL},
    };
    return sys_spawn("hostile", words, NULL, caps, sizeof(caps) / sizeof(caps[0]));
}

int main(int argc, char **argv);

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--attack") == 0) {
        attack((uint64_t)parse_number(argv[2]));
    }
    int64_t calls = argc > 1 ? parse_number(argv[1]) : 20000;
    int64_t seed = argc > 2 ? parse_number(argv[2]) : 1;
    unsigned children = 0;
    unsigned whole = 0;
    unsigned stuck = 0;
    unsigned killed = 0;
    bool good = calls > 0 && seed >= 0;
    int64_t most = 64 + calls / CHILD_CALLS * 20;
    while (good && whole * (int64_t)CHILD_CALLS < calls && children < most) {
        int32_t status = tap_status(spawn_attacker((uint64_t)seed + children));
        children++;
        whole += status == STATUS_DONE;
        stuck += status == STATUS_STUCK;
        killed += status >= STATUS_KILLED_BASE;
        good = status == STATUS_DONE || status == STATUS_STUCK || status >= STATUS_KILLED_BASE;
        if (!good) {
            print("hostile: child %u ended with status %d\n", children, status);
        }
    }
    print("hostile: seed %lld, %u children, %u made all their calls, %u were stuck, %u were killed\n",
          (long long)seed, children, whole, stuck, killed);
    return good && whole * (int64_t)CHILD_CALLS >= calls ? 0 : 1;
}
