#!/usr/bin/env bash
# The kernel's own tests (a second ELF with them linked), in Orrery and in QEMU; no test symbol in the shipped one.
source "$(dirname "$0")/lib.sh"

tests=$PWD/build/os/orrery-test.elf

count_tap() {
    local where=$1 planned passed
    planned=$(sed -n 's/^1\.\.\([0-9]*\).*/\1/p' "$work/out" | head -1)
    passed=$(grep -c '^ok ' "$work/out")
    if [ -n "$planned" ] && [ "$passed" -eq "$planned" ] && ! grep -q '^not ok' "$work/out"; then
        echo "ok    $passed in-kernel tests $where"
    else
        fail "in-kernel tests $where" "planned $planned, passed $passed" "$(grep '^not ok' "$work/out")"
    fi
}

# tlb=kept: what the TLB keeps of spaces that are not loaded must be seen (os/kernel/test/test_tlb.c)
for machine in "--cpus 1" "--cpus 4" "--cpus 4 --engine timed --numa 2" "--cpus 2 --cpu tcg72 --board microvm"; do
    tlb=tlb=kept
    [[ $machine == *tcg72* ]] && tlb=
    # shellcheck disable=SC2086
    expect_status "in-kernel tests run in Orrery $machine" 33 "$orrery" boot --kernel "$tests" --initrd "$initrd" \
        --max-cycles 100000000000 $machine --append "$tlb"
    count_tap "in Orrery $machine"
done
expect_status "in-kernel tests run in QEMU" 33 qemu-system-x86_64 -accel tcg -M pc -cpu max -smp 2 -m 256 -kernel "$tests" \
    -initrd "$initrd" -display none -serial stdio -no-reboot -device isa-debug-exit,iobase=0xf4,iosize=4
sed -i 's/\r$//' "$work/out"
count_tap "in QEMU"

# the smallest and the largest machine, and one that is too small
for machine in "--memory 16M" "--memory 16M --cpus 64" "--memory 64G --cpus 1" "--memory 64G --cpus 64 --numa 8"; do
    # shellcheck disable=SC2086
    expect_status "the kernel forks on a machine with $machine" 33 "$orrery" boot --kernel "$kernel" --initrd "$initrd" \
        --max-cycles 100000000000 $machine --append '-- forkstorm --processes 20 --depth 2'
done
expect_status "too little memory ends in QEMU with the debug exit" 35 qemu-system-x86_64 -accel tcg -M pc -cpu max -m 4 \
    -kernel "$kernel" -initrd "$initrd" -display none -serial stdio -no-reboot -device isa-debug-exit,iobase=0xf4,iosize=4
if grep -qE '^panic: start-up: .*: no memory: .* KiB left' "$work/out"; then
    ok "too little memory is said in one line"
else
    fail "too little memory is said in one line" "$(tail -4 "$work/out")"
fi

if nm "$kernel" | grep -qi 'ktest'; then
    fail "the shipped kernel holds no test code" "$(nm "$kernel" | grep -i ktest | head -3)"
else
    ok "the shipped kernel holds no test code"
fi

# W^X: no segment is writable and executable
if readelf -lW "$kernel" | grep -E '^ +LOAD' | grep -q 'RWE'; then
    fail "no segment is writable and executable" "$(readelf -lW "$kernel" | grep LOAD)"
else
    ok "no segment is writable and executable"
fi

# the same bytes from another directory
cp -r os Makefile tests "$work/"
mkdir -p "$work/sim"
make -s -C "$work" os >"$work/log" 2>&1
cmp -s "$kernel" "$work/build/os/orrery.elf" && cmp -s "$initrd" "$work/build/os/initrd.cpio" && ok "the images do not depend on the directory" ||
    fail "the images do not depend on the directory" "$(tail -3 "$work/log")" "$(cmp "$kernel" "$work/build/os/orrery.elf" 2>&1)"

finish
