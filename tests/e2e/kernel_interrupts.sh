#!/usr/bin/env bash
# Interrupts at every instruction of what the kernel must not be caught in: release, allocation, switches, other handlers; and of a
# program that has a pattern in each register. CPUs are taken away by tests/e2e/preemption.lua,
# interrupts that are asked for are counted by tests/e2e/interrupts.lua.
source "$(dirname "$0")/lib.sh"

for group in 1 2 3 4; do
    expect_status "what gives resources back is never torn, group $group" 0 "$orrery" run tests/e2e/kernel_release.lua --set group=$group
done

# where the pattern is: the function, and the loop in its middle, which would take too long
program=build/os/programs/threadtest
read -r first last < <(nm -n "$program" | awk 'found {print at, $1; exit} / thread_keep_registers$/ {found = 1; at = $1}')
middle=$(objdump -d "$program" --start-address="0x$first" --stop-address="0x$last" | awk '/subq +\$0x1,0x10\(%rsp\)/ {sub(":", "", $1); print $1; exit}')
for part in 1 2 3 4; do
    expect_status "interrupts in allocators, in each other, in a program and in a switch take nothing, part $part" 0 "$orrery" run \
        tests/e2e/kernel_interrupts.lua --set part=$part --set first=$((16#$first)) --set middle=$((16#$middle)) --set last=$((16#$last - 1))
done

for seed in 1 2; do
    expect_status "sections that must not be interrupted are not, seed $seed" 0 "$orrery" run tests/e2e/kernel_sections.lua --seed $seed
done

finish
