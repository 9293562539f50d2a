/* Capabilities in numbers, kernel memory of every size, processes looked up; many CPUs at once. */
#include "kbench.h"

#define TURNS       32u
#define FEW         12u /* of what takes long */
#define DERIVED_MAX 4096u
#define PARALLEL_NS 2000000u /* that all CPUs work */

/* ---- kernel memory: the kernel keeps a word for each page of a region ---- */

static bool make_regions(uint64_t words)
{
    bool good = true;
    for (unsigned i = 0; good && i < TURNS; i++) {
        int64_t made = sys_region_create(words * PAGE, -1);
        good = made > 0 && sys_cap_delete((handle_t)made) == STATUS_OK;
    }
    return sys_quiesce() == STATUS_OK && good;
}

/* The first time only warms: the heap has had as many of that size at once. */
static bool measure_heap(uint64_t words)
{
    bool good = make_regions(words);
    mark();
    good = good && make_regions(words);
    mark();
    return good;
}

/* ---- processes by their numbers: first the own one, then a child ---- */

static bool measure_processes(uint64_t unused)
{
    struct row *own = row_make("info-own");
    struct row *other = row_make("info-child");
    struct process_info info = {.pid = 0};
    struct board *board = board_create(NULL);
    (void)unused;
    int64_t pid = board != NULL ? sys_fork() : -1;
    if (pid == 0) {
        while (board->stop == 0) {
            sys_sleep(1000000);
        }
        sys_exit(0);
    }
    bool good = pid > 0 && own != NULL && other != NULL && sys_process_info(0, &info) == STATUS_OK;
    unsigned self = info.pid;
    for (unsigned i = 0; good && i < 2 * TURNS; i++) {
        struct row *row = i < TURNS ? own : other;
        if (i % TURNS == 0) {
            mark();
        }
        uint64_t before = cycles();
        good = sys_process_info(i < TURNS ? self : (unsigned)pid, &info) == STATUS_OK;
        row_add(row, cycles() - before, cycles_cost);
        if (i % TURNS == TURNS - 1) {
            mark();
        }
    }
    board->stop = 1;
    good = ended_well(pid) && good;
    if (good) {
        row_print(own);
        row_print(other);
    }
    return good;
}

/* ---- capabilities ---- */

static bool measure_derive(uint64_t unused)
{
    struct row *derive = row_make("cap-derive");
    struct row *delete = row_make("cap-delete");
    int64_t root = sys_notification_create();
    (void)unused;
    bool good = root > 0 && derive != NULL && delete != NULL;
    for (unsigned i = 0; good && i < 4 * TURNS; i++) {
        uint64_t before = cycles();
        int64_t made = sys_cap_derive((handle_t)root, RIGHT_WRITE, 0);
        uint64_t between = cycles();
        good = made > 0 && sys_cap_delete((handle_t)made) == STATUS_OK;
        row_add(delete, cycles() - between, cycles_cost);
        row_add(derive, between - before, cycles_cost);
    }
    if (good) {
        row_print(derive);
        row_print(delete);
    }
    return good;
}

/* Cycles for each of so many that go with one revocation. */
static bool measure_revoke(uint64_t count)
{
    struct row *row = row_make("revoke");
    int64_t root = sys_notification_create();
    bool good = row != NULL && root > 0 && count != 0 && count <= DERIVED_MAX;
    for (unsigned i = 0; good && i < (count > TURNS ? FEW : TURNS); i++) {
        for (uint64_t made = 0; good && made < count; made++) {
            good = sys_cap_derive((handle_t)root, RIGHT_WRITE, 0) > 0;
        }
        uint64_t before = cycles();
        int64_t taken = sys_cap_revoke((handle_t)root);
        row_add(row, (cycles() - before) / count, 0);
        good = good && taken == (int64_t)count;
    }
    if (good) {
        row_print(row);
    }
    return good;
}

/* Forks with so many capabilities more: between marks, for who watches the clone. */
static bool measure_inherit(uint64_t count)
{
    int64_t root = sys_notification_create();
    bool good = root > 0 && count <= DERIVED_MAX;
    for (uint64_t i = 0; good && i < count; i++) {
        good = sys_cap_copy((handle_t)root) > 0;
    }
    mark();
    for (unsigned i = 0; good && i < FEW; i++) {
        int64_t pid = sys_fork();
        if (pid == 0) {
            sys_exit(0);
        }
        good = ended_well(pid);
    }
    mark();
    return good;
}

/* ---- all CPUs at once: each with a notification of its own ---- */

static bool look_up(handle_t root)
{
    return sys_notification_signal(root, 1) == STATUS_OK;
}

static bool derive_and_delete(handle_t root)
{
    int64_t made = sys_cap_derive(root, RIGHT_WRITE, 0);
    return made > 0 && sys_cap_delete((handle_t)made) == STATUS_OK;
}

static int work(struct board *board, unsigned cpu, bool (*once)(handle_t))
{
    int64_t root = pin(cpu) ? sys_notification_create() : -1;
    bool good = root > 0 && once((handle_t)root);
    __atomic_add_fetch(&board->ready, 1, __ATOMIC_SEQ_CST);
    while (board->stamp == 0) {
        sys_yield();
    }
    uint64_t end = board->stamp;
    uint64_t count = 0;
    while (good && cycles() < end) {
        good = once((handle_t)root);
        count++;
    }
    board->counts[cpu] = count;
    return good ? 0 : STATUS_BROKEN;
}

static bool work_everywhere(uint64_t cpus, bool (*once)(handle_t), const char *name)
{
    struct row *row = row_make(name);
    struct board *board = board_create(NULL);
    bool good = row != NULL && board != NULL && cpus != 0 && cpus <= 64;
    for (unsigned cpu = 0; good && cpu < cpus; cpu++) {
        int64_t pid = sys_fork();
        if (pid == 0) {
            sys_exit(work(board, cpu, once));
        }
        good = pid > 0;
    }
    while (good && board->ready < cpus) {
        sys_sleep(PARALLEL_NS / 10);
    }
    if (!good) {
        return false;
    }
    board->stamp = cycles() + PARALLEL_NS * 3ull;
    for (uint64_t i = 0; i < cpus; i++) {
        int status = -1;
        good = sys_wait(0, &status, 0) > 0 && status == 0 && good;
    }
    for (unsigned cpu = 0; good && cpu < cpus; cpu++) {
        row_add(row, board->counts[cpu], 0);
    }
    row_print(row);
    return good;
}

static bool measure_parallel(uint64_t cpus)
{
    return work_everywhere(cpus, look_up, "lookups") && work_everywhere(cpus, derive_and_delete, "derives");
}

const struct measurement system_measurements[] = {
    {"heap", measure_heap},     {"processes", measure_processes}, {"derive", measure_derive},
    {"revoke", measure_revoke}, {"inherit", measure_inherit},     {"parallel", measure_parallel},
};

const unsigned system_measurement_count = sizeof(system_measurements) / sizeof(system_measurements[0]);
