#!/usr/bin/env bash
# Memory and statistics of the kernel on the running machine, looked at from outside.
source "$(dirname "$0")/lib.sh"

expect_status "memory is local, charged, shared, rolled back and given back" 0 "$orrery" run tests/e2e/kernel_memory.lua
ways=handoff
expect_status "also when a scenario is the kernel's loader" 0 "$orrery" run tests/e2e/kernel_memory.lua --set way=handoff
ways=pvh

expect_status "statistics are true while everything moves" 0 "$orrery" run tests/e2e/kernel_stats.lua

expect_status "programs take memory in rounds, in pieces, and with little left" 0 "$orrery" run tests/e2e/kernel_system.lua

# Addresses of memory come from the frame manager, the firmware's tables or the processor: nowhere are they written down.
fixed_addresses() {
    grep -nE 'paddr_make\([0-9]|phys_to_virt\([^)]*0x|pfn_t \w+ = [1-9]|\(pfn_t\)[ (]*[1-9]' "$@"
}
# covers: MM-23
expect_same "no physical address of processes, messages, capabilities is a constant" none \
    "$(fixed_addresses -r os/kernel/{proc,ipc,cap,object,sched,sys} | grep . || echo none)"
printf 'paddr_t here = paddr_make(0x100000);\npfn_t there = 256;\n' >"$work/planted.c"
expect_same "a constant address is found" 2 "$(fixed_addresses "$work/planted.c" | wc -l)"

finish
