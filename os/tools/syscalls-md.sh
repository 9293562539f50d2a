#!/bin/sh
# Prints docs/syscalls.md: syscalls-md.sh OS-DIRECTORY COMPILER
set -eu
printf '%s\n' '#define ARGUMENTS_0()' '#define ARGUMENTS_1(t1, n1) t1 n1' '#define ARGUMENTS_2(t1, n1, ...) t1 n1, ARGUMENTS_1(__VA_ARGS__)' \
    '#define ARGUMENTS_3(t1, n1, ...) t1 n1, ARGUMENTS_2(__VA_ARGS__)' '#define ARGUMENTS_4(t1, n1, ...) t1 n1, ARGUMENTS_3(__VA_ARGS__)' \
    '#define ARGUMENTS_5(t1, n1, ...) t1 n1, ARGUMENTS_4(__VA_ARGS__)' '#define ARGUMENTS_6(t1, n1, ...) t1 n1, ARGUMENTS_5(__VA_ARGS__)' \
    '#define SYSCALL(n, id, name, where, type, rights, result, args, ret, text) @n|id|name|where|type|rights|args|ret|text' \
    '#include "abi/syscalls.def"' |
    "$2" -E -P -I"$1" -x c - | sed 's/"//g; s/\* \([a-z]\)/*\1/g' | awk -f "$1/tools/syscalls-md.awk"
