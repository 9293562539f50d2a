/*
 * Capabilities on their way from space to space, and what they lead to, by a few words of their own: a flow is written as what
 * each space gets, may and may not. Only in the test image, as all of this folder.
 */
#include "arch/arch.h"
#include "arch/x86_64/percpu.h"
#include "cap/cap.h"
#include "ipc/ipc.h"
#include "ipc/transit.h"
#include "proc/process.h"
#include "sched/rcu.h"
#include "sched/sched.h"
#include "smp/ipi.h"
#include "test/ktest.h"

#define SPACES 4u

static struct cap_space *space[SPACES];
static cap_handle_t held[SPACES]; /* what each has of the object of the test */

static status_t use(unsigned holder, uint32_t rights, struct cap_view *out)
{
    return cap_get(space[holder], held[holder], CAP_ENDPOINT, rights, out);
}

static status_t may(unsigned holder, uint32_t rights)
{
    struct cap_view view;
    status_t status = use(holder, rights, &view);
    if (status == STATUS_OK) {
        object_put(view.object);
    }
    return status;
}

static status_t give(unsigned from, unsigned to, uint32_t rights, uint32_t flags)
{
    return cap_derive(space[from], held[from], space[to], rights, flags, &held[to]);
}

static bool flow_begin(void)
{
    for (unsigned i = 0; i < SPACES; i++) {
        held[i] = cap_handle(0);
        space[i] = cap_space_create((struct pid){0});
        if (space[i] == NULL) {
            return false;
        }
    }
    return ipc_endpoint_create(space[0], &held[0]) == STATUS_OK;
}

static void flow_end(void)
{
    for (unsigned i = 0; i < SPACES; i++) {
        cap_space_destroy(space[i]);
    }
}

/* The words: each is a check. */
#define CREATES()                          KEXPECT(flow_begin())
#define GIVES(from, to, rights)            KEXPECT(give(from, to, rights, 0) == STATUS_OK)
#define CANNOT_GIVE(from, to, rights, why) KEXPECT(give(from, to, rights, 0) == (why))
#define MAY(holder, rights)                KEXPECT(may(holder, rights) == STATUS_OK)
#define MAY_NOT(holder, rights, why)       KEXPECT(may(holder, rights) == (why))
#define DELETES(holder)                    KEXPECT(cap_delete(space[holder], held[holder]) == STATUS_OK)
#define REVOKES(holder, how_many)                                              \
    do {                                                                       \
        uint64_t count = 0;                                                    \
        KEXPECT(cap_revoke(space[holder], held[holder], &count) == STATUS_OK); \
        KEXPECT(count == (how_many));                                          \
    } while (0)
#define ENDS() flow_end()

/* covers: CP-30 */
void ktest_rights_shrink_as_a_capability_flows(void)
{
    CREATES();
    GIVES(0, 1, RIGHT_READ | RIGHT_WRITE | RIGHT_GRANT);
    GIVES(1, 2, RIGHT_WRITE);
    MAY(1, RIGHT_READ | RIGHT_WRITE | RIGHT_GRANT);
    MAY(2, RIGHT_WRITE);
    MAY_NOT(2, RIGHT_READ, STATUS_ERR_CAP_RIGHTS);
    MAY_NOT(1, RIGHT_EXECUTE, STATUS_ERR_CAP_RIGHTS);
    CANNOT_GIVE(2, 3, RIGHT_WRITE, STATUS_ERR_CAP_RIGHTS); /* it may not pass it on, */
    CANNOT_GIVE(1, 3, RIGHTS_ALL, STATUS_ERR_CAP_RIGHTS);  /* nor more than it has */
    MAY_NOT(3, 0, STATUS_ERR_CAP_INVALID);
    ENDS();
}

