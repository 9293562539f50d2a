/*
 * Channels as kernel objects. Their memory is a run of frames of its own: the ring, and for a lock-free one the words that
 * go with it, and a buffer more for each CPU, which can be in the middle of one operation. Deviations: none.
 */
#include "ipc/channel.h"

#include "abi/ipc.h"
#include "arch/arch.h"
#include "ipc/fifo.h"
#include "ipc/ring.h"
#include "mm/frame_cache.h"
#include "mm/slab.h"
#include "sched/sched.h"

struct channel {
    struct object object;
    bool lock_free;
    uint32_t frames;
    pfn_t memory;
    int32_t producers; /* capabilities that can put */
    int32_t consumers;
    struct spinlock lock; /* of the fifo */
    struct fifo fifo;
    struct ring ring;
    struct wait_queue not_full;
    struct wait_queue not_empty;
};

_Static_assert(FIFO_MESSAGE_WORDS == CHANNEL_WORDS && RING_MESSAGE_WORDS == CHANNEL_WORDS,
               "one size of messages");
_Static_assert(CHANNEL_MAX <= RING_MAX_CELLS && CHANNEL_MAX + ARCH_MAX_CPUS <= RING_MAX_BUFFERS,
               "rings are large enough");

static struct slab_cache cache;

status_t channel_init(void)
{
    return slab_cache_init(&cache, "channel", sizeof(struct channel), 64, 0);
}

struct channel *channel_of(struct object *object)
{
    return list_entry(object, struct channel, object);
}

/* ---- memory ---- */

static uint64_t buffers_of(const struct channel *channel, uint32_t capacity)
{
    return channel->lock_free ? capacity + ARCH_MAX_CPUS : capacity;
}

static status_t memory_get(struct channel *channel, uint32_t capacity, int node)
{
    uint64_t buffers = buffers_of(channel, capacity);
    uint64_t bytes = buffers * sizeof(struct ring_buffer);
    bytes += channel->lock_free ? (capacity + buffers) * sizeof(uint64_t) : 0;
    uint32_t flags = FRAME_ZERO | (node >= 0 ? FRAME_NODE((unsigned)node) | FRAME_STRICT : 0);
    channel->frames = (uint32_t)(align_up(bytes, PAGE_SIZE) / PAGE_SIZE);
    return frame_cache_alloc(FRAME_CACHE_MESSAGES, channel->frames, flags, 0, &channel->memory);
}

static void memory_put(const struct channel *channel)
{
    if (frame_cache_free(FRAME_CACHE_MESSAGES, channel->frames, channel->memory) != STATUS_OK) {
        panic("channel: its %u frames at %llx are not its own", channel->frames,
              (unsigned long long)channel->memory);
    }
}

static void build(struct channel *channel, uint32_t capacity)
{
    uint64_t *words = arch_phys_to_virt(paddr_from_pfn(channel->memory));
    if (!channel->lock_free) {
        fifo_init(&channel->fifo, words, capacity);
        return;
    }
    uint32_t buffers = (uint32_t)buffers_of(channel, capacity);
    struct ring_buffer *first = (struct ring_buffer *)words;
    uint64_t *cells = (uint64_t *)(first + buffers);
    ring_init(&channel->ring, cells, capacity, cells + capacity, first, buffers);
}

status_t channel_create(struct cap_space *space, uint32_t capacity, uint32_t flags, int node,
                        cap_handle_t *out)
{
    struct channel *channel = slab_alloc(&cache);
    if (channel == NULL) {
        return STATUS_ERR_NO_MEMORY;
    }
    channel->lock_free = (flags & CHANNEL_LOCK_FREE) != 0;
    status_t status = memory_get(channel, capacity, node);
    if (status != STATUS_OK) {
        slab_free(&cache, channel);
        return status;
    }
    object_init(&channel->object, CAP_CHANNEL);
    spinlock_init(&channel->lock, "ipc.channel", LOCK_CLASS_IPC_CHANNEL);
    wait_queue_init(&channel->not_full, "ipc.channel.full");
    wait_queue_init(&channel->not_empty, "ipc.channel.empty");
    channel->producers = 0;
    channel->consumers = 0;
    build(channel, capacity);
    status = cap_insert(space, &channel->object, RIGHTS_ALL, CAP_FLAG_KEEP_ON_EXEC, out);
    object_put(&channel->object);
    return status;
}

