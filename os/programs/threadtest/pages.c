/* Pages that move from node to node while threads use them. */
#include "threadtest.h"

#define MOVED_PAGES 20u
#define WRITERS     2u
#define USERS       (WRITERS + 1) /* who only reads is not held up while pages move */
#define PAGE_WORDS  (PAGE / sizeof(uint64_t))

static volatile uint64_t *moving_words;
static uint64_t uses[USERS]; /* rounds over all pages */
static bool moving;

/* Adds to a word of its own on each page, or reads what nobody writes, as long as they move; how many were wrong. */
static uint64_t use_pages(void *argument)
{
    uint64_t user = (uint64_t)(uintptr_t)argument;
    uint64_t wrong = 0;
    while (__atomic_load_n(&moving, __ATOMIC_ACQUIRE)) {
        for (size_t word = user; word < MOVED_PAGES * PAGE_WORDS; word += PAGE_WORDS) {
            if (user < WRITERS) {
                moving_words[word]++;
            } else {
                wrong += moving_words[word] != word * word;
            }
        }
        __atomic_add_fetch(&uses[user], 1, __ATOMIC_RELEASE);
    }
    return wrong;
}

/* All have been there two times more: every page is where they look for it. */
static void wait_for_uses(void)
{
    for (unsigned i = 0; i < USERS; i++) {
        uint64_t seen = __atomic_load_n(&uses[i], __ATOMIC_ACQUIRE);
        while (__atomic_load_n(&uses[i], __ATOMIC_ACQUIRE) < seen + 2) {
            sys_yield();
        }
    }
}

static bool holds_what_was_written(void)
{
    for (size_t i = 0; i < MOVED_PAGES * PAGE_WORDS; i++) {
        size_t word = i % PAGE_WORDS;
        EXPECT(moving_words[i] == (word < WRITERS ? uses[word] : i * i));
    }
    return true;
}

/* Several CPUs write pages that another thread moves from node to node. covers: MM-18 (contents) */
static bool test_pages_move_while_threads_write_them(void)
{
    static struct system_stats stats;
    int64_t tids[USERS];
    int64_t at = sys_map(0, MOVED_PAGES * PAGE, PROTECT_READ | PROTECT_WRITE | MAP_NOW);
    EXPECT(at > 0 && sys_stats(&stats, sizeof(stats)) > 0);
    moving_words = (volatile uint64_t *)at;
    for (size_t i = 0; i < MOVED_PAGES * PAGE_WORDS; i++) {
        moving_words[i] = i % PAGE_WORDS < WRITERS ? 0 : i * i;
    }
    memset(uses, 0, sizeof(uses));
    __atomic_store_n(&moving, true, __ATOMIC_RELEASE);
    for (unsigned i = 0; i < USERS; i++) {
        tids[i] = thread_start(use_pages, (void *)(uintptr_t)i, 0);
        EXPECT(tids[i] > 0);
    }
    for (unsigned round = 0; round < 2 * stats.nodes; round++) {
        wait_for_uses();
        int64_t moved = sys_migrate((uint64_t)at, MOVED_PAGES * PAGE, (round + 1) % stats.nodes);
        EXPECT(moved >= 0 && (round == 0 || moved == (stats.nodes > 1 ? MOVED_PAGES : 0)));
    }
    wait_for_uses();
    __atomic_store_n(&moving, false, __ATOMIC_RELEASE);
    for (unsigned i = 0; i < USERS; i++) {
        uint64_t wrong = 1;
        EXPECT(thread_join(tids[i], &wrong) == STATUS_OK && wrong == 0);
    }
    EXPECT(holds_what_was_written());
    return sys_unmap((uint64_t)at, MOVED_PAGES * PAGE) == 0;
}

const struct tap_test page_tests[] = {
    {"pages_move_while_threads_write_them", test_pages_move_while_threads_write_them},
};
const unsigned page_test_count = sizeof(page_tests) / sizeof(page_tests[0]);
