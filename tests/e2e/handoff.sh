#!/usr/bin/env bash
# Orrery as the kernel's boot loader: memory maps that scenarios write, corrupt handoff blocks, the in-kernel
# tests on such a block, and the stages of the boot (tests/e2e/uefi.sh has those with a firmware).
# covers: BT-01, BT-02, BT-02 (D), BT-03, BT-05
source "$(dirname "$0")/lib.sh"
ways=handoff

for cpus in 1 4; do
    expect_status "maps of every kind boot on $cpus cpus" 0 "$orrery" run scenarios/uefi-maps.lua --set processors=$cpus
done
expect_status "maps of every kind boot, timed" 0 "$orrery" run scenarios/uefi-maps.lua --engine timed
for part in 1 2 3 4 5; do
    expect_status "corrupt handoff blocks are refused by name, part $part" 0 "$orrery" run tests/e2e/handoff_corrupt.lua \
        --set part=$part
done
expect_ktests "in-kernel tests with a block made by a scenario" 0 "$orrery" run tests/e2e/handoff_ktests.lua

# programs and panics of rows that uefi.sh has with a firmware
run_program_by_handoff "programs run with a block made by a scenario, on two nodes" 2 selftest
# covers: BT-02
expect_stages "the stages of the boot are those of docs/boot.md with a block made by a scenario" "$work/out"
dying() {
    "$orrery" run tests/e2e/handoff_boot.lua --set kernel=build/os/orrery-test.elf --set line="panic=$1" >"$work/out" 2>&1
}
# covers: BT-05 (K), BT-06 (K), BT-07 (K), BT-09 (K)
expect_panics "what may not be touched before or after its time panics with a block made by a scenario"

"$orrery" boot --kernel "$kernel" --initrd "$initrd" --cpus 2 --append '-- forkstorm --processes 5' >"$work/out" 2>&1
ways=pvh
# covers: BT-02
expect_stages "the stages of the boot are those of docs/boot.md through PVH" "$work/out"
ways=handoff

# covers: BT-09 (D)
callers() {
    grep -lE '\bboot_alloc_(frames|init|seal)\(' -r "$@" --include='*.c' |
        grep -vE '^os/(boot/|kernel/test/|kernel/mm/boot_alloc\.c)' | LC_ALL=C sort
}
found=$(callers os)
expect_same "nobody outside boot/ takes frames from the boot allocator" "none" "${found:-none}"
echo 'status = boot_alloc_frames(1, 1, REGION_BOOT_PAGE_TABLE, table);' >"$work/planted.c"
expect_same "one who does would be found" "$work/planted.c" "$(callers "$work/planted.c")"

finish
