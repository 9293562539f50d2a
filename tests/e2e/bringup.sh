#!/usr/bin/env bash
# Processors and banner, on two of the ways in (the third: tests/e2e/uefi.sh).
source "$(dirname "$0")/lib.sh"

expect_status "processors come up and the banner prints, whatever happens" 0 "$orrery" run tests/e2e/bringup.lua
finish