/* covers: CP-30 */
void ktest_a_revocation_follows_the_flow(void)
{
    CREATES();
    GIVES(0, 1, RIGHT_WRITE | RIGHT_GRANT);
    GIVES(1, 2, RIGHT_WRITE | RIGHT_GRANT);
    GIVES(2, 3, RIGHT_WRITE);
    DELETES(2); /* what it had passed on is of the one before it now */
    MAY_NOT(2, 0, STATUS_ERR_CAP_GENERATION);
    MAY(3, RIGHT_WRITE);
    REVOKES(1, 1);
    MAY(1, RIGHT_WRITE);
    MAY_NOT(3, 0, STATUS_ERR_CAP_REVOKED); /* and is told so */
    GIVES(1, 3, RIGHT_WRITE);
    REVOKES(0, 2);
    MAY_NOT(1, 0, STATUS_ERR_CAP_REVOKED);
    MAY_NOT(3, 0, STATUS_ERR_CAP_REVOKED);
    MAY(0, RIGHTS_ALL);
    REVOKES(0, 0);
    ENDS();
}

/* In a message a capability lies in transit: it is revoked there as well. covers: CP-30 */
void ktest_a_capability_flows_through_a_message(void)
{
    CREATES();
    GIVES(0, 1, RIGHT_WRITE | RIGHT_GRANT);
    for (unsigned revoked = 0; revoked < 2; revoked++) {
        struct ipc_message message = {.tag = ipc_tag(0, 1, 1), .words = {held[1].word}};
        KEXPECT(transit_put(space[1], &message) == STATUS_OK);
        if (revoked != 0) {
            REVOKES(0, 3); /* that of space 1, that of the first message, and the one in transit */
        }
        transit_take(space[2], &message);
        held[2] = cap_handle(message.words[0]);
        if (revoked != 0) {
            KEXPECT((int64_t)message.words[0] < 0);
        } else {
            MAY(2, RIGHT_WRITE);
        }
    }
    ENDS();
}

/*
 * A capability leads to the very endpoint, whoever holds it, which counts who can send and receive, lives as long as one
 * capability does, and closes when nobody is left on a side. covers: CP-16
 */
void ktest_capabilities_of_an_endpoint_lead_to_one_object(void)
{
    struct cap_view views[3];
    CREATES();
    GIVES(0, 1, RIGHT_WRITE | RIGHT_GRANT);
    GIVES(1, 2, RIGHT_WRITE);
    for (unsigned i = 0; i < 3; i++) {
        KEXPECT(use(i, 0, &views[i]) == STATUS_OK && views[i].type == CAP_ENDPOINT);
        KEXPECT(views[i].object == views[0].object && (i == 0 || views[i].id != views[i - 1].id));
    }
    struct endpoint_object *endpoint = list_entry(views[0].object, struct endpoint_object, object);
    KEXPECT(endpoint->object.type == CAP_ENDPOINT && endpoint->object.references == 6);
    KEXPECT(endpoint->senders == 3 && endpoint->receivers == 1 && endpoint->endpoint.closed == STATUS_OK);
    DELETES(1);
    KEXPECT(endpoint->object.references == 5 && endpoint->senders == 2);
    DELETES(0);
    KEXPECT(endpoint->object.references == 4 && endpoint->receivers == 0);
    KEXPECT(endpoint->endpoint.closed == STATUS_ERR_PEER); /* the sender that is left would wait for ever */
    DELETES(2);
    KEXPECT(endpoint->object.references == 3 && endpoint->senders == 0);
    cap_handle_t another;
    KEXPECT(ipc_endpoint_create(space[3], &another) == STATUS_OK);
    struct cap_view other;
    KEXPECT(cap_get(space[3], another, CAP_ENDPOINT, 0, &other) == STATUS_OK &&
            other.object != views[0].object);
    object_put(other.object);
    for (unsigned i = 0; i < 3; i++) {
        object_put(views[i].object);
    }
    ENDS();
}

/* ---- from where nobody may wait ---- */

static struct {
    struct process *process;
    uint32_t seen;
    uint32_t wrong;
} handler;

