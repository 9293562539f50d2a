#!/usr/bin/env bash
# What the scheduler promises, seen by a program (os/programs/schedmix): shares, order, latency, balance, masks, ticks.
source "$(dirname "$0")/lib.sh"

long="real_time_is_throttled many_threads_share_fairly"
for run in "--cpus 4|" "--cpus 4 --numa 2|threads_stay_near_their_memory load_spreads" "--cpus 1 --cpu tcg72|" \
    "--cpus 4|cpus_go_and_come_under_load" "--cpus 2 --engine timed|shares_follow_weights a_woken_real_time_thread_runs_at_once" "--cpus 1|$long"; do
    machine=${run%%|*}
    tests=${run#*|}
    # shellcheck disable=SC2086
    expect_status "the scheduler keeps its promises $machine $tests" 33 "$orrery" boot --kernel "$kernel" \
        --initrd "$initrd" --max-cycles 100000000000 $machine --append "-- schedmix --ms 100 $tests"
    sed -i 's/\r$//' "$work/out"
    grep -q '^not ok' "$work/out" && fail "all of schedmix $machine" "$(grep '^not ok' "$work/out")"
done
finish
