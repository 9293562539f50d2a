#!/usr/bin/env bash
# The dimension store as a program of the system (os/programs/dimtest): every call, on one CPU and several, and in QEMU on both
# PC boards.
source "$(dirname "$0")/lib.sh"

# check WHERE: what the kernel and the store said meanwhile
check() {
    expect_same "nine writes to layers were faults $1" 9 \
        "$(sed -n '/access_gives_the_bytes_in_place/,/writing_faults/p' "$work/out" |
            grep -cE '^process [0-9]+ dimtest: killed by page fault, protection violation at ')"
    expect_same "use was warned of at two thresholds $1" "75 85" \
        "$(sed -nE 's/^# memory use has come to ([0-9]+) % .*/\1/p' "$work/out" | tr '\n' ' ' | sed 's/ $//')"
}

for machine in "--cpus 1" "--cpus 4 --engine timed" "--cpus 2 --memory-model tso --board microvm"; do
    # shellcheck disable=SC2086
    run_program "the dimension store works on the system $machine" dimtest -- $machine
    check "$machine"
done
run_program "no bit of a file can be another" dimtest --every-bit -- --cpus 1
expect_same "each of its bits was tried" 65536 "$(sed -n 's/^# \([0-9]*\) bits: 64 magic, 16 version, 65456 checksum$/\1/p' "$work/out")"
expect_status "the store costs what it may on 1 to 8 CPUs" 0 "$orrery" run tests/e2e/dimension_bench.lua
sed -n 's/^ \{10\}/# /p' "$work/out"

for board in pc q35; do
    run_program_in_qemu "the dimension store works in QEMU $board" dimtest -- -M $board -c 4
    check "in QEMU $board"
done
finish