/* At interrupt level: the capabilities of a process, by its one structure. */
static void look_from_a_handler(void *argument)
{
    struct cap_view view;
    (void)argument;
    rcu_read_lock();
    status_t found =
        cap_lookup(handler.process->caps, cap_well_known(CAP_CONSOLE), CAP_CONSOLE, RIGHT_WRITE, &view);
    status_t missing =
        cap_lookup(handler.process->caps, cap_well_known(CAP_ENDPOINT), CAP_ENDPOINT, 0, &view);
    rcu_read_unlock();
    __atomic_add_fetch(&handler.seen, 1, __ATOMIC_SEQ_CST);
    __atomic_add_fetch(&handler.wrong, found != STATUS_OK || missing != STATUS_ERR_CAP_INVALID,
                       __ATOMIC_SEQ_CST);
}

/*
 * The process of the running thread and its capability space are found with interrupts off and the lock of the run queue
 * held, as the scheduler has it, and in interrupt handlers of all CPUs. covers: PS-15
 */
void ktest_the_scheduler_finds_process_and_capabilities_with_interrupts_off(void)
{
    struct thread *thread = thread_current();
    struct process *process = process_make();
    KEXPECT(process != NULL && process_current() == NULL);
    process->caps = cap_space_create(process->pid);
    KEXPECT(process->caps != NULL && cap_insert_boot_set(process->caps) == STATUS_OK);
    struct cap_view view;
    uint64_t flags = arch_irq_save();
    thread->process = process;
    struct run_queue *queue = &cpu_this()->queue;
    spin_lock(&queue->lock);
    bool same = process_current() == process && cpu_this()->current == thread;
    rcu_read_lock();
    status_t status =
        cap_lookup(process_current()->caps, cap_well_known(CAP_MEMORY), CAP_MEMORY, RIGHT_CREATE, &view);
    rcu_read_unlock();
    spin_unlock(&queue->lock);
    thread->process = NULL;
    arch_irq_restore(flags);
    handler.process = process;
    handler.seen = 0;
    handler.wrong = 0;
    preempt_disable();
    ipi_call_others(look_from_a_handler, NULL);
    preempt_enable();
    uint32_t others = cpu_count_online() - 1;
    process_unmake(process);
    KEXPECT(same && status == STATUS_OK && view.object == object_singleton(CAP_MEMORY));
    KEXPECT(handler.seen == others && handler.wrong == 0);
}

/* ---- the control block ---- */

/* What a control block has: its number, its state, its capabilities, and among these its set of endpoints. covers: PS-01 */
void ktest_a_control_block_holds_what_a_process_has(void)
{
    struct process *process = process_make();
    struct process *other = process_make();
    KEXPECT(process != NULL && other != NULL && process->pid.number != other->pid.number);
    KEXPECT(process->state == PROCESS_NEW && process->parent == NULL && process->thread_count == 0);
    KEXPECT(list_empty(&process->children) && list_empty(&process->threads) && process->main_thread == NULL);
    KEXPECT(process_get(process->pid) == NULL); /* nobody can see it yet */
    process->caps = cap_space_create(process->pid);
    KEXPECT(process->caps != NULL && cap_insert_boot_set(process->caps) == STATUS_OK);
    cap_handle_t made[5];
    for (unsigned i = 0; i < 5; i++) {
        KEXPECT(ipc_endpoint_create(process->caps, &made[i]) == STATUS_OK);
    }
    KEXPECT(cap_delete(process->caps, made[2]) == STATUS_OK);
    unsigned endpoints = 0;
    cap_handle_t at = {0};
    while (cap_next(process->caps, at, &at) == STATUS_OK) {
        struct cap_info info;
        KEXPECT(cap_read(process->caps, at, &info) == STATUS_OK);
        endpoints += info.type == CAP_ENDPOINT;
    }
    process_unmake(process);
    process_unmake(other);
    KEXPECT(endpoints == 4);
}
