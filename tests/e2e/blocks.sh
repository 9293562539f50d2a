#!/usr/bin/env bash
# The block cache against one-at-a-time stepping: the same hashes after booting and storming.
source "$(dirname "$0")/lib.sh"

hash_of() {
    "$orrery" boot --kernel "$kernel" --initrd "$initrd" --append '-- forkstorm --processes 64 --depth 3' --hash \
        --max-cycles 60000000000 "$@" 2>&1 | grep -E '^(cycles|instructions|state-hash):' | tr '\n' ' '
}
for machine in "--cpus 1" "--cpus 4" "--cpus 2 --engine timed" "--cpus 2 --board microvm --memory-model tso"; do
    # shellcheck disable=SC2086
    expect_same "blocks and single steps agree: $machine" "$(hash_of $machine)" "$(hash_of $machine --blocks single)"
done

# the machine code of hot blocks, likewise
for machine in "--cpus 1" "--cpus 4" "--cpus 1 --memory-model tso" "--cpus 4 --memory-model tso" "--cpus 2 --engine timed"; do
    # shellcheck disable=SC2086
    expect_same "handlers and machine code agree: $machine" "$(hash_of $machine --backend interpreter)" \
        "$(hash_of $machine --backend translator)"
done

# loops, where nearly all is machine code
make_shared -s guests-bench >"$work/make" 2>&1 || fail "the guest builds" "$(tail -5 "$work/make")"
for loop in "hash 500" "chase-256k 500" "quicksort 2" "branches 200" "sieve 2" "copy 1" "pages 2000" "timer 200" "int 2000" \
    "port 2000" "rep 100" "patch 2000"; do
    loop_hash() {
        "$orrery" boot --kernel build/guest/bench.elf --memory 128M --append "$loop" --hash --backend "$1" 2>&1 |
            grep -E '^(cycles|instructions|state-hash):'
    }
    expect_same "handlers and machine code agree: $loop" "$(loop_hash interpreter)" "$(loop_hash translator)"
done

finish
