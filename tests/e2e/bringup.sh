#!/usr/bin/env bash
# Processors and banner, on two of the ways in (the third: tests/e2e/uefi.sh); the clock that they measure.
source "$(dirname "$0")/lib.sh"

ways="pvh handoff"
expect_status "processors come up and the banner prints, whatever happens" 0 "$orrery" run tests/e2e/bringup.lua
ways=pvh
expect_status "the clock is measured right on a processor that comes and goes" 0 "$orrery" run tests/e2e/clock.lua
finish
