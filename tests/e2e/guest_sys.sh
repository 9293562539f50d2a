#!/usr/bin/env bash
# Bare-metal programs on modes and system instructions: the same checks pass in Orrery, one instruction at a time as
# well, and, but for what the programs say TCG gets wrong, in QEMU.
source "$(dirname "$0")/lib.sh"

make_shared -s guest-sys >"$work/make" 2>&1 || fail "the guests build" "$(tail -5 "$work/make")"
for guest in build/guest/sys/*.elf; do
    name=$(basename "$guest" .elf)
    for options in "" "--blocks single" "--engine timed" "--board microvm"; do
        # shellcheck disable=SC2086
        expect_status "guest $name in Orrery $options" 33 "$orrery" boot --kernel "$guest" --max-cycles 4000000000 $options
        grep -q FAIL "$work/out" && fail "guest $name prints no failure $options" "$(grep FAIL "$work/out")"
    done
    checks=$(grep -c '^ok' "$work/out")
    [ "$checks" -gt 20 ] && ok "guest $name makes more than 20 checks" || fail "guest $name makes more than 20 checks" "$checks"
    expect_status "guest $name in QEMU" 33 scripts/qemu-run -m 128 -k "$guest" -i none -a qemu
done

finish
