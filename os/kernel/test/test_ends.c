/*
 * Threads of a process that is told to end, in each state there is. What run queues, sleepers, the queue that a thread waits
 * in and the figures of threads say is written down before it starts, while it is in its state, and when it has gone.
 */
#include "arch/x86_64/clock.h"
#include "arch/x86_64/percpu.h"
#include "console.h"
#include "ipc/ipc.h"
#include "ipc/waiting.h"
#include "lib/string.h"
#include "mm/layout.h"
#include "proc/futex.h"
#include "proc/process.h"
#include "proc/threads.h"
#include "sched/sched.h"
#include "sys/syscall.h"
#include "test/ktest.h"
#include "test/workers.h"

#define LIMIT_NS  2000000000ull /* for figures to become what they should */
#define END_NS    60000000000ull
#define TRY_NS    1000000ull
#define STILL     10u /* looks that find the same: nothing of earlier tests moves */
#define LONG_NS   3600000000000ull
#define SPIN_RANK 20u
#define RR_LEVEL  3u
#define WORD_AT   MAP_BASE

enum ends_state { SPINS, READY_RR, READY_FAIR, RECEIVES, CALLS, JOINED, AT_FUTEX, ASLEEP, ENDS_STATES };

/* What is said of threads; all of it numbers, compared one by one. */
enum figure {
    READY,
    RUNNING,
    SLEEPING,
    ALIVE,
    SLEEPERS, /* threads in the trees of sleepers */
    CLASSES,  /* masks and sums of the CPU where it happens */
    LEVELS,
    READY_THERE,
    WEIGHT,
    BANDWIDTH,
    UNSOUND, /* queues in which something disagrees */
    FIGURES
};

struct picture {
    uint64_t of[FIGURES];
};

static const char *const figure_names[FIGURES] = {"ready",       "running", "sleeping",  "alive",
                                                  "sleepers",    "classes", "levels",    "ready there",
                                                  "fair weight", "promise", "bad queues"};

static struct {
    struct process *process;
    struct endpoint_object *endpoint;
    struct ipc_claim claim; /* of the endpoint */
    struct wait_queue queue;
    enum ends_state state;
    unsigned cpu; /* where it happens */
    bool release; /* the thread that keeps others from that CPU may end */
    int64_t answer;
    int64_t other_answer;
    bool broken; /* a thread is still there, or in a queue: nothing of this may be used again */
} test;

/* ---- pictures ---- */

static uint64_t count_of(const struct tree *tree)
{
    uint64_t count = 0;
    for (const struct tree_node *node = tree_first(tree); node != NULL; node = tree_next(node)) {
        count++;
    }
    return count;
}

static struct picture take_picture(void)
{
    struct picture now = {{0}};
    struct sched_totals totals;
    for (unsigned i = 0; i < cpu_count_online(); i++) {
        struct run_queue *queue = &cpu_table[i]->queue;
        uint64_t flags = spin_lock_irqsave(&queue->lock);
        now.of[UNSOUND] += run_queue_check(queue) ? 0 : 1;
        now.of[SLEEPERS] += count_of(&queue->sleepers);
        if (i == test.cpu) {
            now.of[CLASSES] = queue->class_mask;
            now.of[LEVELS] = queue->level_mask;
            now.of[READY_THERE] = queue->ready_count;
            now.of[WEIGHT] = queue->fair_weight;
            now.of[BANDWIDTH] = queue->deadline_bandwidth;
        }
        spin_unlock_irqrestore(&queue->lock, flags);
    }
    sched_totals_read(&totals);
    now.of[READY] = totals.ready;
    now.of[RUNNING] = totals.running;
    now.of[SLEEPING] = totals.sleeping;
    now.of[ALIVE] = totals.alive;
    return now;
}

static bool same(const struct picture *a, const struct picture *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}

static void rest(void)
{
    sched_sleep_until(clock_cycles() + clock_cycles_from_ns(TRY_NS));
}

/* A picture that has not changed for a while. */
static struct picture settled(void)
{
    struct picture last = take_picture();
    for (unsigned times = 0; times < STILL; times++) {
        rest();
        struct picture now = take_picture();
        times = same(&now, &last) ? times : 0;
        last = now;
    }
    return last;
}

/* Threads of the kernel's come and go for moments. */
static bool becomes(const struct picture *want, const char *when)
{
    uint64_t end = clock_cycles() + clock_cycles_from_ns(LIMIT_NS);
    struct picture now = take_picture();
    while (!same(&now, want) && clock_cycles() < end) {
        rest();
        now = take_picture();
    }
    for (unsigned i = 0; i < FIGURES; i++) {
        if (now.of[i] != want->of[i]) {
            console_printf("# state %u, %s: %s %llu, not %llu\n", test.state, when, figure_names[i],
                           (unsigned long long)now.of[i], (unsigned long long)want->of[i]);
        }
    }
    return same(&now, want);
}

