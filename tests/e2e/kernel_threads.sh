#!/usr/bin/env bash
# Threads of programs from the user's side: threadtest on several machines and in QEMU; what is told of what they give back;
# interrupts and schedules that a scenario provokes.
source "$(dirname "$0")/lib.sh"

for machine in "--cpus 1" "--cpus 4 --engine timed --memory-model tso --numa 2" "--cpus 8 --memory-model tso --board microvm" \
    "--cpus 2 --cpu tcg72"; do
    # shellcheck disable=SC2086
    expect_status "threads keep their promises $machine" 33 "$orrery" boot --kernel "$kernel" --initrd "$initrd" \
        --max-cycles 100000000000 $machine --append '-- threadtest'
    sed -i 's/\r$//' "$work/out"
    record_tap os/programs/threadtest
    passed=$(grep -cE '^ok [0-9]+ - ' "$work/out")
    [ "1..$passed" = "$(grep '^1[.][.]' "$work/out")" ] || fail "all of threadtest ran $machine" "$passed passed" "$(grep -A1 '^not ok' "$work/out")"
    grep -qx 'init: free frames before minus after: 0' "$work/out" ||
        fail "threads give every frame back $machine" "$(tail -3 "$work/out")"
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
expect_status "a run without it ends well" 33 "$orrery" boot --kernel "$kernel" --initrd "$initrd" --cpus 2 \
    --max-cycles 100000000000 --append '-- threadtest threads_start_and_are_joined'
expect_same "without log=threads nothing is told" 0 "$(grep -c '^thread ' "$work/out")"

expect_status "lists of threads and interrupts at every instruction of their lives" 0 "$orrery" run tests/e2e/kernel_threads.lua

expect_status "threads keep their promises in QEMU" 33 qemu-system-x86_64 -accel tcg -M pc -cpu max -smp 4 -m 256 -kernel "$kernel" \
    -initrd "$initrd" -display none -serial stdio -no-reboot -device isa-debug-exit,iobase=0xf4,iosize=4 -append '-- threadtest'

finish
