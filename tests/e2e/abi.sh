#!/usr/bin/env bash
# The binary interface of the system is the frozen one: calls by number, statuses, constants, layouts.
# covers: NX-01 (D)
source "$(dirname "$0")/lib.sh"

expect_status "what was frozen is still so" 0 scripts/abi --check
expect_same "every call is frozen" "$(scripts/abi | grep -c '^call ')" "$(grep -c '^call ' os/abi/frozen.txt)"

copy=$work/tree
mkdir -p "$copy/os" "$copy/scripts"
cp scripts/abi "$copy/scripts/"

# notices NAME FILE SED-PROGRAM WHAT: in a copy with this change the check fails and names it
notices() {
    rm -rf "$copy/os/abi"
    cp -a os/abi "$copy/os/"
    sed -i "$3" "$copy/os/abi/$2"
    if cmp -s "os/abi/$2" "$copy/os/abi/$2" || "$copy/scripts/abi" --check >"$work/out" 2>&1 || ! grep -q -- "$4" "$work/out"; then
        fail "noticed: $1" "$(cat "$work/out")"
    else
        ok "noticed: $1"
    fi
}

notices "a call gets another number" syscalls.def 's/^SYSCALL(6, YIELD/SYSCALL(99, YIELD/' 'no longer so: call 6 yield'
notices "a number is used twice" syscalls.def 's/^SYSCALL(6, YIELD/SYSCALL(5, YIELD/' 'each number has one row'
notices "a call needs another right" syscalls.def '/^SYSCALL(8, /s/NOWHERE, NONE/SLOT, STATISTICS/' 'no longer so: call 8 clock'
notices "an argument changes its type" syscalls.def '/^SYSCALL(7, /s/uint64_t/uint32_t/' 'no longer so: call 7 sleep'
notices "a status changes its value" status.def 's/STATUS_ERR_NO_MEMORY, -16/STATUS_ERR_NO_MEMORY, -30/' 'STATUS_ERR_NO_MEMORY = -16'
notices "a right changes its bit" abi.h 's/RIGHT_GRANT   0x10u/RIGHT_GRANT 0x20u/' 'RIGHT_GRANT = 16'
notices "a member moves" abi.h '/^struct cap_info/,/^}/s/    uint64_t id;/    uint64_t more;\n    uint64_t id;/' 'offset of cap_info.id = 0'
notices "a structure without a length grows" abi.h '/^struct cap_info/,/^}/s/    uint32_t flags;/    uint32_t flags;\n    uint64_t more;/' \
    'bytes of struct cap_info'
notices "a retired number is given to another call" syscalls.def 's/^SYSCALL(72, PROCESS_KILL/SYSCALL(71, PROCESS_KILL/' \
    'this is retired: call 71 process_kill'
notices "a retired call comes back under another number" syscalls.def 's/^SYSCALL(75, ERROR_STATS, error_stats/SYSCALL(79, NAME_FIND, name_find/' \
    'this is retired: call 79 name_find'
notices "a retired number is given to another type of capability" capabilities.def 's/^CAP_TYPE(7, AUDIT/CAP_TYPE(8, AUDIT/' \
    'this is retired: number CAP_AUDIT = 8'
notices "a structure gets padding" abi.h '/^struct region_info/,/^}/s/    uint64_t denied;/    uint32_t denied;/' \
    'struct region_info has padding'
notices "a type of capability is taken away" capabilities.def '/PORTS/d' 'CAP_PORTS = 22'

# A new right is no change of what was frozen, though the mask of all rights grows with it.
rm -rf "$copy/os/abi"
cp -a os/abi "$copy/os/"
sed -i 's/^#define RIGHTS_ALL .*/#define RIGHT_NEW 0x20u\n#define RIGHTS_ALL 0x3fu/' "$copy/os/abi/abi.h"
expect_status "a new right is allowed" 0 "$copy/scripts/abi" --check
expect_same "and is new" 1 "$("$copy/scripts/abi" | grep -c '^constant RIGHT_NEW = 32$')"

finish
