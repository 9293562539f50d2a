#!/usr/bin/env bash
# States of processes, and lookups of processes that end, provoked by a scenario.
source "$(dirname "$0")/lib.sh"

expect_status "states and lookups of processes keep their promises" 0 "$orrery" run tests/e2e/kernel_process.lua

finish
