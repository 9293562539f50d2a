/* Capabilities on their way. Deviations: none. */
#include "ipc/transit.h"

#include "ipc/counters.h"

#define HANDLE_MASK ((1ull << IPC_REMOVE_SHIFT) - 1)

_Static_assert((RIGHTS_ALL & ~IPC_REMOVE_MASK) == 0, "every right can be kept from the receiver");
_Static_assert((IPC_REMOVE_MASK << IPC_REMOVE_SHIFT & IPC_MOVE) == 0,
               "what is removed is told from what is moved");

static struct cap_space *transit;

status_t transit_init(void)
{
    transit = cap_space_create((struct pid){0});
    return transit != NULL ? STATUS_OK : STATUS_ERR_NO_MEMORY;
}

/* First word of a message that is a handle. */
static unsigned first_handle(uint64_t tag)
{
    return ipc_tag_words(tag) - ipc_tag_handles(tag);
}

static void clear_handles(struct ipc_message *message)
{
    message->tag &= ~(0xfull << IPC_HANDLES_SHIFT);
}

void transit_trim(void)
{
    cap_space_trim(transit);
}

/*
 * Derives a capability of one space in another: into transit with all rights, for it must be passed on once more; out of it
 * without those that the word takes away.
 */
static status_t derive(struct cap_space *from, struct cap_space *to, uint64_t word, uint64_t removed,
                       uint64_t *out)
{
    struct cap_view view;
    cap_handle_t source = cap_handle(word & HANDLE_MASK);
    status_t status = cap_get(from, source, CAP_NONE, RIGHT_GRANT, &view);
    if (status != STATUS_OK) {
        return status;
    }
    cap_handle_t made = {0};
    status = cap_derive(from, source, to, view.rights & ~(uint32_t)removed, view.flags, &made);
    object_put(view.object);
    *out = made.word;
    return status;
}

static void drop_capability(struct cap_space *space, uint64_t word)
{
    status_t status = cap_delete(space, cap_handle(word & HANDLE_MASK));
    (void)status; /* it was revoked meanwhile */
}

/* What did not arrive goes back to who has given it up. */
void transit_return(struct cap_space *owner, struct ipc_message *message)
{
    for (unsigned i = first_handle(message->tag); i < ipc_tag_words(message->tag); i++) {
        uint64_t travelled = message->words[i];
        if ((travelled & IPC_MOVE) != 0) {
            status_t status = derive(transit, owner, travelled, 0, &message->words[i]);
            message->words[i] = status == STATUS_OK ? message->words[i] : (uint64_t)(int64_t)status;
        }
        drop_capability(transit, travelled);
    }
    clear_handles(message);
}

status_t transit_put(struct cap_space *from, struct ipc_message *message)
{
    uint64_t sources[IPC_WORDS];
    unsigned first = first_handle(message->tag);
    unsigned words = ipc_tag_words(message->tag);
    for (unsigned i = first; i < words; i++) {
        uint64_t made;
        sources[i] = message->words[i];
        status_t status = derive(from, transit, sources[i], 0, &made);
        if (status != STATUS_OK) {
            for (; i > first; i--) {
                drop_capability(transit, message->words[i - 1]);
                message->words[i - 1] = sources[i - 1];
            }
            clear_handles(message);
            return status;
        }
        message->words[i] = made | (sources[i] & ~HANDLE_MASK);
    }
    for (unsigned i = first; i < words; i++) {
        if ((sources[i] & IPC_MOVE) != 0) {
            drop_capability(from, sources[i]);
        }
    }
    return STATUS_OK;
}

void transit_take(struct cap_space *to, struct ipc_message *message)
{
    for (unsigned i = first_handle(message->tag); i < ipc_tag_words(message->tag); i++) {
        uint64_t travelled = message->words[i];
        uint64_t removed = travelled >> IPC_REMOVE_SHIFT & IPC_REMOVE_MASK;
        status_t status = derive(transit, to, travelled, removed, &message->words[i]);
        drop_capability(transit, travelled);
        ipc_count(IPC_COUNTER_PASSED);
        if (status != STATUS_OK) {
            message->words[i] = (uint64_t)(int64_t)status;
        }
    }
}
