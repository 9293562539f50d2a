/*
 * System calls of messages: endpoints, channels, notifications, rate limits. The registers of a message are in abi/ipc.h.
 */
#include "sys/syscall.h"

#include "abi/ipc.h"
#include "arch/x86_64/clock.h"
#include "ipc/channel.h"
#include "ipc/counters.h"
#include "ipc/ipc.h"
#include "ipc/notification.h"
#include "lib/string.h"
#include "mm/limits.h"
#include "proc/process.h"
#include "proc/usercopy.h"
#include "sched/patience.h"
#include "sched/sched.h"

#define PIECE 8u /* messages that lie on the kernel's stack at once */

/* A patience in ns as a deadline in cycles. */
static uint64_t deadline_of(uint64_t patience_ns)
{
    return patience_ns == 0 ? IPC_NO_WAIT : patience_deadline(patience_ns);
}

/* ---- messages in registers ---- */

static status_t check_tag(uint64_t tag)
{
    if ((tag & IPC_TAG_RESERVED) != 0) {
        return FAIL(STATUS_ERR_UNKNOWN_BITS, tag, IPC_TAG_RESERVED);
    }
    unsigned words = ipc_tag_words(tag);
    unsigned handles = ipc_tag_handles(tag);
    if (words > IPC_WORDS) {
        return FAIL(STATUS_ERR_ARGUMENT, words, IPC_WORDS);
    }
    if (handles > IPC_MAX_HANDLES) {
        return FAIL(STATUS_ERR_ARGUMENT, handles, IPC_MAX_HANDLES);
    }
    return handles <= words ? STATUS_OK : FAIL(STATUS_ERR_ARGUMENT, handles, words);
}

_Static_assert(IPC_WORDS == 8, "HACKING.md says what else knows the registers of words");

/* Where the words of a message lie in a frame. */
static uint64_t *word_in(struct frame *frame, unsigned number)
{
    uint64_t *const words[IPC_WORDS] = {&frame->rdx, &frame->r10, &frame->r8,  &frame->r9,
                                        &frame->r12, &frame->r13, &frame->r14, &frame->r15};
    return words[number];
}

/* The message of the registers becomes that of the thread. */
static void load(struct frame *frame)
{
    struct ipc_message *message = &thread_current()->ipc.message;
    message->tag = frame->rsi;
    for (unsigned i = 0; i < IPC_WORDS; i++) {
        message->words[i] = i < ipc_tag_words(frame->rsi) ? *word_in(frame, i) : 0;
    }
}

static int64_t store(struct frame *frame, status_t status)
{
    const struct ipc_message *message = &thread_current()->ipc.message;
    if (status == STATUS_OK) {
        frame->rdi = message->badge;
        frame->rsi = message->tag;
        frame->rbx = message->stamp;
        for (unsigned i = 0; i < IPC_WORDS; i++) {
            *word_in(frame, i) = message->words[i];
        }
    }
    return status;
}

/* The words of a message that could not be sent name what comes back of that which was given up. */
static int64_t sent(struct frame *frame, status_t status)
{
    unsigned words = ipc_tag_words(frame->rsi);
    for (unsigned i = words - ipc_tag_handles(frame->rsi); status != STATUS_OK && i < words; i++) {
        uint64_t *word = word_in(frame, i);
        *word = (*word & IPC_MOVE) != 0 ? thread_current()->ipc.message.words[i] : *word;
    }
    return status;
}

status_t decode_endpoint_create(struct call *call)
{
    return call->arguments[0] == 0 ? STATUS_OK : FAIL(STATUS_ERR_UNKNOWN_BITS, call->arguments[0], 0);
}

int64_t invoke_endpoint_create(struct call *call)
{
    cap_handle_t handle = {0};
    status_t status = ipc_endpoint_create(call->process->caps, &handle);
    return call_handle_result(status, handle);
}

status_t decode_ipc_send(struct call *call)
{
    return check_tag(call->arguments[1]);
}

int64_t invoke_ipc_send(struct call *call)
{
    load(call->frame);
    return sent(call->frame, ipc_send(cap_handle(call->arguments[0]), deadline_of(call->frame->rbx)));
}

