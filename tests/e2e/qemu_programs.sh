#!/usr/bin/env bash
# Every program of the system in QEMU, on both PC boards with four CPUs, to a good end. What is left out is printed with its
# reason: most of it needs CPUs that all run when they have work, which only the simulator's control of time can promise.
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
    [hostile]="20000 1" [hotplug]="--cycles 40" [ipctest]="-an_end_at_each_instruction -a_revocation_at_each_instruction" [memhog]="48" [proctest]="" [shmpingpong]="--rounds 200"
    [schedmix]="--ms 60 --events 16 bad_arguments_are_refused nobody_runs_outside_its_mask cpus_go_and_come_under_load"
    [spawntest]="-the_time_of_a_spawn_is_told" [threadtest]=""
)
declare -A left_out=(
    [captest -revocation_reaches_every_cpu]="a capability may be in use elsewhere for 2.5 ms"
    [covert]="channels but one: their rates are the simulator's to measure"
    [dimbench]="measures are in cycles; races that a scenario controls (tests/e2e/dimension_race.lua)"
    [ipcflood]="shares of time, and what may pass in a second"
    [ipctest -an_end_at_each_instruction]="the simulator holds a CPU there (tests/e2e/kernel_kill.lua)"
    [ipctest -a_revocation_at_each_instruction]="the simulator holds a CPU there (tests/e2e/kernel_going.lua)"
    [kbench]="cycles" [kborn]="part of kbench"
    [schedmix]="all other tests: shares of time, latencies, deadlines"
    [spawntest -the_time_of_a_spawn_is_told]="a bound in cycles"
)
# run by another script, or by the programs that use them
declare -A elsewhere=(
    [devtest]=tests/e2e/kernel_devices.sh [disktest]=tests/e2e/kernel_disk.sh [virtblk]="disktest" [dimtest]=tests/e2e/kernel_dimension.sh [forkstorm]=tests/e2e/qemu.sh [selftest]=tests/e2e/qemu.sh
    [init]="every run" [nameserver]="every run" [dimstore]="dimquery" [uartd]="shell" [shell]="below"
)

for what in "${!left_out[@]}"; do echo "# not in QEMU: $what: ${left_out[$what]}"; done | LC_ALL=C sort
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

# Scenarios are programs of the simulator's: each drives the machine or looks into it from outside, by the methods told here.
# The programs of the system that they start are those above.
methods='on_entry|on_return|probe|fail_call|stall|interrupt|interrupt_range|delay_ipi|lose_ipi|set_register|write_physical'
methods+='|register|read|sym|kernel|stale|state_hash|cycles|run|command|ask'
for scenario in tests/e2e/*.lua scenarios/*.lua; do
    means=$(grep -oE "\bm[:.]($methods)\b" "$scenario" | cut -c3- | LC_ALL=C sort -u | xargs)
    echo "# not in QEMU: $scenario: ${means:+drives the machine by }${means:-no guest in it}"
done
kernel_tests=$(sed -nE 's/^KTEST\((.*)\)$/\1/p' os/kernel/test/ktests.def)
# shellcheck disable=SC2016
if grep -q '^ *expect_ktests .* scripts/qemu-run .*-k "$tests"' tests/e2e/kernel_tests.sh; then
    for name in $kernel_tests; do echo "# in QEMU: kernel test $name: tests/e2e/kernel_tests.sh"; done
else
    fail "the kernel's tests run in QEMU"
fi
if [ "${1-}" = --list ]; then
    for program in "${programs[@]}"; do echo "# in QEMU: $program ${words[$program]}: here"; done
    finish
fi

for board in pc q35; do
    for program in "${programs[@]}"; do
        # shellcheck disable=SC2086
        run_program_in_qemu "$program in QEMU $board" $program ${words[$program]} -- -M $board -c 4
        ! grep '# SKIP' "$work/out" || fail "$program skips nothing in QEMU $board"
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
