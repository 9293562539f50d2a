#!/usr/bin/env bash
# The benchmark runs, and all machines compute the same checksums. No speed is asserted here.
source "$(dirname "$0")/lib.sh"

make_shared -s guests >"$work/make" 2>&1 || fail "the benchmark guests build" "$(tail -5 "$work/make")"
expect_status "the benchmark runs and checksums agree" 0 scripts/bench --quick

finish
