/*
 * User copies on top of user_copy_raw (entry.S), which stops at a fault that could not be served and tells how much is left.
 * Why it could not is kept: it is the copy's own result.
 */
#include "proc/usercopy.h"

#include "lib/fail.h"
#include "mm/layout.h"

extern size_t user_copy_raw(void *to, const void *from, size_t bytes);
extern int user_load_raw(uint32_t *to, const uint32_t *from);

static bool in_user_half(vaddr_t address, uint64_t bytes)
{
    return vaddr_number(address) >= USER_BASE && vaddr_number(address) <= USER_END &&
           bytes <= USER_END - vaddr_number(address);
}

status_t user_range(vaddr_t address, uint64_t bytes)
{
    return in_user_half(address, bytes) ? STATUS_OK
                                        : FAIL(STATUS_ERR_BAD_ADDRESS, vaddr_number(address), bytes);
}

/* A copy has stopped on its way. */
static status_t stopped(vaddr_t at, uint64_t bytes)
{
    status_t status = failure_of_copy();
    return FAIL(status, vaddr_number(at), bytes);
}

status_t user_read(void *to, vaddr_t from, uint64_t bytes)
{
    if (!in_user_half(from, bytes)) {
        return FAIL(STATUS_ERR_BAD_ADDRESS, vaddr_number(from), bytes);
    }
    return user_copy_raw(to, vaddr_pointer(from), bytes) == 0 ? STATUS_OK : stopped(from, bytes);
}

status_t user_write(vaddr_t to, const void *from, uint64_t bytes)
{
    if (!in_user_half(to, bytes)) {
        return FAIL(STATUS_ERR_BAD_ADDRESS, vaddr_number(to), bytes);
    }
    return user_copy_raw(vaddr_pointer(to), from, bytes) == 0 ? STATUS_OK : stopped(to, bytes);
}

status_t user_load_now(uint32_t *to, vaddr_t from)
{
    if (!in_user_half(from, sizeof(*to)) || !vaddr_aligned(from, sizeof(*to))) {
        return STATUS_ERR_BAD_ADDRESS;
    }
    return user_load_raw(to, vaddr_pointer(from)) == 0 ? STATUS_OK : STATUS_ERR_NOT_MAPPED;
}

/* Reads up to the next page boundary at a time, so that memory behind the string is never touched. */
status_t user_read_string(char *to, vaddr_t from, uint64_t limit, uint64_t *length)
{
    uint64_t done = 0;
    while (done < limit) {
        vaddr_t at = vaddr_add(from, done);
        uint64_t piece = PAGE_SIZE - vaddr_offset(at);
        piece = piece < limit - done ? piece : limit - done;
        status_t status = user_read(to + done, at, piece);
        if (status != STATUS_OK) {
            return status;
        }
        for (uint64_t i = 0; i < piece; i++) {
            if (to[done + i] == '\0') {
                *length = done + i;
                return STATUS_OK;
            }
        }
        done += piece;
    }
    return FAIL(STATUS_ERR_LIMIT, vaddr_number(from), limit);
}
