#!/usr/bin/env bash
# The UEFI loader under QEMU with OVMF: the kernel's console is PVH's, line by line; its own tests pass; the loader's errors
# are one line on the firmware's console.
# covers: BT-01, BT-02, BT-04, BT-06, BT-07, BT-08, BT-10, BT-11, MM-11
source "$(dirname "$0")/lib.sh"
export BUILD=build
ways=uefi

# The kernel's part of a console that begins with the firmware's.
kernel_part() {
    sed -n '/Orrery kernel/,$p' | sed '1s/.*Orrery kernel/Orrery kernel/'
}

# same NAME QEMU-RUN-OPTIONS...
same() {
    local name=$1 pvh uefi
    shift
    scripts/qemu-run -t 500 "$@" </dev/null >"$work/pvh" 2>&1
    pvh=$?
    scripts/qemu-run -u -t 500 "$@" </dev/null >"$work/uefi" 2>&1
    uefi=$?
    mask <"$work/pvh" >"$work/pvh.masked"
    kernel_part <"$work/uefi" | mask >"$work/uefi.masked"
    if [ $pvh -eq 33 ] && [ $uefi -eq 33 ] && [ -s "$work/pvh.masked" ] && cmp -s "$work/pvh.masked" "$work/uefi.masked"; then
        ok "the same console through UEFI and PVH: $name"
    else
        fail "the same console through UEFI and PVH: $name" "status $pvh and $uefi" \
            "$(diff "$work/pvh.masked" "$work/uefi.masked")"
    fi
}

same "pc, 4 cpus" -M pc -c 4 -m 256 -a '-- forkstorm --processes 100 --depth 3'
same "q35, 4 cpus" -M q35 -c 4 -m 256 -a '-- forkstorm --processes 100 --depth 3'
same "q35, 2 nodes" -M q35 -c 4 -m 512 -n 2 -a '-- forkstorm --processes 60 --depth 2'
same "memory above 4 GiB" -M pc -c 1 -m 5G -a '-- forkstorm --processes 20 --depth 2'
# covers: BT-02
expect_stages "the stages of the boot are those of docs/boot.md through UEFI" "$work/uefi"
same "q35, 2 nodes, selftest" -M q35 -c 4 -m 256 -n 2 -a '-- selftest'
kernel_part <"$work/uefi" | tr -d '\r' >"$work/out"
ended_well selftest "through UEFI"

# A busy host may hold a processor for longer than the kernel waits for it (500 ms): that is told, and tried again.
for cpus in 2 8 16; do
    for _ in 1 2 3; do
        scripts/qemu-run -u -t 200 -M q35 -c $cpus -m 512 -a '-- forkstorm --processes 40 --depth 2' </dev/null >"$work/uefi" 2>&1
        status=$?
        kernel_part <"$work/uefi" | tr -d '\r' >"$work/out"
        grep 'does not start$' "$work/out" || break
    done
    expect_same "$cpus CPUs are up through UEFI, and under load" "33 cpu: $cpus of $cpus online" \
        "$status $(grep -xE 'cpu: [0-9]+ of [0-9]+ online' "$work/out")"
done

for machine in "pc -n 1" "q35 -n 2"; do
    # shellcheck disable=SC2086
    expect_ktests "in-kernel tests through UEFI, $machine" 33 scripts/qemu-run -u -t 500 -M $machine -c 4 -k build/os/orrery-test.elf
done

dying() {
    scripts/qemu-run -u -t 200 -c 2 -k build/os/orrery-test.elf -a "panic=$1" </dev/null 2>&1 | tr -d '\r' >"$work/out"
}
# covers: BT-05 (K), BT-06 (K), BT-07 (K), BT-09 (K)
expect_panics "what may not be touched before or after its time panics through UEFI"

expect_status "a screen is handed over" 33 scripts/qemu-run -u -t 500 -c 1 -a '-- forkstorm --processes 5' -- -device VGA
grep -qE '^screen: [0-9]+ x [0-9]+ at 0x[0-9a-f]+' "$work/out" && ok "the kernel knows the screen" ||
    fail "the kernel knows the screen" "$(kernel_part <"$work/out")"

# complains NAME LINE QEMU-RUN-OPTIONS...: the loader prints this line on the firmware's console and goes back to it
complains() {
    local name=$1 wanted=$2 waited=0 pid
    shift 2
    rm -f "$work/out" "$work/pid"
    : >"$work/out"
    scripts/qemu-run -u -t 120 "$@" -- -pidfile "$work/pid" </dev/null >>"$work/out" 2>&1 &
    pid=$!
    while ! grep -q 'orrery: ' "$work/out" && kill -0 $pid 2>/dev/null && [ $waited -lt 600 ]; do
        sleep 0.2
        waited=$((waited + 1))
    done
    sleep 0.5
    [ ! -s "$work/pid" ] || kill "$(cat "$work/pid")"
    wait $pid
    tr -d '\r' <"$work/out" | grep -qF "$wanted" && ok "$name" || fail "$name" "$(grep orrery "$work/out")"
}

complains "a volume without a kernel" 'orrery: \orrery\kernel.elf: not found' -k "$work/none"
complains "a kernel that is no ELF file" 'orrery: \orrery\kernel.elf: not an x86-64 ELF executable' -k "$initrd"
complains "a kernel of another system" 'orrery: \orrery\kernel.elf: no handoff entry: not a kernel of this system' \
    -k build/os/programs/init

stamp=$(od -An -tu4 -j $(($(od -An -tu4 -j 60 -N 4 build/os/BOOTX64.EFI) + 8)) -N 4 build/os/BOOTX64.EFI)
expect_same "the loader's file has no time stamp" "0" "$(echo $stamp)"

finish
