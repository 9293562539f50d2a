#!/usr/bin/env bash
# Random programs on random machines: every stamp is the oracle's (scripts/fuzz-timing; for a night: make fuzz-timing SEEDS=100000).
source "$(dirname "$0")/lib.sh"

make_shared -s oracle >"$work/make" 2>&1 || fail "the oracle builds" "$(tail -5 "$work/make")"
expect_status "stamps of random programs" 0 scripts/fuzz-timing --seeds 120 --seconds 40 --keep "$work/kept"
sed 's/^/# /' "$work/out" | tail -1
expect_status "the mistakes of scripts/mutate-timing fit into the model" 0 scripts/mutate-timing --check
finish
