/* Memory and capabilities: mappings, faults, frames, kernel objects, lookups among many capabilities. */
#include "kbench.h"

#include "lib/thread.h"

#define TURNS       128u
#define MANY_PAGES  2048u
#define MANY_TURNS  6u
#define FAULT_PAGES 256u
#define HANDLES_MAX 65000u

static uint64_t address_of(int64_t mapped)
{
    return (uint64_t)mapped;
}

/* ---- mappings ---- */

static bool map_and_unmap(struct row *map, struct row *unmap, uint64_t pages)
{
    uint64_t before = cycles();
    int64_t at = sys_map(0, pages * PAGE, PROTECT_BOTH | MAP_NOW);
    uint64_t between = cycles();
    if (at <= 0) {
        return false;
    }
    *(volatile uint64_t *)(uintptr_t)at = 1;
    row_add(map, between - before, cycles_cost);
    map->samples[map->count - 1] /= pages;
    before = cycles();
    int64_t status = sys_unmap(address_of(at), pages * PAGE);
    row_add(unmap, cycles() - before, cycles_cost);
    unmap->samples[unmap->count - 1] /= pages;
    return status == STATUS_OK;
}

static bool measure_map(uint64_t unused)
{
    static struct row map = {.name = "map-1"};
    static struct row unmap = {.name = "unmap-1"};
    static struct row map_many = {.name = "map-2048"};
    static struct row unmap_many = {.name = "unmap-2048"};
    (void)unused;
    bool good = true;
    mark();
    for (unsigned i = 0; good && i < TURNS; i++) {
        good = map_and_unmap(&map, &unmap, 1);
    }
    mark();
    for (unsigned i = 0; good && i < MANY_TURNS; i++) {
        good = map_and_unmap(&map_many, &unmap_many, MANY_PAGES);
    }
    row_print(&map);
    row_print(&unmap);
    row_print(&map_many);
    row_print(&unmap_many);
    return good;
}

/* ---- unmapping what the other CPUs may have in their TLBs ---- */

#define OTHERS_MAX 63u

static volatile uint64_t stop_reading;

static uint64_t read_on(void *argument)
{
    const unsigned *cpu = argument;
    bool good = pin(*cpu);
    while (stop_reading == 0) {
        __asm__ volatile("pause");
    }
    return good;
}

/* Threads of this process run on so many other CPUs meanwhile. */
static bool measure_shared_unmap(uint64_t others)
{
    static struct row row = {.name = "unmap-shared"};
    static struct row unused = {.name = "map-shared"};
    static unsigned cpu[OTHERS_MAX];
    int64_t tids[OTHERS_MAX];
    bool good = others <= OTHERS_MAX;
    for (unsigned i = 0; good && i < others; i++) {
        cpu[i] = i + 1;
        tids[i] = thread_start(read_on, &cpu[i], 0);
        good = tids[i] > 0;
    }
    sys_sleep(1000000); /* until all of them run */
    mark();
    for (unsigned i = 0; good && i < TURNS; i++) {
        good = map_and_unmap(&unused, &row, 1);
    }
    mark();
    stop_reading = 1;
    for (unsigned i = 0; good && i < others; i++) {
        uint64_t pinned = 0;
        good = thread_join(tids[i], &pinned) == STATUS_OK && pinned != 0;
    }
    row_print(&row);
    return good;
}

/* ---- faults: a new page, and a copy of one that is shared with a parent ---- */

static void touch(volatile uint64_t *words, struct row *row)
{
    for (unsigned i = 0; i < FAULT_PAGES; i++) {
        uint64_t before = cycles();
        words[i * (PAGE / sizeof(uint64_t))] = i;
        row_add(row, cycles() - before, cycles_cost);
    }
}

static bool measure_faults(uint64_t unused)
{
    static struct row fresh = {.name = "fault-zero"};
    static struct row copied = {.name = "fault-copy"};
    (void)unused;
    int64_t at = sys_map(0, FAULT_PAGES * (uint64_t)PAGE, PROTECT_BOTH);
    if (at <= 0) {
        return false;
    }
    volatile uint64_t *words = (volatile uint64_t *)(uintptr_t)at;
    mark();
    touch(words, &fresh);
    mark();
    row_print(&fresh);
    int64_t pid = sys_fork();
    if (pid == 0) {
        mark();
        touch(words, &copied);
        mark();
        row_print(&copied);
        sys_exit(0);
    }
    return ended_well(pid);
}

