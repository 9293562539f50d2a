#!/usr/bin/env bash
# Every program of the system in QEMU, on both PC boards with four CPUs, to a good end. What is left out is printed with its
# reason: it needs the simulator's control of time (CPUs that run whenever they have work, clocks that always tell the same),
# or hardware that TCG lacks.
#   tests/e2e/qemu_programs.sh --list      only says which tests of the tree run in QEMU and which do not, and why
[ "${1-}" != --list ] || BASH_ARGV0=$(dirname "$0")/list # the results of the last whole run stay
source "$(dirname "$0")/lib.sh"
if [ "${1-}" = --list ]; then
    rm "$results"
    results=/dev/null
fi

# words of a program's run; -TEST: a test that is left out of it
declare -A words=(
    [capstorm]="8 4" [captest]="-revocation_reaches_every_cpu" [covert]="endpoint together" [dimbench]="limit 4" [dimquery]=""
    [hostile]="20000 1" [hotplug]="--cycles 40"
    [ipcflood]="no_two_processes_share_a_bucket a_flood_passes_what_its_limit_allows"
    [ipctest]="-an_end_at_each_instruction -a_revocation_at_each_instruction"
    [memhog]="48" [proctest]="" [shmpingpong]="--rounds 200"
    [schedmix]="--ms 60 --events 16 bad_arguments_are_refused nobody_runs_outside_its_mask cpus_go_and_come_under_load
        masks_hold_while_cpus_go who_loses_the_last_cpu_of_its_mask_runs_anywhere real_time_runs_in_strict_order"
    [spawntest]="-the_time_of_a_spawn_is_told" [threadtest]=""
)
declare -A again=([hostile]="--hardware 4000 3") # words of a second run
# a child that sets QEMU's 8254 to less time than the host takes to serve it has stopped all other timers of that QEMU
declare -A board_options=([hostile]=",pit=off")
declare -A left_out=(
    [captest -revocation_reaches_every_cpu]="time: a capability may be in use elsewhere for 2.5 ms"
    [covert]="time: channels but one, their rates are the simulator's to measure"
    [dimbench]="time: measures in cycles; races that a scenario controls (tests/e2e/dimension_race.lua)"
    [ipctest -an_end_at_each_instruction]="time: the simulator holds a CPU there (tests/e2e/kernel_kill.lua)"
    [ipctest -a_revocation_at_each_instruction]="time: the simulator holds a CPU there (tests/e2e/kernel_going.lua)"
    [kbench]="time: cycles" [kborn]="part of kbench"
    [spawntest -the_time_of_a_spawn_is_told]="time: a bound in cycles"
)
# need PROGRAM REASON TEST...: tests that are left out of a program whose others are asked for by name
need() {
    local test
    for test in "${@:3}"; do left_out["$1 -$test"]=$2; done
}
need ipcflood "time: calls a second" a_victim_keeps_its_throughput a_victim_keeps_its_throughput_on_one_cpu
need schedmix "time: shares of a CPU in milliseconds" shares_follow_weights sleep_and_birth_gain_little \
    round_robin_shares_a_level deadlines_get_their_budget yield_lets_the_other_run many_threads_share_fairly \
    real_time_is_throttled
need schedmix "time: switches in so many milliseconds" equal_spinners_change_every_quantum slices_shrink_with_load \
    turns_of_a_level_follow_one_order
need schedmix "time: how late" a_raised_level_counts_at_once a_woken_real_time_thread_runs_at_once \
    a_wake_from_another_cpu_is_followed_at_once an_idle_cpu_runs_at_once_who_is_woken_there
need schedmix "time: cycles that a CPU works or idles" idle_cpus_take_no_ticks figures_of_a_thread_agree
need schedmix "time: who is moved within so many ticks" load_spreads an_idle_cpu_pulls an_idle_cpu_gets_what_waits \
    a_cold_thread_goes_first a_thread_goes_to_the_nearest_cpu real_time_threads_evade_each_other
need schedmix "time: a CPU that the host stops looks busy, so others are moved" three_on_two_cpus_stay \
    threads_stay_near_their_memory a_thread_goes_to_the_least_loaded_of_its_mask \
    who_is_woken_goes_to_the_least_loaded_of_its_mask each_crossing_of_nodes_is_counted_once \
    who_loses_its_node_crosses_once a_full_node_gives_away_who_is_counted
need schedmix "time: deadlines equal to the cycle; hardware: a clock of whole cycles in a nanosecond" \
    equal_deadlines_end_in_the_order_of_the_calls
# run by another script, or by the programs that use them
declare -A elsewhere=(
    [devtest]=tests/e2e/kernel_devices.sh [disktest]=tests/e2e/kernel_disk.sh [virtblk]="disktest" [dimtest]=tests/e2e/kernel_dimension.sh [forkstorm]=tests/e2e/qemu.sh [selftest]=tests/e2e/qemu.sh
    [init]="every run" [nameserver]="every run" [dimstore]="dimquery" [uartd]="shell" [shell]="below"
)