status_t decode_ipc_call(struct call *call)
{
    return check_tag(call->arguments[1]);
}

int64_t invoke_ipc_call(struct call *call)
{
    load(call->frame);
    status_t status = ipc_call(cap_handle(call->arguments[0]), deadline_of(call->frame->rbx));
    return status != STATUS_OK ? sent(call->frame, status) : store(call->frame, status);
}

status_t decode_ipc_receive(struct call *call)
{
    return call->arguments[1] == 0 ? STATUS_OK : FAIL(STATUS_ERR_UNKNOWN_BITS, call->arguments[1], 0);
}

int64_t invoke_ipc_receive(struct call *call)
{
    return store(call->frame, ipc_receive(cap_handle(call->arguments[0]), deadline_of(call->frame->rbx)));
}

status_t decode_ipc_reply(struct call *call)
{
    return check_tag(call->arguments[1]);
}

int64_t invoke_ipc_reply(struct call *call)
{
    load(call->frame);
    return sent(call->frame, ipc_reply(cap_handle(call->arguments[0])));
}

status_t decode_ipc_reply_receive(struct call *call)
{
    return check_tag(call->arguments[1]);
}

int64_t invoke_ipc_reply_receive(struct call *call)
{
    load(call->frame);
    status_t status = ipc_reply_receive(cap_handle(call->arguments[0]), deadline_of(call->frame->rbx));
    return status == STATUS_OK ? store(call->frame, status) : sent(call->frame, status);
}

int64_t continue_ipc(struct frame *frame)
{
    return store(frame, ipc_continue());
}

int64_t invoke_ipc_reply_save(struct call *call)
{
    cap_handle_t handle = {0};
    status_t status = ipc_reply_save(call->process->caps, &handle);
    return call_handle_result(status, handle);
}

/* ---- notifications ---- */

int64_t invoke_notification_create(struct call *call)
{
    cap_handle_t handle = {0};
    status_t status = notification_create(call->process->caps, &handle);
    return call_handle_result(status, handle);
}

status_t decode_notification_signal(struct call *call)
{
    return call->arguments[1] != 0 ? STATUS_OK : FAIL(STATUS_ERR_ARGUMENT, 0, 0);
}

int64_t invoke_notification_signal(struct call *call)
{
    notification_signal(notification_of(call->capability.object), call->arguments[1]);
    return STATUS_OK;
}

status_t decode_notification_wait(struct call *call)
{
    return call->arguments[1] != 0 ? user_range(vaddr_make(call->arguments[2]), sizeof(uint64_t))
                                   : FAIL(STATUS_ERR_ARGUMENT, 0, 0);
}

int64_t invoke_notification_wait(struct call *call)
{
    const struct ipc_claim claim = {cap_handle(call->arguments[0]), call->capability.id};
    vaddr_t to = vaddr_make(call->arguments[2]);
    uint64_t bits = 0;
    status_t status =
        user_write(to, &bits, sizeof(bits)); /* a bad pointer is told before bits are lost for it */
    if (status == STATUS_OK) {
        status = notification_wait(notification_of(call->capability.object), &claim, call->arguments[1],
                                   deadline_of(call->arguments[3]), &bits);
    }
    return status == STATUS_OK ? user_write(to, &bits, sizeof(bits)) : status;
}

/* ---- channels ---- */

status_t decode_channel_create(struct call *call)
{
    uint64_t capacity = call->arguments[0];
    int64_t node = (int64_t)call->arguments[2];
    if ((call->arguments[1] & ~(uint64_t)CHANNEL_LOCK_FREE) != 0) {
        return FAIL(STATUS_ERR_UNKNOWN_BITS, call->arguments[1], CHANNEL_LOCK_FREE);
    }
    bool fits = capacity != 0 && capacity <= CHANNEL_MAX && (capacity & (capacity - 1)) == 0;
    return fits && node >= -1 && node < (int64_t)MM_MAX_NODES ? STATUS_OK
                                                              : FAIL(STATUS_ERR_RANGE, capacity, node);
}

int64_t invoke_channel_create(struct call *call)
{
    cap_handle_t handle = {0};
    status_t status = channel_create(call->process->caps, (uint32_t)call->arguments[0],
                                     (uint32_t)call->arguments[1], (int)(int64_t)call->arguments[2], &handle);
    return call_handle_result(status, handle);
}

