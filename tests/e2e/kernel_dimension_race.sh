#!/usr/bin/env bash
# The dimension store on the running machine (os/programs/dimbench), its steps made to fail and its threads made to meet by the simulator.
# What the scenarios have to know of the program comes from its file (tests/e2e/user_program.lua).
source "$(dirname "$0")/lib.sh"
program=build/os/programs/dimbench
symbols=$(nm "$program" | awk 'NF == 3 {printf "%s:%s,", $3, $1}')

# disassembled FUNCTION...: the instructions of functions, one a line: address:function TAB instruction
disassembled() {
    objdump -d --no-show-raw-insn "$program" | awk -v wanted=" $* " '/^[0-9a-f]+ <.*>:$/ {name = substr($2, 2, length($2) - 3)}
        /^ / && index(wanted, " " name " ") {at = $1; sub(/^[^\t]*\t/, ""); printf "%s%s\t%s\n", at, name, $0}'
}
# of the store: instructions with a lock prefix, and exchanges with memory, which need none
mapfile -t functions < <(nm build/os/user/dimension/*.c.o build/os/user/dimension/system/*.c.o | awk '$2 ~ /[tT]/ {print $3}')
locked=$(disassembled "${functions[@]}" | awk -F'\t' '$2 ~ /^lock / || $2 ~ /^xchg .*\(/ {printf "%s,", $1}')
# in the functions that allocate and free, stores to memory but the stack's: what follows each; those to DISPLACEMENT(REGISTER) themselves
allocate() {
    disassembled block_pool_alloc alloc_slowly block_pool_free
}
stores=$(allocate | awk -F'\t' '
    stored {split($1, at, ":"); printf "%s,", at[1]}
    {stored = $2 ~ /\)( +#.*)?$/ && $2 !~ /^(cmp|test|lea|j|call)/ && $2 !~ /%r[sb]p\)$/}')
plain=$(allocate | sed -nE 's/^([0-9a-f]+):[a-z_]+\tmov[a-z]* +[^,]+,0x([0-9a-f]+)\(%(r[a-z0-9]+)\)$/\1:\2:\3/p' | tr '\n' ',')

options=(--set symbols="$symbols" --set locked="$locked" --set stores="$stores" --set plain="$plain")

expect_status "a start or an end that fails at any step is told and leaves nothing" 0 "$orrery" run tests/e2e/dimension_failures.lua \
    "${options[@]}"
grep -E '^ {10}' "$work/out"
expect_status "threads that meet at bad moments see whole contents and exact sums" 0 "$orrery" run tests/e2e/dimension_race.lua \
    "${options[@]}"
grep -E '^ {10}' "$work/out"
finish
