/* One stub a system call, from the rows of abi/syscalls.def. */
#include "lib/orrery.h"

#define WORD(argument)                            ((uint64_t)(uintptr_t)(argument))
#define WORDS_ARGUMENTS_0()                       0, 0, 0
#define WORDS_ARGUMENTS_1(t1, n1)                 WORD(n1), 0, 0
#define WORDS_ARGUMENTS_2(t1, n1, t2, n2)         WORD(n1), WORD(n2), 0
#define WORDS_ARGUMENTS_3(t1, n1, t2, n2, t3, n3) WORD(n1), WORD(n2), WORD(n3)
#define CALL_VALUE(number, ...)                   return syscall3(number, __VA_ARGS__)
#define CALL_NEVER(number, ...)        \
    for (;;) {                         \
        syscall3(number, __VA_ARGS__); \
    }

#define SYSCALL(number, id, name, capability, rights, result, arguments, returns, text) \
    SYSCALL_RESULT_##result sys_##name(SYSCALL_TAKES_##arguments)                       \
    {                                                                                   \
        CALL_##result(SYS_##id, WORDS_##arguments);                                     \
    }
#include "abi/syscalls.def"
#undef SYSCALL
