/* Notifications as kernel objects. Deviations: none. */
#include "ipc/notification.h"

#include "ipc/signal_word.h"
#include "mm/slab.h"

struct notification {
    struct object object;
    uint64_t bits;
    struct wait_queue waiters;
};

struct taking {
    struct notification *from;
    uint64_t wanted;
    uint64_t got;
};

static struct slab_cache cache;

status_t notification_init(void)
{
    return slab_cache_init(&cache, "notification", sizeof(struct notification), 64, 0);
}

struct notification *notification_of(struct object *object)
{
    return list_entry(object, struct notification, object);
}

status_t notification_create(struct cap_space *space, cap_handle_t *out)
{
    struct notification *made = slab_alloc(&cache);
    if (made == NULL) {
        return STATUS_ERR_NO_MEMORY;
    }
    object_init(&made->object, CAP_NOTIFICATION);
    made->bits = 0;
    wait_queue_init(&made->waiters, "ipc.notification");
    status_t status = cap_insert(space, &made->object, RIGHTS_ALL, CAP_FLAG_KEEP_ON_EXEC, out);
    object_put(&made->object);
    return status;
}

void notification_signal(struct notification *notification, uint64_t bits)
{
    if (signal_word_set(&notification->bits, bits) != 0) {
        wait_queue_wake_all(&notification->waiters);
    }
}

static status_t take(void *context)
{
    struct taking *taking = context;
    taking->got = signal_word_take(&taking->from->bits, taking->wanted);
    return taking->got != 0 ? STATUS_OK : STATUS_ERR_AGAIN;
}

status_t notification_wait(struct notification *notification, const struct ipc_claim *claim, uint64_t wanted,
                           uint64_t deadline, uint64_t *out)
{
    struct taking taking = {.from = notification, .wanted = wanted};
    status_t status = ipc_wait(&notification->waiters, claim, deadline, take, &taking);
    *out = taking.got;
    return status;
}

void notification_release(struct object *object)
{
    slab_free(&cache, notification_of(object));
}

/* Who waits by a capability that has gone finds out when it is woken. */
void notification_removed(struct object *object, uint64_t id, uint32_t rights, status_t why)
{
    (void)id;
    (void)rights;
    (void)why;
    wait_queue_wake_all(&notification_of(object)->waiters);
}
