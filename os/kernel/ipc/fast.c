/* The short way of messages. Deviations: none. */
#include "ipc/fast.h"

#include "abi/abi.h"
#include "arch/x86_64/message.h"
#include "arch/x86_64/switch.h"
#include "cap/cap_recall.h"
#include "ipc/ipc.h"
#include "mm/layout.h"
#include "proc/process.h"
#include "sched/direct.h"
#include "sched/patience.h"

_Static_assert(SYS_IPC_CALL == FRAME_SYS_IPC_CALL && SYS_IPC_REPLY_RECEIVE == FRAME_SYS_IPC_REPLY_RECEIVE,
               "entry.S");

/* One message on its way. All of it is inline twice, once for each call, so that neither asks which one it is. */
struct passage {
    struct cpu *cpu;
    struct frame *frame; /* the sender's */
    struct endpoint *endpoint;
    const struct cap_cache_entry *capability;
    bool answers;
};

ALWAYS_INLINE struct thread *thread_of(struct ipc_party *party)
{
    return list_entry(party, struct thread, ipc);
}

/* What the registers must say; IPC_COUNTER_SHORT: they do. */
ALWAYS_INLINE enum ipc_counter check_registers(const struct frame *frame, const struct process *process)
{
    if ((frame->rsi & (IPC_TAG_RESERVED | 0xfull << IPC_HANDLES_SHIFT)) != 0 ||
        ipc_tag_words(frame->rsi) > IPC_WORDS || frame->rip >= USER_END) {
        return IPC_COUNTER_LONG_MESSAGE;
    }
    if (frame->rbx <= PATIENCE_MAX_NS) {
        return IPC_COUNTER_LONG_PATIENCE;
    }
    return process->rate.limit.per_second != 0 ? IPC_COUNTER_LONG_RATE : IPC_COUNTER_SHORT;
}

/*
 * Who gets the message and goes on; null: nobody, or the sender would not have to wait. Endpoint locked. The capability is not
 * looked at again: interrupts are off from the lookup to user mode, as in a read section. What has gone meanwhile is told about
 * after a grace period, which finds the sender in a queue (ipc/ipc.c).
 */
ALWAYS_INLINE struct ipc_party *partner_of(const struct passage *passage, const struct ipc_party *self)
{
    const struct endpoint *endpoint = passage->endpoint;
    if (endpoint->closed != STATUS_OK) {
        return NULL;
    }
    if (!passage->answers) {
        /* on this CPU, so near; or the general way finds one */
        return endpoint_first_of(&endpoint->receivers);
    }
    return self->right.endpoint == endpoint && list_empty(&endpoint->senders) ? self->right.caller : NULL;
}

/* For a partner that has more to do before it is in user mode. The words are stored first: who is called may use registers. */
static void fill_message(struct ipc_message *to, uint64_t tag, uint64_t badge, uint64_t stamp)
{
    message_store(to->words);
    for (unsigned i = ipc_tag_words(tag); i < IPC_WORDS; i++) {
        to->words[i] = 0;
    }
    to->tag = tag;
    to->badge = badge;
    to->stamp = stamp;
}

/* The states of both: the partner is IDLE, the sender waits. Returns the badge that the partner gets. Endpoint locked. */
ALWAYS_INLINE uint64_t meet(const struct passage *passage, struct ipc_party *self, struct ipc_party *partner)
{
    uint64_t id = passage->capability->id;
    endpoint_end(partner, STATUS_OK);
    self->message.badge = id;
    self->bare = true;
    if (passage->answers) {
        self->right = (struct reply_right){NULL, NULL, false};
        endpoint_wait_in(passage->endpoint, &passage->endpoint->receivers, self, IPC_RECEIVING);
        passage->cpu->short_replies++;
    } else {
        endpoint_hand_right(passage->endpoint, self, partner);
        passage->cpu->short_calls++;
    }
    return passage->answers ? 0 : id;
}

/* The partner's thread goes on, this one waits. The run queue is locked. */
ALWAYS_INLINE _Noreturn void go_on_as(const struct passage *passage, struct thread *to, uint64_t badge,
                                      uint64_t stamp)
{
    struct cpu *cpu = passage->cpu;
    uint64_t tag = passage->frame->rsi;
    if (__builtin_expect(to->ipc.bare && !to->ending, 1)) {
        to->ipc.bare = false;
        sched_direct_switch(cpu, to, arch_bare_stack(passage->frame));
        spin_unlock_announce(&cpu->queue.lock);
        message_resume(thread_user_frame(to), &cpu->queue.lock, badge, tag, stamp);
    }
    fill_message(&to->ipc.message, tag, badge, stamp);
    sched_direct_switch(cpu, to, arch_bare_stack(passage->frame));
    arch_stack_resume(to->saved_stack);
}

/* Returns when the partner cannot go on at once. */
ALWAYS_INLINE enum ipc_counter pass(const struct passage *passage, struct thread *thread)
{
    struct endpoint *endpoint = passage->endpoint;
    spin_lock(&endpoint->lock);
    struct ipc_party *partner = partner_of(passage, &thread->ipc);
    uint64_t now = partner != NULL ? sched_direct_begin(passage->cpu, thread_of(partner)) : 0;
    if (__builtin_expect(now == 0, 0)) {
        spin_unlock(&endpoint->lock);
        return partner != NULL ? IPC_COUNTER_LONG_SCHEDULER : IPC_COUNTER_LONG_PARTNER;
    }
    uint64_t badge = meet(passage, &thread->ipc, partner);
    spin_unlock(&endpoint->lock);
    thread->syscalls++;
    thread->messages += !passage->answers;
    go_on_as(passage, thread_of(partner), badge, now);
}

ALWAYS_INLINE enum ipc_counter try(struct frame *frame, bool answers)
{
    struct cpu *cpu = cpu_this();
    struct thread *thread = cpu->current;
    const struct process *process = thread->process;
    enum ipc_counter reason = check_registers(frame, process);
    if (reason == IPC_COUNTER_SHORT) {
        const struct cap_space *space = process->caps;
        const struct cap_cache_entry *capability = cap_recall(
            &cpu->caps, space, cap_handle(frame->rdi), CAP_ENDPOINT, answers ? RIGHT_READ : RIGHT_WRITE);
        reason = IPC_COUNTER_LONG_CAPABILITY;
        if (capability != NULL) {
            struct object *object = cap_word_object(capability->word);
            struct endpoint *endpoint = &list_entry(object, struct endpoint_object, object)->endpoint;
            const struct passage passage = {cpu, frame, endpoint, capability, answers};
            reason = pass(&passage, thread);
        }
    }
    return reason;
}

enum ipc_counter ipc_fast_call(struct frame *frame)
{
    return try(frame, false);
}

enum ipc_counter ipc_fast_reply(struct frame *frame)
{
    return try(frame, true);
}
