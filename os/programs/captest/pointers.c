/*
 * captest: every pointer of every call, from the rows of abi/syscalls.def, with addresses that no program may have used: outside
 * of the user half, wrapping around, not mapped, not writable, and with every number of bytes before the end of what is mapped.
 */
#include "captest.h"

#include "lib/random.h"
#include "lib/thread.h"

#define PAGE     4096u
#define USER_END 0x7ffffffff000ull
#define MOST     6u /* arguments */

/* ---- which arguments are pointers ---- */

#define IS_POINTER(type) ((unsigned)(__builtin_classify_type((type)0) == 5)) /* GCC's class of pointers */
#define IS_WRITTEN(type)                                                                  \
    _Generic((type)0, const char * : 0u, const char *const * : 0u, const uint32_t * : 0u, \
             const struct sched_params * : 0u, const struct thread_params * : 0u,         \
             const struct channel_message * : 0u, default                                 \
             : IS_POINTER(type))

#define MASK_ARGUMENTS_0(of)                         0u
#define MASK_ARGUMENTS_1(of, t1, n1)                 of(t1)
#define MASK_ARGUMENTS_2(of, t1, n1, t2, n2)         (of(t1) | of(t2) << 1)
#define MASK_ARGUMENTS_3(of, t1, n1, t2, n2, t3, n3) (MASK_ARGUMENTS_2(of, t1, n1, t2, n2) | of(t3) << 2)
#define MASK_ARGUMENTS_4(of, t1, n1, t2, n2, t3, n3, t4, n4) \
    (MASK_ARGUMENTS_3(of, t1, n1, t2, n2, t3, n3) | of(t4) << 3)
#define MASK_ARGUMENTS_5(of, t1, n1, t2, n2, t3, n3, t4, n4, t5, n5) \
    (MASK_ARGUMENTS_4(of, t1, n1, t2, n2, t3, n3, t4, n4) | of(t5) << 4)
#define MASK_ARGUMENTS_6(of, t1, n1, t2, n2, t3, n3, t4, n4, t5, n5, t6, n6) \
    (MASK_ARGUMENTS_5(of, t1, n1, t2, n2, t3, n3, t4, n4, t5, n5) | of(t6) << 5)
#define POINTERS_ARGUMENTS_0()    0u
#define POINTERS_ARGUMENTS_1(...) MASK_ARGUMENTS_1(IS_POINTER, __VA_ARGS__)
#define POINTERS_ARGUMENTS_2(...) MASK_ARGUMENTS_2(IS_POINTER, __VA_ARGS__)
#define POINTERS_ARGUMENTS_3(...) MASK_ARGUMENTS_3(IS_POINTER, __VA_ARGS__)
#define POINTERS_ARGUMENTS_4(...) MASK_ARGUMENTS_4(IS_POINTER, __VA_ARGS__)
#define POINTERS_ARGUMENTS_5(...) MASK_ARGUMENTS_5(IS_POINTER, __VA_ARGS__)
#define POINTERS_ARGUMENTS_6(...) MASK_ARGUMENTS_6(IS_POINTER, __VA_ARGS__)
#define WRITTEN_ARGUMENTS_0()     0u
#define WRITTEN_ARGUMENTS_1(...)  MASK_ARGUMENTS_1(IS_WRITTEN, __VA_ARGS__)
#define WRITTEN_ARGUMENTS_2(...)  MASK_ARGUMENTS_2(IS_WRITTEN, __VA_ARGS__)
#define WRITTEN_ARGUMENTS_3(...)  MASK_ARGUMENTS_3(IS_WRITTEN, __VA_ARGS__)
#define WRITTEN_ARGUMENTS_4(...)  MASK_ARGUMENTS_4(IS_WRITTEN, __VA_ARGS__)
#define WRITTEN_ARGUMENTS_5(...)  MASK_ARGUMENTS_5(IS_WRITTEN, __VA_ARGS__)
#define WRITTEN_ARGUMENTS_6(...)  MASK_ARGUMENTS_6(IS_WRITTEN, __VA_ARGS__)
#define IN_MEMORY_VALUE           true
#define IN_MEMORY_NEVER           true
#define IN_MEMORY_MESSAGE         false /* a message is in registers */

