#!/bin/sh
# Writes a cpio archive ("newc") of stripped programs and text files to standard output: mkcpio.sh DIRECTORY PROGRAM... -- TEXTFILE...
# Inode numbers count from 1; owner, dates and devices are 0.
set -eu
directory=$1
shift
inode=0

pad() { # bytes so far, in the member
    rest=$(( (4 - $1 % 4) % 4 ))
    [ "$rest" = 0 ] || head -c "$rest" /dev/zero
}

member() { # name, mode (octal), file or empty
    inode=$((inode + 1))
    size=0
    [ -z "$3" ] || size=$(wc -c < "$3")
    name_bytes=$((${#1} + 1))
    printf '070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X' \
        "$inode" "$((0$2))" 0 0 1 0 "$size" 0 0 0 0 "$name_bytes" 0
    printf '%s\0' "$1"
    pad $((110 + name_bytes))
    [ -z "$3" ] || { cat "$3"; pad "$size"; }
}

while [ $# -ne 0 ] && [ "$1" != -- ]; do
    member "$1" 100755 "$directory/$1.stripped"
    shift
done
[ $# -eq 0 ] || shift
for file in "$@"; do
    member "${file##*/}" 100644 "$file"
done
member 'TRAILER!!!' 0 ''