void channel_release(struct object *object)
{
    struct channel *channel = channel_of(object);
    memory_put(channel);
    slab_free(&cache, channel);
}

/* ---- messages ---- */

struct moving {
    struct channel *channel;
    const uint64_t *in; /* of a put */
    uint64_t *out;      /* of a take */
    uint64_t count;
    uint64_t done;
};

static bool alone(const int32_t *others)
{
    return __atomic_load_n(others, __ATOMIC_ACQUIRE) <= 0;
}

static status_t put_one(struct channel *channel, const uint64_t *words)
{
    return channel->lock_free ? ring_try_put(&channel->ring, words) : fifo_put(&channel->fifo, words);
}

static status_t take_one(struct channel *channel, uint64_t *words)
{
    return channel->lock_free ? ring_try_take(&channel->ring, words) : fifo_take(&channel->fifo, words);
}

/* A lock-free channel only keeps its thread on its CPU, so that no more operations are under way than there are CPUs. */
static uint64_t begin(struct channel *channel)
{
    if (channel->lock_free) {
        preempt_disable();
        return 0;
    }
    return spin_lock_irqsave(&channel->lock);
}

static void finish(struct channel *channel, uint64_t flags, struct wait_queue *others)
{
    if (channel->lock_free) {
        preempt_enable();
        return;
    }
    spin_unlock_irqrestore(&channel->lock, flags);
    if (others != NULL) {
        wait_queue_wake_all(others);
    }
}

static status_t attempt_put(void *context)
{
    struct moving *moving = context;
    struct channel *channel = moving->channel;
    if (alone(&channel->consumers)) {
        return STATUS_ERR_PEER;
    }
    uint64_t flags = begin(channel);
    while (moving->done < moving->count &&
           put_one(channel, moving->in + moving->done * CHANNEL_WORDS) == STATUS_OK) {
        moving->done++;
    }
    finish(channel, flags, moving->done != 0 ? &channel->not_empty : NULL);
    return moving->done != 0 ? STATUS_OK : STATUS_ERR_AGAIN;
}

static status_t attempt_take(void *context)
{
    struct moving *moving = context;
    struct channel *channel = moving->channel;
    bool last = alone(&channel->producers);
    uint64_t flags = begin(channel);
    while (moving->done < moving->count &&
           take_one(channel, moving->out + moving->done * CHANNEL_WORDS) == STATUS_OK) {
        moving->done++;
    }
    finish(channel, flags, moving->done != 0 ? &channel->not_full : NULL);
    return moving->done != 0 ? STATUS_OK : last ? STATUS_ERR_PEER : STATUS_ERR_AGAIN;
}

status_t channel_put(struct channel *channel, const struct ipc_claim *claim, const uint64_t *words,
                     uint64_t count, uint64_t deadline, uint64_t *done)
{
    struct moving moving = {.channel = channel, .in = words, .count = count};
    status_t status =
        ipc_wait(&channel->not_full, claim, channel->lock_free ? 0 : deadline, attempt_put, &moving);
    *done = moving.done;
    return status;
}

status_t channel_take(struct channel *channel, const struct ipc_claim *claim, uint64_t *words, uint64_t count,
                      uint64_t deadline, uint64_t *done)
{
    struct moving moving = {.channel = channel, .out = words, .count = count};
    status_t status =
        ipc_wait(&channel->not_empty, claim, channel->lock_free ? 0 : deadline, attempt_take, &moving);
    *done = moving.done;
    return status;
}

/* ---- capabilities ---- */

void channel_added(struct object *object, uint32_t rights)
{
    struct channel *channel = channel_of(object);
    __atomic_add_fetch(&channel->producers, rights & RIGHT_WRITE ? 1 : 0, __ATOMIC_SEQ_CST);
    __atomic_add_fetch(&channel->consumers, rights & RIGHT_READ ? 1 : 0, __ATOMIC_SEQ_CST);
}

void channel_removed(struct object *object, uint64_t id, uint32_t rights, status_t why)
{
    (void)id;
    (void)why;
    struct channel *channel = channel_of(object);
    __atomic_sub_fetch(&channel->producers, rights & RIGHT_WRITE ? 1 : 0, __ATOMIC_SEQ_CST);
    __atomic_sub_fetch(&channel->consumers, rights & RIGHT_READ ? 1 : 0, __ATOMIC_SEQ_CST);
    wait_queue_wake_all(&channel->not_full);
    wait_queue_wake_all(&channel->not_empty);
}
