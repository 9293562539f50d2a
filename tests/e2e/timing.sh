#!/usr/bin/env bash
# The timing model against the oracle, stamp by stamp, on what the kernel and its tests do; and that nothing but the machine and the
# guest decides about a run of it: not how blocks are cut, not who watches, not the build.
source "$(dirname "$0")/lib.sh"

make_shared -s oracle >"$work/make" 2>&1 || fail "the oracle builds" "$(tail -5 "$work/make")"
oracle=$PWD/build/rel/oracle
kernel=build/os/orrery-test.elf

# agrees TITLE OPTIONS...: every stamp of a run, as it is made
agrees() {
    local title=$1
    shift
    "$orrery" info --machine "$1" --params >"$work/params"
    [[ " $* " != *" --memory-model sc "* ]] || echo "memory_model = sc" >>"$work/params"
    mkfifo "$work/trace"
    timeout 400 "$oracle" "$work/params" "$work/trace" >"$work/verdict" 2>&1 &
    timeout 400 "$orrery" boot --kernel "$kernel" --machine "$@" --serial none --timing-trace "$work/trace" >"$work/run" 2>&1
    wait $!
    expect_same "$title" 0 $?
    tail -1 "$work/verdict" | sed 's/^/# /'
    [ "$(sed -n 's/ steps of .*//p' "$work/verdict")" -gt 100000 ] || fail "$title: enough steps" "$(tail -3 "$work/verdict")"
    rm "$work/trace"
}

agrees "inorder, a vCPU" inorder --max-cycles 2000000
agrees "inorder, four vCPUs" inorder --cpus 4 --max-cycles 12000000
agrees "zen4-like, a vCPU" zen4-like --max-cycles 1500000
agrees "redwood-cove-like, a vCPU" redwood-cove-like --max-cycles 1500000
agrees "zen4-like, two vCPUs, sc" zen4-like --cpus 2 --memory-model sc --max-cycles 1500000

# digest MACHINE CYCLES OPTIONS...: of a run with four vCPUs
digest() {
    "$orrery" boot --kernel "$kernel" --machine "$1" --cpus 4 --max-cycles "$2" --serial none --hash "${@:3}" 2>/dev/null | grep state-hash
}

# Watched, or one instruction at a time, no access takes the short way: whether a page is in the first-level TLB must not depend on
# it. Small TLBs, faults and waits in the middle of an instruction come with programs: a long run on inorder.
for run in "inorder 40000000" "zen4-like 9000000"; do
    read -r machine cycles <<<"$run"
    whole=$(digest "$machine" "$cycles")
    expect_same "$machine: a run has one hash" "$whole" "$(digest "$machine" "$cycles")"
    expect_same "$machine: however blocks are cut" "$whole" "$(digest "$machine" "$cycles" --blocks single)"
    expect_same "$machine: whoever watches" "$whole" "$(digest "$machine" "$cycles" --timing-trace /dev/null)"
done
finish
