#!/usr/bin/env bash
# Threads of programs from the user's side: threadtest on several machines (in QEMU: tests/e2e/qemu_programs.sh); what is told of
# what they give back; interrupts and schedules that a scenario provokes.
source "$(dirname "$0")/lib.sh"

for machine in "--cpus 1" "--cpus 4 --engine timed --memory-model tso --numa 2" "--cpus 8 --memory-model tso --board microvm" \
    "--cpus 2 --cpu tcg72"; do
    # shellcheck disable=SC2086
    run_program "threads keep their promises $machine" threadtest -- $machine
    # every place that a report of an error named makes that status. covers: ER-02
    named=0
    while read -r _ status _ place; do
        sed -n "${place##*:}p" "${place%:*}" | grep -qE "FAIL\\($status,|FAIL\\(status," && named=$((named + 1)) ||
            fail "a report of an error names its place $machine" "$status at $place"
    done < <(grep -E '^# STATUS_ERR_[A-Z_]+ at ' "$work/out")
    expect_same "reports of errors name their places $machine" 16 "$named"
done

# covers: TH-09
expect_status "a run with log=threads ends well" 33 "$orrery" boot --kernel "$kernel" --initrd "$initrd" --cpus 2 \
    --max-cycles 100000000000 --append 'log=threads -- threadtest threads_start_and_are_joined'
sed -i 's/\r$//' "$work/out"
for what in 'of process [0-9]+: user stack and TLS, 69632 bytes at 0x[0-9a-f]+: freed' ': kernel stack, 16384 bytes at 0x[0-9a-f]+: freed'; do
    count=$(grep -cE "^thread [0-9]+ ?$what\$" "$work/out")
    # ten threads; kernel stacks are those of init's and the program's main threads as well
    [ "$count" -ge 10 ] && [ "$count" -le 12 ] && ok "what a thread gives back is told: $what" ||
        fail "what a thread gives back is told: $what" "$count lines" "$(grep '^thread' "$work/out" | head -4)"
done
run_program "a run without it ends well" threadtest threads_start_and_are_joined -- --cpus 2
expect_same "without log=threads nothing is told" 0 "$(grep -c '^thread ' "$work/out")"

# the addresses of the function that fills all registers, goes round a loop of two instructions, and looks at them
code=$(objdump -d --no-show-raw-insn build/os/programs/threadtest |
    awk '/<thread_keep_registers>:$/ {found = 1} found && /^ / {sub(":", "", $1); print $1, $2, $3; if ($2 ~ /^ret/) exit}')
before=$(awk '/ subq \$0x1,0x10\(%rsp\)$/ {exit} {printf "%s,", $1}' <<<"$code")
after=$(awk 'on {printf "%s,", $1} loop {on = 1} / subq \$0x1,0x10\(%rsp\)$/ {loop = 1}' <<<"$code")
expect_status "lists of threads and interrupts at every instruction of their lives" 0 "$orrery" run tests/e2e/kernel_threads.lua \
    --set "before=$before" --set "after=$after"

finish