static const struct row {
    unsigned number;
    enum cap_type type;
    unsigned pointers;
    unsigned written;
} rows[] = {
#define SYSCALL(number, id, name, where, type, rights, result, arguments, returns, text) \
    {number, CAP_##type, IN_MEMORY_##result ? POINTERS_##arguments : 0u, WRITTEN_##arguments},
#include "abi/syscalls.def"
#undef SYSCALL
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))

/* ---- the other arguments, with which the call comes to its pointers ---- */

enum { VALUE, OBJECT, STRING, POINTER };

struct argument {
    unsigned kind;
    uint64_t value;     /* VALUE */
    uint64_t bytes;     /* POINTER, STRING: how many the call reads or writes there */
    unsigned may_be_0;  /* a null pointer says that there is nothing */
    unsigned alignment; /* STATUS_ERR_UNALIGNED comes first */
};

#define V(number)                        \
    {                                    \
        .kind = VALUE, .value = (number) \
    }
#define TO(size)                         \
    {                                    \
        .kind = POINTER, .bytes = (size) \
    }
#define MAYBE_TO(size)                                  \
    {                                                   \
        .kind = POINTER, .bytes = (size), .may_be_0 = 1 \
    }
#define WORD                                        \
    {                                               \
        .kind = POINTER, .bytes = 4, .alignment = 4 \
    }
#define PATH                       \
    {                              \
        .kind = STRING, .bytes = 7 \
    }
#define NAMED          \
    {                  \
        .kind = OBJECT \
    }

static const struct argument arguments[SYS_COUNT][MOST] = {
    [SYS_EXEC] = {PATH, MAYBE_TO(8), MAYBE_TO(8)},
    [SYS_WAIT] = {V(0), MAYBE_TO(4), V(WAIT_NO_BLOCK)},
    [SYS_CONSOLE_WRITE] = {TO(8), V(8)},
    [SYS_DRIVER_READ] = {TO(8), V(8), V(DRIVER_READ_OR_CHILD)},
    [SYS_DRIVER_WRITE] = {TO(8), V(8)},
    [SYS_STATS] = {TO(sizeof(struct system_stats)), V(sizeof(struct system_stats))},
    [SYS_BOOT_ARGUMENTS] = {TO(1), V(1)}, /* the zero: the line may be empty */
    [SYS_CAP_READ] = {NAMED, TO(sizeof(struct cap_info))},
    [SYS_AUDIT_READ] = {V(0), TO(2 * sizeof(struct cap_audit)), V(2)},
    [SYS_CAP_STATS] = {TO(sizeof(struct cap_stats))},
    [SYS_SCHED_SET] = {V(0), V(0), TO(sizeof(struct sched_params))},
    [SYS_SCHED_GET] = {V(0), V(0), TO(sizeof(struct sched_info))},
    [SYS_NOTIFICATION_WAIT] = {NAMED, V(1), TO(8), V(0)},
    [SYS_CHANNEL_PUT] = {NAMED, TO(sizeof(struct channel_message)), V(1), V(0)},
    [SYS_CHANNEL_TAKE] = {NAMED, TO(sizeof(struct channel_message)), V(1), V(0)},
    [SYS_IPC_STATS] = {TO(sizeof(struct ipc_stats))},
    [SYS_REGION_INFO] = {NAMED, TO(sizeof(struct region_info))},
    [SYS_THREAD_CREATE] = {TO(sizeof(struct thread_params))},
    [SYS_THREAD_JOIN] = {V(0), MAYBE_TO(8), V(0)},
    [SYS_FUTEX_WAIT] = {WORD, V(1), V(0), V(0)},
    [SYS_FUTEX_WAKE] = {WORD, V(1), V(0)},
    [SYS_PROCESS_INFO] = {V(0), TO(sizeof(struct process_info))},
    [SYS_FILE_READ] = {PATH, V(0), TO(64), V(64)},
    [SYS_SPAWN] = {PATH, MAYBE_TO(8), MAYBE_TO(8), TO(sizeof(struct spawn_cap)), V(1)},
    [SYS_ERROR_STATS] = {TO(sizeof(struct error_stats))},
    [SYS_DMA_CREATE] = {V(PAGE), TO(8)},
    [SYS_ERROR_REPORT] = {TO(sizeof(struct error_report))},
};

