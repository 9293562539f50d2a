#!/usr/bin/env bash
# What the kernel's source and image show without a run: one definition of a process, the switch as it was written, and what
# capability each call wants.
source "$(dirname "$0")/lib.sh"

# Scheduler and process code have one structure each, and reach one from the other. covers: PS-15 (D)
expect_same "a process and a thread are defined once" "os/kernel/proc/process.h os/kernel/sched/thread.h" \
    "$(grep -rlE '^struct (process|thread) \{' os/kernel --include=*.[ch] | LC_ALL=C sort | tr '\n' ' ' | sed 's/ $//')"
expect_same "a thread points to its process, and nothing of the scheduler keeps a process of its own" "os/kernel/sched/thread.h" \
    "$(grep -rlE 'struct process \*' os/kernel/sched --include=*.h)"

# The switch, up to its return: what the ABI has a callee preserve, the two stack pointers, and nothing of a compiler's.
# covers: TH-12 (D)
code=$(objdump -d --no-show-raw-insn "$kernel" | awk '/<switch_context>:/ {inside = 1} inside {print} inside && /\tret/ {exit}' |
    grep -P '^[0-9a-f]+:\t' | sed -E 's/^[0-9a-f]+:\t//; s/ +/ /; s/ +$//' | tr '\n' ';')
wanted='push %rbp;push %rbx;push %r12;push %r13;push %r14;push %r15;mov %rsp,(%rsi);mov %rdi,%rsp;pop %r15;pop %r14;pop %r13;pop %r12;pop %rbx;pop %rbp;ret;'
expect_same "the switch is these instructions" "$wanted" "$code"
expect_same "and was written in assembly language" "os/kernel/arch/x86_64/entry.S" "$(grep -rl '^switch_context:' os)"

# Every call that wants no capability, by name: they are about the caller itself and the time. covers: CP-29 (D)
free=$(sed -nE 's/^SYSCALL\([0-9]+, [A-Z_]+, ([a-z_]+), NOWHERE, .*/\1/p' os/abi/syscalls.def | LC_ALL=C sort | tr '\n' ' ')
expect_same "calls without a capability" "boot_arguments cap_next clock error_report exit futex_wait futex_wake getpid getppid sleep \
thread_exit thread_join thread_self wait yield " "$free"
rows=$(grep -cE '^SYSCALL\(' os/abi/syscalls.def)
named=$(grep -cE '^SYSCALL\([0-9]+, [A-Z_]+, [a-z_]+, (SLOT|HANDLE|DIRECT), [A-Z]+, (0|RIGHT_[A-Z]+( \| RIGHT_[A-Z]+)*), ' os/abi/syscalls.def)
expect_same "all others say which they want, and with what rights" "$rows" "$((named + $(wc -w <<<"$free")))"
expect_same "and so does the page" "$named" "$(grep -cE '^\| [0-9]+ \| `[a-z_]+\(.*\)` \| [^ |]' docs/syscalls.md)"

finish
