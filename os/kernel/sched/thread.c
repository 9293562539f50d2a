/* Thread control blocks: creation, states. */
#include "sched/thread.h"

#include "arch/x86_64/kmap.h"
#include "arch/x86_64/switch.h"
#include "lib/string.h"
#include "mm/slab.h"
#include "panic.h"
#include "sched/sched.h"

static struct slab_cache thread_cache;
static tid_t last_tid;
static bool log_frees;

bool thread_log(void)
{
    return log_frees;
}

void thread_log_set(bool on)
{
    log_frees = on;
}

status_t thread_system_init(void)
{
    return slab_cache_init(&thread_cache, "thread", sizeof(struct thread), 64, SLAB_HOT_LINES);
}

const struct sched_params sched_kernel = {.policy = SCHED_FIFO, .level = SCHED_LEVEL_KERNEL};
const struct sched_params sched_normal = {.policy = SCHED_FAIR};
const struct sched_params sched_background = {.policy = SCHED_IDLE};

const struct sched_params *sched_params_of_child(const struct thread *thread)
{
    return thread->sched.params.policy == SCHED_DEADLINE ? &sched_normal : &thread->sched.params;
}

status_t thread_create(struct thread **out, const struct sched_params *params, void (*function)(void *),
                       void *argument)
{
    struct thread *thread = slab_alloc(&thread_cache);
    if (thread == NULL) {
        return STATUS_ERR_NO_MEMORY;
    }
    memset(thread, 0, sizeof(*thread));
    status_t status = kmap_stack_alloc(&thread->stack_top);
    if (status != STATUS_OK) {
        slab_free(&thread_cache, thread);
        return status;
    }
    thread->tid = (tid_t){__atomic_add_fetch(&last_tid.number, 1, __ATOMIC_RELAXED)};
    thread->state = THREAD_NEW;
    const struct thread *maker = thread_current();
    thread->affinity = maker != NULL ? maker->affinity : AFFINITY_ALL;
    thread->cpu = cpu_this()->id;
    thread->home_node = cpu_this()->node;
    sched_entity_set(&thread->sched, params);
    list_init(&thread->dead_node);
    list_init(&thread->process_node);
    ipc_party_init(&thread->ipc);
    arch_thread_first_frame(thread, function, argument);
    *out = thread;
    return STATUS_OK;
}

void thread_destroy_new(struct thread *thread)
{
    kmap_stacks_free(&thread->stack_top, 1);
    thread_free_block(thread);
}

void thread_free_block(struct thread *thread)
{
    slab_free(&thread_cache, thread);
}

void thread_set_state(struct thread *thread, enum thread_state to)
{
    static const uint8_t legal[] = {
        [THREAD_NEW] = 1u << THREAD_WAKING,
        [THREAD_READY] = 1u << THREAD_RUNNING | 1u << THREAD_WAKING,
        [THREAD_RUNNING] =
            1u << THREAD_READY | 1u << THREAD_WAITING | 1u << THREAD_WAKING | 1u << THREAD_DEAD,
        [THREAD_WAITING] = 1u << THREAD_RUNNING | 1u << THREAD_WAKING,
        [THREAD_WAKING] = 1u << THREAD_READY,
        [THREAD_DEAD] = 0,
    };
    if (!(legal[thread->state] & (1u << to))) {
        panic("thread %u: illegal state change %u to %u", thread->tid.number, thread->state, to);
    }
    __atomic_store_n(&thread->state, to, __ATOMIC_RELEASE);
}
