#!/usr/bin/env bash
# Programs made without fork, programs that mean harm, and load that comes back.
source "$(dirname "$0")/lib.sh"

for machine in "--cpus 1" "--cpus 4 --engine timed --memory-model tso"; do
    # shellcheck disable=SC2086
    expect_status "children are made of a program and capabilities $machine" 33 "$orrery" boot --kernel "$kernel" --initrd "$initrd" \
        --max-cycles 100000000000 $machine --append '-- spawntest'
    sed -i 's/\r$//' "$work/out"
    record_tap os/programs/spawntest
    passed=$(grep -cE '^ok [0-9]+ - ' "$work/out")
    [ "1..$passed" = "$(grep '^1[.][.]' "$work/out")" ] || fail "all of spawntest ran $machine" "$passed passed" "$(grep -A1 '^not ok' "$work/out")"
done

# In full: hostile 1000000 SEED, some minutes.
for run in "1 20000 1" "4 20000 2"; do
    read -r cpus calls seed <<<"$run"
    # covers: ER-11
    expect_status "random system calls do no harm: cpus, calls, seed $run" 33 "$orrery" boot --kernel "$kernel" --initrd "$initrd" \
        --max-cycles 1000000000000 --cpus "$cpus" --append "-- hostile $calls $seed"
    grep -q 'init: free frames before minus after: 0' "$work/out" && ok "every frame came back: $run" ||
        fail "every frame came back: $run" "$(tail -3 "$work/out")"
done

expect_status "what load takes comes back" 0 "$orrery" run scenarios/load-returns.lua

finish
