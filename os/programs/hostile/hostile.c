/*
 * hostile [--hardware] [CALLS [SEED]]: random system calls with random arguments, by children that hold every capability but
 * those that end the machine or speak for others (power, hardware, driver port, console). With --hardware they may also switch
 * CPUs, make capabilities of hardware, and use some that do no harm; those of ports and devices that they make they lose at
 * once. A second thread of each child ends it when a call has not come back for a while. That the kernel lives, and init gets
 * every frame back, is the test; the program passes when all calls were made, each child ended in one of the ways there are
 * and, of those with hardware, one has had each call of hardware succeed (the boot CPU alone cannot be switched).
 */
#include "lib/random.h"
#include "lib/tap.h"
#include "lib/thread.h"

#define MS             1000000ull
#define PAGE           4096u
#define PATIENCE_MS    20u
#define CHILD_CALLS    400u
#define STATUS_STUCK   99
#define STATUS_DONE    100 /* and the number of hardware's calls that have succeeded */
#define KERNEL_ADDRESS 0xffffffff80100000ull
#define TIMER_PORTS    0x40u /* of the 8254, which the kernel needs no more */
#define TIMER_LINE     0u
#define WINDOWS        0xfeb00000ull /* of virtio devices, or of nothing */

static const unsigned of_hardware[] = {
    SYS_CPU_SET,  SYS_PORTS_CREATE,  SYS_PORT_READ,  SYS_PORT_WRITE, SYS_IRQ_CREATE,     SYS_GSI_CREATE,
    SYS_IRQ_BIND, SYS_DEVICE_CREATE, SYS_DEVICE_MAP, SYS_DMA_CREATE, SYS_IRQ_ACKNOWLEDGE};

#define OF_HARDWARE (sizeof(of_hardware) / sizeof(of_hardware[0]))
#define EASY        (OF_HARDWARE - 1) /* the last one needs an interrupt first */

static uint64_t random_state;
static uint32_t made; /* calls of this child */
static bool with_hardware;
static handle_t harmless[3]; /* ports, a line, a device: for children with hardware */
static uint32_t succeeded;   /* bits: of_hardware */
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

/* One of its own of that type, 0 for none. */
static handle_t one_of(enum cap_type type)
{
    handle_t found = 0;
    struct cap_info info;
    for (int64_t at = 0; (at = sys_cap_next((handle_t)at)) > 0;) {
        bool good = sys_cap_read((handle_t)at, &info) == STATUS_OK && info.type == type;
        found = good && (found == 0 || next() % 2 == 0) ? (handle_t)at : found;
    }
    return found;
}

/* Arguments that may succeed, where hardly any do by chance. */
static void aim(uint64_t number, uint64_t *first, struct ipc_registers *m)
{
    switch (number) {
    case SYS_CPU_SET:
        *first = next() % 6;
        m->tag = next() % 2;
        break;
    case SYS_PORTS_CREATE:
    case SYS_IRQ_CREATE:
    case SYS_GSI_CREATE:
        *first = next() % (number == SYS_PORTS_CREATE ? 1u << 16 : 64);
        m->tag = next() % 5;
        break;
    case SYS_PORT_READ:
    case SYS_PORT_WRITE:
        *first = one_of(CAP_PORTS);
        m->tag = next() % 5;
        m->words[0] = 1u << next() % 3;
        break;
    case SYS_DEVICE_CREATE:
        *first = next() % (1u << 24) * PAGE;
        m->tag = next() % 16 * PAGE;
        break;
    case SYS_IRQ_BIND:
        *first = one_of(CAP_IRQ);
        m->tag = (uint64_t)sys_notification_create();
        break;
    case SYS_IRQ_ACKNOWLEDGE:
        *first = one_of(CAP_IRQ);
        break;
    case SYS_DEVICE_MAP:
        *first = one_of(CAP_DEVICE);
        m->tag = 0;
        m->words[0] = next() % 3 * PAGE;
        m->words[1] = next() % 2 * PAGE;
        m->words[2] = next() % 4;
        break;
    case SYS_DMA_CREATE:
        *first = next() % 16 * PAGE;
        m->tag = (uint64_t)(uintptr_t)page;
        break;
    default:
        break;
    }
}

/* What a child can do with a range of ports or a device of its own choice is no test of the kernel. */
static void note(uint64_t number, int64_t result)
{
    for (unsigned i = 0; result >= 0 && i < OF_HARDWARE; i++) {
        succeeded |= number == of_hardware[i] ? 1u << i : 0;
    }
    if (result > 0 && (number == SYS_PORTS_CREATE || number == SYS_DEVICE_CREATE)) {
        (void)sys_cap_delete((handle_t)result);
    }
}

/* Any number, and arguments in all registers that any call reads: RDI, RSI (the tag), RDX, R10, R8, R9 and those of messages. */
static void call_once(void)
{
    uint64_t number = next() % 16 == 0 ? next() : next() % (SYS_COUNT + 4);
    if (with_hardware && next() % 2 == 0) {
        number = of_hardware[next() % OF_HARDWARE];
    }
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
        m.tag = ipc_tag(next() & 0xffff, (unsigned)(next() % (IPC_WORDS + 2)),
                        (unsigned)(next() % (IPC_MAX_HANDLES + 2)));
    }
    shorten(number, &handle, &m);
    if (with_hardware && next() % 2 == 0) {
        aim(number, &handle, &m);
    }
    int64_t result = syscall_message(number, handle, &m);
    if (result == 0 && number == SYS_FORK) {
        sys_exit(0);
    }
    note(number, result);
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
    unsigned kinds = 0;
    for (unsigned i = 0; i < EASY; i++) {
        kinds += succeeded >> i & 1;
    }
    sys_exit(STATUS_DONE + (int)kinds);
}

