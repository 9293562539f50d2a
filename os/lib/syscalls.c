/* One stub a system call; the numbers come from abi/syscalls.def. */
#include "lib/orrery.h"

void sys_exit(int status)
{
    for (;;) {
        syscall3(SYS_EXIT, (uint64_t)status, 0, 0);
    }
}

int64_t sys_fork(void)
{
    return syscall3(SYS_FORK, 0, 0, 0);
}

int64_t sys_exec(const char *path, const char *const *argv, const char *const *envp)
{
    return syscall3(SYS_EXEC, (uintptr_t)path, (uintptr_t)argv, (uintptr_t)envp);
}

int64_t sys_wait(uint32_t pid, int32_t *status, unsigned flags)
{
    return syscall3(SYS_WAIT, pid, (uintptr_t)status, flags);
}

int64_t sys_getpid(void)
{
    return syscall3(SYS_GETPID, 0, 0, 0);
}

int64_t sys_getppid(void)
{
    return syscall3(SYS_GETPPID, 0, 0, 0);
}

int64_t sys_yield(void)
{
    return syscall3(SYS_YIELD, 0, 0, 0);
}

int64_t sys_sleep(uint64_t ns)
{
    return syscall3(SYS_SLEEP, ns, 0, 0);
}

int64_t sys_clock(void)
{
    return syscall3(SYS_CLOCK, 0, 0, 0);
}

int64_t sys_console_write(const char *text, size_t bytes)
{
    return syscall3(SYS_CONSOLE_WRITE, (uintptr_t)text, bytes, 0);
}

int64_t sys_driver_read(char *buffer, size_t bytes, unsigned flags)
{
    return syscall3(SYS_DRIVER_READ, (uintptr_t)buffer, bytes, flags);
}

int64_t sys_driver_write(const char *text, size_t bytes)
{
    return syscall3(SYS_DRIVER_WRITE, (uintptr_t)text, bytes, 0);
}

int64_t sys_map(uint64_t hint, uint64_t bytes, unsigned protection)
{
    return syscall3(SYS_MAP, hint, bytes, protection);
}

int64_t sys_unmap(uint64_t address, uint64_t bytes)
{
    return syscall3(SYS_UNMAP, address, bytes, 0);
}

int64_t sys_protect(uint64_t address, uint64_t bytes, unsigned protection)
{
    return syscall3(SYS_PROTECT, address, bytes, protection);
}

int64_t sys_stats(struct system_stats *out, size_t bytes)
{
    return syscall3(SYS_STATS, (uintptr_t)out, bytes, 0);
}

int64_t sys_shutdown(unsigned code)
{
    return syscall3(SYS_SHUTDOWN, code, 0, 0);
}

int64_t sys_quiesce(void)
{
    return syscall3(SYS_QUIESCE, 0, 0, 0);
}

int64_t sys_boot_arguments(char *buffer, size_t bytes)
{
    return syscall3(SYS_BOOT_ARGUMENTS, (uintptr_t)buffer, bytes, 0);
}

int64_t sys_cap_read(unsigned slot, struct cap_info *out)
{
    return syscall3(SYS_CAP_READ, slot, (uintptr_t)out, 0);
}

int64_t sys_quota(unsigned processes)
{
    return syscall3(SYS_QUOTA, processes, 0, 0);
}
