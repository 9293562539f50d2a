#!/usr/bin/env bash
# Memory of devices, memory for DMA and interrupt inputs as capabilities: devtest on several machines and in QEMU. Frames that
# were made memory for DMA stay that; every other one comes back.
# covers: TS-03
source "$(dirname "$0")/lib.sh"

for machine in "--cpus 1" "--cpus 4 --engine timed --memory-model tso --numa 2" "--cpus 4 --board microvm"; do
    # shellcheck disable=SC2086
    run_program "hardware is what was given $machine" devtest -- $machine
done
for board in pc microvm; do
    run_program_in_qemu "hardware is what was given in QEMU $board" devtest -- -M $board -c 4
done

finish
