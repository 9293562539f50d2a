/* System calls of the console and the driver port. */
#include "sys/syscall.h"

#include "arch/x86_64/uart.h"
#include "console.h"
#include "lib/string.h"
#include "proc/process.h"
#include "proc/usercopy.h"

#define WRITE_MAX 4096u
#define PIECE     CONSOLE_LINE

static status_t decode_write(const struct call *call)
{
    return call->arguments[1] > WRITE_MAX ? FAIL(STATUS_ERR_RANGE, call->arguments[1], WRITE_MAX) : STATUS_OK;
}

/* Copies text in by pieces and hands each to a port; a piece that cannot be read ends the call. */
static int64_t write_pieces(const struct call *call, enum uart_id port)
{
    uint64_t bytes = call->arguments[1];
    for (uint64_t done = 0; done < bytes;) {
        char piece[PIECE];
        uint64_t count = bytes - done < sizeof(piece) ? bytes - done : sizeof(piece);
        status_t status = user_read(piece, vaddr_make(call->arguments[0] + done), count);
        if (status != STATUS_OK) {
            return status;
        }
        uart_write(port, piece, count);
        done += count;
    }
    return (int64_t)bytes;
}

status_t decode_console_write(struct call *call)
{
    return decode_write(call);
}

int64_t invoke_console_write(struct call *call)
{
    return write_pieces(call, UART_CONSOLE);
}

status_t decode_driver_write(struct call *call)
{
    return uart_present(UART_DRIVER) ? decode_write(call) : FAIL(STATUS_ERR_NOT_FOUND, UART_DRIVER, 0);
}

int64_t invoke_driver_write(struct call *call)
{
    return write_pieces(call, UART_DRIVER);
}

/* A bad pointer is told before input is lost for it. */
status_t decode_driver_read(struct call *call)
{
    char piece[PIECE];
    if (!uart_present(UART_DRIVER)) {
        return FAIL(STATUS_ERR_NOT_FOUND, UART_DRIVER, 0);
    }
    if (call->arguments[1] == 0 || (call->arguments[2] & ~(uint64_t)DRIVER_READ_OR_CHILD) != 0) {
        return FAIL(STATUS_ERR_ARGUMENT, call->arguments[1], call->arguments[2]);
    }
    call->arguments[1] = call->arguments[1] < sizeof(piece) ? call->arguments[1] : sizeof(piece);
    memset(piece, 0, call->arguments[1]);
    return user_write(vaddr_make(call->arguments[0]), piece, call->arguments[1]);
}

int64_t invoke_driver_read(struct call *call)
{
    char piece[PIECE];
    bool or_child = (call->arguments[2] & DRIVER_READ_OR_CHILD) != 0;
    size_t count = uart_read(UART_DRIVER, piece, call->arguments[1],
                             or_child ? &call->process->child_ended : NULL, process_has_zombie);
    status_t status = user_write(vaddr_make(call->arguments[0]), piece, count);
    return status != STATUS_OK ? status : (int64_t)count;
}