/* ---- threads ---- */

static status_t nothing_there(void *unused)
{
    (void)unused;
    return STATUS_ERR_AGAIN;
}

/* What a thread does until it is told to end. */
static int64_t be(enum ends_state state)
{
    struct call sleep = {.arguments = {LONG_NS}};
    uint64_t late = clock_cycles() + clock_cycles_from_ns(LONG_NS);
    switch (state) {
    case SPINS:
        while (!thread_must_end()) {
            arch_pause();
        }
        break;
    case RECEIVES:
        return ipc_receive(test.claim.handle, WAIT_FOREVER);
    case CALLS:
        return ipc_call(test.claim.handle, WAIT_FOREVER);
    case JOINED:
        return ipc_wait(&test.queue, &test.claim, WAIT_FOREVER, nothing_there, NULL);
    case AT_FUTEX:
        return futex_wait(vaddr_make(WORD_AT), true, 0, late);
    case ASLEEP:
        return thread_must_end() ? -1 : invoke_sleep(&sleep);
    case READY_RR:
    case READY_FAIR:
    case ENDS_STATES:
        break;
    }
    return thread_must_end() ? STATUS_ERR_INTERRUPTED : STATUS_OK;
}

static void as_program(bool begins)
{
    thread_current()->process = begins ? test.process : NULL;
    sched_adopt_space(begins ? test.process->space : NULL);
}

/* A thread of the process: it leaves it as every thread does, under the lock. */
static void live_and_end(void *unused)
{
    (void)unused;
    as_program(true);
    test.answer = be(test.state);
    ipc_thread_end(thread_current());
    uint64_t flags = spin_lock_irqsave(&process_tree_lock);
    process_remove_thread_locked(test.process, thread_current());
    spin_unlock_irqrestore(&process_tree_lock, flags);
    as_program(false);
    worker_ends();
}

/* One that is not told, at the same word. */
static void wait_at_the_word(void *unused)
{
    (void)unused;
    as_program(true);
    test.other_answer = be(AT_FUTEX);
    as_program(false);
    worker_ends();
}

static void keep_the_cpu(void *unused)
{
    (void)unused;
    while (!__atomic_load_n(&test.release, __ATOMIC_ACQUIRE)) {
        arch_pause();
    }
    worker_ends();
}

/* ---- one state ---- */

static bool process_begin(void)
{
    status_t status;
    struct cap_view view;
    vaddr_t at;
    test.process = process_make();
    if (test.process == NULL) {
        return false;
    }
    test.process->caps = cap_space_create(test.process->pid);
    test.process->space = space_make(test.process->pid, &status);
    if (test.process->caps == NULL || test.process->space == NULL ||
        ipc_endpoint_create(test.process->caps, &test.claim.handle) != STATUS_OK ||
        cap_get(test.process->caps, test.claim.handle, CAP_ENDPOINT, 0, &view) != STATUS_OK) {
        return false;
    }
    test.claim.id = view.id;
    test.endpoint = list_entry(view.object, struct endpoint_object, object);
    object_put(view.object); /* the capability keeps it */
    return vm_map(test.process->space, vaddr_make(WORD_AT), PAGE_SIZE, VM_READ | VM_WRITE | VM_FIXED, &at) ==
               STATUS_OK &&
           vm_populate(test.process->space, at, PAGE_SIZE, true) == STATUS_OK;
}

static bool is_held_back(void)
{
    return test.state == READY_RR || test.state == READY_FAIR;
}

/* How the figures differ while the thread is in its state. */
static struct picture expected(const struct picture *before, const struct thread *thread)
{
    struct picture want = *before;
    unsigned others = is_held_back() || test.state == AT_FUTEX ? 1 : 0;
    want.of[ALIVE] += 1 + others;
    want.of[RUNNING] += test.state == SPINS || is_held_back() ? 1 : 0;
    if (is_held_back()) {
        want.of[READY]++;
        want.of[READY_THERE]++;
        want.of[CLASSES] |= 1u << thread->sched.class_id;
        want.of[LEVELS] |= test.state == READY_RR ? 1u << RR_LEVEL : 0;
        want.of[WEIGHT] += test.state == READY_FAIR ? thread->sched.weight : 0;
    } else if (test.state != SPINS) {
        want.of[SLEEPING] += 1 + others;
    }
    want.of[SLEEPERS] += test.state == AT_FUTEX ? 2 : test.state == ASLEEP ? 1 : 0;
    want.of[BANDWIDTH] += test.state == ASLEEP ? thread->sched.bandwidth : 0;
    return want;
}

