#!/usr/bin/env bash
# The dimension store as a service: os/programs/dimstore answers, os/programs/dimquery loads it, on several machines
# (in QEMU: tests/e2e/qemu_programs.sh).
source "$(dirname "$0")/lib.sh"

# planned WHERE TESTS: the program had so many tests to pass
planned() {
    expect_same "dimquery ran $2 tests $1" "1..$2" "$(grep '^1[.][.]' "$work/out")"
}

for machine in "--cpus 1" "--cpus 4 --engine timed --memory-model tso" "--cpus 8 --board microvm --numa 2"; do
    # shellcheck disable=SC2086
    run_program "the service keeps its promises $machine" dimquery -- $machine
    planned "$machine" 6
    # the flow: 10, 12 and 13 dimensions of 13 under the limit; the 95th percent again when room was made and taken
    expect_same "use is warned of once a crossing $machine" "75 85 95 95" \
        "$(sed -nE 's/^dimstore: memory use has come to ([0-9]+) % .*/\1/p' "$work/out" | tr '\n' ' ' | sed 's/ $//')"
    expect_same "four loads beyond the limit are refused with the figures $machine" 4 \
        "$(grep -c '^dimstore: dimension 13: the limit of memory would be exceeded: 20480 bytes wanted, 266240 of 266240 in use' "$work/out")"
done

# covers: DS-29
run_program "a hundred processes read at once while contents are switched" dimquery --clients 100 --queries 30 \
    readers_see_whole_contents flow_from_init_to_limits -- --cpus 4
planned "with 100 processes" 2
grep '^# ' "$work/out"
expect_same "there were a hundred readers" "# readers: 100, in 100 processes" "$(grep '^# readers' "$work/out")"
# covers: DS-29
run_program "a hundred threads read at once while contents are switched" dimquery --clients 4 --threads 25 --queries 30 \
    readers_see_whole_contents -- --cpus 8 --engine timed --memory-model tso
planned "with 100 threads" 1
expect_same "there were a hundred readers, of four processes" "# readers: 100, in 4 processes" "$(grep '^# readers' "$work/out")"

run_program "the core takes 280 MiB" dimquery the_footprint_is_280_mib -- --cpus 2 --memory 512M
planned "in full size" 1
grep '^# core' "$work/out"

expect_status "the server touches no content that clients read" 0 "$orrery" run scenarios/dimension-store.lua

# files of each form in a boot image of their own: text, plain, compressed; the last one damaged
make_dimensions
sh os/tools/mkcpio.sh build/os/programs init nameserver dimstore dimquery -- "$work"/dim*.odim "$work"/dim*.txt >"$work/files.cpio"
expect_status "files of every form are served from the boot image" 0 "$orrery" run scenarios/dimension-store.lua \
    --set initrd="$work/files.cpio" --set simulated=0
printf 'X' | dd of="$work/dim13.odim" bs=1 seek=4100 conv=notrunc status=none
sh os/tools/mkcpio.sh build/os/programs init nameserver dimstore dimquery -- "$work"/dim*.odim "$work"/dim*.txt >"$work/files.cpio"
expect_status "a damaged one stays out, the others are served" 0 "$orrery" run scenarios/dimension-store.lua \
    --set initrd="$work/files.cpio" --set simulated=0 --set failed=1

finish
