#!/usr/bin/env bash
# Panics of the kernel at every age of a boot: message, registers, symbolised back-trace, and the end of the machine, in
# Orrery and in QEMU. The test image dies on request (os/kernel/test/test_panic.c).
# covers: ER-05 (at the probe points of a boot), HP-16 (K), MM-14 (the panic path), PR-09 (K), BT-05 (K), BT-06 (K), BT-07 (K), BT-09 (K)
source "$(dirname "$0")/lib.sh"

tests=$PWD/build/os/orrery-test.elf

in_orrery() {
    timeout 60 "$orrery" boot --kernel "$1" --initrd "$initrd" --cpus 4 --append "$2" --max-cycles 6000000000 \
        </dev/null >"$work/raw" 2>/dev/null
    local status=$?
    sed 's/\r$//' "$work/raw" >"$work/out"
    return $status
}

in_qemu() {
    scripts/qemu-run -C "max${3:-}" -c 4 -m 128 -k "$1" -i "$initrd" -a "$2" </dev/null >"$work/raw" 2>/dev/null
    local status=$?
    sed 's/\r$//' "$work/raw" >"$work/out"
    return $status
}

# dies WORD MESSAGE PLACE FUNCTION...: one message, one place, all registers, and a trace that names the functions in order
dies() {
    local word=$1 message=$2 place=$3 machine
    shift 3
    for machine in orrery qemu; do
        local wrong='' at=0 line name
        "in_$machine" "$tests" "panic=$word" || [ $? -eq 35 ] || wrong="status"
        [ "$(grep -c '^panic: ' "$work/out")" -eq 2 ] || wrong="$wrong, lines that begin with panic:"
        grep -qE "^panic: $message" "$work/out" || wrong="$wrong, message"
        grep -qE "^panic: $place" "$work/out" || wrong="$wrong, place"
        [ "$(grep -cE '^  (rip|rax|rdx|rbp|r10|r13|cr2) [0-9a-f]{16} ' "$work/out")" -eq 7 ] || wrong="$wrong, registers"
        for name in "$@"; do
            line=$(grep -nE "^  [0-9a-f]{16} $name\+0x" "$work/out" | cut -d: -f1 | awk -v at="$at" '$1 > at' | head -1)
            [ -n "$line" ] && at=$line || wrong="$wrong, $name in the trace"
        done
        if [ -z "$wrong" ]; then
            ok "panic=$word reports and ends in $machine"
        else
            fail "panic=$word reports and ends in $machine" "wrong: $wrong" "$(sed -n '/^panic/,$p' "$work/out")"
        fi
    done
}

dies call@inventory 'asked to, 1 2 3 4 5 6 7$' 'cpu 0, before threads' die_call panic_probe probe_point boot_main
dies opcode@inventory 'invalid opcode' 'cpu 0, before threads' die_opcode boot_main boot_high_half
dies read@highhalf 'page fault at ffffc13200000000, error 0' 'cpu 0, before threads' die_read boot_main
dies double@inventory 'double fault' 'cpu 0, before threads' die_double boot_main
dies nmi@inventory 'asked to' 'cpu 0, before threads' die_call trap_ist die_nmi boot_main
dies call@clock 'asked to' 'cpu 0, before threads' die_call boot_main
dies preempt@publish 'preemption enabled before heap and threads' 'cpu 0, before threads' sched_enable_preemption boot_main
dies preempt@clock 'preemption enabled before heap and threads' 'cpu 0, before threads' sched_enable_preemption boot_main
dies call@processor 'asked to' 'cpu [1-3], before threads' die_call ap_main
dies double@processor 'double fault' 'cpu [1-3], before threads' die_double ap_main
dies nmi@processor 'asked to' 'cpu [1-3], before threads' die_call trap_ist die_nmi ap_main
dies call@serial 'asked to' 'cpu [0-3], thread [0-9]+' die_call main_start thread_first
dies opcode@serial 'invalid opcode' 'cpu [0-3], thread [0-9]+' die_opcode main_start
dies nmi@serial 'asked to' 'cpu [0-3], thread [0-9]+' die_call trap_ist die_nmi main_start
dies all@serial 'asked to' 'cpu [0-3], thread [0-9]+' die_call
dies lost@serial 'invalid opcode' 'cpu [0-3], thread [0-9]+' die_lost
dies loop@serial 'invalid opcode' 'cpu [0-3], thread [0-9]+' die_loop
site='os/kernel/test/test_panic.c:[0-9]+'
dies free@serial "heap: double free: .* test-double-free, 100 bytes, .* allocated $site, freed $site, found $site" \
    'cpu [0-3], thread [0-9]+' slab_debug_free slab_free_site panic_probe
dies memory@serial 'asked to' 'cpu [0-3], thread [0-9]+' die_call die_memory
if grep -qE '^frames: total [0-9]+ free [0-9]+' "$work/out" && grep -q '^heap: ' "$work/out"; then
    ok "the panic path dumps the memory, with its locks held"
else
    fail "the panic path dumps the memory, with its locks held" "$(grep -A3 '^panic' "$work/out")"
fi
dies overflow@serial 'double fault, error 0, a kernel stack overflowed' 'cpu [0-3], thread [0-9]+' die_deep.* die_deep.*

# what may not be touched before or after its time
dies early@highhalf 'frame manager: used before publication' 'cpu 0, before threads' boot_main
dies sealed@publish 'boot allocator: used after it was sealed' 'cpu 0, before threads' die_sealed boot_main
dies heap@serial 'page fault at ffffc10060000000, error 0' 'cpu [0-3], thread [0-9]+' die_heap main_start
dies low@highhalf 'page fault at 0*100000, error 0' 'cpu 0, before threads' die_low boot_main
dies low@serial 'page fault at 0*100000, error 0' 'cpu [0-3], thread [0-9]+' die_low main_start

for machine in orrery qemu; do
    for point in inventory processor serial; do
        "in_$machine" "$tests" "panic=nested@$point"
        status=$?
        if [ $status -eq 35 ] && [ "$(grep -c '^panic: ' "$work/out")" -eq 3 ] &&
            tail -2 "$work/out" | grep -q '^panic: again while panicking: page fault'; then
            ok "a panic that panics at $point ends with one more line in $machine"
        else
            fail "a panic that panics at $point ends with one more line in $machine" "status $status" "$(grep -a '^panic' "$work/out")"
        fi
    done
done

# the shipped kernel, before it knows its command line: a processor without global pages
in_qemu "$kernel" '' ',-pge'
status=$?
if [ $status -eq 35 ] && grep -q '^panic: the processor lacks a required feature' "$work/out" &&
    grep -q '^  rip ' "$work/out" && grep -q ' boot_main+0x' "$work/out"; then
    ok "a panic at the first stage has registers and a back-trace"
else
    fail "a panic at the first stage has registers and a back-trace" "status $status" "$(tail -20 "$work/out")"
fi

expect_status "the kernel dies in order wherever it is" 0 "$orrery" run tests/e2e/kernel_panic_points.lua

finish
