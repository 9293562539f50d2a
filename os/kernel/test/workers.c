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
    uint32_t ended;
} crew;

static void run_one(void *number)
{
    crew.work(crew.argument, (unsigned)(uintptr_t)number);
    __atomic_add_fetch(&crew.ended, 1, __ATOMIC_RELEASE);
}

bool workers_run(unsigned count, void (*work)(void *argument, unsigned number), void *argument,
                 uint64_t limit_ns)
{
    uint64_t end = clock_cycles() + clock_cycles_from_ns(limit_ns);
    unsigned made = 0;
    crew.work = work;
    crew.argument = argument;
    __atomic_store_n(&crew.ended, 0, __ATOMIC_RELEASE);
    for (; made < count; made++) {
        struct thread *thread;
        if (thread_create(&thread, &sched_normal, run_one, (void *)(uintptr_t)made) != STATUS_OK) {
            break;
        }
        sched_start_on(thread, made % cpu_count_online());
    }
    while (__atomic_load_n(&crew.ended, __ATOMIC_ACQUIRE) < made && clock_cycles() < end) {
        sched_sleep_until(clock_cycles() + clock_cycles_from_ns(200000));
    }
    return made == count && __atomic_load_n(&crew.ended, __ATOMIC_ACQUIRE) == made;
}

static void reap(void *argument)
{
    (void)argument;
    reaper_prepare();
    reaper_run();
}

bool workers_reaper(void)
{
    static struct thread *reaper;
    if (reaper == NULL) {
        if (thread_create(&reaper, &sched_kernel, reap, NULL) != STATUS_OK) {
            return false;
        }
        sched_start(reaper);
        sched_sleep_until(clock_cycles() + clock_cycles_from_ns(1000000));
    }
    return true;
}
