/*
 * The short way of messages from the kernel's side: each reason for the long way by itself, and both halves of the short way
 * between two threads of the kernel's, which stand in for programs: who waits after it goes on in a function of the test.
 */
#include "arch/arch.h"
#include "arch/x86_64/clock.h"
#include "arch/x86_64/percpu.h"
#include "arch/x86_64/switch.h"
#include "ipc/counters.h"
#include "ipc/fast.h"
#include "ipc/ipc.h"
#include "lib/string.h"
#include "mm/layout.h"
#include "proc/process.h"
#include "sched/patience.h"
#include "sched/rcu.h"
#include "sched/sched.h"
#include "test/ktest.h"
#include "test/workers.h"

#define LIMIT_NS 5000000000ull
#define LABEL    77u
#define ANSWER   78u
#define TRIES    10000u

static struct process *process;
static cap_handle_t handle;

/* ---- threads that are a process's ---- */

static void begins_as_program(void)
{
    thread_current()->process = process;
}

static void ends_as_program(void)
{
    thread_current()->process = NULL;
    worker_ends();
}

static bool process_begin(void)
{
    process = process_make();
    if (process == NULL) {
        return false;
    }
    workers_begin();
    process->caps = cap_space_create(process->pid);
    return process->caps != NULL && ipc_endpoint_create(process->caps, &handle) == STATUS_OK;
}

/* Until a thread waits in the queue of an endpoint, and its CPU has left it. */
static bool comes_to_wait(const struct thread *thread)
{
    uint64_t end = clock_cycles() + clock_cycles_from_ns(LIMIT_NS);
    bool waits = false;
    while (!waits && clock_cycles() < end) {
        sched_sleep_until(clock_cycles() + clock_cycles_from_ns(100000));
        waits = __atomic_load_n(&thread->ipc.state, __ATOMIC_ACQUIRE) != IPC_IDLE &&
                __atomic_load_n(&thread->state, __ATOMIC_ACQUIRE) == THREAD_WAITING;
    }
    return waits;
}

/* ---- one try ---- */

static void fill_frame(struct frame *frame, uint64_t label)
{
    memset(frame, 0, sizeof(*frame));
    frame->rdi = handle.word;
    frame->rsi = ipc_tag(label, 0, 0);
    frame->rbx = IPC_FOREVER;
    frame->rip = USER_BASE;
}

/* This CPU has looked the capability up. */
static bool remember(cap_handle_t which)
{
    struct cap_view view;
    rcu_read_lock();
    status_t status = cap_lookup(process->caps, which, CAP_ENDPOINT, 0, &view);
    rcu_read_unlock();
    return status == STATUS_OK;
}

typedef enum ipc_counter (*way_t)(struct frame *);

/* As entry.S comes: interrupts off, and what is answered is counted. */
static bool refused(way_t way, struct frame *frame, enum ipc_counter why)
{
    uint64_t flags = arch_irq_save();
    enum ipc_counter reason = way(frame);
    arch_irq_restore(flags);
    return reason == why;
}

/* ---- reasons ---- */

static struct {
    bool message;
    bool patience;
    bool rate;
    bool capability;
    bool partner;
} told;

static bool told_of_messages(way_t way)
{
    struct frame frame;
    bool good = true;
    fill_frame(&frame, LABEL);
    frame.rsi = ipc_tag(LABEL, 1, 1);
    good &= refused(way, &frame, IPC_COUNTER_LONG_MESSAGE);
    frame.rsi = ipc_tag(LABEL, IPC_WORDS + 1, 0);
    good &= refused(way, &frame, IPC_COUNTER_LONG_MESSAGE);
    for (unsigned bit = 0; bit < 64; bit++) {
        if ((IPC_TAG_RESERVED >> bit & 1) != 0) {
            frame.rsi = ipc_tag(LABEL, 0, 0) | 1ull << bit;
            good &= refused(way, &frame, IPC_COUNTER_LONG_MESSAGE);
        }
    }
    fill_frame(&frame, LABEL);
    frame.rip = USER_END;
    return good && refused(way, &frame, IPC_COUNTER_LONG_MESSAGE);
}

static bool told_of_patience(way_t way)
{
    struct frame frame;
    fill_frame(&frame, LABEL);
    frame.rbx = 0;
    bool good = refused(way, &frame, IPC_COUNTER_LONG_PATIENCE);
    frame.rbx = PATIENCE_MAX_NS;
    good &= refused(way, &frame, IPC_COUNTER_LONG_PATIENCE);
    frame.rbx = PATIENCE_MAX_NS + 1; /* no limit: another reason */
    return good && refused(way, &frame, IPC_COUNTER_LONG_PARTNER);
}

static bool told_of_rate(way_t way)
{
    struct frame frame;
    fill_frame(&frame, LABEL);
    process->rate.limit.per_second = 1;
    bool good = refused(way, &frame, IPC_COUNTER_LONG_RATE);
    process->rate.limit.per_second = 0;
    return good && refused(way, &frame, IPC_COUNTER_LONG_PARTNER);
}

