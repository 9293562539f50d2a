#!/usr/bin/env bash
# Look-ahead order ends in the same states as strict order (docs/timing.md, 8.1): loops that have nothing in common, the kernel's
# fork storm, at their ends and at cuts in between; on all machines, with 2 to 8 vCPUs. scripts/fuzz-timing does it with random
# programs that quarrel over lines.
source "$(dirname "$0")/lib.sh"

make_shared -s guests-bench >"$work/make" 2>&1 || fail "the guest builds" "$(tail -5 "$work/make")"
guest=build/guest/bench.elf

# hash_in ORDER WORD...: what the run of these words says at its end.
hash_in() {
    local order=$1
    shift
    "$orrery" "$@" --engine timed --order "$order" --hash 2>"$work/err" | grep -E '^(cycles|instructions|state-hash|stopped):'
}

# same NAME WORD...
same() {
    local name=$1
    shift
    hash_in strict "$@" >"$work/strict"
    hash_in lookahead "$@" >"$work/ahead"
    if [ -s "$work/strict" ] && cmp -s "$work/strict" "$work/ahead"; then
        ok "$name"
    else
        fail "$name" "$(paste "$work/strict" "$work/ahead"; cat "$work/err")"
    fi
}

for loop in "hash 100" "chase-256k 20" "quicksort 1" "branches 5" "sieve 1" "copy 1" "pages 2000" "int 500"; do
    same "zen4-like, 4 vCPUs: ${loop% *}" boot --kernel "$guest" --memory 128M --append "$loop 4" --cpus 4 --machine zen4-like \
        --max-cycles 6000000
done
for cpus in 2 8; do
    for machine in inorder redwood-cove-like; do
        same "$machine, $cpus vCPUs: branches" boot --kernel "$guest" --memory 128M --append "branches 2 $cpus" --cpus "$cpus" \
            --machine "$machine" --max-cycles 4000000
    done
done
for cut in 1000001 1000002 2345678 3456789; do
    same "cut at $cut" boot --kernel "$guest" --memory 128M --append "sieve 1 4" --cpus 4 --machine zen4-like --max-cycles "$cut"
done
for cpus in 4 8; do
    same "the fork storm, $cpus CPUs" run scenarios/fork-storm.lua --cpus "$cpus" --machine zen4-like --set processes=40
done

expect_one_line "fast engine: refused" 2 "$orrery" boot --kernel "$guest" --order lookahead
grep -q "order lookahead: only under a timing model" "$work/err" || fail "and why" "$(cat "$work/err")"
expect_one_line "sequential consistency: refused" 2 "$orrery" boot --kernel "$guest" --order lookahead --machine inorder --memory-model sc
finish
