/* System calls of the machine as a whole. */
#include "sys/syscall.h"

#include "arch/x86_64/clock.h"
#include "arch/x86_64/power.h"
#include "arch/x86_64/uart.h"
#include "console.h"
#include "mm/kheap.h"
#include "proc/usercopy.h"
#include "sched/sched.h"
#include "sys/boot_arguments.h"
#include "sys/errors.h"
#include "sys/quiesce.h"
#include "sys/stats.h"

#define SHUTDOWN_GRACE_NS 100000000ull

status_t decode_stats(struct call *call)
{
    if (call->arguments[1] > sizeof(struct system_stats)) {
        call->arguments[1] = sizeof(struct system_stats);
    }
    return user_range(vaddr_make(call->arguments[0]), call->arguments[1]);
}

int64_t invoke_stats(struct call *call)
{
    return stats_copy_out(vaddr_make(call->arguments[0]), call->arguments[1]);
}

status_t decode_error_stats(struct call *call)
{
    return user_range(vaddr_make(call->arguments[0]), sizeof(struct error_stats));
}

int64_t invoke_error_stats(struct call *call)
{
    return errors_copy_out(vaddr_make(call->arguments[0]));
}

status_t decode_error_report(struct call *call)
{
    return user_range(vaddr_make(call->arguments[0]), sizeof(struct error_report));
}

int64_t invoke_error_report(struct call *call)
{
    return errors_report(vaddr_make(call->arguments[0]));
}

static void print_line(void *context, const char *text)
{
    (void)context;
    console_printf("%s\n", text);
}

int64_t invoke_memory_dump(struct call *call)
{
    static const struct text_sink sink = {print_line, NULL};
    (void)call;
    frame_dump(&sink);
    kheap_dump(&sink);
    return 0;
}

status_t decode_shutdown(struct call *call)
{
    return call->arguments[0] > 0xff ? FAIL(STATUS_ERR_RANGE, call->arguments[0], 0xff) : STATUS_OK;
}

int64_t invoke_shutdown(struct call *call)
{
    uart_flush(UART_DRIVER);
    uart_flush(UART_CONSOLE);
    if (call->arguments[0] == 0) {
        power_off();
    } else {
        power_debug_exit((uint8_t)call->arguments[0]);
    }
    sched_sleep_until(clock_cycles() +
                      clock_cycles_from_ns(SHUTDOWN_GRACE_NS)); /* the power goes at leisure */
    return FAIL(STATUS_ERR_UNSUPPORTED, call->arguments[0], 0);
}

int64_t invoke_quiesce(struct call *call)
{
    (void)call;
    quiesce();
    return 0;
}

status_t decode_boot_arguments(struct call *call)
{
    return call->arguments[1] != 0 ? user_range(vaddr_make(call->arguments[0]), call->arguments[1])
                                   : STATUS_OK;
}

int64_t invoke_boot_arguments(struct call *call)
{
    return boot_arguments_copy_out(vaddr_make(call->arguments[0]), call->arguments[1]);
}