static uint8_t blank[2 * PAGE]
    __attribute__((aligned(4096))); /* good for what is written, and an empty list */
static char path[] = "captest";
static uint64_t edge;      /* where something mapped ends, full of 'z' */
static uint64_t read_only; /* a page that begins with a capability to give */
static uint64_t cases;

static void check(const struct row *row, unsigned at, uint64_t bad)
{
    const struct argument *wanted = arguments[row->number];
    uint64_t words[MOST];
    for (unsigned i = 0; i < MOST; i++) {
        words[i] = wanted[i].kind == POINTER  ? (uint64_t)(uintptr_t)blank
                   : wanted[i].kind == STRING ? (uint64_t)(uintptr_t)path
                                              : wanted[i].value;
    }
    handle_t object = wanted[0].kind == OBJECT ? make_object(row->type) : 0;
    words[0] = object != 0 ? object : words[0];
    words[at] = bad;
    if (wanted[at].kind == STRING) {
        memset((void *)(uintptr_t)(edge - PAGE), 'z', PAGE); /* others have written there */
    }
    int64_t result = syscall6(row->number, words[0], words[1], words[2], words[3], words[4], words[5]);
    int64_t due = wanted[at].alignment != 0 && bad % wanted[at].alignment != 0 ? STATUS_ERR_UNALIGNED
                  : bad == read_only                                           ? STATUS_ERR_PROTECTION
                                                                               : STATUS_ERR_BAD_ADDRESS;
    bool absent = (row->number == SYS_DRIVER_READ || row->number == SYS_DRIVER_WRITE) &&
                  result == STATUS_ERR_NOT_FOUND; /* this machine has no such port */
    if (object != 0) {
        (void)sys_cap_delete(object);
    }
    cases++;
    if (result != due && !absent) {
        print("# call %u, argument %u at 0x%llx: %lld\n", row->number, at, (unsigned long long)bad,
              (long long)result);
        sys_exit(1);
    }
}

static void check_pointer(const struct row *row, unsigned at)
{
    const struct argument *wanted = &arguments[row->number][at];
    uint64_t bytes = wanted->bytes;
    const uint64_t outside[] = {USER_END - bytes + 1, USER_END - 1,           USER_END,
                                1ull << 47,           0xffff800000000000,     0xffff800000200000,
                                0xffffffff80100000,   UINT64_MAX - bytes + 1, UINT64_MAX,
                                1ull << 63,           PAGE - bytes / 2,       1};
    if (bytes == 0) {
        print("# call %u has a pointer that this test does not know\n", row->number);
        sys_exit(2);
    }
    for (unsigned i = 0; i < sizeof(outside) / sizeof(outside[0]); i++) {
        check(row, at, outside[i]);
    }
    if (wanted->may_be_0 == 0) {
        check(row, at, 0);
    }
    for (uint64_t before = 0; before < bytes; before++) {
        check(row, at, edge - before);
    }
    if ((row->written >> at & 1) != 0) {
        check(row, at, read_only);
    }
}

static bool make_pages(void)
{
    int64_t two = sys_map(0, 3 * PAGE, PROTECT_READ | PROTECT_WRITE);
    int64_t one = sys_map(0, PAGE, PROTECT_READ | PROTECT_WRITE);
    if (two <= 0 || one <= 0) {
        return false;
    }
    memset((void *)(uintptr_t)two, 'z', 2 * PAGE);
    *(struct spawn_cap *)(uintptr_t)one = (struct spawn_cap){.handle = CAP_MEMORY};
    edge = (uint64_t)two + 2 * PAGE;
    read_only = (uint64_t)one;
    return sys_unmap(edge, PAGE) == STATUS_OK && sys_protect(read_only, PAGE, PROTECT_READ) == STATUS_OK;
}

