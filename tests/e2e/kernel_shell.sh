#!/usr/bin/env bash
# A driver in user mode and a shell on the port that it drives, on one and on several CPUs; and characters that come at any
# moment of the port's drivers.
source "$(dirname "$0")/lib.sh"

expect_status "a shell talks through a driver in user mode on 1 cpu" 0 "$orrery" run tests/e2e/kernel_shell.lua --cpus 1
expect_status "a shell talks through a driver in user mode on 4 cpus" 0 "$orrery" run tests/e2e/kernel_shell.lua --cpus 4 --seed 4
expect_status "a shell talks through a driver in user mode on 2 cpus" 0 "$orrery" run tests/e2e/kernel_shell.lua --cpus 2 --seed 2
expect_status "a character at any moment of a serial port's drivers loses nothing" 0 "$orrery" run tests/e2e/kernel_port.lua

finish