/* A region of node 0: its frames come from a zone of that node. */
static bool measure_zone_frames(uint64_t unused)
{
    static struct row row = {.name = "fault-region"};
    (void)unused;
    mark();
    int64_t region = sys_region_create(FAULT_PAGES * (uint64_t)PAGE, 0);
    volatile uint64_t *words = region > 0 ? map_whole((handle_t)region, FAULT_PAGES, 0) : NULL;
    if (words == NULL) {
        return false;
    }
    touch(words, &row);
    mark();
    row_print(&row);
    return true;
}

/* ---- kernel objects, seen from outside: made and deleted while so many others live ---- */

static handle_t handles[HANDLES_MAX];

static bool make_notifications(uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        int64_t made = sys_notification_create();
        if (made <= 0) {
            return false;
        }
        handles[i] = (handle_t)made;
    }
    return true;
}

static bool measure_objects(uint64_t others)
{
    struct board *board = board_create(NULL);
    uint64_t half = others / 2;
    if (board == NULL || half > HANDLES_MAX) {
        return false;
    }
    int64_t pid = sys_fork(); /* a space does not hold as many capabilities as there are to be objects */
    if (pid == 0) {
        bool good = make_notifications(half);
        board->ready = 1;
        while (board->stop == 0) {
            sys_sleep(1000000);
        }
        sys_exit(good ? 0 : STATUS_BROKEN);
    }
    bool good = pid > 0 && make_notifications(others - half);
    while (pid > 0 && board->ready == 0) {
        sys_sleep(1000000);
    }
    mark();
    for (unsigned i = 0; good && i < TURNS; i++) {
        int64_t made = sys_notification_create();
        good = made > 0 && sys_cap_delete((handle_t)made) == STATUS_OK;
    }
    good = sys_quiesce() == STATUS_OK && good; /* what is freed after a grace period is freed now */
    mark();
    board->stop = 1;
    return ended_well(pid) && good;
}

/* ---- lookups among many ---- */

/*
 * The cheapest call that a capability decides: a signal. One and the same handle, then as many in turn as no
 * cache of lookups holds. Between marks, so that the lookups themselves can be seen.
 */
static bool measure_lookups(uint64_t capabilities)
{
    static struct row same = {.name = "lookup-call-same"};
    static struct row others = {.name = "lookup-call-others"};
    int64_t notification = sys_notification_create();
    if (notification <= 0 || capabilities == 0 || capabilities > HANDLES_MAX) {
        return false;
    }
    handles[0] = (handle_t)notification;
    for (uint64_t i = 1; i < capabilities; i++) {
        int64_t made = sys_cap_copy((handle_t)notification);
        if (made <= 0) {
            return false;
        }
        handles[i] = (handle_t)made;
    }
    bool good = true;
    mark();
    for (unsigned i = 0; good && i < TURNS; i++) {
        uint64_t before = cycles();
        good = sys_notification_signal(handles[capabilities / 2], 1) == STATUS_OK;
        row_add(&same, cycles() - before, cycles_cost);
    }
    for (unsigned i = 0; good && i < TURNS; i++) {
        uint64_t before = cycles();
        good = sys_notification_signal(handles[i * 509u % capabilities], 1) == STATUS_OK;
        row_add(&others, cycles() - before, cycles_cost);
    }
    mark();
    row_print(&same);
    row_print(&others);
    return good;
}

const struct measurement memory_measurements[] = {
    {"map", measure_map},         {"shared-unmap", measure_shared_unmap},
    {"faults", measure_faults},   {"zone-frames", measure_zone_frames},
    {"objects", measure_objects}, {"lookups", measure_lookups},
};

const unsigned memory_measurement_count = sizeof(memory_measurements) / sizeof(memory_measurements[0]);