/* Not seen yet; seen; without the right; gone. */
static bool told_of_capabilities(way_t way, uint32_t right)
{
    struct frame frame;
    cap_handle_t fresh;
    cap_handle_t weak;
    fill_frame(&frame, LABEL);
    if (cap_derive(process->caps, handle, process->caps, right, 0, &fresh) != STATUS_OK ||
        cap_derive(process->caps, handle, process->caps, RIGHT_READ + RIGHT_WRITE - right, 0, &weak) !=
            STATUS_OK) {
        return false;
    }
    frame.rdi = fresh.word;
    bool good = refused(way, &frame, IPC_COUNTER_LONG_CAPABILITY) && remember(fresh);
    good = good && refused(way, &frame, IPC_COUNTER_LONG_PARTNER);
    frame.rdi = weak.word;
    good = good && remember(weak) && refused(way, &frame, IPC_COUNTER_LONG_CAPABILITY);
    good = good && cap_delete(process->caps, fresh) == STATUS_OK;
    frame.rdi = fresh.word;
    good = good && refused(way, &frame, IPC_COUNTER_LONG_CAPABILITY);
    return good && cap_delete(process->caps, weak) == STATUS_OK && remember(handle);
}

static void ask_for_reasons(void *unused)
{
    (void)unused;
    begins_as_program();
    told.partner = remember(handle); /* nobody waits: every try that nothing else stops ends there */
    told.message = told_of_messages(ipc_fast_call) && told_of_messages(ipc_fast_reply);
    told.patience = told_of_patience(ipc_fast_call) && told_of_patience(ipc_fast_reply);
    told.rate = told_of_rate(ipc_fast_call) && told_of_rate(ipc_fast_reply);
    told.capability =
        told_of_capabilities(ipc_fast_call, RIGHT_WRITE) && told_of_capabilities(ipc_fast_reply, RIGHT_READ);
    ends_as_program();
}

/* covers: IP-10 */
void ktest_each_reason_for_the_long_way_is_told(void)
{
    memset(&told, 0, sizeof(told));
    KEXPECT(process_begin());
    KEXPECT(worker_make(ask_for_reasons, &sched_normal, 0) != NULL && workers_wait(1, LIMIT_NS));
    process_unmake(process);
    KEXPECT(told.partner && told.message && told.patience && told.rate && told.capability);
}

/* ---- partners that are not for this CPU now ---- */

static uint64_t patience; /* of the receiver, cycles */
static status_t received;
static bool not_now;

static void receive(void *unused)
{
    (void)unused;
    begins_as_program();
    received = ipc_receive(handle, patience);
    ends_as_program();
}

static void call_who_waits(void *unused)
{
    struct frame frame;
    (void)unused;
    begins_as_program();
    fill_frame(&frame, LABEL);
    not_now = remember(handle) && refused(ipc_fast_call, &frame, IPC_COUNTER_LONG_SCHEDULER);
    ends_as_program();
}

/* A receiver of this kind is refused to a caller of that kind, and waits on until its capability goes. */
static bool is_refused(const struct sched_params *receiver, unsigned cpu, uint64_t deadline,
                       const struct sched_params *caller)
{
    patience = deadline;
    not_now = false;
    received = STATUS_OK;
    if (!process_begin()) {
        return false;
    }
    struct thread *thread = worker_make(receive, receiver, cpu);
    bool good = thread != NULL && comes_to_wait(thread) && worker_make(call_who_waits, caller, 0) != NULL &&
                workers_wait(1, LIMIT_NS) && thread->ipc.state == IPC_RECEIVING &&
                cap_delete(process->caps, handle) == STATUS_OK && workers_wait(2, LIMIT_NS);
    process_unmake(process);
    return good && not_now && received == STATUS_ERR_CAP_INVALID;
}

/* Of another class, on either side; with a limit of its own; on another CPU. covers: IP-10 */
void ktest_a_partner_that_is_not_for_this_cpu_is_left_alone(void)
{
    static const struct sched_params real_time = {.policy = SCHED_FIFO, .level = 1};
    KEXPECT(is_refused(&real_time, 0, WAIT_FOREVER, &sched_normal));
    KEXPECT(is_refused(&sched_normal, 0, WAIT_FOREVER, &real_time));
    KEXPECT(
        is_refused(&sched_normal, 0, clock_cycles() + clock_cycles_from_ns(60 * LIMIT_NS), &sched_normal));
    if (cpu_count_online() > 1) {
        KEXPECT(is_refused(&sched_normal, 1, WAIT_FOREVER, &sched_normal));
    }
}

/* ---- a call and its answer ---- */

static struct {
    struct thread *caller;
    struct thread *server;
    struct ipc_stats before;
    struct ipc_stats called;   /* when the call has come, */
    struct ipc_stats answered; /* and when the answer has */
    struct ipc_message call;
    struct ipc_message answer;
    uint64_t badge;
    bool caller_waited;
    bool server_waited;
    bool too_long; /* the short way was refused in all tries */
} trip;

