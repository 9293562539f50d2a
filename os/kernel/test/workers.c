/* Threads of tests: started on given CPUs, waited for by counting their ends. */
#include "test/workers.h"

#include "arch/arch.h"
#include "arch/x86_64/clock.h"
#include "arch/x86_64/percpu.h"
#include "sched/reaper.h"
#include "sched/sched.h"

static struct {
    void (*work)(void *argument, unsigned number);
    void *argument;
} crew;

static uint32_t ended;

void workers_begin(void)
{
    __atomic_store_n(&ended, 0, __ATOMIC_RELEASE);
}

void worker_ends(void)
{
    __atomic_add_fetch(&ended, 1, __ATOMIC_RELEASE);
}

static bool wait_until(uint32_t count, uint64_t end)
{
    while (__atomic_load_n(&ended, __ATOMIC_ACQUIRE) < count && clock_cycles() < end) {
        sched_sleep_until(clock_cycles() + clock_cycles_from_ns(100000));
    }
    return __atomic_load_n(&ended, __ATOMIC_ACQUIRE) == count;
}

bool workers_wait(uint32_t count, uint64_t limit_ns)
{
    return wait_until(count, clock_cycles() + clock_cycles_from_ns(limit_ns));
}

bool worker_start(struct thread *thread, unsigned cpu)
{
    bool pinned = sched_set_affinity(thread, 1ull << cpu) == STATUS_OK;
    sched_start_on(thread, cpu);
    return pinned;
}

struct thread *worker_make(void (*work)(void *), const struct sched_params *params, unsigned cpu)
{
    struct thread *thread;
    return thread_create(&thread, params, work, NULL) == STATUS_OK && worker_start(thread, cpu) ? thread
                                                                                                : NULL;
}

static void run_one(void *number)
{
    crew.work(crew.argument, (unsigned)(uintptr_t)number);
    worker_ends();
}

bool workers_run(unsigned count, void (*work)(void *argument, unsigned number), void *argument,
                 uint64_t limit_ns)
{
    uint64_t end = clock_cycles() + clock_cycles_from_ns(limit_ns);
    unsigned made = 0;
    crew.work = work;
    crew.argument = argument;
    workers_begin();
    for (; made < count; made++) {
        struct thread *thread;
        if (thread_create(&thread, &sched_normal, run_one, (void *)(uintptr_t)made) != STATUS_OK) {
            break;
        }
        sched_start_on(thread, made % cpu_count_online());
    }
    return wait_until(made, end) && made == count;
}

static void reap(void *argument)
{
    (void)argument;
    reaper_prepare();
    reaper_run();
}

static struct thread *reaper;

bool workers_reaper(void)
{
    if (reaper == NULL) {
        if (thread_create(&reaper, &sched_kernel, reap, NULL) != STATUS_OK) {
            return false;
        }
        sched_start(reaper);
        sched_sleep_until(clock_cycles() + clock_cycles_from_ns(1000000));
    }
    return true;
}

bool workers_reaper_may_run_on(uint64_t cpus)
{
    return sched_set_affinity(reaper, cpus) == STATUS_OK;
}