static status_t check_messages(const struct call *call)
{
    if (call->arguments[2] == 0 || call->arguments[2] > CHANNEL_BATCH) {
        return FAIL(STATUS_ERR_RANGE, call->arguments[2], CHANNEL_BATCH);
    }
    return user_range(vaddr_make(call->arguments[1]), call->arguments[2] * sizeof(struct channel_message));
}

/* Moves one piece of a batch; only the first piece may wait. */
typedef status_t (*move_function)(struct call *call, uint64_t first, uint64_t count, uint64_t deadline,
                                  uint64_t *done);

/* Messages moved, or why there is none. */
static int64_t move_batch(struct call *call, move_function move)
{
    uint64_t total = 0;
    uint64_t deadline = deadline_of(call->arguments[3]);
    while (total < call->arguments[2]) {
        uint64_t left = call->arguments[2] - total;
        uint64_t count = left < PIECE ? left : PIECE;
        uint64_t done = 0;
        status_t status = move(call, total, count, total == 0 ? deadline : IPC_NO_WAIT, &done);
        if (status != STATUS_OK && total == 0) {
            return status;
        }
        total += done;
        if (status != STATUS_OK || done < count) {
            break;
        }
    }
    return (int64_t)total;
}

static status_t put_piece(struct call *call, uint64_t first, uint64_t count, uint64_t deadline,
                          uint64_t *done)
{
    uint64_t words[PIECE * CHANNEL_WORDS];
    const struct ipc_claim claim = {cap_handle(call->arguments[0]), call->capability.id};
    vaddr_t from = vaddr_make(call->arguments[1] + first * sizeof(struct channel_message));
    status_t status = user_read(words, from, count * sizeof(struct channel_message));
    return status != STATUS_OK
               ? status
               : channel_put(channel_of(call->capability.object), &claim, words, count, deadline, done);
}

/* A bad pointer is told before messages are lost for it. */
static status_t take_piece(struct call *call, uint64_t first, uint64_t count, uint64_t deadline,
                           uint64_t *done)
{
    uint64_t words[PIECE * CHANNEL_WORDS];
    const struct ipc_claim claim = {cap_handle(call->arguments[0]), call->capability.id};
    vaddr_t to = vaddr_make(call->arguments[1] + first * sizeof(struct channel_message));
    memset(words, 0, count * sizeof(struct channel_message));
    status_t status = user_write(to, words, count * sizeof(struct channel_message));
    if (status == STATUS_OK) {
        status = channel_take(channel_of(call->capability.object), &claim, words, count, deadline, done);
    }
    return status == STATUS_OK ? user_write(to, words, *done * sizeof(struct channel_message)) : status;
}

status_t decode_channel_put(struct call *call)
{
    return check_messages(call);
}

int64_t invoke_channel_put(struct call *call)
{
    return move_batch(call, put_piece);
}

status_t decode_channel_take(struct call *call)
{
    return check_messages(call);
}

int64_t invoke_channel_take(struct call *call)
{
    return move_batch(call, take_piece);
}

/* ---- limits and figures ---- */

status_t decode_ipc_limit(struct call *call)
{
    uint64_t per_second = call->arguments[0];
    uint64_t burst = call->arguments[1];
    bool fits = per_second != 0 && per_second <= RATE_MAX_PER_SECOND && burst != 0 && burst <= RATE_MAX_BURST;
    return fits ? STATUS_OK : FAIL(STATUS_ERR_RANGE, per_second, burst);
}

int64_t invoke_ipc_limit(struct call *call)
{
    return rate_gate_set(&call->process->rate, (uint32_t)call->arguments[0], (uint32_t)call->arguments[1]);
}

status_t decode_ipc_stats(struct call *call)
{
    return user_range(vaddr_make(call->arguments[0]), sizeof(struct ipc_stats));
}

int64_t invoke_ipc_stats(struct call *call)
{
    struct ipc_stats stats;
    ipc_counters_read(&stats);
    return user_write(vaddr_make(call->arguments[0]), &stats, sizeof(stats));
}
