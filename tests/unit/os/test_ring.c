/*
 * Host tests of the lock-free ring: threads of our own take turns at every access to a shared word, chosen by a seed; each
 * history must be one that a plain bounded queue could have had, "full" and "empty" included.
 */
#include "fake/fake_arch.h"

#include <ucontext.h>

#include "ipc/ring.c"

#define MAX_THREADS 4
#define MAX_OPS     16
#define STACK_BYTES 65536

/* ---- turns ---- */

static struct {
    ucontext_t main;
    ucontext_t threads[MAX_THREADS];
    char stacks[MAX_THREADS][STACK_BYTES];
    bool over[MAX_THREADS];
    int running; /* -1: the test itself, which takes no turns */
    uint64_t clock;
} turns;

static void turn_end(void)
{
    turns.clock++;
    if (turns.running >= 0) {
        swapcontext(&turns.threads[turns.running], &turns.main);
    }
}

uint64_t ring_word_load(uint64_t *word)
{
    turn_end();
    return *word;
}

bool ring_word_cas(uint64_t *word, uint64_t expected, uint64_t value)
{
    turn_end();
    if (*word != expected) {
        return false;
    }
    *word = value;
    return true;
}

/* ---- histories ---- */

struct event {
    bool put;
    bool good;
    uint64_t value;
    uint64_t begin;
    uint64_t end;
};

static struct {
    struct event events[MAX_OPS];
    unsigned count;
    unsigned capacity;
} history;

/*
 * Whether the events not yet in `done` can follow, with `length` messages queued. An event may come next when none of the
 * others ended before it began.
 */
static bool explain(unsigned done, const uint64_t *queue, unsigned length)
{
    if (done == (1u << history.count) - 1) {
        return true;
    }
    uint64_t first_end = UINT64_MAX;
    for (unsigned i = 0; i < history.count; i++) {
        if (!(done >> i & 1) && history.events[i].end < first_end) {
            first_end = history.events[i].end;
        }
    }
    for (unsigned i = 0; i < history.count; i++) {
        const struct event *e = &history.events[i];
        if ((done >> i & 1) || e->begin > first_end) {
            continue;
        }
        uint64_t after[MAX_OPS];
        memcpy(after, queue, length * sizeof *queue);
        unsigned now = length;
        bool possible;
        if (e->put) {
            possible = e->good == (length < history.capacity);
            if (e->good && possible) {
                after[now++] = e->value;
            }
        } else {
            possible = e->good ? length > 0 && queue[0] == e->value : length == 0;
            if (e->good && possible) {
                memmove(after, after + 1, --now * sizeof *after);
            }
        }
        if (possible && explain(done | 1u << i, after, now)) {
            return true;
        }
    }
    return false;
}

static bool linearizable(void)
{
    uint64_t none[1] = {0};
    return explain(0, none, 0);
}

/* ---- runs ---- */

#define MAX_CELLS 4

static struct {
    struct ring ring;
    uint64_t cells[MAX_CELLS];
    uint64_t next[MAX_CELLS + MAX_THREADS];
    struct ring_buffer buffers[MAX_CELLS + MAX_THREADS];
    uint64_t seed;
    unsigned ops;
    unsigned threads;
    uint64_t successes;
    uint64_t failures;
} bench;

static void bench_ring(unsigned cells, unsigned threads, uint64_t position)
{
    turns.running = -1;
    ring_init(&bench.ring, bench.cells, cells, bench.next, bench.buffers, cells + threads);
    bench.ring.head = position;
    bench.ring.tail = position;
    for (uint64_t i = 0; i < cells; i++) {
        bench.cells[after(position, i) % cells] = pack(after(position, i), 0);
    }
}

static void operate(unsigned thread, unsigned number)
{
    struct event e = {.put = fake_random(&bench.seed) % 2 == 0, .value = thread * 100 + number + 1};
    uint64_t words[RING_MESSAGE_WORDS];
    e.begin = turns.clock++;
    if (e.put) {
        for (unsigned i = 0; i < RING_MESSAGE_WORDS; i++) {
            words[i] = e.value * (i + 1);
        }
        e.good = ring_try_put(&bench.ring, words) == STATUS_OK;
    } else {
        e.good = ring_try_take(&bench.ring, words) == STATUS_OK;
        e.value = e.good ? words[0] : 0;
        for (unsigned i = 0; e.good && i < RING_MESSAGE_WORDS; i++) {
            assert_int_equal(words[i], e.value * (i + 1)); /* no word of another message */
        }
    }
    e.end = turns.clock++;
    bench.successes += e.good;
    bench.failures += !e.good;
    history.events[history.count++] = e;
}

static void thread_main(int thread)
{
    for (unsigned i = 0; i < bench.ops; i++) {
        operate((unsigned)thread, i);
    }
    turns.over[thread] = true;
    swapcontext(&turns.threads[thread], &turns.main);
}