static void try_every_pointer(void)
{
    unsigned pointers = 0;
    if (!make_pages()) {
        sys_exit(3);
    }
    for (size_t i = 0; i < ROWS; i++) {
        for (unsigned at = 0; at < MOST; at++) {
            if ((rows[i].pointers >> at & 1) != 0) {
                check_pointer(&rows[i], at);
                pointers++;
            }
        }
    }
    print("# %u pointers, %llu addresses\n", pointers, (unsigned long long)cases);
    sys_exit(pointers >= 30 ? 0 : 4);
}

/* covers: ER-11 */
bool test_every_pointer_of_every_call_is_checked(void)
{
    EXPECT(tap_in_child(try_every_pointer) == 0);
    return true;
}

/* ---- a page that goes while the kernel copies ---- */

#define ROUNDS  300u
#define LONGEST 100000u /* a busy host may let one CPU run and not the other for long */

static _Atomic bool no_more;
static uint64_t area; /* two pages, of which the second one comes and goes */

static void pause_for(uint64_t turns)
{
    while (turns-- != 0) {
        __asm__ volatile("pause");
    }
}

/* The pauses are for who waits for the address space: with none it might come too late each time. */
static uint64_t come_and_go(void *unused)
{
    uint64_t failed = 0;
    uint64_t seed = 88172645463325252;
    (void)unused;
    while (!no_more) {
        failed += sys_unmap(area + PAGE, PAGE) != STATUS_OK;
        pause_for(random_next(&seed) % 1024);
        if (random_next(&seed) % 4 == 0) {
            sys_yield();
        }
        failed +=
            sys_map(area + PAGE, PAGE, PROTECT_READ | PROTECT_WRITE | MAP_EXACT) != (int64_t)(area + PAGE);
        pause_for(random_next(&seed) % 1024);
        sys_yield();
    }
    return failed;
}

static struct {
    unsigned done;
    unsigned refused;
    unsigned wrong;
} seen;

static void note(int64_t result, bool good)
{
    seen.done += good;
    seen.refused += result == STATUS_ERR_BAD_ADDRESS;
    seen.wrong += !good && result != STATUS_ERR_BAD_ADDRESS;
}

/* Writes by the kernel and reads by it, over the border of the two pages. */
static void copy_over_the_border(handle_t channel)
{
    struct channel_message *messages = (struct channel_message *)(uintptr_t)(area + PAGE) - 3;
    int64_t result = sys_error_stats((struct error_stats *)(uintptr_t)(area + PAGE - 256));
    note(result, result == STATUS_OK);
    result = sys_channel_put(channel, messages, 16, 0);
    note(result, result > 0);
    struct channel_message taken[16];
    note(0, result <= 0 || sys_channel_take(channel, taken, 16, 0) == result);
    result = sys_file_read("captest", 0, (char *)(uintptr_t)(area + 8), 2 * PAGE - 8);
    note(result, result > 0);
}

/* covers: ER-11 (racing unmap) */
bool test_copies_race_with_unmaps(void)
{
    int64_t at = sys_map(0, 2 * PAGE, PROTECT_READ | PROTECT_WRITE);
    int64_t channel = sys_channel_create(64, 0, -1);
    EXPECT(at > 0 && channel > 0);
    area = (uint64_t)at;
    no_more = false;
    int64_t tid = thread_start(come_and_go, NULL, 0);
    EXPECT(tid > 0);
    for (unsigned i = 0; i < ROUNDS || (i < LONGEST && (seen.refused == 0 || seen.done == 0)); i++) {
        copy_over_the_border((handle_t)channel);
        if (i % 4 == 0) {
            sys_yield();
        }
    }
    no_more = true;
    uint64_t failed = 1;
    EXPECT(thread_join(tid, &failed) == STATUS_OK && failed == 0);
    print("# %u copies whole, %u refused\n", seen.done, seen.refused);
    EXPECT(seen.wrong == 0 && seen.refused > 0 && seen.done > 0);
    return sys_unmap(area, 2 * PAGE) == STATUS_OK && sys_cap_delete((handle_t)channel) == STATUS_OK;
}