static int64_t spawn_attacker(uint64_t seed)
{
    char text[24] = "0";
    unsigned at = sizeof(text) - 1;
    do {
        text[--at] = (char)('0' + seed % 10);
        seed /= 10;
    } while (seed != 0);
    const char *const words[] = {"hostile", with_hardware ? "--attack-hardware" : "--attack", &text[at],
                                 NULL};
    struct spawn_cap caps[] = {
        {.handle = CAP_PROCESS, .rights = RIGHTS_ALL},
        {.handle = CAP_MEMORY, .rights = RIGHTS_ALL},
        {.handle = CAP_STATISTICS, .rights = RIGHTS_ALL},
        {.handle = CAP_AUDIT, .rights = RIGHTS_ALL},
        {.handle = CAP_HARDWARE, .rights = RIGHTS_ALL},
        {.handle = CAP_POWER, .rights = RIGHT_WRITE}, /* CPUs, not the machine's end */
        {.handle = harmless[0], .rights = RIGHTS_ALL},
        {.handle = harmless[1], .rights = RIGHTS_ALL},
        {.handle = harmless[2], .rights = RIGHTS_ALL},
    };
    return sys_spawn("hostile", words, NULL, caps, with_hardware ? sizeof(caps) / sizeof(caps[0]) : 4);
}

static bool make_harmless(void)
{
    const int64_t handles[] = {sys_ports_create(TIMER_PORTS, 4), sys_irq_create(TIMER_LINE),
                               sys_device_create(WINDOWS, PAGE)};
    for (unsigned i = 0; i < 3; i++) {
        harmless[i] = (handle_t)handles[i];
    }
    return handles[0] > 0 && handles[1] > 0 && handles[2] > 0;
}

static unsigned cpus_online(void)
{
    static struct system_stats stats;
    return sys_stats(&stats, sizeof(stats)) > 0 ? stats.cpus_online : 0;
}

/* The CPUs that the children have left off. */
static bool all_cpus_come_back(unsigned cpus)
{
    bool good = true;
    for (unsigned cpu = 1; cpu < cpus; cpu++) {
        int64_t status = sys_cpu_set(cpu, 1);
        good &= status == STATUS_OK || status == STATUS_ERR_STATE;
    }
    return good && cpus_online() == cpus;
}

static struct {
    unsigned children;
    unsigned whole;
    unsigned stuck;
    unsigned killed;
    unsigned kinds; /* of hardware's calls that succeeded in one child, at most */
} ended;

/* Counts a child's end; false when there is no such way to end. */
static bool count_end(int32_t status)
{
    bool whole = status >= STATUS_DONE && status <= STATUS_DONE + (int32_t)EASY;
    unsigned kinds = whole ? (unsigned)(status - STATUS_DONE) : 0;
    ended.children++;
    ended.whole += whole;
    ended.stuck += status == STATUS_STUCK;
    ended.killed += status >= STATUS_KILLED_BASE;
    ended.kinds = kinds > ended.kinds ? kinds : ended.kinds;
    if (!whole && status != STATUS_STUCK && status < STATUS_KILLED_BASE) {
        print("hostile: child %u ended with status %d\n", ended.children, status);
        return false;
    }
    return true;
}

int main(int argc, char **argv);

int main(int argc, char **argv)
{
    with_hardware =
        argc > 1 && (strcmp(argv[1], "--hardware") == 0 || strcmp(argv[1], "--attack-hardware") == 0);
    if (argc == 3 && (strcmp(argv[1], "--attack") == 0 || strcmp(argv[1], "--attack-hardware") == 0)) {
        attack((uint64_t)parse_number(argv[2]));
    }
    int skip = with_hardware ? 1 : 0;
    int64_t calls = argc > 1 + skip ? parse_number(argv[1 + skip]) : 20000;
    int64_t seed = argc > 2 + skip ? parse_number(argv[2 + skip]) : 1;
    unsigned cpus = cpus_online();
    bool good = calls > 0 && seed >= 0 && (!with_hardware || make_harmless());
    int64_t most = 64 + calls / CHILD_CALLS * 20;
    while (good && ended.whole * (int64_t)CHILD_CALLS < calls && ended.children < most) {
        good = count_end(tap_status(spawn_attacker((uint64_t)seed + ended.children)));
    }
    print("hostile: seed %lld, %u children, %u made all their calls, %u were stuck, %u were killed\n",
          (long long)seed, ended.children, ended.whole, ended.stuck, ended.killed);
    if (with_hardware) {
        print("hostile: %u of %u calls of hardware succeeded in one child\n", ended.kinds, (unsigned)EASY);
        good = good && ended.kinds == EASY - (cpus == 1) && all_cpus_come_back(cpus);
    }
    return good && ended.whole * (int64_t)CHILD_CALLS >= calls ? 0 : 1;
}
