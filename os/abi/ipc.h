#ifndef OS_ABI_IPC_H
#define OS_ABI_IPC_H

/*
 * Messages between programs. A message is a tag and up to eight words, all in registers:
 *
 *     tag   63      16 15       8 7        4 3        0
 *          |  label   |   zero   |  handles | words    |
 *
 * words: how many of m0..m7 count, 0..8; the others arrive as 0. handles: how many of the last words are handles of
 * capabilities to pass on, 0..IPC_MAX_HANDLES, at most `words`. label: 48 bits that mean what the programs agree on.
 *
 *     call:    RAX number, RDI handle, RSI tag, RBX patience in ns, m0..m7 = RDX R10 R8 R9 R12 R13 R14 R15
 *     result:  RAX status, RDI badge,  RSI tag, RBX time stamp,     m0..m7 the same
 *
 * After a failure all of them but RAX are undefined. The patience is how long a call may wait: 0 not at all,
 * IPC_FOREVER without end. The badge is the id of the capability that the sender used, the stamp the time-stamp counter
 * when it did.
 *
 * A word that is a handle carries in bits 48..57 the rights that the receiver is not to have, and in bit 63 whether the
 * sender gives its own capability up: that one is gone, with all that was mapped by it, before the message is on its way. A
 * handle arrives as one of the receiver, or, when the receiver could not take it, as a negative status. When a call
 * fails, the words of what the sender gave up are 0, or new handles of its own if the message did not arrive.
 */

#include <stdint.h>

#define IPC_WORDS         8u
#define IPC_MAX_HANDLES   2u
#define IPC_LABEL_SHIFT   16u
#define IPC_HANDLES_SHIFT 4u
#define IPC_TAG_RESERVED  0xff00ull
#define IPC_REMOVE_SHIFT  48u
#define IPC_REMOVE_MASK   0x3ffull
#define IPC_MOVE          (1ull << 63)
#define IPC_FOREVER       UINT64_MAX

#define NAME_LENGTH_MAX 31u /* characters of the name of a service */

static inline unsigned ipc_tag_words(uint64_t tag)
{
    return tag & 0xf;
}

static inline unsigned ipc_tag_handles(uint64_t tag)
{
    return (tag >> IPC_HANDLES_SHIFT) & 0xf;
}

static inline uint64_t ipc_tag_label(uint64_t tag)
{
    return tag >> IPC_LABEL_SHIFT;
}

static inline uint64_t ipc_tag(uint64_t label, unsigned words, unsigned handles)
{
    return label << IPC_LABEL_SHIFT | (uint64_t)handles << IPC_HANDLES_SHIFT | words;
}

/* The registers of a call, for stubs. */
struct ipc_registers {
    uint64_t words[IPC_WORDS];
    uint64_t tag;
    uint64_t time;  /* in: patience in ns; out: time stamp in cycles */
    uint64_t badge; /* out */
};

/* Channels: rings of messages of 64 bytes. */
#define CHANNEL_WORDS     8u
#define CHANNEL_MAX       1024u /* messages in a ring, a power of two */
#define CHANNEL_BATCH     64u   /* messages in one call */
#define CHANNEL_LOCK_FREE 1u    /* never waits, takes no lock */

struct channel_message {
    uint64_t words[CHANNEL_WORDS];
};

/* What ipc_stats fills in: sums over all CPUs. */
struct ipc_stats {
#define IPC_COUNTER(id, name, text) uint64_t name;
#include "abi/ipc_counters.def"
#undef IPC_COUNTER
};

#endif
