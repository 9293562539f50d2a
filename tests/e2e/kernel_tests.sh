#!/usr/bin/env bash
# The kernel's own tests (a second ELF with them linked), in Orrery and in QEMU; no test symbol in the shipped one.
source "$(dirname "$0")/lib.sh"

tests=$PWD/build/os/orrery-test.elf

# tlb=kept: what the TLB keeps of spaces that are not loaded must be seen (os/kernel/test/test_tlb.c)
for machine in "--cpus 1" "--cpus 4" "--cpus 8" "--cpus 4 --engine timed --numa 2" "--cpus 2 --cpu tcg72 --board microvm" \
    "--cpus 2 --cpu orrery,-x2apic,-smap" "--cpus 2 --cpu orrery,-tsc-deadline,-smep" "--cpus 2 --cpu tcg72 --engine timed"; do
    tlb=tlb=kept
    [[ $machine == *tcg72* ]] && tlb=
    # shellcheck disable=SC2086
    expect_ktests "in-kernel tests in Orrery $machine" 33 "$orrery" boot --kernel "$tests" --initrd "$initrd" \
        --max-cycles 100000000000 $machine --append "$tlb"
    path='# apic: x2apic, timer: tsc-deadline'
    [[ $machine == *tcg72* ]] && path='# apic: xapic, timer: count'
    [[ $machine == *-x2apic* ]] && path='# apic: xapic, timer: tsc-deadline'
    [[ $machine == *-tsc-deadline* ]] && path='# apic: x2apic, timer: count'
    # a lookup's cost does not depend on how many capabilities there are (within 5 %)
    if awk '/^# lookup among /{gsub(",", ""); n++; for (i = 7; i <= 9; i += 2) {if (!(i in low) || $i < low[i]) low[i] = $i; if ($i > high[i]) high[i] = $i}}
        END {exit !(n == 3 && high[7] <= 1.05 * low[7] && high[9] <= 1.05 * low[9])}' "$work/out"; then
        ok "$(grep '^# lookup' "$work/out" | tail -1 | cut -c3-) $machine"
    else
        fail "lookups cost the same in a space of any size $machine" "$(grep '^# lookup' "$work/out")"
    fi
    grep -qxF "$path" "$work/out" && ok "${path#\# } with $machine" || fail "${path#\# } with $machine" "$(grep '^# apic' "$work/out")"
done
expect_ktests "objects of the heap keep their checksums on 8 CPUs, without a pause and for two seconds" 33 \
    "$orrery" boot --kernel "$tests" --initrd "$initrd" --max-cycles 100000000000 --cpus 8 \
    --append "ktest=heap_objects_keep_their_checksums_for_long soak=2 busy=12"
busy=$(sed -nE 's/^# soak: no pauses: .* CPUs busy ([0-9]+)\..*/\1/p' "$work/out")
grep '^# soak' "$work/out"
[ "${busy:-0}" -ge 60 ] && ok "the CPUs work most of the time without a pause" ||
    fail "the CPUs work most of the time without a pause" "$(grep '^# soak' "$work/out")"
# What a kernel does with its heap is chosen when it starts: no source of it has conditional code.
conditional=$(grep -nE '^[[:space:]]*#[[:space:]]*if' -r os/kernel os/boot os/lib os/programs --include='*.c')
# covers: ER-10 (D)
expect_same "no source of the kernel has conditional code" "none" "${conditional:-none}"
for heap in track full; do
    # covers: ER-10 (D)
    expect_ktests "in-kernel tests with heap=$heap" 33 "$orrery" boot --kernel "$tests" --initrd "$initrd" --cpus 2 \
        --max-cycles 100000000000 --append "heap=$heap"
done
# The same sources by another compiler: the same tests, and the programs of the other build on it.
# covers: ER-10 (D)
expect_status "clang builds the kernel" 0 make -s OS_CC=clang BUILD="$work/clang" "$work/clang/os/orrery.elf" \
    "$work/clang/os/orrery-test.elf"
# covers: ER-10 (D)
expect_ktests "in-kernel tests in a kernel built by clang" 33 "$orrery" boot --kernel "$work/clang/os/orrery-test.elf" \
    --initrd "$initrd" --cpus 2 --max-cycles 100000000000 --append tlb=kept
# covers: ER-10 (D)
expect_status "the system calls of a kernel built by clang keep their promises" 33 "$orrery" boot \
    --kernel "$work/clang/os/orrery.elf" --initrd "$initrd" --cpus 2 --max-cycles 100000000000 --append '-- selftest'
for board in "pc -n 1" "q35 -n 2"; do
    # shellcheck disable=SC2086
    expect_ktests "in-kernel tests in QEMU $board" 33 scripts/qemu-run -t 500 -M $board -c 4 -k "$tests" -i "$initrd"
