#!/usr/bin/env bash
# The memory of the kernel on the running machine, looked at from outside.
source "$(dirname "$0")/lib.sh"

expect_status "memory is local, charged, shared, rolled back and given back" 0 "$orrery" run tests/e2e/kernel_memory.lua

finish
