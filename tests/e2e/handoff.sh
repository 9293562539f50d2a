#!/usr/bin/env bash
# Orrery as the kernel's boot loader: memory maps that scenarios write, corrupt handoff blocks, the in-kernel
# tests on such a block, and the stages of the boot (tests/e2e/uefi.sh has those with a firmware).
# covers: BT-01, BT-02, BT-02 (D), BT-03, BT-05, BT-09 (D)
source "$(dirname "$0")/lib.sh"

for cpus in 1 4; do
    expect_status "maps of every kind boot on $cpus cpus" 0 "$orrery" run scenarios/uefi-maps.lua --set processors=$cpus
done
expect_status "maps of every kind boot, timed" 0 "$orrery" run scenarios/uefi-maps.lua --engine timed
for part in 1 2 3 4 5; do
    expect_status "corrupt handoff blocks are refused by name, part $part" 0 "$orrery" run tests/e2e/handoff_corrupt.lua \
        --set part=$part
done
expect_status "in-kernel tests with a block made by a scenario" 0 "$orrery" run tests/e2e/handoff_ktests.lua
count_tap "with a block made by a scenario"

"$orrery" boot --kernel "$kernel" --initrd "$initrd" --cpus 2 --append '-- forkstorm --processes 5' >"$work/out" 2>&1
stages_are_documented "through PVH" "$work/out"

# the boot allocator is the boot's alone: the page-table builder takes from it what boot/ tells it to (pt_boot_allocator)
callers=$(grep -lE '\bboot_alloc_(frames|init|seal)\(' -r os --include='*.c' |
    grep -vE '^os/(boot/|kernel/test/|kernel/mm/boot_alloc\.c)' | LC_ALL=C sort)
expect_same "nobody outside boot/ takes frames from the boot allocator" "os/kernel/mm/pagetable.c" "$callers"

finish