done

# the system calls from the user's side
for cpus in 1 4; do
    for engine in fast timed; do
        for model in sc tso; do
            for board in pc microvm; do
                machine="--cpus $cpus --engine $engine --memory-model $model --board $board"
                # shellcheck disable=SC2086
                run_program "the system calls keep their promises $machine" selftest -- $machine
                grep -qE '^process [0-9]+ selftest: killed by page fault, guard page at ' "$work/out" ||
                    fail "a user stack that overflows is reported as such $machine" "$(grep '^process' "$work/out")"
            done
        done
    done
done

# the capability system from the user's side
for machine in "--cpus 1" "--cpus 4" "--cpus 4 --engine timed --memory-model tso" "--cpus 2 --cpu tcg72 --board microvm"; do
    forgeries=20000
    [ "$machine" = "--cpus 1" ] && forgeries=1000000
    # shellcheck disable=SC2086
    run_program "capabilities keep their promises $machine, $forgeries forged" captest --forgeries $forgeries -- $machine
done

# what the page tables and control registers in use allow, read out of the machine's memory
expect_status "nothing is writable and executable, SMEP and SMAP are on" 0 "$orrery" run tests/e2e/kernel_protect.lua

# the smallest and the largest machine, and one that is too small
for machine in "--memory 16M" "--memory 16M --cpus 64" "--memory 64G --cpus 1" "--memory 64G --cpus 64 --numa 8"; do
    # shellcheck disable=SC2086
    run_program "the kernel forks on a machine with $machine" forkstorm --processes 20 --depth 2 -- $machine
done
expect_status "a storm that needs more memory than there is fails" 35 "$orrery" boot --kernel "$kernel" --initrd "$initrd" \
    --memory 16M --max-cycles 100000000000 --append '-- forkstorm --processes 300 --depth 2 --breadth 64'
sed -i 's/\r$//' "$work/out"
if grep -q 'no memory' "$work/out" && grep -qx 'init: free frames before minus after: 0' "$work/out"; then
    ok "a storm that runs out of memory gives every frame back"
else
    fail "a storm that runs out of memory gives every frame back" "$(tail -4 "$work/out")"
fi
expect_status "too little memory ends in QEMU with the debug exit" 35 scripts/qemu-run -m 4 -k "$kernel" -i "$initrd"
if grep -qE '^panic: start-up: .*: no memory: .* KiB left' "$work/out"; then
    ok "too little memory is said in one line"
else
    fail "too little memory is said in one line" "$(tail -4 "$work/out")"
fi

# Everything that only the objects of os/kernel/test define, functions and data, whether other files see it or not.
symbols_of() {
    nm --defined-only "$@" | awk 'NF == 3 && $3 !~ /^[.]/ {sub(/[.].*/, "", $3); print $3}' | LC_ALL=C sort -u
}
symbols_of build/os/obj/kernel/test/*.o >"$work/test_objects"
find build/os/obj -name '*.o' ! -path '*/kernel/test/*' -print0 | xargs -0 nm --defined-only 2>"$work/nm" |
    awk 'NF == 3 {sub(/[.].*/, "", $3); print $3}' | LC_ALL=C sort -u >"$work/other_objects"
LC_ALL=C comm -23 "$work/test_objects" "$work/other_objects" >"$work/test_symbols"
test_code_in() {
    symbols_of "$1" | LC_ALL=C comm -12 - "$work/test_symbols"
}
# covers: TS-11 (D)
found=$(test_code_in "$kernel")
expect_same "the shipped kernel holds no test code" "none" "${found:-none}"
expect_same "the image of the tests holds all of it" "$(grep -cE '^(ktest_|lockdep_)' "$work/test_symbols")" \
    "$(test_code_in build/os/orrery-test.elf | grep -cE '^(ktest_|lockdep_)')"

# W^X: no segment is writable and executable
if readelf -lW "$kernel" | grep -E '^ +LOAD' | grep -q 'RWE'; then
    fail "no segment is writable and executable" "$(readelf -lW "$kernel" | grep LOAD)"
else
    ok "no segment is writable and executable"
fi

# the same bytes from another directory, built anew. covers: TS-09 (D)
cp -r os Makefile tests "$work/"
mkdir -p "$work/sim"
make -s -C "$work" os >"$work/log" 2>&1
for image in orrery.elf initrd.cpio BOOTX64.EFI; do
    cmp -s "build/os/$image" "$work/build/os/$image" && ok "$image does not depend on the directory or the time" ||
        fail "$image does not depend on the directory or the time" "$(tail -3 "$work/log")" \
            "$(cmp "build/os/$image" "$work/build/os/$image" 2>&1)"
done

finish
