#ifndef OS_KERNEL_IPC_FAST_H
#define OS_KERNEL_IPC_FAST_H

/*
 * The short way of a call and of an answer with receive: from the sender's registers to those of the partner that waits for
 * it, and on in the partner, without the queue of ready threads, a second copy or a pick. Of the scheduler's policy only
 * what two threads of the fair class need is done: the one is charged, the other placed (fair_hand_on). The conditions:
 *
 *   - the message carries no capabilities, the own wait has no limit, and no rate limit holds for the sender;
 *   - this CPU remembers the capability of the endpoint (cap/cap_recall.h);
 *   - call: a receiver waits; answer: the caller still waits at this endpoint and nobody is queued to send;
 *   - the partner waits on this CPU without a limit of its own, both are of the fair class, nothing better is ready,
 *     nothing is due and the sender's slice lasts (sched_direct_begin).
 *
 * In every other case the long way (ipc/ipc.h) is gone, with the same result; each reason is counted.
 *
 * Who waits after the short way has nothing on its kernel stack but the frame of its call, without the words ("bare"). If its
 * partner comes the short way, too, the thread is in user mode at once, with the registers of its partner: the words of a
 * message never lie in memory. If anything else ends its wait, the thread wakes up as usual and ends its call by ipc_continue;
 * words that do not come from a message are then those of an earlier frame of the same thread.
 */

#include "arch/x86_64/frame.h"
#include "ipc/counters.h"

/*
 * From entry.S: a call, an answer with receive, with a frame that lacks the words of the message (arch/x86_64/message.h).
 * Return only if the long way must be gone, with the reason; nothing is done then. Interrupts off before and after. Bound:
 * O(1).
 */
enum ipc_counter ipc_fast_call(struct frame *frame);
enum ipc_counter ipc_fast_reply(struct frame *frame);

#endif
