#!/usr/bin/env bash
# Races and shortages of the kernel, provoked by a scenario on few and on many CPUs.
source "$(dirname "$0")/lib.sh"

expect_status "provoked races and shortages are survived on 4 cpus" 0 "$orrery" run tests/e2e/kernel_hunt.lua
expect_status "provoked races and shortages are survived on 8 cpus" 0 "$orrery" run tests/e2e/kernel_hunt.lua --cpus 8 --seed 8 \
    --set processes=30

finish
