#!/usr/bin/env bash
# What programs do not get to see: the kernel's table of their capabilities, memory and registers of others, bytes between the
# members of structures.
source "$(dirname "$0")/lib.sh"

expect_status "tables, old memory and old registers are out of reach" 0 "$orrery" run tests/e2e/kernel_security.lua
grep '^        ' "$work/out"

# padded TEXT: does a structure of TEXT, or one that kernel and programs share, have padding?
padded() {
    { (cd os && printf '#include "%s"\n' abi/*.h) && printf '%s\n' "$1"; } >"$work/shared.c"
    ! gcc -std=c17 -ffreestanding -Ios -Wpadded -Werror -fsyntax-only "$work/shared.c" 2>"$work/err"
}
# covers: TS-05 (S)
if padded ""; then
    fail "no structure that kernel and programs share has padding" "$(cat "$work/err")"
elif ! padded "struct planted { uint32_t a; uint64_t b; };" || ! grep -q "padding struct to align 'b'\|padding struct to align ‘b’" "$work/err"; then
    fail "no structure that kernel and programs share has padding" "one that has is not noticed" "$(cat "$work/err")"
else
    ok "no structure that kernel and programs share has padding"
fi

finish
