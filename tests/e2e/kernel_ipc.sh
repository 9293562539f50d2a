#!/usr/bin/env bash
# Messages from the user's side: ipctest on several machines (in QEMU: tests/e2e/qemu_programs.sh); late messages and CPUs
# that stand still are counted by tests/e2e/disturb.lua.
# covers: TS-03
source "$(dirname "$0")/lib.sh"

# a scenario tells these what to do: kernel_kill.lua, kernel_going.lua
told="-an_end_at_each_instruction -a_revocation_at_each_instruction"
for machine in "--cpus 1" "--cpus 4" "--cpus 4 --engine timed --memory-model tso" "--cpus 2 --engine timed --memory-model sc --numa 2" \
    "--cpus 8 --board microvm"; do
    # shellcheck disable=SC2086
    run_program "messages keep their promises $machine" ipctest $told -- $machine
    # the interrupts that a program gets are those of a timer that only the PC boards have
    wanted=none
    [[ $machine == *microvm* ]] && wanted="interrupts_reach_a_program_and_wait_for_it # SKIP the 8254 does not count"
    skipped=$(sed -nE 's/^ok [0-9]+ - (.*# SKIP.*)/\1/p' "$work/out")
    expect_same "what is skipped $machine" "$wanted" "${skipped:-none}"
done

for machine in "--cpus 1" "--cpus 4" "--cpus 2 --engine timed"; do
    for program in ipcflood shmpingpong; do
        # shellcheck disable=SC2086
        run_program "$program $machine" $program -- $machine
    done
done
expect_status "messages survive what is provoked on 4 cpus" 0 "$orrery" run tests/e2e/kernel_ipc.lua --cpus 4
expect_status "messages survive what is provoked on 8 cpus" 0 "$orrery" run tests/e2e/kernel_ipc.lua --cpus 8 --seed 8
# the waits that a revocation overtakes
expect_status "a revocation that overtakes a wait ends it" 0 "$orrery" run tests/e2e/ipc_race.lua

# the words of a message stay in their registers: on the way (os/kernel/ipc/fast.h), and in what it is made of
expect_status "words of messages never lie in memory on the short way" 0 "$orrery" run tests/e2e/kernel_words.lua
short_way=build/os/obj/kernel/ipc/fast.c.o
# covers: IP-03
expect_same "nothing on the short way uses the registers of words but what stores them, twice" "16 mov" \
    "$(objdump -d "$short_way" | grep -E '%r(8|9|1[0-5])' | awk -F'\t' '{ print substr($3, 1, 3) }' | sort | uniq -c | xargs)"
# covers: IP-03
expect_same "who is called on the short way keeps all registers, or does not return" \
    "arch_space_load arch_stack_resume lockdep_acquire lockdep_release message_resume panic shootdown_serve" \
    "$(objdump -dr "$short_way" | grep -oP 'R_X86_64_PLT32\t\K\w+' | LC_ALL=C sort -u | xargs)"

finish