/* Who waits on a bare stack would go on in user mode: it will in a function instead, as a new thread does. */
static void go_on_in(struct thread *thread, void (*function)(void *))
{
    arch_thread_first_frame(thread, function, NULL);
    thread->ipc.bare = false;
}

/* Waits as the short way leaves who waits: in this state, with nothing on its stack. */
static bool waits_bare(const struct thread *thread, enum ipc_state state)
{
    return thread->ipc.bare && thread->ipc.state == state && thread->state == THREAD_WAITING;
}

/* Something that is due may be in the way of one try. */
static void go_short(way_t way, uint64_t label)
{
    struct frame *frame = thread_user_frame(thread_current());
    for (unsigned i = 0; i < TRIES; i++) {
        fill_frame(frame, label);
        (void)remember(handle);
        if (!refused(way, frame, IPC_COUNTER_LONG_SCHEDULER)) {
            break;
        }
        sched_yield();
    }
    trip.too_long = true;
    ends_as_program();
}

/* The end of the trip for the server: by its capability. */
static void server_goes_on(void *unused)
{
    (void)unused;
    arch_irq_enable();
    trip.server_waited &= thread_current()->ipc.result == STATUS_ERR_CAP_INVALID;
    ends_as_program();
}

/* In the caller, when the answer has come. */
static void caller_goes_on(void *unused)
{
    (void)unused;
    arch_irq_enable();
    ipc_counters_read(&trip.answered);
    trip.answer = thread_current()->ipc.message;
    trip.server_waited = waits_bare(trip.server, IPC_RECEIVING);
    go_on_in(trip.server, server_goes_on);
    trip.server_waited &= cap_delete(process->caps, handle) == STATUS_OK;
    ends_as_program();
}

static void receive_and_answer(void *unused)
{
    (void)unused;
    begins_as_program();
    if (ipc_receive(handle, WAIT_FOREVER) == STATUS_OK) {
        ipc_counters_read(&trip.called);
        trip.call = thread_current()->ipc.message;
        trip.caller_waited = waits_bare(trip.caller, IPC_ANSWER);
        go_on_in(trip.caller, caller_goes_on);
        go_short(ipc_fast_reply, ANSWER);
    }
}

static void call_the_short_way(void *unused)
{
    struct cap_view view;
    (void)unused;
    begins_as_program();
    rcu_read_lock();
    trip.badge = cap_lookup(process->caps, handle, CAP_ENDPOINT, 0, &view) == STATUS_OK ? view.id : 0;
    rcu_read_unlock();
    trip.caller = thread_current();
    ipc_counters_read(&trip.before);
    go_short(ipc_fast_call, LABEL);
}

/* What was counted from one moment to another, of which all but these is 0. */
static bool counted(const struct ipc_stats *from, const struct ipc_stats *to, uint64_t called,
                    uint64_t answered)
{
    return to->called - from->called == called && to->answered - from->answered == answered &&
           to->short_way - from->short_way == called + answered && to->sent == from->sent &&
           to->offered - from->offered == called + answered &&
           to->handed_over - from->handed_over == called + answered &&
           to->slow_no_partner == from->slow_no_partner;
}

/* covers: IP-10 */
void ktest_a_call_and_its_answer_go_the_short_way(void)
{
    memset(&trip, 0, sizeof(trip));
    KEXPECT(process_begin());
    trip.server = worker_make(receive_and_answer, &sched_normal, 0);
    KEXPECT(trip.server != NULL && comes_to_wait(trip.server));
    KEXPECT(worker_make(call_the_short_way, &sched_normal, 0) != NULL && workers_wait(2, LIMIT_NS));
    process_unmake(process);
    KEXPECT(!trip.too_long && trip.caller_waited && trip.server_waited);
    KEXPECT(trip.call.tag == ipc_tag(LABEL, 0, 0) && trip.call.badge == trip.badge && trip.badge != 0);
    KEXPECT(trip.answer.tag == ipc_tag(ANSWER, 0, 0) && trip.answer.badge == 0);
    KEXPECT(counted(&trip.before, &trip.called, 1, 0));
    KEXPECT(counted(&trip.called, &trip.answered, 0, 1));
}

/* Each reason that entry.S hands on has a counter of its own. covers: IP-10 */
void ktest_each_counter_of_messages_counts_by_itself(void)
{
    uint64_t before[IPC_COUNTER_COUNT];
    uint64_t after[IPC_COUNTER_COUNT];
    struct ipc_stats stats;
    _Static_assert(sizeof(stats) == sizeof(before), "one figure a counter");
    for (unsigned counter = 0; counter < IPC_COUNTER_COUNT; counter++) {
        ipc_counters_read(&stats);
        memcpy(before, &stats, sizeof(before));
        ipc_count((enum ipc_counter)counter);
        ipc_counters_read(&stats);
        memcpy(after, &stats, sizeof(after));
        for (unsigned i = 0; i < IPC_COUNTER_COUNT; i++) {
            KEXPECT(after[i] - before[i] == (i == counter ? 1 : 0));
        }
    }
}
