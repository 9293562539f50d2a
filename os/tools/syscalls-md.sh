#!/bin/sh
# Prints docs/syscalls.md: syscalls-md.sh OS-DIRECTORY COMPILER
set -eu
printf '%s\n' '#define ARGUMENTS_0()' '#define ARGUMENTS_1(t1, n1) t1 n1' '#define ARGUMENTS_2(t1, n1, t2, n2) t1 n1, t2 n2' \
    '#define ARGUMENTS_3(t1, n1, t2, n2, t3, n3) t1 n1, t2 n2, t3 n3' \
    '#define SYSCALL(n, id, name, cap, rights, result, args, ret, text) @n|id|name|cap|rights|args|ret|text' \
    '#include "abi/syscalls.def"' |
    "$2" -E -P -I"$1" -x c - | sed 's/"//g; s/\* \([a-z]\)/*\1/g' | awk -f "$1/tools/syscalls-md.awk"