for what in "${!left_out[@]}"; do echo "# not in QEMU: $what: ${left_out[$what]}"; done | LC_ALL=C sort
for program in ipcflood schedmix; do
    tests=$(sed -nE 's/^    \{"([a-z_0-9]+)",.*/\1/p' os/programs/"$program"/*.c | LC_ALL=C sort)
    given=$(printf '%s\n' "${!left_out[@]}" | sed -n "s/^$program -//p")
    for word in ${words[$program]}; do [[ ! $word =~ ^[a-z] ]] || given+=$'\n'$word; done
    expect_same "each test of $program runs in QEMU, or a reason says why not" "$tests" "$(LC_ALL=C sort <<<"$given")"
done
programs=()
for folder in os/programs/*/; do
    program=$(basename "$folder")
    if [ -n "${words[$program]+there}" ]; then
        programs+=("$program")
    elif [ -n "${elsewhere[$program]-}" ]; then
        echo "# in QEMU: $program: ${elsewhere[$program]}"
        [[ ${elsewhere[$program]} != *.sh ]] || grep -qE "(in_qemu|qemu-run).* $program|^compare .*-- $program" "${elsewhere[$program]}" ||
            fail "$program runs in ${elsewhere[$program]}"
    elif [ -z "${left_out[$program]-}" ]; then
        fail "$program runs in QEMU, or a reason says why not"
    fi
done
expect_same "each program is there" "$(printf '%s\n' "${!words[@]}" | LC_ALL=C sort)" "$(printf '%s\n' "${programs[@]}")"

# Scenarios drive the simulated machine. What some start through init's port runs in QEMU, too (tests/e2e/qemu_mix.sh). What
# they need of the simulator, by the methods of m that they use, and the files that they require:
declare -A methods=(
    [time]='stall|cycles|run_until'
    [probes]='on_entry|on_return|probe|stop'
    [faults]='fail_call|interrupt|interrupt_range|delay_ipi|lose_ipi|set_register|write_physical'
    [memory and registers]='register|xmm|read|sym|symbol|kernel|inlined|stale|(state|arch)_hash|counters|count|instructions'
)
for scenario in tests/e2e/*.lua scenarios/*.lua; do
    needs=
    mapfile -t files < <(sed -nE 's#^local .*require "([a-z_]+)"$#tests/e2e/\1.lua#p' "$scenario")
    for what in time probes faults 'memory and registers'; do
        means=$(grep -ohE "\bm[:.](${methods[$what]})\b" "$scenario" "${files[@]}" | cut -c3- | LC_ALL=C sort -u | xargs)
        needs+=${means:+${needs:+, }$what ($means)}
    done
    [[ $needs == *time* ]] || ! grep -q 'engine = "timed"' "$scenario" || needs+="${needs:+, }time (what it costs in cycles)"
    ! grep -q 'require "kernels.handoff"' "$scenario" || needs+="${needs:+, }the simulator as the loader"
    in_mix=$(sed -n "s,^#   $scenario  *,,p" tests/e2e/qemu_mix.sh)
    if [ -n "$in_mix" ]; then
        echo "# in QEMU: $scenario: tests/e2e/qemu_mix.sh: $in_mix; not in QEMU: $needs"
    elif [ -n "$needs" ] || ! grep -q 'orrery\.machine' "$scenario"; then
        echo "# not in QEMU: $scenario: ${needs:-no guest in it}"
    else
        fail "$scenario runs in QEMU, or a reason says why not"
    fi
done
kernel_tests=$(sed -nE 's/^KTEST\((.*)\)$/\1/p' os/kernel/test/ktests.def)
# shellcheck disable=SC2016
if grep -q '^ *expect_ktests .* scripts/qemu-run .*-k "$tests"' tests/e2e/kernel_tests.sh; then
    for name in $kernel_tests; do echo "# in QEMU: kernel test $name: tests/e2e/kernel_tests.sh"; done
else
    fail "the kernel's tests run in QEMU"
fi
if [ "${1-}" = --list ]; then
    for program in "${programs[@]}"; do
        # shellcheck disable=SC2086
        echo "# in QEMU: $program" ${words[$program]}${again[$program]:+, ${again[$program]}}: here
    done
    finish
fi

for board in pc q35; do
    for program in "${programs[@]}"; do
        # shellcheck disable=SC2086
        run_program_in_qemu "$program in QEMU $board" $program ${words[$program]} -- -M $board -c 4
        ! grep '# SKIP' "$work/out" || fail "$program skips nothing in QEMU $board"
        # shellcheck disable=SC2086
        [ -z "${again[$program]-}" ] ||
            run_program_in_qemu "$program ${again[$program]} in QEMU $board" $program ${again[$program]} -- \
                -M "$board${board_options[$program]-}" -c 4
    done
done

# types LINE: at the shell's next prompt
types() {
    local waited=0
    prompts=$((prompts + 1))
    while [ "$(grep -c '^\$ ' "$work/said")" -lt $prompts ] && [ $waited -lt 600 ]; do
        sleep 0.1
        waited=$((waited + 1))
    done
    printf '%s\r' "$1" >&3
}

# A driver in user mode and a shell that talks through it, on the second serial port.
shell_in_qemu() {
    mkfifo "$work/port.in" "$work/port.out"
    : >"$work/said"
    cat "$work/port.out" >>"$work/said" &
    exec 3<>"$work/port.in"
    scripts/qemu-run -t 300 -M "$1" -c 4 -d chardev:second -a 'serial2=user -- shell' -- \
        -chardev "pipe,id=second,path=$work/port" </dev/null >"$work/out" 2>&1 &
    local qemu=$!
    prompts=0
    types 'cat motd'
    types 'run forkstorm --processes 5'
    types 'exit'
    wait $qemu
    local status=$?
    exec 3>&-
    rm "$work/port.in" "$work/port.out"
    ended_well shell "in QEMU $1"
    if [ $status -eq 33 ] && grep -q 'wound back' "$work/said" && grep -q 'ended with 0' "$work/said"; then
        ok "a shell through a driver in user mode in QEMU $1"
    else
        fail "a shell through a driver in user mode in QEMU $1" "status $status" "$(tail -5 "$work/said" "$work/out")"
    fi
}

for board in pc q35; do shell_in_qemu $board; done
finish
