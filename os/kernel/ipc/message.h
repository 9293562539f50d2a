#ifndef OS_KERNEL_IPC_MESSAGE_H
#define OS_KERNEL_IPC_MESSAGE_H

/* A message on its way: the words of its tag and payload (abi/ipc.h), and what the kernel adds. */

#include <stdint.h>

#include "abi/ipc.h"

struct ipc_message {
    uint64_t tag;
    uint64_t words[IPC_WORDS];
    uint64_t badge; /* id of the capability it was sent through */
    uint64_t stamp; /* time-stamp counter when it was sent, cycles */
};

/* Passes a message on. The capabilities that travel in it go along: the source's words for them become 0. */
static inline void ipc_message_pass(struct ipc_message *to, struct ipc_message *from)
{
    *to = *from;
    unsigned words = ipc_tag_words(from->tag);
    for (unsigned i = words - ipc_tag_handles(from->tag); i < words; i++) {
        from->words[i] = 0;
    }
    from->tag &= ~(0xfull << IPC_HANDLES_SHIFT);
}

#endif
