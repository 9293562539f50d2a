#!/usr/bin/env bash
# What the adapter of the kernel in os/ shows of it, against what the kernel does.
source "$(dirname "$0")/lib.sh"

for machine in "--cpus 4" "--cpus 1" "--cpus 2 --engine fast"; do
    # shellcheck disable=SC2086
    expect_status "tasks, slabs, locks, messages and helpers are seen as they are $machine" 0 \
        "$orrery" run tests/e2e/kernel_state.lua $machine
done

finish
