/* The short way of messages. Deviations: none. */
#include "ipc/fast.h"

#include "arch/x86_64/switch.h"
#include "cap/cap_recall.h"
#include "ipc/counters.h"
#include "ipc/ipc.h"
#include "mm/layout.h"
#include "proc/process.h"
#include "sched/direct.h"
#include "sys/syscall.h"

#define ENDLESS_NS (1ull << 60) /* as in sys/call_ipc.c */

_Static_assert(SYS_IPC_CALL == FRAME_SYS_IPC_CALL && SYS_IPC_REPLY_RECEIVE == FRAME_SYS_IPC_REPLY_RECEIVE,
               "entry.S");

/* One message on its way. All of it is inline twice, once for each call, so that neither asks which one it is. */
struct passage {
    struct cpu *cpu;
    struct frame *frame; /* the sender's */
    struct endpoint *endpoint;
    const struct cap_cache_entry *capability;
    const struct cap_space *space;
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
    if (frame->rbx <= ENDLESS_NS) {
        return IPC_COUNTER_LONG_PATIENCE;
    }
    return process->rate.limit.per_second != 0 ? IPC_COUNTER_LONG_RATE : IPC_COUNTER_SHORT;
}

/* Who gets the message and goes on; null: nobody, or the sender would not have to wait. Endpoint locked. */
ALWAYS_INLINE struct ipc_party *partner_of(const struct passage *passage, const struct ipc_party *self)
{
    const struct endpoint *endpoint = passage->endpoint;
    if (endpoint->closed != STATUS_OK || cap_space_stamp(passage->space) != passage->capability->stamp) {
        return NULL; /* a capability that is gone evicts after this look, or was seen by it (ipc.c, still_held) */
    }
    if (!passage->answers) {
        return endpoint_first_of(&endpoint->receivers);
    }
    return self->right.endpoint == endpoint && list_empty(&endpoint->senders) ? self->right.caller : NULL;
}

/* The words beyond those that count arrive as 0. */
static void clear_words(struct frame *frame, unsigned from)
{
    uint64_t *const words[IPC_WORDS] = {&frame->rdx, &frame->r10, &frame->r8,  &frame->r9,
                                        &frame->r12, &frame->r13, &frame->r14, &frame->r15};
    for (unsigned i = from; i < IPC_WORDS; i++) {
        *words[i] = 0;
    }
}

/* The result of the partner's call, in its registers. */
ALWAYS_INLINE void fill_frame(struct frame *to, const struct frame *from, uint64_t badge, uint64_t stamp)
{
    to->rax = STATUS_OK;
    to->rdi = badge;
    to->rsi = from->rsi;
    to->rbx = stamp;
    to->rdx = from->rdx;
    to->r10 = from->r10;
    to->r8 = from->r8;
    to->r9 = from->r9;
    to->r12 = from->r12;
    to->r13 = from->r13;
    to->r14 = from->r14;
    to->r15 = from->r15;
    if (__builtin_expect(ipc_tag_words(from->rsi) != IPC_WORDS, 0)) {
        clear_words(to, ipc_tag_words(from->rsi));
    }
}

/* The message of a partner that has more to do before it is in user mode. */
static void fill_message(struct ipc_message *to, const struct frame *from, uint64_t badge, uint64_t stamp)
{
    struct frame frame;
    fill_frame(&frame, from, badge, stamp);
    *to = (struct ipc_message){
        .tag = frame.rsi,
        .words = {frame.rdx, frame.r10, frame.r8, frame.r9, frame.r12, frame.r13, frame.r14, frame.r15},
        .badge = badge,
        .stamp = stamp};
}

/* The states of both: the partner is IDLE, the sender waits. Endpoint locked. */
ALWAYS_INLINE void meet(const struct passage *passage, struct ipc_party *self, struct ipc_party *partner)
{
    endpoint_end(partner, STATUS_OK);
    self->message.badge = identity_serial(passage->capability->identity);
    self->bare = true;
    if (passage->answers) {
        self->right = (struct reply_right){NULL, NULL, false};
        endpoint_wait_in(passage->endpoint, &passage->endpoint->receivers, self, IPC_RECEIVING);
        passage->cpu->short_replies++;
    } else {
        endpoint_hand_right(passage->endpoint, self, partner);
        passage->cpu->short_calls++;
    }
}

/* The partner's thread goes on, this one waits. The run queue is locked. */
ALWAYS_INLINE _Noreturn void go_on_as(const struct passage *passage, struct thread *to, uint64_t badge,
                                      uint64_t stamp)
{
    struct cpu *cpu = passage->cpu;
    syscall_flags_set(passage->frame);
    if (__builtin_expect(to->ipc.bare && !to->ending, 1)) {
        struct frame *frame = thread_user_frame(to);
        to->ipc.bare = false;
        fill_frame(frame, passage->frame, badge, stamp);
        sched_direct_switch(cpu, to, arch_bare_stack(passage->frame));
        sched_direct_leave(cpu, frame);
    }
    fill_message(&to->ipc.message, passage->frame, badge, stamp);
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
    meet(passage, &thread->ipc, partner);
    spin_unlock(&endpoint->lock);
    thread->process->syscalls++;
    go_on_as(passage, thread_of(partner), passage->answers ? 0 : thread->ipc.message.badge, now);
}

ALWAYS_INLINE void try(struct frame *frame, bool answers)
{
    struct cpu *cpu = cpu_this();
    struct thread *thread = cpu->current;
    const struct process *process = thread->process;
    enum ipc_counter reason = check_registers(frame, process);
    if (reason == IPC_COUNTER_SHORT) {
        const struct cap_cache_entry *capability =
            cap_recall(&cpu->caps, process->caps, cap_handle(frame->rdi), CAP_ENDPOINT,
                       answers ? RIGHT_READ : RIGHT_WRITE);
        reason = IPC_COUNTER_LONG_CAPABILITY;
        if (capability != NULL) {
            struct object *object = word_object(capability->word);
            struct endpoint *endpoint = &list_entry(object, struct endpoint_object, object)->endpoint;
            const struct passage passage = {cpu, frame, endpoint, capability, process->caps, answers};
            reason = pass(&passage, thread);
        }
    }
    ipc_count(reason);
}

void ipc_fast_call(struct frame *frame)
{
    try(frame, false);
}

void ipc_fast_reply(struct frame *frame)
{
    try(frame, true);
}
