#!/usr/bin/env bash
# Messages from the user's side: ipctest on several machines and in QEMU.
# covers: TS-03
source "$(dirname "$0")/lib.sh"

for machine in "--cpus 1" "--cpus 4" "--cpus 4 --engine timed --memory-model tso" "--cpus 2 --engine timed --memory-model sc --numa 2" \
    "--cpus 8 --board microvm"; do
    # shellcheck disable=SC2086
    expect_status "messages keep their promises $machine" 33 "$orrery" boot --kernel "$kernel" --initrd "$initrd" \
        --max-cycles 100000000000 $machine --append '-- ipctest'
    sed -i 's/\r$//' "$work/out"
    record_tap os/programs/ipctest
    passed=$(grep -cE '^ok [0-9]+ - ' "$work/out")
    [ "1..$passed" = "$(grep '^1[.][.]' "$work/out")" ] || fail "all of ipctest ran $machine" "$passed passed" "$(grep '^not ok' "$work/out")"
    grep -qx 'init: free frames before minus after: 0' "$work/out" ||
        fail "messages give every frame back $machine" "$(tail -3 "$work/out")"
done
expect_status "messages keep their promises in QEMU" 33 qemu-system-x86_64 -accel tcg -M pc -cpu max -smp 4 -m 256 -kernel "$kernel" \
    -initrd "$initrd" -display none -serial stdio -no-reboot -device isa-debug-exit,iobase=0xf4,iosize=4 -append '-- ipctest'

for machine in "--cpus 1" "--cpus 4" "--cpus 2 --engine timed"; do
    for program in ipcflood shmpingpong; do
        # shellcheck disable=SC2086
        expect_status "$program $machine" 33 "$orrery" boot --kernel "$kernel" --initrd "$initrd" --max-cycles 30000000000 \
            $machine --append "-- $program"
        sed -i 's/\r$//' "$work/out"
        record_tap "os/programs/$program"
    done
done
expect_status "messages survive what is provoked on 4 cpus" 0 "$orrery" run tests/e2e/kernel_ipc.lua --cpus 4
expect_status "messages survive what is provoked on 8 cpus" 0 "$orrery" run tests/e2e/kernel_ipc.lua --cpus 8 --seed 8
# the waits that a revocation overtakes
expect_status "a revocation that overtakes a wait ends it" 0 "$orrery" run tests/e2e/ipc_race.lua

finish
