#!/usr/bin/env bash
# The same ELF in QEMU and in Orrery: the same console, line by line, after sorting what CPUs may interleave and masking
# what time decides (latencies, clock rates) and what the two machines' memory maps decide (frame counts).
source "$(dirname "$0")/lib.sh"

# in_qemu MACHINE CPUS MEMORY APPEND -> $work/qemu and the status
in_qemu() {
    scripts/qemu-run -t 500 -M "$1" -c "$2" -m "$3" -k "$kernel" -i "$initrd" -a "$4" </dev/null >"$work/qemu" 2>&1
}

compare() {
    local machine=$1 cpus=$2 memory=$3 append=$4 q o
    in_qemu "$machine" "$cpus" "$memory" "$append"
    q=$?
    timeout 500 "$orrery" boot --kernel "$kernel" --initrd "$initrd" --cpu tcg72 --cpus "$cpus" --memory "${memory}M" \
        --append "$append" >"$work/orrery" 2>&1 </dev/null
    o=$?
    ! grep '^# disturbed' "$work/orrery" || fail "no test is disturbed: $machine: $cpus cpus, $memory MiB, '$append'"
    mask <"$work/qemu" >"$work/qemu.masked"
    mask <"$work/orrery" >"$work/orrery.masked"
    if [ $q -eq 33 ] && [ $o -eq 33 ] && [ -s "$work/qemu.masked" ] && cmp -s "$work/qemu.masked" "$work/orrery.masked"; then
        ok "the same console as QEMU $machine: $cpus cpus, $memory MiB, '$append'"
    else
        fail "the same console as QEMU $machine: $cpus cpus, $memory MiB, '$append'" "status $q in QEMU, $o here" \
            "$(diff "$work/qemu.masked" "$work/orrery.masked")"
    fi
}

compare pc 1 128 '-- forkstorm --processes 100 --depth 3'
compare pc 2 16 '-- forkstorm --processes 60 --depth 2'
compare pc 4 256 '-- forkstorm --processes 200 --depth 4'
compare q35 2 256 '-- forkstorm --processes 100 --depth 2'
compare q35 8 512 '-- forkstorm --processes 100 --depth 3'
compare pc 4 256 '-- selftest'
compare q35 4 256 '-- selftest'

finish
