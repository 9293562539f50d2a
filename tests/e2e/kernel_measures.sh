#!/usr/bin/env bash
# Figures of the kernel that a program cannot take of itself, with the bounds they have to keep.
source "$(dirname "$0")/lib.sh"

pressure="memhog 90; forkstorm --processes 60 --depth 3; selftest"
# MACHINE|LOAD, empty: the scenario's own: ordinary programs, revocations, shortage of memory, many CPUs, nodes
for run in "--cpus 1|" "--cpus 2|" "--cpus 8|" "--cpus 2|captest revocation_goes_deep_and_wide" "--cpus 8|capstorm 12 10" \
    "--cpus 4 --memory 128M|$pressure" "--cpus 8 --numa 4 --memory 128M|$pressure"; do
    load=${run#*|}
    # shellcheck disable=SC2086
    expect_status "the kernel leaves interrupts off and holds a CPU for short times only: ${run%%|*} $load" 0 \
        "$orrery" run tests/e2e/kernel_windows.lua ${run%%|*} ${load:+--set "load=$load"} --set least=500
    grep -A12 'interrupts-off' "$work/out"
done

expect_status "quanta, the scheduler's share, its statistics and the waits for locks are within bounds" 0 \
    "$orrery" run tests/e2e/kernel_measures.lua
grep '^        ' "$work/out"

# Capacity of covert channels, and the page that says what is done about each.
expect_status "a secret passes through the kernel as fast as its pages say, and not where a measure is taken" 0 \
    "$orrery" run tests/e2e/kernel_covert.lua
grep 'bits a second' "$work/out" | tee "$work/channels"
unnamed=""
while read -r channel where rate _; do
    rate=${rate//,/}
    page=$(sed -n "s/^| \`$channel\` | .* | \([0-9,]*\) | .* | .* |$/\1/p" docs/design/security.md | tr -d ,)
    page=${page:-0}
    [ "$where" = apart ] || [ "$((10 * (page > rate ? page - rate : rate - page)))" -le "$rate" ] || unnamed+=" $channel: $rate"
done <"$work/channels"
# covers: CP-25 (D)
expect_same "every channel that is measured has its measure on the page, to a tenth" "$(wc -l <"$work/channels")$unnamed" 16

# What hardware would tell is not measured; the page says what of it is shared.
unnamed=""
for what in "L1 and L2 caches" "lines of a shared page" "last-level cache" "TLBs and paging-structure caches" "branch predictors" \
    "prefetchers and store buffers" "execution units" "memory bus and rows" "the kernel's own lines" "clock and power"; do
    grep -q "^| \`$what\` | .* | .* | .* | .* |$" docs/design/security.md || unnamed+=" $what"
done
# covers: CP-25 (D)
expect_same "what hardware remembers has who shares it and what is left on the page" "none" "${unnamed:-none}"

finish
