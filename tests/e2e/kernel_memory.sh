#!/usr/bin/env bash
# Memory and statistics of the kernel on the running machine, looked at from outside.
source "$(dirname "$0")/lib.sh"

expect_status "memory is local, charged, shared, rolled back and given back" 0 "$orrery" run tests/e2e/kernel_memory.lua

expect_status "statistics are true while everything moves" 0 "$orrery" run tests/e2e/kernel_stats.lua

expect_status "programs take memory in rounds, in pieces, and with little left" 0 "$orrery" run tests/e2e/kernel_system.lua

finish
