/* Threads on top of the system calls. */
#include "lib/thread.h"

static _Noreturn void run(thread_function function, void *argument)
{
    sys_thread_exit(function(argument));
}

static int64_t start(thread_function function, void *argument, uint64_t stack_bytes, uint64_t flags)
{
    struct thread_params params = {
        .entry = (uint64_t)(uintptr_t)run,
        .arguments = {(uint64_t)(uintptr_t)function, (uint64_t)(uintptr_t)argument},
        .stack_bytes = stack_bytes,
        .flags = flags,
    };
    return sys_thread_create(&params);
}

int64_t thread_start(thread_function function, void *argument, uint64_t stack_bytes)
{
    return start(function, argument, stack_bytes, 0);
}

int64_t thread_start_detached(thread_function function, void *argument, uint64_t stack_bytes)
{
    return start(function, argument, stack_bytes, THREAD_DETACHED);
}

int64_t thread_join(int64_t tid, uint64_t *value)
{
    return tid > 0 ? sys_thread_join((unsigned)tid, value, THREAD_PATIENCE_FOREVER) : STATUS_ERR_ARGUMENT;
}

void thread_exit(uint64_t value)
{
    sys_thread_exit(value);
}