static unsigned length_of(const struct list *list)
{
    unsigned length = 0;
    list_for_each(node, list)
    {
        if (++length > STILL) { /* a list that has no end any more */
            break;
        }
    }
    return length;
}

/* The queues in which a thread waits have so many of them each. */
static bool queues_hold(unsigned count)
{
    const struct endpoint *endpoint = &test.endpoint->endpoint;
    return length_of(&endpoint->receivers) == (test.state == RECEIVES ? count : 0) &&
           length_of(&endpoint->senders) == (test.state == CALLS ? count : 0) &&
           list_empty(&endpoint->callers) &&
           length_of(&test.queue.waiters) == (test.state == JOINED ? count : 0);
}

static bool start(struct thread **out)
{
    static const struct sched_params round_robin = {.policy = SCHED_RR, .level = RR_LEVEL};
    static const struct sched_params keeper = {.policy = SCHED_FIFO, .level = SPIN_RANK};
    static const struct sched_params promise = {
        .policy = SCHED_DEADLINE, .runtime_ns = 1000000, .deadline_ns = 10000000, .period_ns = 10000000};
    test.release = false;
    workers_begin();
    bool good = !is_held_back() || worker_make(keep_the_cpu, &keeper, test.cpu) != NULL;
    good = good && (test.state != AT_FUTEX || worker_make(wait_at_the_word, &sched_normal, test.cpu) != NULL);
    good = good && thread_create(out, test.state == READY_RR ? &round_robin : &sched_normal, live_and_end,
                                 NULL) == STATUS_OK;
    if (!good) {
        return false;
    }
    uint64_t flags = spin_lock_irqsave(&process_tree_lock);
    process_add_thread_locked(test.process, *out);
    spin_unlock_irqrestore(&process_tree_lock, flags);
    return worker_start(*out, test.cpu) &&
           (test.state != ASLEEP || sched_set_params(*out, &promise) == STATUS_OK);
}

/* Tells the thread, and lets it and the others go; with the futex who still waits at the word. */
static bool end_all(const struct picture *during)
{
    uint32_t woken = 0;
    process_end_begin(test.process, 1);
    bool good = !is_held_back() || becomes(during, "told"); /* it has not run yet */
    __atomic_store_n(&test.release, true, __ATOMIC_RELEASE);
    unsigned others = is_held_back() || test.state == AT_FUTEX ? 1 : 0;
    if (test.state == AT_FUTEX) {
        good = workers_wait(1, END_NS) && good;
        as_program(true);
        test.broken = futex_wake(vaddr_make(WORD_AT), true, 10, &woken) != STATUS_OK || woken != 1;
        as_program(false);
    }
    test.broken |= !workers_wait(1 + others, END_NS) || !queues_hold(0);
    return good;
}

static bool ends_and_leaves_nothing(void)
{
    struct thread *thread;
    test.answer = 1;
    test.other_answer = STATUS_OK;
    if (test.broken || !process_begin()) {
        return false;
    }
    const struct picture before = settled();
    if (!start(&thread)) {
        test.broken = true;
        return false;
    }
    const struct picture during = expected(&before, thread);
    bool good = becomes(&during, "before its end") && queues_hold(1);
    good = end_all(&during) && good;
    if (test.broken) {
        return false;
    }
    good = becomes(&before, "after it") && good;
    good &= test.process->thread_count == 0 && list_empty(&test.process->threads);
    process_unmake(test.process);
    return good && test.answer == (test.state == ASLEEP ? 0 : STATUS_ERR_INTERRUPTED) &&
           test.other_answer == STATUS_OK;
}

/* Running and ready ones are on another CPU. covers: SC-25 */
void ktest_a_thread_that_ends_in_any_state_leaves_nothing_behind(void)
{
    static const char name[] = "test.ends";
    uint64_t mask = thread_current()->affinity;
    memset(&test, 0, sizeof(test));
    wait_queue_init(&test.queue, name);
    test.cpu = cpu_count_online() - 1;
    futex_init(); /* as is done for the first program */
    KEXPECT(sched_set_affinity(thread_current(), 1) == STATUS_OK);
    bool good = true;
    for (unsigned state = test.cpu > 0 ? SPINS : RECEIVES; state < ENDS_STATES && good; state++) {
        test.state = (enum ends_state)state;
        good = ktest_undisturbed(ends_and_leaves_nothing);
    }
    KEXPECT(sched_set_affinity(thread_current(), mask) == STATUS_OK);
    KEXPECT(good);
}
