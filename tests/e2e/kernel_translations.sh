#!/usr/bin/env bash
# Translations that CPUs keep, looked at from outside while programs map, unmap, fork and end; copies that meet holes.
source "$(dirname "$0")/lib.sh"

expect_status "no CPU keeps what the page tables do not have" 0 "$orrery" run tests/e2e/kernel_stale.lua
for cpus in 2 16; do
    expect_status "no CPU keeps what the page tables do not have, with $cpus CPUs" 0 "$orrery" run tests/e2e/kernel_stale.lua \
        --cpus $cpus --set seeds=1
done

expect_status "copies end where pages end" 0 "$orrery" run tests/e2e/kernel_usercopy.lua

finish
