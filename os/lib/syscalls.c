/* One stub a system call, from the rows of abi/syscalls.def. */
#include "lib/orrery.h"

#define WORD(argument)                           ((uint64_t)(uintptr_t)(argument))
#define STUB_ARGUMENTS_0()                       syscall3, (0, 0, 0)
#define STUB_ARGUMENTS_1(t1, n1)                 syscall3, (WORD(n1), 0, 0)
#define STUB_ARGUMENTS_2(t1, n1, t2, n2)         syscall3, (WORD(n1), WORD(n2), 0)
#define STUB_ARGUMENTS_3(t1, n1, t2, n2, t3, n3) syscall3, (WORD(n1), WORD(n2), WORD(n3))
#define STUB_ARGUMENTS_4(t1, n1, t2, n2, t3, n3, t4, n4) \
    syscall6, (WORD(n1), WORD(n2), WORD(n3), WORD(n4), 0, 0)
#define STUB_ARGUMENTS_5(t1, n1, t2, n2, t3, n3, t4, n4, t5, n5) \
    syscall6, (WORD(n1), WORD(n2), WORD(n3), WORD(n4), WORD(n5), 0)
#define STUB_ARGUMENTS_6(t1, n1, t2, n2, t3, n3, t4, n4, t5, n5, t6, n6) \
    syscall6, (WORD(n1), WORD(n2), WORD(n3), WORD(n4), WORD(n5), WORD(n6))
#define LIST(...)                              __VA_ARGS__
#define CALL(number, function, words)          function(number, LIST words)
#define CALL_VALUE(number, ...)                return CALL(number, __VA_ARGS__)
#define MESSAGE_WORDS(handle, registers, none) handle, (struct ipc_registers *)(uintptr_t)(registers)
#define MESSAGE(number, function, words)       syscall_message(number, MESSAGE_WORDS words)
#define CALL_MESSAGE(number, ...)              return MESSAGE(number, __VA_ARGS__)
#define CALL_NEVER(number, ...)    \
    for (;;) {                     \
        CALL(number, __VA_ARGS__); \
    }

#define SYSCALL(number, id, name, where, type, rights, result, arguments, returns, text) \
    SYSCALL_RESULT_##result sys_##name(SYSCALL_TAKES_##arguments)                        \
    {                                                                                    \
        CALL_##result(SYS_##id, STUB_##arguments);                                       \
    }
#include "abi/syscalls.def"
#undef SYSCALL
