/*
 * captest: what a program finds in memory that others had before, and in what the kernel hands out. tests/e2e/kernel_security.lua
 * runs this where more than half of all memory is used twice, and where the kernel's own table of capabilities is attacked.
 */
#include "captest.h"

#define PAGE    4096u
#define PATTERN 0xa5a5a5a5a5a5a5a5ull
#define KERNEL  0xffff800000000000ull
#define MOST    8192u /* pages */

/* ---- memory of the dead ---- */

static uint64_t pages; /* so many are more than half of what is free, unless there is a lot */
static bool dirty;

static uint64_t *map_words(uint64_t count)
{
    int64_t at = sys_map(0, count * PAGE, PROTECT_READ | PROTECT_WRITE);
    return at > 0 ? (uint64_t *)(uintptr_t)at : NULL;
}

static uint64_t words_that_are_not_0(const uint64_t *at, uint64_t count)
{
    uint64_t found = 0;
    for (uint64_t i = 0; i < count; i++) {
        found += at[i] != 0;
    }
    return found;
}

static void fill(uint64_t *at, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        at[i] = PATTERN;
    }
}

/* Looks at anonymous pages, a region's and the stack of another thread's to be, then leaves all of them full of a pattern. */
static void look_and_soil(void)
{
    uint64_t words = pages * (PAGE / sizeof(uint64_t));
    uint64_t *own = map_words(pages);
    int64_t region = sys_region_create(16 * PAGE, -1);
    int64_t at =
        region > 0 ? sys_region_map((handle_t)region, 0, 16 * PAGE, 0, PROTECT_READ | PROTECT_WRITE) : -1;
    if (own == NULL || at <= 0) {
        sys_exit(1);
    }
    uint64_t *shared = (uint64_t *)(uintptr_t)at;
    uint64_t found =
        words_that_are_not_0(own, words) + words_that_are_not_0(shared, 16 * PAGE / sizeof(uint64_t));
    if (dirty) {
        fill(own, words);
        fill(shared, 16 * PAGE / sizeof(uint64_t));
    }
    if (found != 0) {
        print("# %llu words of others\n", (unsigned long long)found);
    }
    sys_exit(found == 0 ? 0 : 2);
}

/* covers: TS-05 (S) */
bool test_memory_of_the_dead_is_empty(void)
{
    static struct system_stats stats;
    EXPECT(sys_quiesce() == STATUS_OK && sys_stats(&stats, sizeof(stats)) > 0);
    pages = stats.frames_free / 2 + stats.frames_free / 16;
    pages = pages < MOST ? pages : MOST;
    dirty = true;
    EXPECT(tap_in_child(look_and_soil) == 0 && sys_quiesce() == STATUS_OK);
    EXPECT(tap_in_child(look_and_soil) == 0 && sys_quiesce() == STATUS_OK);
    dirty = false;
    return tap_in_child(look_and_soil) == 0;
}

/* ---- what the kernel hands out ---- */

static uint64_t buffer[2 * PAGE / sizeof(uint64_t)];

/* Every word was written, is no address of the kernel, and nothing was written behind. */
static bool is_clean(const char *what, int64_t result, uint64_t bytes)
{
    const uint64_t words = bytes / sizeof(uint64_t);
    bool good = result >= 0;
    for (uint64_t i = 0; i < words; i++) {
        good = good && buffer[i] != PATTERN && (buffer[i] < KERNEL || buffer[i] == UINT64_MAX); /* all CPUs */
    }
    for (uint64_t i = words; i < sizeof(buffer) / sizeof(uint64_t); i++) {
        good = good && buffer[i] == PATTERN;
    }
    if (!good) {
        print("# %s\n", what);
    }
    fill(buffer, sizeof(buffer) / sizeof(uint64_t));
    return good;
}

#define CLEAN(call, type) is_clean(#type, call, sizeof(type))

/* covers: TS-05 (S) */
bool test_no_address_of_the_kernel_is_handed_out(void)
{
    void *out = buffer;
    _Static_assert(sizeof(struct system_stats) < sizeof(buffer), "there is something behind");
    handle_t region = make_object(CAP_REGION);
    fill(buffer, sizeof(buffer) / sizeof(uint64_t));
    EXPECT(CLEAN(sys_stats(out, sizeof(struct system_stats)), struct system_stats));
    EXPECT(CLEAN(sys_cap_read(CAP_CONSOLE, out), struct cap_info));
    EXPECT(CLEAN(sys_audit_read(0, out, 1), struct cap_audit));
    EXPECT(CLEAN(sys_cap_stats(out), struct cap_stats));
    EXPECT(CLEAN(sys_sched_get(SCHED_THREAD, 0, out), struct sched_info));
    EXPECT(CLEAN(sys_sched_get(SCHED_PROCESS, 0, out), struct sched_info));
    EXPECT(CLEAN(sys_ipc_stats(out), struct ipc_stats));
    EXPECT(CLEAN(sys_region_info(region, out), struct region_info));
    EXPECT(CLEAN(sys_process_info(0, out), struct process_info));
    EXPECT(CLEAN(sys_error_stats(out), struct error_stats));
    EXPECT(sys_cap_revoke(1ull << 20) == STATUS_ERR_CAP_INVALID);
    EXPECT(CLEAN(sys_error_report(out), struct error_report));
    return sys_cap_delete(region) == STATUS_OK;
}

/* ---- the table of capabilities ---- */

static uint64_t
    target; /* where the record of a capability of this process lies, which nobody but the scenario can know */

static void read_it(void)
{
    sys_exit(*(volatile const uint64_t *)(uintptr_t)target != 0 ? 1 : 2);
}

static void write_it(void)
{
    *(volatile uint64_t *)(uintptr_t)target = UINT64_MAX;
    sys_exit(1);
}

/* The kernel is asked to do it. */
static bool have_it_written(handle_t handle)
{
    EXPECT(sys_cap_read(handle, (struct cap_info *)(uintptr_t)target) == STATUS_ERR_BAD_ADDRESS);
    EXPECT(sys_stats((struct system_stats *)(uintptr_t)target, 8) == STATUS_ERR_BAD_ADDRESS);
    EXPECT(sys_file_read("captest", 0, (char *)(uintptr_t)target, 8) == STATUS_ERR_BAD_ADDRESS);
    EXPECT(sys_futex_wait((const uint32_t *)(uintptr_t)target, 0, 0, 0) == STATUS_ERR_BAD_ADDRESS);
    EXPECT(sys_map(target & ~4095ull, PAGE, PROTECT_READ | PROTECT_WRITE | MAP_EXACT) < 0);
    EXPECT(sys_unmap(target & ~4095ull, PAGE) < 0 && sys_protect(target & ~4095ull, PAGE, PROTECT_WRITE) < 0);
    return true;
}

int attack_the_table(void)
{
    int64_t handle = sys_cap_derive(CAP_CONSOLE, RIGHT_WRITE, 0);
    struct cap_info before;
    struct cap_info after;
    bool good = handle > 0 && sys_cap_read((handle_t)handle, &before) == STATUS_OK;
    target = (uint64_t)syscall3(SYS_GETPPID, 0, 0, 0); /* the scenario answers with the address */
    good = good && target >= KERNEL && tap_in_child(read_it) == STATUS_KILLED_BASE + 14 &&
           tap_in_child(write_it) == STATUS_KILLED_BASE + 14 && have_it_written((handle_t)handle);
    good = good && sys_cap_read((handle_t)handle, &after) == STATUS_OK &&
           memcmp(&before, &after, sizeof(before)) == 0;
    return good ? 0 : 1;
}
