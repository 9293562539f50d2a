#!/bin/sh
# Prints docs/syscalls.md: syscalls-md.sh OS-DIRECTORY COMPILER
set -eu
printf '%s\n%s\n' '#define SYSCALL(n, id, name, cap, rights, args, ret, text) @n|id|name|cap|rights|args|ret|text' \
    '#include "abi/syscalls.def"' |
    "$2" -E -P -I"$1" -x c - | sed 's/"//g' | awk -f "$1/tools/syscalls-md.awk"
