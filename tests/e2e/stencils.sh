#!/usr/bin/env bash
# The machine code of the handlers: the table is made of the sources that are there, and tests see when it is wrong.
source "$(dirname "$0")/lib.sh"

if scripts/make-stencils --check 2>"$work/out"; then
    ok "the table of stencils is made of these sources"
else
    fail "the table of stencils is made of these sources" "$(cat "$work/out")"
fi
if command -v clang-19 >/dev/null && command -v llvm-objdump-19 >/dev/null; then
    if scripts/make-stencils --verify 2>"$work/out"; then
        ok "compiling gives the same table"
    else
        fail "compiling gives the same table" "$(cat "$work/out")"
    fi
fi

# A table with a wrong bit. One that only sends an access the slow way changes nothing that anybody could see.
test=build/rel/tests/unit/cpu/test_stencils
make_shared -s "$test" >"$work/make" 2>&1 || fail "the test builds" "$(tail -5 "$work/make")"
mkdir -p "$work/with/cpu"
command_of() {
    make -n "$@" | sed -z 's/\\\n//g'
}
compile=$(command_of -W sim/cpu/stencil.c build/rel/sim/cpu/stencil.o | grep -- '-c sim/cpu/stencil.c' |
    sed "s# -Isim # -I$work/with -Isim #; s# -MMD -MP##; s# -o .*# -o $work/stencil.o#")
link=$(command_of -W tests/unit/cpu/test_stencils.c "TEST_LIBS_test_stencils=$work/stencil.o" "$test" |
    grep -- "-o $test" | sed "s# -MMD -MP -MF [^ ]*##; s#-o $test#-o $work/test#")
seen=0 missed=
for seed in $(seq 16); do
    mutant=$(scripts/stencils/mutate "$seed" "$work/with/cpu/stencils.inc")
    if ! { eval "$compile" && eval "$link"; } >"$work/out" 2>&1; then
        fail "mutant $seed builds" "$(tail -5 "$work/out")"
    elif timeout 60 "$work/test" >/dev/null 2>&1; then
        missed+="$mutant"$'\n'
    else
        seen=$((seen + 1))
    fi
done
if [ "$seen" -ge 13 ]; then
    ok "of 16 stencils with a wrong bit at least 13 are seen"
else
    fail "of 16 stencils with a wrong bit at least 13 are seen" "$seen" "$missed"
fi

finish
