/* A page that is given away while every CPU writes to it: in programs, and in the kernel for programs. */
#include "ipctest.h"

#include "abi/sched.h"
#include "lib/tap.h"
#include "lib/thread.h"

#define PAGE     4096u
#define WORDS    (PAGE / 8)
#define MOST     32u /* CPUs */
#define COPIED   8u  /* words that a copy of the kernel writes */
#define ROUNDS   3u
#define LOOKS    20u
#define RECEIVED 0x0bad5eed0bad5eedu

static volatile uint64_t *page;
static unsigned cpus;

static volatile uint64_t *map_page(handle_t region)
{
    int64_t at = sys_region_map(region, 0, PAGE, 0, PROTECT_READ | PROTECT_WRITE);
    return at > 0 ? (volatile uint64_t *)(uintptr_t)at : NULL;
}

static void stay_on(uint64_t cpu)
{
    (void)sys_sched_affinity(SCHED_THREAD, 0, 1ull << cpu);
}

/* Ends by a fault, and the whole process with it. */
static uint64_t stores(void *cpu)
{
    stay_on((uint64_t)(uintptr_t)cpu);
    for (uint64_t n = 1;; n++) {
        page[(uintptr_t)cpu] = n;
        if (n % 256 == 0) {
            sys_yield(); /* to those that have copies made */
        }
    }
    return 0;
}

static int crowd_that_stores(void)
{
    for (uint64_t cpu = 1; cpu < cpus; cpu++) {
        if (thread_start(stores, (void *)(uintptr_t)cpu, 0) < 0) {
            return 1;
        }
    }
    return (int)stores(NULL);
}

/* Ends when the kernel cannot write there any more: 0. */
static uint64_t has_copies_made(void *cpu)
{
    char *to = (char *)(uintptr_t)(page + MOST + (uintptr_t)cpu * COPIED);
    int64_t result;
    stay_on((uint64_t)(uintptr_t)cpu);
    do {
        sys_yield();
        result = sys_file_read("ipctest", 0, to, COPIED * 8);
    } while (result == COPIED * 8);
    return result == STATUS_ERR_CAP_INVALID ? 0 : 1;
}

/* What there was when the page came, and what the receiver writes, stays. */
static int takes_the_page(void)
{
    static uint64_t kept[WORDS];
    struct ipc_registers m = message(0, 0, 0, IPC_FOREVER);
    if (sys_ipc_receive(endpoint, &m) != STATUS_OK || ipc_tag_handles(m.tag) != 1) {
        return 1;
    }
    volatile uint64_t *words = map_page(m.words[0]);
    for (unsigned i = 0; words != NULL && i < WORDS; i++) {
        kept[i] = words[i];
    }
    for (unsigned look = 0; look < 2 * LOOKS; look++) {
        for (unsigned i = 0; i < WORDS; i++) {
            if (words == NULL || words[i] != kept[i]) {
                return 2;
            }
        }
        for (unsigned i = 0; look == LOOKS && i < WORDS; i++) {
            words[i] = kept[i] = RECEIVED;
        }
        sys_yield();
    }
    return 0;
}

static bool everybody_writes(void)
{
    for (unsigned i = 0; i < cpus; i++) {
        if (page[i] == 0 || page[MOST + i * COPIED] == 0) {
            return false;
        }
    }
    return true;
}

static bool one_move(void)
{
    int64_t tids[MOST];
    EXPECT(make_endpoint());
    int64_t taker = tap_child(takes_the_page);
    handle_t region = (handle_t)sys_region_create(PAGE, -1);
    page = map_page(region);
    EXPECT(taker > 0 && page != NULL);
    int64_t crowd = tap_child(crowd_that_stores); /* has the mapping too */
    for (uint64_t cpu = 0; cpu < cpus; cpu++) {
        tids[cpu] = thread_start(has_copies_made, (void *)(uintptr_t)cpu, 0);
        EXPECT(tids[cpu] > 0);
    }
    while (!everybody_writes()) {
        sys_yield();
    }
    struct ipc_registers m = message(0, 1, 1, IPC_FOREVER);
    m.words[0] = region | IPC_MOVE;
    EXPECT(sys_ipc_send(endpoint, &m) == STATUS_OK);
    for (unsigned cpu = 0; cpu < cpus; cpu++) {
        uint64_t failed = 1;
        EXPECT(thread_join(tids[cpu], &failed) == STATUS_OK && failed == 0);
    }
    EXPECT(tap_status(crowd) == STATUS_KILLED_BASE + 14);
    EXPECT(tap_status(taker) == 0);
    return sys_unmap((uint64_t)(uintptr_t)page, PAGE) == STATUS_OK;
}

/* tests/e2e/kernel_stale.lua looks into all CPUs when the receiver gets its mapping. covers: VM-16 (what the receiver sees) */
bool test_a_moved_page_has_no_writer_left(void)
{
    static struct system_stats stats;
    EXPECT(sys_stats(&stats, sizeof(stats)) > 0);
    cpus = stats.cpus_online < MOST ? stats.cpus_online : MOST;
    for (unsigned round = 0; round < ROUNDS; round++) {
        EXPECT(one_move());
    }
    return true;
}
