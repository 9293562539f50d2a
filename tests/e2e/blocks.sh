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

finish
