#!/usr/bin/env bash
# What the scheduler promises, seen by a program (os/programs/schedmix): shares, order, latency, balance, masks, ticks.
# covers: TS-03
source "$(dirname "$0")/lib.sh"

order="shares_follow_weights real_time_runs_in_strict_order round_robin_shares_a_level deadlines_get_their_budget"
order+=" a_raised_level_counts_at_once a_woken_real_time_thread_runs_at_once yield_lets_the_other_run idle_cpus_take_no_ticks"
order+=" figures_of_a_thread_agree bad_arguments_are_refused"
for run in "--cpus 1|$order" "--cpus 2 --engine timed|figures_of_a_thread_agree a_woken_real_time_thread_runs_at_once" \
    "--cpus 3|equal_spinners_change_every_quantum slices_shrink_with_load an_idle_cpu_pulls three_on_two_cpus_stay" \
    "--cpus 4|load_spreads nobody_runs_outside_its_mask" "--cpus 4 --numa 2|threads_stay_near_their_memory" \
    "--cpus 3 --cpu tcg72|real_time_threads_evade_each_other cpus_go_and_come_under_load" \
    "--cpus 4|cpus_go_and_come_under_load" "--cpus 1|real_time_is_throttled many_threads_share_fairly"; do
    machine=${run%%|*}
    tests=${run#*|}
    # shellcheck disable=SC2086
    expect_status "the scheduler keeps its promises $machine $tests" 33 "$orrery" boot --kernel "$kernel" \
        --initrd "$initrd" --max-cycles 100000000000 $machine --append "-- schedmix --ms 60 --events 16 $tests"
    sed -i 's/\r$//' "$work/out"
    record_tap os/programs/schedmix
    grep -q '^not ok' "$work/out" && fail "all of schedmix $machine" "$(grep '^not ok' "$work/out")"
done
expect_status "the scheduler and its CPUs, looked at from outside" 0 "$orrery" run tests/e2e/kernel_sched.lua
finish
