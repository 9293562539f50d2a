#!/usr/bin/env bash
# A driver in user mode and a shell on the port that it drives, on one and on several CPUs.
source "$(dirname "$0")/lib.sh"

expect_status "a shell talks through a driver in user mode on 1 cpu" 0 "$orrery" run tests/e2e/kernel_shell.lua --cpus 1
expect_status "a shell talks through a driver in user mode on 4 cpus" 0 "$orrery" run tests/e2e/kernel_shell.lua --cpus 4 --seed 4

finish
