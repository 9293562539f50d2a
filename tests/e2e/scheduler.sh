#!/usr/bin/env bash
# What the scheduler promises, seen by a program (os/programs/schedmix): shares, order, latency, balance, masks, ticks.
# covers: TS-03
source "$(dirname "$0")/lib.sh"

# Those that take long are run by kernel_sched_long.lua, which does not simulate the spinning.
order="shares_follow_weights real_time_runs_in_strict_order"
order+=" round_robin_shares_a_level deadlines_get_their_budget a_raised_level_counts_at_once"
order+=" a_woken_real_time_thread_runs_at_once yield_lets_the_other_run idle_cpus_take_no_ticks figures_of_a_thread_agree"
order+=" bad_arguments_are_refused"
wakes="a_woken_real_time_thread_runs_at_once a_wake_from_another_cpu_is_followed_at_once"
wakes+=" equal_deadlines_end_in_the_order_of_the_calls idle_cpus_take_no_ticks turns_of_a_level_follow_one_order"
wakes+=" an_idle_cpu_runs_at_once_who_is_woken_there"
moves="equal_spinners_change_every_quantum an_idle_cpu_pulls three_on_two_cpus_stay a_cold_thread_goes_first"
moves+=" an_idle_cpu_gets_what_waits"
crossings="each_crossing_of_nodes_is_counted_once who_loses_its_node_crosses_once a_full_node_gives_away_who_is_counted"
least="a_thread_goes_to_the_least_loaded_of_its_mask who_is_woken_goes_to_the_least_loaded_of_its_mask"
for run in "--cpus 1|$order" "--cpus 2|$wakes" "--cpus 2 --engine timed|figures_of_a_thread_agree $wakes" "--cpus 3|$moves" \
    "--cpus 4|load_spreads nobody_runs_outside_its_mask idle_cpus_take_no_ticks $least" \
    "--cpus 4 --numa 2|threads_stay_near_their_memory a_thread_goes_to_the_nearest_cpu $crossings" \
    "--cpus 6 --numa 3|$crossings" "--cpus 4|$crossings" \
    "--cpus 3 --cpu tcg72|real_time_threads_evade_each_other cpus_go_and_come_under_load" \
    "--cpus 4|cpus_go_and_come_under_load" \
    "--cpus 4|masks_hold_while_cpus_go who_loses_the_last_cpu_of_its_mask_runs_anywhere"; do
    machine=${run%%|*}
    tests=${run#*|}
    # shellcheck disable=SC2086
    run_program "the scheduler keeps its promises $machine $tests" schedmix --ms 60 --events 16 $tests -- $machine
done
expect_status "the scheduler and its CPUs, looked at from outside" 0 "$orrery" run tests/e2e/kernel_sched.lua
for cpus in 1 2; do
    run_program "what is kept of threads and processes that have ended is told apart --cpus $cpus" threadtest \
        what_is_kept_of_the_ended_is_told_apart -- --cpus $cpus
done
expect_status "what is kept of the ended leads to no memory that is freed" 0 "$orrery" run tests/e2e/kernel_ended.lua
grep '^ *[0-9]* instructions' "$work/out"
expect_status "so it does over seconds of load and a thousand changes of its CPUs" 0 "$orrery" run tests/e2e/kernel_sched_long.lua
grep '^ *[0-9]* spinners\|^ *of [0-9]* threads\|changes beside' "$work/out"
expect_status "what the kernel counts is what the simulator counts" 0 "$orrery" run tests/e2e/kernel_account.lua
finish