/* One run: threads take turns of random length. */
static void run(unsigned threads, unsigned ops, unsigned cells, uint64_t position, uint64_t seed)
{
    bench.seed = seed * 0x9e3779b97f4a7c15ull + 1;
    bench.ops = ops;
    bench_ring(cells, threads, position);
    history.count = 0;
    history.capacity = cells;
    for (unsigned i = 0; i < threads; i++) {
        getcontext(&turns.threads[i]);
        turns.threads[i].uc_stack.ss_sp = turns.stacks[i];
        turns.threads[i].uc_stack.ss_size = STACK_BYTES;
        turns.threads[i].uc_link = NULL;
        makecontext(&turns.threads[i], (void (*)(void))thread_main, 1, (int)i);
        turns.over[i] = false;
    }
    for (unsigned left = threads; left > 0;) {
        unsigned next = (unsigned)(fake_random(&bench.seed) % threads);
        uint64_t length = fake_random(&bench.seed) % 4 == 0 ? 1 + fake_random(&bench.seed) % 12 : 1;
        while (length-- > 0 && !turns.over[next]) {
            turns.running = (int)next;
            swapcontext(&turns.main, &turns.threads[next]);
            left -= turns.over[next];
        }
    }
    turns.running = -1;
    if (!linearizable()) {
        for (unsigned i = 0; i < history.count; i++) {
            const struct event *e = &history.events[i];
            fprintf(stderr, "%llu..%llu %s %llu %s\n", (unsigned long long)e->begin,
                    (unsigned long long)e->end, e->put ? "put" : "take", (unsigned long long)e->value,
                    e->good ? "" : "again");
        }
        fail_msg("seed %llu: no order of the calls explains this", (unsigned long long)seed);
    }
}

/* covers: IP-02 */
static void every_interleaving_looks_like_a_plain_queue(void **state)
{
    (void)state;
    bench.successes = 0;
    bench.failures = 0;
    unsigned runs = 0;
    for (uint64_t seed = 1; seed <= 20000; seed++) {
        unsigned threads = 2 + (unsigned)(seed % 3);
        unsigned ops = threads == 4 ? 3 : 4;
        run(threads, ops, seed % 5 == 0 ? 1 : 2, seed % 7 == 0 ? POSITION_MASK - 1 : 0, seed);
        runs++;
    }
    print_message("ring: %u interleavings, %llu accesses, %llu calls done, %llu answered full or empty\n",
                  runs, (unsigned long long)turns.clock, (unsigned long long)bench.successes,
                  (unsigned long long)bench.failures);
    assert_true(bench.successes > 50000 && bench.failures > 10000);
}

/* The checker itself refuses what a queue cannot do. */
static void the_checker_refuses_impossible_histories(void **state)
{
    (void)state;
    static const struct event overtaken[] = {
        {true, true, 1, 0, 1}, {true, true, 2, 2, 3}, {false, true, 2, 4, 5}, {false, true, 1, 6, 7}};
    static const struct event lost[] = {{true, true, 1, 0, 1}, {false, false, 0, 2, 3}};
    static const struct event too_full[] = {{true, true, 1, 0, 1}, {true, false, 2, 2, 3}};
    static const struct event twice[] = {
        {true, true, 1, 0, 1}, {false, true, 1, 2, 5}, {false, true, 1, 3, 6}};
    static const struct event fine[] = {{true, true, 1, 0, 9}, {true, true, 2, 2, 3}, {false, true, 2, 4, 5}};
    static const struct {
        const struct event *events;
        unsigned count;
        bool good;
    } cases[] = {
        {overtaken, 4, false}, {lost, 2, false}, {too_full, 2, false}, {twice, 3, false}, {fine, 3, true}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        memcpy(history.events, cases[i].events, cases[i].count * sizeof(struct event));
        history.count = cases[i].count;
        history.capacity = 2;
        assert_int_equal(linearizable(), cases[i].good);
    }
}

static void the_ring_keeps_order_fills_empties_and_wraps(void **state)
{
    (void)state;
    uint64_t words[RING_MESSAGE_WORDS] = {0};
    bench_ring(4, 1, POSITION_MASK - 5);
    uint64_t put = 0;
    uint64_t taken = 0;
    uint64_t seed = 3;
    for (unsigned i = 0; i < 10000; i++) {
        if (fake_random(&seed) % 2) {
            words[7] = put;
            status_t status = ring_try_put(&bench.ring, words);
            assert_int_equal(status, put - taken < 4 ? STATUS_OK : STATUS_ERR_AGAIN);
            put += status == STATUS_OK;
        } else {
            status_t status = ring_try_take(&bench.ring, words);
            assert_int_equal(status, put > taken ? STATUS_OK : STATUS_ERR_AGAIN);
            assert_true(status != STATUS_OK || words[7] == taken++);
        }
    }
    assert_true(taken > 3000);
}

/* A ring with too few buffers answers "full" instead of losing one. */
static void a_ring_without_buffers_is_full(void **state)
{
    (void)state;
    uint64_t words[RING_MESSAGE_WORDS] = {7};
    turns.running = -1;
    ring_init(&bench.ring, bench.cells, 4, bench.next, bench.buffers, 2);
    assert_ok(ring_try_put(&bench.ring, words));
    assert_ok(ring_try_put(&bench.ring, words));
    assert_int_equal(ring_try_put(&bench.ring, words), STATUS_ERR_AGAIN);
    assert_ok(ring_try_take(&bench.ring, words));
    assert_ok(ring_try_put(&bench.ring, words));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_checker_refuses_impossible_histories),
        cmocka_unit_test(the_ring_keeps_order_fills_empties_and_wraps),
        cmocka_unit_test(a_ring_without_buffers_is_full),
        cmocka_unit_test(every_interleaving_looks_like_a_plain_queue),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
